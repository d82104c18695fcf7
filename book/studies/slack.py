"""Does the map of tied Node2Vec use the slowest directions of every graph? A search for a counter-example.

``--seed 0 --out FILE``
"""

import argparse
import json
from pathlib import Path

import networkx as nx
import numpy as np
import torch

import geomem as gm
from geomem import most_random_walk

WEIGHTS = ("nodes", "edges")
SIZES = range(8, 31)
WIDE = 0.01
"""Gap accepted, in nats in total: long trees stay above 1e-4 here and there; the largest one is written down."""

LONGEST_TREE = 16
"""On larger trees the search for the most random walk takes half a minute."""

MARGIN = 1e-6
"""Persistences are of order 1 and known to about 1e-10: an order by less than this is a draw."""


def main() -> None:
    """Search the connected graphs of at most seven nodes, and random ones of 8 to 30; write counts and the worst cases."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    families = {"atlas": [("atlas", g) for g in nx.graph_atlas_g() if len(g) > 1 and nx.is_connected(g)]}
    families |= random_graphs(options.seed)
    settings = {
        "seed": options.seed,
        "decay": 0.0,
        "self_edges": False,
        "margin": MARGIN,
        "tol": WIDE,
        "sizes": [SIZES[0], SIZES[-1]],
    }
    result = {"settings": settings} | {weights: searched(families, weights) for weights in WEIGHTS}
    options.out.write_text(json.dumps(result), encoding="utf8")


def random_graphs(seed: int) -> dict:
    """Return three connected graphs a size and family."""
    makers = {
        "tree": lambda n, draw: nx.random_labeled_tree(min(n, LONGEST_TREE), seed=draw),
        "sparse": lambda n, draw: nx.gnm_random_graph(n, int(1.5 * n), seed=draw),
        "dense": lambda n, draw: nx.gnp_random_graph(n, 0.4, seed=draw),
        "circulant": lambda n, draw: nx.circulant_graph(n, sorted(np.random.default_rng(draw).permutation(n // 2)[:3] + 1)),
        "cubic": lambda n, draw: nx.random_regular_graph(3, n + n % 2, seed=draw),
        "hubs": lambda n, draw: nx.barabasi_albert_graph(n, 2, seed=draw),
        "small world": lambda n, draw: nx.connected_watts_strogatz_graph(n, 4, 0.2, seed=draw),
        "communities": lambda n, draw: nx.planted_partition_graph(2, n // 2, 0.7, 0.1, seed=draw),
    }
    graphs = {}
    for name, make in makers.items():
        drawn = [make(n, 1000 * seed + 10 * n + copy) for n in SIZES for copy in range(3)]
        graphs[name] = [(name, g.subgraph(max(nx.connected_components(g), key=len))) for g in drawn]
    return graphs


def searched(families: dict, weights: str) -> dict:
    """Return what was found in every family, and the smallest and the widest graph that breaks the order."""
    found = {name: [measured(graph, weights) for _, graph in graphs] for name, graphs in families.items()}
    counts = {name: summary(rows) for name, rows in found.items()}
    broken = [row for rows in found.values() for row in rows if row["dims"] and row["excess"] > MARGIN]
    crossed = [row for rows in found.values() for row in rows if row["crossed"]]
    regular = [row for row in broken if row["regular"]]
    cases = {
        "smallest": min(broken, key=size, default=None),
        "smallest_regular": min(regular, key=size, default=None),
        "worst": max(broken, key=lambda row: row["excess"], default=None),
        "smallest_crossed": min(crossed, key=size, default=None),
    }
    return {"families": counts, "cases": cases}


def size(row: dict) -> tuple:
    """Order graphs by nodes, then edges, then how clearly they break the order."""
    return row["nodes"], len(row["edges"]), -row.get("excess", 0.0)


def summary(rows: list[dict]) -> dict:
    """Count one family's graphs, and describe how far their maps lie in the slowest directions."""
    maps = [row for row in rows if row["dims"]]
    shares, overlaps = ([row[key] for row in maps] for key in ("leading_energy", "overlap"))
    return {
        "graphs": len(rows),
        "with_map": len(maps),
        "order_broken": sum(row["excess"] > MARGIN for row in maps),
        "crossed": sum(row["crossed"] for row in rows),
        "worst_excess": max((row["excess"] for row in maps), default=None),
        "leading_energy": {"mean": float(np.mean(shares)), "least": min(shares)} if maps else None,
        "overlap": {"mean": float(np.mean(overlaps)), "least": min(overlaps)} if maps else None,
        "least_used_persistence": min((row["used"] for row in maps), default=None),
        "largest_gap": max(row["gap"] for row in rows),
    }


