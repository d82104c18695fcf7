"""The flow on a large star goes on where the last call stopped."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import geomem as gm
from geomem.node2vec import blockwise
from geomem.training import checkpoints

SCRIPT = Path(__file__).parents[2] / "book/studies/large_flow.py"


def call(folder, *more):
    words = ["--degree", "12", "--length", "4", "--dim", "8", "--steps", "6", "--segment", "2", "--precision", "float32"]
    words += ["--device", "cpu", "--checkpoint", str(folder / "kept"), "--out", str(folder / "out.json"), *more]
    done = subprocess.run([sys.executable, str(SCRIPT), *words], capture_output=True, text=True)
    return done, json.loads((folder / "out.json").read_text()) if done.returncode == 0 else None


@pytest.mark.slow
def test_a_call_goes_on_from_what_the_last_one_kept(tmp_path):
    g = gm.path_star(12, 4)
    _, first = call(tmp_path, "--seconds", "0")
    assert first["step"] == 0 and not first["finished"]
    other = 2 * blockwise.blockwise_flow(g, width=8, steps=2).embeddings[0, 0]  # no run of its own would get here
    checkpoints.write(tmp_path / "kept", {"V": other}, {"settings": first["settings"], "step": 2, "history": []})
    done, rest = call(tmp_path)
    assert rest["finished"] and [row["step"] for row in rest["history"]] == [4, 6], done.stderr
    expected = blockwise.blockwise_flow(g, width=8, steps=6, start=(2, other), snapshots=(4,))
    tensors, _ = checkpoints.read(tmp_path / "kept")
    torch.testing.assert_close(tensors["V"], expected.embeddings[-1, 0], rtol=1e-5, atol=1e-5)
    assert abs(rest["history"][0]["loss"] - float(expected.loss[0])) < 1e-4
    last = rest["history"][-1]
    assert last["first_hop_of_all"] == float(gm.first_hop_accuracy(tensors["V"], g))
    assert last["sample"]["arms"] == 12 and rest["device"] == "cpu" and rest["flops_per_step"] == 6 * 37 * 37 * 8
    refused, _ = call(tmp_path, "--lr", "0.5")
    assert refused.returncode == 2 and "has other settings" in refused.stderr
