"""Parameters of a run, read from text or a file as data: typed, within the range that is stated, and never executed."""

import difflib
import itertools
import math
import re
import reprlib
from collections.abc import Iterable, Mapping
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
CHOICE = re.compile(r"\w+(?:, \w+)* or \w+")


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
            raise ValueError(f"{self.name} must name a file that is there, got {value!r}: no {str(path.absolute())!r}.")
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


def values(known: Mapping[str, Parameter], settings: Iterable[str], file: str | Path | None = None) -> dict:
    """Return one value per parameter, from a file and from ``name=value`` settings, which win.

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
    """Return one line per parameter: name, type, default and comment."""
    says = {p.name: p.says + (f" (one of {', '.join(p.options)})" if p.options else "") for p in known.values()}
    rows = [(p.name, p.kind, _default(p), says[p.name]) for p in known.values()]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)] if rows else []
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _default(parameter: Parameter) -> str:
    """Return what is used where nothing is given, in each profile if they differ."""
    if parameter.profiles:
        return ", ".join(f"{profile} {value}" for profile, value in parameter.profiles.items())
    return "" if parameter.default is None else repr(parameter.default)
