"""Run the library's tests with the lowest versions that pyproject.toml allows, in an environment of their own.

``python tools/lowest.py``, with the standard library alone
"""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / "_build" / "lowest"
PYTHON = VENV / "bin" / "python"
# What the tests need; the packages that build the site are pinned elsewhere and are not the library's.
TESTING = ("pytest", "pytest-xdist", "hypothesis", "dask-jobqueue")
LEFT_OUT = ("tests/browser", "test_tools.py", "test_colab.py", "test_workflows.py", "test_fuzz.py")


def lowest(project):
    """Name each dependency, those of all extras too, in its lowest allowed version: ``name==version``."""
    wanted = project["dependencies"] + [text for extra in project["optional-dependencies"].values() for text in extra]
    found = {}
    for text in wanted:
        match = re.fullmatch(r"([\w.-]+)>=([\w.]+)(,.*)?", text)
        if match is None:
            raise SystemExit(f"pyproject.toml must give each dependency a lowest version, as name>=1.2, and has {text!r}.")
        name, version = match[1], match[2]
        if found.setdefault(name, version) != version:
            raise SystemExit(f"pyproject.toml gives {name} two lowest versions: {found[name]} and {version}.")
    return [f"{name}=={version}" for name, version in found.items()]


def pinned(names, text):
    """Pick these packages from the pins of requirements.txt."""
    return [line for line in text.splitlines() if line.partition("==")[0] in names]


def run(*command):
    """Run a command here, and end with its code where it fails."""
    env = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}
    done = subprocess.run([str(PYTHON), *command], cwd=ROOT, env=env)
    if done.returncode:
        raise SystemExit(done.returncode)


def main():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["project"]
    words = lowest(project) + pinned(TESTING, (ROOT / "requirements.txt").read_text(encoding="utf8"))
    subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
    extras = ",".join(project["optional-dependencies"])
    run("-m", "pip", "install", "-q", *words, "-e", f"{ROOT}[{extras}]")
    left_out = [word for name in LEFT_OUT for word in ("--ignore-glob", f"{ROOT}/{name}" if "/" in name else f"*/{name}")]
    # Old versions warn on new ones beside them, which is no fault of ours: warnings are no errors here.
    run("-m", "pytest", "-q", "-n", "2", "-m", "", "-W", "default", "--disable-warnings", "geomem", "tests", *left_out)
    run("-m", "tools.chapters", "05", "-p", "plane=umap", "--profile", "smoke", "--out", "_build/lowest/runs")


if __name__ == "__main__":
    main()
