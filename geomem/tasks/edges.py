"""The facts alone: edge examples, and the task of any graph."""

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import minimum_spanning_tree
from torch import Tensor

from .. import _checks
from ..graphs import Graph, require_graph
from .base import Rows, Vocabulary, graph_settings, restored_graph


def edge_examples(graph: Graph, *, directions: str = "both", self_edges: bool = False) -> Tensor:
    """Return the facts as token rows ``[EDGE] u v``, int64 ``(n_facts, 3)``; the loss is on the last token alone.

    Args:
        graph: The graph.
        directions: "both", "forward" or "backward".
        self_edges: Also ``[EDGE] u u`` for every node.

    Raises:
        TypeError: If ``graph`` is not a Graph.
        ValueError: If ``directions`` is not one of these.

    Source:
        Paper, in-weights task.

    Example:
        >>> from geomem.graphs import path_star
        >>> edge_examples(path_star(2, 2), directions="forward").tolist()
        [[4, 0, 1], [4, 0, 2]]
    """
    return _tagged(require_graph(graph).directed_edges(directions=directions, self_edges=self_edges), graph)


def _tagged(facts: Tensor, graph: Graph) -> Tensor:
    """Put ``[EDGE]`` before every fact."""
    return torch.cat([facts.new_full((len(facts), 1), Vocabulary(graph.n_nodes).EDGE), facts], dim=1)


class EdgeTask:
    """Train the edges of any graph and nothing else; some edges may be held out.

    Args:
        graph: Any graph.
        directions: "both", "forward" or "backward".
        self_edges: Train ``u -> u`` too.
        held_out: Share of the edges that are not trained, in [0, 1). What is trained joins the same nodes as before: a
            random spanning forest is kept whole.
        seed: Draws the forest and the edges held out.

    Attributes:
        edges: The trained facts as token rows ``[EDGE] u v``, int64 ``(n_facts, 3)``.
        held_edges: Undirected edges held out, int64 ``(k, 2)``, in the order of the graph.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, or fewer edges lie outside a spanning forest than are to be held out.

    Source:
        Paper, in-weights task, edges alone; holding out edges is ours.

    Example:
        >>> from geomem.graphs import cycle
        >>> task = EdgeTask(cycle(5), held_out=0.2)
        >>> len(task.edges), len(task.held_edges)  # both directions of four edges
        (8, 1)
    """

    n_paths = 0
    n_targets = 1
    context = 2

    def __init__(
        self, graph: Graph, *, directions: str = "both", self_edges: bool = False, held_out: float = 0.0, seed: int = 0
    ):
        self.graph = require_graph(graph)
        self.directions, self.self_edges = directions, _checks.boolean("self_edges", self_edges)
        self.held_out = _checks.real("held_out", held_out, least=0, below=1)
        self.seed = _checks.seed_of("seed", seed)
        kept = self._kept(torch.Generator().manual_seed(self.seed))
        self.held_edges = graph.edges[~kept]
        facts = graph.directed_edges(directions=directions, self_edges=self_edges)
        both = {"both": [kept, kept]}.get(directions, [kept])
        loops = [torch.ones(len(facts) - len(both) * graph.n_edges, dtype=torch.bool)]
        self.edges = _tagged(facts[torch.cat(both + loops)], graph)

    def __repr__(self) -> str:
        return f"EdgeTask({self.graph.name!r}, {len(self.edges)} facts, {len(self.held_edges)} edges held out)"

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens."""
        return Vocabulary(self.graph.n_nodes)

    @property
    def settings(self) -> dict:
        """All that defines the task, for a file: the arguments, and the graph by name and digest."""
        names = ("directions", "self_edges", "held_out", "seed")
        return {"kind": "edges", "graph": graph_settings(self.graph)} | {name: getattr(self, name) for name in names}

    def tensors(self) -> dict[str, Tensor]:
        """The graph's arrays, for a file."""
        return {"graph.edges": self.graph.edges, "graph.paths": self.graph.paths}

    @classmethod
    def restore(cls, tensors: dict[str, Tensor], settings: dict) -> "EdgeTask":
        """Make the task again from ``tensors`` and ``settings``; a node's label is then its number."""
        given = {name: value for name, value in settings.items() if name not in ("kind", "graph")}
        return cls(restored_graph(tensors, settings["graph"]), **given)

    def source(self, generator: torch.Generator) -> Rows:
        """Return an empty source: this task has no paths."""
        nothing = torch.empty(0, 2, dtype=torch.int64, device=generator.device)
        return Rows(nothing, nothing[:, :1], generator)

    def held(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Return no examples: a held-out edge does not follow from the trained ones, so no model could answer it."""
        return {}

    def _kept(self, generator: torch.Generator) -> Tensor:
        """Return which edges are trained, bool ``(n_edges,)``."""
        graph, kept = self.graph, torch.ones(self.graph.n_edges, dtype=torch.bool)
        wanted = round(self.held_out * graph.n_edges)
        if not wanted:
            return kept
        order = torch.randperm(graph.n_edges, generator=generator)
        heads, tails = graph.edges.numpy().astype(np.int32).T  # csgraph of SciPy 1.15 takes no int64
        weights = coo_array((1.0 + order.numpy(), (heads, tails)), shape=(graph.n_nodes, graph.n_nodes))
        forest = minimum_spanning_tree(weights.tocsr())
        rank = torch.from_numpy(forest.tocoo().data).long() - 1  # the weight identifies the edge
        in_forest = torch.isin(order, rank)
        free = (~in_forest).nonzero().flatten()
        if len(free) < wanted:
            raise ValueError(f"held_out must leave the graph connected, got {self.held_out:g}, {wanted} edges: only "
                             f"{len(free)} of {graph.n_edges} lie outside a spanning forest of {graph!r}.")  # fmt: skip
        kept[free[torch.randperm(len(free), generator=generator)[:wanted]]] = False
        return kept
