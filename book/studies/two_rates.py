"""Facts, then paths alone at two rates, or interleaved as in our recipe: ``--condition apart --seed 10 --out FILE``.

The rates are the paper's, 1e-2 and 5e-5 (appendix D). The facts' warm-up and number of steps were chosen on seed 100:
without warm-up, or in half the steps, the small model forgets its facts as soon as it trains on paths alone.
"""

import argparse
import json
from pathlib import Path

import torch

import geomem as gm

FACTS = gm.Stage(800, 1e-2, warmup=200)
PATHS = gm.Stage(3000, 5e-5, edges=0, paths=128, schedule="constant")
SNAPSHOTS = 60


def main() -> None:
    """Train, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--condition", choices=("apart", "interleaved"), required=True)
    parser.add_argument("--target", choices=("first", "full"), default="first")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    seed = options.seed
    task = gm.PathTask(gm.path_star(500, 5), target=options.target, seed=seed)
    ours = gm.recipes.edges_then_first if options.target == "first" else gm.recipes.edges_then_paths
    stages = [FACTS, PATHS] if options.condition == "apart" else ours(task)
    steps = sum(stage.steps for stage in stages)
    at = sorted({round(steps * (k + 1) / SNAPSHOTS) for k in range(SNAPSHOTS)})
    model = gm.SequenceModel(task.vocabulary.n_tokens, width=32, layers=2, heads=4, seed=seed)
    run = gm.train(model, task, stages, seed=seed, snapshots=at, device="cpu")
    rows = [{key: row[key] for key in ("step", "edge_recall", "train", "test")} for row in run.history]
    settings = {"condition": options.condition, "target": options.target, "stages": [stage.__dict__ for stage in stages]}
    options.out.write_text(json.dumps({"settings": settings, "history": rows}), encoding="utf8")


if __name__ == "__main__":
    main()
