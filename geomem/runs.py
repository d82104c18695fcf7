"""One run: a chapter or a command with your parameters, in a process of its own, and one file that says what came out."""

import contextlib
import functools
import hashlib
import importlib.util
import json
import os
import platform
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from tqdm import tqdm

from . import _checks, checkpoints
from .parameters import cells_of, source_of
from .records import load_records

PROFILES = ("smoke", "laptop", "paper")
PACKAGE = Path(__file__).resolve().parent
BOOK = PACKAGE.parent / "book"
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
BAR = re.compile(r"(\d+)/\d+ \[")
RUN_ID = re.compile(r"[0-9a-f]{16}")
LINES = 12
"""How many last lines of a failure are kept."""


def needs(what: str, *modules: str) -> None:
    """Say in one sentence what to install where a module is missing."""
    missing = [module for module in modules if importlib.util.find_spec(module) is None]
    if missing:
        raise ValueError(f"{what} needs {' and '.join(missing)}: pip install 'geomem[sweep]'.")


# Chapters


def chapters(folder: Path | None = None) -> list[Path]:
    """Return the book's notebooks, in order; none where only the package was installed."""
    return sorted((folder or BOOK).glob("[0-9]*.ipynb"))


def chapter(prefix: str, known: list[Path] | None = None) -> Path:
    """Return the chapter that a unique beginning of its name stands for, or the notebook file of that path."""
    if str(prefix).endswith(".ipynb") and Path(prefix).is_file():
        return Path(prefix).resolve()
    known = chapters() if known is None else known
    if not known:
        raise ValueError(f"chapter must be the path of a notebook, got {prefix!r}: the book is not on this machine.")
    found = [path for path in known if path.stem.startswith(Path(prefix).stem)]
    if len(found) != 1 or not Path(prefix).stem:
        trouble = "fits several chapters" if found else "fits no chapter"
        raise ValueError(f"{prefix!r} {trouble}: choose one of {', '.join(path.stem for path in found or known)}.")
    return found[0]


def title(notebook: Path) -> str:
    """Return the heading that a notebook opens with."""
    return source_of(cells_of(notebook)[0]).splitlines()[0].lstrip("# ")


# What a run is


def code() -> str:
    """Return a digest of geomem's own source."""
    whole = hashlib.sha256()
    for path in sorted(PACKAGE.rglob("*.py")):
        whole.update(f"{path.relative_to(PACKAGE)}\n".encode() + path.read_bytes())
    return whole.hexdigest()[:16]


def machine() -> dict:
    """Return what a result depends on besides its parameters: code, versions and device."""
    versions = {"python": platform.python_version(), "torch": torch.__version__}
    return {"code": code(), "device": _checks.device_name("auto"), "versions": versions}


def says_device() -> str:
    """Say in one sentence what will compute here."""
    device = machine()["device"]
    return f"Large models train on {device}." if device != "cpu" else "There is no GPU here: everything runs on the CPU."


def job(what: dict, known: Mapping, given: Mapping, made: Mapping, *, folder: str | Path, timeout=None, page=False) -> dict:
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
    parameters = {name: parameter.default for name, parameter in known.items()} | dict(given)
    parameters |= (
        {"profile": what["profile"]} if {"profile"} <= parameters.keys() & what.keys() else {}
    )  # however it was chosen
    if "chapter" in what:
        notebook = Path(what["chapter"])
        subject = [notebook.stem, what["profile"], _code_of(notebook, notebook.stat().st_mtime_ns)]
    else:
        subject = what["command"]
    text = json.dumps([subject, parameters, made["code"], made["versions"]["torch"], made["device"]], sort_keys=True)
    about = {"run": hashlib.sha256(text.encode()).hexdigest()[:16], "parameters": parameters, **made}
    return {
        "about": about,
        "given": dict(given),
        "folder": str(Path(folder).resolve()),
        "timeout": timeout,
        "page": page,
    } | what


@functools.lru_cache(maxsize=8)
def _code_of(notebook: Path, changed: int) -> list[str]:
    """Return a notebook's code, read once for all points of a grid."""
    return [source_of(cell) for cell in cells_of(notebook) if cell.get("cell_type") == "code"]


def profile_of(given: Mapping, profile: str | None) -> str:
    """Return the profile that a chapter will run in, by its parameter, the option, or BOOK_PROFILE."""
    if profile and given.get("profile") not in (None, "", profile):
        raise ValueError(f"profile must be given once, got {profile!r} and {given['profile']!r}.")
    return given.get("profile") or profile or os.environ.get("BOOK_PROFILE", "laptop")


