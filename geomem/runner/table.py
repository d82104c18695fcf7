"""A table of many runs, derived from their records."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from .job import RUN_ID, needs, record_of

if TYPE_CHECKING:
    import pandas


def load_sweep(folder: str | Path) -> "pandas.DataFrame":
    """Return the runs in a folder as a pandas frame, derived from their records.

    Args:
        folder: Where ``geomem run`` or ``geomem sweep`` put them.

    Returns:
        A frame with the columns ``run``, ``chapter``, ``profile``, ``device``, ``code`` and ``seconds``, one per parameter,
        ``sample``, and one per record or claim ("C7 expressible"). A run has as many rows as its longest record has values
        (one per seed, say), numbered by ``sample``; shorter records and claims stand in its first rows, so that a mean over
        rows is a mean over values. A record that is called like a parameter gets ``_measured`` added to its name.

    Raises:
        ValueError: If there is no record, or one was damaged, or pandas is not installed.

    Source:
        Ours.
    """
    needs("load_sweep", "pandas")
    import pandas

    found = []
    for path in sorted(Path(folder).glob("*/record.json")):
        if not RUN_ID.fullmatch(path.parent.name):
            continue
        record = record_of(path.parent)
        if record is None:
            raise ValueError(f"{path} is damaged, or is the record of another run. Remove it and sweep again.")
        found.append(record)
    if not found:
        raise ValueError(f"folder must hold runs, got {str(folder)!r}: there is no record in it.")
    found.sort(key=lambda record: (record["chapter"], *map(_order, sorted(record["parameters"].items()))))
    return pandas.DataFrame([row for record in found for row in _rows(record)])


def _order(item: tuple) -> tuple:
    """Sort numbers as numbers and text as text."""
    name, value = item
    number = isinstance(value, int | float)
    return name, not number, value if number else 0, "" if number else str(value)


def _rows(record: dict) -> Iterator[dict]:
    """Yield one row per value of the longest record."""
    parameters = {name: value for name, value in record["parameters"].items() if name != "profile"}
    start = {name: record[name] for name in ("run", "chapter", "profile", "device", "code", "seconds")} | parameters
    columns = {}
    for item in record["records"]:
        name = item["name"] + "_measured" * (item["name"] in start or item["name"] == "sample")
        columns[name] = item["values"]
    for item in record["claims"]:
        columns[" ".join(filter(None, [item["id"], item["part"]]))] = [item["holds"]]
    for sample in range(max([1, *map(len, columns.values())])):
        yield start | {"sample": sample} | {n: v[sample] for n, v in columns.items() if sample < len(v)}
