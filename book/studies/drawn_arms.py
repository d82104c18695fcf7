"""Steps on drawn arms beside steps over all tokens, on 2,000 arms: ``--condition "all tokens" --seed 5 --out FILE``.

Rate, schedule, number of steps, and facts and paths of a step are the same. What differs is which tokens an answer is
compared with, and when a row of the table is updated.
"""

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path

import torch

import geomem as gm

CONDITIONS = ("all tokens", "128 arms")


def main() -> None:
    """Train, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--condition", choices=CONDITIONS, required=True)
    parser.add_argument("--degree", type=int, default=2000)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    task = gm.PathTask(gm.path_star(options.degree, 5), target="first", seed=options.seed)
    stages = gm.recipes.few_arms(task)
    if options.condition == "all tokens":
        stages = [over_all_tokens(stage, task) for stage in stages]
    model = gm.SequenceModel(task.vocabulary.n_tokens, width=32, heads=1, seed=options.seed)
    run = gm.train(model, task, stages, seed=options.seed, snapshots=[], device="cpu")
    table, last = run.model.embedding[: task.graph.n_nodes].detach(), run.history[-1]
    measured = {
        "held_out": last["test"]["answer_accuracy"],
        "trained": last["train"]["answer_accuracy"],
        "edge_recall": last["edge_recall"],
        "nearest": float(gm.first_hop_accuracy(table, task.graph, leaves=task.test_leaves)),
        "separation": float(gm.arm_separation(table, task.graph, leaves=task.test_leaves)),
        "fiedler_energy": float(gm.spectral.path_star_fiedler_energy(table, task.graph)),
    }
    settings = {"degree": options.degree, "length": 5, "stages": [asdict(stage) for stage in stages]}
    options.out.write_text(json.dumps({"settings": settings, "seconds": last["seconds"]} | measured), encoding="utf8")


def over_all_tokens(stage: gm.Stage, task: gm.PathTask) -> gm.Stage:
    """Return the same stage with as many facts and paths per step, and every token a candidate."""
    share = stage.arms / len(task.graph.paths)
    paths = min(stage.paths, round(share * task.n_paths))
    return replace(stage, arms=0, edges=round(share * len(task.edges)), paths=paths)


if __name__ == "__main__":
    main()
