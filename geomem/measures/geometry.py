"""Is an embedding a map? Cosines against hop distances."""

import torch
from scipy.stats import rankdata
from torch import Tensor

from .. import _checks
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


def geometric_order(E, graph: Graph, *, min_hops: int = 2, parity: str | None = None) -> Tensor:
    """Return minus Spearman's rank correlation of cosine and hop distance, over pairs at ``min_hops`` or more finite hops.

    By default edges alone are left out: what counts is the order among pairs that were never seen together. 1 is a perfect
    map; random and incidence embeddings give 0. But the local table ``A R``, where each node is the sum of its neighbours'
    random vectors, scores well above 0 and holds nothing of the graph beyond two hops. The *strict* order,
    ``min_hops=3, parity="same"``, asks only pairs that share no neighbour, and compares a pair with pairs of its own
    parity, because models without self edges make pairs at even hops more alike: there ``A R`` scores about 0 too.

    Args:
        E: Embeddings, ``(..., n, m)``.
        graph: The graph.
        min_hops: Least distance of a pair that counts, at least 1.
        parity: "same" correlates among pairs at even hops and among pairs at odd hops apart, and averages the two (a parity
            with a single distance has no order and is left out); None correlates all pairs together.

    Returns:
        float64 ``(...,)`` in [-1, 1]; a group counts 0 where all its cosines are tied.

    Raises:
        TypeError: If ``min_hops`` is not an integer.
        ValueError: If there are not two different distances to order, or E does not fit.

    Source:
        Ours.

    Example:
        >>> from geomem.graphs import cycle
        >>> angle = 2 * torch.pi * torch.arange(8) / 8
        >>> round(float(geometric_order(torch.stack([angle.cos(), angle.sin()], dim=1), cycle(8))), 6)
        1.0
    """
    E = node_table("E", E, graph)
    min_hops = _checks.integer("min_hops", min_hops, least=1)
    hops = graph.hops()
    far = (hops >= min_hops).triu(1)
    groups = [far] if parity is None else [far & (hops % 2 == odd) for odd in (0, 1)]
    if parity is not None:
        _checks.one_of("parity", parity, ("same",))
    groups = [pairs for pairs in groups if len(hops[pairs].unique()) > 1]
    if not groups:
        among = "" if parity is None else " of one parity"
        raise ValueError(
            f"geometric order needs two different distances of {min_hops} or more hops{among}; {graph!r} has fewer."
        )
    cosine = cosines(E)
    return torch.stack([rank_correlation(cosine[..., pairs], -hops[pairs]) for pairs in groups]).mean(0)


def rank_correlation(cosine: Tensor, rank: Tensor) -> Tensor:
    """Return Spearman's correlation of cosines ``(..., k)`` with ``(k,)``; 0 where all cosines are tied."""
    a = torch.from_numpy(rankdata((cosine / COSINE_TIE).round().numpy(), axis=-1))
    b = torch.from_numpy(rankdata(rank.numpy()))
    a, b = a - a.mean(-1, keepdim=True), b - b.mean()
    spread = a.norm(dim=-1) * b.norm()
    return (a @ b) / torch.where(spread == 0, 1.0, spread)


def geometric_contrast(E, graph: Graph) -> Tensor:
    """Return the mean cosine over edges minus the mean over non-edges, float64 ``(...,)``.

    Zigzag makes it negative and the incidence embedding scores about .5, so no verdict rests on it alone.

    Args:
        E: Embeddings, ``(..., n, m)``.
        graph: The graph.

    Raises:
        ValueError: If the graph is complete, or E does not fit.

    Source:
        Ours, with the baseline that the paper's geometric level lacks.

    Example:
        >>> from geomem.graphs import cycle
        >>> float(geometric_contrast(torch.eye(4), cycle(4)))
        0.0
    """
    unit = unit_rows(node_table("E", E, graph))
    others = graph.n_nodes * (graph.n_nodes - 1) // 2 - graph.n_edges
    if not others:
        raise ValueError(f"{graph!r} is complete: there is no non-edge to contrast its edges with.")
    edges = (unit[..., graph.edges[:, 0], :] * unit[..., graph.edges[:, 1], :]).sum((-2, -1))
    pairs = (unit.sum(-2).square().sum(-1) - unit.square().sum((-2, -1))) / 2  # from |sum u|^2, not from n x n cosines
    return edges / graph.n_edges - (pairs - edges) / others


def cosine_by_hops(E, graph: Graph, *, nodes: Tensor | None = None) -> Tensor:
    """Return the mean cosine of pairs at 0, 1, 2, ... hops, float64 ``(..., max_hops + 1)``; index 0 is self.

    Pairs without a path are left out.

    Args:
        E: Embeddings, ``(..., n, m)``.
        graph: The graph.
        nodes: Count the pairs that begin at these, for graphs too large for all: a sample, say
            ``torch.randperm(graph.n_nodes, generator=generator)[:200]``. Memory is that of ``len(nodes)`` rows of cosines.

    Raises:
        ValueError: If E does not fit, or ``nodes`` are not different nodes of the graph.

    Source:
        Ours.

    Example:
        >>> from geomem.graphs import path_star
        >>> cosine_by_hops(torch.eye(5), path_star(2, 3)).tolist()
        [1.0, 0.0, 0.0, 0.0, 0.0]
    """
    unit = unit_rows(node_table("E", E, graph))
    nodes = None if nodes is None else listed_nodes("nodes", nodes, graph)
    hops = graph.hops(nodes)
    cosine = (unit if nodes is None else unit[..., nodes, :]) @ unit.mT
    return torch.stack([cosine[..., hops == k].mean(-1) for k in range(int(hops.max()) + 1)], dim=-1)
