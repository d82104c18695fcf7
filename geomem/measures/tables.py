"""Read a table of embeddings from a file: one function a format. Nothing in a file is ever executed: no pickle is loaded."""

import csv
import io
import json
import pickle
import re
import struct
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..graphs import dialects
from ..graphs.checks import shown
from .rows import Table

PICKLED = (".pkl", ".pickle", ".joblib", ".kv", ".model", ".dill")
TORCH = (".pt", ".pth", ".ckpt", ".bin")
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
NAMES = ("names", "words", "labels", "vocab", "index", "tokens")
"""What an array of names may be called in an .npz file."""
TITLES = ("id", "node", "node_id", "name", "label", "word", "token", "entity", "term", "key")
"""What a column of names may be titled in a .csv file."""


def read_table(path: str | Path, *, names: str | Path | Sequence[str] | None = None, tensor: str | None = None) -> Table:
    """Read a table of embeddings: one vector per row, with the names of the rows where the file has them.

    By its ending: .npy; .npz (an array of numbers and, if there is one, an array of names); .safetensors; a torch
    ``state_dict`` (.pt, .pth, .ckpt, .bin), loaded with ``weights_only``; .json, an object of names and lists of numbers;
    .csv and .tsv, names in the column that holds no numbers, or is titled as names are; else word2vec or GloVe, as text or
    binary. Text may be packed by gzip.

    Args:
        path: The file.
        names: A file with one name per line, or the names; for tables that bring none.
        tensor: Which of several arrays or tensors holds the table.

    Returns:
        Rows and names; ``source`` says what was read as what.

    Raises:
        TypeError: If the path is no path.
        ValueError: If there is no such file, it cannot be read, holds Python objects, or holds more than one table.

    Source:
        Ours.
    """
    if not isinstance(path, (str, Path)):
        raise TypeError(f"path must be a string or Path, got {path!r}.")
    path = Path(path)
    if "\0" in str(path) or not path.is_file():
        kind = "a folder" if "\0" not in str(path) and path.is_dir() else "none"
        raise ValueError(f"path must name a file with a table, got {str(path)!r}: there is {kind}. Name the file.")
    suffix = [s.lower() for s in path.suffixes if s.lower() != ".gz"][-1:] or [""]
    if suffix[0] in PICKLED:
        raise ValueError(f"{path.name} must hold no Python objects, got a pickle by its ending: loading one runs what it "
                         "says. Save the array with numpy.save, or vectors as word2vec text.")  # fmt: skip
    rows, own, kind = _read(path, suffix[0], tensor)
    if names is not None:
        own = _names_of(names)
    rows = rows.detach().cpu()
    if rows.ndim != 2 or not rows.numel() or rows.is_complex() or rows.dtype == torch.bool:
        raise ValueError(
            f"{path.name} must hold a table of numbers, shape (rows, width), got {tuple(rows.shape)} {rows.dtype}."
        )
    if own is not None and len(own) != len(rows):
        raise ValueError(f"names must be as many as the {len(rows):,} rows of {path.name}, got {len(own):,}.")
    said = f"{path.name}: {kind}; {len(rows):,} rows of {rows.shape[1]:,} numbers, {'named' if own else 'without names'}."
    return Table(rows, None if own is None else tuple(own), said)


def _read(path: Path, suffix: str, tensor: str | None) -> tuple[Tensor, list[str] | None, str]:
    """Return the rows of a file, their names if it has them, and what it is."""
    if suffix == ".npy":
        return _numpy(path), None, "numpy array"
    if suffix == ".npz":
        return _archive(path, tensor)
    if suffix == ".safetensors":
        return _safetensors(path, tensor)
    if suffix in TORCH and _is_torch(path):
        return _state_dict(path, tensor)
    if tensor is not None:
        raise ValueError(f"tensor must be left out for {path.name}, got {tensor!r}: the file holds one table.")
    data = path.read_bytes()
    if suffix in (".bin", ".w2v", "") and (found := _binary(data)):
        return found
    text = dialects.text_of(data, path.name)
    if suffix == ".json":
        return _json(text, path.name)
    if suffix in (".csv", ".tsv", ".tab"):
        return _csv(text, suffix, path.name)
    return _word_vectors(text, path.name)


