"""What a run is: a chapter or a command, its parameters, and all that decides its result."""

import hashlib
import importlib.util
import json
import re
from collections.abc import Mapping
from pathlib import Path

from .. import _checks
from ..reporting.profiles import profile_of as chosen
from . import identity
from .identity import PACKAGE
from .notebooks import cells_of, source_of

BOOK = PACKAGE.parent / "book"
NOTEBOOKS = ("papermill", "ipykernel")
"""The modules that only runs of notebooks need."""
RUN_ID = re.compile(r"[0-9a-f]{16}")


def needs(what: str, *modules: str) -> None:
    """Say in one sentence what to install where a module is missing: the extra that has all that runs need."""
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    if missing:
        names = " and ".join({"yaml": "PyYAML"}.get(module, module) for module in missing)
        raise ValueError(f"{what} needs {names}: pip install 'geomem[sweep]'.")


def chapters(folder: Path | None = None) -> list[Path]:
    """Return the book's notebooks, in order; none where only the package was installed."""
    return sorted((folder or BOOK).glob("[0-9]*.ipynb"))


def chapter(name: str, known: list[Path] | None = None) -> Path:
    """Return the chapter of a number or a unique beginning of a name, or the notebook file of a path.

    A path that is not there stands for no chapter of the book, even where a chapter has that file's name.
    """
    name = str(name)
    if name.endswith(".ipynb") and name not in (path.name for path in known or ()):
        if not Path(name).is_file():
            raise ValueError(f"chapter must be a notebook's path or a chapter, got {name!r}: there is no such file.")
        return Path(name).resolve()
    known = chapters() if known is None else known
    if not known:
        raise ValueError(f"chapter must be the path of a notebook, got {name!r}: the book is not on this machine.")
    found = [path for path in known if name.isdecimal() and _number(path) == int(name)]
    found = found or [path for path in known if name and path.name.startswith(name)]
    if len(found) != 1:
        trouble = "fits several chapters" if found else "fits no chapter"
        raise ValueError(f"{name!r} {trouble}: choose one of {', '.join(path.stem for path in found or known)}.")
    return found[0]


def _number(path: Path) -> int | None:
    """Return the number that a chapter's name begins with: 4 of 04_hardest_token."""
    number = re.match(r"\d+", path.stem)
    return int(number.group()) if number else None


def title(notebook: Path) -> str:
    """Return the heading that a notebook opens with."""
    return source_of(cells_of(notebook)[0]).splitlines()[0].lstrip("# ")


def machine() -> dict:
    """Return what a result depends on besides its parameters: code, versions and device."""
    return {"code": identity.code(), "device": _checks.device_name("auto"), "versions": identity.versions()}


def says_device() -> str:
    """Say in one sentence what will compute here."""
    device = machine()["device"]
    return f"Large models train on {device}." if device != "cpu" else "There is no GPU here: everything runs on the CPU."


def job_of(
    what: dict, known: Mapping, given: Mapping, made: Mapping, *, folder: str | Path, timeout=None, page=False
) -> dict:
    """Return everything that one run needs, as JSON; the same run has the same id, wherever it is asked for.

    Args:
        what: ``{"chapter": path, "profile": ...}`` or ``{"command": ["train", "path-star"]}``.
        known: Its parameters.
        given: The values that were given; the others have their defaults.
        made: As ``machine`` says.
        folder: Where its folder goes.
        timeout: Seconds after which it is stopped; None for no limit.
        page: Whether to make an HTML page.
    """
    profile = what.get("profile")
    parameters = {name: parameter.value_in(profile, given.get(name)) for name, parameter in known.items()} | {
        name: value for name, value in given.items() if name not in known
    }
    parameters |= {"profile": profile} if profile and "profile" in parameters else {}  # however it was chosen
    files = identity.given_files(known, parameters)
    if "chapter" in what:
        notebook = Path(what["chapter"])
        texts = identity.code_of(notebook)
        subject = [notebook.stem, profile, texts, identity.shipped_files(texts, parameters)]
    else:
        subject = what["command"]
    # A file is what it holds, and its name, which figures show; not where it lies.
    values = parameters | {name: [Path(parameters[name]).name, digest] for name, digest in files.items()}
    decide = {name: made["versions"][name] for name in identity.VERSIONS if name in made["versions"]}
    text = json.dumps([subject, values, made["code"], decide, made["device"]], sort_keys=True)
    about = {"run": hashlib.sha256(text.encode()).hexdigest()[:16], "parameters": parameters, "files": files, **made}
    return {
        "about": about,
        "given": dict(given),
        "set": {name: value for name, value in parameters.items() if known.get(name) and known[name].profiles},
        "folder": str(Path(folder).resolve()),
        "timeout": timeout,
        "page": page,
    } | what


def profile_of(given: Mapping, profile: str | None) -> str:
    """Return the profile that a chapter will run in, by its parameter, the option, or BOOK_PROFILE."""
    if profile and given.get("profile") not in (None, "", profile):
        raise ValueError(f"profile must be given once, got {profile!r} and {given['profile']!r}.")
    return chosen(given.get("profile") or profile)


def record_of(home: Path) -> dict | None:
    """Return the record in a run's folder; None if there is none, or none that is whole and belongs there."""
    try:
        record = json.loads((home / "record.json").read_text(encoding="utf8"))
        return record if record["run"] == home.name else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def options(given: Mapping) -> list[str]:
    """Return ``--name=value`` words; a flag that is not set is left out."""
    words = {f"--{name.replace('_', '-')}": value for name, value in given.items() if value is not False}
    return [option if value is True else f"{option}={value}" for option, value in words.items()]
