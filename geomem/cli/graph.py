"""The command ``geomem graph``: look at a file of facts before anything is trained on it."""

import argparse
import json
import time
import warnings

import networkx as nx
import torch

from .. import _checks
from ..graphs import Graph, named_graph, read_edges
from ..models import SequenceModel
from ..tasks import EdgeTask
from ..training import Stage, cost, train, train_ensemble

SAMPLE = 200
"""Nodes whose distances are looked at where a graph is too large for all."""
STEPS, BATCH = 500, 512
"""Steps whose seconds are foretold, and facts of a step where a graph is too large for all at once."""


def add_graph(commands) -> None:
    """Add ``graph``."""
    p = commands.add_parser("graph", help="look at a graph, or a file of facts, before you train on it")
    p.set_defaults(run=_graph)
    p.add_argument("file", metavar="FILE", help="a file of facts, or a graph's name such as karate")
    add_reading(p)
    p.add_argument("--no-seconds", action="store_true", help="do not measure how long training would take")
    p.add_argument("--json", action="store_true", help="print one JSON object and nothing else")


def add_reading(p: argparse.ArgumentParser) -> None:
    """Add the options that say how a file of facts is written."""
    p.add_argument("--columns", nargs=2, metavar=("A", "B"), help="columns of the names, by number from 0 or by title")
    p.add_argument("--header", action=argparse.BooleanOptionalAction, help="whether the first row holds titles")
    p.add_argument("--sep", help="what separates columns; ' ' means any white space, 'tab' a tab")
    p.add_argument("--comments", default="#", help="how a row begins that is no data; '' for none [%(default)s]")
    p.add_argument("--self-loops", choices=("drop", "error"), default="drop", help="what to do with them [%(default)s]")


def graph_of(args) -> tuple[Graph, list[str]]:
    """Return the graph that the options name, and what a warning said about it.

    Args:
        args: Parsed options, of ``add_reading`` and ``file``.
    """
    columns = args.columns and tuple(int(c) if c.isdecimal() else c for c in args.columns)
    options = {"columns": columns, "header": args.header, "sep": {"tab": "\t"}.get(args.sep, args.sep)}
    options |= {"comments": args.comments or None, "self_loops": args.self_loops}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        if any(mark in args.file for mark in "./\\"):
            return read_edges(args.file, **options), [str(w.message) for w in caught]
        return named_graph(args.file), []


def _graph(args) -> None:
    """Say what is there."""
    g, warned = graph_of(args)
    about = look(g)
    if not args.no_seconds:
        about["seconds"] = round(seconds_of(g), 2)
    if args.json:
        print(json.dumps({"source": g.source, "warnings": warned} | about, allow_nan=False))
    else:
        print("\n".join(_lines(g, warned, about)))


def look(graph: Graph) -> dict:
    """Return what to know about a graph before training, by name.

    Args:
        graph: Any graph.

    Returns:
        Counts; ``hubs``, the best connected nodes with their degrees; ``distances``, how many pairs are at each number of
        hops, from a sample of nodes where the graph is large; ``measures``, for each measure None or why it says nothing.

    Source:
        Ours.
    """
    degrees, sizes = graph.degrees, graph.components().bincount().sort(descending=True).values
    distances = distances_of(graph)
    hubs = degrees.argsort(descending=True, stable=True)[:5].tolist()
    return {
        "nodes": graph.n_nodes,
        "edges": graph.n_edges,
        "components": len(sizes),
        "largest_component": int(sizes[0]),
        "degrees": {"least": int(degrees.min()), "mean": float(degrees.double().mean()), "most": int(degrees.max())},
        "leaves": int((degrees == 1).sum()),
        "hubs": [[graph.labels[u], int(degrees[u])] for u in hubs] if degrees.min() < degrees.max() else [],
        "bipartite": nx.is_bipartite(nx.Graph(graph.edges.tolist())),
        "distances": distances,
        "measures": measures_of(graph, distances),
    }


def distances_of(graph: Graph) -> dict[int, int]:
    """Return how many pairs lie at 1, 2, ... hops; of a large graph, those that begin at a fixed sample of nodes."""
    if graph.n_nodes <= _checks.DENSE_LIMIT:
        hops = graph.hops().triu(1)
    else:
        hops = graph.hops(torch.randperm(graph.n_nodes, generator=torch.Generator().manual_seed(0))[:SAMPLE])
    counts = hops[hops > 0].bincount()
    return {k: int(count) for k, count in enumerate(counts.tolist()) if count}


