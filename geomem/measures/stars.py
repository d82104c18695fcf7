"""Measures of graphs with a root: the nearest first hop, and how far arms lie apart."""

from typing import NamedTuple

import torch
from scipy.sparse.csgraph import breadth_first_order
from torch import Tensor

from .. import _checks
from ..graphs import Graph, node_table, require_graph
from .base import COSINE_TIE, ROUNDING, leaves_of, listed_nodes, unit_rows


def first_hop_accuracy(E, graph: Graph, *, leaves: Tensor | None = None, root: int | None = None) -> Tensor:
    """Return how often a leaf's most similar neighbour of the root is the first hop of its own path.

    Ties count by expectation under random order; chance is 1 / d for d first hops.

    Args:
        E: Embeddings, ``(..., n, m)``.
        graph: A graph with paths, or, with ``root``, any tree.
        leaves: Leaf node ids, int ``(k,)``; by default all. Give the held-out ones where some were trained.
        root: The root of a tree of any shape. Its leaves are the nodes of one neighbour, but those that are first hops
            themselves; None for the graph's own root and paths.

    Returns:
        float64 ``(...,)`` in [0, 1].

    Raises:
        ValueError: If the graph has no paths and no root is given, or is no tree where one is, a listed node is not a leaf,
            or E does not fit.

    Source:
        Paper, section on evidence for geometry; the one-step first hop.

    Example:
        >>> from geomem.graphs import path_star
        >>> E = torch.tensor([[0.0, 0], [1, 0], [2, 0], [0, 1], [0, 2]])  # one direction per arm
        >>> float(first_hop_accuracy(E, path_star(2, 3)))
        1.0
    """
    if root is None:
        first, leaves = require_graph(graph).first_hops, leaves_of(graph, leaves)
        own = first == graph.paths_to(leaves)[:, 1:2]
    else:
        tree = _tree(graph, root, leaves)
        first, leaves = tree.first, tree.leaves
        own = torch.arange(len(first)) == tree.arm[leaves][:, None]
    unit = unit_rows(node_table("E", E, graph))
    hits = []
    for some, is_own in zip(leaves.split(1024), own.split(1024), strict=True):  # 1,024 x 10,000 first hops are 80 MB
        similar = ((unit[..., some, :] @ unit[..., first, :].mT) / COSINE_TIE).round()
        best = similar == similar.amax(-1, keepdim=True)
        hits.append((best & is_own).sum(-1).double() / best.sum(-1))
    return torch.cat(hits, dim=-1).mean(-1)


def arm_separation(E, graph: Graph, *, leaves: Tensor | None = None, root: int | None = None) -> Tensor:
    """Return the mean cosine of leaves with the rest of their own arm, minus that with all other arms.

    An arm is all that lies behind one first hop: a path of a path-star without its root, a whole branch of a tree. The
    root belongs to none. Computed from sums of unit vectors, so a graph may be of any size; random embeddings give 0.

    Args:
        E: Embeddings, ``(..., n, m)``.
        graph: A graph with paths of three or more nodes each, or, with ``root``, any tree.
        leaves: Leaf node ids, int ``(k,)``; by default all. Give the held-out ones where some were trained; they are
            compared with the nodes of all arms.
        root: As in ``first_hop_accuracy``.

    Returns:
        float64 ``(...,)`` in [-2, 2], the mean over the leaves.

    Raises:
        ValueError: If the graph has no paths, its arms share a node or are single nodes, a listed node is not a leaf, or
            E does not fit.

    Source:
        Ours, after the paper's heat maps of cosines within and between paths.

    Example:
        >>> from geomem.graphs import path_star
        >>> E = torch.tensor([[0.0, 0], [1, 0], [2, 0], [0, 1], [0, 2]])  # one direction per arm
        >>> float(arm_separation(E, path_star(2, 3)))
        1.0
    """
    arm, leaves = _arms_and_leaves(graph, leaves, root)
    unit = unit_rows(node_table("E", E, graph))
    sums = unit.new_zeros(*unit.shape[:-2], int(arm.max()) + 1, unit.shape[-1])
    sums.index_add_(-2, arm[arm >= 0], unit[..., arm >= 0, :])
    size, leaf = torch.bincount(arm[arm >= 0])[arm[leaves]], unit[..., leaves, :]
    own = sums[..., arm[leaves], :]
    others = sums.sum(-2, keepdim=True) - own
    within = (leaf * (own - leaf)).sum(-1) / (size - 1)
    return (within - (leaf * others).sum(-1) / ((arm >= 0).sum() - size)).mean(-1)


