"""What a model reads: the vocabulary of nodes and specials, edge examples, and path examples with their splits."""

import hashlib
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from . import _checks
from .graphs import Graph, path_star, require_graph


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
        if len(graph.paths[:, -1].unique()) < len(graph.paths):
            raise ValueError(f"paths must end in different leaves, because a leaf asks for its path, in {graph!r}.")
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
        return 1 if self.target == "first" else self.graph.paths.shape[1]

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
        graph = {"name": self.graph.name, "n_nodes": int(self.graph.n_nodes), "root": int(self.graph.root)}
        graph |= {"digest": hashlib.sha256(self.graph.edges.numpy()).hexdigest()}
        return {"kind": "paths", "graph": graph} | {name: getattr(self, name) for name in (*names, "seed")}

    def tensors(self) -> dict[str, Tensor]:
        """The graph's arrays, for a file."""
        return {"graph.edges": self.graph.edges, "graph.paths": self.graph.paths}

    @classmethod
    def restore(cls, tensors: dict[str, Tensor], settings: dict) -> "PathTask":
        """Make the task again from ``tensors`` and ``settings``; a node's label is then its number."""
        given = {name: value for name, value in settings.items() if name not in ("kind", "graph")}
        about = {name: value for name, value in settings["graph"].items() if name != "digest"}
        return cls(Graph(**about, edges=tensors["graph.edges"], paths=tensors["graph.paths"]), **given)

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
            ValueError: If a listed node is no leaf.
        """
        answer = self.graph.paths_to(leaves)
        leaves = answer[:, -1]
        answer = answer.flip(1) if self.reverse else answer
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
        share = self.directions
        if isinstance(share, str):
            return self.graph.directed_edges(directions=share, self_edges=self.self_edges)
        if share > 1:
            raise ValueError(f"directions must be a share of at most 1, or both, forward or backward, got {share:g}.")
        forward = self.graph.directed_edges(directions="forward", self_edges=self.self_edges)
        drawn = torch.randperm(self.graph.n_edges, generator=generator)[: round(share * self.graph.n_edges)]
        return torch.cat([forward, self.graph.edges[drawn].flip(1)])


@dataclass(frozen=True)
class PromptVocabulary(Vocabulary):
    """The tokens of the in-context task: one more, DUMMY, stands for every answer token in teacherless training."""

    DUMMY = property(lambda self: self.n_nodes + 4, doc="The paper's `$`.")
    n_tokens = property(lambda self: self.n_nodes + 5, doc="Nodes and specials together.")


def in_context_examples(
    degree: int, length: int, n: int, *, generator: torch.Generator, names: int | None = None, teacherless: bool = False
) -> tuple[Tensor, Tensor]:
    """Draw fresh path-stars, each with its edges in the prompt: ``u v u v ... [PATH] start goal``, then the path.

    Nothing can be memorised: node names, order of the edges and goal are drawn anew for every example.

    Args:
        degree: Arms of each graph.
        length: Nodes of a path, the root included.
        n: How many examples.
        generator: Draws them, on its device.
        names: How many node names there are, at least those of a graph; by default just those.
        teacherless: Replace the answer's tokens in the input by DUMMY, so that none can be read off.

    Returns:
        Inputs, int64 ``(n, 2 * n_edges + 3 + length - 1)``, and targets ``(n, length)``, root to goal: logits at the last
        ``length`` positions answer.

    Raises:
        TypeError: If a size is no integer.
        ValueError: If a size is out of range, or names are fewer than nodes.

    Source:
        Bachmann & Nagarajan (arXiv 2403.06963); the paper's in-context twin.

    Example:
        >>> inputs, targets = in_context_examples(2, 3, 4, generator=torch.Generator().manual_seed(0))
        >>> inputs.shape, targets.shape, bool((inputs[:, 9] == targets[:, 0]).all())  # the start is given
        (torch.Size([4, 13]), torch.Size([4, 3]), True)
    """
    g = path_star(degree, length)
    names = g.n_nodes if names is None else _checks.integer("names", names, least=g.n_nodes)
    n = _checks.integer("n", n, least=0)
    device, words = generator.device, PromptVocabulary(names)

    def order(k: int, kept: int) -> Tensor:
        return torch.rand(n, k, generator=generator, device=device).argsort(1)[:, :kept]

    name = order(names, g.n_nodes)
    shown = g.edges.to(device)[order(g.n_edges, g.n_edges)].flatten(1)
    arm = torch.randint(degree, (n,), generator=generator, device=device)
    answer = name.gather(1, g.paths.to(device)[arm])
    tag = answer.new_full((n, 1), words.PATH)
    given = torch.full_like(answer[:, :-1], words.DUMMY) if teacherless else answer[:, :-1]
    return torch.cat([name.gather(1, shown), tag, answer[:, :1], answer[:, -1:], given], dim=1), answer


class InContextTask:
    """Hold the in-context twin of the path task: the graph stands in the prompt, fresh each time.

    Args:
        degree: Arms of each graph.
        length: Nodes of a path, at least 3.
        names: How many node names there are; by default as many as a graph has nodes.
        teacherless: Train and test without the answer's own tokens in the input.
        n_held: Examples to evaluate on, for validation and test each.
        seed: Draws these.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range.

    Source:
        Bachmann & Nagarajan (arXiv 2403.06963); the paper's in-context twin.

    Example:
        >>> task = InContextTask(2, 5)
        >>> task.chance, task.vocabulary.n_tokens, {name: len(inputs) for name, (inputs, _) in task.held().items()}
        (0.5, 14, {'validation': 1000, 'test': 1000})
    """

    n_paths = math.inf

    def __init__(
        self,
        degree: int,
        length: int,
        *,
        names: int | None = None,
        teacherless: bool = False,
        n_held: int = 1000,
        seed: int = 0,
    ):
        self.degree = _checks.integer("degree", degree, least=2, hint="With one arm there is nothing to choose.")
        self.length = _checks.integer("length", length, least=3)
        nodes = degree * (length - 1) + 1
        self.names = nodes if names is None else _checks.integer("names", names, least=nodes)
        self.teacherless = _checks.boolean("teacherless", teacherless)
        self.n_held = _checks.integer("n_held", n_held, least=1)
        self.seed = _checks.seed_of("seed", seed)
        self.edges = torch.empty(0, 3, dtype=torch.int64)

    def __repr__(self) -> str:
        return f"InContextTask({self.degree}, {self.length}, names={self.names}, teacherless={self.teacherless})"

    n_targets = property(lambda self: self.length, doc="Tokens of an answer.")
    chance = property(lambda self: 1 / self.degree, doc="Accuracy of guessing the first hop.")
    vocabulary = property(lambda self: PromptVocabulary(self.names), doc="The tokens.")

    @property
    def context(self) -> int:
        """Length of the inputs."""
        return 2 * self.degree * (self.length - 1) + self.length + 2

    @property
    def settings(self) -> dict:
        """All that defines the task, for a file."""
        names = ("degree", "length", "names", "teacherless", "n_held", "seed")
        return {"kind": "in-context"} | {name: getattr(self, name) for name in names}

    def tensors(self) -> dict[str, Tensor]:
        """Nothing: there is no graph to keep."""
        return {}

    @classmethod
    def restore(cls, tensors: dict[str, Tensor], settings: dict) -> "InContextTask":
        """Make the task again from its settings."""
        given = {name: value for name, value in settings.items() if name not in ("kind", "degree", "length")}
        return cls(settings["degree"], settings["length"], **given)

    def source(self, generator: torch.Generator) -> "InContextTask.Fresh":
        """Return what draws fresh examples, on the generator's device."""
        return InContextTask.Fresh(self, generator)

    def held(self) -> dict[str, tuple[Tensor, Tensor]]:
        """The examples to evaluate on, by split."""
        generator = torch.Generator().manual_seed(self.seed)
        return {name: self._draw(self.n_held, generator) for name in ("validation", "test")}

    def _draw(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        settings = {"generator": generator, "names": self.names, "teacherless": self.teacherless}
        return in_context_examples(self.degree, self.length, n, **settings)

    class Fresh:
        """Draw examples that were never drawn before."""

        def __init__(self, task: "InContextTask", generator: torch.Generator):
            self.task, self.generator = task, generator
            self.order = torch.empty(0, dtype=torch.int64)

        def draw(self, k: int) -> tuple[Tensor, Tensor]:
            """Return k fresh inputs and targets."""
            return self.task._draw(k, self.generator)


TASKS = {"paths": PathTask, "in-context": InContextTask}
"""Tasks by the name that a file gives them."""
