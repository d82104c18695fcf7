"""What a model reads: the vocabulary of nodes and specials, and the edge examples."""

from dataclasses import dataclass

import torch
from torch import Tensor

from . import _checks
from .graphs import Graph


@dataclass(frozen=True)
class Vocabulary:
    """Number the tokens: nodes are ``0 .. n_nodes - 1``, then PAD, EDGE, PATH and PAUSE.

    Args:
        n_nodes: Number of nodes, at least 2.

    Raises:
        TypeError: If ``n_nodes`` is not an integer.
        ValueError: If it is below 2.

    Source:
        Paper, in-weights task.

    Example:
        >>> words = Vocabulary(5)
        >>> words.EDGE, words.n_tokens
        (6, 9)
    """

    n_nodes: int

    def __post_init__(self):
        _checks.integer("n_nodes", self.n_nodes, least=2)

    PAD = property(lambda self: self.n_nodes, doc="Fills a row to equal length.")
    EDGE = property(lambda self: self.n_nodes + 1, doc="Begins an edge example.")
    PATH = property(lambda self: self.n_nodes + 2, doc="Begins a path example.")
    PAUSE = property(lambda self: self.n_nodes + 3, doc="Gives the model a step without a target.")
    n_tokens = property(lambda self: self.n_nodes + 4, doc="Nodes and specials together.")


def edge_examples(g: Graph, *, directions: str = "both", self_edges: bool = False) -> Tensor:
    """Return the facts as token rows ``[EDGE] u v``, int64 ``(n_facts, 3)``; the loss is on the last token alone.

    Args:
        g: The graph.
        directions: "both", "forward" or "backward".
        self_edges: Also ``[EDGE] u u`` for every node.

    Raises:
        ValueError: If ``directions`` is none of the three.

    Source:
        Paper, in-weights task.

    Example:
        >>> from geomem.graphs import path_star
        >>> edge_examples(path_star(2, 2), directions="forward").tolist()
        [[4, 0, 1], [4, 0, 2]]
    """
    facts = g.directed_edges(directions=directions, self_edges=self_edges)
    return torch.cat([facts.new_full((len(facts), 1), Vocabulary(g.n_nodes).EDGE), facts], dim=1)
