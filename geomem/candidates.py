"""Cheap steps on large stars: a step borrows a few whole arms of the table and trains on them alone.

A step draws k of the star's d arms. Their facts, and the paths of those among them that are trained, are its examples; their
nodes, the root and the special tokens are its candidates, in place of all tokens. Arms that were not drawn are like the
drawn ones: in a question's softmax, the nodes of *other* drawn arms count (d - 1) / (k - 1) times, so the partition
function is right on average over draws, and exact when all arms are drawn. Hard negatives, a question's own arm, are
always among the candidates.

So a step is one on the small star of k arms, numbered alike every time; only which rows of the table it borrows changes.
"""

import math

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

BETAS, EPS = (0.9, 0.999), 1e-8


class Arms:
    """Draw k arms of a star, and number them as a small star: arm by arm from the root, then the root, then the specials.

    Args:
        paths: The star's paths, root to leaf, int64 ``(d, l)``.
        specials: Token ids that are always candidates, int64 ``(s,)``.
        k: Arms a step, 2 to d.
        generator: Draws the arms, each once before any is drawn again; at most k - 1 sit out a pass.
    """

    def __init__(self, paths: Tensor, specials: Tensor, k: int, generator: torch.Generator):
        self.d, self.k, self.length = len(paths), k, paths.shape[1]
        self.nodes, self.root, self.generator = paths[:, 1:], paths[0, :1], generator
        self.specials, self.order = specials, paths.new_empty(0)
        m = self.length - 1
        self.n_nodes = k * m + 1
        small = torch.arange(k * m).reshape(k, m)
        self.small = torch.cat([torch.full((k, 1), k * m), small], 1)  # the small star's paths
        self.edges = torch.stack([self.small[:, :-1].flatten(), self.small[:, 1:].flatten()], 1)
        self.arm = torch.cat([torch.arange(k).repeat_interleave(m), torch.full((1 + len(specials),), -1)])

    def draw(self) -> tuple[Tensor, Tensor]:
        """Return the drawn arms, int64 ``(k,)``, and the tokens whose rows they borrow, int64 ``(c,)``."""
        if len(self.order) < self.k:
            self.order = torch.randperm(self.d, generator=self.generator)
        arms, self.order = self.order[: self.k], self.order[self.k :]
        return arms, torch.cat([self.nodes[arms].flatten(), self.root, self.specials])

    def log_weights(self, arm: Tensor) -> Tensor:
        """Return what to add to the logits of each question, ``(q, c)``.

        Args:
            arm: The drawn arm that each question lies in, from 0 to k - 1, or -1 for the root's own.
        """
        other = math.log((self.d - 1) / (self.k - 1)) if self.k < self.d else 0.0
        all_ = math.log(self.d / self.k)
        arm = arm[:, None]
        value = torch.where(arm < 0, all_, other) * (arm != self.arm)
        return (value * (self.arm >= 0)).to(torch.get_default_dtype())


class _WeighedSoftmax(torch.autograd.Function):
    """``sum_q mass_q logsumexp_c(z_qc + log_weights_qc) - sum_e weight_e z_e``, loss and gradients in one pass."""

    @staticmethod
    def forward(ctx, hidden, table, log_weights, mass, flat, weight):
        logits = torch.addmm(log_weights, hidden, table.mT)
        top = logits.amax(1, keepdim=True)
        answers = (logits.view(-1)[flat] - log_weights.view(-1)[flat]) @ weight
        total = logits.sub_(top).exp_().sum(1, keepdim=True)
        loss = mass @ (total.log() + top).squeeze(1) - answers
        logits.mul_(mass[:, None] / total)
        logits.view(-1).index_add_(0, flat, -weight)
        ctx.save_for_backward(logits @ table, logits.mT @ hidden)
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx, above):
        return *(above * g for g in ctx.saved_tensors), None, None, None, None