def _names_of(names) -> list[str]:
    """Return names from a file, one per line, or as they are given."""
    if isinstance(names, (str, Path)):
        path = Path(names)
        if "\0" in str(path) or not path.is_file():
            raise ValueError(f"names must be a file with one name per line, got {str(names)!r}: there is none.")
        lines = dialects.text_of(path.read_bytes(), path.name).splitlines()
        return [line.strip() for line in lines if line.strip()]
    return [str(name) for name in names]


def _numpy(path: Path) -> Tensor:
    """Read a .npy file that holds numbers."""
    try:
        return torch.from_numpy(_numbers(np.load(path, allow_pickle=False), path.name))
    except (ValueError, OSError, EOFError, SyntaxError, MemoryError) as error:
        if "must hold" in str(error):
            raise
        what = "Python objects, which are a pickle" if "allow_pickle" in str(error) else "one that cannot be read"
        raise ValueError(f"{path.name} must be a numpy array of numbers, got {what}. Save it with "
                         "numpy.save(path, numpy.asarray(table, dtype='float32')).") from None  # fmt: skip


def _numbers(array: np.ndarray, file: str) -> np.ndarray:
    """Return an array that torch knows; bytes may be in any order."""
    if array.dtype.kind not in "iuf":
        raise ValueError(f"{file} must hold numbers, got an array of {array.dtype}.")
    wide = array.dtype.kind == "f" and array.dtype.itemsize in (2, 4, 8)
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("=") if wide else np.float64)


def _archive(path: Path, tensor: str | None) -> tuple[Tensor, list[str] | None, str]:
    """Read an .npz file: its table, and its names if one array holds as many texts."""
    try:
        with np.load(path, allow_pickle=False) as whole:
            arrays = {key: whole[key] for key in whole.files}
    except (ValueError, OSError, EOFError, SyntaxError, zipfile.BadZipFile, KeyError, MemoryError) as error:
        what = "Python objects, which are a pickle" if "allow_pickle" in str(error) else "a file that cannot be read"
        raise ValueError(
            f"{path.name} must hold numpy arrays, got {what}. Save names as numpy.array(names, dtype='U')."
        ) from None
    key = _chosen({k: a.shape for k, a in arrays.items() if a.dtype.kind in "iuf"}, tensor, path.name)
    texts = {k: a for k, a in arrays.items() if a.dtype.kind in "US" and a.shape == arrays[key].shape[:1]}
    own = next((texts[k] for k in [*NAMES, *texts] if k in texts), None)
    own = None if own is None else [x.decode("utf8", "replace") if isinstance(x, bytes) else str(x) for x in own.tolist()]
    return torch.from_numpy(_numbers(arrays[key], path.name)), own, f"numpy array {key!r}"


def _safetensors(path: Path, tensor: str | None) -> tuple[Tensor, None, str]:
    """Read one tensor of a .safetensors file, and no other."""
    try:
        with safe_open(str(path), framework="pt") as whole:
            shapes = {key: tuple(whole.get_slice(key).get_shape()) for key in whole.keys()}  # noqa: SIM118
            key = _chosen(shapes, tensor, path.name)
            return whole.get_tensor(key), None, f"tensor {key!r}"
    except (SafetensorError, OSError, RuntimeError, TypeError) as error:
        reason = " ".join(str(error).split())[:100]
        raise ValueError(f"{path.name} must be readable as safetensors, got: {reason}. Save it again.") from None


def _is_torch(path: Path) -> bool:
    """Return whether a file begins as torch.save writes it: a zip archive, or a pickle."""
    with path.open("rb") as file:
        start = file.read(2)
    return start == b"PK" or start[:1] == b"\x80" or path.suffix != ".bin"


