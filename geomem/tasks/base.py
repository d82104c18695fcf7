"""What all tasks share: the tokens, rows drawn in random order, and a graph in a file."""

import hashlib
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

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

    @property
    def PAD(self) -> int:
        """Fills a row to equal length."""
        return self.n_nodes

    @property
    def EDGE(self) -> int:
        """Begins an edge example."""
        return self.n_nodes + 1

    @property
    def PATH(self) -> int:
        """Begins a path example."""
        return self.n_nodes + 2

    @property
    def PAUSE(self) -> int:
        """Gives the model a step without a target."""
        return self.n_nodes + 3

    @property
    def n_tokens(self) -> int:
        """Nodes and specials together."""
        return self.n_nodes + 4


class Source(Protocol):
    """Draw training examples, and know how far it is in its order, so that a checkpoint can continue from there."""

    def draw(self, k: int) -> tuple[Tensor, Tensor]:
        """Return k inputs ``(k, length)`` and targets ``(k, n_targets)``."""
        ...

    def state(self) -> Tensor | None:
        """Return what a checkpoint keeps; None where draws depend on the generator alone."""
        ...

    def resume(self, state: Tensor | None) -> None:
        """Go on from what ``state`` returned."""
        ...


@runtime_checkable
class Task(Protocol):
    """List what ``train`` needs from a task.

    Attributes:
        seed: Seeds the samples that evaluations read.
        n_paths: How many training paths there are, at most so many a step; None where each is drawn afresh.
        n_targets: Tokens of a path's answer.
        context: Length of a path's inputs.

    Source:
        Ours.
    """

    seed: int

    @property
    def n_paths(self) -> int | None: ...  # noqa: D102
    @property
    def n_targets(self) -> int: ...  # noqa: D102
    @property
    def context(self) -> int: ...  # noqa: D102

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens."""
        ...

    @property
    def settings(self) -> dict:
        """Everything that defines the task, for a file; ``kind`` is its name in ``TASKS``."""
        ...

    def tensors(self) -> dict[str, Tensor]:
        """Return the arrays that ``restore`` needs besides the settings."""
        ...

    @classmethod
    def restore(cls, tensors: dict[str, Tensor], settings: dict) -> "Task":
        """Make the task again from ``tensors`` and ``settings``."""
        ...

    def source(self, generator: torch.Generator) -> Source:
        """Return what draws training paths, on the generator's device."""
        ...

    def held(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Return the inputs and targets to evaluate on, by split; there may be none."""
        ...


@runtime_checkable
class GraphTask(Task, Protocol):
    """List what ``train`` needs, besides what every task has, if the facts are the edges of one graph.

    Attributes:
        graph: The graph.
        edges: The trained facts as token rows ``[EDGE] u v``, int64 ``(n_facts, 3)``.
        self_edges: Whether ``u -> u`` is trained too.

    Source:
        Ours.
    """

    graph: Graph
    edges: Tensor
    self_edges: bool


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

    def state(self) -> Tensor:
        """Return the rows that remain to be drawn before any is drawn again."""
        return self.order

    def resume(self, state: Tensor | None) -> None:
        """Go on from what ``state`` returned."""
        if state is not None:
            self.order = state.to(self.inputs.device)


def graph_settings(graph: Graph) -> dict:
    """Return what identifies a graph in a file's settings: name, size, root, and a digest of its edges."""
    root = None if graph.root is None else int(graph.root)
    about = {"name": graph.name, "n_nodes": int(graph.n_nodes), "root": root}
    about |= {} if graph.fiedler_dims is None else {"fiedler_dims": graph.fiedler_dims}
    return about | {"digest": hashlib.sha256(graph.edges.numpy().tobytes()).hexdigest()}


def restored_graph(tensors: dict[str, Tensor], about: dict) -> Graph:
    """Restore a graph from its arrays and ``graph_settings``; each node's label is then its number."""
    about = {name: value for name, value in about.items() if name != "digest"}
    return Graph(**about, edges=tensors["graph.edges"], paths=tensors["graph.paths"])
