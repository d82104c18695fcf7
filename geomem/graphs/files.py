"""Read a graph from a file: rows of names, or a format that networkx or SciPy knows."""

import csv
import re
import unicodedata
import warnings
from collections.abc import Sequence
from pathlib import Path

from .. import _checks
from . import dialects
from .checks import numbered, shown
from .dialects import SEPARATORS, Lines, Row
from .formats import FORMATS, pairs_in
from .graph import Graph

LOOKS = str.maketrans("АВЕКМНОРСТХаеорсухіΑΒΕΖΗΙΚΜΝΟΡΤΥΧο", "ABEKMHOPCTXaeopcyxiABEZHIKMNOPTYXo")
"""Cyrillic and Greek letters that look like Latin ones."""


def read_edges(
    path: str | Path,
    *,
    columns: Sequence[int | str] | None = None,
    header: bool | None = None,
    sep: str | None = None,
    comments: str | None = "#",
    self_loops: str = "drop",
) -> Graph:
    """Read a graph from a file of facts; options that are not given are inferred where the file leaves no doubt.

    A file of rows holds one edge per row. Text is UTF-8, or UTF-16 with its mark, and may be packed by gzip. Files that end
    in .graphml, .gml, .gexf, .net (Pajek), .json (node-link), .adjlist or .mtx (Matrix Market) are read as what they are;
    the options of rows mean nothing there. Directions, weights, and repeated edges are ignored. Names are brought
    to one spelling of their accents (NFC), and are text whatever they are: ``NA`` is a name.

    Args:
        path: The file.
        columns: The two columns that hold the names, each by its number from 0 or by its title. By default the only two,
            known titles (Source and Target, head and tail, :START_ID and :END_ID, ...), or the first two before numbers.
        header: Whether the first row holds titles. By default it does if it holds known titles or words above numbers.
        sep: What separates columns; " " means any white space. By default what splits every row.
        comments: How a row begins that is no data; None if there are none.
        self_loops: "drop" leaves out edges of a node with itself, and counts them; "error" refuses them.

    Returns:
        The graph, named after the file; its ``source`` says what was read as what. One UserWarning counts what was dropped
        or merged.

    Raises:
        TypeError: If an option has the wrong type.
        ValueError: If there is no such file, it cannot be read, a row lacks a column or a name, there is more than one way
            to read it, or no edge is left.

    Source:
        Ours.
    """
    path = _file(path)
    columns = _columns_given(columns)
    if sep is not None and (not isinstance(sep, str) or len(sep) != 1 or sep in '\r\n"'):
        raise ValueError(
            f"sep must be one character, got {sep!r}. Write sep=',' or sep=';' or sep='\\t', ' ' for white space."
        )
    if header is not None:
        _checks.boolean("header", header)
    if comments is not None and not isinstance(comments, str):
        raise TypeError(f"comments must be a string or None, got {comments!r}.")
    _checks.one_of("self_loops", self_loops, ("drop", "error"))
    suffixes = [suffix.lower() for suffix in path.suffixes]
    suffix = (suffixes[:-1] if suffixes[-1:] == [".gz"] else suffixes)[-1:] or [""]
    text = dialects.text_of(path.read_bytes(), path.name)
    if suffix[0] in FORMATS:
        pairs, said, warned = pairs_in(text, suffix[0], path.name)
    else:
        pairs, said, warned = _rows(text, suffix[0], path.name, columns, header, sep, comments or "")
    return _graph(pairs, said, warned, path, self_loops)


def reading(sep: str = "", columns: str = "", header: str = "") -> dict:
    r"""Return the options of ``read_edges`` from text, as a chapter's parameters or a command line give them.

    Args:
        sep: What separates columns, or "tab"; empty: found in the file.
        columns: The two columns of names with a comma between them, by number or title: "0,2"; empty: found.
        header: Whether the first row holds titles, "yes" or "no"; empty: found.

    Raises:
        ValueError: If the columns are not two, or the header is neither.

    Source:
        Ours.

    Example:
        >>> reading(sep="tab", columns="head,2")
        {'sep': '\t', 'columns': ('head', 2)}
    """
    found: dict = {"sep": {"tab": "\t"}.get(sep, sep)} if sep else {}
    if columns:
        parts = [part.strip() for part in columns.split(",")]
        if len(parts) != 2 or not all(parts):
            raise ValueError(f"columns must be two columns with a comma between them, got {columns!r}. Write columns=0,1.")
        found["columns"] = tuple(int(part) if part.isdecimal() else part for part in parts)
    if header:
        found["header"] = _checks.one_of("header", header, ("yes", "no")) == "yes"
    return found


