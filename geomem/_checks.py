"""Checks of arguments: each error names the argument, the rule, the value met, and what to do instead."""

import difflib
import math
import numbers
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # torch is slow to import, and most checks do not need it
    import torch

DENSE_LIMIT = 5_000
"""Largest n for which an n x n array is made (5,000 squared in float64 is 200 MB)."""


def integer(name: str, value, *, least: int, hint: str = "") -> int:
    """Return ``value`` as an int, or raise an error if it is not an integer of at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(f"{name} must be an integer, got {value!r} of type {type(value).__name__}.{_way_out(hint)}")
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}.{_way_out(hint)}")
    return int(value)


def real(
    name: str,
    value,
    *,
    above: float | None = None,
    least: float | None = None,
    below: float | None = None,
    hint: str = "",
) -> float:
    """Return ``value`` as a float within ``(above, below)`` or ``[least, below)``, never NaN or infinite."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(f"{name} must be a number, got {value!r} of type {type(value).__name__}.{_way_out(hint)}")
    number = float(value)
    low = above is not None and not number > above
    low = low or (least is not None and not number >= least)
    if not math.isfinite(number) or low or (below is not None and not number < below):
        rules = [f"greater than {above:g}"] if above is not None else []
        rules += [f"at least {least:g}"] if least is not None else []
        rules += [f"less than {below:g}"] if below is not None else []
        raise ValueError(f"{name} must be finite and {' and '.join(rules)}, got {value}.{_way_out(hint)}")
    return number


def one_of(name: str, value, options: Iterable[str]) -> str:
    """Return ``value`` if it is one of ``options``; else name them and the nearest."""
    options = list(options)
    if value in options:
        return value
    near = difflib.get_close_matches(str(value), options, n=1)
    meant = f" Did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"{name} must be one of {', '.join(map(repr, options))}, got {value!r}.{meant}")


def boolean(name: str, value) -> bool:
    """Return ``value`` if it is True or False; the string "no" would count as true."""
    if not isinstance(value, bool):
        raise TypeError(f"{name} must be True or False, got {value!r}.")
    return value


def seed_of(name: str, seed) -> int:
    """Return ``seed`` as an integer in [0, 2**32): torch's generators keep no more of it."""
    seed = integer(name, seed, least=0)
    if seed >= 2**32:
        raise ValueError(f"{name} must be less than 2**32, got {seed}: torch would take it for a smaller one.")
    return seed


def seeds_of(seeds) -> tuple[int, ...]:
    """Return ``seeds`` as a non-empty tuple of different integers in [0, 2**32)."""
    seeds = seeds.tolist() if hasattr(seeds, "tolist") else seeds
    if isinstance(seeds, numbers.Integral) or not isinstance(seeds, Iterable):
        raise TypeError(f"seeds must be a sequence of integers, got {seeds!r}. Write seeds=[{seeds!r}] for one seed.")
    seeds = tuple(seed_of("a seed", seed) for seed in seeds)
    if not seeds:
        raise ValueError("seeds must hold at least one seed, got none. Write seeds=range(8) for eight.")
    if len(set(seeds)) < len(seeds):
        raise ValueError(f"seeds must differ, got {seeds}: a repeated seed is the same run, not a second one.")
    return seeds


def snapshots_of(snapshots: Sequence[int], steps: int) -> tuple[int, ...]:
    """Return the listed steps in order, with the last step added."""
    if not isinstance(snapshots, Iterable) or isinstance(snapshots, str):
        raise TypeError(
            f"snapshots must be a sequence of steps, got {snapshots!r}. Write snapshots=[{snapshots!r}] for one."
        )
    listed = {integer("a snapshot", step, least=0) for step in snapshots}
    late = [step for step in listed if step > steps]
    if late:
        raise ValueError(f"snapshots must not lie after the last step, {steps}, got {min(late)}. Raise steps or drop it.")
    return tuple(sorted(listed | {steps}))


def table(values) -> "torch.Tensor":
    """Return numbers from torch, numpy or nested lists as a float64 CPU tensor, whatever torch's default dtype is."""
    import torch

    return torch.as_tensor(values, dtype=torch.float64).detach().cpu()


def dense(n_nodes: int, what: str, way_out: str) -> None:
    """Refuse an n x n array above ``DENSE_LIMIT`` nodes."""
    if n_nodes > DENSE_LIMIT:
        raise ValueError(
            f"{what} needs a dense array of {n_nodes:,} x {n_nodes:,}; the limit is n = {DENSE_LIMIT:,}. {way_out}"
        )


def _way_out(hint: str) -> str:
    return f" {hint}" if hint else ""


def device_of(device: "str | torch.device") -> "torch.device":
    """Return the torch device, "auto" meaning CUDA where there is one; refuse CUDA where there is none."""
    import torch

    name = str(device)
    one_of("device", name.split(":")[0], ("auto", "cpu", "cuda"))
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(f"device must be one this machine has, got {name!r}: there is no CUDA here. Use device='cpu'.")
    return torch.device(("cuda" if torch.cuda.is_available() else "cpu") if name == "auto" else name)


def device_name(device: "str | torch.device") -> str:
    """Return how a result names the device that made it: "cuda: NVIDIA H200", or "cpu"."""
    import torch

    kind = device_of(device).type
    return f"cuda: {torch.cuda.get_device_name()}" if kind == "cuda" else kind


def shipped(folder: str) -> list[Path]:
    """Return where the book's files of one kind may lie: in the installed package, or beside it in the book."""
    here = Path(__file__).parent
    return [here / folder, here.parent / "book" / folder]
