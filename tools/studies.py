"""Run what does not fit into a chapter, seed by seed, and merge it into one committed file a study.

``python -m tools.studies [--list] [--only NAME] [--seeds 0,1,2]``
"""

import argparse
import dataclasses
import hashlib
import importlib.metadata
import json
import platform
import subprocess
import sys
import time
import tomllib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from geomem import runner
from geomem.training import Stage
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


def conditions(study):
    """Return what is compared in a study: the words that each condition adds to the command."""
    return study.get("conditions", {"": []})


def file_of(study, condition, seed, folder):
    """Return where one run of a study is kept."""
    return folder / study["name"] / condition / f"{seed}.json"


def made_by(study, condition):
    """Say what makes a run: a file that says the same need not be made again."""
    return {"command": [*study["command"], *conditions(study)[condition]], "script": digest(study["command"])}


def run_seed(study, condition, seed, folder):
    """Run one seed unless the same command and script already made its file; return whether it is there."""
    target = file_of(study, condition, seed, folder)
    maker = made_by(study, condition)
    command = maker["command"]
    if target.exists() and json.loads(target.read_text(encoding="utf8")).items() >= maker.items():
        return True
    out = target.with_suffix(".out")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.unlink(missing_ok=True)
    words = [word.replace("{seed}", str(seed)).replace("{out}", str(out)) for word in command]
    words = [sys.executable if words[0] == "python" else words[0], *words[1:]]
    start = time.monotonic()
    done = subprocess.run(words, cwd=book.ROOT, env=runner.environment(), capture_output=True, text=True)
    seconds = round(time.monotonic() - start, 1)
    what = f"{study['name']} {condition} seed {seed}".replace("  ", " ")
    if done.returncode or not out.exists():
        print(f"{what}: FAILED after {seconds} s\n{done.stderr[-1500:]}", flush=True)
        return False
    run = {
        **maker,
        "seconds": seconds,
        **provenance(),
        "result": json.loads(out.read_text()),
    }
    book.write_whole(target, json.dumps(run))
    out.unlink()
    print(f"{what}: {seconds} s", flush=True)
    return True


def digest(command):
    """Return a digest of the study's own script, None where the command names none; the library is not looked at."""
    scripts = [book.ROOT / word for word in command if word.endswith(".py")]
    return hashlib.sha256(b"".join(path.read_bytes() for path in scripts)).hexdigest()[:16] if scripts else None


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


def restore(study, folder, results):
    """Write the committed runs of a study as one file a seed, where the same command and script made them."""
    path = results / f"{study['name']}.json"
    whole: dict[str, Any] = json.loads(path.read_text(encoding="utf8")) if path.exists() else {"command": []}
    if (whole["command"], whole.get("script")) != (study["command"], digest(study["command"])):
        return
    for condition, words in conditions(study).items():
        part = whole["conditions"].get(condition) if "conditions" in whole else {**whole, "words": []}
        if part is None or part["words"] != words:
            continue
        for seed, seconds, result in zip(whole["seeds"], part["seconds"], part["runs"], strict=True):
            target = file_of(study, condition, seed, folder)
            if not target.exists():
                made = {key: whole[key] for key in ("versions", "device", "commit")}
                run = {**made_by(study, condition), "seconds": seconds, **made}
                target.parent.mkdir(parents=True, exist_ok=True)
                book.write_whole(target, json.dumps({**run, "result": {**result, "settings": part["settings"]}}))


def merge(study, seeds, folder, results):
    """Write the seeds' results as one file; what all seeds share stands once, a condition at a time."""
    whole = {key: study[key] for key in ("name", "purpose", "command")}
    whole |= {"script": digest(study["command"]), "seeds": seeds}
    parts, everything = {}, []
    for condition, words in conditions(study).items():
        runs = [json.loads(file_of(study, condition, seed, folder).read_text(encoding="utf8")) for seed in seeds]
        settings = [_without_seeds(_complete(run["result"].pop("settings", {}))) for run in runs]
        if any(setting != settings[0] for setting in settings):
            other = next(setting for setting in settings if setting != settings[0])
            where = [key for key in settings[0] | other if settings[0].get(key) != other.get(key)]
            raise book.UserError(f"{study['name']} {condition}: its seeds ran with different settings: {', '.join(where)}.")
        for run in runs:  # a command that computed elsewhere says where
            run["device"] = run["result"].pop("device", run["device"])
            run["result"].pop("versions", None)
        parts[condition] = {"words": words, "settings": settings[0], "seconds": [run["seconds"] for run in runs]}
        parts[condition]["runs"] = [_short(run["result"]) for run in runs]
        everything += runs
    whole |= {key: _distinct(run[key] for run in everything) for key in ("versions", "device", "commit")}
    whole |= {"conditions": parts} if "conditions" in study else {k: v for k, v in parts[""].items() if k != "words"}
    text = json.dumps(whole, allow_nan=False) + "\n"
    if len(text) > LARGEST:
        raise book.UserError(f"{study['name']} makes {len(text):,} bytes, more than {LARGEST:,}: keep fewer points.")
    book.write_whole(results / f"{study['name']}.json", text)


def _short(value):
    """Keep five significant digits of every number: more than any spread over seeds leaves certain."""
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {key: _short(item) for key, item in value.items()}
    return [_short(item) for item in value] if isinstance(value, list) else value


def _complete(settings):
    """Add to each stage the fields that the library did not have yet when it ran, at their defaults, which are off."""
    defaults = {field.name: field.default for field in dataclasses.fields(Stage) if field.default is not dataclasses.MISSING}
    stages = settings.get("recipe", ()) if isinstance(settings, dict) else ()
    return settings | {"recipe": [defaults | stage for stage in stages]} if stages else settings


def _without_seeds(settings) -> Any:
    """Leave out, at any depth, every seed and every setting that is None: one is varied, one may be newer than a run."""
    if isinstance(settings, dict):
        kept = {key: value for key, value in settings.items() if key != "seed" and value is not None}
        return {key: _without_seeds(value) for key, value in kept.items()}
    return [_without_seeds(value) for value in settings] if isinstance(settings, list) else settings


def _distinct(values):
    """Return the one value that all share, or the list of the different ones; a value may be such a list."""
    different = []
    for value in values:
        different += [one for one in (value if isinstance(value, list) else [value]) if one not in different]
    return different[0] if len(different) == 1 else different


def main(argv=None, table=book.ROOT / "book/studies.toml", folder=book.ROOT / "_build/studies", results=None):
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
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
            parts = f"{len(study['conditions'])} conditions, " if "conditions" in study else ""
            cost = f"{parts}{len(study['seeds'])} seeds, {study['minutes']} min each"
            print(f"{study['name']}: {study['purpose']} ({cost})")
            continue
        seeds = [int(seed) for seed in options.seeds.split(",")] if options.seeds else study["seeds"]
        restore(study, folder, results or book.ROOT / "book/results")
        runs = [(condition, seed) for condition in conditions(study) for seed in seeds]
        with ThreadPoolExecutor(2) as pool:
            there = all(list(pool.map(lambda run, s=study: run_seed(s, run[0], run[1], folder), runs)))
        if not there:
            failed.append(study["name"])
        elif not options.seeds:
            merge(study, seeds, folder, results or book.ROOT / "book/results")
    if failed:
        raise book.UserError(f"Unfinished: {', '.join(failed)}.")


if __name__ == "__main__":
    book.run(main)