def _file(path) -> Path:
    """Return a path that names a file."""
    if not isinstance(path, (str, Path)):
        raise TypeError(f"path must be a string or Path, got {path!r}.")
    path = Path(path)
    if "\0" in str(path) or not path.is_file():
        raise ValueError(f"path must name a file of edges, got {str(path)!r}: there is none. Check the folder.")
    return path


def _columns_given(columns) -> tuple[int | str, int | str] | None:
    """Return the option ``columns`` as two different numbers or titles."""
    if columns is None:
        return None
    if not isinstance(columns, (tuple, list)) or len(columns) != 2:
        raise TypeError(f"columns must be a pair of column numbers or titles, got {columns!r}. Write columns=(0, 1).")
    hint = "Columns count from 0."
    pair = [c if isinstance(c, str) else _checks.integer("a column", c, least=0, hint=hint) for c in columns]
    if pair[0] == pair[1]:
        raise ValueError(f"columns must be two different columns, got {columns}. Write columns=(0, 1).")
    return pair[0], pair[1]


def _rows(text: str, suffix: str, file: str, columns, header, sep, comments: str) -> tuple[list, list[str], list[str]]:
    """Return the pairs of a file of rows with their lines, what to say about it, and what to warn about."""
    if marked := re.match(r"sep=(.)\r?\n", text):  # Excel's own first line
        text, sep = "\n" + text[marked.end() :], marked[1] if sep is None else sep
    lines = Lines(text, comments)
    sep = dialects.separator_of(lines, suffix, file) if sep is None else sep
    try:
        rows = list(lines.rows(sep))
    except csv.Error as error:
        raise ValueError(f"{file} must be readable as csv, got: {error}. Look for a quote that never closes.") from None
    alien = next((row for row in rows if comments == "#" and row.fields[0].split(" ")[0] in ("%", "%%", "//")), None)
    if alien:
        mark = alien.fields[0].split(" ")[0]
        raise ValueError(f"{file}, line {alien.line}: a row must hold names, got one that begins with {mark}, as comments "
                         f"do. Write comments={mark!r}, or comments=None if it is a name.")  # fmt: skip
    said = [f"{SEPARATORS.get(sep, repr(sep))}-separated"]
    named = columns is not None and any(isinstance(column, str) for column in columns)
    if named and header is False:
        raise ValueError(f"header must not be False where columns are titles, got columns={columns}.")
    if header is None and columns is None and rows and dialects.counts_first(rows):
        raise ValueError(f"{file} must be told whether its first row, {' '.join(rows[0].fields)}, is an edge, got one that "
                         "counts the other names and rows. Write header=True to leave it out, or header=False.")  # fmt: skip
    if header is None:
        header = named or (len(rows) > 0 and dialects.titles_of(rows, columns))
    titles = rows[0].fields if header and rows else None
    rows = rows[1:] if header else rows
    if rows and columns is None and dialects.is_matrix(rows, titles):
        raise ValueError(f"{file} must have one edge per row, got an adjacency matrix. Read it with pandas and write "
                         "Graph.from_networkx(networkx.from_pandas_adjacency(table)).")  # fmt: skip
    if columns is not None:
        pair = _column(columns[0], titles, file), _column(columns[1], titles, file)
        if pair[0] == pair[1]:
            raise ValueError(f"columns must be two different columns, got {columns}, both column {pair[0]}.")
    else:
        pair = dialects.columns_of(rows, titles, file) if rows else (0, 1)
    pairs = [_pair(row, pair, file, sep) for row in rows]
    more, warned = _said(lines, rows, titles, pair, sep, comments)
    return list(zip(pairs, (f"line {row.line}" for row in rows), strict=True)), said + more, warned


def _column(column: int | str, titles: list[str] | None, file: str) -> int:
    """Return the number of a column that is given by number or title."""
    if not isinstance(column, str):
        return column
    titles = titles or []
    same = [k for k, title in enumerate(titles) if title == column]
    same = same or [k for k, title in enumerate(titles) if title.lower() == column.strip().lower()]
    if len(same) != 1:
        how = "none of that title" if not same else f"{len(same)} of that title"
        raise ValueError(f"columns must name a column of {file}, got {column!r}, and there is {how}, in {shown(titles)}.")
    return same[0]


