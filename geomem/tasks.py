"""What a model reads: the vocabulary of nodes and specials, edge examples, and path examples with their splits."""

import numbers
from dataclasses import dataclass

import torch
from torch import Tensor

from . import _checks
from .graphs import Graph, require_graph


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


class PathTask:
    """Hold the in-weights task of one graph: all edges are trained, some paths are held out.

    A path example reads ``[PATH] leaf [PAUSE]*pauses`` and answers with the path. The validation paths are taken out of
    the training paths, so no test path ever chooses anything.

    Args:
        graph: A graph with paths, of length 3 or more.
        train_fraction: Share of the paths (or first hops) not held out for the test, in (0, 1).
        validation_fraction: Share of those that is taken out for validation, in [0, 1).
        split: "leaf" splits the paths; "first" splits the first hops, so that none is shared.
        target: "full" is the whole path, root to leaf; "first" is the *hardest token* alone, the node after the root.
        reverse: Answer from leaf to root; the first token is then the leaf's parent.
        pauses: Pause tokens after the leaf, at least 0.
        directions: "both", "forward", "backward", or the share of edges that is trained backward too, in [0, 1].
        self_edges: Also train ``u -> u``.
        seed: Draws the splits, and which edges are trained backward.

    Attributes:
        edges: Edge examples ``[EDGE] u v``, int64 ``(n_facts, 3)``.
        train_leaves, validation_leaves, test_leaves: Leaf node ids of each split, int64.
        n_targets: Tokens of an answer.
        chance: Accuracy of guessing the first hop, one over the number of first hops.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, or a split would be empty.

    Source:
        Paper, in-weights task and its appendices C (splits) and D (directions).

    Example:
        >>> from geomem.graphs import path_star
        >>> task = PathTask(path_star(8, 3), target="first", pauses=1)
        >>> inputs, targets = task.examples(task.test_leaves)
        >>> inputs.shape, targets.shape
        (torch.Size([2, 3]), torch.Size([2, 1]))
    """

    def __init__(
        self,
        graph: Graph,
        *,
        train_fraction: float = 0.75,
        validation_fraction: float = 0.1,
        split: str = "leaf",
        target: str = "full",
        reverse: bool = False,
        pauses: int = 1,
        directions: str | float = "both",
        self_edges: bool = False,
        seed: int = 0,
    ):
        if not len(require_graph(graph).paths) or graph.paths.shape[1] < 3:
            raise ValueError(f"graph must have paths of length 3 or more, got {graph!r}. Use path_star or tree_star.")
        self.graph = graph
        self.train_fraction = _checks.real("train_fraction", train_fraction, above=0, below=1)
        self.validation_fraction = _checks.real("validation_fraction", validation_fraction, least=0, below=1)
        self.split = _checks.one_of("split", split, ("leaf", "first"))
        self.target = _checks.one_of("target", target, ("full", "first"))
        self.reverse, self.self_edges = _checks.boolean("reverse", reverse), _checks.boolean("self_edges", self_edges)
        self.pauses = _checks.integer("pauses", pauses, least=0)
        self.seed = _checks.seed_of("seed", seed)
        generator = torch.Generator().manual_seed(self.seed)
        self.directions = directions
        self.train_leaves, self.validation_leaves, self.test_leaves = self._leaves(generator)
        self.edges = _tagged(self._facts(generator), graph)
        self._path_of = torch.full((graph.n_nodes,), -1)
        self._path_of[graph.paths[:, -1]] = torch.arange(len(graph.paths))

    def __repr__(self) -> str:
        sizes = ", ".join(f"{len(part)} {name}" for name, part in self.splits.items())
        return f"PathTask({self.graph.name!r}, target={self.target!r}, {len(self.edges)} facts; paths: {sizes})"

    @property
    def splits(self) -> dict[str, Tensor]:
        """The leaves of the three splits by name."""
        return {"train": self.train_leaves, "validation": self.validation_leaves, "test": self.test_leaves}

    @property
    def n_targets(self) -> int:
        """Tokens of an answer."""
        return 1 if self.target == "first" else self.graph.paths.shape[1]

    @property
    def chance(self) -> float:
        """Accuracy of guessing the first hop: one over the number of first hops."""
        return 1 / len(self.graph.first_hops)

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens."""
        return Vocabulary(self.graph.n_nodes)

    def examples(self, leaves: Tensor) -> tuple[Tensor, Tensor]:
        """Return what a model reads and answers: logits at the last ``n_targets`` positions answer ``targets``.

        Args:
            leaves: Leaf node ids, int64 ``(k,)``.

        Returns:
            Inputs, int64 ``(k, 2 + pauses + n_targets - 1)``, the answer's own tokens shifted in, and targets,
            int64 ``(k, n_targets)``.

        Raises:
            ValueError: If a listed node is no leaf.
        """
        leaves = torch.as_tensor(leaves).flatten()
        rows = self._path_of[leaves]
        if (rows < 0).any():
            raise ValueError(f"leaves must be leaves of {self.graph!r}, got node {int(leaves[rows < 0][0])}.")
        answer = self.graph.paths[rows].flip(1) if self.reverse else self.graph.paths[rows]
        answer = answer[:, 1:2] if self.target == "first" else answer
        words = self.vocabulary
        tag, pause = leaves.new_full((len(leaves), 1), words.PATH), leaves.new_full((len(leaves), self.pauses), words.PAUSE)
        return torch.cat([tag, leaves[:, None], pause, answer[:, :-1]], dim=1), answer

    def _leaves(self, generator: torch.Generator) -> list[Tensor]:
        """Draw the splits: whole first hops for "first", else single paths."""
        hops, leaves = self.graph.paths[:, 1], self.graph.paths[:, -1]
        _, unit = (hops if self.split == "first" else leaves).unique(return_inverse=True)
        n_units = int(unit.max()) + 1
        kept = round(self.train_fraction * n_units)
        validation = round(self.validation_fraction * kept)
        sizes = {"training": kept - validation, "test": n_units - kept}
        empty = [name for name, size in sizes.items() if size < 1]
        if empty:
            what = "first hops" if self.split == "first" else "paths"
            raise ValueError(
                f"train_fraction must leave a {empty[0]} path, got {self.train_fraction:g} of {n_units} {what}. "
                "Change it or take a larger degree."
            )
        rank = torch.randperm(n_units, generator=generator)[unit]
        bounds = ((0, kept - validation), (kept - validation, kept), (kept, n_units))
        return [leaves[(rank >= low) & (rank < high)] for low, high in bounds]

    def _facts(self, generator: torch.Generator) -> Tensor:
        """Return the directed edges that are trained; a share takes that many of the backward ones, drawn at random."""
        if not isinstance(self.directions, numbers.Real) or isinstance(self.directions, bool):
            return self.graph.directed_edges(directions=self.directions, self_edges=self.self_edges)
        share = _checks.real("directions", self.directions, least=0)
        if share > 1:
            raise ValueError(f"directions must be a share of at most 1, or both, forward or backward, got {share:g}.")
        forward = self.graph.directed_edges(directions="forward", self_edges=self.self_edges)
        drawn = torch.randperm(self.graph.n_edges, generator=generator)[: round(share * self.graph.n_edges)]
        return torch.cat([forward, self.graph.edges[drawn].flip(1)])
