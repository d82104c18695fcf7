"""Optimisers of a large table of which a step reads few rows: the cost of a step depends on those rows alone."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from .ensemble import BETAS, EPS

SMOOTHING = 0.99
"""Share of the running mean square that a step keeps."""


class _Lazy:
    """Decay a row when it is next read, by the product of all the factors that it has missed.

    Args:
        table: ``(n, width)``; a copy is kept, in which rows are only as new as the last step that read them.
        rates: The learning rate of every step.
        decays: The decoupled decay of every step.
    """

    kept: tuple[str, ...]
    """Names of the tensors that steps change."""

    def __init__(self, table: Tensor, rates: Sequence[float], decays: Sequence[float]):
        self.table, self.rates = table.detach().clone(), [float(rate) for rate in rates]
        rate, decay = (torch.as_tensor(values, dtype=torch.float64) for values in (rates, decays))
        self.last = torch.zeros(len(table), dtype=torch.int64, device=table.device)  # steps done when a row was last read
        self.shrink = torch.cat([rate.new_zeros(1), torch.log1p(-rate * decay).cumsum(0)]).to(table.device)

    def read(self, rows: Tensor, step: int) -> Tensor:
        """Return rows as they are after ``step`` steps; nothing is changed."""
        return self._now(rows, step)[0]

    def whole(self, step: int) -> Tensor:
        """Return the table as it is after ``step`` steps; nothing is changed."""
        return self.read(torch.arange(len(self.table), device=self.table.device), step)

    def _now(self, rows: Tensor, step: int) -> tuple[Tensor, ...]:
        """Return rows, and what else the optimiser keeps of them, brought up to date."""
        raise NotImplementedError

    def tensors(self) -> dict[str, Tensor]:
        """Return all that steps change."""
        return {name: getattr(self, name) for name in self.kept}

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Continue from what ``tensors`` returned."""
        for name in self.kept:
            setattr(self, name, tensors[name].to(self.table.device))

    def _factor(self, since: Tensor | int, step: int) -> Tensor:
        """Return what decay leaves of a row between two moments."""
        return (self.shrink[step] - self.shrink[since]).exp().to(self.table.dtype)


class LazyAdamW(_Lazy):
    """AdamW.

    Between two steps that read it, AdamW still moves a row: it decays, and its momentum runs out. Both are made up when
    the row is read next, in closed form, so that the result is AdamW's on dense gradients: to rounding where all rows are
    read at every step, nearly elsewhere (the whole run-out takes the rate of the step that read the row, and no eps).

    Source:
        Ours; AdamW is Loshchilov & Hutter's (arXiv 1711.05101).
    """

    kept = ("table", "last", "first", "second")

    def __init__(self, table: Tensor, rates: Sequence[float], decays: Sequence[float]):
        super().__init__(table, rates, decays)
        self.first, self.second = torch.zeros_like(self.table), torch.zeros_like(self.table)
        b1, b2 = BETAS
        taken = torch.arange(len(rates) + 1, dtype=torch.float64).clamp(min=1)
        rate = torch.as_tensor(self.rates[:1] + self.rates, dtype=torch.float64)
        size = rate * (1 - b2**taken).sqrt() / (1 - b1**taken)
        self.size = size.to(table.device)  # of a step, by the steps done after it

    def step(self, rows: Tensor, gradient: Tensor, step: int) -> None:
        """Take step number ``step`` (from 0) with a gradient of those rows, ``(k, width)``; all rows differ."""
        b1, b2 = BETAS
        table, first, second = self._now(rows, step)
        first.lerp_(gradient, 1 - b1)
        second.mul_(b2).addcmul_(gradient, gradient, value=1 - b2)
        table.mul_(self._factor(step, step + 1))
        c1, c2 = 1 - b1 ** (step + 1), 1 - b2 ** (step + 1)
        table.addcdiv_(first, (second / c2).sqrt_().add_(EPS), value=-self.rates[step] / c1)
        self.table[rows], self.first[rows], self.second[rows], self.last[rows] = table, first, second, step + 1

    def _now(self, rows: Tensor, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return rows and both moments, brought up to date."""
        last, dtype = self.last[rows], self.table.dtype
        gap = (step - last).double()
        b1, b2 = BETAS
        ratio = b1 / math.sqrt(b2)
        run_out = self.size[last] * ratio * (1 - ratio**gap) / (1 - ratio)
        first, second = self.first[rows], self.second[rows]
        moved = first / (second.sqrt() + 1e-30)  # a row that was never read has neither
        table = self.table[rows] * self._factor(last, step)[:, None] - run_out.to(dtype)[:, None] * moved
        return table, first * (b1**gap).to(dtype)[:, None], second * (b2**gap).to(dtype)[:, None]


class LazyRMS(_Lazy):
    """Plain gradient steps, divided by one running root mean square for the whole table.

    AdamW rescales every entry, and so the lengths and directions that the loss asks for; one number for all leaves them as
    the gradient flow has them, which is what long arms need. Rows that every step reads would move ``gap`` times as often
    as the others, so each such step is ``gap`` times smaller, and its gradient no longer than a typical row's.

    Args:
        table: ``(n, width)``.
        rates: As for ``LazyAdamW``: how far an entry moves when its row is read and has a gradient of typical length.
        decays: As for ``LazyAdamW``.
        always: How many rows are read at every step; they come last in ``rows``.
        gap: After how many steps another row is read again, on average, at least 1.

    Source:
        Ours.
    """

    kept = ("table", "last", "square")

    def __init__(self, table: Tensor, rates: Sequence[float], decays: Sequence[float], *, always: int = 0, gap: float = 1.0):
        super().__init__(table, rates, decays)
        self.always, self.gap = always, gap
        self.square = self.table.new_full((), -1.0)  # none yet

    def step(self, rows: Tensor, gradient: Tensor, step: int) -> None:
        """Take step number ``step`` (from 0) with a gradient of those rows, ``(k, width)``; all rows differ."""
        some = len(rows) - self.always
        square = gradient[:some].square().mean()
        self.square = torch.where(self.square < 0, square, self.square.lerp(square, 1 - SMOOTHING))
        gradient = gradient / self.square.sqrt().clamp(min=EPS)
        often = gradient[some:]
        often /= often.square().mean(1, keepdim=True).sqrt().clamp(min=1) * self.gap
        table = self.read(rows, step) * self._factor(step, step + 1)
        self.table[rows], self.last[rows] = table.sub_(gradient, alpha=self.rates[step]), step + 1

    def _now(self, rows: Tensor, step: int) -> tuple[Tensor]:
        """Return rows, brought up to date."""
        return (self.table[rows] * self._factor(self.last[rows], step)[:, None],)


TABLES = {"adam": LazyAdamW, "rms": LazyRMS}
