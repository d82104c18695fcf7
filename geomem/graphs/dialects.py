"""How a file of rows is written: its characters, its comments, what separates its columns, and which of them hold names."""

import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from typing import NamedTuple

SEPARATORS = {"\t": "tab", ";": "semicolon", ",": "comma", "|": "vertical bar", " ": "white space"}
KNOWN = [
    ("source", "target"), ("from", "to"), ("head", "tail"), ("subject", "object"), (":start_id", ":end_id"), ("src", "dst"),
    ("start", "end"), ("node1", "node2"), ("fromnodeid", "tonodeid"), ("parent", "child"), ("u", "v"), ("from_id", "to_id"),
]  # fmt: skip
"""Pairs of column titles that hold the two names of a fact, in small letters."""
PACKED = {b"BZh": "a file packed by bzip2", b"\xfd7zXZ": "a file packed by xz", b"PK": "a zip archive or an Excel workbook",
          b"PAR1": "a Parquet file", b"7z\xbc\xaf": "a 7z archive", b"(\xb5/\xfd": "a file packed by zstd"}  # fmt: skip
"""How files begin that are no text, and what they are."""
NUMBER = re.compile(r"[-+]?(\d+([.,]\d*)?|[.,]\d+)([eE][-+]?\d+)?")
ATTRIBUTES = re.compile(r"[\s,;|]*\{.*\}\s*$")


class Row(NamedTuple):
    """Hold the fields of one row and the line on which it ends."""

    line: int
    fields: list[str]


