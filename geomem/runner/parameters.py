"""Parameters of a run, read from text or a file as data: typed, within the range that is stated, and never executed."""

import ast
import difflib
import itertools
import json
import math
import re
import reprlib
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .. import _checks
from ..graphs.families import FAMILIES

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
FILE = re.compile(r"\bfile\b")
GRAPH = re.compile(r"\bgraph\b")
KEYS = re.compile(r"\ba key of (\w+)")
CHOICE = re.compile(r"\w+(?:, \w+)* or \w+")
_PARSING = threading.Lock()


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """Hold what may be set, and read values for it.

    Args:
        name: Its name.
        kind: "int", "float", "str" or "bool".
        default: Its value where none is given; None if it then is not set.
        says: The comment. "at least", "at most", "up to", "above" or "below" a number is a rule for int and float, and
            "this, that or other" before the first semicolon lists all that a str may be. In a chapter, "a key of NAME"
            allows the keys of the dictionary that the chapter's code assigns to NAME.
        options: All that it may be, where a comment cannot say so.
        required: Whether a value must be given.
        profiles: What 0, its default, stands for in each profile of a chapter; empty if it always is itself.
    """

    name: str
    kind: str
    default: int | float | str | bool | None = None
    says: str = ""
    options: tuple[str, ...] = ()
    required: bool = False
    profiles: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_file(self) -> bool:
        """Return whether it may be the path of a file: its comment says so."""
        return self.kind == "str" and not self.options and bool(FILE.search(self.says))

    def value_in(self, profile: str | None, given=None):
        """Return what a run in that profile uses: what is given, else the profile's own value, else the default."""
        value = self.default if given is None else given
        return value if profile is None or value != self.default else self.profiles.get(profile, value)

    def placed(self, value, folder: Path):
        """Return ``value``; the path of a file that lies in the user's folder becomes absolute, since a run has its own.

        Raises:
            ValueError: If it can only be the path of a file and there is none, or names neither a file nor a known graph.
        """
        if not self.is_file or not value:
            return value
        path = folder / Path(value).expanduser()
        if path.is_file() and value not in FAMILIES:
            return str(path.absolute())
        if Path(value).suffix or "/" in value:
            raise ValueError(f"{self.name} must name a file that is there, got {value!r}: {str(path.absolute())!r} is none.")
        if GRAPH.search(f"{self.name} {self.says}"):
            _checks.one_of(f"{self.name}, where no file has that name,", value, FAMILIES)
        return value

    def read(self, text: str):
        """Return a value from text, checked."""
        try:
            text.encode()
            value = READ[self.kind](text)
        except (KeyError, ValueError):
            raise ValueError(f"{self.name} must be of type {self.kind}, got {reprlib.repr(text)}.") from None
        return self.check(value, given=True)

    def check(self, value, *, given: bool = False):
        """Return ``value`` if it has the type and keeps every rule; an int will do for a float.

        A default that stands for the profile's value may break the rules; whoever gives a value gives a real one.
        """
        if self.kind == "float" and type(value) is int and abs(value) < 2**1000:
            value = float(value)
        if type(value) is not KINDS[self.kind]:
            hint = " Put it in quotes." if self.kind == "str" else ""
            raise ValueError(f"{self.name} must be of type {self.kind}, got a {type(value).__name__}.{hint}")
        if self.kind == "float" and not math.isfinite(value):
            raise ValueError(f"{self.name} must be finite, got {value}.")
        if self.kind in ("int", "float") and (given or not self.profiles or value != self.default):
            for rule, limit in RULE.findall(self.says):
                if not KEPT[rule](value, float(limit.replace(",", ""))):
                    raise ValueError(f"{self.name} must be {rule} {limit.rstrip(',')}, got {reprlib.repr(value)}.")
        options = self.options or (_choices(self.says) if self.kind == "str" else ())
        if options and value != self.default:
            word = str(value)
            _checks.one_of(self.name, word if len(word) < 100 else reprlib.repr(word), options)
        return value


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


def _nodes_of(cells: Iterable[dict]) -> Iterator[ast.AST]:
    """Give every node of a notebook's code; cells with magics are left out."""
    for cell in cells:
        try:
            yield from ast.walk(parsed(source_of(cell))) if cell.get("cell_type") == "code" else ()
        except SyntaxError:
            continue


