"""Tables of embeddings as text: CSV, JSON, and the formats of word2vec and GloVe, binary included."""

import csv
import io
import json
import re

import numpy as np
import torch
from torch import Tensor

from ..graphs import dialects
from ..graphs.checks import shown

NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
DECIMAL = re.compile(r"[-+]?\d*,\d+([eE][-+]?\d+)?")
TITLES = ("id", "node", "node_id", "name", "label", "word", "token", "entity", "term", "key")
"""What a column of names may be titled in a .csv file."""


def json_table(text: str, file: str) -> tuple[Tensor, list[str] | None, str]:
    """Read an object of names and lists of numbers, or a list of lists."""
    try:
        whole = json.loads(text)
        lists = list(whole.values()) if isinstance(whole, dict) else whole
        rows = torch.tensor(lists, dtype=torch.float64)
    except (ValueError, TypeError, RecursionError, OverflowError, RuntimeError):
        raise ValueError(f"{file} must be an object of names and lists of numbers of one length, as JSON.") from None
    return rows, list(whole) if isinstance(whole, dict) else None, "JSON"


def csv_table(text: str, suffix: str, file: str) -> tuple[Tensor, list[str] | None, str]:
    """Read rows of numbers, with names in the column that holds none, if there is one."""
    lines = dialects.Lines(text, "")
    sep = "\t" if suffix != ".csv" else max(",;\t", key=lambda mark: text[:10_000].count(mark))
    sep = ";" if sep == "," and text[:10_000].count(";") > 1 and "," in text else sep
    try:
        body = [row.fields for row in lines.rows(sep)]
    except csv.Error as error:
        raise ValueError(f"{file} must be readable as csv, got: {error}. Look for a quote that never closes.") from None
    if sep == ";":
        body = [[field.replace(",", ".") if DECIMAL.fullmatch(field) else field for field in row] for row in body]
    width = max(map(len, body), default=0)
    if len(body) > 1 and len(body[0]) == width - 1 and not any(map(_is_number, body[0])):
        body[0] = ["", *body[0]]  # R writes no title over the names of its rows
    start = int(len(body) > 1 and len(body[0]) == len(body[1]) and _numbers_in(body[0]) < _numbers_in(body[1]))  # titles
    short = next((k for k, row in enumerate(body[start:], start + 1) if len(row) != width), None)
    if not body or short is not None or len(body) == start:
        raise ValueError(
            f"{file} must hold rows of one length, got {'none' if short is None else f'row {short} of another'}."
        )
    titles, body = body[0] if start else [""] * width, body[start:]
    text_columns = [k for k in range(width) if not all(_is_number(row[k]) for row in body)]
    if len(text_columns) > 1 or len(text_columns) == width:
        raise ValueError(f"{file} must have one column of names, and numbers in all others, got text in columns "
                         f"{text_columns[:5]}, such as {shown(body[0][text_columns[-1]])}. Drop the others.")  # fmt: skip
    counted = [str(k) for k in range(len(body))] == [row[0] for row in body]
    index = {0} if counted and width > 1 and start and titles[0] == "" else set()  # as pandas writes its own numbers
    named = text_columns or [k for k in range(width) if k not in index and _holds_names(k, titles, body)][:1]
    kept = [k for k in range(width) if k not in named and k not in index]
    rows = torch.tensor([[float(row[k]) for k in kept] for row in body], dtype=torch.float64)
    said = f"{dialects.SEPARATORS[sep]}-separated rows" + (f", names in column {named[0]}" if named else "")
    return rows, [row[named[0]] for row in body] if named else None, said


def _holds_names(column: int, titles: list[str], body: list[list[str]]) -> bool:
    """Return whether numbers are names: by their title, or in front, all different and whole before others that are not."""
    if titles[column].strip().lower() in TITLES:
        return True
    front = [row[0] for row in body]
    whole = all(field.isdecimal() for field in front) and len(set(front)) == len(front)
    return column == 0 and whole and len(body[0]) > 1 and not any(field.isdecimal() for field in body[0][1:])


def _numbers_in(row: list[str]) -> int:
    """Return how many fields are numbers."""
    return sum(map(_is_number, row))


def _is_number(field: str) -> bool:
    """Return whether a field is a number, or what a program writes where one is missing."""
    return bool(NUMBER.fullmatch(field)) or field.lower() in ("nan", "inf", "-inf")


def word_vectors(text: str, file: str) -> tuple[Tensor, list[str], str]:
    """Read a name and its numbers per line, with or without a first line that counts them; a name may hold blanks."""
    lines = [line.rstrip() for line in io.StringIO(text) if line.strip()]
    first = lines[0].split() if lines else []
    head = len(first) == 2 and all(field.isdecimal() for field in first) and len(lines) > 1
    body = lines[head:]
    counts = [len(line.split()) - 1 for line in body[:100]]
    width = int(first[1]) if head else min(counts, default=0)
    if width < 1 or width > 100_000:
        raise ValueError(f"{file} must hold a name and its numbers per line, as word2vec and GloVe write them, got "
                         f"{shown(body[0] if body else '')}. Give the file an ending that says what it is.")  # fmt: skip
    names, rows = [], np.empty((len(body), width))
    for k, line in enumerate(body):
        parts = line.rsplit(None, width)
        try:
            rows[k] = [float(part) for part in parts[1:]]
            names.append(parts[0].strip())
        except ValueError:
            where = f"{file}, line {k + 1 + head}"
            raise ValueError(f"{where}: a row must be a name and {width} numbers, got {shown(line)}.") from None
    return torch.from_numpy(rows), names, "word vectors as text"


def binary_table(data: bytes) -> tuple[Tensor, list[str], str] | None:
    """Read word2vec's binary format, or return None where a file is something else."""
    head = re.match(rb"(\d{1,9}) (\d{1,5})\n", data[:20])
    if head is None:
        return None
    count, width = map(int, head.groups())
    rows, names, at = [], [], head.end()
    for _ in range(count):
        end = data.find(b" ", at, at + 1_000)
        if end < 0 or end + 1 + 4 * width > len(data):
            return None  # as text, or cut
        names.append(data[at:end].decode("utf8", "replace").strip("\n"))
        rows.append(np.frombuffer(data, "<f4", width, end + 1))
        at = end + 1 + 4 * width
    if not rows or any("\0" in name for name in names):
        return None
    return torch.from_numpy(np.stack(rows)), names, "word vectors, binary"
