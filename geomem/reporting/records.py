"""Numbers with provenance: what a chapter measured and what it concludes, kept in the metadata of its outputs."""

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from .. import _checks
from .profiles import profile_of
from .statistics import mean_sd, significant, spread


def record(name: str, values, *, template: str, digits: int = 8) -> None:
    """Show one sentence with mean, spread and n, and keep the values in the output's metadata.

    Args:
        name: What evidence lists call it: lower case, digits and underscores.
        values: One number per seed, or a single number.
        template: A sentence with one ``{}`` where "mean +- sd (n = ...)" goes.
        digits: Significant digits that are kept, 1 to 17. Eight are the same on every processor; after a long training
            fewer may be.

    Raises:
        ValueError: If the name or sentence has the wrong form, or a value is missing or not finite.

    Source:
        Ours.

    Example:
        >>> record("recall", [0.5, 1.0], template="Recall of the edges: {}.")
        Recall of the edges: 0.75 ± 0.35 (n = 2).
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", str(name)):
        raise ValueError(f"name must be lower case letters, digits and underscores, got {name!r}.")
    if not isinstance(template, str) or template.count("{}") != 1:
        raise ValueError(f"template must be a sentence with one {{}} for the number, got {template!r}.")
    values = torch.as_tensor(values, dtype=torch.float64).flatten()
    if not len(values) or not values.isfinite().all():
        raise ValueError(f"values of {name!r} must be finite and at least one, got {values.tolist()[:5]}.")
    if _checks.integer("digits", digits, least=1) > 17:
        raise ValueError(f"digits must be at most 17, got {digits}: a number has no more.")
    kept = [significant(value, digits) for value in values.tolist()]
    mean, sd = mean_sd(torch.tensor(kept, dtype=torch.float64))
    text = template.replace("{}", spread(mean, sd, len(kept)))  # other braces are text
    data = {
        "name": name,
        "values": kept,
        "mean": significant(mean, digits),
        "sd": None if sd is None else significant(sd, digits),
        "n": len(kept),
        "template": template,
        "text": text,
    }
    _show(text, {"record": data})


def claim(
    id: str, *, holds: bool | None, evidence: Sequence[str], part: str | None = None, profile: str | None = None
) -> None:
    """Show a verdict in one line without digits of its own, and keep it in the output's metadata.

    Args:
        id: "C1" to "C18", a claim of the paper, or "O1" and so on, one of ours, as in ``book/claims.toml``.
        holds: Whether the criterion is met; None if its control failed or it was not run: not tested.
        evidence: Names of records of the same chapter, at least one.
        part: Which part of the claim, where it has several.
        profile: The chapter's profile; by default what BOOK_PROFILE says, else "laptop". In "smoke" nothing is judged.

    Raises:
        TypeError: If ``holds`` is neither a bool nor None.
        ValueError: If the id has the wrong form, no evidence is named, or there is no such profile.

    Source:
        Ours.

    Example:
        >>> claim("C10", holds=True, evidence=["fiedler_energy_cycle"])
        C10: the criterion is met.
    """
    if not re.fullmatch(r"[CO]\d{1,2}", str(id)):
        raise ValueError(f"id must be C or O and a number, got {id!r}. See book/claims.toml.")
    if isinstance(holds, Tensor):
        holds = holds.item()
    if holds is not None and not isinstance(holds, bool):
        raise TypeError(f"holds must be True, False or None, got {holds!r}. Write bool(...) around a numpy value.")
    if isinstance(evidence, str) or not evidence:
        raise ValueError(f"evidence must list at least one record's name, got {evidence!r}.")
    profile = profile_of(profile)
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
        ValueError: If there is no such file, or it is not a notebook.

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


def _ours(output: dict) -> bool:
    return "geomem" in output.get("metadata", {})


def _show(text: str, metadata: dict) -> None:
    """Publish a line with metadata where there is a notebook; print it elsewhere."""
    ipython = sys.modules.get("IPython")  # a notebook's kernel has imported it already
    if ipython is None or ipython.get_ipython() is None:
        print(text)
    else:
        ipython.display.publish_display_data({"text/plain": text, "text/markdown": text}, metadata={"geomem": metadata})
