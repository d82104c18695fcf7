"""Studies: runs too long for a chapter, committed with the command that made them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from .. import _checks


@dataclass(frozen=True, eq=False)
class Study:
    """Hold the runs of a study, by condition: results that take too long for a chapter, with the command that made them.

    Args:
        name: Its name in ``book/studies.toml``.
        purpose: What it is for.
        seeds: One run per seed and condition.
        hours: What all runs took on one core, together.
        runs: Results by condition; a study without conditions has one, "".
        about: Commit, versions, device and settings.
    """

    name: str
    purpose: str
    seeds: list[int]
    hours: float
    runs: dict[str, list[dict]]
    about: dict

    def __repr__(self) -> str:
        return f"Study({self.name!r}, {len(self.runs)} conditions, {len(self.seeds)} seeds, {self.hours:.2g} hours)"

    def final(self, *keys, condition: str = "") -> Tensor:
        """Return a result at the end of every run, ``(n, ...)``: ``final("token_accuracy")``."""
        return torch.tensor([_inside(run, keys) for run in self.runs[condition]], dtype=torch.float64)

    def at(self, condition: str, *keys) -> Tensor:
        """Return one number per run, ``(n,)``: a result at the end, or the steps until it reaches a level.

        The keys lead to the result, as in ``final``; with ``">=", level`` after them, as in ``curve``.

        >>> load_study("tandem").at("", "test", "token_accuracy", 1, ">=", 0.9).tolist()[0]
        220.0
        """
        if ">=" not in keys:
            return self.final(*keys, condition=condition)
        *keys, _, level = keys
        return steps_to(*self.curve(*keys, condition=condition), level)

    def curve(self, *keys, condition: str = "") -> tuple[Tensor, Tensor]:
        """Return steps ``(T,)`` and a result at each of them, ``(n, T, ...)``: ``curve("test", "answer_accuracy")``."""
        histories = [run["history"] for run in self.runs[condition]]
        values = [[_inside(row, keys) for row in history] for history in histories]
        return torch.tensor([row["step"] for row in histories[0]]), torch.tensor(values, dtype=torch.float64)


def load_study(name: str, folder: str | Path | None = None) -> Study:
    """Return a study that ``make studies`` ran and that came with the book.

    Args:
        name: Its name in ``book/studies.toml``.
        folder: Where its file lies; by default where the book or the installed package keeps them.

    Raises:
        ValueError: If there is no such study.

    Source:
        Ours.
    """
    folders = _checks.shipped("results") if folder is None else [Path(folder)]
    found = [path for path in (place / f"{name}.json" for place in folders) if path.is_file()]
    if not found:
        known = sorted(path.stem for place in folders for path in place.glob("*.json") if path.stem != "records")
        raise ValueError(f"name must be a study that was run, got {name!r}: there are {', '.join(known) or 'none'}.")
    whole = json.loads(found[0].read_text(encoding="utf8"))
    parts = whole.get("conditions") or {"": whole}
    hours = sum(second for part in parts.values() for second in part["seconds"]) / 3600
    about = {key: whole[key] for key in ("command", "versions", "device", "commit")}
    about["settings"] = {condition: part["settings"] for condition, part in parts.items()}
    runs = {condition: part["runs"] for condition, part in parts.items()}
    return Study(whole["name"], whole["purpose"], whole["seeds"], hours, runs, about)


def load_rows(folder: str | Path | None = None) -> dict[str, dict]:
    """Return the single runs at the paper's size that came with the book, by name; there may be none.

    Args:
        folder: Where their files lie; by default ``paper`` beside the studies.

    Source:
        Ours; each is what ``geomem train ... --out`` wrote, listed in ``benchmarks/GPU.md``.
    """
    folders = _checks.shipped("results/paper") if folder is None else [Path(folder)]
    files = sorted(path for place in folders for path in place.glob("*.json"))
    return {path.stem: json.loads(path.read_text(encoding="utf8")) for path in files}


def steps_to(steps: Tensor, values: Tensor, level: float) -> Tensor:
    """Return the first of the listed steps at which each curve reaches the level, float64 ``(n,)``; NaN if it never does.

    Args:
        steps: ``(T,)``.
        values: ``(n, T)``.
        level: The value to reach.

    Source:
        Ours.

    Example:
        >>> steps_to(torch.tensor([10, 20]), torch.tensor([[0.2, 0.9], [0.1, 0.3]]), 0.9).tolist()
        [20.0, nan]
    """
    reached = values >= level
    first = steps[reached.double().argmax(1)].double()
    return first.masked_fill(~reached.any(1), torch.nan)


def _inside(value, keys: Sequence):
    """Follow keys and indices into a result."""
    for key in keys:
        value = value[key]
    return value
