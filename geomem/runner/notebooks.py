"""Notebooks as data: their cells, the parameters that one of them states, and what their code says, read and never run."""

import ast
import json
import re
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

from .parameters import KINDS, Parameter

KEYS = re.compile(r"\ba key of (\w+)")
_PARSING = threading.Lock()


def of_notebook(notebook: str | Path) -> dict[str, Parameter]:
    """Return the parameters of a notebook: literals in its cell tagged ``parameters``, with types and comments.

    Raises:
        ValueError: If it is no notebook, or its cell holds something else than parameters.
    """
    path = Path(notebook)
    cells = cells_of(path)
    found = [cell for cell in cells if tagged(cell)]
    if len(found) > 1:
        raise ValueError(f"{path.name} must have one cell tagged parameters, got {len(found)}. Join them into one.")
    source = source_of(found[0]) if found else ""
    try:
        body = parsed(source).body
    except SyntaxError:
        raise ValueError(f"{path.stem}: its parameters must be Python.") from None
    known, profiles = {}, _profiles_of(cells)
    for node in body:
        try:
            name, expression = _assigned(node)
            value = ast.literal_eval(expression)
        except ValueError:
            raise ValueError(f"{path.stem}, parameters: {ast.unparse(node)!r} sets no name to a plain value.") from None
        stated = getattr(getattr(node, "annotation", None), "id", type(value).__name__)
        if stated not in KINDS:
            raise ValueError(f"{path.stem}: the parameter {name} must be an int, float, str or bool, not a {stated}.")
        says = source.splitlines()[(node.end_lineno or node.lineno) - 1].partition("  # ")[2].strip()
        default = float(value) if stated == "float" else value
        options = _keys_of(cells, keys[1]) if (keys := KEYS.search(says)) else ()
        of_profile = profiles.get(name, {})
        known[name] = Parameter(name=name, kind=stated, default=default, says=says, options=options, profiles=of_profile)
    return known


def _assigned(node: ast.stmt) -> tuple[str, ast.expr]:
    """Return the name and the value of an assignment to one name; raise ValueError for any other statement."""
    match node:
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            return name, value
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
            return name, value
    raise ValueError


def nodes_of(cells: Iterable[dict]) -> Iterator[ast.AST]:
    """Give every node of a notebook's code; cells with magics are left out."""
    for cell in cells:
        try:
            yield from ast.walk(parsed(source_of(cell))) if cell.get("cell_type") == "code" else ()
        except SyntaxError:
            continue


def _profiles_of(cells: Iterable[dict]) -> dict[str, dict[str, int]]:
    """Return what ``by_profile`` sets, by parameter: its calls are read, not run."""
    found = {}
    for node in nodes_of(cells):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) == "by_profile":
            name = getattr(node.args[1] if len(node.args) > 1 else None, "id", None)
            try:
                found[name] = {word.arg: ast.literal_eval(word.value) for word in node.keywords}
            except ValueError:
                raise ValueError(f"{ast.unparse(node)} must state plain numbers, since runs read them.") from None
    return found


def _keys_of(cells: Iterable[dict], name: str) -> tuple[str, ...]:
    """Return the keys of the dictionary that a notebook assigns to a name: the assignment is read, not run."""
    for node in nodes_of(cells):
        match node:
            case ast.Assign(targets=[ast.Name(id=found)], value=ast.Dict(keys=keys)) if found == name:
                return tuple(key.value for key in keys if isinstance(key, ast.Constant) and isinstance(key.value, str))
    raise ValueError(f"{name} must be a dictionary that the notebook's code writes out, since a parameter is a key of it.")


def tagged(cell: dict) -> bool:
    """Return whether a cell holds the parameters."""
    return "parameters" in cell.get("metadata", {}).get("tags", ())


def parsed(text: str) -> ast.Module:
    """Parse Python, one thread at a time: Python 3.11 counts the parser's recursion for all threads together."""
    with _PARSING:
        return ast.parse(text)


def cells_of(notebook: str | Path) -> list[dict]:
    """Return the cells of a notebook file."""
    path = Path(notebook)
    try:
        cells = json.loads(path.read_text(encoding="utf8"))["cells"]
        [source_of(cell) for cell in cells]
    except OSError as error:
        raise ValueError(f"notebook must name a file, got {str(path)!r}: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{path.name} must be a notebook (JSON with cells).") from None
    return cells


def source_of(cell: dict) -> str:
    """Return the text of a cell, which may be one string or a list of lines."""
    return "".join(cell["source"])