def _pair(row: Row, pair: tuple[int, int], file: str, sep: str) -> tuple[str, str]:
    """Return the two names of a row."""
    if len(row.fields) <= max(pair):
        raise ValueError(f"{file}, line {row.line}: a row must have a column {max(pair)}, got {len(row.fields)} column(s): "
                         f"{shown(row.fields)}. Check columns= and the separator, sep={sep!r}.")  # fmt: skip
    names = row.fields[pair[0]], row.fields[pair[1]]
    if not all(names):
        raise ValueError(
            f"{file}, line {row.line}: both names must be non-empty, got {shown(names)}. Complete or drop the row."
        )
    return names


def _said(lines: Lines, rows: list[Row], titles, pair, sep: str, comments: str) -> tuple[list[str], list[str]]:
    """Return what was read as what, and a warning where rows may have been taken for comments."""
    names = [f"{k} ({shown(titles[k])})" if titles and k < len(titles) else str(k) for k in pair]
    said = ["the first row holds titles"] if titles else []
    said += [f"names in columns {names[0]} and {names[1]}"]
    others = [k for k in range(max([len(row.fields) for row in rows], default=0)) if k not in pair]
    called = [titles[k] if titles and k < len(titles) and titles[k] else str(k) for k in others]
    said += [f"{_count(len(others), 'other column')} ignored: {', '.join(called[:8])}"] if others else []
    said += ["attributes in braces ignored"] if lines.attributes else []
    if not lines.comments:
        return said, []
    taken = f"{_count(len(lines.comments), 'row')} that begin{'s' * (len(lines.comments) == 1)} with {comments!r} taken for "
    taken += f"{'a comment' if len(lines.comments) == 1 else 'comments'} (comments=None keeps them)"
    bare = [line.lstrip().removeprefix(comments) for line in lines.comments]
    alike = [line for line in bare if line[:1].strip() and len(_split(line, sep)) > max(pair)]
    return said + [taken], [taken] if len(alike) > 1 else []


def _split(line: str, sep: str) -> list[str]:
    """Split a line roughly, quotes or not."""
    return line.split() if sep == " " else line.split(sep)


def _count(number: int, what: str) -> str:
    """Return "1 row", "2 rows"."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _graph(pairs: list, said: list[str], warned: list[str], path: Path, self_loops: str) -> Graph:
    """Make the graph from pairs and where each stands; say and warn what was dropped, merged or looks alike."""
    spelled = {name: unicodedata.normalize("NFC", name) for pair, _ in pairs for name in pair}
    composed = len(spelled) - len(set(spelled.values()))
    kept = [(spelled[a], spelled[b]) for (a, b), _ in pairs if spelled[a] != spelled[b]]
    loops = [(spelled[pair[0]], place) for pair, place in pairs if spelled[pair[0]] == spelled[pair[1]]]
    if loops and self_loops == "error":
        name, place = loops[0]
        raise ValueError(f"{path.name}, {place}: an edge must join two different nodes, got {shown(name)} with itself. "
                         "Drop the row or write self_loops='drop'; train self edges with self_edges=True.")  # fmt: skip
    if not kept:
        found = f"{_count(len(loops), 'self loop')} only" if loops else "none"
        raise ValueError(f"{path.name} must hold at least one pair of different names, got {found}: an empty graph has no "
                         "fact to memorise.")  # fmt: skip
    labels, edges, repeated = numbered(kept)
    lost = len({name for name, _ in loops} - set(labels))
    happened = [f"{repeated:,} repeated or reversed edges were merged"] if repeated else []
    happened += [f"{_count(len(loops), 'self loop')} dropped"] if loops else []
    happened += [f"{_count(lost, 'node')} without another edge dropped"] if lost else []
    happened += [f"{_count(composed, 'name')} merged with the same written in other accent codes"] if composed else []
    happened += warned + _alike(labels)
    if happened:
        warnings.warn("; ".join(happened) + f" ({path.name}).", UserWarning, stacklevel=3)
    facts = [f"{_count(len(pairs), 'fact')} read", *said, *(text for text in happened if text not in said)]
    name = path.name.removesuffix(".gz") if path.suffix == ".gz" else path.name
    return Graph(
        n_nodes=len(labels), edges=edges, labels=labels, name=Path(name).stem, source=f"{path.name}: {'; '.join(facts)}."
    )


def _alike(labels: tuple[str, ...]) -> list[str]:
    """Return a warning about different names that look the same: other scripts, wide letters, invisible characters."""
    seen: dict[str, str] = {}
    for label in labels:
        plain = unicodedata.normalize("NFKC", label).translate(LOOKS)
        plain = " ".join("".join(c for c in plain if unicodedata.category(c) != "Cf").split())
        if seen.setdefault(plain, label) != label:
            return [f"two names look alike and stay two nodes: {ascii(seen[plain])} and {ascii(label)}"]
    return []