class Questions:
    """Hold the questions of a kind, with their answers: what is asked does not change from step to step.

    Args:
        arms: The small star.
        arm: As in ``Arms.log_weights``.
        asked, answer: Pairs of a question's row and the candidate that answers it, int64 ``(e,)`` both.
    """

    def __init__(self, arms: Arms, arm: Tensor, asked: Tensor, answer: Tensor):
        self.log_weights = arms.log_weights(arm)
        self.weight = self.log_weights.new_full((len(asked),), 1 / len(asked))
        self.mass = torch.zeros(len(arm), dtype=self.weight.dtype).index_add_(0, asked, self.weight)
        self.flat = asked * self.log_weights.shape[1] + answer

    def loss(self, hidden: Tensor, table: Tensor) -> Tensor:
        """Return the mean loss of all."""
        return _WeighedSoftmax.apply(hidden, table, self.log_weights, self.mass, self.flat, self.weight)


def facts(arms: Arms) -> Questions:
    """Return the directed edges of the small star as questions, one a node: its answers share their logits."""
    both = torch.cat([arms.edges, arms.edges.flip(1)])
    return Questions(arms, arms.arm[: arms.n_nodes], both[:, 0], both[:, 1])


class LazyAdamW:
    """AdamW on a table of which a step reads few rows, for the price of those rows.

    Between two steps that touch it, AdamW still moves a row: it decays, and its momentum runs out. Both are made up when
    the row is read next, in closed form, so that the result is AdamW's on dense gradients. (The closed form takes the rate
    of the step that touched the row for the whole run-out, and leaves eps out of it.)

    Args:
        table: ``(n, width)``, changed in place.
        rates: The learning rate of every step, float64 ``(steps,)``.
        decays: The decoupled decay of every step, ``(steps,)``.
    """

    def __init__(self, table: Tensor, rates: Tensor, decays: Tensor):
        self.table, self.rates = table, rates
        self.first, self.second = torch.zeros_like(table), torch.zeros_like(table)
        self.last = torch.zeros(len(table), dtype=torch.int64)  # steps done when the row was brought up to date
        self.shrink = torch.cat([rates.new_zeros(1), torch.log1p(-rates * decays).cumsum(0)])

    def read(self, rows: Tensor, step: int) -> Tensor:
        """Return rows as they are after ``step`` steps."""
        now, _, _ = self._now(rows, step)
        return now

    def _now(self, rows: Tensor, step: int):
        """Return rows and both moments, brought up to date."""
        last = self.last[rows]
        gap = (step - last).double()
        dtype = self.table.dtype
        b1, b2 = BETAS
        ratio = b1 / math.sqrt(b2)
        tail = ratio * (1 - ratio**gap) / (1 - ratio)
        at = last.clamp(min=1).double()
        size = self.rates[(last - 1).clamp(min=0)] * (1 - b2**at).sqrt() / (1 - b1**at) * tail
        shrink = (self.shrink[step] - self.shrink[last]).exp()
        first, second = self.first[rows], self.second[rows]
        moved = first / (second.sqrt() + 1e-30)
        table = self.table[rows] * shrink.to(dtype)[:, None] - size.to(dtype)[:, None] * moved
        return table, first * (b1**gap).to(dtype)[:, None], second * (b2**gap).to(dtype)[:, None]

    def step(self, rows: Tensor, gradient: Tensor, step: int) -> None:
        """Take step number ``step`` (from 0) with a gradient of those rows, ``(k, width)``; all rows differ."""
        b1, b2 = BETAS
        table, first, second = self._now(rows, step)
        first.lerp_(gradient, 1 - b1)
        second.mul_(b2).addcmul_(gradient, gradient, value=1 - b2)
        rate = float(self.rates[step])
        shrink = float((self.shrink[step + 1] - self.shrink[step]).exp())
        c1, c2 = 1 - b1 ** (step + 1), 1 - b2 ** (step + 1)
        table.mul_(shrink).addcdiv_(first, (second / c2).sqrt_().add_(EPS), value=-rate / c1)
        self.table[rows], self.first[rows], self.second[rows] = table, first, second
        self.last[rows] = step + 1

    def flush(self, step: int) -> None:
        """Bring all rows up to date, for who reads the table itself."""
        every = torch.arange(len(self.table))
        table, first, second = self._now(every, step)
        self.table.copy_(table), self.first.copy_(first), self.second.copy_(second)
        self.last.fill_(step)
