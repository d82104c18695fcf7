"""The in-weights task: every edge of one graph is trained, and the paths to some leaves are held out."""

import torch
from torch import Tensor

from .. import _checks
from ..graphs import Graph, require_graph
from .base import Rows, Vocabulary, graph_settings, restored_graph
from .edges import _tagged


class PathTask:
    """The in-weights task of one graph: all edges are trained, and some paths are held out.

    A path example reads ``[PATH] leaf [PAUSE]*pauses`` and answers with the path. The validation paths are taken out of
    the training paths, so no test path ever chooses anything.

    Args:
        graph: A graph with paths, of length 3 or more.
        train_fraction: Share of the paths (or first hops) not held out for the test, in (0, 1).
        validation_fraction: Share of those that is taken out for validation, in [0, 1).
        split: "leaf" splits the paths; "first" splits the first hops, so that training and test share no first hop.
        target: "full" is the whole path, root to leaf; "first" is the *hardest token* alone, the node after the root.
        reverse: Answer with the way back, from the leaf's parent to the root; the leaf itself stands in the question.
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
        self.directions = directions if isinstance(directions, str) else _checks.real("directions", directions, least=0)
        self.train_leaves, self.validation_leaves, self.test_leaves = self._leaves(generator)
        self.edges = _tagged(self._facts(generator), graph)

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
        return 1 if self.target == "first" else self.graph.paths.shape[1] - self.reverse

    @property
    def chance(self) -> float:
        """Accuracy of guessing the first hop: one over the number of first hops."""
        return 1 / len(self.graph.first_hops)

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens."""
        return Vocabulary(self.graph.n_nodes)

    @property
    def context(self) -> int:
        """Length of the inputs of paths."""
        return 1 + self.pauses + self.n_targets

    @property
    def n_paths(self) -> int:
        """Training paths."""
        return len(self.train_leaves)

    @property
    def settings(self) -> dict:
        """All that defines the task, for a file: the arguments, and the graph by name and digest."""
        names = ("train_fraction", "validation_fraction", "split", "target", "reverse", "pauses", "directions", "self_edges")
        about = {"kind": "paths", "graph": graph_settings(self.graph)}
        return about | {name: getattr(self, name) for name in (*names, "seed")}

    def tensors(self) -> dict[str, Tensor]:
        """The graph's arrays, for a file."""
        return {"graph.edges": self.graph.edges, "graph.paths": self.graph.paths}

    @classmethod
    def restore(cls, tensors: dict[str, Tensor], settings: dict) -> "PathTask":
        """Make the task again from ``tensors`` and ``settings``; a node's label is then its number."""
        given = {name: value for name, value in settings.items() if name not in ("kind", "graph")}
        return cls(restored_graph(tensors, settings["graph"]), **given)

    def source(self, generator: torch.Generator) -> Rows:
        """Return what draws training paths, on the generator's device."""
        inputs, targets = self.examples(self.train_leaves)
        return Rows(inputs.to(generator.device), targets.to(generator.device), generator)

    def held(self) -> dict[str, tuple[Tensor, Tensor]]:
        """The examples to evaluate on, by split; validation paths may be none."""
        return {name: self.examples(leaves) for name, leaves in self.splits.items() if len(leaves)}

    def examples(self, leaves: Tensor) -> tuple[Tensor, Tensor]:
        """Return what a model reads and answers: logits at the last ``n_targets`` positions answer ``targets``.

        Args:
            leaves: Leaf node ids, int64 ``(k,)``.

        Returns:
            Inputs, int64 ``(k, 2 + pauses + n_targets - 1)``, the answer's own tokens shifted in, and targets,
            int64 ``(k, n_targets)``.

        Raises:
            ValueError: If a listed node is not a leaf.
        """
        answer = self.graph.paths_to(leaves)
        leaves = answer[:, -1]
        answer = answer.flip(1)[:, 1:] if self.reverse else answer
        if self.target == "first":
            answer = answer[:, :1] if self.reverse else answer[:, 1:2]
        words = self.vocabulary
        tag, pause = leaves.new_full((len(leaves), 1), words.PATH), leaves.new_full((len(leaves), self.pauses), words.PAUSE)
        return torch.cat([tag, leaves[:, None], pause, answer[:, :-1]], dim=1), answer

    def _leaves(self, generator: torch.Generator) -> list[Tensor]:
        """Draw the splits: whole first hops for "first", else single paths."""
        hops, leaves = self.graph.paths[:, 1], self.graph.leaves
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
        share = self.directions
        if isinstance(share, str):
            return self.graph.directed_edges(directions=share, self_edges=self.self_edges)
        if share > 1:
            raise ValueError(f"directions must be a share of at most 1, or both, forward or backward, got {share:g}.")
        forward = self.graph.directed_edges(directions="forward", self_edges=self.self_edges)
        drawn = torch.randperm(self.graph.n_edges, generator=generator)[: round(share * self.graph.n_edges)]
        return torch.cat([forward, self.graph.edges[drawn].flip(1)])
