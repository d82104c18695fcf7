"""What any map must cost: nodes with different neighbourhoods need different rows."""

import math

import torch
from torch import Tensor

from ..graphs import Graph, require_graph


def twin_classes(graph: Graph) -> Tensor:
    """Return every node's class of twins, int64 ``(n,)``: nodes with the same neighbours, each other left out.

    Args:
        graph: The graph.

    Source:
        Standard: being twins, with or without an edge between them, divides the nodes of a graph into classes.

    Example:
        >>> from geomem.graphs import path_star
        >>> twin_classes(path_star(3, 2)).tolist()  # the leaves of a star are twins
        [1, 0, 0, 0]
    """
    n = require_graph(graph).n_nodes
    around: list[set[int]] = [set() for _ in range(n)]
    for u, v in graph.edges.tolist():
        around[u].add(v)
        around[v].add(u)
    apart = [frozenset(nodes) for nodes in around]  # twins without an edge
    joined = [frozenset(nodes | {u}) for u, nodes in enumerate(around)]  # twins with one
    many = {key for key in joined if joined.count(key) > 1}
    keys = [(key in many, tuple(sorted(key if key in many else apart[u]))) for u, key in enumerate(joined)]
    names = sorted(set(keys))
    return torch.tensor([names.index(key) for key in keys])


def least_map_bits(graph: Graph) -> float:
    """Return a lower bound of the bits of any map, ``|V| log2 c`` for c twin classes.

    *Proof.* A map writes every node's row with the same number b of bits, and scores pairs by inner products of rows. Let u
    and v have the same row. Then every node w scores them alike. If w is a neighbour of u, not of v, and not v itself,
    then in w's row a neighbour and another node are tied, and edge recall is below 1. So with recall 1 no such w exists,
    and by symmetry none with u and v exchanged: u and v are twins. Hence there are at least c different rows,
    ``2^b >= c``, and n rows take at least ``n log2 c`` bits.

    An associative memory writes ``|E| log2 |V|`` bits, so the ratio of that to this bounds, from above, how much dearer than
    a map it can be.

    Args:
        graph: The graph.

    Source:
        Ours; what a map is counted by is the paper's ``|V| m log Delta``.

    Example:
        >>> from geomem.graphs import cycle
        >>> least_map_bits(cycle(8))
        24.0
    """
    classes = int(twin_classes(graph).max()) + 1
    return graph.n_nodes * math.log2(classes)
