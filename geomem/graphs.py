"""Graphs whose edges are the facts to memorise: the paper's families, networkx graphs, and files of names."""

import csv
import io
import warnings
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import networkx as nx
import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components, shortest_path
from torch import Tensor

from . import _checks


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
        _checks.dense(self.n_nodes, "The adjacency matrix", "Work with g.edges instead.")
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
        _checks.dense(self.n_nodes, "The matrix of targets", "Work with g.directed_edges() instead.")
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


def path_star(degree: int, length: int, *, seed: int | None = None) -> Graph:
    """Return the path-star G(degree, length): a root with ``degree`` disjoint arms.

    Args:
        degree: Arms at the root, at least 2.
        length: Nodes of a path *including the root*, at least 2.
        seed: If given, nodes are numbered in a random order drawn from it; else the root is 0 and arm a holds
            ``1 + a (length - 1)`` onwards.

    Returns:
        A graph of ``degree (length - 1) + 1`` nodes and one edge fewer, with one path an arm.

    Raises:
        TypeError: If a size is not an integer.
        ValueError: If ``degree`` or ``length`` is below 2.

    Source:
        Paper, section 2, after Bachmann and Nagarajan (2024).

    Example:
        >>> path_star(degree=2, length=3).paths.tolist()
        [[0, 1, 2], [0, 3, 4]]
    """
    degree = _checks.integer("degree", degree, least=2, hint="A path-star needs two arms to choose between.")
    length = _checks.integer("length", length, least=2, hint="The length counts the root.")
    arms = 1 + torch.arange(degree * (length - 1)).reshape(degree, length - 1)
    paths = torch.cat([torch.zeros(degree, 1, dtype=torch.int64), arms], dim=1)
    return _from_paths(paths, f"path-star({degree}, {length})", seed)


def tree_star(degree: int, length: int, branching: int = 2, *, seed: int | None = None) -> Graph:
    """Return a tree-star: the root has ``degree`` children, every other inner node ``branching``.

    Args:
        degree: Children of the root, at least 2.
        length: Nodes of a path from root to leaf, root included, at least 2.
        branching: Children of every other inner node, at least 1 (1 gives a path-star).
        seed: If given, nodes are numbered in a random order drawn from it.

    Returns:
        A graph with one path a leaf, ``degree * branching**(length - 2)`` of them.

    Raises:
        TypeError: If a size is not an integer.
        ValueError: If a size is too small.

    Source:
        Paper, appendix C.

    Example:
        >>> tree_star(2, 3).paths.tolist()
        [[0, 1, 3], [0, 1, 4], [0, 2, 5], [0, 2, 6]]
    """
    degree = _checks.integer("degree", degree, least=2, hint="A tree-star needs two branches to choose between.")
    length = _checks.integer("length", length, least=2, hint="The length counts the root.")
    branching = _checks.integer("branching", branching, least=1)
    paths = torch.zeros(1, 1, dtype=torch.int64)
    for children in [degree] + [branching] * (length - 2):
        first = int(paths.max()) + 1
        paths = paths.repeat_interleave(children, dim=0)
        paths = torch.cat([paths, first + torch.arange(len(paths))[:, None]], dim=1)
    return _from_paths(paths, f"tree-star({degree}, {length}, {branching})", seed)


def _from_paths(paths: Tensor, name: str, seed: int | None) -> Graph:
    n = int(paths.max()) + 1
    if seed is not None:
        generator = torch.Generator().manual_seed(_checks.seed_of("seed", seed))
        paths = torch.randperm(n, generator=generator)[paths]
    edges = torch.stack([paths[:, :-1], paths[:, 1:]], dim=-1).flatten(0, 1)
    keys = edges[:, 0] * n + edges[:, 1]
    order = keys.unique(return_inverse=True)[1]  # shared trunks of a tree appear once, in first-seen order
    first = torch.full((int(order.max()) + 1,), len(keys)).scatter_reduce(0, order, torch.arange(len(keys)), "amin")
    return Graph(n_nodes=n, edges=edges[first.sort().values], root=int(paths[0, 0]), paths=paths, name=name)


def cycle(n_nodes: int) -> Graph:
    """Return the cycle ``0 - 1 - ... - (n_nodes - 1) - 0``.

    Args:
        n_nodes: Number of nodes, at least 3.

    Raises:
        TypeError: If ``n_nodes`` is not an integer.
        ValueError: If it is below 3.

    Source:
        Paper, section on tiny graphs (15 nodes there).

    Example:
        >>> cycle(3).edges.tolist()
        [[0, 1], [1, 2], [2, 0]]
    """
    n = _checks.integer("n_nodes", n_nodes, least=3, hint="Two nodes make an edge, not a cycle.")
    nodes = torch.arange(n)
    return Graph(n_nodes=n, edges=torch.stack([nodes, (nodes + 1) % n], dim=1), name=f"cycle({n})")


