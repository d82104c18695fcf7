"""Means, spreads and nulls."""

import math

import torch
from torch import Tensor


def mean_sd(values: Tensor) -> tuple[float, float | None]:
    """Return mean and sample standard deviation over the last dimension; None for a single value."""
    return float(values.mean()), float(values.std()) if len(values) > 1 else None


def standard_error(a, b) -> Tensor:
    """Return the standard error of the difference of two sample means, ``(...,)``.

    Args:
        a: Samples, ``(..., n)``, n at least 2.
        b: Samples, ``(..., m)``, m at least 2.

    Raises:
        ValueError: If either has fewer than two samples.

    Source:
        Standard; the paper's criteria use it as *se*.

    Example:
        >>> float(standard_error([1.0, 3.0], [2.0, 2.0]))
        1.0
    """
    a, b = (torch.as_tensor(x, dtype=torch.float64) for x in (a, b))
    if min(a.shape[-1], b.shape[-1]) < 2:
        raise ValueError(f"a standard error needs two samples each, got {a.shape[-1]} and {b.shape[-1]}.")
    return (a.var(-1) / a.shape[-1] + b.var(-1) / b.shape[-1]).sqrt()


def exceeds_null(values, null, *, errors: float = 3.0) -> bool:
    """Return whether the mean lies more than ``errors`` standard errors of the difference above the null's mean.

    Args:
        values: One number per seed, ``(n,)``, n at least 2.
        null: The same measure on random embeddings of equal shape and number, ``(m,)``.
        errors: How many standard errors.

    Source:
        The criterion of claims C5, C6 and C11.

    Example:
        >>> exceeds_null([0.9, 1.0, 1.1], [0.0, 0.1, -0.1])
        True
    """
    values, null = (torch.as_tensor(x, dtype=torch.float64) for x in (values, null))
    return bool(values.mean() > null.mean() + errors * standard_error(values, null))


def spread(mean: float, sd: float | None, n: int) -> str:
    """Return "mean ± sd (n = ...)", rounded to what the spread leaves stable: two digits of sd, at most four decimals.

    Example:
        >>> spread(0.91234, 0.0123, 10), spread(4.0, None, 1)
        ('0.912 ± 0.012 (n = 10)', '4 (n = 1)')
    """
    if sd is None:
        return f"{mean:.4g} (n = {n})"
    decimals = 4 if sd == 0 else min(4, max(0, 1 - math.floor(math.log10(sd))))
    if sd == 0:
        return f"{mean:.4g} ± 0 (n = {n})"
    return f"{mean:.{decimals}f} ± {sd:.{decimals}f} (n = {n})"
