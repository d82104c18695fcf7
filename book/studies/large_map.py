"""Train the hardest token on 2,000 arms, by steps on drawn arms, and measure the map: ``--seed 10 --out FILE``."""

import argparse
import json
from pathlib import Path

import torch

import geomem as gm
from geomem.measures import local_table, random_table


def main() -> None:
    """Train, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--degree", type=int, default=2000)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    task = gm.PathTask(gm.path_star(options.degree, 5), target="first", seed=options.seed)
    model = gm.SequenceModel(task.vocabulary.n_tokens, width=32, heads=1, seed=options.seed)
    run = gm.train(model, task, gm.recipes.few_arms(task), seed=options.seed, device="cpu", snapshots=[])
    graph, width = task.graph, model.embedding.shape[1]
    tables = {"learned": model.embedding[: graph.n_nodes].detach()}
    tables |= {"random": random_table(graph, width, options.seed), "local": local_table(graph, width, options.seed)}
    result = {"settings": run.settings, "edge_recall": run.history[-1]["edge_recall"], "test": run.history[-1]["test"]}
    for name, table in tables.items():
        result[name] = {
            "arm_separation": float(gm.arm_separation(table, graph, leaves=task.test_leaves)),
            "nearest_first_hop": float(gm.first_hop_accuracy(table, graph, leaves=task.test_leaves)),
        }
    options.out.write_text(json.dumps(result), encoding="utf8")


if __name__ == "__main__":
    main()
