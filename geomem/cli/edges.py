"""The command ``geomem train edges FILE``: train on the facts of your own graph."""

import argparse
from dataclasses import replace

from .. import _checks
from ..tasks import EdgeTask
from ..training import recipes
from ..training.loop import Stage
from .graph import add_reading, graph_of

MANY_NODES = 5_000
"""From more nodes on, a step asks a few nodes and weighs their answers against drawn ones, unless told otherwise."""
WIDE = 0.1
"""Start values of large tables: from 0.02, a Transformer has not begun to tell 20,000 nodes apart after ten passes."""


def add_edges(graphs) -> argparse.ArgumentParser:
    """Add ``train edges`` to the graphs that are trained; return its parser."""
    p = graphs.add_parser("edges", help="the facts of a file, or of a graph by name such as karate")
    p.set_defaults(task=_task, recipe_of=_recipe, init_std_of=_init_std)
    about = "a file of facts, or a graph's name such as karate"
    p.add_argument("file", nargs="?", metavar="FILE", default=argparse.SUPPRESS, help=about)
    p.add_argument("--file", metavar="FILE", help=f"the same, for geomem sweep: {about}")
    add_reading(p)
    p.add_argument("--held-out", type=float, default=0.0, help="share of the edges that is not trained [%(default)s]")
    p.add_argument("--directions", choices=("both", "forward", "backward"), default="both", help="[%(default)s]")
    p.add_argument("--self-edges", action="store_true", help="train u -> u too")
    p.add_argument("--passes", type=int, default=recipes.PASSES, help="how often each fact is seen [%(default)s]")
    p.add_argument("--lr", type=float, help=f"learning rate [{recipes.LR}]")
    p.add_argument("--decay", type=float, help="decoupled decay of the table alone [as of all else]")
    about = f"nodes asked per step; 0: draw facts, against all nodes [{recipes.NODES} above {MANY_NODES:,} nodes]"
    p.add_argument("--nodes", type=int, help=about)
    about = "with --nodes, how many further nodes are candidates [%(default)s]"
    p.add_argument("--candidates", type=int, default=recipes.CANDIDATES, help=about)
    return p


def _task(args) -> EdgeTask:
    """Read the graph and hold out what is asked."""
    if not args.file:
        raise ValueError("FILE must name a file of facts, or a graph such as karate, got none.")
    graph, args.warned = graph_of(args)
    return EdgeTask(graph, directions=args.directions, self_edges=args.self_edges, held_out=args.held_out, seed=args.seed)


def _init_std(task: EdgeTask) -> float:
    """Return the spread of start values for the size of the graph."""
    return WIDE if task.graph.n_nodes > MANY_NODES else 0.02


def _recipe(args, task: EdgeTask) -> list[Stage]:
    """Return the recipe for the size of the graph, with the settings that the options replace."""
    passes = _checks.integer("passes", args.passes, least=1)
    large = task.graph.n_nodes > MANY_NODES
    nodes = (recipes.NODES if large else 0) if args.nodes is None else _checks.integer("nodes", args.nodes, least=0)
    if nodes:
        heads = len(task.edges[:, 1].unique())
        nodes = min(nodes, heads) if args.nodes is None else nodes
        stages = recipes.few_nodes(task, args.size, nodes=nodes, candidates=args.candidates, passes=passes)
    else:
        stages = recipes.edges_only(task, args.size._replace(passes=passes))
    given = {name: getattr(args, name) for name in ("lr", "decay") if getattr(args, name) is not None}
    return [replace(stage, **given) for stage in stages]
