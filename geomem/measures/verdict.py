"""Measure one table of embeddings against a graph: every measure beside its null models."""

import math

import torch
from torch import Tensor

from .. import _checks
from .._products import by_power_of_two
from ..graphs import Graph
from ..spectral import Spectrum, effective_rank
from .base import unit_rows
from .beside import Beside, Measured, Null, judged
from .geometry import rank_correlation
from .recall import edge_recall
from .rows import match_rows
from .stars import first_hop_accuracy

BLOCK, PAIRS = 500_000, 20_000
"""Pairs that are looked at, from a sample of nodes where there are more; and those that a draw of a null puts in order."""
LEAST, SLOW = 100, 20
"""Nodes at which pairs begin at least; and draws of a null of recall on a graph whose pairs are not all looked at."""
SPECTRAL, LEADING = 1_500, 16
"""Most nodes whose whole spectrum is found: seconds, and memory for two arrays of nodes by nodes; beyond, this many dims."""
HEAT = (1.0, 2.0, 4.0, 8.0, 16.0)
"""Times of the heat kernels that show how high a map's strict order can be on a graph."""


def measure(table, graph: Graph, *, null: int = 100, seed: int = 0) -> Measured:
    """Decide whether a table of embeddings is a map of a graph: every measure that applies, each beside its null models.

    Two nulls are drawn. *Dealt rows*: the same rows at other nodes, chosen at random. *The local table*: each node is the
    sum of its neighbours' rows, after the rows were dealt, ``A R``; neighbours of neighbours are alike in it, and nothing
    beyond. A table is called *a map* if its strict order, among pairs three or more hops apart, exceeds both: every draw,
    and three standard deviations. It holds *neighbourhoods only* if only the order of all pairs, the contrast or the recall
    exceeds the dealt rows. On a graph where even the
    best of several heat kernels would not, it is *too small to say*.

    Args:
        table: An array with one row per node in the graph's order, a mapping of names to vectors, a data frame whose index
            holds the names, or what ``read_table`` returns.
        graph: The graph whose facts are asked for. Only nodes with a row are measured, and distances are those among them.
        null: Draws of each null, at least 20.
        seed: Draws the nulls, and the pairs that are looked at on a graph of more than 707 nodes.

    Returns:
        The measures, and a verdict in words that follows from them.

    Raises:
        TypeError: If the table holds no real numbers, or ``null`` or ``seed`` is not an integer.
        ValueError: If rows and nodes do not fit, no edge has a row at both ends, or all rows are zero.

    Source:
        Ours.

    Example:
        >>> from geomem.graphs import cycle
        >>> angle = 2 * torch.pi * torch.arange(40) / 40
        >>> measure(torch.stack([angle.cos(), angle.sin()], dim=1), cycle(40))
        Measured('cycle(40)', n_nodes=40, width=2: a map, strict order 1.00)
    """
    null = _checks.integer("null", null, least=20, hint="Fewer draws cannot tell a map from chance.")
    generator = torch.Generator().manual_seed(_checks.seed_of("seed", seed))
    matched = match_rows(table, graph)
    unit = unit_rows(matched.rows)  # a table of zeros is refused before anything is drawn
    rows, _ = by_power_of_two(matched.rows, dims=(-2, -1))  # no product of two rows may overflow
    asked = _Asked(matched.graph, generator)
    values, hops = asked.of(rows, unit, whole=True)
    drawn: dict[str, list] = {"dealt": [], "local": []}
    curves = []
    for k in range(null):
        deal, slow = torch.randperm(len(unit), generator=generator), asked.whole or k < SLOW
        found, curve = asked.of(rows[deal], unit[deal], slow=slow)
        curves.append(curve)
        drawn["dealt"].append(found)
        local = asked.summed(rows[deal])
        local = local if (local != 0).any() else torch.ones_like(local)  # where all sums cancel there is no order
        drawn["local"].append(asked.of(local, unit_rows(local), slow=slow)[0])
    beside = {}
    for name, value in values.items():
        nulls = {kind: _null([draw[name] for draw in draws if name in draw]) for kind, draws in drawn.items()}
        beside[name] = Beside(value, chance=asked.chance.get(name), **nulls)
    beside["effective_rank"] = Beside(float(effective_rank(rows)))  # dealt rows have the same
    kind, verdict = judged(beside, asked.silent.get("strict_order"), asked.best_order())
    curves = torch.stack(curves)
    return Measured(matched, beside, asked.silent, hops, curves, asked.energy_of(rows), len(asked.sources), kind, verdict)