def measures_of(graph: Graph, distances: dict[int, int]) -> dict[str, str | None]:
    """Return for each kind of measure None where it means something on a graph, or the reason why it does not."""
    complete = (graph.degrees == graph.n_nodes - 1).all()
    far = [k for k in distances if k >= 2]
    strict = any(len([k for k in distances if k >= 3 and k % 2 == odd]) > 1 for odd in (0, 1))
    trees = "" if graph.root is None else None
    return {
        "edge recall": "every node is joined to every other: all answers are right" if complete else None,
        "geometric contrast": "there is no pair that is no edge" if complete else None,
        "geometric order": None if len(far) > 1 else "pairs that are no edge lie at "
        + (f"one distance only, {far[0]} hops" if far else "no distance at all"),
        "strict order": None if strict else "there are not two even, nor two odd, distances of 3 or more hops",
        "first hops": None if trees is None else "the graph has no root",
    }  # fmt: skip


def seconds_of(graph: Graph) -> float:
    """Return roughly how many seconds 500 steps of a linear net take here, from a few steps measured now.

    Args:
        graph: Any graph. Up to 5,000 nodes a step is ``train_ensemble``'s, all facts at once, width 32, one seed; beyond,
            it is ``train``'s, 512 facts at a time.

    Source:
        Ours.
    """
    if graph.n_nodes > _checks.DENSE_LIMIT:
        task, stage = EdgeTask(graph), Stage(3, 1e-6, edges=min(BATCH, 2 * graph.n_edges))
        model = SequenceModel(task.vocabulary.n_tokens, core="linear", width=32)
        result = train(model, task, [stage], snapshots=[], device="cpu", precision="float32")
        return STEPS / stage.steps * result.history[-1]["seconds"]
    times = []
    for steps in (1, 4):  # the difference leaves out what happens once
        start = time.perf_counter()
        train_ensemble(graph, steps=steps, seeds=[100], snapshots=())
        times.append(time.perf_counter() - start)
    return STEPS * max(times[1] - times[0], times[1] / 100) / 3


def _lines(graph: Graph, warned: list[str], about: dict) -> list[str]:
    """Return the same in words."""
    degrees, far = about["degrees"], about["distances"]
    one = about["components"] == 1
    pieces = (
        "in one piece" if one else f"in {about['components']:,} pieces, the largest of {about['largest_component']:,} nodes"
    )
    lines = [graph.source or repr(graph)]
    lines += [f"Attention: {text}" for text in warned]
    lines += [f"{_count(about['nodes'], 'node')}, {_count(about['edges'], 'edge')}, {pieces}"]
    even = f"every node has {_count(degrees['least'], 'neighbour')}"
    uneven = f"neighbours per node: {degrees['least']} to {degrees['most']}, mean {degrees['mean']:.1f}; "
    uneven += f"{_count(about['leaves'], 'node')} with a single one"
    lines += [uneven if about["hubs"] else even]
    lines += ["best connected: " + ", ".join(f"{_text(name)} ({k})" for name, k in about["hubs"])] if about["hubs"] else []
    parts = (
        "two parts, with edges only between them" if about["bipartite"] else "not of two parts: it has a ring of odd length"
    )
    lines += [f"bipartite: {parts}" if about["bipartite"] else parts]
    sampled = f", from {SAMPLE} nodes" if graph.n_nodes > _checks.DENSE_LIMIT else ""
    lines += [f"largest distance: {_count(max(far), 'hop')}{sampled}"]
    says = about["measures"]
    lines += ["means something here: " + (", ".join(name for name, why in says.items() if why is None) or "no measure")]
    lines += [f"says nothing here: {name}, because {why}" for name, why in says.items() if why]
    if "seconds" in about:
        lines += [f"{STEPS} steps of a linear net, width 32: about {_duration(about['seconds'])} here"]
    return lines


def _duration(seconds: float) -> str:
    """Return a time as a reader says it."""
    return "a second" if seconds < 1.5 else cost.duration(seconds)


def _count(number: int, what: str) -> str:
    """Return "1 node", "2 nodes"."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def _text(name: str) -> str:
    """Return a name for one line of a terminal: nothing in it may break or turn the line."""
    return name[:40] if name.isprintable() else ascii(name)[:40]
