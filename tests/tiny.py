"""A chapter of two cells, for tests of how runs end: it says how often it ran, and what goes wrong is a parameter."""

import nbformat

from geomem import cli

PARAMETERS = """degree: int = 3  # arms, at least 2
seed: int = 0  # of all
what: str = ""  # what goes wrong
profile: str = ""  # smoke, laptop or paper; empty: as BOOK_PROFILE says"""
BODY = """import os, signal, subprocess, time
from pathlib import Path
import psutil
from IPython.display import publish_display_data
mine = Path("ran", f"{degree}-{seed}")
mine.parent.mkdir(exist_ok=True)
with mine.open("a") as file:
    file.write("x")
kernel = Path("kernel")
if what == "raise":
    1 / 0
if what == "die":
    os.kill(os.getpid(), signal.SIGKILL)
if what == "die with papermill":
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(600)
if what == "sleep":
    subprocess.run(["sleep", "600"])  # a process that nobody but the run would end
if what == "slow" and Path("hold").exists():
    subprocess.run(["sleep", "1" if seed == 0 else "600"])
if what == "much":
    print("x" * 300_000)
if what == "kill worker" and (degree, seed) == (7, 1) and not kernel.exists():
    kernel.write_text(str(os.getpid()))
    worker = psutil.Process(os.getppid()).ppid()
    os.kill(worker, signal.SIGKILL)
    time.sleep(600)
record = {"name": "product", "values": [degree * seed, degree * seed + 1.0], "says": what}
claim = {"id": "C7", "part": "half", "holds": degree > 3, "profile": os.environ["BOOK_PROFILE"]}
publish_display_data({"text/plain": "product"}, metadata={"geomem": {"record": record}})
publish_display_data({"text/plain": "claim"}, metadata={"geomem": {"claim": claim}})"""


def chapter(folder):
    """Write the chapter."""
    title = nbformat.v4.new_markdown_cell("# A tiny chapter\n\nIt multiplies.")
    cells = [title, *map(nbformat.v4.new_code_cell, (PARAMETERS, BODY))]
    cells[1].metadata["tags"] = ["parameters"]
    metadata = {"kernelspec": {"name": "python3", "display_name": "x", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=metadata), folder / "01_tiny.ipynb")
    return folder / "01_tiny.ipynb"


def times(folder):
    """Say how often each run began."""
    return {path.name: len(path.read_text()) for path in (folder / "ran").iterdir()}


def left(*argv):
    """Run the command line, and return the code that it leaves with."""
    try:
        cli.main(list(map(str, argv)))
    except SystemExit as stop:
        return stop.code
    return 0
