"""Placement on a device that is not the CPU, by the tests of ``fake_device.py``, in a process of their own.

Torch's autograd counts the devices at the first backward pass of a process, so the fake one must be there before it.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from tools import book


def test_a_step_of_every_core_and_stage_stays_on_its_device():
    words = ["-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", Path(__file__).with_name("fake_device.py")]
    done = subprocess.run([sys.executable, *words], cwd=book.ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    if " passed" not in done.stdout:
        pytest.skip(f"no fake device here: {done.stdout.splitlines()[-1]}")
