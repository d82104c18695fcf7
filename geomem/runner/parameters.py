"""Parameters of a run, read from text or a file as data: typed, within the range that is stated, and never executed."""

import ast
import difflib
import itertools
import json
import math
import re
import reprlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from .. import _checks

MOST_RUNS = 100_000
"""Largest grid; a file of runs grows with it, and so does every look at it."""
KINDS = {"int": int, "float": float, "str": str, "bool": bool}
TRUTH = {"true": True, "false": False}
READ = {"int": int, "float": float, "str": str, "bool": lambda text: TRUTH[text.strip().lower()]}
RULE = re.compile(r"\b(at least|at most|up to|above|below) (-?\d[\d,_]*(?:\.\d+)?)")
KEPT = {
    "at least": lambda value, limit: value >= limit,
    "at most": lambda value, limit: value <= limit,
    "up to": lambda value, limit: value <= limit,
    "above": lambda value, limit: value > limit,
    "below": lambda value, limit: value < limit,
}
CHOICE = re.compile(r"\w+(?:, \w+)* or \w+")


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """Hold what may be set, and read values for it.

    Args:
        name: Its name.
        kind: "int", "float", "str" or "bool".
        default: Its value where none is given; None if it then is not set.
        says: The comment. "at least", "at most", "up to", "above" or "below" a number is a rule for int and float, and
            "this, that or other" before the first semicolon lists all that a str may be.
        options: All that it may be, where a comment cannot say so.
        required: Whether a value must be given.
    """

    name: str
    kind: str
    default: int | float | str | bool | None = None
    says: str = ""
    options: tuple[str, ...] = ()
    required: bool = False

    def read(self, text: str):
        """Return a value from text, checked."""
        try:
            text.encode()
            value = READ[self.kind](text)
        except (KeyError, ValueError):
            raise ValueError(f"{self.name} must be of type {self.kind}, got {reprlib.repr(text)}.") from None
        return self.check(value)

    def check(self, value):
        """Return ``value`` if it has the type and keeps every rule; an int will do for a float."""
        if self.kind == "float" and type(value) is int and abs(value) < 2**1000:
            value = float(value)
        if type(value) is not KINDS[self.kind]:
            hint = " Put it in quotes." if self.kind == "str" else ""
            raise ValueError(f"{self.name} must be of type {self.kind}, got a {type(value).__name__}.{hint}")
        if self.kind == "float" and not math.isfinite(value):
            raise ValueError(f"{self.name} must be finite, got {value}.")
        if self.kind in ("int", "float"):
            for rule, limit in RULE.findall(self.says):
                if not KEPT[rule](value, float(limit.replace(",", ""))):
                    raise ValueError(f"{self.name} must be {rule} {limit.rstrip(',')}, got {reprlib.repr(value)}.")
        options = self.options or (_choices(self.says) if self.kind == "str" else ())
        if options and value != self.default:
            _checks.one_of(self.name, value if len(value) < 100 else reprlib.repr(value), options)
        return value


def of_notebook(notebook: str | Path) -> dict[str, Parameter]:
    """Return the parameters of a notebook: literals in its cell tagged ``parameters``, with types and comments.

    Raises:
        ValueError: If it is no notebook, or its cell holds something else than parameters.
    """
    path = Path(notebook)
    found = [cell for cell in cells_of(path) if "parameters" in cell.get("metadata", {}).get("tags", ())]
    source = source_of(found[0]) if found else ""
    try:
        body = ast.parse(source).body
    except SyntaxError:
        raise ValueError(f"{path.stem}: its parameters must be Python.") from None
    known = {}
    for node in body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        try:
            value, name = ast.literal_eval(node.value), target.id
        except (AttributeError, ValueError):
            raise ValueError(f"{path.stem}, parameters: {ast.unparse(node)!r} sets no name to a plain value.") from None
        stated = getattr(getattr(node, "annotation", None), "id", type(value).__name__)
        if stated not in KINDS:
            raise ValueError(f"{path.stem}: the parameter {name} must be an int, float, str or bool, not a {stated}.")
        says = source.splitlines()[node.end_lineno - 1].partition("  # ")[2].strip()
        known[name] = Parameter(name=name, kind=stated, default=float(value) if stated == "float" else value, says=says)
    return known


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


def values(known: Mapping[str, Parameter], settings: Iterable[str], file: str | Path | None = None) -> dict:
    """Return one value a parameter, from a file and from ``name=value`` settings, which win.

    Raises:
        ValueError: If a parameter is unknown, missing or given twice, or a value has the wrong type or breaks a rule.
    """
    return {name: found[0] for name, found in _both(known, settings, file, many=False).items()}