def text_of(data: bytes, file: str) -> str:
    """Return a file's text: UTF-8 or, with its mark, UTF-16 or UTF-32, packed by gzip or not, without byte order marks."""
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error):
            raise ValueError(f"{file} must be readable as gzip, got a file that is cut or damaged. Pack it again.") from None
    marks = {b"\xff\xfe\0\0": "utf-32", b"\0\0\xfe\xff": "utf-32", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
    coding = next((name for mark, name in marks.items() if data.startswith(mark)), "utf-8")
    try:
        text = data.decode(coding)
    except UnicodeDecodeError as error:
        _refuse_packed(data, file)
        raise ValueError(f"{file} must be UTF-8 text, got a byte that is not at {error.start}. Save it as UTF-8.") from None
    if "\0" in text:
        _refuse_packed(data, file)
        raise ValueError(f"{file} must be text, got a binary file. Export it as CSV or TSV, in UTF-8.")
    return text.replace("\ufeff", "")  # joined files carry a mark inside


def _refuse_packed(data: bytes, file: str) -> None:
    """Say what a file is that is no text, where its beginning tells."""
    kind = next((kind for mark, kind in PACKED.items() if data.startswith(mark)), None)
    if kind:
        raise ValueError(
            f"{file} must be text, packed by gzip or not, got {kind}. Unpack it, or export it as CSV."
        ) from None


class Lines:
    """Give the lines of a text, comments emptied, and count these.

    Args:
        text: The file.
        comments: How a comment begins; empty for none. Inside quotes it begins none.

    Attributes:
        comments: The lines that were taken for comments.
        attributes: How many rows end in attributes in braces, as networkx writes them; they are left out if all do.
    """

    def __init__(self, text: str, comments: str):
        self.comments, self.lines, quoted = [], [], False
        for line in io.StringIO(text, newline=""):
            comment = bool(comments) and not quoted and line.lstrip().startswith(comments)
            quoted ^= not comment and line.count('"') % 2 == 1
            self.comments += [line] * comment
            self.lines.append("\n" if comment else line)
        full = [line for line in self.lines if line.strip()]
        self.attributes = len(full) if full and all(ATTRIBUTES.search(line) for line in full) else 0
        if self.attributes:
            self.lines = [ATTRIBUTES.sub("\n", line) for line in self.lines]

    def rows(self, separator: str, *, strict: bool = True) -> Iterator[Row]:
        """Yield the rows that hold anything, split at a separator; " " means any white space."""
        if separator == " ":
            yield from (Row(k, line.split()) for k, line in enumerate(self.lines, 1) if line.strip())
            return
        reader = csv.reader(self.lines, strict=strict, delimiter=separator)
        try:
            for row in reader:
                fields = [field.strip() for field in row]
                if any(fields):
                    yield Row(reader.line_num, fields)
        except csv.Error as error:
            raise csv.Error(f"{error}, line {reader.line_num}") from None


def separator_of(lines: Lines, suffix: str, file: str) -> str:
    """Return what separates the columns: the one that splits every row; else what the file's ending promises."""
    promised = "\t" if suffix in (".tsv", ".tab") else ","
    shares = {separator: _share(lines, separator) for separator in SEPARATORS}
    perfect = [separator for separator, share in shares.items() if share == 1]
    if "\t" in perfect:  # a tab is no part of a name
        return "\t"
    marks = [separator for separator in perfect if separator != " "]
    if marks == [";", ","] and _decimal_commas(lines):
        return ";"
    if len(marks) > 1:
        names = " and ".join(SEPARATORS[mark] for mark in marks)
        raise ValueError(f"{file} must be told its separator, got rows that split at {names} alike. Write sep={marks[0]!r} "
                         f"or sep={marks[1]!r}.")  # fmt: skip
    if marks:
        return marks[0]
    if " " in perfect and suffix not in (".csv", ".tsv", ".tab") and len({len(row.fields) for row in lines.rows(" ")}) == 1:
        return " "
    best = max(shares.values())
    most = [separator for separator, share in shares.items() if share == best and separator != " "]
    return promised if promised in most or not most else most[0]


def _share(lines: Lines, separator: str) -> float:
    """Return the share of rows that a separator splits in two or more."""
    try:
        sizes = [len(row.fields) for row in lines.rows(separator, strict=False)]
    except csv.Error:
        return 0.0
    return sum(size > 1 for size in sizes) / max(1, len(sizes))


def _decimal_commas(lines: Lines) -> bool:
    """Return whether every comma stands in a number."""
    fields = [field for row in lines.rows(";", strict=False) for field in row.fields if "," in field]
    return all(NUMBER.fullmatch(field) for field in fields)


def titles_of(rows: list[Row], columns: tuple | None) -> bool:
    """Return whether the first row holds titles: known ones, or words above columns of numbers."""
    first, rest = rows[0].fields, rows[1:]
    pair = known_pair(first)
    if pair is not None:
        return not any(
            row.fields[k] in (first[pair[0]], first[pair[1]]) for row in rest for k in pair if k < len(row.fields)
        )
    if not rest:
        return False
    above = [k for k, field in enumerate(first) if field and not NUMBER.fullmatch(field)]
    return any(all(k < len(row.fields) and NUMBER.fullmatch(row.fields[k]) for row in rest) for k in above)


def known_pair(titles: list[str]) -> tuple[int, int] | None:
    """Return the columns of the only known pair of titles, or None."""
    plain = [re.sub(r"\(.*\)$", "", title).strip().lower() for title in titles]
    plain = [":" + title.rpartition(":")[2] if title.endswith(("_id",)) and ":" in title else title for title in plain]
    found = [(plain.index(a), plain.index(b)) for a, b in KNOWN if plain.count(a) == 1 and plain.count(b) == 1]
    return found[0] if len(found) == 1 else None


def is_matrix(rows: list[Row], titles: list[str] | None) -> bool:
    """Return whether the rows are an adjacency matrix: numbers, square, symmetric or 0 and 1; perhaps with names around."""
    body = [row.fields for row in rows]
    if titles and len(titles) > 2 and titles[1:] == [row[0] for row in body]:
        body = [row[1:] for row in body]
    square = len(body) > 2 and all(len(row) == len(body) for row in body)
    numbers = square and all(NUMBER.fullmatch(field) for row in body for field in row)
    if not numbers:
        return False
    directed = {field for row in body for field in row} <= {"0", "1", "0.0", "1.0"}
    return directed or [list(column) for column in zip(*body, strict=True)] == body


def counts_first(rows: list[Row]) -> bool:
    """Return whether the first row could count the nodes and the edges of all others, as some formats begin."""
    first, rest = rows[0].fields, rows[1:]
    if len(first) != 2 or not rest or not all(field.isdecimal() for field in first) or int(first[1]) != len(rest):
        return False
    return len({field for row in rest for field in row.fields[:2]}) == int(first[0])


def columns_of(rows: list[Row], titles: list[str] | None, file: str) -> tuple[int, int]:
    """Return the two columns that hold the names, where there is no doubt.

    Raises:
        ValueError: If there are more than two that could; says how to choose.
    """
    pair = known_pair(titles) if titles else None
    if pair is not None:
        return pair
    width = max(len(row.fields) for row in rows)
    columns = [[row.fields[k] if k < len(row.fields) else "" for row in rows] for k in range(width)]
    filled = [k for k in range(width) if any(columns[k])]
    counts = [str(k) for k in range(len(rows))], [str(k + 1) for k in range(len(rows))]
    index = len(filled) > 2 and len(rows) > 1 and columns[filled[0]] in counts
    if len(filled) <= 2 or (not index and all(NUMBER.fullmatch(x or "0") for k in filled[2:] for x in columns[k])):
        return (filled[0], filled[1]) if len(filled) > 1 else (0, 1)
    example = titles or rows[0].fields
    if index:
        raise ValueError(f"{file} must be told which columns hold the names: column 0 only counts the rows, an index. Write "
                         f"columns={tuple(filled[1:3])}, or another pair of {example}.")  # fmt: skip
    raise ValueError(f"{file} must be told which two of its {len(filled)} columns hold the names, counted from 0, got rows "
                     f"such as {example}. Write columns=(0, 2) for head, relation, tail, or columns=(0, 1).")  # fmt: skip
