"""Facts and whole paths from the first step on the paper's star of 20,001 nodes, by drawn arms: ``--seed 5 --out FILE``.

As many looks at each fact as the recipe ``few_arms`` has in both of its stages, at its rate; the weight of the paths is that
of the study ``tandem``.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import torch

import geomem as gm

PATH_WEIGHT = 0.03
SNAPSHOTS = 30


def main() -> None:
    """Train, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--degree", type=int, default=5000)
    parser.add_argument("--length", type=int, default=5)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    task = gm.PathTask(gm.path_star(options.degree, options.length), target="full", seed=options.seed)
    facts, paths = gm.recipes.few_arms(task)
    stage = replace(paths, steps=facts.steps + paths.steps, path_weight=PATH_WEIGHT)
    model = gm.SequenceModel(task.vocabulary.n_tokens, width=32, heads=1, seed=options.seed)
    at = [round(stage.steps * k / SNAPSHOTS) for k in range(1, SNAPSHOTS + 1)]
    run = gm.train(model, task, [stage], seed=options.seed, snapshots=at, device="cpu")
    rows = [{key: row[key] for key in ("step", "edge_recall", "train", "test")} for row in run.history]
    result = {"settings": run.settings, "seconds": run.history[-1]["seconds"], "history": rows}
    for name in ("seed", "snapshots"):
        del result["settings"][name]
    del result["settings"]["task"]["seed"], result["settings"]["model"]["seed"]
    options.out.write_text(json.dumps(result), encoding="utf8")


if __name__ == "__main__":
    main()
