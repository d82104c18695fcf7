"""Read a table of embeddings from a file: one function a format. Nothing in a file is ever executed: no pickle is loaded."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor

from ..graphs import dialects
from . import text_tables
from .rows import Table

PICKLED = (".pkl", ".pickle", ".joblib", ".kv", ".model", ".dill")
TORCH = (".pt", ".pth", ".ckpt", ".bin")
NAMES = ("names", "words", "labels", "vocab", "index", "tokens")
"""What an array of names may be called in an .npz file."""


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
    if suffix in (".bin", ".w2v", "") and (found := text_tables.binary_table(data)):
        return found
    text = dialects.text_of(data, path.name)
    if suffix == ".json":
        return text_tables.json_table(text, path.name)
    if suffix in (".csv", ".tsv", ".tab"):
        return text_tables.csv_table(text, suffix, path.name)
    return text_tables.word_vectors(text, path.name)


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
        with path.open("rb") as file:
            array = np.load(file, allow_pickle=False)
    except Exception as error:  # its parsers raise what they like, and all of it means that the file is not such a one
        what = "Python objects, which are a pickle" if "allow_pickle" in str(error) else "one that cannot be read"
        raise ValueError(f"{path.name} must be a numpy array of numbers, got {what}. Save it with "
                         "numpy.save(path, numpy.asarray(table, dtype='float32')).") from None  # fmt: skip
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{path.name} must be a numpy array of numbers, got an archive of several. Let it end in .npz.")
    return torch.from_numpy(_numbers(array, path.name))


def _numbers(array: np.ndarray, file: str) -> np.ndarray:
    """Return an array that torch knows; bytes may be in any order."""
    if array.dtype.kind not in "iuf":
        raise ValueError(f"{file} must hold numbers, got an array of {array.dtype}.")
    wide = array.dtype.kind == "f" and array.dtype.itemsize in (2, 4, 8)
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("=") if wide else np.float64)


def _archive(path: Path, tensor: str | None) -> tuple[Tensor, list[str] | None, str]:
    """Read an .npz file: its table, and its names if one array holds as many texts."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as whole:
            arrays = {key: array for key in whole.files if isinstance(array := whole[key], np.ndarray)}
    except Exception as error:  # as above
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
    except Exception as error:  # as above
        reason = " ".join(str(error).split())[:100]
        raise ValueError(f"{path.name} must be readable as safetensors, got: {reason}. Save it again.") from None
    key = _chosen(shapes, tensor, path.name)
    with safe_open(str(path), framework="pt") as whole:
        return whole.get_tensor(key), None, f"tensor {key!r}"


def _is_torch(path: Path) -> bool:
    """Return whether a file begins as torch.save writes it: a zip archive, or a pickle."""
    with path.open("rb") as file:
        start = file.read(2)
    return start == b"PK" or start[:1] == b"\x80" or path.suffix != ".bin"


def _state_dict(path: Path, tensor: str | None) -> tuple[Tensor, None, str]:
    """Read one tensor of what torch.save wrote; weights_only refuses everything that is no plain data."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the pickle's protocol, in a file that is refused below
            whole = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # as above
        raise ValueError(f"{path.name} must hold tensors alone, got other Python objects or a damaged file, and neither is "
                         "loaded. Save torch.save(model.state_dict(), path).") from None  # fmt: skip
    tensors: dict[str, Tensor] = dict(_tensors(whole))
    key = _chosen({name: tuple(value.shape) for name, value in tensors.items()}, tensor, path.name)
    return tensors[key].to_dense() if tensors[key].is_sparse else tensors[key], None, f"tensor {key!r}" if key else "tensor"


def _tensors(whole, name: str = "") -> Iterator[tuple[str, Tensor]]:
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
