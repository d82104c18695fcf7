"""A process for one run: started, watched, and stopped with all that it started."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from tqdm import tqdm

from .identity import PACKAGE
from .notebooks import cells_of, source_of

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
BAR = re.compile(r"(\d+)/\d+ \[")
LINES = 12
"""How many last lines of a failure are kept."""


def environment(**extra: str) -> dict[str, str]:
    """Return the settings of a process that computes: this geomem, and one thread, so that company changes no digit."""
    inherited = {name: value for name, value in os.environ.items() if name not in ("MPLBACKEND", "PYTHONSTARTUP")}
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
    asked |= {"kernel_name": "python3", "language": "python", "cwd": str(notebook.parent)}
    done = watched({"papermill": asked}, environment(BOOK_PROFILE=profile), timeout, bar, scratch)
    error = None if done.passed else _error_in(target)
    return Outcome(False, done.seconds, done.peak, error) if error else done


def watched(asked: dict, env: dict, timeout: float | None, bar: tqdm | None, scratch: Path | None = None) -> Outcome:
    """Run the child with one line of JSON, watch it, and stop it with all that it started when its time is over."""
    import psutil

    start, peak = time.monotonic(), 0.0
    with tempfile.TemporaryDirectory(prefix="geomem-", dir=scratch, ignore_cleanup_errors=True) as own:
        log = Path(own, "log")
        with log.open("wb") as out:
            child = subprocess.Popen(
                [sys.executable, str(PACKAGE / "runner" / "child.py")],
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=out,
                env=env,
            )
        tree, late = psutil.Process(child.pid), False
        inlet = cast(IO[bytes], child.stdin)  # there, because a pipe was asked for; the child ends when it closes
        try:
            inlet.write(json.dumps(asked | {"scratch": str(scratch or own)}).encode() + b"\n")
            inlet.flush()
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
                inlet.close()
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
    for cell in cells_of(target) if is_whole(target) else ():
        for out in cell.get("outputs", ()):
            if out["output_type"] == "error":
                trace = COLOUR.sub("", "\n".join(out["traceback"])).splitlines()[-LINES:]
                return [f"In [{cell['execution_count']}]:", *source_of(cell).splitlines(), "", *trace]
    return None


def is_whole(notebook: Path) -> bool:
    """Return whether a file is a notebook with cells, and was not cut off."""
    try:
        return bool(cells_of(notebook))
    except ValueError:
        return False
