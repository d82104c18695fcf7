"""The graph whose edges are the facts to memorise."""

import warnings
from collections.abc import Hashable, Iterable

import networkx as nx
import numpy as np
import torch
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components, shortest_path
from torch import Tensor

from .. import _checks
from .checks import checked_edges, checked_labels, checked_paths, is_missing, numbered


class Graph:
    """An undirected simple graph with the nodes ``0 .. n_nodes - 1``; it cannot be changed once it is made.

    Every property below is checked when the graph is made. Arrays that are given are copied, and ``edges`` and ``paths``
    hand out a copy each time, so that no one can change the facts behind a graph's back.

    Args:
        n_nodes: Number of nodes, at least 2.
        edges: Each undirected edge once, int64 ``(n_edges, 2)``. The order within a pair is the *forward*
            direction: away from the root where there is one, else as given.
        root: The node where all ``paths`` begin, or None.
        paths: Node ids from root to leaf, int64 ``(n_paths, length)``, every step an edge, no node twice in a path, no
            two paths with one leaf; ``(0, 0)`` where there is no root.
        labels: One name per node; by default its number.
        name: What to call the graph in a caption.
        fiedler_dims: How many leading non-trivial spectral dimensions count as Fiedler-like; None means the
            multiplicity of the first non-trivial eigenspace.
        source: In a sentence or two, what file the graph was read from and how; empty where it was not.

    Raises:
        AttributeError: If something of a graph is set after it was made.
        TypeError: If a size is not an integer.
        ValueError: If an edge is a loop, repeated or out of range, a node has no edge, or a path does not follow the edges
            from the root.

    Source:
        Paper, section on the in-weights task: facts are the edges of one fixed graph.

    Example:
        >>> Graph(n_nodes=3, edges=[(0, 1), (1, 2)]).degrees
        tensor([1, 2, 1])
    """

    n_nodes: int
    root: int | None
    labels: tuple[str, ...]
    name: str
    fiedler_dims: int | None
    source: str
    _edges: Tensor
    _paths: Tensor

    def __init__(
        self,
        *,
        n_nodes: int,
        edges,
        root: int | None = None,
        paths=None,
        labels: Iterable[Hashable] = (),
        name: str = "graph",
        fiedler_dims: int | None = None,
        source: str = "",
    ):
        n = _checks.integer("n_nodes", n_nodes, least=2, hint="A graph needs two nodes to have a fact.")
        edges = checked_edges(n, edges)
        root = None if root is None else _checks.integer("root", root, least=0)
        held = {"n_nodes": n, "_edges": edges, "root": root, "_paths": checked_paths(n, edges, root, paths)}
        held |= {"labels": checked_labels(n, labels), "name": str(name), "source": str(source)}
        if fiedler_dims is not None:
            fiedler_dims = _checks.integer("fiedler_dims", fiedler_dims, least=1)
        vars(self).update(held | {"fiedler_dims": fiedler_dims})

    def __setattr__(self, name: str, value) -> None:
        raise AttributeError(f"a graph must stay as it was made, got a new value for {name!r}. Make another Graph.")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a graph must stay as it was made, got a request to delete {name!r}. Make another Graph.")

    @property
    def edges(self) -> Tensor:
        """A copy of the edges, each undirected edge once, int64 ``(n_edges, 2)``."""
        return self._edges.clone()

    @property
    def paths(self) -> Tensor:
        """A copy of the paths from root to leaf, int64 ``(n_paths, length)``; ``(0, 0)`` where there is no root."""
        return self._paths.clone()

    def __repr__(self) -> str:
        return f"Graph({self.name!r}, n_nodes={self.n_nodes}, n_edges={self.n_edges})"

    @property
    def n_edges(self) -> int:
        """Number of undirected edges."""
        return len(self._edges)

    def paths_to(self, leaves) -> Tensor:
        """Return the path that ends at each of the listed leaves, int64 ``(k, length)``.

        Args:
            leaves: Node ids, int ``(k,)``.

        Raises:
            ValueError: If the graph has no root, or a listed node ends no path.
        """
        ends = self.leaves
        leaves = torch.as_tensor(leaves).flatten()
        wrong = leaves[~torch.isin(leaves, ends)]
        if len(wrong):
            raise ValueError(f"leaves must be leaves of {self!r}, got node {wrong[0].item()}.")
        row = torch.full((self.n_nodes,), -1)
        row[ends] = torch.arange(len(ends))
        return self._paths[row[leaves.to(torch.int64)]]

    @property
    def leaves(self) -> Tensor:
        """The last node of every path, int64 ``(n_paths,)``; a ValueError without a root."""
        return self._rooted("leaves")[:, -1].clone()

    @property
    def degrees(self) -> Tensor:
        """Neighbours of each node, int64 ``(n_nodes,)``."""
        return torch.bincount(self._edges.flatten(), minlength=self.n_nodes)

    @property
    def first_hops(self) -> Tensor:
        """The distinct first nodes after the root, int64 ``(degree of the root,)``; a ValueError without a root."""
        return self._rooted("first hops")[:, 1].unique()

    def _rooted(self, what: str) -> Tensor:
        """Return the paths, or say that there are none."""
        if self.root is None:
            raise ValueError(f"graph must have a root, got {self!r}: it has no root, so it has no {what}. Use path_star or "
                             "tree_star.")  # fmt: skip
        return self._paths

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
        there, back = self._edges, self._edges.flip(1)
        parts = {"forward": [there], "backward": [back], "both": [there, back]}
        loops = torch.arange(self.n_nodes).repeat(2, 1).T
        return torch.cat(parts[directions] + [loops] * bool(self_edges))

    def targets(self, *, directions: str = "both", self_edges: bool = False) -> Tensor:
        """Return the 0/1 matrix of trained facts, float64 ``(n, n)``: row u holds the nodes that answer u."""
        _checks.dense(self.n_nodes, "The matrix of targets", "Work with graph.directed_edges() instead.")
        heads, tails = self.directed_edges(directions=directions, self_edges=self_edges).T
        matrix = torch.zeros(self.n_nodes, self.n_nodes, dtype=torch.float64)
        matrix[heads, tails] = 1.0
        return matrix

    def hops(self, nodes=None) -> Tensor:
        """Return shortest-path lengths, int64 ``(n, n)``; -1 where there is no path.

        Args:
            nodes: Return only the rows of these nodes, int64 ``(len(nodes), n)``, for graphs too large for all.
        """
        if nodes is None:
            _checks.dense(self.n_nodes, "The matrix of hop distances", "Write graph.hops(nodes) with a sample of nodes.")
        rows = None if nodes is None else torch.as_tensor(nodes).numpy()
        hops = shortest_path(self.sparse(), unweighted=True, directed=False, indices=rows)
        return torch.from_numpy(np.where(np.isinf(hops), -1, hops).astype(np.int64))

    def components(self) -> Tensor:
        """Return the number of each node's connected component, int64 ``(n,)``."""
        return torch.from_numpy(connected_components(self.sparse(), directed=False)[1].astype(np.int64))

    def to_networkx(self) -> nx.Graph:
        """Return a networkx graph whose nodes are the labels."""
        graph = nx.Graph()
        graph.add_nodes_from(self.labels)
        graph.add_edges_from((self.labels[u], self.labels[v]) for u, v in self._edges.tolist())
        return graph

    def sparse(self) -> csr_array:
        """Return the symmetric 0/1 matrix as a sparse array of SciPy, float64 ``(n, n)``, for graphs of any size."""
        heads, tails = self.directed_edges().numpy().astype(np.int32).T  # csgraph of SciPy before 1.15 takes no int64
        return coo_array((np.ones(len(heads)), (heads, tails)), shape=(self.n_nodes, self.n_nodes)).tocsr()

    @classmethod
    def from_edges(cls, pairs: Iterable[tuple[Hashable, Hashable]], *, name: str = "graph", source: str = "") -> "Graph":
        """Build a graph from pairs of names; nodes are numbered in order of appearance.

        Args:
            pairs: Two names per edge. A repeated or reversed pair is merged, with one warning that counts them.
            name: What to call the graph in a caption.
            source: Where the pairs come from, in words.

        Raises:
            TypeError: If an item is not a pair.
            ValueError: If there is no pair, a name is missing, or a pair joins a node to itself.

        Source:
            Ours.

        Example:
            >>> Graph.from_edges([("a", "b"), ("b", "c")]).labels
            ('a', 'b', 'c')
        """
        labels, edges, repeated = numbered(pairs)
        if repeated:
            warnings.warn(f"{repeated} repeated or reversed edges were merged.", UserWarning, stacklevel=2)
        return cls(n_nodes=len(labels), edges=edges, labels=labels, name=name, source=source)

    @classmethod
    def from_networkx(cls, graph: nx.Graph, *, name: str = "") -> "Graph":
        """Build a graph from a simple undirected networkx graph; edge weights are ignored.

        Args:
            graph: Any ``networkx.Graph`` without self loops or isolated nodes.
            name: What to call the graph in a caption; by default the graph's own name.

        Raises:
            TypeError: If it is directed, a multigraph, or no networkx graph.
            ValueError: If it is empty, a name is missing, or it has a self loop or an isolated node.

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
        lacks = next((place for place, node in enumerate(graph) if is_missing(node)), None)
        if lacks is not None:
            raise ValueError(f"every node must have a name, got {list(graph)[lacks]!r} as node {lacks}, counted from 0. Drop"
                             " it, or fill in what is missing before the graph is made.")  # fmt: skip
        alone = next(nx.isolates(graph), None)
        if alone is not None and graph.number_of_edges():
            raise ValueError(f"every node must have an edge, got isolated node {alone!r}. Remove it: no fact names it.")
        numbers = {node: number for number, node in enumerate(graph)}
        edges = [(numbers[u], numbers[v]) for u, v in graph.edges]
        labels = tuple(map(str, graph))
        return cls(n_nodes=len(numbers), edges=edges, labels=labels, name=name or graph.name or "graph")


def require_graph(graph) -> "Graph":
    """Return ``graph`` if it is a Graph; else say how to make one."""
    if not isinstance(graph, Graph):
        raise TypeError(
            f"graph must be a geomem.Graph, got {type(graph).__name__}. Use Graph.from_networkx or Graph.from_edges."
        )
    return graph


def node_table(name: str, table, graph: Graph, *, columns: int | None = None) -> Tensor:
    """Return a table of one row per node as a finite float64 CPU tensor ``(..., n, columns)``, or say what is wrong."""
    require_graph(graph)
    table = _checks.table(table)
    if table.ndim < 2 or table.shape[-2] != graph.n_nodes or (columns is not None and table.shape[-1] != columns):
        wanted = f"(..., {graph.n_nodes}, {'m' if columns is None else columns})"
        raise ValueError(f"{name} must have one row per node, shape {wanted}, got {tuple(table.shape)}.")
    if not table.isfinite().all():
        raise ValueError(f"{name} must be finite, got NaN or infinity: the run it comes from has diverged. Lower its lr.")
    return table
