"""What a core, the middle of a model, must have to be one of ``CORES``."""

from collections.abc import Callable
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor


@runtime_checkable
class Core(Protocol):
    """Map the embeddings of a sequence to what is compared with the unembedding: a ``torch.nn.Module`` with these parts.

    A method ``flops(rows, length, last)`` may count the operations of a forward pass's matrix products; without one,
    torch's own counter does. An ensemble batches the core with ``vmap``, so ``forward`` must change nothing in place.

    Args:
        width: Width of the embeddings.
        layers: How many blocks or maps to stack.
        heads: Attention heads; a core without attention ignores them.
        generator: Draws all start values.
        std: Standard deviation of the start values.

    Attributes:
        sequential: Whether the core reads all tokens, and not the last alone. Known of the class, before it is made.
        dropout_sites: How often ``forward`` calls ``drop``.

    Source:
        Ours.
    """

    sequential: bool
    dropout_sites: int

    def __init__(self, width: int, layers: int, heads: int, generator: torch.Generator, std: float): ...

    def __call__(self, x: Tensor, drop: Callable[[Tensor], Tensor], last: int) -> Tensor:
        """Map ``(batch, length, width)`` to the last positions, ``(batch, last, width)``: what ``forward`` does."""
        ...