def silhouette(
    E, graph: Graph, *, leaves: Tensor | None = None, max_arms: int = 500, seed: int = 0, root: int | None = None
) -> Tensor:
    """Return the mean silhouette coefficient of the listed leaves' arms as clusters, by cosine distance.

    With a the mean distance of a node to the others of its arm, and b that to the nearest other listed arm (the smallest
    mean), a node scores ``(b - a) / max(a, b)``, or 0 where both are 0; the root is left out. b is a minimum, so it depends
    on the number of arms, and random embeddings score below 0: compare at one ``max_arms``.

    Args:
        E: Embeddings, ``(..., n, m)``.
        graph: A graph with paths of three or more nodes each, or, with ``root``, any tree; arms as in ``arm_separation``.
        leaves: Leaf node ids, int ``(k,)``, of two or more arms; by default all.
        max_arms: Draw this many arms where more are listed, at least 2.
        seed: Draws them.
        root: As in ``first_hop_accuracy``.

    Returns:
        float64 ``(...,)`` in [-1, 1], the mean over all nodes of those arms.

    Raises:
        TypeError: If ``max_arms`` or ``seed`` is not an integer.
        ValueError: If fewer than two arms are listed, or as for ``arm_separation``.

    Source:
        Rousseeuw (1987).

    Example:
        >>> from geomem.graphs import path_star
        >>> E = torch.tensor([[0.0, 0], [1, 0], [2, 0], [0, 1], [0, 2]])  # one direction per arm
        >>> float(silhouette(E, path_star(2, 3)))
        1.0
    """
    max_arms = _checks.integer("max_arms", max_arms, least=2)
    generator = torch.Generator().manual_seed(_checks.seed_of("seed", seed))
    arm, leaves = _arms_and_leaves(graph, leaves, root)
    listed = arm[leaves].unique()
    if len(listed) < 2:
        raise ValueError(f"leaves must lie on two or more arms, got {len(listed)}: nothing lies apart.")
    if len(listed) > max_arms:
        listed = listed[torch.randperm(len(listed), generator=generator)[:max_arms]]
    nodes = torch.isin(arm, listed).nonzero().flatten()
    cluster = (arm[nodes, None] == listed).to(torch.float64)  # (nodes, arms)
    unit, size = unit_rows(node_table("E", E, graph))[..., nodes, :], cluster.sum(0)
    far = size - unit @ (cluster.T @ unit).mT  # summed cosine distance of node and arm
    own = (far * cluster).sum(-1) - (1 - unit.square().sum(-1))  # without the node itself
    a = own / (cluster @ size - 1)
    b = (far / size).masked_fill(cluster.bool(), torch.inf).amin(-1)
    larger = torch.maximum(a, b)
    return ((b - a) / torch.where(larger <= ROUNDING, torch.inf, larger)).mean(-1)


class _Tree(NamedTuple):
    """Hold first hops, the number of the first hop behind which every node lies, -1 at the root, and the listed leaves."""

    first: Tensor
    arm: Tensor
    leaves: Tensor


def _tree(graph: Graph, root: int, leaves) -> _Tree:
    """Return the arms of a tree of any shape, and its leaves, by default all that lie behind a first hop."""
    n = require_graph(graph).n_nodes
    root = int(listed_nodes("root", [_checks.integer("root", root, least=0)], graph))
    if graph.n_edges != n - 1 or graph.components().any():
        raise ValueError(f"graph must be a tree where root is given, got {graph!r}: it has rings, or several pieces.")
    back = breadth_first_order(graph.sparse(), root, directed=False)[1]
    above = torch.from_numpy(back).long()
    first = (above == root).nonzero().flatten()
    if len(first) < 2:
        raise ValueError(f"root must have two or more neighbours, got node {root}: there is nothing to tell apart.")
    above[first], above[root] = first, root
    while not torch.equal(above, above[above]):  # each round doubles how far up it points
        above = above[above]
    arm = torch.searchsorted(first, above)
    arm[root] = -1
    ends = (graph.degrees == 1) & (above != torch.arange(n))
    leaves = ends.nonzero().flatten() if leaves is None else torch.as_tensor(leaves).flatten()
    strangers = leaves[~ends[leaves]].tolist()
    if strangers or not len(leaves):
        got = strangers[:1] or "none"
        raise ValueError(f"leaves must be one or more leaves of {graph!r} that are no first hops, got {got}.")
    return _Tree(first, arm, leaves)


def _arms_and_leaves(graph: Graph, leaves, root: int | None) -> tuple[Tensor, Tensor]:
    """Return the arm of every node, -1 for none, and the listed leaves."""
    if root is None:
        return _arms(graph), leaves_of(graph, leaves)
    tree = _tree(graph, root, leaves)
    return tree.arm, tree.leaves


def _arms(graph: Graph) -> Tensor:
    """Return the number of the first hop behind which every node lies, int64 ``(n,)``; -1 at the root and off all paths."""
    first = require_graph(graph).first_hops
    behind = torch.searchsorted(first, graph.paths[:, 1].contiguous())[:, None].expand(-1, graph.paths.shape[1] - 1)
    arm = torch.full((graph.n_nodes,), -1)
    arm[graph.paths[:, 1:]] = behind
    if (arm[graph.paths[:, 1:]] != behind).any() or len(first) < 2 or torch.bincount(arm[arm >= 0]).min() < 2:
        raise ValueError(f"arms must be two or more, disjoint, of two or more nodes without the root; {graph!r} has others.")
    return arm
