"""Count the steps to full recall of one seed, frozen and learned, on a grid: ``--seed 60 --out FILE``."""

import argparse
import json
import math
from pathlib import Path

import torch

import geomem as gm
from geomem import node2vec

RATES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
STARTS = (0.005, 0.02, 512**-0.5, 0.2, 1.0)
GRAPHS = ("cycle", "path_star")
STEPS = 200


def main() -> None:
    """Train the grid on both graphs, frozen and learned; write one table a measure, rates by starts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--width", type=int, default=512)
    options = parser.parse_args()
    torch.set_num_threads(1)
    settings = {"width": options.width, "rates": RATES, "starts": STARTS, "steps": STEPS, "graphs": GRAPHS}
    result = {"settings": settings}
    for name in GRAPHS:
        result[name] = {
            kind: measured(gm.named_graph(name), options.seed, options.width, kind == "frozen")
            for kind in ("frozen", "learned")
        }
    options.out.write_text(json.dumps(result), encoding="utf8")


def marks() -> list[int]:
    """Return every step up to 30, then steps a tenth apart."""
    return sorted({*range(31), *(round(30 * 1.1**k) for k in range(20)), STEPS})


def measured(g: gm.Graph, seed: int, width: int, frozen: bool) -> dict:
    """Return steps to full recall, and to nine tenths of the loss that can be taken away; 0 stands for never.

    Beside them: whether the last step still recalls everything, and the geometric order there.
    """
    runs = gm.train_ensemble(g, width=width, lr=RATES, init_std=STARTS, frozen=frozen, seeds=[seed], steps=STEPS,
                             schedule="constant", snapshots=marks())  # fmt: skip
    floor = node2vec.entropy_floor(g)
    learned = (math.log(g.n_nodes) - runs.loss) / (math.log(g.n_nodes) - floor)
    table = {
        "recall": gm.reporting.steps_to(runs.steps, runs.edge_recall.T, 1.0).nan_to_num(0.0),
        "loss": gm.reporting.steps_to(runs.steps, learned.T, 0.9).nan_to_num(0.0),
        "kept": (runs.edge_recall[-1] == 1).double(),
        "order": gm.geometric_order(runs.embeddings[-1].nan_to_num(), g),
    }
    return {key: values.view(len(RATES), len(STARTS)).tolist() for key, values in table.items()}


if __name__ == "__main__":
    main()
