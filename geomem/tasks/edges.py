"""The facts alone: edge examples."""

import torch
from torch import Tensor

from ..graphs import Graph, require_graph
from .base import Vocabulary


def edge_examples(g: Graph, *, directions: str = "both", self_edges: bool = False) -> Tensor:
    """Return the facts as token rows ``[EDGE] u v``, int64 ``(n_facts, 3)``; the loss is on the last token alone.

    Args:
        g: The graph.
        directions: "both", "forward" or "backward".
        self_edges: Also ``[EDGE] u u`` for every node.

    Raises:
        TypeError: If ``g`` is not a Graph.
        ValueError: If ``directions`` is none of the three.

    Source:
        Paper, in-weights task.

    Example:
        >>> from geomem.graphs import path_star
        >>> edge_examples(path_star(2, 2), directions="forward").tolist()
        [[4, 0, 1], [4, 0, 2]]
    """
    return _tagged(require_graph(g).directed_edges(directions=directions, self_edges=self_edges), g)


def _tagged(facts: Tensor, g: Graph) -> Tensor:
    """Put ``[EDGE]`` before every fact."""
    return torch.cat([facts.new_full((len(facts), 1), Vocabulary(g.n_nodes).EDGE), facts], dim=1)
