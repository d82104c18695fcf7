"""How far geometry reaches: nearest first hops after edges alone, over the length of the arms.

``--model transformer|mamba|node2vec --seed 0 --out FILE``
"""

import argparse
import json
from pathlib import Path

import torch

import geomem as gm

LENGTHS = (4, 5, 6, 7, 8, 9, 10)
STEPS = {"transformer": 400, "mamba": 400, "node2vec": 3000}
WIDTH = {"transformer": 32, "mamba": 32, "node2vec": 100}


def main() -> None:
    """Train one model a length on its edges alone, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=STEPS, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--degree", type=int, default=30)
    options = parser.parse_args()
    rows = [measured(options.model, options.degree, length, options.seed) for length in LENGTHS]
    settings = {"model": options.model, "degree": options.degree, "steps": STEPS[options.model], "width": WIDTH}
    result = {"settings": settings, "lengths": list(LENGTHS)} | {key: [row[key] for row in rows] for key in rows[0]}
    options.out.write_text(json.dumps(result), encoding="utf8")


def measured(model, degree, length, seed) -> dict:
    """Return nearest first hops of all leaves and edge recall, halfway and at the end."""
    g, steps = gm.path_star(degree, length), STEPS[model]
    if model == "node2vec":
        flow = gm.gradient_flow(g, width=WIDTH[model], lr=0.01, steps=steps, seeds=[seed], snapshots=[steps // 2])
        tables, recall = flow.embeddings[:, 0], gm.edge_recall(flow.scores(), g)
    else:
        task, tables = gm.PathTask(g, target="first", seed=seed), []

        def keep(step, network):
            if step in (steps // 2, steps):
                tables.append(network.embedding[: g.n_nodes].detach().clone())

        network = gm.SequenceModel(task.vocabulary.n_tokens, core=model, width=WIDTH[model], seed=seed,
                                   core_std=gm.recipes.CORE_STD[model])  # fmt: skip
        stage = gm.Stage(steps, 5e-3, edges=min(512, len(task.edges)), schedule="constant")
        run = gm.train(network, task, [stage], seed=seed, device="cpu", snapshots=[], on_step=keep)
        recall = run.history[-1]["edge_recall"]
    halfway, end = (float(gm.first_hop_accuracy(table, g)) for table in tables)
    return {"halfway": halfway, "end": end, "edge_recall": float(recall)}


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
