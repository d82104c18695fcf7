"""What all tasks share: the tokens, rows drawn in random order, and a graph in a file."""

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor

from .. import _checks
from ..graphs import Graph


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


class Rows:
    """Draw rows in random order, each once before any is drawn again.

    Args:
        inputs: What a model reads, ``(k, length)``.
        targets: What it answers, ``(k, n_targets)``.
        generator: Draws the order, on the device of the rows.
    """

    def __init__(self, inputs: Tensor, targets: Tensor, generator: torch.Generator):
        self.inputs, self.targets, self.generator = inputs, targets, generator
        self.order = torch.empty(0, dtype=torch.int64, device=inputs.device)

    def draw(self, k: int) -> tuple[Tensor, Tensor]:
        """Return k rows of inputs and targets."""
        if k > 0 and not len(self.inputs):
            raise ValueError(f"k must be 0 where there are no rows to draw, got {k}.")
        while len(self.order) < k:
            more = torch.randperm(len(self.inputs), generator=self.generator, device=self.inputs.device)
            self.order = torch.cat([self.order, more])
        rows, self.order = self.order[:k], self.order[k:]
        return self.inputs[rows], self.targets[rows]


def graph_settings(graph: Graph) -> dict:
    """Return what identifies a graph in a file's settings: name, size, root, and a digest of its edges."""
    root = None if graph.root is None else int(graph.root)
    about = {"name": graph.name, "n_nodes": int(graph.n_nodes), "root": root}
    about |= {} if graph.fiedler_dims is None else {"fiedler_dims": graph.fiedler_dims}
    return about | {"digest": hashlib.sha256(graph.edges.numpy()).hexdigest()}


def restored_graph(tensors: dict[str, Tensor], about: dict) -> Graph:
    """Make a graph again from its arrays and ``graph_settings``; a node's label is then its number."""
    about = {name: value for name, value in about.items() if name != "digest"}
    return Graph(**about, edges=tensors["graph.edges"], paths=tensors["graph.paths"])
