"""What a map is good for: held-out edges (discovery), one edge replaced (editing), one edge taken out (forgetting).

``--question discovery|editing|forgetting --seed 20 --out FILE``
"""

import argparse
import json
import random
from pathlib import Path

import networkx as nx
import torch

import geomem as gm
from geomem.graphs import families
from geomem.measures import discover, pair_scores, recalled_facts, ripple
from geomem.training import edit_facts, fact_scores, forget_facts

WIDTH, LR, EDIT_LR, EDIT_STEPS = 32, 0.01, 0.003, 1500
STEPS = {"identity": 800, "transformer": 500}
MODELS = {
    "frozen": {"frozen": True},
    "transformer": {},
    "term 1": {"node2vec": 1.0},
    "node2vec": {"core": "identity"},
}
MAPS = ("term 1", "node2vec")
STRICT = {"min_hops": 3, "parity": "same"}
DISCOVERY = {"cycle": 1 / 15, "karate": 0.1, "grid": 0.1}
GRAPHS = ("cycle", "karate", "path_star")


def graph_of(name: str):
    """Return a graph by name; the grid is six by six, so that its held-out edges are more than two."""
    return gm.grid(6, 6) if name == "grid" else gm.named_graph(name)


def main() -> None:
    """Answer one question for one seed, graph by graph."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--question", choices=("discovery", "editing", "forgetting"), required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    answer = {"discovery": discovered, "editing": edited, "forgetting": forgotten}[options.question]
    names = DISCOVERY if options.question == "discovery" else GRAPHS
    settings = dict(steps=STEPS, models=MODELS, width=WIDTH, lr=LR, edit_lr=EDIT_LR, edit_steps=EDIT_STEPS)
    result = {"settings": settings} | {name: answer(name, options.seed) for name in names}
    options.out.write_text(json.dumps(result), encoding="utf8")


def trained(graph, name: str, seed: int):
    """Return a model trained on all edges of a graph."""
    how = {"core": "transformer", "frozen": False, "node2vec": 0.0} | MODELS[name]
    model = gm.SequenceModel(gm.Vocabulary(graph.n_nodes).n_tokens, core=how["core"], width=WIDTH, layers=1, heads=1,
                             frozen=how["frozen"], init_std=WIDTH**-0.5 if how["frozen"] else 0.02, context=2, seed=seed,
                             core_std=gm.recipes.CORE_STD.get(how["core"], 0.02))  # fmt: skip
    task = gm.EdgeTask(graph, seed=seed)
    stage = gm.Stage(STEPS[how["core"]], LR, edges=len(task.edges), weight_decay=0.0, node2vec=how["node2vec"])
    gm.train(model, task, [stage], seed=seed, device="cpu", snapshots=[])
    return model


def table_of(model, graph):
    """Return the rows of the nodes."""
    return model.embedding[: graph.n_nodes].detach().double()


def nulls(graph, seed: int) -> dict:
    """Return a random table, and the local one: each node the sum of its neighbours' random vectors."""
    noise = torch.randn(graph.n_nodes, WIDTH, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return {"random": noise, "local": graph.adjacency() @ noise}


def strict(table, graph) -> float | None:
    """Return the strict order; None on a graph so small across that it has none."""
    try:
        return float(gm.geometric_order(table, graph, **STRICT))
    except ValueError:
        return None


def base(model, graph) -> dict:
    """Return how much of a map a trained model is, and what it recalls."""
    scores = fact_scores(model, graph.n_nodes).detach()
    return {"strict": strict(table_of(model, graph), graph), "edge_recall": float(gm.edge_recall(scores, graph))}


def without_edges(graph, pairs, new=()):
    """Return the graph with other edges: some taken out, some put in."""
    out = {frozenset(pair) for pair in pairs}
    kept = [tuple(edge) for edge in graph.edges.tolist() if frozenset(edge) not in out]
    return gm.Graph(n_nodes=graph.n_nodes, edges=[*kept, *new], name=f"{graph.name}, edited")


def discovered(name: str, seed: int) -> dict:
    """Hold edges out and rank them: by every model, on a rewired graph too, by classical predictors and by null tables."""
    result = {}
    for where in ("graph", "rewired") if name != "cycle" else ("graph",):  # a rewired ring is rings
        graph = graph_of(name) if where == "graph" else families.rewired(graph_of(name), seed=seed)
        held = gm.EdgeTask(graph, held_out=DISCOVERY[name], seed=seed).held_edges
        known = without_edges(graph, held.tolist())
        rows = {}
        for model_name in MODELS if where == "graph" else MAPS:
            model = trained(known, model_name, seed)
            said = discover(pair_scores(fact_scores(model, graph.n_nodes)), known, held)
            seen = discover(gm.cosines(table_of(model, known)), known, held)
            rows[model_name] = base(model, known) | _row(said) | {"auc_of_table": float(seen.auc)}
        result[where] = rows
    graph = graph_of(name)
    held = gm.EdgeTask(graph, held_out=DISCOVERY[name], seed=seed).held_edges
    known = without_edges(graph, held.tolist())
    result["classical"] = {key: _row(discover(table, known, held)) for key, table in classical(known).items()}
    result["nulls"] = {key: _row(discover(gm.cosines(E), known, held)) for key, E in nulls(known, seed).items()}
    return result


def _row(found) -> dict:
    return {key: float(value) for key, value in found._asdict().items()}


def classical(graph) -> dict:
    """Return the tables of networkx's predictors, and minus the hop distance."""
    net, n = graph.to_networkx(), graph.n_nodes
    net = nx.relabel_nodes(net, {label: k for k, label in enumerate(net.nodes)})
    pairs = [(u, v) for u in range(n) for v in range(u + 1, n)]
    common = ((u, v, len(list(nx.common_neighbors(net, u, v)))) for u, v in pairs)
    scores = {"common neighbours": common, "Adamic-Adar": nx.adamic_adar_index(net, pairs)}
    scores |= {"preferential attachment": nx.preferential_attachment(net, pairs)}
    tables = {"shortest path": -graph.hops().double()}
    for key, triples in scores.items():
        table = torch.zeros(n, n, dtype=torch.float64)
        for u, v, score in triples:
            table[u, v] = table[v, u] = score
        tables[key] = table
    return tables


def drawn_edit(graph, rng: random.Random):
    """Draw an edge u-v and a node w three or more hops from u, such that the edited graph is connected."""
    hops = graph.hops()
    while True:
        u, v = rng.sample(rng.choice(graph.edges.tolist()), 2)
        far = (hops[u] >= 3).nonzero().flatten().tolist()
        after = without_edges(graph, [(u, v)], [(u, rng.choice(far))]) if far and min(graph.degrees[[u, v]]) > 1 else None
        if after is None or (after.hops() < 0).any():
            continue
        w = int(after.edges[-1, 1])
        others = [k for k in range(graph.n_nodes) if k not in (u, v, w)]
        moved = (after.hops() != hops)[others][:, others]
        distance = hops[[u, v, w]].amin(0)
        if int(moved.sum()) >= 20 and (distance >= 2).any():  # ten pairs
            return (u, v, w), after, distance


def edited(name: str, seed: int) -> dict:
    """Replace one edge, by steps on the new edge alone and with rehearsal; measure what else changed."""
    graph, rng = graph_of(name), random.Random(seed)
    named, after, distance = drawn_edit(graph, rng)
    u, v, w = named
    others = [(other[0], other[1]) for other in (drawn_edit(graph, rng) for _ in range(20))]
    result = {"models": {}, "nulls": {}}
    for key, table in nulls(graph, seed).items():
        result["nulls"][key] = strict(table, graph)
    for model_name in MODELS:
        model = trained(graph, model_name, seed)
        before = pair_scores(fact_scores(model, graph.n_nodes))
        row = base(model, graph)
        for way in ("alone", "rehearsed"):
            edit = edit_facts(model, after, [(u, w), (w, u)], rehearse=way == "rehearsed", lr=EDIT_LR, steps=EDIT_STEPS)
            change = pair_scores(edit.scores) - before
            row[way] = {"steps": edit.steps, "reached": edit.reached} | recalls(edit.scores, graph, after, distance, named)
            row[way]["ripple"] = float(ripple(change, graph, after, without=named))
            null = other_ripples(change, graph, named, others)
            row[way]["ripple_null"] = sum(null) / len(null)
            table = table_of(edit.model, graph)
            row[way] |= {"strict": strict(table, graph)}
            row[way] |= {f"order_{key}": float(gm.geometric_order(table, g)) for key, g in (("old", graph), ("new", after))}
        result["models"][model_name] = row
    return result


def other_ripples(change, graph, named, others) -> list[float]:
    """Return the same correlation with the hops of other edits; one that moves no counted pair is passed over."""
    found = []
    for nodes, other in others:
        try:
            found.append(float(ripple(change, graph, other, without=(*named, *nodes))))
        except ValueError:
            continue
    return found


def recalls(scores, graph, after, distance, named) -> dict:
    """Return the recall of the edited graph, of facts that were not touched, by distance from the edit, and of the old."""
    kept = (graph.adjacency() * after.adjacency()).bool()
    right, (u, v, _) = recalled_facts(scores, after), named
    near = distance.clamp(max=2)
    return {
        "edge_recall": float(gm.edge_recall(scores, after)),
        "untouched": float(right[kept].mean()),
        "by_distance": [float(right[near == k][kept[near == k]].mean()) for k in range(3)],
        "old_fact": float(recalled_facts(scores, graph)[[u, v], [v, u]].mean()),
    }


def forgotten(name: str, seed: int) -> dict:
    """Take one edge out; look for it in the table, beside the same model trained without it; teach it and a fresh one."""
    graph, rng = graph_of(name), random.Random(seed)
    u, v = rng.choice([edge for edge in graph.edges.tolist() if min(graph.degrees[edge]) > 1])
    after = without_edges(graph, [(u, v)])
    pairs = alike(after, (u, v))
    edge = [(u, v), (v, u)]

    def median(scores) -> bool:
        believed = pair_scores(scores)
        return bool(believed[u, v] <= believed[pairs[:, 0], pairs[:, 1]].median())

    result = {"models": {}, "pairs": len(pairs)}
    for model_name in ("frozen", *MAPS):
        model, fresh_model = trained(graph, model_name, seed), trained(after, model_name, seed)
        row = base(model, graph) | {"before": place(gm.cosines(table_of(model, graph)), (u, v), pairs)}
        row["retrained"] = ranks(fresh_model, after, (u, v), pairs)
        how = dict(lr=EDIT_LR, steps=EDIT_STEPS)
        chance = forget_facts(model, after, edge, rehearse=True, **how)
        row["chance"] = ranks(chance.model, after, (u, v), pairs) | {"steps": chance.steps, "reached": chance.reached}
        for way in ("alone", "rehearsed"):
            gone = forget_facts(model, after, edge, rehearse=way == "rehearsed", until=median, **how)
            row[way] = {"steps": gone.steps, "reached": gone.reached} | ranks(gone.model, after, (u, v), pairs)
        believed = pair_scores(gone.scores)
        nearest = (believed[pairs[:, 0], pairs[:, 1]] - believed[u, v]).abs().argmin()
        x, y = pairs[nearest].tolist()
        again = edit_facts(gone.model, graph, edge, **how)
        new = edit_facts(gone.model, without_edges(after, [], [(x, y)]), [(x, y), (y, x)], **how)
        row["relearned"] = {"again": again.steps, "fresh": new.steps, "reached": again.reached and new.reached}
        result["models"][model_name] = row
    return result


def alike(after, edge):
    """Return the never-trained pairs as far apart as the forgotten edge without it, and nearer ones until there are five."""
    hops = torch.where(after.hops() < 0, after.n_nodes, after.hops()).triu(1)
    hops[tuple(sorted(edge))] = 0
    own = int(torch.where(after.hops() < 0, after.n_nodes, after.hops())[edge])
    for least in range(own, 1, -1):
        pairs = ((hops >= least) & (hops <= own)).nonzero()
        if len(pairs) >= 5:
            break
    return pairs


def place(table, edge, pairs) -> float:
    """Return the share of the pairs that the edge lies above, ties half."""
    gap = table[edge] - table[pairs[:, 0], pairs[:, 1]]
    return float(((gap > 1e-6).double() + 0.5 * (gap.abs() <= 1e-6).double()).mean())


def ranks(model, after, edge, pairs) -> dict:
    """Return the place of the edge by the table's cosines and by the model's answers, and the recall of all other facts."""
    scores = fact_scores(model, after.n_nodes).detach()
    return {
        "table": place(gm.cosines(table_of(model, after)), edge, pairs),
        "answers": place(pair_scores(scores), edge, pairs),
        "edge_recall": float(gm.edge_recall(scores, after)),
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