def _profiles_of(cells: Iterable[dict]) -> dict[str, dict[str, int]]:
    """Return what ``by_profile`` sets, by parameter: its calls are read, not run."""
    found = {}
    for node in _nodes_of(cells):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", getattr(node.func, "id", "")) == "by_profile":
            name = getattr(node.args[1] if len(node.args) > 1 else None, "id", None)
            try:
                found[name] = {word.arg: ast.literal_eval(word.value) for word in node.keywords}
            except ValueError:
                raise ValueError(f"{ast.unparse(node)} must state plain numbers, since runs read them.") from None
    return found


def _keys_of(cells: Iterable[dict], name: str) -> tuple[str, ...]:
    """Return the keys of the dictionary that a notebook assigns to a name: the assignment is read, not run."""
    for node in _nodes_of(cells):
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
    found, given, here = {} if file is None else _of_file(known, file, many), {}, Path.cwd()
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals:
            raise ValueError(f"a parameter is written NAME=VALUE, got {reprlib.repr(setting)}.")
        parameter = _known(known, name)
        if name in given:
            raise ValueError(f"{name} must be given once, got it twice.")
        read = _axis(parameter, text) if many else [parameter.read(text)]
        given[name] = [parameter.placed(value, here) for value in read]
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
            axis += [parameter.check(number, given=True) for number in numbers]
        else:
            axis.append(parameter.read(piece))
    return axis


def _of_file(known: Mapping[str, Parameter], file: str | Path, many: bool) -> dict[str, list]:
    """Read a YAML file of names and values, or lists of values, with the safe loader: it makes plain data only."""
    path, found = Path(file), {}
    for name, (value, node) in _yaml(path).items():
        parameter = _known(known, name)
        if isinstance(value, list) and not many:
            raise ValueError(f"{name} must be one value, got a list. A list is for geomem sweep.")
        items = zip(value, node.value, strict=True) if isinstance(value, list) else [(value, node)]
        read = [_scalar(parameter, item, text) for item, text in items]
        found[name] = [parameter.placed(item, path.absolute().parent) for item in read]
    return found


def _yaml(path: Path) -> dict[str, tuple]:
    """Return each name's value in a YAML file, with the node that it was written in."""
    import yaml

    try:
        loader = yaml.SafeLoader(path.read_bytes())
        top = loader.get_single_node()
        whole = None if top is None else loader.construct_document(top)
    except OSError as error:
        raise ValueError(f"{path.name} could not be read: {error.strerror}.") from None
    except (yaml.YAMLError, ValueError, TypeError, RecursionError):
        raise ValueError(f"{path.name} must be plain YAML: lines of NAME: VALUE.") from None
    if top is None or not isinstance(whole, dict) or not all(isinstance(name, str) for name in whole):
        raise ValueError(f"{path.name} must hold lines of NAME: VALUE, got a {type(whole).__name__}.")
    nodes = {}
    for key, node in top.value:
        if key.value in nodes:
            raise ValueError(f"{key.value} must be given once, {path.name} gives it twice.")
        nodes[key.value] = node
    return {name: (value, nodes[name]) for name, value in whole.items()}


def _scalar(parameter: Parameter, value, node):
    """Return a value of a YAML file; refuse a number that ``-p`` would read in another way (YAML 1.1 takes 5:10 for 310)."""
    if isinstance(value, str):  # also 1e-3, which YAML takes for a string
        return parameter.read(value)
    value = parameter.check(value, given=True)
    if parameter.kind in ("int", "float"):
        try:
            same = READ[parameter.kind](node.value) == value
        except ValueError:
            same = False
        if not same:
            text = reprlib.repr(node.value)
            raise ValueError(f"{parameter.name} must be a plain number, got {text}, which YAML takes for {value}.")
    return value


def _choices(says: str) -> tuple[str, ...]:
    """Return what "this, that or other" lists, before the first semicolon; nothing if it says something else."""
    first = says.partition(";")[0].strip()
    return tuple(re.split(", | or ", first)) if CHOICE.fullmatch(first) else ()


def table(known: Mapping[str, Parameter]) -> str:
    """Return one line a parameter: name, type, default and comment."""
    says = {p.name: p.says + (f" (one of {', '.join(p.options)})" if p.options else "") for p in known.values()}
    rows = [(p.name, p.kind, _default(p), says[p.name]) for p in known.values()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)] if rows else []
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _default(parameter: Parameter) -> str:
    """Return what is used where nothing is given, in each profile if they differ."""
    if parameter.profiles:
        return ", ".join(f"{profile} {value}" for profile, value in parameter.profiles.items())
    return "" if parameter.default is None else repr(parameter.default)
