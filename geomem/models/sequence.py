"""The one model of the book: an embedding table, a core, and an unembedding."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import _checks
from .core import Core
from .linear import Identity, Linear
from .mamba import Mamba
from .transformer import Transformer

CORES: dict[str, type[Core]] = {"identity": Identity, "linear": Linear, "transformer": Transformer, "mamba": Mamba}
"""Every core by its name: module classes that meet ``Core``."""
POSITIONS = ("learned", "sinusoidal", "none")


class SequenceModel(nn.Module):
    """Embed tokens, run a core, unembed: the models of the paper differ only in the core and in what is frozen.

    There is no train or eval mode: dropout acts in exactly those calls that pass ``noise``.

    Args:
        n_tokens: Size of the vocabulary, at least 2.
        core: A name in ``CORES``: "identity" (Node2Vec), "linear", "transformer", "mamba".
        width: Width of the embeddings, at least 1.
        layers: Blocks or linear maps, at least 1; the identity has none.
        heads: Attention heads of the Transformer; must divide ``width`` there.
        positions: "learned", "sinusoidal" or "none"; cores that read a single token have none.
        context: Longest sequence that positions are made for.
        tied: Unembed with the embedding table itself.
        frozen: Keep the embedding (and an untied unembedding) as drawn: an associative memory.
        init_std: Standard deviation of the embedding's start values, > 0.
        core_std: That of the core's weights, > 0; biases start at 0.
        position_std: That of learned positions, > 0.
        dropout: Share of entries dropped after the embedding and in every residual branch, in [0, 1).
        seed: Draws all start values, in one fixed order, from a generator of its own.

    Attributes:
        embedding: ``(n_tokens, width)``.
        unembedding: ``(n_tokens, width)``; the embedding itself when tied.
        settings: The arguments, by name.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range or unknown.

    Source:
        Paper, settings. Its tiny runs draw learned positions from N(0, 1); beside embeddings of 0.02 that drowns the
        token, and thousands of facts are not learned.

    Example:
        >>> model = SequenceModel(7, core="linear", width=4)
        >>> model(torch.tensor([[0], [3]])).shape
        torch.Size([2, 1, 7])
    """

    dropout: Tensor
    position: nn.Parameter | None
    untied: nn.Parameter | None

    def __init__(
        self,
        n_tokens: int,
        *,
        core: str = "transformer",
        width: int = 64,
        layers: int = 2,
        heads: int = 4,
        positions: str = "learned",
        context: int = 32,
        tied: bool = True,
        frozen: bool = False,
        init_std: float = 0.02,
        core_std: float = 0.02,
        position_std: float = 0.02,
        dropout: float = 0.0,
        seed: int = 0,
    ):
        super().__init__()
        n_tokens = _checks.integer("n_tokens", n_tokens, least=2)
        width = _checks.integer("width", width, least=1)
        layers, heads = _checks.integer("layers", layers, least=1), _checks.integer("heads", heads, least=1)
        kind = CORES[_checks.one_of("core", core, CORES)]
        _checks.one_of("positions", positions, POSITIONS)
        context = _checks.integer("context", context, least=1)
        stds = {"init_std": init_std, "core_std": core_std, "position_std": position_std}
        init_std, core_std, position_std = (_checks.real(name, value, above=0) for name, value in stds.items())
        tied, frozen = _checks.boolean("tied", tied), _checks.boolean("frozen", frozen)
        rate = _checks.real("dropout", dropout, least=0, below=1)
        seed = _checks.seed_of("seed", seed)
        generator = torch.Generator().manual_seed(seed)
        self.settings = dict(n_tokens=n_tokens, core=core, width=width, layers=layers, heads=heads, positions=positions,
                             context=context, tied=tied, frozen=frozen, init_std=init_std, core_std=core_std,
                             position_std=position_std, dropout=rate, seed=seed)  # fmt: skip

        self.embedding = nn.Parameter(_drawn(n_tokens, width, init_std, generator), not frozen)
        table = None
        if positions == "learned" and kind.sequential:
            table = nn.Parameter(_drawn(context, width, position_std, generator))
        elif positions == "sinusoidal" and kind.sequential:
            table = nn.Parameter(sinusoids(context, width), False)
        self.position = table
        self.core: Core = kind(width, layers, heads, generator, core_std)
        self.untied = None if tied else nn.Parameter(_drawn(n_tokens, width, init_std, generator), not frozen)
        self.register_buffer("dropout", torch.tensor(rate, dtype=torch.float32), persistent=False)
        self.float()  # an own core may have drawn in torch's default dtype

    @property
    def unembedding(self) -> Tensor:
        """The table that turns hidden vectors into scores, ``(n_tokens, width)``."""
        return self.embedding if self.untied is None else self.untied

    def forward(self, tokens: Tensor, last: int | None = None, noise: Tensor | None = None) -> Tensor:
        """Return logits over all tokens.

        Args:
            tokens: Token ids, int64 ``(batch, length)``.
            last: At how many positions to form logits, counted from the end; by default at all.
            noise: Uniform draws for dropout, as ``draw_noise`` makes them; None for no dropout.

        Returns:
            ``(batch, last, n_tokens)``.
        """
        return self.hidden(tokens, last, noise) @ self.unembedding.mT

    def hidden(self, tokens: Tensor, last: int | None = None, noise: Tensor | None = None, table=None) -> Tensor:
        """Return the core's output at the ``last`` positions, ``(batch, last, width)``: what the unembedding reads.

        Args:
            tokens: As in ``forward``.
            last: As in ``forward``.
            noise: As in ``forward``.
            table: Rows that ``tokens`` number, in place of the embedding: a few borrowed ones, ``(k, width)``.
        """
        length = tokens.shape[-1]
        if not length:
            raise ValueError("tokens must be at least 1 long, got 0: nothing comes before a first token.")
        last = length if last is None else last
        if not 1 <= last <= length:
            raise ValueError(f"last must lie in 1 to {length}, the length of tokens, got {last}.")
        x = F.embedding(tokens, self.embedding if table is None else table)
        if self.position is not None:
            if length > len(self.position):
                raise ValueError(f"tokens must be at most {len(self.position)} long, got {length}. Raise context.")
            x = x + self.position[:length]
        drop = _Dropout(self.dropout, noise)
        return self.core(drop(x), drop, last)

    def looked_up(self, tokens: Tensor, last: int = 1) -> Tensor:
        """Return the embeddings of the ``last`` tokens, ``(batch, last, width)``: what an identity core hands on."""
        return F.embedding(tokens[..., -last:], self.embedding)

    def draw_noise(self, tokens: Tensor, generator: torch.Generator) -> Tensor:
        """Draw the uniform numbers that one call's dropout thresholds, ``(sites, batch, length, width)``."""
        shape = (1 + self.core.dropout_sites, *tokens.shape, self.embedding.shape[-1])
        return torch.rand(shape, generator=generator, dtype=torch.float32).to(self.embedding.device)