class _Asked:
    """Everything about a graph that stays the same from table to table.

    Args:
        graph: The graph.
        generator: Draws the sample of nodes, and of pairs.
    """

    def __init__(self, graph: Graph, generator: torch.Generator):
        n = graph.n_nodes
        self.graph, self.silent, self.chance = graph, {}, {}
        size = min(n, max(LEAST, BLOCK // n))
        self.whole = size == n
        self.sources = torch.arange(n) if self.whole else torch.randperm(n, generator=generator)[:size].sort().values
        hops = graph.hops(self.sources)
        once = torch.ones_like(hops, dtype=torch.bool)
        once[:, self.sources] = torch.ones(size, size, dtype=torch.bool).triu(1)  # a pair of two sources counts once
        self.pairs = once.flatten().nonzero().flatten()
        self.hops = hops.flatten()[self.pairs]
        self.there, self.joined = (self.hops > 0).nonzero().flatten(), self.hops == 1
        self.groups, self.thinned = {}, {}
        for name, least, apart in (("strict_order", 3, True), ("geometric_order", 2, False)):
            masks = [self.hops >= least] if not apart else [(self.hops >= least) & (self.hops % 2 == odd) for odd in (0, 1)]
            some = [mask.nonzero().flatten() for mask in masks]
            self.groups[name] = [pairs for pairs in some if len(self.hops[pairs].unique()) > 1]
            self.thinned[name] = [_thinned(pairs, generator) for pairs in self.groups[name]]
        why = {"strict_order": "there are not two even, nor two odd, distances of 3 or more hops",
               "geometric_order": "pairs that are no edge do not lie at two different distances"}  # fmt: skip
        self.silent |= {name: why[name] for name, groups in self.groups.items() if not groups}
        if (graph.degrees == n - 1).all():
            self.silent["geometric_contrast"] = "there is no pair that is no edge"
        self.near = (self.hops > 0) & (self.hops <= 2)
        if self.near.all():
            self.silent["near_contrast"] = "all pairs lie within two hops"
        self._find_spectrum()
        if graph.root is None:
            self.silent["first_hop_accuracy"] = "the graph has no root"
        else:
            self.chance["first_hop_accuracy"] = 1 / len(graph.first_hops)
        self.neighbours = graph.sparse()

    def _find_spectrum(self) -> None:
        """Find the spectrum, its leading part where a graph is large, and what the Fiedler energy is compared with."""
        n, self.spectrum, self.leading, self.few = self.graph.n_nodes, None, None, None
        try:
            found = Spectrum(self.graph, dims=None if n <= SPECTRAL else LEADING)
        except ValueError as error:  # the solver of large graphs does not converge for every one
            self.silent["fiedler_energy"] = f"its leading directions were not found ({str(error)[:80]})"
            return
        self.spectrum = found if n <= SPECTRAL else None
        dims = n - int(self.graph.components().max()) - 1
        if found.fiedler_dims in (0, dims):
            why = f"it has more than {LEADING} dimensions" if self.spectrum is None else "all directions are one eigenspace"
            self.silent["fiedler_energy"] = f"no Fiedler space stands out: {why}"
            return
        self.chance["fiedler_energy"] = found.fiedler_dims / dims
        if self.spectrum is None:
            self.few = found
        else:
            trivial = self.spectrum.trivial.tolist()
            self.leading = self.spectrum.basis(self.spectrum.fiedler_dims)
            bases = zip(self.spectrum.bases, trivial, strict=True)
            self.trivial = torch.cat([base for base, is_so in bases if is_so], dim=1)

    def summed(self, rows: Tensor) -> Tensor:
        """Return the local table: each node is the sum of its neighbours' rows."""
        return torch.from_numpy(self.neighbours @ rows.numpy())

    def order_of(self, cosine: Tensor, groups: list[Tensor]) -> float:
        """Return the order of cosines of all pairs, averaged over groups of pairs."""
        return float(torch.stack([rank_correlation(cosine[some], -self.hops[some]) for some in groups]).mean())

    def of(self, rows: Tensor, unit: Tensor, *, whole: bool = False, slow: bool = True) -> tuple[dict[str, float], Tensor]:
        """Return every measure of a table, and its mean cosine by hops.

        Args:
            rows: float64 ``(n, m)``.
            unit: The same at length 1.
            whole: Put all pairs in order, not a sample.
            slow: Measure recall as well.
        """
        g, found = self.graph, {}
        block = unit[self.sources] @ unit.mT
        cosine = block.flatten()[self.pairs]
        for name, groups in (self.groups if whole else self.thinned).items():
            if groups:
                found[name] = self.order_of(cosine, groups)
        if "geometric_contrast" not in self.silent:
            found["geometric_contrast"] = float(cosine[self.joined].mean() - cosine[~self.joined].mean())
        if "near_contrast" not in self.silent:
            found["near_contrast"] = float(cosine[self.near].mean() - cosine[~self.near].mean())
        if slow:
            found["edge_recall_cosine"] = float(edge_recall(block, g, nodes=self.sources))
            found["edge_recall_dot"] = float(edge_recall(rows[self.sources] @ rows.mT, g, nodes=self.sources))
        if self.leading is not None:
            total = (rows - self.trivial @ (self.trivial.mT @ rows)).square().sum()
            found["fiedler_energy"] = float((self.leading.mT @ rows).square().sum() / total) if total > 0 else 0.0
        if self.few is not None:
            found["fiedler_energy"] = float(self.few.fiedler_energy(rows))
        if g.root is not None:
            found["first_hop_accuracy"] = float(first_hop_accuracy(unit, g))
        far = self.hops[self.there]
        return found, (torch.bincount(far, weights=cosine[self.there]) / torch.bincount(far))[1:]

    def energy_of(self, rows: Tensor) -> Tensor | None:
        """Return the cumulative energy of a table; None for a large graph, or where all lies in the trivial directions."""
        if self.spectrum is None or self.spectrum.trivial.all():
            return None
        energy = self.spectrum.energy(rows)[~self.spectrum.trivial].sum()
        return self.spectrum.cumulative_energy(rows) if energy > 1e-9 else None

    def best_order(self) -> float:
        """Return the highest strict order among heat kernels: no better map is known. 1 for a large graph or none."""
        if self.spectrum is None or not self.groups["strict_order"]:
            return 1.0
        values, orders = self.spectrum.values.tolist(), []
        for t in HEAT:
            parts = [
                base * math.exp(t * (value - values[0]) / 2) for base, value in zip(self.spectrum.bases, values, strict=True)
            ]
            unit = unit_rows(torch.cat(parts, dim=1))
            orders.append(self.order_of((unit[self.sources] @ unit.mT).flatten()[self.pairs], self.thinned["strict_order"]))
        return max(orders)


def _thinned(pairs: Tensor, generator: torch.Generator) -> Tensor:
    """Return at most ``PAIRS`` of some pairs."""
    return pairs if len(pairs) <= PAIRS else pairs[torch.randperm(len(pairs), generator=generator)[:PAIRS]]


def _null(values: list[float]) -> Null:
    """Return what draws score."""
    drawn = torch.tensor(values, dtype=torch.float64)
    return Null(float(drawn.mean()), float(drawn.std()), float(drawn.max()), len(values))
