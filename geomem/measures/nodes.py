"""Measures of a graph of any size on a seeded sample of its nodes, each with its standard error."""

import functools
import math
from typing import NamedTuple

import torch
from torch import Tensor

from .. import _checks
from ..graphs import Graph, node_table, require_graph
from .base import COSINE_TIE, unit_rows
from .geometry import geometric_contrast
from .recall import recalls_of_nodes
from .shares import chance_of, share_parts

NODES = 200
GROUPS = 10
"""Parts of the sample that are left out in turn, for the standard error of a rank correlation."""


class Estimate(NamedTuple):
    """Hold a measure taken on a sample of nodes.

    Args:
        value: The measure, float64 ``(...)``.
        error: Its standard error, of the same shape: how far it lies, typically, from the measure of the whole graph. It is
            0 where the sample is the whole graph.
        n: How many nodes were drawn.
    """

    value: Tensor
    error: Tensor
    n: int

    def __repr__(self) -> str:
        if self.value.ndim:
            return f"Estimate(shape {tuple(self.value.shape)}, n={self.n})"
        return f"Estimate({float(self.value):.3f} ± {float(self.error):.3f}, n={self.n})"


class NodeSample:
    """Draw nodes of a graph of any size, and measure what concerns them: their answers, and their pairs with all nodes.

    On every node of the graph the values are those of the functions of the same name, and the standard errors are 0.

    Args:
        graph: Any graph.
        n: Nodes to draw, at least 2; by default 200, or all there are.
        seed: Draws them.

    Attributes:
        nodes: The nodes drawn, int64 ``(n,)``, in ascending order.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If ``n`` is out of range or larger than the graph.

    Source:
        Ours; standard errors of a simple random sample without replacement, by Cochran's (1977) ratio estimator and, of the
        order, by leaving out a tenth of the sample at a time.

    Example:
        >>> from geomem.graphs import cycle
        >>> sample = NodeSample(cycle(12), 4, seed=1)
        >>> sample.edge_recall(cycle(12).adjacency()[sample.nodes])
        Estimate(1.000 ± 0.000, n=4)
    """

    def __init__(self, graph: Graph, n: int | None = None, *, seed: int = 0):
        self.graph, size = require_graph(graph), graph.n_nodes
        n = _checks.integer("n", min(NODES, size) if n is None else n, least=2)
        if n > size:
            raise ValueError(f"n must be at most the {size} nodes of {graph!r}, got {n}. Lower it.")
        generator = torch.Generator().manual_seed(_checks.seed_of("seed", seed))
        self.nodes = torch.randperm(size, generator=generator)[:n].sort().values

    def __repr__(self) -> str:
        return f"NodeSample({len(self.nodes)} nodes of {self.graph!r})"

    @functools.cached_property
    def hops(self) -> Tensor:
        """Hops from every drawn node to all, int64 ``(n, n_nodes)``, found by search when they are first asked for."""
        return self.graph.hops(self.nodes)

    def edge_recall(
        self, scores, *, self_edges: bool = False, directions: str = "both", facts: Tensor | None = None
    ) -> Estimate:
        """Return ``measures.edge_recall`` of the drawn nodes.

        Args:
            scores: The drawn nodes' rows of scores, ``(..., n, n_nodes)``.
            self_edges: Whether ``u -> u`` was trained too.
            directions: "both", "forward" or "backward".
            facts: As in ``measures.edge_recall``.

        Raises:
            ValueError: If the shape is wrong, a score is not finite, or no drawn node has a target.
        """
        options = {"self_edges": self_edges, "directions": directions, "facts": facts}
        recalls, counted = recalls_of_nodes(scores, self.graph, nodes=self.nodes, **options)
        return self._ratio(recalls * counted, counted.double().expand_as(recalls))

    def geometric_order(self, E, *, min_hops: int = 2, parity: str | None = None) -> Estimate:
        """Return ``measures.geometric_order`` over the pairs that a drawn node forms with any other.

        Args:
            E: Embeddings of all nodes, ``(..., n_nodes, m)``.
            min_hops: As in ``measures.geometric_order``.
            parity: As in ``measures.geometric_order``.

        Raises:
            TypeError: If ``min_hops`` is not an integer.
            ValueError: If the drawn nodes' pairs do not lie at two different distances, or E does not fit.
        """
        min_hops = _checks.integer("min_hops", min_hops, least=1)
        if parity is not None:
            _checks.one_of("parity", parity, ("same",))
        hops = self.hops
        far = hops >= min_hops
        kinds = [far] if parity is None else [far & (hops % 2 == odd) for odd in (0, 1)]
        kinds = [pairs for pairs in kinds if len(hops[pairs].unique()) > 1]
        if not kinds:
            among = "" if parity is None else " of one parity"
            raise ValueError(f"geometric order needs two different distances of {min_hops} or more hops{among}; the pairs "
                             f"of {self!r} have fewer.")  # fmt: skip
        row = torch.arange(len(self.nodes)) % min(GROUPS, len(self.nodes))
        found = []
        for unit in _members(unit_rows(node_table("E", E, self.graph))):
            cosine = (unit[self.nodes] @ unit.T / COSINE_TIE).round().to(torch.int32)
            by_kind = [_order(cosine[pairs], hops[pairs], row.repeat_interleave(pairs.sum(1))) for pairs in kinds]
            found.append(torch.stack(by_kind).mean(0))  # the whole sample's, then those without each group
        found = _batched(found, E)
        value, without = found[..., 0], found[..., 1:]
        groups = without.shape[-1]
        spread = (without - without.mean(-1, keepdim=True)).square().sum(-1) * (groups - 1) / groups
        return self._estimate(value, spread.sqrt() * self._left)

    def cosine_by_hops(self, E) -> Estimate:
        """Return ``measures.cosine_by_hops`` over the pairs that a drawn node forms with any node.

        Args:
            E: Embeddings of all nodes, ``(..., n_nodes, m)``.

        Returns:
            Values and errors ``(..., max_hops + 1)``, as far as the drawn nodes' hops reach; index 0 is self.

        Raises:
            ValueError: If E does not fit.
        """
        reached = int(self.hops.max()) + 2  # -1, no path, is counted first and then dropped
        count = torch.stack([row.bincount(minlength=reached) for row in self.hops + 1])[:, 1:].double()
        sums = []
        for unit in _members(unit_rows(node_table("E", E, self.graph))):
            cosine = unit[self.nodes] @ unit.T
            total = torch.zeros(len(cosine), reached, dtype=cosine.dtype)
            sums.append(total.scatter_add_(1, self.hops + 1, cosine)[:, 1:].T)
        sums = _batched(sums, E)
        return self._ratio(sums, count.T.expand_as(sums))

    def geometric_contrast(self, E) -> Estimate:
        """Return ``measures.geometric_contrast`` of the whole graph: from sums, so that it needs no sample.

        Args:
            E: Embeddings of all nodes, ``(..., n_nodes, m)``.

        Raises:
            ValueError: If the graph is complete, or E does not fit.
        """
        value = geometric_contrast(E, self.graph)
        return Estimate(value, torch.zeros_like(value), self.graph.n_nodes)

    def geometric_share(self, E, scores) -> tuple[Estimate, Estimate]:
        """Return ``measures.geometric_share``, geometric and associative: fit and recalls are those of the drawn nodes.

        The standard errors are those of the recalls; that of the three fitted numbers is not in them.

        Args:
            E: Embeddings of all nodes, ``(..., n_nodes, m)``.
            scores: The drawn nodes' rows of scores, ``(..., n, n_nodes)``.

        Raises:
            ValueError: If the shapes do not fit, E is zero, or the graph is complete.
        """
        chance, shares = chance_of(self.graph), []
        for part in share_parts(E, scores, self.graph, self.nodes):
            recall, error, n = self.edge_recall(part)
            shares.append(Estimate(((recall - chance) / (1 - chance)).clamp(0, 1), error / (1 - chance), n))
        return shares[0], shares[1]

    @property
    def _left(self) -> float:
        """What remains of a standard error because the sample is a share of the graph and no more."""
        return math.sqrt(1 - len(self.nodes) / self.graph.n_nodes)

    def _ratio(self, sums: Tensor, counts: Tensor) -> Estimate:
        """Return the ratio of two totals over nodes, ``(..., n)`` each, with its standard error."""
        n = sums.shape[-1]
        value = sums.sum(-1) / counts.sum(-1)
        apart = (sums - value[..., None] * counts).square().sum(-1) / max(n - 1, 1)
        return self._estimate(value, (apart / n).sqrt() / counts.mean(-1) * self._left)

    def _estimate(self, value: Tensor, error: Tensor) -> Estimate:
        return Estimate(value, error, len(self.nodes))


