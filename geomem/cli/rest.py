"""The command ``geomem rest``: where tied Node2Vec comes to rest on your graph, without training."""

import json

from ..graphs import named_graph
from ..node2vec import most_random_walk


def add_rest(commands) -> None:
    """Add ``rest``."""
    p = commands.add_parser("rest", help="where tied Node2Vec ends on a graph: the most random walk, exactly")
    p.set_defaults(run=_rest)
    p.add_argument("graph", metavar="FILE", help="a file of edges, or a name such as karate")
    p.add_argument("--decay", type=float, default=0.0, help="weight decay of the table [%(default)s]")
    p.add_argument("--weights", choices=("nodes", "edges"), default="nodes", help="what the loss counts once [%(default)s]")
    p.add_argument("--self-edges", action="store_true", help="train u -> u too")
    p.add_argument("--json", action="store_true", help="print one JSON object and nothing else")


def _rest(args) -> None:
    """Solve, and say how many directions the map has and how far the walk is from the graph's own."""
    graph = named_graph(args.graph)
    rest = most_random_walk(graph, decay=args.decay, self_edges=args.self_edges, weights=args.weights)
    found = {
        "graph": graph.name,
        "nodes": graph.n_nodes,
        "edges": graph.n_edges,
        "decay": rest.decay,
        "weights": rest.weights,
    }
    found |= {"directions": rest.dims, "entropy": rest.entropy, "gap": rest.gap, "slack": rest.slack.tolist()}
    if args.json:
        print(json.dumps(found))
        return
    print(f"{graph.name}: {graph.n_nodes} nodes, {graph.n_edges} edges")
    print(f"directions of the map, the constant one not counted: {rest.dims}")
    print(f"largest entropy: {rest.entropy:.5f} nats in total, certified to {rest.gap:.0e}")
