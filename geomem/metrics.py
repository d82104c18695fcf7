"""Measures of a memory: what it recalls, and whether its embedding is a map. They know arrays and graphs, not models."""

import torch
from scipy.stats import rankdata
from torch import Tensor

from .graphs import Graph, require_graph
from .spectral import node_table

COSINE_TIE = 1e-6
"""Cosines closer than this are tied: trained tables are float32, and rounding must not make an order."""
ROUNDING = 1e-9
"""Scores that differ by less than this share of the largest are tied: it is rounding, not memory."""


def edge_recall(
    scores, g: Graph, *, self_edges: bool = False, directions: str = "both", nodes: Tensor | None = None
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
    scores = torch.as_tensor(scores).detach().to("cpu", torch.float64)
    rows = torch.arange(require_graph(g).n_nodes) if nodes is None else _listed("nodes", nodes, g)
    if scores.ndim < 2 or scores.shape[-2:] != (len(rows), g.n_nodes):
        raise ValueError(f"scores must have shape (..., {len(rows)}, {g.n_nodes}), got {tuple(scores.shape)}.")
    if scores.isnan().any():
        raise ValueError("scores must not be NaN: the run they come from has diverged. Lower its lr.")
    targets = _target_rows(g, rows, directions, self_edges)
    k = targets.sum(-1)
    if not (k > 0).any():
        raise ValueError(f"no listed node has a target with directions={directions!r}: nothing can be recalled.")
    size = scores.abs().nan_to_num(posinf=0).amax((-2, -1), keepdim=True)
    scores = (scores / torch.where(size == 0, 1.0, size * ROUNDING)).round()
    if not self_edges:
        others = rows[:, None] != torch.arange(g.n_nodes)
        scores, targets = (x[..., others].unflatten(-1, (len(rows), -1)) for x in (scores, targets))
    threshold = scores.sort(dim=-1, descending=True).values.gather(
        -1, (k - 1).clamp(min=0)[:, None].expand(*scores.shape[:-1], 1)
    )
    above, tied = scores > threshold, scores == threshold
    places = (k - above.sum(-1)).double() / tied.sum(-1)  # the share of the tied that still has a place among the k
    hits = (above * targets).sum(-1) + places * (tied * targets).sum(-1)
    return (hits / k.clamp(min=1))[..., k > 0].mean(-1)


def _listed(name: str, nodes, g: Graph) -> Tensor:
    """Return node ids as an int64 vector of different nodes of g."""
    nodes = torch.as_tensor(nodes)
    whole = nodes.ndim == 1 and not nodes.dtype.is_floating_point and nodes.dtype != torch.bool
    if not whole or not len(nodes) or len(nodes.unique()) < len(nodes):
        raise ValueError(f"{name} must be a vector of different node ids, got {nodes.tolist()}.")
    if int(nodes.min()) < 0 or int(nodes.max()) >= g.n_nodes:
        raise ValueError(f"{name} must lie in 0 to {g.n_nodes - 1}, got {int(nodes.min())} to {int(nodes.max())}.")
    return nodes.to(torch.int64)


def _target_rows(g: Graph, rows: Tensor, directions: str, self_edges: bool) -> Tensor:
    """Return the listed rows of the target matrix, bool ``(len(rows), n)``, without making the others."""
    heads, tails = g.directed_edges(directions=directions, self_edges=self_edges).T
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
    cosine = cosines(node_table("E", E, g))
    edges = g.adjacency().bool()
    others = ~edges & ~torch.eye(g.n_nodes, dtype=torch.bool)
    if not others.any():
        raise ValueError(f"{g!r} is complete: there is no non-edge to contrast its edges with.")
    return cosine[..., edges].mean(-1) - cosine[..., others].mean(-1)


def cosine_by_hops(E, g: Graph) -> Tensor:
    """Return the mean cosine of pairs at 0, 1, 2, ... hops, float64 ``(..., max_hops + 1)``; index 0 is self.

    Pairs without a path are left out.

    Args:
        E: Embeddings, ``(..., n, m)``.
        g: The graph.

    Raises:
        ValueError: If E does not fit.

    Source:
        Ours.

    Example:
        >>> from geomem.graphs import path_star
        >>> cosine_by_hops(torch.eye(5), path_star(2, 3)).tolist()
        [1.0, 0.0, 0.0, 0.0, 0.0]
    """
    cosine = cosines(node_table("E", E, g))
    hops = g.hops()
    return torch.stack([cosine[..., hops == k].mean(-1) for k in range(int(hops.max()) + 1)], dim=-1)


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
    home = {int(path[-1]): int(path[1]) for path in g.paths}
    leaves = g.paths[:, -1] if leaves is None else torch.as_tensor(leaves).flatten()
    strangers = [leaf for leaf in leaves.tolist() if leaf not in home]
    if strangers or not len(leaves):
        raise ValueError(f"leaves must be one or more leaves of {g!r}, got {strangers[:1] or 'none'}.")
    own = first == torch.tensor([home[leaf] for leaf in leaves.tolist()])[:, None]
    hits = []
    for some, is_own in zip(leaves.split(1024), own.split(1024), strict=True):  # 1,024 x 10,000 first hops are 80 MB
        similar = ((unit[..., some, :] @ unit[..., first, :].mT) / COSINE_TIE).round()
        best = similar == similar.amax(-1, keepdim=True)
        hits.append((best & is_own).sum(-1).double() / best.sum(-1))
    return torch.cat(hits, dim=-1).mean(-1)


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
    E, L = node_table("E", E, g), node_table("logits", logits, g, columns=g.n_nodes)
    K = E @ E.mT
    top = torch.linalg.eigvalsh(K)[..., -1, None, None]
    if (top <= 0).any():
        raise ValueError("E must not be zero: it has no similarities to fit with.")
    K = K / top
    powers = torch.stack([_off_diagonal(P) for P in (K, K @ K, K @ K @ K)], dim=-1)
    L = _off_diagonal(L)
    fit = (powers @ (torch.linalg.pinv(powers, rtol=1e-12) @ L[..., None]))[..., 0]
    scale = L.abs().amax(-1, keepdim=True)
    chance = g.degrees.double().mean() / (g.n_nodes - 1)
    shares = []
    for part in (fit, L - fit):
        part = torch.where(part.abs() < ROUNDING * scale, 0.0, part).unflatten(-1, (g.n_nodes, g.n_nodes))
        shares.append(((edge_recall(part, g) - chance) / (1 - chance)).clamp(0, 1))
    return tuple(shares)


def _off_diagonal(matrix: Tensor) -> Tensor:
    """Flatten a matrix with its self pairs set to 0 and every row's mean over the others removed, ``(..., n * n)``."""
    n = matrix.shape[-1]
    others = 1 - torch.eye(n, dtype=matrix.dtype)
    matrix = matrix * others
    return ((matrix - matrix.sum(-1, keepdim=True) / (n - 1)) * others).flatten(-2)