def grid(rows: int, columns: int) -> Graph:
    """Return the grid whose node ``r * columns + c`` stands in row r, column c, joined to its neighbours.

    Args:
        rows: Rows, at least 1.
        columns: Columns, at least 1.

    Raises:
        TypeError: If a size is not an integer.
        ValueError: If a size is below 1 or there is a single node.

    Source:
        Paper, section on tiny graphs (4 x 4 there).

    Example:
        >>> grid(2, 2).edges.tolist()
        [[0, 1], [2, 3], [0, 2], [1, 3]]
    """
    rows = _checks.integer("rows", rows, least=1)
    columns = _checks.integer("columns", columns, least=1)
    if rows * columns < 2:
        raise ValueError(f"a grid must have at least two nodes, got {rows} x {columns}.")
    nodes = torch.arange(rows * columns).reshape(rows, columns)
    across = torch.stack([nodes[:, :-1].flatten(), nodes[:, 1:].flatten()], dim=1)
    down = torch.stack([nodes[:-1].flatten(), nodes[1:].flatten()], dim=1)
    return Graph(n_nodes=rows * columns, edges=torch.cat([across, down]), name=f"grid({rows}, {columns})")


def irregular() -> Graph:
    """Return the paper's fixed irregular graph: a 12-ring with chords 1-3 and 5-8, and a K4 apart from it.

    Source:
        Paper, tiny graphs: 16 nodes, 20 edges, two components.

    Example:
        >>> irregular().components().unique().tolist()
        [0, 1]
    """
    pairs = "12-15 5-8 5-6 8-9 7-8 1-3 13-14 13-15 12-14 12-13 1-2 4-5 3-4 10-11 0-1 2-3 6-7 11-0 9-10 14-15"  # as listed
    edges = [tuple(map(int, pair.split("-"))) for pair in pairs.split()]
    return Graph(n_nodes=16, edges=edges, name="irregular", fiedler_dims=2)


def rewired(g: Graph, *, seed: int, swaps: int = 10) -> Graph:
    """Return a graph of the same degrees with other edges: pairs of edges exchange ends, u-v and x-y become u-x and v-y.

    It is the null for "the geometry is this graph's": whatever comes from size and degrees alone is there as well. It may
    share edges with ``g``, but never all, and need not be connected. A ring becomes one or several rings.

    Args:
        g: The graph, of at least 4 nodes.
        seed: Draws the exchanges.
        swaps: Exchanges an edge, at least 1.

    Returns:
        A graph of the same nodes, labels and degrees, without root and paths.

    Raises:
        TypeError: If ``seed`` or ``swaps`` is not an integer.
        ValueError: If hardly any two edges can exchange ends, as in a star or a complete graph.

    Source:
        Maslov and Sneppen (2002); ``networkx.double_edge_swap``.

    Example:
        >>> rewired(cycle(6), seed=0).degrees.tolist()
        [2, 2, 2, 2, 2, 2]
    """
    seed = _checks.seed_of("seed", seed)
    total = _checks.integer("swaps", swaps, least=1) * require_graph(g).n_edges
    graph = nx.Graph()
    graph.add_nodes_from(range(g.n_nodes))
    graph.add_edges_from(g.edges.tolist())
    old = graph.copy()
    try:
        nx.double_edge_swap(graph, total, max_tries=100 * total, seed=seed)
        if nx.utils.edges_equal(graph.edges, old.edges):
            nx.double_edge_swap(graph, 1, max_tries=100 * total, seed=seed)  # one exchange always adds new edges
    except nx.NetworkXException:
        raise ValueError(f"graph must have edges that can exchange ends, got {g!r}. Take another null: a star or a complete "
                         "graph is the only one of its degrees.") from None  # fmt: skip
    return Graph(n_nodes=g.n_nodes, edges=list(graph.edges), labels=g.labels, name=f"{g.name}, rewired")


FAMILIES = {
    "path_star": lambda: path_star(4, 5),
    "tree_star": lambda: tree_star(3, 4),
    "grid": lambda: grid(4, 4),
    "cycle": lambda: cycle(15),
    "irregular": irregular,
    "karate": lambda: Graph.from_networkx(nx.karate_club_graph(), name="karate club"),
    "les_miserables": lambda: Graph.from_networkx(nx.les_miserables_graph(), name="Les Miserables"),
    "florentine": lambda: Graph.from_networkx(nx.florentine_families_graph(), name="Florentine families"),
    "davis": lambda: Graph.from_networkx(nx.davis_southern_women_graph(), name="Davis southern women"),
    "family": lambda: read_edges(_shipped("family.csv")),
    "places": lambda: read_edges(_shipped("places.csv")),
}
"""Every graph that has a name of its own, made without arguments: the paper's at its tiny sizes, known networks, and the
facts that come with the book."""


def _shipped(file: str) -> Path:
    """Return where a file of facts lies: in the book, or in the installed package."""
    folders = _checks.shipped("data")
    return next((folder / file for folder in folders if (folder / file).is_file()), folders[-1] / file)


