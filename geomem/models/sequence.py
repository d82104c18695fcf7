"""The one model of the book: an embedding table, a core, and an unembedding."""

import torch
from torch import Tensor, nn

from .. import _checks
from .linear import Identity, Linear
from .mamba import Mamba
from .transformer import Transformer

CORES = {"identity": Identity, "linear": Linear, "transformer": Transformer, "mamba": Mamba}
POSITIONS = ("learned", "none")


class SequenceModel(nn.Module):
    """Embed tokens, run a core, unembed: the models of the paper differ only in the core and in what is frozen.

    There is no train or eval mode: dropout acts in exactly those calls that bring ``noise``.

    Args:
        n_tokens: Size of the vocabulary, at least 2.
        core: "identity" (Node2Vec), "linear", "transformer" or "mamba".
        width: Width of the embeddings, at least 1.
        layers: Blocks or linear maps, at least 1; the identity has none.
        heads: Attention heads of the Transformer; must divide ``width`` there.
        positions: "learned" or "none"; cores that read a single token have none.
        context: Longest sequence that learned positions are made for.
        tied: Unembed with the embedding table itself.
        frozen: Keep the embedding (and an untied unembedding) as drawn: an associative memory.
        init_std: Standard deviation of the embedding's start values, > 0.
        core_std: That of the core's weights, > 0; biases start at 0.
        dropout: Share of entries dropped after the embedding and in every residual branch, in [0, 1).
        seed: Draws all start values, in one fixed order, from a generator of its own.

    Attributes:
        embedding: ``(n_tokens, width)``.
        unembedding: ``(n_tokens, width)``; the embedding itself when tied.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range or unknown.

    Source:
        Paper, settings; learned positions start at N(0, 1) as in the paper's own runs.

    Example:
        >>> model = SequenceModel(7, core="linear", width=4)
        >>> model(torch.tensor([[0], [3]])).shape
        torch.Size([2, 1, 7])
    """

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
        dropout: float = 0.0,
        seed: int = 0,
    ):
        super().__init__()
        n_tokens = _checks.integer("n_tokens", n_tokens, least=2)
        width = _checks.integer("width", width, least=1)
        sizes = [_checks.integer("layers", layers, least=1), _checks.integer("heads", heads, least=1)]
        kind = CORES[_checks.one_of("core", core, CORES)]
        _checks.one_of("positions", positions, POSITIONS)
        context = _checks.integer("context", context, least=1)
        init_std, core_std = (_checks.real(k, v, above=0) for k, v in (("init_std", init_std), ("core_std", core_std)))
        tied, frozen = _checks.boolean("tied", tied), _checks.boolean("frozen", frozen)
        rate = _checks.real("dropout", dropout, least=0, below=1)
        generator = torch.Generator().manual_seed(_checks.seed_of("seed", seed))

        self.embedding = nn.Parameter(torch.randn(n_tokens, width, generator=generator) * init_std, not frozen)
        learned = positions == "learned" and kind.sequential
        self.position = nn.Parameter(torch.randn(context, width, generator=generator)) if learned else None
        self.core = kind(width, *sizes, generator, core_std)
        untied = None if tied else torch.randn(n_tokens, width, generator=generator) * init_std
        self.untied = None if tied else nn.Parameter(untied, not frozen)
        self.register_buffer("dropout", torch.tensor(rate), persistent=False)

    @property
    def unembedding(self) -> Tensor:
        """The table that scores are read with, ``(n_tokens, width)``."""
        return self.embedding if self.untied is None else self.untied

    def forward(self, tokens: Tensor, where: int | slice = slice(None), noise: Tensor | None = None) -> Tensor:
        """Return logits over all tokens.

        Args:
            tokens: Token ids, int64 ``(batch, length)``.
            where: At which positions to form logits; by default at all.
            noise: Uniform draws for dropout, as ``draw_noise`` makes them; None for no dropout.

        Returns:
            ``(batch, length, n_tokens)``, or ``(batch, n_tokens)`` for a single position.
        """
        return self.hidden(tokens, noise)[:, where] @ self.unembedding.mT

    def hidden(self, tokens: Tensor, noise: Tensor | None = None) -> Tensor:
        """Return what the core hands to the unembedding, ``(batch, length, width)``."""
        x = self.embedding[tokens]
        if self.position is not None:
            if tokens.shape[-1] > len(self.position):
                raise ValueError(f"tokens must be at most {len(self.position)} long, got {tokens.shape[-1]}. Raise context.")
            x = x + self.position[: tokens.shape[-1]]
        drop = _Dropout(self.dropout, noise)
        return self.core(drop(x), drop)

    def draw_noise(self, tokens: Tensor, generator: torch.Generator) -> Tensor:
        """Draw the uniform numbers that one call's dropout thresholds, ``(sites, batch, length, width)``."""
        shape = (1 + self.core.dropout_sites, *tokens.shape, self.embedding.shape[-1])
        return torch.rand(shape, generator=generator).to(self.embedding.device)


class _Dropout:
    """Drop entries where the site's noise lies below the rate; the n-th call uses the n-th site."""

    def __init__(self, rate: Tensor, noise: Tensor | None):
        self.rate, self.sites = rate, iter(()) if noise is None else iter(noise)
        self.active = noise is not None

    def __call__(self, x: Tensor) -> Tensor:
        return x * (next(self.sites) >= self.rate) / (1 - self.rate) if self.active else x
