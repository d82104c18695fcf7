"""Measures of a memory: what it recalls, and whether its embedding is a map. They know arrays and graphs, not models."""

from typing import NamedTuple

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.stats import rankdata
from torch import Tensor

from . import _checks
from .graphs import Graph, require_graph
from .spectral import node_table

COSINE_TIE = 1e-6
"""Cosines closer than this are tied: trained tables are float32, and rounding must not make an order."""
ROUNDING = 1e-9
"""Scores that differ by less than this share of the largest are tied: it is rounding, not memory."""


def edge_recall(
    scores,
    g: Graph,
    *,
    self_edges: bool = False,
    directions: str = "both",
    nodes: Tensor | None = None,
    facts: Tensor | None = None,
) -> Tensor:
    """Return the share of each node's trained targets among its k highest scores, averaged over nodes.

    k is the node's number of targets. Ties count by expectation under random order, so constant scores give the
    chance level. The node itself is left out unless self edges were trained.

    Args:
        scores: ``scores[..., u, v]`` is the score of v given u, ``(..., n, n)``; with ``nodes``, ``(..., len(nodes), n)``.
        g: The graph that was trained.
        self_edges: Whether ``u -> u`` was trained too.
        directions: "both", "forward" or "backward"; nodes without a target are left out of the mean.
        nodes: The rows that ``scores`` holds, for graphs too large for all of them.
        facts: What was trained, if it is neither of the three: pairs u, v, int64 ``(n_facts, 2)``.

    Returns:
        float64 ``(...,)`` in [0, 1].

    Raises:
        ValueError: If the shape is wrong, a score is NaN, or no listed node has a target.

    Source:
        Ours; the paper's release has two definitions under one name.

    Example:
        >>> from geomem.graphs import path_star
        >>> g = path_star(2, 3)
        >>> float(edge_recall(g.adjacency(), g)), round(float(edge_recall(torch.ones(5, 5), g)), 3)
        (1.0, 0.4)
    """
    scores, rows, targets = _rows(scores, g, self_edges, directions, nodes, facts)
    scores = _rounded(scores)
    if not self_edges:
        scores, targets = _without_self(rows, scores, targets)
    k = targets.sum(-1)
    above, tied, places = _hits(scores, targets)
    return ((above.sum(-1) + places * tied.sum(-1)) / k.clamp(min=1))[..., k > 0].mean(-1)


def recalled_facts(scores, g: Graph) -> Tensor:
    """Return which facts are recalled, float64 ``(..., n, n)``: at ``[u, v]`` 1 if v is among u's k highest scores.

    k is the degree of u, u itself is left out, and ties count by expectation, as in ``edge_recall``: the sum of a row over
    its degree is the recall of the node, and the mean of that is the edge recall. Pairs that are no edge are 0.

    Args:
        scores: ``scores[..., u, v]`` is the score of v given u, ``(..., n, n)``.
        g: The graph that was trained, both directions, without self edges.

    Raises:
        ValueError: If the shape is wrong or a score is NaN.

    Source:
        Ours.

    Example:
        >>> from geomem.graphs import path_star
        >>> g = path_star(2, 2)  # 1 - 0 - 2
        >>> recalled_facts([[0.0, 1, 1], [0, 0, 1], [2, 1, 0]], g).tolist()  # asked for 1, the table says 2
        [[0.0, 1.0, 1.0], [0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]
    """
    scores, rows, targets = _rows(scores, g, False, "both", None)
    scores = _rounded(scores)
    found = torch.zeros_like(scores)
    above, tied, places = _hits(*_without_self(rows, scores, targets))
    found[..., rows[:, None] != rows] = (above + places[..., None] * tied).flatten(-2)
    return found


def _rounded(scores: Tensor) -> Tensor:
    """Return scores as whole numbers of ``ROUNDING`` times their table's largest, so that rounding ties."""
    size = scores.abs().nan_to_num(posinf=0).amax((-2, -1), keepdim=True)
    return (scores / torch.where(size == 0, 1.0, size * ROUNDING)).round()