def named_graph(name: str) -> Graph:
    """Return a graph by the name of a family or a known network, or read the file of that path.

    Args:
        name: A name in ``FAMILIES``: "path_star", "tree_star", "grid", "cycle", "irregular" (at the paper's tiny sizes),
            "karate", "les_miserables", "florentine", "davis", and the book's own files of facts, "family" and "places"; or
            the path of a file that ``read_edges`` takes.

    Raises:
        TypeError: If the name is not a string.
        ValueError: If it is neither a known name nor a file; says the nearest name.

    Source:
        The tiny graphs are the paper's; the networks come with networkx.

    Example:
        >>> named_graph("karate")
        Graph('karate club', n_nodes=34, n_edges=78)
    """
    if not isinstance(name, (str, Path)):
        raise TypeError(f"a graph's name must be a string, got {name!r}.")
    if Path(name).suffix or "/" in str(name):
        return read_edges(name)
    return FAMILIES[_checks.one_of("graph (or a path of a file with an ending)", str(name), FAMILIES)]()


def read_edges(path: str | Path, *, columns: tuple[int, int] = (0, 1), header: bool = False) -> Graph:
    """Read a graph from a file of names: one edge a row.

    Args:
        path: UTF-8 text; ``.tsv`` and ``.tab`` are split at tabs, everything else at commas, with csv quoting.
            Empty rows and rows that begin with ``#`` are skipped.
        columns: Which two columns hold the names, counted from 0.
        header: Whether to skip the first row.

    Returns:
        The graph, named after the file. Repeated or reversed rows are merged with one UserWarning that counts them.

    Raises:
        TypeError: If ``columns`` is not a pair of integers.
        ValueError: If there is no such file, it is not UTF-8 text, a row lacks a column or a name, or no edge is left.

    Source:
        Ours.
    """
    if not isinstance(path, (str, Path)):
        raise TypeError(f"path must be a string or Path, got {path!r}.")
    path = Path(path)
    if not isinstance(columns, (tuple, list)) or len(columns) != 2:
        raise TypeError(f"columns must be a pair of column numbers, got {columns!r}. Write columns=(0, 1).")
    columns = tuple(_checks.integer("a column", column, least=0, hint="Columns count from 0.") for column in columns)
    if columns[0] == columns[1]:
        raise ValueError(f"columns must be two different columns, got {columns}. Write columns=(0, 1).")
    _checks.boolean("header", header)
    if not path.is_file():
        raise ValueError(f"path must name a file of edges, got {str(path)!r}: there is none. Check the folder.")
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path.name} must be UTF-8 text, got a byte that is not at {error.start}. Save it as UTF-8."
        ) from None
    if "\0" in text:
        raise ValueError(f"{path.name} must be text, got a binary file. Export it as CSV or TSV.")
    rows = csv.reader(
        _without_comments(text), strict=True, delimiter="\t" if path.suffix.lower() in (".tsv", ".tab") else ","
    )
    try:
        pairs = _pairs(rows, columns, header, path.name)
    except csv.Error as error:
        raise ValueError(f"{path.name}, line {rows.line_num}: a row must be readable as csv, got: {error}.") from None
    return Graph.from_edges(pairs, name=path.stem)


def _without_comments(text: str):
    """Yield the lines, those that begin with # emptied; a # inside quotes begins no comment."""
    quoted = False
    for line in io.StringIO(text, newline=""):
        comment = not quoted and line.lstrip().startswith("#")
        quoted ^= not comment and line.count('"') % 2 == 1
        yield "\n" if comment else line


def require_graph(g) -> "Graph":
    """Return ``g`` if it is a Graph; else say how to make one."""
    if not isinstance(g, Graph):
        raise TypeError(
            f"graph must be a geomem.Graph, got {type(g).__name__}. Use Graph.from_networkx or Graph.from_edges."
        )
    return g


def _pairs(rows, columns: tuple[int, int], header: bool, file: str) -> list[tuple[str, str]]:
    """Return the two named columns of every row that holds data; a row that lacks one is an error with its line."""
    kept = [(rows.line_num, row) for row in rows if any(map(str.strip, row))]
    pairs = []
    for line, row in kept[1:] if header else kept:
        if len(row) <= max(columns):
            raise ValueError(f"{file}, line {line}: a row must have a column {max(columns)}, got {len(row)} column(s): "
                             f"{row}. Check columns= and the separator (tabs for .tsv).")  # fmt: skip
        names = tuple(row[column].strip() for column in columns)
        if not all(names):
            raise ValueError(f"{file}, line {line}: both names must be non-empty, got {names}. Complete or drop the row.")
        if names[0] == names[1]:
            raise ValueError(f"{file}, line {line}: an edge must join two different nodes, got {names[0]!r} with itself. "
                             "Drop the row; train self edges with self_edges=True.")  # fmt: skip
        pairs.append(names)
    return pairs
