"""Capacity: the least width at which a memory holds every edge of a graph, and of a rewired graph of the same degrees.

``--seed 20 --out FILE``
"""

import argparse
import json
import math
from pathlib import Path

import torch

import geomem as gm
from geomem.graphs import families

GRAPHS = {
    "grid(6, 6)": lambda: gm.grid(6, 6),
    "grid(8, 8)": lambda: gm.grid(8, 8),
    "grid(12, 12)": lambda: gm.grid(12, 12),
    "grid(16, 16)": lambda: gm.grid(16, 16),
    "path-star(12, 13)": lambda: gm.path_star(12, 13),
}
MODELS = {
    "node2vec": {"core": "identity", "init_std": 0.1, "lr": 0.03, "steps": 1000, "first": 2},
    "frozen": {"core": "linear", "frozen": True, "init_std": 1.0, "lr": 0.03, "steps": 1000, "first": 16},
}
RECALL, LARGEST = 0.99, 256


def main() -> None:
    """Search the least width for each graph, rewired or not, and each memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    result = {"settings": {"graphs": list(GRAPHS), "models": MODELS, "recall": RECALL, "largest": LARGEST}}
    for name, make in GRAPHS.items():
        graphs = {"as it is": make(), "rewired": families.rewired(make(), seed=options.seed)}
        result[name] = {where: measured(graph, options.seed) for where, graph in graphs.items()}
        result[name] |= {"facts": 2 * make().n_edges, "bits": bits(make())}
    options.out.write_text(json.dumps(result), encoding="utf8")


def measured(graph, seed: int) -> dict:
    """Return the least width of each memory, and the parameters that it trains there."""
    rows = {}
    for name in MODELS if graph.n_nodes < 200 else ("frozen",):  # the largest are for the law of the look-up alone
        width = least_width(graph, name, seed)
        rows[name] = {"width": width, "parameters": width * graph.n_nodes if name == "node2vec" else width * (width + 1)}
    return rows


def least_width(graph, name: str, seed: int) -> int:
    """Return the least width that recalls, to one part in sixteen: doubled until it does, then by bisection."""
    low, high = 0, MODELS[name]["first"]  # low does not recall
    while not recalls(graph, name, high, seed):
        low, high = high, 2 * high
        if low >= LARGEST:
            raise SystemExit(f"{name} recalls {graph!r} at no width up to {LARGEST}.")
    while high - low > max(1, high // 16):
        width = (low + high) // 2
        low, high = (low, width) if recalls(graph, name, width, seed) else (width, high)
    return high


def recalls(graph, name: str, width: int, seed: int) -> bool:
    """Return whether a memory of that width, trained on all edges, recalls them."""
    how = {key: value for key, value in MODELS[name].items() if key != "first"}
    return bool(gm.train_ensemble(graph, width=width, seeds=[seed], **how).edge_recall[-1, 0] >= RECALL)


def bits(graph) -> dict:
    """Return what it takes to say which graph: one of that shape, or one of those degrees (configuration model)."""
    log2 = math.log2(math.e)
    n, degrees, ends = graph.n_nodes, graph.degrees.tolist(), 2 * graph.n_edges
    same = 8 if "grid" in graph.name else math.factorial(len(graph.paths))  # what maps the shape to itself
    shape = math.lgamma(n + 1) - math.log(same)
    pairings = math.lgamma(ends + 1) - math.lgamma(graph.n_edges + 1) - graph.n_edges * math.log(2)
    fair = sum(d * (d - 1) for d in degrees) / (2 * ends)  # Bollobas: the share of pairings that are graphs
    given = pairings - sum(math.lgamma(d + 1) for d in degrees) - fair - fair**2
    return {"as it is": shape * log2, "rewired": given * log2}


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
