"""Run what does not fit into a chapter, seed by seed, and merge it into one committed file a study.

``python -m tools.studies [--list] [--only NAME] [--seeds 0,1,2]``
"""

import argparse
import importlib.metadata
import json
import platform
import subprocess
import sys
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor

from tools import book

LARGEST = 300_000  # bytes of a committed result
FIELDS = {"name": str, "purpose": str, "command": list, "seeds": list, "minutes": (int, float)}


def listed(path):
    """Read book/studies.toml."""
    studies = tomllib.loads(path.read_text(encoding="utf8")).get("study", [])
    for study in studies:
        for field, kind in FIELDS.items():
            if not isinstance(study.get(field), kind):
                raise book.UserError(f"{path.name}: {study.get('name', 'a study')} lacks a proper {field!r}.")
    return studies


def run_seed(study, seed, folder):
    """Run one seed unless the same command already made its file; return whether it is there."""
    target = folder / study["name"] / f"{seed}.json"
    if target.exists() and json.loads(target.read_text(encoding="utf8"))["command"] == study["command"]:
        return True
    out = target.with_suffix(".out")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.unlink(missing_ok=True)
    words = [word.replace("{seed}", str(seed)).replace("{out}", str(out)) for word in study["command"]]
    words = [sys.executable if words[0] == "python" else words[0], *words[1:]]
    start = time.monotonic()
    done = subprocess.run(words, cwd=book.ROOT, env=book.environment(), capture_output=True, text=True)
    seconds = round(time.monotonic() - start, 1)
    if done.returncode or not out.exists():
        print(f"{study['name']} seed {seed}: FAILED after {seconds} s\n{done.stderr[-1500:]}", flush=True)
        return False
    run = {
        "command": study["command"],
        "seconds": seconds,
        **provenance(),
        "result": json.loads(out.read_text()),
    }
    book.write_whole(target, json.dumps(run))
    out.unlink()
    print(f"{study['name']} seed {seed}: {seconds} s", flush=True)
    return True


def provenance():
    """Say what a run was made with."""
    versions = {name: importlib.metadata.version(name) for name in ("geomem", "torch", "numpy")}
    return {
        "versions": {"python": platform.python_version(), **versions},
        "device": platform.machine() + " CPU",
        "commit": _git("rev-parse", "HEAD") + ("-dirty" if _git("status", "--porcelain", "geomem") else ""),
    }


def _git(*words):
    done = subprocess.run(["git", *words], cwd=book.ROOT, capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else "unknown"


def merge(study, seeds, folder, results):
    """Write the seeds' results as one file; what all seeds share stands once."""
    runs = [json.loads((folder / study["name"] / f"{seed}.json").read_text(encoding="utf8")) for seed in seeds]
    settings = [run["result"].pop("settings", {}) for run in runs]
    for setting in settings:
        setting.pop("seed", None)
    if any(setting != settings[0] for setting in settings):
        raise book.UserError(f"{study['name']}: its seeds ran with different settings.")
    for run in runs:  # a command that computed elsewhere says where
        run["device"] = run["result"].pop("device", run["device"])
    whole = {"name": study["name"], "purpose": study["purpose"], "command": study["command"]}
    whole |= {"settings": settings[0], "seeds": seeds, "seconds": [run["seconds"] for run in runs]}
    whole |= {key: _distinct(run[key] for run in runs) for key in ("versions", "device", "commit")}
    whole["runs"] = [run["result"] for run in runs]
    text = json.dumps(whole, allow_nan=False) + "\n"
    if len(text) > LARGEST:
        raise book.UserError(f"{study['name']} makes {len(text):,} bytes, more than {LARGEST:,}: keep fewer points.")
    book.write_whole(results / f"{study['name']}.json", text)


def _distinct(values):
    """Return the one value that all share, or the list of the different ones."""
    different = []
    for value in values:
        if value not in different:
            different.append(value)
    return different[0] if len(different) == 1 else different


def main(argv=None, table=book.ROOT / "book/studies.toml", folder=book.ROOT / "_build/studies", results=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--list", action="store_true", help="say which studies there are, and run none")
    parser.add_argument("--only", metavar="NAME")
    parser.add_argument("--seeds", metavar="0,1,2", help="others than the study's own; nothing is merged then")
    options = parser.parse_args(argv)
    studies = listed(table)
    if options.only and options.only not in [study["name"] for study in studies]:
        raise book.UserError(f"No study is named {options.only!r}: `--list` shows them.")
    if not studies:
        print(f"No study is listed in {table.name}.")
    failed = []
    for study in [s for s in studies if options.only in (None, s["name"])]:
        if options.list:
            cost = f"{len(study['seeds'])} seeds, {study['minutes']} min each"
            print(f"{study['name']}: {study['purpose']} ({cost})")
            continue
        seeds = [int(seed) for seed in options.seeds.split(",")] if options.seeds else study["seeds"]
        with ThreadPoolExecutor(2) as pool:
            there = all(list(pool.map(lambda seed, s=study: run_seed(s, seed, folder), seeds)))
        if not there:
            failed.append(study["name"])
        elif not options.seeds:
            merge(study, seeds, folder, results or book.ROOT / "book/results")
    if failed:
        raise book.UserError(f"Unfinished: {', '.join(failed)}.")


if __name__ == "__main__":
    book.run(main)