def record_of(home: Path) -> dict | None:
    """Return the record in a run's folder; None if there is none, or none that is whole and belongs there."""
    try:
        record = json.loads((home / "record.json").read_text(encoding="utf8"))
        return record if record["run"] == home.name else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


# Doing it


def environment(**extra: str) -> dict[str, str]:
    """Return the settings of a process that computes: this geomem, and one thread, so that company changes no digit."""
    inherited = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    path = os.pathsep.join([str(PACKAGE.parent), *filter(None, [os.environ.get("PYTHONPATH")])])
    fixed = {"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0", "JUPYTER_PREFER_ENV_PATH": "1", "PYTHONPATH": path}
    return inherited | fixed | extra


@dataclass(frozen=True)
class Outcome:
    """Hold what became of a process: whether it ended well, the seconds, the most bytes of its children, its last lines."""

    passed: bool
    seconds: float
    peak: float
    said: list[str]


def execute(
    notebook: Path, target: Path, values: Mapping, *, profile="laptop", timeout=None, bar=None, scratch=None
) -> Outcome:
    """Run a notebook on a copy, in a process of its own, from the folder it lies in; ``scratch`` goes if we are killed."""
    asked = {"input_path": str(notebook), "output_path": str(target), "parameters": dict(values)}
    asked |= {"kernel_name": "python3", "cwd": str(notebook.parent)}
    done = _process({"papermill": asked}, environment(BOOK_PROFILE=profile), timeout, bar, scratch)
    error = None if done.passed else _error_in(target)
    return Outcome(False, done.seconds, done.peak, error) if error else done


def _process(asked: dict, env: dict, timeout: float | None, bar: tqdm | None, scratch: Path | None = None) -> Outcome:
    """Run the child with one line of JSON, watch it, and stop it with all that it started when its time is over."""
    import psutil

    start, peak = time.monotonic(), 0.0
    with tempfile.TemporaryDirectory(prefix="geomem-", dir=scratch, ignore_cleanup_errors=True) as own:
        log = Path(own, "log")
        with log.open("wb") as out:
            child = subprocess.Popen(
                [sys.executable, str(PACKAGE / "_child.py")], stdin=subprocess.PIPE, stdout=out, stderr=out, env=env
            )
        tree, late = psutil.Process(child.pid), False
        try:
            child.stdin.write(json.dumps(asked | {"scratch": str(scratch or own)}).encode() + b"\n")
            child.stdin.flush()
            while child.poll() is None and not late:
                time.sleep(0.1)
                peak = max(peak, sum(map(_memory, _children(tree))))
                late = timeout is not None and time.monotonic() - start > timeout
                if bar is not None and (cells := BAR.findall(_tail(log))):
                    bar.update(int(cells[-1]) - bar.n)
        except BrokenPipeError:
            pass  # it died before it read a word; what it said tells why
        finally:
            for process in [*_children(tree), tree]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            with contextlib.suppress(BrokenPipeError):
                child.stdin.close()
            child.wait()
        said = [line for line in COLOUR.sub("", log.read_text("utf8", "replace")).splitlines() if not BAR.search(line)]
    if late:
        said = [f"It was stopped after {timeout:g} s, its time limit."]
    elif child.returncode < 0:
        said += [f"Its process was killed by {signal.Signals(-child.returncode).name} (too little memory?)."]
    return Outcome(child.returncode == 0 and not late, time.monotonic() - start, peak, said[-LINES:])


def _children(process) -> list:
    import psutil

    try:
        return process.children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def _memory(process) -> int:
    import psutil

    try:
        return process.memory_info().rss
    except psutil.NoSuchProcess:
        return 0


def _tail(log: Path, size: int = 500) -> str:
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - size))
        return file.read().decode("utf8", "replace")


def _error_in(target: Path) -> list[str] | None:
    """Return which cell failed and how its traceback ends; None if no cell did, or the notebook was cut off."""
    for cell in cells_of(target) if _whole(target) else ():
        for out in cell.get("outputs", ()):
            if out["output_type"] == "error":
                trace = COLOUR.sub("", "\n".join(out["traceback"])).splitlines()[-LINES:]
                return [f"In [{cell['execution_count']}]:", *source_of(cell).splitlines(), "", *trace]
    return None


def _whole(notebook: Path) -> bool:
    try:
        return bool(cells_of(notebook))
    except ValueError:
        return False


