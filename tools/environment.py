"""Make or update .venv; stop with one sentence when this machine lacks something.

Runs on the system's Python, which may be too old: so only old syntax and the standard library here.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LOG = ROOT / "_build" / "setup.log"
OLDEST = (3, 11)
ROOM = 3 * 10**9  # bytes; an empty .venv grows to half of it with a CPU build of torch
# What pip says, in lower case, and what it means; the first that fits is told.
CAUSES = [
    ("no space left", "The disk is full: free 3 GB and try again."),
    ("name resolution", "The package registry cannot be reached: check the network and try again."),
    ("connection", "The package registry cannot be reached: check the network and try again."),
    ("timed out", "The package registry did not answer in time: check the network and try again."),
    ("no matching distribution", "The package registry lacks a version that requirements.txt pins."),
]


def require_python(version):
    if tuple(version[:2]) < OLDEST:
        met = ".".join(str(part) for part in version[:3])
        sys.exit(f"Python 3.11 or newer is needed and this is {met}: name another, as in `make PYTHON=python3.12`.")


def require_room(free):
    if free < ROOM and not PYTHON.exists():
        sys.exit(f"3 GB of disk space are needed here and {free / 1e9:.1f} GB are free.")


def cause(text):
    """Return one sentence that says why pip failed."""
    low = text.lower()
    return next((meaning for sign, meaning in CAUSES if sign in low), "An installation step failed.")


def step(says, *command):
    """Run one command with its output in the log."""
    print(says, "...", end=" ", flush=True)
    start = time.monotonic()
    env = dict(os.environ, PIP_DISABLE_PIP_VERSION_CHECK="1", PIP_RETRIES="3")
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env)
    with LOG.open("a", encoding="utf8") as log:
        log.write(done.stdout)
    if done.returncode:
        print("failed")
        sys.exit(f"{cause(done.stdout)} ({LOG.relative_to(ROOT)} has the details)")
    print(f"{time.monotonic() - start:.0f} s")


def main():
    require_python(sys.version_info)
    require_room(shutil.disk_usage(str(ROOT)).free)
    LOG.parent.mkdir(exist_ok=True)
    LOG.write_text("")
    if not PYTHON.exists():
        step("Making .venv", sys.executable, "-m", "venv", str(VENV))
    pip = (str(PYTHON), "-m", "pip", "install")
    pins = (ROOT / "requirements.txt").read_text(encoding="utf8").splitlines()
    torch = next(pin for pin in pins if pin.startswith("torch=="))
    # First and alone: the largest download fails early, and under its own name.
    step("Installing torch", *pip, torch)
    step("Installing the rest", *pip, "-r", str(ROOT / "requirements.txt"))
    step("Installing geomem", *pip, "--no-deps", "--no-build-isolation", "-e", str(ROOT))
    (VENV / ".ready").touch()


if __name__ == "__main__":
    main()
