"""Verdicts: what a criterion says of recorded numbers, and how far from its threshold each of them is."""

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from .. import _checks

WORDS = ("holds", "fails", "undecided", "not tested")
SENSES = (">=", "<=", ">", "<")
TIE = 1e-12


def share_ahead(a, b, *, draws: int = 2000, seed: int = 0) -> tuple[Tensor, float, tuple[float, float]]:
    """Return how often a seed of ``a`` lies above one of ``b``, with the error that independent seeds leave.

    n and m seeds make n m pairs, but these are not independent: the interval is by bootstrap over the seeds of both.

    Args:
        a: One number per seed, ``(n,)``.
        b: One number per seed, ``(m,)``.
        draws: Draws of the bootstrap, at least 1.
        seed: Draws them.

    Returns:
        The share of ``b`` below each of ``a``, float64 ``(n,)``, whose mean is the share of pairs; the standard error of
        that mean; and its interval of 95 %.

    Raises:
        ValueError: If either has no value.

    Source:
        Ours; a tie counts as not above.

    Example:
        >>> shares, error, interval = share_ahead([2.0, 3.0, 4.0], [0.0, 1.0])
        >>> float(shares.mean()), error, interval
        (1.0, 0.0, (1.0, 1.0))
    """
    a, b = (torch.as_tensor(x, dtype=torch.float64).flatten() for x in (a, b))
    if not len(a) or not len(b):
        raise ValueError(f"a and b must have a value each, got {len(a)} and {len(b)}.")
    above = (a[:, None] > b).double()
    generator = torch.Generator().manual_seed(_checks.seed_of("seed", seed))
    shape = _checks.integer("draws", draws, least=1)
    rows = torch.randint(len(a), (shape, len(a)), generator=generator)
    columns = torch.randint(len(b), (shape, len(b)), generator=generator)
    drawn = above[rows[:, :, None], columns[:, None, :]].mean((1, 2))
    low, high = drawn.quantile(torch.tensor([0.025, 0.975], dtype=torch.float64)).tolist()
    return above.mean(1), float(drawn.std(correction=0)), (low, high)


def judge(tests: Sequence, records: Mapping[str, dict], *, at_least: int | None = None) -> tuple[str, list[dict]]:
    """Return a criterion's verdict as a word, and each of its tests with its threshold and the distance from it.

    A test is ``(record, sense, threshold)``, the mean of a record against a number, or ``(record, ">", other, errors)``, a
    mean against that of another record plus so many standard errors of the difference. It holds or fails; within one
    standard error of its threshold it is *undecided*, and so is a strict one at a tie.

    Args:
        tests: Tests; in place of one a list, which holds if all of its tests do, or a dict ``{"at_least": k, "of": tests}``.
        records: Data of the records by name, as ``record`` keeps them.
        at_least: How many must hold; by default all.

    Returns:
        "holds", "fails" or "undecided", and for each test a dict with record, sense, threshold, mean, error, distance in
        standard errors (None where there is no error), and word.

    Raises:
        ValueError: If a test has the wrong form, or a record is missing.

    Source:
        Ours.

    Example:
        >>> records = {"accuracy": {"mean": 0.95, "sd": 0.02, "n": 4}}
        >>> word, (test,) = judge([("accuracy", ">=", 0.90)], records)
        >>> word, round(test["distance"], 6)
        ('holds', 5.0)
    """
    entries = [_entry(entry, records) for entry in tests]
    if not entries or not all(found for _, found in entries):
        raise ValueError("tests must be one or more, got none.")
    return _counted([word for word, _ in entries], at_least), [test for _, found in entries for test in found]


def mean_and_error(data: Mapping) -> tuple[float, float]:
    """Return a record's mean and its standard error: its own, or sd over the root of n; 0 for a single number."""
    if data.get("error") is not None:
        return data["mean"], data["error"]
    return data["mean"], (data["sd"] or 0.0) / math.sqrt(data["n"])


def sentence(test: Mapping) -> str:
    """Return a test in words: "0.955 >= 0.9 (4.7 se)".

    Example:
        >>> sentence({"mean": 0.9551, "sense": ">=", "threshold": 0.9, "distance": 4.71, "word": "holds"})
        '0.955 ≥ 0.9 (+4.7 se)'
    """
    sense: str = test["sense"]
    sign = {">=": "≥", "<=": "≤"}.get(sense, sense)
    sign = sign if test["word"] != "fails" else {"≥": "<", "≤": ">", ">": "≤", "<": "≥"}[sign]
    sign = sign if test["word"] != "undecided" else "≈"
    far = "" if test["distance"] is None else f" ({test['distance']:+.1f} se)"
    return f"{test['mean']:.3g} {sign} {test['threshold']:.3g}{far}"


def _entry(entry, records) -> tuple[str, list[dict]]:
    """Judge a test, which begins with a name, a list of which all must hold, or a dict of which some must."""
    if isinstance(entry, Mapping):
        return judge(entry["of"], records, at_least=entry["at_least"])
    if entry and isinstance(entry[0], str):
        test = _judged(entry, records)
        return test["word"], [test]
    return judge(entry, records)


def _counted(words: list[str], at_least: int | None) -> str:
    """Return "holds" if so many hold, "undecided" if as many may, else "fails"."""
    least = len(words) if at_least is None else _checks.integer("at_least", at_least, least=1)
    held = words.count("holds")
    return "holds" if held >= least else "undecided" if held + words.count("undecided") >= least else "fails"


def _judged(test, records) -> dict:
    """Judge one test; the distance is positive on the side where it holds."""
    name, sense, against, errors = (*test, 0)[:4]
    missing = [x for x in (name, against) if isinstance(x, str) and x not in records]
    if sense not in SENSES or len(test) not in (3, 4) or missing:
        why = f"no record {missing[0]!r}" if missing else f"{tuple(test)!r}"
        raise ValueError(f"a test must be (record, sense, threshold) or (record, sense, other, errors), got {why}.")
    mean, error = mean_and_error(records[name])
    threshold, side = against, 1.0 if sense[0] == ">" else -1.0
    if isinstance(against, str):
        other, other_error = mean_and_error(records[against])
        error = math.hypot(error, other_error)
        threshold = other + side * errors * error
    beyond = side * (mean - threshold)
    distance = beyond / error if error > TIE else None
    if abs(beyond) <= TIE * max(1.0, abs(threshold)):
        word = "holds" if len(sense) == 2 and distance is None else "undecided"
    elif distance is not None and abs(distance) <= 1:
        word = "undecided"
    else:
        word = "holds" if beyond > 0 else "fails"
    about = {"record": name, "sense": sense, "threshold": threshold, "mean": mean, "error": error}
    about |= {"against": against, "errors": errors} if isinstance(against, str) else {}
    return about | {"distance": distance, "word": word}
