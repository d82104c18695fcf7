"""Numbers with provenance: what a chapter measured and what it concludes, kept in the metadata of its outputs."""

import json
import math
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from . import _checks


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
        values: One number a seed, ``(n,)``, n at least 2.
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


def record(name: str, values, *, says: str) -> None:
    """Show one sentence with mean, spread and n, and keep the values in the output's metadata.

    Args:
        name: What evidence lists call it: lower case, digits and underscores.
        values: One number a seed, or a single number.
        says: A sentence with one ``{}`` where "mean +- sd (n = ...)" goes.

    Raises:
        ValueError: If the name or sentence has the wrong form, or a value is missing or not finite.

    Source:
        Ours.

    Example:
        >>> record("recall", [0.5, 1.0], says="Recall of the edges: {}.")
        Recall of the edges: 0.75 ± 0.35 (n = 2).
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", str(name)):
        raise ValueError(f"name must be lower case letters, digits and underscores, got {name!r}.")
    if not isinstance(says, str) or says.count("{}") != 1:
        raise ValueError(f"says must be a sentence with one {{}} for the number, got {says!r}.")
    values = torch.as_tensor(values, dtype=torch.float64).flatten()
    if not len(values) or not values.isfinite().all():
        raise ValueError(f"values of {name!r} must be finite and at least one, got {values.tolist()[:5]}.")
    mean, sd = mean_sd(values)
    text = says.format(spread(mean, sd, len(values)))
    data = {
        "name": name,
        "values": values.tolist(),
        "mean": mean,
        "sd": sd,
        "n": len(values),
        "says": says,
        "text": text,
    }
    _show(text, {"record": data})


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


def claim(
    id: str, *, holds: bool | None, evidence: Sequence[str], part: str | None = None, profile: str | None = None
) -> None:
    """Show a verdict in one line without digits of its own, and keep it in the output's metadata.

    Args:
        id: "C1" to "C18", as in ``book/claims.toml``.
        holds: Whether the criterion is met; None if its control failed or it was not run: not tested.
        evidence: Names of records of the same chapter, at least one.
        part: Which part of the claim, where it has several.
        profile: The chapter's profile; by default what BOOK_PROFILE says, else "laptop". In "smoke" nothing is judged.

    Raises:
        TypeError: If ``holds`` is neither a bool nor None.
        ValueError: If the id has the wrong form or no evidence is named.

    Source:
        Ours.

    Example:
        >>> claim("C10", holds=True, evidence=["fiedler_energy_cycle"])
        C10: the criterion is met.
    """
    if not re.fullmatch(r"C\d{1,2}", str(id)):
        raise ValueError(f"id must be C and a number, got {id!r}. See book/claims.toml.")
    if isinstance(holds, Tensor):
        holds = holds.item()
    if holds is not None and not isinstance(holds, bool):
        raise TypeError(f"holds must be True, False or None, got {holds!r}. Write bool(...) around a numpy value.")
    if isinstance(evidence, str) or not evidence:
        raise ValueError(f"evidence must list at least one record's name, got {evidence!r}.")
    profile = profile or os.environ.get("BOOK_PROFILE", "laptop")
    smoke = profile == "smoke"
    verdict = {True: "the criterion is met", False: "the criterion is not met", None: "not tested"}[holds]
    where = f"{id}, {part}" if part else id
    data = {"id": id, "part": part, "holds": None if smoke else holds, "evidence": list(evidence), "profile": profile}
    _show(f"{where}: {'not judged (smoke)' if smoke else verdict}.", {"claim": data})


def load_records(notebook: str | Path) -> dict[str, list[dict]]:
    """Return what an executed notebook recorded: ``{"record": [...], "claim": [...]}`` in order.

    Args:
        notebook: Path of an ``.ipynb`` file.

    Raises:
        ValueError: If there is no such file or it is no notebook.

    Source:
        Ours.
    """
    path = Path(notebook)
    if not path.is_file():
        raise ValueError(f"notebook must name a file, got {str(path)!r}: there is none.")
    try:
        cells = json.loads(path.read_text(encoding="utf8"))["cells"]
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{path.name} must be a notebook (JSON with cells). Run the chapter again.") from None
    found = [output["metadata"]["geomem"] for cell in cells for output in cell.get("outputs", ()) if _ours(output)]
    return {kind: [item[kind] for item in found if kind in item] for kind in ("record", "claim")}


@dataclass(frozen=True, eq=False)
class Study:
    """Hold the runs of a study, by condition: what does not fit into a chapter, and the command that made it.

    Args:
        name: Its name in ``book/studies.toml``.
        purpose: What it is for.
        seeds: One run a seed and condition.
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

    def final(self, *keys, condition: str = "") -> Tensor:
        """Return a result at the end of every run, ``(n, ...)``: ``final("token_accuracy")``."""
        return torch.tensor([_inside(run, keys) for run in self.runs[condition]], dtype=torch.float64)

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
        level: What is to be reached.

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


def _ours(output: dict) -> bool:
    return "geomem" in output.get("metadata", {})


def _show(text: str, metadata: dict) -> None:
    """Publish a line with metadata where there is a notebook; print it elsewhere."""
    ipython = sys.modules.get("IPython")  # a notebook's kernel has imported it already
    if ipython is None or ipython.get_ipython() is None:
        print(text)
    else:
        ipython.display.publish_display_data({"text/plain": text, "text/markdown": text}, metadata={"geomem": metadata})