def _members(tables: Tensor) -> Tensor:
    """Return the tables of a batch one after the other."""
    return tables.reshape(-1, *tables.shape[-2:])


def _batched(results: list[Tensor], tables) -> Tensor:
    """Return one result per table with the leading dimensions of the tables."""
    return torch.stack(results).reshape(*torch.as_tensor(tables).shape[:-2], *results[0].shape)


def _order(cosine: Tensor, hops: Tensor, group: Tensor) -> Tensor:
    """Return minus Spearman's correlation of whole numbers, over all pairs and then without each group, ``(1 + groups,)``.

    Ranks come from counts of equal values, so that the many pairs of a large sample need not be sorted.

    Args:
        cosine: In units of ``COSINE_TIE``, ``(k,)``.
        hops: ``(k,)``.
        group: The group of each pair, ``(k,)``.
    """
    if len(cosine) < 1 / COSINE_TIE:
        cosine = cosine.unique(return_inverse=True)[1]  # fewer values than there could be
    cosine = (cosine - int(cosine.min())).long()
    totals = [values.bincount() for values in (cosine, hops)]
    found = [_spearman(cosine, hops, *totals)]
    for one in range(int(group.max()) + 1):
        kept = group != one
        pair = cosine[kept], hops[kept]
        counts = (values.bincount(minlength=len(total)) for values, total in zip(pair, totals, strict=True))
        found.append(_spearman(*pair, *counts))
    return -torch.stack(found)


def _spearman(a: Tensor, b: Tensor, count_a: Tensor, count_b: Tensor) -> Tensor:
    """Return the correlation of the ranks of two lists of whole numbers, ties at their mean rank; 0 if one is constant."""
    n, centred = len(a), []
    for count in (count_a, count_b):
        rank = count.cumsum(0) - (count - 1) / 2 - (n + 1) / 2
        centred.append(rank.double())
    square = [(count * rank.square()).sum() for count, rank in zip((count_a, count_b), centred, strict=True)]
    spread = (square[0] * square[1]).sqrt()
    return centred[0][a] @ centred[1][b] / spread if spread > 0 else torch.zeros((), dtype=torch.float64)
