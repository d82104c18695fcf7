"""The headroom of Transformer and Mamba on the tiny graphs: a Node2Vec term on their own table, decay of it, both, neither.

``--seed 70 --out FILE``
"""

import argparse
import json
from pathlib import Path

import torch

import geomem as gm

STEPS = {"path_star": 500, "grid": 500, "cycle": 700, "irregular": 1500}
CONDITIONS = {
    "neither": {},
    "decay": {"decay": 1.0},
    "term": {"node2vec": 1.0},
    "both": {"decay": 1.0, "node2vec": 1.0},
}
STRICT = {"min_hops": 3, "parity": "same"}


def main() -> None:
    """Train every model on every graph under every condition; write what its table shows and what it recalls."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    result = {"settings": {"steps": STEPS, "conditions": CONDITIONS, "width": 32, "layers": 1, "lr": 0.01}}
    for name in STEPS:
        graph = gm.named_graph(name)
        rows = {"node2vec": {c: trained(graph, "identity", c, options.seed) for c in ("neither", "decay")}}
        rows |= {core: {c: trained(graph, core, c, options.seed) for c in CONDITIONS} for core in ("transformer", "mamba")}
        result[name] = rows | {"nulls": nulls(graph, options.seed)}
    options.out.write_text(json.dumps(result), encoding="utf8")


def trained(graph, core: str, condition: str, seed: int) -> dict:
    """Return measures of one trained table, and the recall of the model and of the table alone."""
    task = gm.EdgeTask(graph, seed=seed)
    model = gm.SequenceModel(task.vocabulary.n_tokens, core=core, width=32, layers=1, heads=1, seed=seed,
                             core_std=gm.recipes.CORE_STD.get(core, 0.02))  # fmt: skip
    stage = gm.Stage(STEPS[name_of(graph)], 0.01, edges=len(task.edges), weight_decay=0.0, **CONDITIONS[condition])
    run = gm.train(model, task, [stage], seed=seed, device="cpu", snapshots=[])
    table = model.embedding[: graph.n_nodes].detach()
    return measured(table, graph) | {"edge_recall": run.history[-1]["edge_recall"]}


def name_of(graph) -> str:
    """Return the name under which a tiny graph stands in STEPS."""
    return next(name for name in STEPS if gm.named_graph(name).name == graph.name)


def measured(table, graph) -> dict:
    """Return order, strict order, Fiedler energy, and the recall of the table's own products."""
    table = table.double()
    return {
        "order": float(gm.geometric_order(table, graph)),
        "strict": float(gm.geometric_order(table, graph, **STRICT)),
        "fiedler": float(gm.Spectrum(graph).fiedler_energy(table)),
        "table_recall": float(gm.edge_recall(table @ table.T, graph)),
    }


def nulls(graph, seed: int) -> dict:
    """Return the same measures of one random table, and of one local one: each node the sum of its neighbours' vectors."""
    noise = torch.randn(graph.n_nodes, 32, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return {"random": measured(noise, graph), "local": measured(graph.adjacency() @ noise, graph)}


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
