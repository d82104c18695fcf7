"""Means, spreads and nulls."""

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
    """Return "mean ± sd (n = ...)" with two digits of sd, and of the mean as many as sd leaves stable.

    What is small is written as 1.0e-06: a spread that is there never reads as zero.

    Example:
        >>> spread(0.91234, 0.0123, 10), spread(4.0, None, 1), spread(3e-6, 1e-6, 5)
        ('0.912 ± 0.012 (n = 10)', '4 (n = 1)', '3.0e-06 ± 1.0e-06 (n = 5)')
    """
    if sd is None:
        return f"{mean:.4g} (n = {n})"
    if sd <= 1e-12 * abs(mean):  # equal values, whose mean was rounded
        return f"{mean:.4g} ± 0 (n = {n})"
    last = _exponent(sd, 1) - 1  # the place of the last digit that is shown
    if last >= -5:
        return f"{mean:.{max(0, -last)}f} ± {sd:.{max(0, -last)}f} (n = {n})"
    mean = round(mean, -last)
    shown = f"{mean:.{-last}f}" if abs(mean) >= 1e-3 else f"{mean:.{_exponent(mean, 0) - last}e}" if mean else "0"
    return f"{shown} ± {sd:.1e} (n = {n})"


def _exponent(value: float, digits: int) -> int:
    """Return the power of ten of a number's first digit, once it is rounded to that many further digits."""
    return int(f"{value:.{digits}e}".partition("e")[2])


def significant(value: float, digits: int) -> float:
    """Return a number rounded to that many significant digits.

    Example:
        >>> significant(0.123456789012, 8), significant(-98765.4, 2)
        (0.12345679, -99000.0)
    """
    return float(f"{value:.{digits - 1}e}")
