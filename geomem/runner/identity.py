"""What decides a run's result: code, parameters, the files that are read, and versions; and nothing else.

Comments, docstrings and prose decide nothing, nor does what only draws a result or starts a run (``SHOWS``).
"""

import ast
import functools
import hashlib
import platform
from collections.abc import Iterable, Mapping
from pathlib import Path

import networkx
import numpy
import scipy
import torch

from .. import _checks
from .notebooks import cells_of, parsed, source_of, tagged
from .parameters import Parameter

PACKAGE = Path(__file__).resolve().parents[1]
SHOWS = ("__main__.py", "cli/", "explorables/", "reporting/figures.py", "runner/")
"""Modules that draw, start, list and report. None of the others imports them, but for names that load when used."""
DECIDES = ("cli/train.py", "cli/edges.py", "cli/graph.py", "runner/child.py", "runner/kernel.py", "runner/process.py")
"""Exceptions: what ``geomem train`` makes of its options and files, and the process that a run computes in."""
VERSIONS = {"torch": torch, "numpy": numpy, "scipy": scipy, "networkx": networkx}
"""The packages whose versions decide; a record states Python's too."""


def decides(path: str) -> bool:
    """Return whether a module of geomem, by its path in the package, takes part in what a run computes.

    Example:
        >>> [decides(path) for path in ("graphs/graph.py", "reporting/figures.py", "cli/train.py", "cli/run.py")]
        [True, False, True, False]
    """
    return path in DECIDES or not path.startswith(SHOWS)


def code(package: Path = PACKAGE) -> str:
    """Return a digest of the geomem that decides a result."""
    whole = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        name = path.relative_to(package).as_posix()
        if decides(name):
            whole.update(f"{name}\n{_meaning_of_file(path, path.stat().st_mtime_ns)}\n".encode())
    return whole.hexdigest()[:16]


def source(package: Path = PACKAGE) -> str:
    """Return a digest of all of geomem's source: machines that share a sweep must have the same to the byte."""
    whole = hashlib.sha256()
    for path in sorted(package.rglob("*.py")):
        whole.update(f"{path.relative_to(package).as_posix()}\n".encode() + path.read_bytes())
    return whole.hexdigest()[:16]


@functools.lru_cache(maxsize=512)
def _meaning_of_file(path: Path, changed: int) -> str:
    return meaning(path.read_text(encoding="utf8"))


def meaning(text: str) -> str:
    """Return Python without comments, docstrings and layout; a text that is no Python, with magics say, as it stands.

    Example:
        >>> meaning("x = 1  # one") == meaning("x=1")
        True
    """
    try:
        tree = parsed(text)
    except SyntaxError:
        return text
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and ast.get_docstring(node):
            node.body = node.body[1:] or [ast.Pass()]
    return ast.unparse(tree)


def code_of(notebook: Path) -> list[str]:
    """Return what the code of a notebook does, its parameters left out: a run's own values stand for them."""
    return _code_of(notebook, notebook.stat().st_mtime_ns)


@functools.lru_cache(maxsize=8)
def _code_of(notebook: Path, changed: int) -> list[str]:
    cells = [cell for cell in cells_of(notebook) if cell.get("cell_type") == "code" and not tagged(cell)]
    return [meaning(source_of(cell)) for cell in cells]


def versions() -> dict[str, str]:
    """Return the versions that a record states."""
    return {"python": platform.python_version()} | {name: str(package.__version__) for name, package in VERSIONS.items()}


def digest(path: str | Path) -> str:
    """Return the first 16 digits of a file's SHA-256; read once until it changes."""
    path = Path(path)
    about = path.stat()
    return _digest(path, about.st_mtime_ns, about.st_size)


@functools.lru_cache(maxsize=64)
def _digest(path: Path, changed: int, size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def given_files(known: Mapping[str, Parameter], values: Mapping) -> dict[str, str]:
    """Return the digests of the files that parameters name, by parameter."""
    named = {name: values[name] for name, parameter in known.items() if parameter.is_file and values.get(name)}
    return {name: digest(path) for name, path in named.items() if Path(path).is_absolute() and Path(path).is_file()}


def shipped_files(texts: Iterable[str], values: Mapping) -> dict[str, str]:
    """Return the digests of the book's studies and facts that code reads, by their place in the book.

    A study counts if ``load_study`` is called with its name; if a call has no plain name, all words of the code count.
    ``load_rows`` reads all rows. A file of facts counts if its name is a word of the code or a parameter's value.
    """
    words, studies, rows = {value for value in values.values() if isinstance(value, str)}, set(), False
    plain = True
    for text in texts:
        try:
            nodes = list(ast.walk(parsed(text)))
        except SyntaxError:
            continue
        words |= {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
        for node in nodes:
            if not isinstance(node, ast.Call):
                continue
            called = getattr(node.func, "attr", getattr(node.func, "id", None))  # load_study for gm.load_study("map")
            rows = rows or called == "load_rows"
            if called == "load_study":
                name = node.args[0] if node.args else next((k.value for k in node.keywords if k.arg == "name"), None)
                plain = plain and isinstance(name, ast.Constant)
                studies |= {name.value} if isinstance(name, ast.Constant) else set()
    found = {"results": studies if plain else studies | words, "data": words, "results/paper": None if rows else ()}
    return {
        f"{folder}/{path.name}": digest(path)
        for folder, names in found.items()
        for place in _checks.shipped(folder)
        for path in sorted(place.glob("*.csv" if folder == "data" else "*.json"))
        if names is None or path.stem in names
    }
