"""Numbers with provenance: what a chapter measured and what it concludes, kept in the metadata of its outputs."""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .. import _checks
from .profiles import profile_of
from .statistics import mean_sd, significant, spread
from .studies import load_study
from .verdicts import judge, share_ahead

_KEPT: dict[str, dict] = {}
"""What this process has recorded, by name: verdicts are judged by it."""


def record(name: str, values=None, *, template: str, digits: int = 8, study: Sequence = (), ahead_of=None) -> None:
    """Show one sentence with mean, spread and n, and keep the values in the output's metadata.

    Args:
        name: What evidence lists call it: lower case, digits and underscores.
        values: One number per seed, or a single number; left out where a study has them.
        template: A sentence with one ``{}`` where "mean +- sd (n = ...)" goes.
        digits: Significant digits that are kept, 1 to 17. Eight are the same on every processor; after a long training
            fewer may be.
        study: Where a study has the values: its name, the condition, and what leads to them, as in ``Study.at``.
        ahead_of: Other numbers, one per seed: record how often the values lie above them instead, over all pairs of seeds,
            with an interval by bootstrap over seeds.

    Raises:
        ValueError: If the name or sentence has the wrong form, or a value is missing or not finite.

    Source:
        Ours.

    Example:
        >>> record("recall", [0.5, 1.0], template="Recall of the edges: {}.")
        Recall of the edges: 0.75 ± 0.35 (n = 2).
    """
    data = _kept(name, values, template, digits, study, ahead_of)
    _show(data["text"], {"record": data})


def record_table(
    name: str, values: Mapping, *, template: str, what: str, words: Mapping | None = None, digits: int = 8
) -> None:
    """Record many numbers of one kind, and show them as one table: the first key gives the row, the second the column.

    Args:
        name: What evidence lists call each number, with one ``{}`` per key: "order_{}_{}".
        values: By key, or by a pair of keys: what ``record`` takes as values, or a dict of its ``values``, ``study`` and
            ``ahead_of``.
        template: A sentence with one ``{}`` per key, and a last one where "mean +- sd (n = ...)" goes.
        what: What the numbers are, for the table's head.
        words: What a reader is shown for a key; by default the key, with hyphens for underscores.
        digits: As in ``record``.

    Raises:
        ValueError: If keys, name and sentence do not fit together, or ``record`` refuses one of the numbers.

    Source:
        Ours.

    Example:
        >>> found = {("linear", "grid"): [0.5, 1.0], ("linear", "cycle"): [1.0, 1.0]}
        >>> record_table("recall_{}_{}", found, template="Recall of {}, {}: {}.", what="recall")
        | recall (n = 2) | grid | cycle |
        | --- | ---: | ---: |
        | linear | 0.75 ± 0.35 | 1 ± 0 |
    """
    by_keys = {key if isinstance(key, tuple) else (key,): value for key, value in values.items()}
    sizes = {len(keys) for keys in by_keys}
    if sizes not in ({1}, {2}) or name.count("{}") not in sizes or template.count("{}") - 1 not in sizes:
        raise ValueError(
            "values must have a key or a pair of keys each, name one {} per key, and template one more, "
            f"got keys of {sorted(sizes)} parts, {name!r} and {template!r}."
        )
    shown = {key: (words or {}).get(key, str(key).replace("_", "-")) for keys in by_keys for key in keys}
    found = {}
    for keys, value in by_keys.items():
        given = {"values": None, "study": (), "ahead_of": None} | (value if isinstance(value, dict) else {"values": value})
        sentence = template
        for key in keys:
            sentence = sentence.replace("{}", shown[key], 1)
        plain = [re.sub("[^a-z0-9]+", "_", str(key).lower()) for key in keys]
        found[keys] = _kept(name.format(*plain), template=sentence, digits=digits, **given)
    counts = {data["n"] for data in found.values()}
    what += f" (n = {min(counts)})" * (len(counts) == 1)
    rows = list(dict.fromkeys(keys[0] for keys in found))
    columns = list(dict.fromkeys(keys[1:] for keys in found))
    lines = [
        [what, *(shown[column[0]] for column in columns)] if columns[0] else ["", what],
        ["---", *["---:"] * len(columns)],
    ]
    for row in rows:
        cells = [found.get((row, *column)) for column in columns]
        lines.append([shown[row], *("" if cell is None else _number(cell, bare=len(counts) == 1) for cell in cells)])
    _show("\n".join(f"| {' | '.join(line)} |" for line in lines), {"records": list(found.values())})


def _kept(name: str, values, template: str, digits: int, study: Sequence, ahead_of) -> dict:
    """Check one number, keep it for the verdicts, and return what its output's metadata holds."""
    if not re.fullmatch(r"[a-z][a-z0-9_]*", str(name)):
        raise ValueError(f"name must be lower case letters, digits and underscores, got {name!r}.")
    if not isinstance(template, str) or template.count("{}") != 1:
        raise ValueError(f"template must be a sentence with one {{}} for the number, got {template!r}.")
    if (values is None) == (not study):
        raise ValueError(f"values or a study must give the numbers of {name!r}, and not both.")
    values = load_study(study[0]).at(*study[1:]) if values is None else values
    values = torch.as_tensor(values, dtype=torch.float64).flatten()
    more: dict[str, Any] = {"study": list(study)} if study else {}
    if ahead_of is not None:
        values, error, interval = share_ahead(values, ahead_of)
        more["error"], more["interval"] = significant(error, 3), [significant(x, 3) for x in interval]
    if not len(values) or not values.isfinite().all():
        raise ValueError(f"values of {name!r} must be finite and at least one, got {values.tolist()[:5]}.")
    if _checks.integer("digits", digits, least=1) > 17:
        raise ValueError(f"digits must be at most 17, got {digits}: a number has no more.")
    kept = [significant(value, digits) for value in values.tolist()]
    mean, sd = mean_sd(torch.tensor(kept, dtype=torch.float64))
    data = {
        "name": name,
        "values": kept,
        "mean": significant(mean, digits),
        "sd": None if sd is None else significant(sd, digits),
        "n": len(kept),
        "template": template,
    } | more
    data["text"] = template.replace("{}", _number(data))  # other braces are text
    _KEPT[name] = data
    return data


