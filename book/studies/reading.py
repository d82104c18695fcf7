"""Reading the map: held-out first hops that lie nearest in the table beside those that a Transformer answers.

``--length 8 --seed 10 --out FILE``
"""

import argparse
import json
from pathlib import Path

import torch

import geomem as gm

DRAWN = 128
PASSES = {"facts": 300, "paths": 400}
"""How often every arm is drawn before the first path, and with paths."""


def main() -> None:
    """Train the map first, then the hardest token on it; write both curves."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--length", type=int, required=True)
    parser.add_argument("--degree", type=int, default=1000)
    parser.add_argument("--term", type=float, default=10.0, help="weight of the Node2Vec term")
    parser.add_argument("--decay", type=float, default=0.0, help="of the table alone")
    parser.add_argument("--path-weight", type=float, default=0.2)
    parser.add_argument("--core-decay", type=float, default=0.01)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--passes", type=float, default=1.0, help="multiplies how often every arm is drawn")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    task = gm.PathTask(gm.path_star(options.degree, options.length), target="first", seed=options.seed)
    model = gm.SequenceModel(
        task.vocabulary.n_tokens, width=options.width, layers=options.layers, heads=1, seed=options.seed
    )
    steps = {name: round(options.passes * passes * options.degree / DRAWN) for name, passes in PASSES.items()}
    shared = dict(arms=DRAWN, node2vec=options.term, decay=options.decay, weight_decay=options.core_decay)
    recipe = [
        gm.Stage(steps["facts"], 5e-3, schedule="constant", **shared),
        gm.Stage(steps["paths"], 5e-3, paths=DRAWN, path_weight=options.path_weight, **shared),
    ]

    def measure(network):
        table = network.embedding[: task.graph.n_nodes].detach()
        found = {name: float(gm.first_hop_accuracy(table, task.graph, leaves=leaves)) for name, leaves in
                 (("nearest", task.test_leaves), ("nearest_validation", task.validation_leaves))}  # fmt: skip
        return {name: round(value, 4) for name, value in found.items()}

    total = sum(steps.values())
    run = gm.train(model, task, recipe, seed=options.seed, device="cpu", measure=measure,
                   snapshots=[total * k // 14 for k in range(1, 15)])  # fmt: skip
    names = ("length", "degree", "term", "decay", "path_weight", "core_decay", "layers", "width", "passes")
    history = {name: [row[name] for row in run.history] for name in ("step", "edge_recall", "nearest", "nearest_validation")}
    for split in ("train", "validation", "test"):
        history[split] = [round(row[split]["answer_accuracy"], 4) for row in run.history]
    result = {"settings": {name: getattr(options, name) for name in names} | {"steps": steps}} | history
    options.out.write_text(json.dumps(result), encoding="utf8")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
