"""How far a map reaches: first hops read off the embedding after edges alone, over the length of the arms.

``--model node2vec --lengths 8,10 --steps 2800 --decay 3 --seed 10 --out FILE``; ``--term 10`` adds a Node2Vec term.
"""

import argparse
import json
from pathlib import Path

import torch

import geomem as gm

CORES = {"node2vec": "identity", "linear": "linear", "transformer": "transformer", "mamba": "mamba"}
FACTS = 512


def main() -> None:
    """Train one model per length on its edges alone, measure at eight moments, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", choices=CORES, required=True)
    parser.add_argument("--lengths", required=True, help="nodes of an arm with the root, parted by commas")
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--degree", type=int, default=300)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--decay", type=float, default=0.0, help="of the table alone")
    parser.add_argument("--term", type=float, default=0.0, help="weight of the Node2Vec term")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    lengths = [int(length) for length in options.lengths.split(",")]
    rows = [trained(options, length) for length in lengths]
    names = ("model", "degree", "width", "steps", "decay", "term")
    settings = {name: getattr(options, name) for name in names} | {"lr": 5e-3, "facts": FACTS, "lengths": lengths}
    result = {"settings": settings} | {key: [row[key] for row in rows] for key in rows[0]}
    options.out.write_text(json.dumps(result), encoding="utf8")


def trained(options, length: int) -> dict:
    """Return what the table says of all first hops on the way, and what is recalled at the end."""
    graph, history = gm.path_star(options.degree, length), []
    task = gm.EdgeTask(graph, seed=options.seed)
    model = gm.SequenceModel(task.vocabulary.n_tokens, core=CORES[options.model], width=options.width, seed=options.seed,
                             core_std=gm.recipes.CORE_STD.get(options.model, 0.02))  # fmt: skip
    stage = gm.Stage(options.steps, 5e-3, edges=FACTS, schedule="constant", decay=options.decay, node2vec=options.term)

    def look(step, network):
        if step % (options.steps // 8) == 0:
            table = network.embedding[: graph.n_nodes].detach()
            history.append({"step": step, **read_off(table, graph, options.seed)})

    run = gm.train(model, task, [stage], seed=options.seed, device="cpu", snapshots=[], on_step=look)
    table = model.embedding[: graph.n_nodes].detach()
    nodes = torch.randperm(graph.n_nodes, generator=torch.Generator().manual_seed(options.seed))[:200]
    alone = gm.edge_recall(table[nodes] @ table.T, graph, nodes=nodes)
    return {
        "steps": [row["step"] for row in history],
        **{name: [round(row[name], 4) for row in history] for name in ("nearest", "linear", "cosine")},
        "edge_recall": round(run.history[-1]["edge_recall"], 4),
        "table_recall": round(float(alone), 4),
    }


def read_off(table: torch.Tensor, graph, seed: int) -> dict:
    """Return how often a leaf finds its first hop: the most similar one, and through a linear map fitted on other arms.

    The map, by ridge regression, takes leaves of three quarters of the arms to their first hops; it is asked for the rest,
    among the first hops of all arms. ``cosine`` is the mean cosine of a leaf and its own first hop.
    """
    table = table.double()
    hops, leaves = table[graph.paths[:, 1]], table[graph.paths[:, -1]]
    order = torch.randperm(len(leaves), generator=torch.Generator().manual_seed(seed))
    fit, rest = order[: 3 * len(order) // 4], order[3 * len(order) // 4 :]
    x, y = leaves[fit], hops[fit]
    ridge = 1e-3 * x.square().sum() / x.shape[1]
    moved = leaves[rest] @ torch.linalg.solve(x.T @ x + ridge * torch.eye(x.shape[1]), x.T @ y)
    similar = torch.nn.functional.normalize(moved, dim=-1) @ torch.nn.functional.normalize(hops, dim=-1).T
    return {
        "nearest": float(gm.first_hop_accuracy(table, graph)),
        "linear": float((similar.argmax(-1) == rest).double().mean()),
        "cosine": float(torch.cosine_similarity(leaves, hops, dim=-1).mean()),
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
