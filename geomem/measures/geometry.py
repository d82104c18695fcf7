"""Is an embedding a map? Cosines against hop distances."""

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.stats import rankdata
from torch import Tensor

from ..graphs import Graph, node_table
from .base import COSINE_TIE, listed_nodes, unit_rows


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
    unit = unit_rows(E)
    return unit @ unit.mT


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
    unit = unit_rows(node_table("E", E, g))
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
    unit = unit_rows(node_table("E", E, g))
    nodes = slice(None) if nodes is None else listed_nodes("nodes", nodes, g)
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
