"""Matrix products whose sums are kept in a wider type than their factors, and how much to hold at once."""

import torch
from torch import Tensor

CHUNK_BYTES = {"cpu": 2**22, "cuda": 2**28}
"""Logits held at once: on a CPU about what its caches keep, on a GPU enough to keep it busy."""


def product(a: Tensor, b: Tensor, dtype: torch.dtype) -> Tensor:
    """Return a @ b with the sums, and the result, in ``dtype``."""
    if a.dtype == dtype:
        return a @ b
    return torch.mm(a, b, out_dtype=dtype) if a.is_cuda else a.to(dtype) @ b.to(dtype)


def add_product(total: Tensor, a: Tensor, b: Tensor) -> None:
    """Add a @ b to ``total``."""
    if a.dtype == total.dtype:
        total.addmm_(a, b)
    else:
        total += product(a, b, total.dtype)
