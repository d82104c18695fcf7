"""The graphs that have a name: the paper's families, known networks, and the facts that come with the book."""

from pathlib import Path

import networkx as nx
import torch
from torch import Tensor

from .. import _checks
from .files import read_edges
from .graph import Graph, require_graph


def path_star(degree: int, length: int, *, seed: int | None = None) -> Graph:
    """Return the path-star G(degree, length): a root with ``degree`` disjoint arms.

    Args:
        degree: Arms at the root, at least 2.
        length: Nodes of a path *including the root*, at least 2.
        seed: If given, nodes are numbered in a random order drawn from it; else the root is 0 and arm a holds
            ``1 + a (length - 1)`` onwards.

    Returns:
        A graph of ``degree (length - 1) + 1`` nodes and one edge fewer, with one path per arm.

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
        A graph with one path per leaf, ``degree * branching**(length - 2)`` of them.

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


def rewired(graph: Graph, *, seed: int, swaps: int = 10) -> Graph:
    """Return a graph with the same degrees and other edges: pairs of edges swap ends, u-v and x-y become u-x and v-y.

    It is the null for "the geometry is this graph's": whatever comes from size and degrees alone is there as well. It may
    share edges with ``graph``, but never all, and need not be connected. A ring becomes one or several rings.

    Args:
        graph: The graph, of at least 4 nodes.
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
    total = _checks.integer("swaps", swaps, least=1) * require_graph(graph).n_edges
    old = nx.Graph()
    old.add_nodes_from(range(graph.n_nodes))
    old.add_edges_from(graph.edges.tolist())
    new = old.copy()
    try:
        nx.double_edge_swap(new, total, max_tries=100 * total, seed=seed)
        if nx.utils.edges_equal(new.edges, old.edges):
            nx.double_edge_swap(new, 1, max_tries=100 * total, seed=seed)  # one exchange always adds new edges
    except nx.NetworkXException:
        raise ValueError(f"graph must have edges that can exchange ends, got {graph!r}. Take another null: a star or a "
                         "complete graph is the only one of its degrees.") from None  # fmt: skip
    return Graph(n_nodes=graph.n_nodes, edges=list(new.edges), labels=graph.labels, name=f"{graph.name}, rewired")


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
    "borders": lambda: read_edges(_shipped("borders.csv")),
}
"""Every graph that has a name of its own, made without arguments: the paper's at its tiny sizes, known networks, and the
facts that come with the book."""


def _shipped(file: str) -> Path:
    """Return where a file of facts lies: in the book, or in the installed package."""
    folders = _checks.shipped("data")
    return next((folder / file for folder in folders if (folder / file).is_file()), folders[-1] / file)


def named_graph(name: str | Path, **reading) -> Graph:
    """Return a graph by the name of a family or a known network, or read the file of that path.

    Args:
        name: A name in ``FAMILIES``: "path_star", "tree_star", "grid", "cycle", "irregular" (at the paper's tiny sizes),
            "karate", "les_miserables", "florentine", "davis", and the book's own files of facts, "family", "places"
            and "borders"; or the path of a file that ``read_edges`` takes.
        **reading: Options of ``read_edges``, for a file.

    Raises:
        TypeError: If the name is not a string.
        ValueError: If it is neither a known name nor a file, or options of a file are given for a name.

    Source:
        The tiny graphs are the paper's; the networks come with networkx.

    Example:
        >>> named_graph("karate")
        Graph('karate club', n_nodes=34, n_edges=78)
    """
    if not isinstance(name, (str, Path)):
        raise TypeError(f"a graph's name must be a string, got {name!r}.")
    if Path(name).suffix or "/" in str(name):
        return read_edges(name, **reading)
    if reading:
        raise ValueError(f"{next(iter(reading))} must be left out for {str(name)!r}, got {reading}: it says how a file is "
                         "written, and this is a graph's name.")  # fmt: skip
    return FAMILIES[_checks.one_of("graph (or a path of a file with an ending)", str(name), FAMILIES)]()