def perform(job: dict, bar: tqdm | None = None) -> dict:
    """Do a run unless its record is there; return its entry, with a ``reason`` if it failed.

    It raises nothing: whatever goes wrong here is the reason in the entry of this run, and no business of the others.
    """
    about = job["about"]
    entry = {"run": about["run"], "parameters": job["given"], "there": False}
    try:
        home = _home(job)
        if record_of(home):
            return entry | {"there": True}
        for name, now in machine().items():
            if now != about[name]:
                raise ValueError(f"{name} must be {about[name]} here too, got {now}. Start the sweep again.")
        with tempfile.TemporaryDirectory(prefix="geomem-", ignore_cleanup_errors=True) as scratch:
            record = _record(job, home, Path(scratch), bar)
        checkpoints.write_whole(home / "record.json", json.dumps(record, allow_nan=False) + "\n")
        (home / "failure.json").unlink(missing_ok=True)
        return entry
    except _Failed as failure:
        entry |= {"reason": failure.args[0][-1], "last_lines": failure.args[0]}
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        entry |= {"reason": reason, "last_lines": [reason]}
    try:
        checkpoints.write_whole(_home(job) / "failure.json", json.dumps(about | entry) + "\n")
    except (OSError, ValueError):
        pass  # a full or unwritable folder holds no entry; the one returned is shown all the same
    return entry


class _Failed(Exception):
    """The process of a run ended badly; its argument is what it said last."""


def _home(job: dict) -> Path:
    """Return the run's own folder; whatever an id or a link says, it lies in the output folder."""
    if not RUN_ID.fullmatch(job["about"]["run"]):
        raise ValueError(f"a run id must be 16 hexadecimal digits, got {job['about']['run']!r}.")
    home = Path(job["folder"], job["about"]["run"])
    if home.is_symlink():
        raise ValueError(f"{home.name} must be a folder, got a link that leaves the output folder. Remove it.")
    home.mkdir(parents=True, exist_ok=True)
    return home


def _record(job: dict, home: Path, scratch: Path, bar: tqdm | None) -> dict:
    """Run it, keep what a chapter looks like, and return the record."""
    if "command" in job:
        out = scratch / "out.json"
        argv = [*job["command"], *options(job["given"]), "--out", str(out)]
        done = _process({"argv": argv}, environment(), job["timeout"], bar, scratch)
    else:
        notebook, out = Path(job["chapter"]), scratch / Path(job["chapter"]).name
        how = {"profile": job["profile"], "timeout": job["timeout"], "bar": bar, "scratch": scratch}
        done = execute(notebook, out, job["given"], **how)
        if _whole(out):
            checkpoints.write_whole(home / out.name, out.read_bytes())
    if not done.passed:
        raise _Failed(done.said or ["It ended without a word."])
    if "command" in job:
        what = {"chapter": " ".join(job["command"]), "profile": None}
        found = {"result": (result := json.loads(out.read_text())), "records": measured(result), "claims": []}
    else:
        if job["page"]:
            keep_page(home, out.name)
        kept = load_records(out)
        what = {"chapter": out.stem, "profile": job["profile"]}
        found = {"records": kept["record"], "claims": kept["claim"]}
    return {**job["about"], **what, "seconds": round(done.seconds, 2), "peak_bytes": done.peak, **found}


def options(given: Mapping) -> list[str]:
    """Return ``--name=value`` words; a flag that is not set is left out."""
    words = {f"--{name.replace('_', '-')}": value for name, value in given.items() if value is not False}
    return [option if value is True else f"{option}={value}" for option, value in words.items()]


def measured(result: Mapping) -> list[dict]:
    """Return the numbers of a ``geomem train`` result as records; of accuracies token by token, one record a token."""
    numbers = {name: result.get(name) for name in ("answer_accuracy", "edge_recall", "first_hop_accuracy")}
    numbers |= {f"token_accuracy_{i}": share for i, share in enumerate(result["token_accuracy"])}
    return [{"name": name, "values": [value]} for name, value in numbers.items() if value is not None]


def page(notebook: Path) -> bytes:
    """Return a notebook as an HTML page."""
    needs("an HTML page", "nbconvert")
    from nbconvert import HTMLExporter

    return HTMLExporter(require_js_url="").from_filename(str(notebook))[0].encode()


def keep_page(home: Path, notebook: str) -> None:
    """Make a run's page unless it is there; a sweep makes none."""
    ran = home / notebook
    if ran.exists() and not ran.with_suffix(".html").exists():
        checkpoints.write_whole(ran.with_suffix(".html"), page(ran))
