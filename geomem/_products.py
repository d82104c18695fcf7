"""Products of tables: sums in a wider type than the factors, how much to hold at once, and entries too large to square."""

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


def by_power_of_two(table: Tensor, *, dims: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Divide a table by the power of two next to its largest entry over ``dims``: exact, so that no digit changes.

    Returns:
        The table, its entries now below 1, and the exponents that ``torch.ldexp`` takes to undo it.
    """
    exponent = torch.frexp(table.abs().amax(dims, keepdim=True)).exponent
    half = exponent.div(2, rounding_mode="floor")  # 2 to the power of 1,074 overflows, its square root does not
    return torch.ldexp(torch.ldexp(table, -half), half - exponent), exponent
