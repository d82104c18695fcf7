"""Two phases at the paper's two rates, beside interleaving: ``--condition two|interleaved --seed 10 --out FILE``."""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import torch

import geomem as gm

FACTS, PATHS = 1e-2, 5e-5
STEPS = 2500


def main() -> None:
    """Train, and write the held-out first hops and the edge recall along the second stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--condition", choices=("two", "interleaved"), required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--degree", type=int, default=500)
    options = parser.parse_args()
    torch.set_num_threads(1)
    task = gm.PathTask(gm.path_star(options.degree, 5), target="first", seed=options.seed)
    model = gm.SequenceModel(task.vocabulary.n_tokens, width=32, seed=options.seed)
    facts, paths = gm.recipes.edges_then_first(task)
    if options.condition == "two":
        facts = replace(facts, lr=FACTS, schedule="cosine")
        paths = replace(paths, lr=PATHS, steps=STEPS, edges=0, path_weight=1.0)
    at = [facts.steps + round(paths.steps * k / 25) for k in range(26)]
    run = gm.train(model, task, [facts, paths], seed=options.seed, device="cpu", snapshots=at)
    history = [
        {"step": r["step"], "edge_recall": r["edge_recall"], "test": r["test"], "train": r["train"]} for r in run.history
    ]
    result = {"settings": run.settings, "answer_accuracy": history[-1]["test"]["answer_accuracy"], "history": history}
    result["best"] = max(row["test"]["answer_accuracy"] for row in history)
    options.out.write_text(json.dumps(result), encoding="utf8")


if __name__ == "__main__":
    main()