def _drawn(rows: int, width: int, std: float, generator: torch.Generator) -> Tensor:
    """Draw a table of start values in float32, whatever torch's default dtype is."""
    return torch.randn(rows, width, generator=generator, dtype=torch.float32) * std


def sinusoids(length: int, width: int) -> Tensor:
    """Return fixed positions, ``(length, width)``: sine and cosine in turn, wavelengths from 2 pi to 10,000 times that.

    Args:
        length: Number of positions.
        width: Width of the embeddings.

    Source:
        Vaswani et al. (arXiv 1706.03762), section 3.5.

    Example:
        >>> sinusoids(2, 2)[0].tolist()
        [0.0, 1.0]
    """
    channel = torch.arange(width, dtype=torch.float64)
    angle = torch.arange(length)[:, None] / 10_000 ** (2 * (channel // 2) / width)
    return torch.where(channel % 2 == 0, angle.sin(), angle.cos()).float()


class _Dropout:
    """Drop entries where the site's noise lies below the rate; the n-th call uses the n-th site."""

    def __init__(self, rate: Tensor, noise: Tensor | None):
        self.rate, self.sites = rate, iter(()) if noise is None else iter(noise)
        self.active = noise is not None

    def __call__(self, x: Tensor) -> Tensor:
        if not self.active:
            return x
        return x * (next(self.sites)[..., -x.shape[-2] :, :] >= self.rate) / (1 - self.rate)
