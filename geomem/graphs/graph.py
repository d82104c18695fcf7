"""The graph whose edges are the facts to memorise."""

import warnings
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field

import networkx as nx
import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components, shortest_path
from torch import Tensor

from .. import _checks


@dataclass(frozen=True, eq=False, kw_only=True)
class Graph:
    """Hold an undirected simple graph whose nodes are ``0 .. n_nodes - 1``.

    Args:
        n_nodes: Number of nodes, at least 2.
        edges: Each undirected edge once, int64 ``(n_edges, 2)``. The order within a pair is the *forward*
            direction: away from the root where there is one, else as given.
        root: The node where all ``paths`` begin, or None.
        paths: Node ids from root to leaf, int64 ``(n_paths, length)``; ``(0, 0)`` where there is no root.
        labels: One name a node; by default its number.
        name: What to call the graph in a caption.
        fiedler_dims: How many leading non-trivial spectral dimensions count as Fiedler-like; None means the
            multiplicity of the first non-trivial eigenspace.

    Raises:
        TypeError: If a size is not an integer.
        ValueError: If an edge is a loop, repeated or out of range, or a node has no edge.

    Source:
        Paper, section on the in-weights task: facts are the edges of one fixed graph.

    Example:
        >>> Graph(n_nodes=3, edges=[(0, 1), (1, 2)]).degrees
        tensor([1, 2, 1])
    """

    n_nodes: int
    edges: Tensor
    root: int | None = None
    paths: Tensor = field(default_factory=lambda: torch.zeros(0, 0, dtype=torch.int64))
    labels: tuple[str, ...] = ()
    name: str = "graph"
    fiedler_dims: int | None = None

    def __post_init__(self):
        n = _checks.integer("n_nodes", self.n_nodes, least=2, hint="A graph needs two nodes to have a fact.")
        try:
            edges = torch.as_tensor(self.edges).clone()
        except (TypeError, ValueError, RuntimeError):
            raise TypeError(f"edges must be pairs of integers, got {type(self.edges).__name__}.") from None
        if edges.numel() == 0:
            raise ValueError("edges must hold at least one edge, got none: an empty graph has no fact to memorise.")
        if edges.dtype.is_floating_point or edges.ndim != 2 or edges.shape[1] != 2:
            raise TypeError(f"edges must be pairs of integers, shape (n_edges, 2), got {tuple(edges.shape)} {edges.dtype}.")
        edges = edges.to(torch.int64)
        _check_edges(n, edges)
        labels = tuple(str(label) for label in self.labels) or tuple(str(node) for node in range(n))
        if len(labels) != n or len(set(labels)) < n:
            raise ValueError(
                f"labels must be {n} different names, one a node, got {len(labels)} labels, {len(set(labels))} different."
            )
        paths = torch.as_tensor(self.paths, dtype=torch.int64)
        if self.root is not None and (paths.ndim != 2 or not len(paths) or (paths[:, 0] != self.root).any()):
            raise ValueError(f"paths must all begin at the root, {self.root}, shape (n_paths, length).")
        if paths.numel() and not 0 <= int(paths.min()) <= int(paths.max()) < n:
            raise ValueError(f"paths must name nodes 0 to {n - 1}, got {int(paths.min())} to {int(paths.max())}.")
        if self.fiedler_dims is not None:
            _checks.integer("fiedler_dims", self.fiedler_dims, least=1)
        object.__setattr__(self, "edges", edges)
        object.__setattr__(self, "paths", paths)
        object.__setattr__(self, "labels", labels)

    def __repr__(self) -> str:
        return f"Graph({self.name!r}, n_nodes={self.n_nodes}, n_edges={self.n_edges})"

    @property
    def n_edges(self) -> int:
        """Number of undirected edges."""
        return len(self.edges)

    def paths_to(self, leaves) -> Tensor:
        """Return the path that ends at each of the listed leaves, int64 ``(k, length)``."""
        leaves = torch.as_tensor(leaves).flatten()
        wrong = leaves[~torch.isin(leaves, self.paths[:, -1])]
        if len(wrong):
            raise ValueError(f"leaves must be leaves of {self!r}, got node {wrong[0].item()}.")
        row = torch.full((self.n_nodes,), -1)
        row[self.paths[:, -1]] = torch.arange(len(self.paths))
        return self.paths[row[leaves.to(torch.int64)]]

    @property
    def degrees(self) -> Tensor:
        """Neighbours a node, int64 ``(n_nodes,)``."""
        return torch.bincount(self.edges.flatten(), minlength=self.n_nodes)

    @property
    def first_hops(self) -> Tensor:
        """The distinct first nodes after the root, int64 ``(degree of the root,)``; a ValueError without a root."""
        if self.root is None:
            raise ValueError(f"{self!r} has no root, so it has no first hops. Use path_star or tree_star.")
        return self.paths[:, 1].unique()

    def adjacency(self, *, self_edges: bool = False) -> Tensor:
        """Return the symmetric 0/1 matrix, float64 ``(n, n)``, with ones on the diagonal if ``self_edges``."""
        _checks.dense(self.n_nodes, "The adjacency matrix", "Work with graph.edges instead.")
        return self.targets(self_edges=self_edges)

    def directed_edges(self, *, directions: str = "both", self_edges: bool = False) -> Tensor:
        """Return the facts ``u -> v`` to be trained, int64 ``(n_facts, 2)``.

        Args:
            directions: "both" (each edge twice), "forward" (as in ``edges``) or "backward".
            self_edges: Also ``u -> u`` for every node.
        """
        _checks.one_of("directions", directions, ("both", "forward", "backward"))
        parts = {"forward": [self.edges], "backward": [self.edges.flip(1)], "both": [self.edges, self.edges.flip(1)]}
        loops = torch.arange(self.n_nodes).repeat(2, 1).T
        return torch.cat(parts[directions] + [loops] * bool(self_edges))

    def targets(self, *, directions: str = "both", self_edges: bool = False) -> Tensor:
        """Return the 0/1 matrix of trained facts, float64 ``(n, n)``: row u holds the nodes that answer u."""
        _checks.dense(self.n_nodes, "The matrix of targets", "Work with graph.directed_edges() instead.")
        heads, tails = self.directed_edges(directions=directions, self_edges=self_edges).T
        matrix = torch.zeros(self.n_nodes, self.n_nodes, dtype=torch.float64)
        matrix[heads, tails] = 1.0
        return matrix

    def hops(self) -> Tensor:
        """Return shortest-path lengths, int64 ``(n, n)``; -1 where there is no path."""
        _checks.dense(self.n_nodes, "The matrix of hop distances", "Measure on a sample of arms or nodes instead.")
        hops = shortest_path(self._sparse(), unweighted=True, directed=False)
        return torch.from_numpy(np.where(np.isinf(hops), -1, hops).astype(np.int64))

    def components(self) -> Tensor:
        """Return the number of each node's connected component, int64 ``(n,)``."""
        return torch.from_numpy(connected_components(self._sparse(), directed=False)[1].astype(np.int64))

    def to_networkx(self) -> nx.Graph:
        """Return a networkx graph whose nodes are the labels."""
        graph = nx.Graph()
        graph.add_nodes_from(self.labels)
        graph.add_edges_from((self.labels[u], self.labels[v]) for u, v in self.edges.tolist())
        return graph

    def _sparse(self) -> coo_array:
        heads, tails = self.directed_edges().numpy().T
        return coo_array((np.ones(len(heads)), (heads, tails)), shape=(self.n_nodes, self.n_nodes)).tocsr()

    @classmethod
    def from_edges(cls, pairs: Iterable[tuple[Hashable, Hashable]], *, name: str = "graph") -> "Graph":
        """Build a graph from pairs of names; nodes are numbered in order of appearance.

        Args:
            pairs: Two names an edge. A repeated or reversed pair is merged, with one warning that counts them.
            name: What to call the graph in a caption.

        Raises:
            TypeError: If an item is not a pair.
            ValueError: If there is no pair, or a pair joins a node to itself.

        Source:
            Ours.

        Example:
            >>> Graph.from_edges([("a", "b"), ("b", "c")]).labels
            ('a', 'b', 'c')
        """
        numbers: dict[Hashable, int] = {}
        edges: dict[frozenset, tuple[int, int]] = {}
        repeated = 0
        for pair in pairs:
            pair = pair.tolist() if hasattr(pair, "tolist") else pair
            if not isinstance(pair, (tuple, list)) or len(pair) != 2 or not all(isinstance(x, Hashable) for x in pair):
                raise TypeError(f"an edge must be a pair of names, got {pair!r}. Drop weights and other columns first.")
            head, tail = pair
            if head == tail:
                raise ValueError(f"an edge must join two different nodes, got {head!r} with itself. Drop self loops; "
                                 "train them with self_edges=True.")  # fmt: skip
            ends = tuple(numbers.setdefault(end, len(numbers)) for end in (head, tail))
            repeated += frozenset(ends) in edges
            edges.setdefault(frozenset(ends), ends)
        if repeated:
            warnings.warn(f"{repeated} repeated or reversed edges were merged.", UserWarning, stacklevel=2)
        if not edges:
            raise ValueError("edges must hold at least one pair, got none: an empty graph has no fact to memorise.")
        return cls(n_nodes=len(numbers), edges=list(edges.values()), labels=tuple(map(str, numbers)), name=name)

    @classmethod
    def from_networkx(cls, graph: nx.Graph, *, name: str = "") -> "Graph":
        """Build a graph from a simple undirected networkx graph; edge weights are ignored.

        Args:
            graph: Any ``networkx.Graph`` without self loops or isolated nodes.
            name: What to call the graph in a caption; by default the graph's own name.

        Raises:
            TypeError: If it is directed, a multigraph, or no networkx graph.
            ValueError: If it is empty, or has a self loop or an isolated node.

        Source:
            Ours.

        Example:
            >>> Graph.from_networkx(nx.path_graph(3)).n_edges
            2
        """
        if not isinstance(graph, nx.Graph):
            raise TypeError(f"graph must be a networkx.Graph, got {type(graph).__name__}. Use Graph.from_edges for pairs.")
        if graph.is_directed() or graph.is_multigraph():
            raise TypeError(f"graph must be simple and undirected, got {type(graph).__name__}. Write nx.Graph(graph) first.")
        loop = next(nx.selfloop_edges(graph), None)
        if loop is not None:
            raise ValueError(f"graph must have no self loop, got {loop[0]!r} with itself. Remove it; train self edges with "
                             "self_edges=True.")  # fmt: skip
        alone = next(nx.isolates(graph), None)
        if alone is not None and graph.number_of_edges():
            raise ValueError(f"every node must have an edge, got isolated node {alone!r}. Remove it: no fact names it.")
        numbers = {node: number for number, node in enumerate(graph)}
        edges = [(numbers[u], numbers[v]) for u, v in graph.edges]
        labels = tuple(map(str, graph))
        return cls(n_nodes=len(numbers), edges=edges, labels=labels, name=name or graph.name or "graph")