def _hits(scores: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return which targets are surely among their row's k highest scores, which are tied for a place, and their chance."""
    k = targets.sum(-1)
    highest = scores.topk(int(k.max()), dim=-1).values  # sorted; whole rows of a large graph take seconds to sort
    threshold = highest.gather(-1, (k - 1).clamp(min=0)[:, None].expand(*scores.shape[:-1], 1))
    above, tied = scores > threshold, scores == threshold
    places = (k - above.sum(-1)).double() / tied.sum(-1)  # the share of the tied that still has a place among the k
    return above * targets, tied * targets, places


def edge_margin(
    scores, g: Graph, *, self_edges: bool = False, directions: str = "both", nodes: Tensor | None = None
) -> Tensor:
    """Return each node's lowest target score minus its highest other score, averaged over nodes.

    A node counts if it has a target and a node that is none. The node itself is left out unless self edges were trained.
    Unlike recall it has the scale of the scores.

    Args:
        scores: ``scores[..., u, v]`` is the score of v given u, ``(..., n, n)``; with ``nodes``, ``(..., len(nodes), n)``.
        g: The graph that was trained.
        self_edges: Whether ``u -> u`` was trained too.
        directions: "both", "forward" or "backward".
        nodes: The rows that ``scores`` holds, for graphs too large for all of them.

    Returns:
        float64 ``(...,)``; a node whose margin is above 0 recalls all its targets.

    Raises:
        ValueError: If the shape is wrong, a score is not finite, or no listed node has both kinds.

    Source:
        Ours; the model's own logits, bias included.

    Example:
        >>> from geomem.graphs import cycle
        >>> float(edge_margin(3 * cycle(5).adjacency(), cycle(5)))
        3.0
    """
    scores, rows, targets = _rows(scores, g, self_edges, directions, nodes)
    if not self_edges:
        scores, targets = _without_self(rows, scores, targets)
    both = targets.any(-1) & ~targets.all(-1)
    if not both.any() or not scores.isfinite().all():
        raise ValueError(f"a margin needs finite scores and a listed node with a target and a node that is none, in {g!r}.")
    lowest = scores.masked_fill(~targets, torch.inf).amin(-1)
    return (lowest - scores.masked_fill(targets, -torch.inf).amax(-1))[..., both].mean(-1)


def _rows(scores, g: Graph, self_edges: bool, directions: str, nodes, facts=None) -> tuple[Tensor, Tensor, Tensor]:
    """Return checked scores ``(..., rows, n)``, the node of each row, and its targets, bool ``(rows, n)``."""
    scores = torch.as_tensor(scores).detach().to("cpu", torch.float64)
    rows = torch.arange(require_graph(g).n_nodes) if nodes is None else _listed("nodes", nodes, g)
    if scores.ndim < 2 or scores.shape[-2:] != (len(rows), g.n_nodes):
        raise ValueError(f"scores must have shape (..., {len(rows)}, {g.n_nodes}), got {tuple(scores.shape)}.")
    if scores.isnan().any():
        raise ValueError("scores must not be NaN: the run they come from has diverged. Lower its lr.")
    facts = g.directed_edges(directions=directions, self_edges=self_edges) if facts is None else facts
    targets = _target_rows(g, rows, facts)
    if not targets.any():
        raise ValueError(f"no listed node has a target with directions={directions!r}: nothing can be recalled.")
    return scores, rows, targets


def _without_self(rows: Tensor, *tables: Tensor):
    """Leave out of every row the entry of its own node, ``(..., rows, n - 1)``."""
    others = rows[:, None] != torch.arange(tables[0].shape[-1])
    return (table[..., others].unflatten(-1, (len(rows), -1)) for table in tables)


def _listed(name: str, nodes, g: Graph) -> Tensor:
    """Return node ids as an int64 vector of different nodes of g."""
    nodes = torch.as_tensor(nodes)
    whole = nodes.ndim == 1 and not nodes.dtype.is_floating_point and nodes.dtype != torch.bool
    if not whole or not len(nodes) or len(nodes.unique()) < len(nodes):
        raise ValueError(f"{name} must be a vector of different node ids, got {nodes.tolist()}.")
    if int(nodes.min()) < 0 or int(nodes.max()) >= g.n_nodes:
        raise ValueError(f"{name} must lie in 0 to {g.n_nodes - 1}, got {int(nodes.min())} to {int(nodes.max())}.")
    return nodes.to(torch.int64)


def _target_rows(g: Graph, rows: Tensor, facts: Tensor) -> Tensor:
    """Return the listed rows of the target matrix, bool ``(len(rows), n)``, without making the others."""
    heads, tails = facts.T
    place = torch.full((g.n_nodes,), -1)
    place[rows] = torch.arange(len(rows))
    listed = place[heads] >= 0
    targets = torch.zeros(len(rows), g.n_nodes, dtype=torch.bool)
    targets[place[heads[listed]], tails[listed]] = True
    return targets


def cosines(E) -> Tensor:
    """Return the cosine of every pair of rows, float64 ``(..., n, n)``; a zero row has cosine 0 with everything.

    Args:
        E: Embeddings, ``(..., n, m)``.

    Raises:
        ValueError: If all rows are zero.

    Source:
        Standard.

    Example:
        >>> cosines([[1.0, 0.0], [1.0, 1.0]])[0].tolist()
        [1.0, 0.7071067811865475]
    """
    unit = _unit(E)
    return unit @ unit.mT


def _unit(E) -> Tensor:
    """Return the rows at length 1, float64; a zero row stays zero, and a table of zeros is an error."""
    E = torch.as_tensor(E).detach().to("cpu", torch.float64)
    if E.ndim < 2 or not E.numel() or not E.isfinite().all():
        raise ValueError(f"E must be a finite table, shape (..., n, m), got {tuple(E.shape)} or a value that is not finite.")
    norms = E.norm(dim=-1, keepdim=True)
    if (norms.amax((-2, -1)) == 0).any():
        raise ValueError("E must not be zero: the cosine of zero vectors cannot be measured.")
    return E / torch.where(norms == 0, 1.0, norms)


def geometric_order(E, g: Graph) -> Tensor:
    """Return minus Spearman's rank correlation of cosine and hop distance, over pairs at 2 or more finite hops.

    Edges are left out: what counts is the order among pairs that were never seen together. 1 is a perfect map;
    random and incidence embeddings give 0. It is weak on stars, so ``cosine_by_hops`` always stands beside it.

    Args:
        E: Embeddings, ``(..., n, m)``.
        g: The graph.

    Returns:
        float64 ``(...,)`` in [-1, 1]; 0 where all those cosines are tied.

    Raises:
        ValueError: If fewer than two different distances of 2 or more hops exist, or E does not fit.

    Source:
        Ours.

    Example:
        >>> from geomem.graphs import cycle
        >>> angle = 2 * torch.pi * torch.arange(8) / 8
        >>> round(float(geometric_order(torch.stack([angle.cos(), angle.sin()], dim=1), cycle(8))), 6)
        1.0
    """
    E = node_table("E", E, g)
    hops = g.hops()
    far = (hops >= 2).triu()
    if len(hops[far].unique()) < 2:
        raise ValueError(f"geometric order needs two different distances of 2 or more hops; {g!r} has fewer.")
    similar = (cosines(E)[..., far] / COSINE_TIE).round()
    a = torch.from_numpy(rankdata(similar.numpy(), axis=-1))
    b = torch.from_numpy(rankdata(hops[far].numpy()))
    a, b = a - a.mean(-1, keepdim=True), b - b.mean()
    spread = a.norm(dim=-1) * b.norm()
    return -(a @ b) / torch.where(spread == 0, 1.0, spread)


def geometric_contrast(E, g: Graph) -> Tensor:
    """Return the mean cosine over edges minus the mean over non-edges, float64 ``(...,)``.

    Zigzag makes it negative and the incidence embedding scores about .5, so no verdict rests on it alone.

    Args:
        E: Embeddings, ``(..., n, m)``.
        g: The graph.

    Raises:
        ValueError: If the graph is complete, or E does not fit.

    Source:
        Ours, with the baseline that the paper's geometric level lacks.

    Example:
        >>> from geomem.graphs import cycle
        >>> float(geometric_contrast(torch.eye(4), cycle(4)))
        0.0
    """
    unit = _unit(node_table("E", E, g))
    others = g.n_nodes * (g.n_nodes - 1) // 2 - g.n_edges
    if not others:
        raise ValueError(f"{g!r} is complete: there is no non-edge to contrast its edges with.")
    edges = (unit[..., g.edges[:, 0], :] * unit[..., g.edges[:, 1], :]).sum((-2, -1))
    pairs = (unit.sum(-2).square().sum(-1) - unit.square().sum((-2, -1))) / 2  # from |sum u|^2, not from n x n cosines
    return edges / g.n_edges - (pairs - edges) / others


def cosine_by_hops(E, g: Graph, *, nodes: Tensor | None = None) -> Tensor:
    """Return the mean cosine of pairs at 0, 1, 2, ... hops, float64 ``(..., max_hops + 1)``; index 0 is self.

    Pairs without a path are left out.

    Args:
        E: Embeddings, ``(..., n, m)``.
        g: The graph.
        nodes: Count the pairs that begin at these, for graphs too large for all: a sample, say
            ``torch.randperm(g.n_nodes, generator=generator)[:200]``. Memory is that of ``len(nodes)`` rows of cosines.

    Raises:
        ValueError: If E does not fit, or ``nodes`` are no different nodes.

    Source:
        Ours.

    Example:
        >>> from geomem.graphs import path_star
        >>> cosine_by_hops(torch.eye(5), path_star(2, 3)).tolist()
        [1.0, 0.0, 0.0, 0.0, 0.0]
    """
    unit = _unit(node_table("E", E, g))
    nodes = slice(None) if nodes is None else _listed("nodes", nodes, g)
    hops = g.hops() if isinstance(nodes, slice) else _hops_from(g, nodes)
    cosine = unit[..., nodes, :] @ unit.mT
    return torch.stack([cosine[..., hops == k].mean(-1) for k in range(int(hops.max()) + 1)], dim=-1)


def _hops_from(g: Graph, nodes: Tensor) -> Tensor:
    """Return shortest-path lengths from the listed nodes, int64 ``(len(nodes), n)``; -1 where there is no path."""
    heads, tails = g.directed_edges().numpy().T
    edges = coo_array((np.ones(len(heads), np.float32), (heads, tails)), shape=(g.n_nodes, g.n_nodes)).tocsr()
    hops = np.full((g.n_nodes, len(nodes)), -1)
    reached, step = np.zeros(hops.shape, bool), 0
    reached[nodes, np.arange(len(nodes))] = True
    while reached.any():  # all searches go one hop further
        hops[reached] = step
        reached, step = ((edges @ reached.astype(np.float32)) > 0) & (hops < 0), step + 1
    return torch.from_numpy(hops.T)


def first_hop_accuracy(E, g: Graph, *, leaves: Tensor | None = None) -> Tensor:
    """Return how often a leaf's most similar neighbour of the root is the first hop of its own path.

    Ties count by expectation under random order; chance is 1 / d for d first hops.

    Args:
        E: Embeddings, ``(..., n, m)``.
        g: A graph with paths.
        leaves: Leaf node ids, int ``(k,)``; by default all. Give the held-out ones where some were trained.

    Returns:
        float64 ``(...,)`` in [0, 1].

    Raises:
        ValueError: If the graph has no paths, a listed node is not a leaf, or E does not fit.

    Source:
        Paper, section on evidence for geometry; the one-step first hop.

    Example:
        >>> from geomem.graphs import path_star
        >>> E = torch.tensor([[0.0, 0], [1, 0], [2, 0], [0, 1], [0, 2]])  # one direction an arm
        >>> float(first_hop_accuracy(E, path_star(2, 3)))
        1.0
    """
    first = require_graph(g).first_hops
    unit = _unit(node_table("E", E, g))
    leaves = _leaves(g, leaves)
    own = first == g.paths_to(leaves)[:, 1:2]
    hits = []
    for some, is_own in zip(leaves.split(1024), own.split(1024), strict=True):  # 1,024 x 10,000 first hops are 80 MB
        similar = ((unit[..., some, :] @ unit[..., first, :].mT) / COSINE_TIE).round()
        best = similar == similar.amax(-1, keepdim=True)
        hits.append((best & is_own).sum(-1).double() / best.sum(-1))
    return torch.cat(hits, dim=-1).mean(-1)


def arm_separation(E, g: Graph, *, leaves: Tensor | None = None) -> Tensor:
    """Return the mean cosine of leaves with the rest of their own arm, minus that with all other arms.

    An arm is all that lies behind one first hop: a path of a path-star without its root, a whole branch of a tree. The
    root belongs to none. Computed from sums of unit vectors, so a graph may be of any size; random embeddings give 0.

    Args:
        E: Embeddings, ``(..., n, m)``.
        g: A graph with paths, of three or more nodes each.
        leaves: Leaf node ids, int ``(k,)``; by default all. Give the held-out ones where some were trained; they are
            compared with the nodes of all arms.

    Returns:
        float64 ``(...,)`` in [-2, 2], the mean over the leaves.

    Raises:
        ValueError: If the graph has no paths, its arms share a node or are single nodes, a listed node is not a leaf, or
            E does not fit.

    Source:
        Ours, after the paper's heat maps of cosines within and between paths.

    Example:
        >>> from geomem.graphs import path_star
        >>> E = torch.tensor([[0.0, 0], [1, 0], [2, 0], [0, 1], [0, 2]])  # one direction an arm
        >>> float(arm_separation(E, path_star(2, 3)))
        1.0
    """
    arm, leaves = _arms(g), _leaves(g, leaves)
    unit = _unit(node_table("E", E, g))
    sums = unit.new_zeros(*unit.shape[:-2], int(arm.max()) + 1, unit.shape[-1])
    sums.index_add_(-2, arm[arm >= 0], unit[..., arm >= 0, :])
    size, leaf = torch.bincount(arm[arm >= 0])[arm[leaves]], unit[..., leaves, :]
    own = sums[..., arm[leaves], :]
    others = sums.sum(-2, keepdim=True) - own
    within = (leaf * (own - leaf)).sum(-1) / (size - 1)
    return (within - (leaf * others).sum(-1) / ((arm >= 0).sum() - size)).mean(-1)


def silhouette(E, g: Graph, *, leaves: Tensor | None = None, max_arms: int = 500, seed: int = 0) -> Tensor:
    """Return the mean silhouette coefficient of the listed leaves' arms as clusters, by cosine distance.

    With a the mean distance of a node to the others of its arm, and b that to the nearest other listed arm (the smallest
    mean), a node scores ``(b - a) / max(a, b)``, or 0 where both are 0; the root is left out. b is a minimum, so it depends
    on the number of arms, and random embeddings score below 0: compare at one ``max_arms``.

    Args:
        E: Embeddings, ``(..., n, m)``.
        g: A graph with paths, of three or more nodes each; arms as in ``arm_separation``.
        leaves: Leaf node ids, int ``(k,)``, of two or more arms; by default all.
        max_arms: Draw this many arms where more are listed, at least 2.
        seed: Draws them.

    Returns:
        float64 ``(...,)`` in [-1, 1], the mean over all nodes of those arms.

    Raises:
        TypeError: If ``max_arms`` or ``seed`` is not an integer.
        ValueError: If fewer than two arms are listed, or as for ``arm_separation``.

    Source:
        Rousseeuw (1987).

    Example:
        >>> from geomem.graphs import path_star
        >>> E = torch.tensor([[0.0, 0], [1, 0], [2, 0], [0, 1], [0, 2]])  # one direction an arm
        >>> float(silhouette(E, path_star(2, 3)))
        1.0
    """
    max_arms = _checks.integer("max_arms", max_arms, least=2)
    generator = torch.Generator().manual_seed(_checks.seed_of("seed", seed))
    arm = _arms(g)
    listed = arm[_leaves(g, leaves)].unique()
    if len(listed) < 2:
        raise ValueError(f"leaves must lie on two or more arms, got {len(listed)}: nothing lies apart.")
    if len(listed) > max_arms:
        listed = listed[torch.randperm(len(listed), generator=generator)[:max_arms]]
    nodes = torch.isin(arm, listed).nonzero().flatten()
    cluster = (arm[nodes, None] == listed).to(torch.float64)  # (nodes, arms)
    unit, size = _unit(node_table("E", E, g))[..., nodes, :], cluster.sum(0)
    far = size - unit @ (cluster.T @ unit).mT  # summed cosine distance of node and arm
    own = (far * cluster).sum(-1) - (1 - unit.square().sum(-1))  # without the node itself
    a = own / (cluster @ size - 1)
    b = (far / size).masked_fill(cluster.bool(), torch.inf).amin(-1)
    larger = torch.maximum(a, b)
    return ((b - a) / torch.where(larger <= ROUNDING, torch.inf, larger)).mean(-1)


def _leaves(g: Graph, leaves) -> Tensor:
    """Return listed leaves, by default all, as a vector of node ids."""
    leaves = g.paths[:, -1] if leaves is None else torch.as_tensor(leaves).flatten()
    strangers = leaves[~torch.isin(leaves, g.paths[:, -1])].tolist()
    if strangers or not len(leaves):
        raise ValueError(f"leaves must be one or more leaves of {g!r}, got {strangers[:1] or 'none'}.")
    return leaves


def _arms(g: Graph) -> Tensor:
    """Return the number of the first hop behind which every node lies, int64 ``(n,)``; -1 at the root and off all paths."""
    first = require_graph(g).first_hops
    behind = torch.searchsorted(first, g.paths[:, 1].contiguous())[:, None].expand(-1, g.paths.shape[1] - 1)
    arm = torch.full((g.n_nodes,), -1)
    arm[g.paths[:, 1:]] = behind
    if (arm[g.paths[:, 1:]] != behind).any() or len(first) < 2 or torch.bincount(arm[arm >= 0]).min() < 2:
        raise ValueError(f"arms must be two or more, disjoint, of two or more nodes without the root; {g!r} has others.")
    return arm


def geometric_share(E, logits, g: Graph) -> tuple[Tensor, Tensor]:
    """Return how much of the recall the embedding's own similarities carry, and how much the rest of the logits does.

    With K = E E^T over its largest eigenvalue and L the model's logits, both without self pairs and row means, F is
    the least-squares fit of L by K, K^2 and K^3: all that a core diagonal in the embedding's own basis could say. The
    geometric share is the edge recall of F, the associative share that of L - F, each corrected for chance and clipped
    to [0, 1]. They need not sum to 1, and random embeddings of width 32 give a geometric share of about .1.

    It says *where* the facts are, not of what kind: the incidence embedding scores (1, 0) and is no map.

    Args:
        E: Embeddings, ``(..., n, m)``.
        logits: The model's own scores of v given u, ``(..., n, n)``.
        g: The graph.

    Returns:
        Geometric and associative share, float64 ``(...,)`` each.

    Raises:
        ValueError: If the shapes do not fit, or E is zero.

    Source:
        Ours.

    Example:
        >>> from geomem.graphs import cycle
        >>> geometric_share(torch.eye(5), cycle(5).adjacency(), cycle(5))
        (tensor(0., dtype=torch.float64), tensor(1., dtype=torch.float64))
    """
    L = node_table("logits", logits, g, columns=g.n_nodes)
    fit, rest = split_logits(E, L, g)
    scale = _off_diagonal(L).abs().amax(-1)[..., None, None]
    chance = g.degrees.double().mean() / (g.n_nodes - 1)
    shares = []
    for part in (fit, rest):
        part = torch.where(part.abs() < ROUNDING * scale, 0.0, part)
        shares.append(((edge_recall(part, g) - chance) / (1 - chance)).clamp(0, 1))
    return tuple(shares)


def split_logits(E, logits, g: Graph) -> tuple[Tensor, Tensor]:
    """Split the logits into what the embedding's own similarities carry and the rest, as ``geometric_share`` does.

    Args:
        E: Embeddings, ``(..., n, m)``.
        logits: The model's own scores of v given u, ``(..., n, n)``.
        g: The graph.

    Returns:
        F and L - F, float64 ``(..., n, n)`` each, without self pairs and row means.

    Raises:
        ValueError: If the shapes do not fit, or E is zero.

    Source:
        Ours.

    Example:
        >>> from geomem.graphs import cycle
        >>> fit, rest = split_logits(torch.eye(5), cycle(5).adjacency(), cycle(5))
        >>> float(fit.abs().max()), rest[0, 1:].tolist()
        (0.0, [0.5, -0.5, -0.5, 0.5])
    """
    E, L = node_table("E", E, g), node_table("logits", logits, g, columns=g.n_nodes)
    K = E @ E.mT
    top = torch.linalg.eigvalsh(K)[..., -1, None, None]
    if (top <= 0).any():
        raise ValueError("E must not be zero: it has no similarities to fit with.")
    K = K / top
    powers = torch.stack([_off_diagonal(P) for P in (K, K @ K, K @ K @ K)], dim=-1)
    L = _off_diagonal(L)
    fit = (powers @ (torch.linalg.pinv(powers, rtol=1e-12) @ L[..., None]))[..., 0]
    return tuple(part.unflatten(-1, (g.n_nodes, g.n_nodes)) for part in (fit, L - fit))


class CoreSurvival(NamedTuple):
    """Hold edge recalls, float64 ``(...,)``: of the logits, and with parts of the core's map; see ``core_survival``."""

    full: Tensor
    blocks: Tensor
    diagonal: Tensor
    spread: Tensor


def core_survival(E, weight, bias, g: Graph, *, tolerance: float = 0.01, turns: int = 32, seed: int = 0) -> CoreSurvival:
    """Return how much edge recall survives when a linear core keeps only what does not mix the embedding's directions.

    The logits are ``(E W + b) E^T``. With ``E = U s R^T``, the map between the embedding's own directions is ``R^T W R``.
    Of it, ``blocks`` keeps the entries between directions of nearly equal singular value, and ``diagonal`` the strict
    diagonal. Within a block the basis R is arbitrary, so ``diagonal`` is the mean, and ``spread`` the standard deviation,
    over random turns within the blocks. The bias always stays.

    Args:
        E: Embeddings, ``(..., n, m)``.
        weight: W of ``x -> x W + b``, as the linear core stores it, ``(..., m, m)``.
        bias: b, ``(..., m)``.
        g: The graph that was trained.
        tolerance: A block holds the singular values within this share of its largest, in [0, 1).
        turns: Random turns, at least 2.
        seed: Draws them.

    Returns:
        Recalls of the whole logits, of the blocks, of the diagonal, and the spread of the last.

    Raises:
        TypeError: If ``turns`` or ``seed`` is not an integer.
        ValueError: If the shapes do not fit, an entry is not finite, or a number is out of range.

    Source:
        Ours; the strict diagonal is the paper's release.

    Example:
        >>> from geomem.graphs import cycle
        >>> survival = core_survival(torch.eye(5), cycle(5).adjacency(), torch.zeros(5), cycle(5))
        >>> float(survival.full), float(survival.blocks), bool(survival.diagonal < 1)
        (1.0, 1.0, True)
    """
    tolerance = _checks.real("tolerance", tolerance, least=0, below=1)
    turns = _checks.integer("turns", turns, least=2)
    seed = _checks.seed_of("seed", seed)
    E = node_table("E", E, g)
    n, m = E.shape[-2:]
    weight, bias = (torch.as_tensor(table).detach().to("cpu", torch.float64) for table in (weight, bias))
    if weight.shape != (*E.shape[:-2], m, m) or bias.shape != (*E.shape[:-2], m):
        raise ValueError(f"weight and bias must have shape (..., {m}, {m}) and (..., {m}) for E of {tuple(E.shape)}, "
                         f"got {tuple(weight.shape)} and {tuple(bias.shape)}.")  # fmt: skip
    members = zip(E.reshape(-1, n, m), weight.reshape(-1, m, m), bias.reshape(-1, m), strict=True)
    recalls = []
    for e, w, b in members:
        generator = torch.Generator().manual_seed(seed)  # a member's turns do not depend on its company
        spaces = _equal_spaces(e, tolerance)
        kept = sum(space @ (space.T @ w @ space) @ space.T for space in spaces)
        frames = torch.cat([_frames(space, turns, generator) for space in spaces], dim=-1)  # (turns, m, min(n, m))
        seen = e @ frames
        diagonal = (seen * (frames * (w @ frames)).sum(-2, keepdim=True)) @ seen.mT
        logits = torch.cat([torch.stack([e @ w @ e.T, e @ kept @ e.T]), diagonal]) + e @ b
        recalls.append(edge_recall(logits, g))
    recalls = torch.stack(recalls).reshape(*E.shape[:-2], -1)
    turned = recalls[..., 2:]
    return CoreSurvival(recalls[..., 0], recalls[..., 1], turned.mean(-1), turned.std(-1))


def _equal_spaces(E: Tensor, tolerance: float) -> list[Tensor]:
    """Group E's right singular directions, columns of ``(m, k)``, by values within a share of the largest of the group."""
    _, values, right = torch.linalg.svd(E, full_matrices=False)
    starts = [0]
    for k, value in enumerate(values.tolist()):
        if value < float(values[starts[-1]]) * (1 - tolerance):
            starts.append(k)
    return [right[a:b].T for a, b in zip(starts, [*starts[1:], len(values)], strict=True)]


def _frames(space: Tensor, turns: int, generator: torch.Generator) -> Tensor:
    """Return random orthonormal bases of a column space, ``(turns, m, k)``; they depend on the space only."""
    noise = torch.randn(turns, *space.shape, generator=generator, dtype=torch.float64)
    return torch.linalg.qr(space @ (space.T @ noise)).Q


def _off_diagonal(matrix: Tensor) -> Tensor:
    """Flatten a matrix with its self pairs set to 0 and every row's mean over the others removed, ``(..., n * n)``."""
    n = matrix.shape[-1]
    others = 1 - torch.eye(n, dtype=matrix.dtype)
    matrix = matrix * others
    return ((matrix - matrix.sum(-1, keepdim=True) / (n - 1)) * others).flatten(-2)