def _number(data: dict, bare: bool = False) -> str:
    """Return a record's number as it is shown, or bare, without its n."""
    if "interval" in data:
        shown = "{:.3g} (95 % interval {:.3g} to {:.3g}; n = {})".format(data["mean"], *data["interval"], data["n"])
        return shown.replace(f"; n = {data['n']}", "") if bare else shown
    mean, sd = mean_sd(torch.tensor(data["values"], dtype=torch.float64))
    shown = spread(mean, sd, data["n"])
    return shown.removesuffix(f" (n = {data['n']})") if bare else shown


def claim(
    id: str,
    *,
    tests: Sequence = (),
    at_least: int | None = None,
    control: Sequence = (),
    void: Sequence = (),
    seeds: int = 1,
    holds: bool | None = None,
    evidence: Sequence[str] = (),
    part: str | None = None,
    profile: str | None = None,
) -> None:
    """Show a verdict in one line without digits of its own, and keep it in the output's metadata.

    Args:
        id: "C1" to "C18", a claim of the paper, or "O1" and so on, one of ours, as in ``book/claims.toml``.
        tests: What the criterion asks of records of this chapter, as in ``reporting.judge``: then verdict, thresholds and
            distances follow from them.
        at_least: How many of the tests must hold; by default all.
        control: Tests that must hold, or the claim is not tested.
        void: Tests that must hold, or the claim is void: there is nothing to compare, and it does not count.
        seeds: How many independent seeds every record of the tests must have, or the claim is not tested.
        holds: Without tests: whether the criterion is met; None if its control failed or it was not run: not tested.
        evidence: Names of records of the same chapter to show beside it, besides those of the tests; at least one in all.
        part: Which part of the claim, where it has several.
        profile: The chapter's profile; by default what BOOK_PROFILE says, else "laptop". In "smoke" nothing is judged.

    Raises:
        TypeError: If ``holds`` is neither a bool nor None.
        ValueError: If the id has the wrong form, no evidence is named, a test has the wrong form, or there is no such
            profile.

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
    if isinstance(evidence, str) or not (evidence or tests):
        raise ValueError(f"evidence must list at least one record's name, got {evidence!r}.")
    profile = profile_of(profile)
    data: dict[str, Any] = {"id": id, "part": part}
    word = {True: "holds", False: "fails", None: "not tested"}[holds]
    if tests:
        _checks.integer("seeds", seeds, least=1)
        asked = {"tests": tests, "at_least": at_least, "control": control, "void": void, "seeds": seeds}
        word, found, controls = answer(asked, _KEPT)
        names = [test[key] for test in found + controls for key in ("record", "against") if key in test]
        evidence = list(dict.fromkeys([*names, *evidence]))
        asked = {key: _listed(value) for key, value in asked.items()}
        data |= {"asked": asked, "tests": _short(found), "control": _short(controls)}
    smoke = profile == "smoke"
    word = "not tested" if smoke else word
    data |= {"holds": {"holds": True, "fails": False}.get(word), "word": word}
    data |= {"evidence": list(evidence), "profile": profile}
    verdict = {"holds": "the criterion is met", "fails": "the criterion is not met"}.get(word, word)
    where = f"{id}, {part}" if part else id
    _show(f"{where}: {'not judged (smoke)' if smoke else verdict}.", {"claim": data})


def answer(asked: Mapping, records: Mapping[str, dict]) -> tuple[str, list[dict], list[dict]]:
    """Return the word for what a claim asked of records, its tests as judged, and those of its controls."""
    word, found = judge(asked["tests"], records, at_least=asked["at_least"])
    controls = []
    for key, otherwise in (("control", "not tested"), ("void", "void")):
        required = judge(asked[key], records)[1] if asked[key] else []
        word = otherwise if any(test["word"] != "holds" for test in required) else word
        controls += required
    names = [test[key] for test in found for key in ("record", "against") if key in test]
    few = min(records[name]["n"] for name in names) < asked["seeds"]
    return "not tested" if few else word, found, controls


def _listed(tests):
    """Return tests as lists, for JSON."""
    if isinstance(tests, dict):
        return {key: _listed(value) for key, value in tests.items()}
    return [_listed(test) for test in tests] if isinstance(tests, (list, tuple)) else tests


def _short(tests: list[dict]) -> list[dict]:
    """Keep six digits of what a test found: its record has eight."""
    return [{k: significant(v, 6) if isinstance(v, float) else v for k, v in test.items()} for test in tests]


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
    records = [record for item in found for record in [item.get("record"), *item.get("records", ())] if record]
    return {"record": records, "claim": [item["claim"] for item in found if "claim" in item]}


def _ours(output: dict) -> bool:
    return "geomem" in output.get("metadata", {})


def _show(text: str, metadata: dict) -> None:
    """Publish a line with metadata where there is a notebook; print it elsewhere."""
    ipython = sys.modules.get("IPython")  # a notebook's kernel has imported it already
    if ipython is None or ipython.get_ipython() is None:
        print(text)
    else:
        ipython.display.publish_display_data({"text/plain": text, "text/markdown": text}, metadata={"geomem": metadata})