def _check_edges(n_nodes: int, edges: Tensor) -> None:
    """Refuse edges out of range, self loops, repeats and isolated nodes."""
    low, high = int(edges.min()), int(edges.max())
    if low < 0 or high >= n_nodes:
        raise ValueError(f"edges must join nodes 0 to {n_nodes - 1}, got node {low if low < 0 else high}.")
    loops = edges[:, 0] == edges[:, 1]
    if loops.any():
        raise ValueError(f"edges must join different nodes, got {int(edges[loops][0, 0])} with itself. Drop self loops; "
                         "train them with self_edges=True.")  # fmt: skip
    if len(edges.sort(dim=1).values.unique(dim=0)) < len(edges):
        raise ValueError("edges must not repeat, in either direction. Use Graph.from_edges to merge them.")
    isolated = (torch.bincount(edges.flatten(), minlength=n_nodes) == 0).nonzero().flatten().tolist()
    if isolated:
        raise ValueError(f"every node must have an edge, got isolated node {isolated[0]} ({len(isolated)} in all). "
                         "Remove it: no fact names it.")  # fmt: skip


def require_graph(graph) -> "Graph":
    """Return ``graph`` if it is a Graph; else say how to make one."""
    if not isinstance(graph, Graph):
        raise TypeError(
            f"graph must be a geomem.Graph, got {type(graph).__name__}. Use Graph.from_networkx or Graph.from_edges."
        )
    return graph


def node_table(name: str, table, graph: Graph, *, columns: int | None = None) -> Tensor:
    """Return a table of one row a node as a finite float64 CPU tensor ``(..., n, columns)``, or say what is wrong."""
    require_graph(graph)
    table = torch.as_tensor(table).detach().to("cpu", torch.float64)
    if table.ndim < 2 or table.shape[-2] != graph.n_nodes or (columns is not None and table.shape[-1] != columns):
        wanted = f"(..., {graph.n_nodes}, {'m' if columns is None else columns})"
        raise ValueError(f"{name} must have one row a node, shape {wanted}, got {tuple(table.shape)}.")
    if not table.isfinite().all():
        raise ValueError(f"{name} must be finite, got NaN or infinity: the run it comes from has diverged. Lower its lr.")
    return table
