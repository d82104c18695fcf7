"""Run chapters through papermill, on copies.

``python -m tools.chapters [PREFIX ...] [-p NAME=VALUE] [--profile smoke] [--jobs 2]``
"""

import argparse
import difflib
import json
import os
import re
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import nbformat
import papermill
import psutil
import yaml

from tools import book, notebooks

COLOUR = re.compile(r"\x1b\[[0-9;]*m")
TRUTH = {"true": True, "false": False}
READ = {"int": int, "float": float, "str": str, "bool": lambda text: TRUTH[text.lower()]}


def parameters(chapter, settings):
    """Read ``name=value`` settings as the chapter's parameters, or refuse them before anything runs."""
    known = papermill.inspect_notebook(str(chapter))
    values = {}
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals:
            raise book.UserError(f"A parameter is written NAME=VALUE, not {setting!r}.")
        if name not in known:
            near = difflib.get_close_matches(name, known, 1, cutoff=0) or ["none"]
            raise book.UserError(f"{chapter.stem} has no parameter {name!r}; the nearest is {near[0]!r}.")
        kind = known[name]["inferred_type_name"]
        try:
            values[name] = READ.get(kind, yaml.safe_load)(text)
        except (KeyError, ValueError):
            raise book.UserError(f"{chapter.stem}: {name} is of type {kind}, which {text!r} is not.") from None
    return values


def execute(chapter, values, profile, out):
    """Run one chapter in its own process; return whether it passed, and a report."""
    out.mkdir(parents=True, exist_ok=True)
    target = out / chapter.name
    target.unlink(missing_ok=True)
    command = [sys.executable, "-m", "papermill", "--cwd", str(book.ROOT / "book"), "--no-progress-bar"]
    command += ["--kernel", "python3", "-y", json.dumps(values), str(chapter), str(target)]
    start = time.monotonic()
    process = subprocess.Popen(
        command,
        env=book.environment(BOOK_PROFILE=profile),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    peak = []
    watcher = threading.Thread(target=lambda: peak.append(_peak_memory(process.pid)))
    watcher.start()
    said, _ = process.communicate()
    watcher.join()
    passed = process.returncode == 0
    line = f"{chapter.stem:<24} {time.monotonic() - start:6.1f} s {peak[0] / 1e6:7.0f} MB  "
    return passed, line + ("ok" if passed else "FAILED\n" + _failure(target, said))


def _peak_memory(pid):
    """Watch the kernels of a papermill process until it ends; return the most memory seen, in bytes."""
    peak = 0
    while True:
        try:
            children = psutil.Process(pid).children(recursive=True)
            peak = max([peak, sum(_memory(child) for child in children)])
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return peak
        except psutil.NoSuchProcess:
            return peak
        time.sleep(0.1)


def _memory(process):
    try:
        return process.memory_info().rss
    except psutil.NoSuchProcess:
        return 0


def _failure(target, said, lines=12):
    """Tell which cell failed and how its traceback ends."""
    cells = nbformat.read(target, as_version=4).cells if target.exists() else []
    for cell in cells:
        for out in cell.get("outputs", ()):
            if out.output_type == "error":
                trace = "\n".join(out.traceback).splitlines()[-lines:]
                return _indent([f"In [{cell.execution_count}]:", *cell.source.splitlines(), "", *trace])
    return _indent(said.splitlines()[-lines:])


def _indent(lines):
    return "\n".join("    " + COLOUR.sub("", line) for line in lines)


def take_over(chapter, ran):
    """Make a finished run the committed chapter."""
    book.write_whole(chapter, notebooks.normalise(ran.read_text(encoding="utf8")))


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("chapters", nargs="*", help="a unique beginning of each chapter's name; default: all")
    parser.add_argument("-p", "--parameter", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--profile", choices=("smoke", "laptop", "paper"))
    parser.add_argument("--jobs", type=int, default=1, help="chapters at a time")
    parser.add_argument("--out", default="_build/runs", help="where the executed copies go")
    parser.add_argument("--in-place", action="store_true", help="make the runs the committed chapters")
    options = parser.parse_args(argv)
    if options.in_place and (options.parameter or options.profile):
        raise book.UserError("Committed chapters show their own parameters: --in-place takes neither -p nor --profile.")
    profile = options.profile or ("laptop" if options.in_place else os.environ.get("BOOK_PROFILE", "laptop"))
    work = [(c, parameters(c, options.parameter)) for c in book.select(options.chapters)]
    out = book.ROOT / options.out

    def one(item):
        passed, report = execute(*item, profile, out)
        print(report, flush=True)
        if passed and options.in_place:
            take_over(item[0], out / item[0].name)
        return passed

    with ThreadPoolExecutor(max(1, options.jobs)) as pool:
        failed = list(pool.map(one, work)).count(False)
    if failed:
        raise book.UserError(f"{failed} of {len(work)} chapters failed.")


if __name__ == "__main__":
    book.run(main)
