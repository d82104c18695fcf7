"""Do one run, and keep one file that says what came out."""

import base64
import json
import re
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path

from tqdm import tqdm

from ..reporting import load_records
from ..training import checkpoints
from . import identity
from .identity import PACKAGE
from .job import RUN_ID, machine, needs, options, record_of
from .process import environment, execute, is_whole, watched

SCRIPT = re.compile(r"<script\b.*?</script>", re.DOTALL)
SOURCES = "default-src 'self' data: blob: 'unsafe-inline' 'unsafe-eval'"
NO_HOST = f'<meta http-equiv="Content-Security-Policy" content="{SOURCES}">'
"""What keeps a browser from asking another host, whatever an output holds."""
WIDGET = "application/vnd.jupyter.widget-view+json"


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
        for name, digest in about.get("files", {}).items():
            path = about["parameters"][name]
            if not Path(path).is_file() or identity.digest(path) != digest:
                raise ValueError(f"{name} must be the file that was given here too: {path!r} is missing or another.")
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
        done = watched({"argv": argv}, environment(), job["timeout"], bar, scratch)
    else:
        notebook, out = Path(job["chapter"]), scratch / Path(job["chapter"]).name
        how = {"profile": job["profile"], "timeout": job["timeout"], "bar": bar, "scratch": scratch}
        done = execute(notebook, out, job["given"] | job["set"], **how)
        if is_whole(out):
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


def measured(result: Mapping) -> list[dict]:
    """Return the numbers of a ``geomem train`` result as records; of accuracies token by token, one record a token."""
    numbers = {name: result.get(name) for name in ("answer_accuracy", "edge_recall", "first_hop_accuracy")}
    numbers |= {f"token_accuracy_{i}": share for i, share in enumerate(result["token_accuracy"])}
    return [{"name": name, "values": [value]} for name, value in numbers.items() if value is not None]


def page(notebook: Path) -> bytes:
    """Return a notebook as an HTML page that asks no host for anything: explorables alive, formulas as they are typed."""
    needs("an HTML page", "nbconvert")
    import nbformat
    from nbconvert import HTMLExporter

    whole = nbformat.read(notebook, as_version=4)
    whole.metadata.pop("widgets", None)
    for cell in whole.cells:
        for out in cell.get("outputs", ()):
            if "text/html" in out.get("data", {}):
                out.data.pop(WIDGET, None)  # it needs a kernel; the island beside it needs none
    text = SCRIPT.sub(lambda found: "" if "https://" in found[0] else found[0], HTMLExporter().from_notebook_node(whole)[0])
    text = text.replace("<head>", f"<head>{NO_HOST}", 1)
    start, end, rest = text.rpartition("</body>")
    return (start + (_waking() if "data-explorable=" in text else "") + end + rest).encode()


def _waking() -> str:
    """Return the script that brings the explorables of a page alive; as data, a module loads from a file's page too."""
    module = base64.b64encode((PACKAGE / "explorables" / "explorables.mjs").read_bytes()).decode()
    return f'<script type="module">import {{ boot }} from "data:text/javascript;base64,{module}"; boot();</script>'


def keep_page(home: Path, notebook: str) -> None:
    """Make a run's page unless it is there; a sweep makes none. A page that cannot be made costs a warning, not the run."""
    ran = home / notebook
    if ran.exists() and not ran.with_suffix(".html").exists():
        try:
            checkpoints.write_whole(ran.with_suffix(".html"), page(ran))
        except Exception as error:  # whatever the packages that make pages raise
            warnings.warn(f"{ran.stem}: its page was not made ({type(error).__name__}: {error}).", stacklevel=2)