def _state_dict(path: Path, tensor: str | None) -> tuple[Tensor, None, str]:
    """Read one tensor of what torch.save wrote; weights_only refuses everything that is no plain data."""
    try:
        whole = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, OSError, ValueError, KeyError, TypeError, AttributeError,
            IndexError, struct.error, UnicodeDecodeError, AssertionError, MemoryError, OverflowError):  # fmt: skip
        raise ValueError(f"{path.name} must hold tensors alone, got other Python objects or a damaged file, and neither is "
                         "loaded. Save torch.save(model.state_dict(), path).") from None  # fmt: skip
    tensors = dict(_tensors(whole))
    key = _chosen({name: tuple(value.shape) for name, value in tensors.items()}, tensor, path.name)
    return tensors[key].to_dense() if tensors[key].is_sparse else tensors[key], None, f"tensor {key!r}" if key else "tensor"


def _tensors(whole, name: str = ""):
    """Yield every tensor of nested dictionaries, by its dotted name."""
    if isinstance(whole, Tensor):
        yield name, whole
    elif isinstance(whole, Mapping):
        for key, value in whole.items():
            yield from _tensors(value, f"{name}.{key}" if name else str(key))


def _chosen(shapes: Mapping[str, tuple[int, ...]], tensor: str | None, file: str) -> str:
    """Return the name of the table among arrays: the one that is asked for, or the only one of two dimensions."""
    tables = {name: shape for name, shape in shapes.items() if len(shape) == 2}
    listed = ", ".join(f"{name} {shape[0]:,} x {shape[1]:,}" for name, shape in list(tables.items())[:12])
    if tensor is not None:
        if tensor not in tables:
            raise ValueError(f"tensor must name a table of {file}, got {tensor!r}; it holds {listed or 'none'}.")
        return tensor
    if len(tables) != 1:
        embeddings = [name for name in tables if "embed" in name.lower() or "wte" in name.lower()]
        way = f"Write tensor={(embeddings or list(tables))[0]!r}, --tensor on the command line." if tables else "Save one."
        raise ValueError(f"{file} must hold one table of numbers, got {len(tables)}{': ' + listed if listed else ''}. {way}")
    return next(iter(tables))


def _json(text: str, file: str) -> tuple[Tensor, list[str] | None, str]:
    """Read an object of names and lists of numbers, or a list of lists."""
    try:
        whole = json.loads(text)
        lists = list(whole.values()) if isinstance(whole, dict) else whole
        rows = torch.tensor(lists, dtype=torch.float64)
    except (ValueError, TypeError, RecursionError, OverflowError, RuntimeError):
        raise ValueError(f"{file} must be an object of names and lists of numbers of one length, as JSON.") from None
    return rows, list(whole) if isinstance(whole, dict) else None, "JSON"


def _csv(text: str, suffix: str, file: str) -> tuple[Tensor, list[str] | None, str]:
    """Read rows of numbers, with names in the column that holds none, if there is one."""
    lines = dialects.Lines(text, "")
    sep = "\t" if suffix != ".csv" else max(",;\t", key=lambda mark: text[:10_000].count(mark))
    sep = ";" if sep == "," and text[:10_000].count(";") > 1 and "," in text else sep
    try:
        body = [row.fields for row in lines.rows(sep)]
    except csv.Error as error:
        raise ValueError(f"{file} must be readable as csv, got: {error}. Look for a quote that never closes.") from None
    if sep == ";":
        body = [[field.replace(",", ".") if field.count(",") == 1 else field for field in row] for row in body]
    width = max(map(len, body), default=0)
    start = int(len(body) > 1 and sum(map(_is_number, body[0])) < sum(map(_is_number, body[1])))  # titles are no numbers
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


def _is_number(field: str) -> bool:
    """Return whether a field is a number, or what a program writes where one is missing."""
    return bool(NUMBER.fullmatch(field)) or field.lower() in ("nan", "inf", "-inf")


def _word_vectors(text: str, file: str) -> tuple[Tensor, list[str], str]:
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


def _binary(data: bytes) -> tuple[Tensor, list[str], str] | None:
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
