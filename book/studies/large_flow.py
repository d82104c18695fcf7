"""The exact flow of Node2Vec on a large path-star, in calls that go on where the last one stopped.

``--degree 10000 --length 10 --dim 128 --steps 10000 --seconds 540 --checkpoint DIR --out FILE``
"""

import argparse
import json
import platform
import time
from pathlib import Path

import torch

import geomem as gm
from geomem.measures import sampled
from geomem.node2vec import blockwise
from geomem.training import checkpoints, cost


def main() -> None:
    """Take segments of steps until the time or the steps are used up; look, keep and write after each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, kind, value in (("degree", int, None), ("length", int, None), ("dim", int, 128), ("steps", int, 10_000),
                              ("segment", int, 50), ("lr", float, 0.01), ("seed", int, 0), ("arms", int, 500)):  # fmt: skip
        parser.add_argument(f"--{name}", type=kind, default=value, required=value is None)
    parser.add_argument("--seconds", type=float, default=540, help="of this call; the rest is for the next")
    parser.add_argument("--precision", choices=tuple(blockwise.PRECISIONS), default="bf16")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--checkpoint", required=True, metavar="DIR")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    begin, folder = time.perf_counter(), checkpoints.folder_of(options.checkpoint)
    g = gm.path_star(options.degree, options.length)
    settings = {name: getattr(options, name) for name in ("dim", "steps", "segment", "lr", "seed", "precision")}
    settings |= {"graph": g.name, "n_nodes": g.n_nodes}
    state = {"settings": settings, "step": 0, "history": []}
    start = None
    if (folder / checkpoints.NAME).exists():
        tensors, state = checkpoints.read(folder)
        if state["settings"] != settings:
            parser.exit(2, f"checkpoint must be of this run, but {folder} has other settings. Choose another.\n")
        start = (state["step"], tensors["V"])
    while state["step"] < options.steps and time.perf_counter() - begin < options.seconds:
        until = min(state["step"] + options.segment, options.steps)
        asked = {name: settings[name] for name in ("lr", "seed", "precision")} | {"width": settings["dim"]}
        before = time.perf_counter()
        flow = blockwise.blockwise_flow(g, steps=until, start=start, device=options.device, **asked)
        seconds = time.perf_counter() - before
        start, V = (until, flow.embeddings[-1, 0]), flow.embeddings[-1, 0]
        row = {"step": until, "seconds_per_step": seconds / (until - state["step"]), "loss": float(flow.loss[-1, 0])}
        state["history"].append(row | measured(V, g, options.arms, options.seed))
        state["step"] = until
        checkpoints.write(folder, {"V": V}, state)
        print(json.dumps(state["history"][-1]), flush=True)
    name = gm._checks.device_name(options.device)
    about = {"device": name, "versions": {"python": platform.python_version(), "torch": torch.__version__}}
    best = min((row["seconds_per_step"] for row in state["history"]), default=None)
    flops, peak = blockwise.flops_per_step(g.n_nodes, options.dim), cost.rate_of(cost.PEAKS, name)
    about |= {"flops_per_step": flops, "utilisation": flops / best / peak if peak and best else None}
    about |= {
        "peak_memory": torch.cuda.max_memory_allocated() if name != "cpu" else None,
        "finished": state["step"] == options.steps,
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    checkpoints.write_whole(options.out, json.dumps(state | about) + "\n")


def measured(V: torch.Tensor, g: gm.Graph, arms: int, seed: int) -> dict:
    """Return the nearest first hop among all, for a sample of leaves, and the measures of the sample's own star."""
    drawn = torch.randperm(len(g.paths), generator=torch.Generator().manual_seed(seed))[:arms]
    table, star = sampled.sub_star(V, g, g.paths[drawn][:, 1:])
    of_all = float(gm.first_hop_accuracy(V, g, leaves=g.paths[drawn][:, -1]))
    return {"first_hop_of_all": of_all, "sample": {"arms": len(drawn)} | sampled.star_measures(table, star)}


if __name__ == "__main__":
    main()
