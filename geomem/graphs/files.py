"""Read a graph from a file of names."""

import csv
import io
from pathlib import Path

from .. import _checks
from .graph import Graph


def read_edges(path: str | Path, *, columns: tuple[int, int] = (0, 1), header: bool = False) -> Graph:
    """Read a graph from a file of names: one edge a row.

    Args:
        path: UTF-8 text; ``.tsv`` and ``.tab`` are split at tabs, everything else at commas, with csv quoting.
            Empty rows and rows that begin with ``#`` are skipped.
        columns: Which two columns hold the names, counted from 0.
        header: Whether to skip the first row.

    Returns:
        The graph, named after the file. Repeated or reversed rows are merged with one UserWarning that counts them.

    Raises:
        TypeError: If ``columns`` is not a pair of integers.
        ValueError: If there is no such file, it is not UTF-8 text, a row lacks a column or a name, or no edge is left.

    Source:
        Ours.
    """
    if not isinstance(path, (str, Path)):
        raise TypeError(f"path must be a string or Path, got {path!r}.")
    path = Path(path)
    if not isinstance(columns, (tuple, list)) or len(columns) != 2:
        raise TypeError(f"columns must be a pair of column numbers, got {columns!r}. Write columns=(0, 1).")
    columns = tuple(_checks.integer("a column", column, least=0, hint="Columns count from 0.") for column in columns)
    if columns[0] == columns[1]:
        raise ValueError(f"columns must be two different columns, got {columns}. Write columns=(0, 1).")
    _checks.boolean("header", header)
    if not path.is_file():
        raise ValueError(f"path must name a file of edges, got {str(path)!r}: there is none. Check the folder.")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path.name} must be UTF-8 text, got a byte that is not at {error.start}. Save it as UTF-8."
        ) from None
    if "\0" in text:
        raise ValueError(f"{path.name} must be text, got a binary file. Export it as CSV or TSV.")
    rows = csv.reader(
        _without_comments(text), strict=True, delimiter="\t" if path.suffix.lower() in (".tsv", ".tab") else ","
    )
    try:
        pairs = _pairs(rows, columns, header, path.name)
    except csv.Error as error:
        raise ValueError(f"{path.name}, line {rows.line_num}: a row must be readable as csv, got: {error}.") from None
    return Graph.from_edges(pairs, name=path.stem)


def _without_comments(text: str):
    """Yield the lines, those that begin with # emptied; a # inside quotes begins no comment."""
    quoted = False
    for line in io.StringIO(text, newline=""):
        comment = not quoted and line.lstrip().startswith("#")
        quoted ^= not comment and line.count('"') % 2 == 1
        yield "\n" if comment else line


def _pairs(rows, columns: tuple[int, int], header: bool, file: str) -> list[tuple[str, str]]:
    """Return the two named columns of every row that holds data; a row that lacks one is an error with its line."""
    kept = [(rows.line_num, row) for row in rows if any(map(str.strip, row))]
    pairs = []
    for line, row in kept[1:] if header else kept:
        if len(row) <= max(columns):
            raise ValueError(f"{file}, line {line}: a row must have a column {max(columns)}, got {len(row)} column(s): "
                             f"{row}. Check columns= and the separator (tabs for .tsv).")  # fmt: skip
        names = tuple(row[column].strip() for column in columns)
        if not all(names):
            raise ValueError(f"{file}, line {line}: both names must be non-empty, got {names}. Complete or drop the row.")
        if names[0] == names[1]:
            raise ValueError(f"{file}, line {line}: an edge must join two different nodes, got {names[0]!r} with itself. "
                             "Drop the row; train self edges with self_edges=True.")  # fmt: skip
        pairs.append(names)
    return pairs
