"""Null models: tables that may look like maps but are none; a measure of geometry is judged against them."""

import torch
from torch import Tensor

from .. import _checks
from ..graphs import Graph, require_graph


def random_table(graph: Graph, width: int, seed: int) -> Tensor:
    """Return a table of independent normal numbers, float64 ``(n, width)``: it knows nothing of the graph.

    Args:
        graph: The graph; only its number of nodes is read.
        width: Columns, at least 1.
        seed: Draws the numbers.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range.

    Source:
        Standard.
    """
    shape = require_graph(graph).n_nodes, _checks.integer("width", width, least=1)
    generator = torch.Generator().manual_seed(_checks.seed_of("seed", seed))
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def local_table(graph: Graph, width: int, seed: int, *, hops: int = 1) -> Tensor:
    """Return the local null ``A^hops R``, float64 ``(n, width)``: each node is the sum of its neighbours' random vectors.

    Two nodes are alike in it if they share neighbours, and it knows nothing beyond two hops (with ``hops=2``, beyond
    four). Yet it is far above random tables in plain geometric order and in Fiedler energy, so a claim of *global*
    geometry must exceed it. The random vectors are those of ``random_table`` with the same seed.

    Args:
        graph: The graph.
        width: Columns, at least 1.
        seed: Draws the random vectors.
        hops: How often neighbours are summed up, at least 0; 0 gives the random table itself.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range.

    Source:
        Ours.

    Example:
        >>> from geomem.graphs import path_star
        >>> E = local_table(path_star(3, 2), 8, seed=0)
        >>> bool((E[1] == E[2]).all() and (E[2] == E[3]).all())  # all leaves have one neighbour, the root
        True
    """
    table = random_table(graph, width, seed)
    heads, tails = graph.directed_edges().T
    for _ in range(_checks.integer("hops", hops, least=0)):
        table = torch.zeros_like(table).index_add_(0, heads, table[tails])
    return table