def measured(graph: nx.Graph, weights: str) -> dict:
    """Compare the directions that a graph's map uses with those that it leaves out, the constant one set aside.

    ``used``: least persistence ``e^T sym(diag(w) W) e`` of a unit vector e in the span of the map; ``left``: largest one
    orthogonal to it. ``excess = left - used`` is above 0 where a slower direction is left out. ``crossed``: whether an
    eigenspace (of the same matrix on the complement of the constant direction) is tight and filled by the map, and a slower
    one slack in all its directions and empty.
    ``leading_energy``: share of the map's energy in the slowest ``dims`` directions; ``overlap``: share of its span there.
    """
    g = gm.Graph.from_networkx(graph)
    rest, n = most_random_walk(g, weights=weights, tol=WIDE), g.n_nodes
    A = g.adjacency().numpy()
    flow = A if weights == "edges" else A / A.sum(1, keepdims=True)
    walk = rest.P.numpy() * (A.sum(1, keepdims=True) if weights == "edges" else 1)
    plane = np.linalg.qr(np.ones((n, 1)), mode="complete")[0][:, 1:]  # the complement of the constant direction
    graph_persistence, slack = (plane.T @ (X + X.T) @ plane / 2 for X in (flow, walk - flow))
    gram = plane.T @ rest.gram.numpy() @ plane
    sizes, vectors = np.linalg.eigh(gram)
    left, used = vectors[:, : n - 1 - rest.dims], vectors[:, n - 1 - rest.dims :]
    values, spaces = eigenspaces(graph_persistence)
    leading = projector_on_slowest(spaces, rest.dims)
    of_used, of_left = (np.linalg.eigvalsh(base.T @ graph_persistence @ base) for base in (used, left))
    row = {"nodes": n, "edges": [list(edge) for edge in g.edges.tolist()], "dims": rest.dims, "gap": rest.gap}
    row |= {"regular": len(set(g.degrees.tolist())) == 1, "crossed": crossed(spaces, slack, gram)}
    if rest.dims:
        energy = float(np.trace(leading @ gram) / np.trace(gram))
        row |= {"used": float(of_used[0]), "left": float(of_left[-1]) if of_left.size else None}
        row |= {"excess": row["left"] - row["used"] if of_left.size else -np.inf}
        row |= {"leading_energy": energy, "overlap": float(np.trace(used.T @ leading @ used) / rest.dims)}
    return row


def eigenspaces(matrix: np.ndarray) -> tuple[list[float], list[np.ndarray]]:
    """Return eigenvalues, largest first, and a basis of every eigenspace."""
    values, vectors = np.linalg.eigh(matrix)
    values, vectors = values[::-1], vectors[:, ::-1]
    cuts = np.flatnonzero(-np.diff(values) > 1e-8) + 1
    return [float(part[0]) for part in np.split(values, cuts)], np.split(vectors, cuts, axis=1)


def projector_on_slowest(spaces: list[np.ndarray], dims: int) -> np.ndarray:
    """Project on the ``dims`` slowest directions; a cut eigenspace counts by the share that fits."""
    total = np.zeros((len(spaces[0]), len(spaces[0])))
    for base in spaces:
        fits = min(dims, base.shape[1])
        total += fits / base.shape[1] * base @ base.T
        dims -= fits
    return total


def crossed(spaces: list[np.ndarray], slack: np.ndarray, gram: np.ndarray) -> bool:
    """Say whether an eigenspace that the map fills is tight while a slower one is empty, and slack in all its directions."""
    slower_is_slack = False
    for base in spaces:  # the slowest first
        inside = np.linalg.eigvalsh(base.T @ slack @ base)
        filled = np.linalg.eigvalsh(base.T @ gram @ base)[0] > MARGIN
        if slower_is_slack and filled and np.abs(slack @ base).max() < MARGIN:
            return True
        empty = np.abs(gram @ base).max() < MARGIN
        slower_is_slack |= bool(inside[0] > MARGIN and empty)
    return False


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