def grid(known: Mapping[str, Parameter], settings: Iterable[str], file: str | Path | None = None) -> list[dict]:
    """Return every combination of the values, the last axis fastest; in text, commas part values and 0:5 means 0 to 4.

    Raises:
        ValueError: As ``values``; also if an axis is empty or repeats a value, or there are more than ``MOST_RUNS`` runs.
    """
    axes = _both(known, settings, file, many=True)
    for name, axis in axes.items():
        if not axis:
            raise ValueError(f"{name} must have at least one value, got none.")
        if len(set(axis)) < len(axis):
            raise ValueError(f"{name} must list different values, got one twice: the same run is no second one.")
    n = math.prod(map(len, axes.values()))
    if n > MOST_RUNS:
        raise ValueError(f"a sweep must have at most {MOST_RUNS:,} runs, got {n:,}. Sweep fewer values at a time.")
    return [dict(zip(axes, point, strict=True)) for point in itertools.product(*axes.values())]


def _both(known, settings, file, many: bool) -> dict[str, list]:
    """Read file and settings; then nothing that must be given may be missing."""
    found, given = {} if file is None else _of_file(known, file, many), {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals:
            raise ValueError(f"a parameter is written NAME=VALUE, got {reprlib.repr(setting)}.")
        parameter = _known(known, name)
        if name in given:
            raise ValueError(f"{name} must be given once, got it twice.")
        given[name] = _axis(parameter, text) if many else [parameter.read(text)]
    missing = [name for name, parameter in known.items() if parameter.required and name not in found | given]
    if missing:
        raise ValueError(f"{missing[0]} must be given: write -p {missing[0]}=VALUE.")
    return found | given


def _known(known: Mapping[str, Parameter], name: str) -> Parameter:
    """Return the parameter of that name, or say which is nearest."""
    if name not in known:
        near = difflib.get_close_matches(name, known, 1, cutoff=0) if len(name) < 100 else ()
        nearest = f"the nearest is {near[0]!r}" if near else "--help-parameters lists them"
        raise ValueError(f"there is no parameter {reprlib.repr(name)}; {nearest}.")
    return known[name]


def _axis(parameter: Parameter, text: str) -> list:
    """Return the values of an axis; of an int also from:to or from:to:step, without ``to`` itself."""
    axis = []
    for piece in text.split(","):
        if parameter.kind == "int" and ":" in piece:
            try:
                numbers = range(*(int(end) for end in piece.split(":")))
            except (TypeError, ValueError):
                raise ValueError(f"{parameter.name} must be from:to or from:to:step, got {reprlib.repr(piece)}.") from None
            if not 0 < len(numbers[: MOST_RUNS + 1]) <= MOST_RUNS:
                raise ValueError(f"{parameter.name} must span 1 to {MOST_RUNS:,} values, got {reprlib.repr(piece)}.")
            axis += [parameter.check(number) for number in numbers]
        else:
            axis.append(parameter.read(piece))
    return axis


def _of_file(known: Mapping[str, Parameter], file: str | Path, many: bool) -> dict[str, list]:
    """Read a YAML file of names and values, or lists of values, with the safe loader: it makes plain data only."""
    import yaml

    path = Path(file)
    try:
        whole = yaml.safe_load(path.read_bytes())
    except OSError as error:
        raise ValueError(f"{path.name} could not be read: {error.strerror}.") from None
    except (yaml.YAMLError, ValueError, TypeError, RecursionError):
        raise ValueError(f"{path.name} must be plain YAML: lines of NAME: VALUE.") from None
    if not isinstance(whole, dict) or not all(isinstance(name, str) for name in whole):
        raise ValueError(f"{path.name} must hold lines of NAME: VALUE, got a {type(whole).__name__}.")
    found = {}
    for name, value in whole.items():
        parameter = _known(known, name)
        if isinstance(value, list) and not many:
            raise ValueError(f"{name} must be one value, got a list. A list is for geomem sweep.")
        # YAML takes 1e-3 for a string, so text is read as the parameter's own type
        found[name] = [
            parameter.read(item) if isinstance(item, str) else parameter.check(item)
            for item in (value if isinstance(value, list) else [value])
        ]
    return found


def _choices(says: str) -> tuple[str, ...]:
    """Return what "this, that or other" lists, before the first semicolon; nothing if it says something else."""
    first = says.partition(";")[0].strip()
    return tuple(re.split(", | or ", first)) if CHOICE.fullmatch(first) else ()


def table(known: Mapping[str, Parameter]) -> str:
    """Return one line a parameter: name, type, default and comment."""
    says = {p.name: p.says + (f" (one of {', '.join(p.options)})" if p.options else "") for p in known.values()}
    rows = [(p.name, p.kind, "" if p.default is None else repr(p.default), says[p.name]) for p in known.values()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)] if rows else []
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
