"""What a memory costs: the bits to store it, and the norm that its margins require."""

import itertools
import math
from typing import NamedTuple, cast

import torch
from scipy.optimize import brentq, linprog
from torch import Tensor

from .. import _checks
from ..graphs import Graph, node_table
from ..measures import edge_recall
from ..spectral import Spectrum


class BitCost(NamedTuple):
    """Bits to store each memory; ``dims`` and ``levels`` are those of the geometric table that was found."""

    associative: float
    geometric: float
    dims: int
    levels: int


def cost_in_bits(graph: Graph, *, max_levels: int = 32, tries: int = 8) -> BitCost:
    """Count the bits of both memories: ``|E| log2 |V|`` against ``|V| m log2(levels)``.

    The geometric table is searched for, so its count is an upper bound: heat-kernel columns of the leading m spectral
    dimensions (whole eigenspaces, with or without the trivial ones), every entry rounded to one of ``levels`` uniform
    steps between the extremes, edge recall exactly 1; over a few heat times and turns of the basis.

    Args:
        graph: The graph, at most 200 nodes.
        max_levels: Largest number of levels tried, at least 2.
        tries: Random turns of the basis tried per setting, at least 1 (seeded).

    Returns:
        Bits, one direction of each edge for the associative memory; ``geometric`` is infinite if nothing was found.

    Raises:
        ValueError: If the graph is too large to search.

    Source:
        Paper, propositions on succinctness (``|E| log |V|`` and ``|V| m log Delta``); the search is ours.

    Example:
        >>> from geomem.graphs import cycle
        >>> round(cost_in_bits(cycle(8)).associative, 1)
        24.0
    """
    _small("The search", graph.n_nodes, 200)
    max_levels = _checks.integer("max_levels", max_levels, least=2)
    tries = _checks.integer("tries", tries, least=1)
    n, associative = graph.n_nodes, graph.n_edges * math.log2(graph.n_nodes)
    best = BitCost(associative, math.inf, 0, 0)
    for table in _spectral_tables(Spectrum(graph)):
        m = table.shape[1]
        if edge_recall(table @ table.T, graph) < 1:
            continue  # a short cut: rounding seldom recalls what exact entries do not
        turned = torch.stack([table] + [table @ _rotation(m, seed) for seed in range(1, tries)])
        found = _coarsest(graph, n * m, best.geometric, max_levels, turned)
        if found:
            best = BitCost(associative, n * m * math.log2(found), m, found)
    return best


class StoreCost(NamedTuple):
    """Bits to store what was learned; ``dims`` and ``levels`` are those of the rounded store that was found."""

    bits: float
    dims: int
    levels: int


def store_bits(
    graph: Graph, embedding, core=None, bias=None, *, arbitrary: bool = False, max_levels: int = 32, tries: int = 8
) -> StoreCost:
    """Count the bits of a store that was learned, scores ``(E W + b) E^T``, rounded as coarsely as its edges allow.

    The table is turned to its principal axes and cut to the leading k, the core and bias with it; every entry of table,
    core and bias is rounded to one of ``levels`` uniform steps between its part's extremes; edge recall stays exactly 1.
    The least count over k, levels and a few turns of the axes is an upper bound, as in ``cost_in_bits``.

    Args:
        graph: The graph, at most 200 nodes.
        embedding: E, ``(n, m)``.
        core: W, ``(m, m)``; None is the identity.
        bias: b, ``(m,)``; None is zero.
        arbitrary: The table was drawn, not learned: it is left as it is and costs nothing, a seed writes it.
        max_levels: Largest number of levels tried, at least 2.
        tries: Turns of the axes tried, at least 1 (seeded).

    Returns:
        Bits, dimensions and levels; bits are infinite if nothing was found, as when the store recalls not every edge.

    Raises:
        ValueError: If a part does not fit, the graph is too large, or an arbitrary table has no core.

    Source:
        Ours, after the paper's count ``|V| m log Delta``.

    Example:
        >>> from geomem.graphs import cycle
        >>> store_bits(cycle(5), torch.eye(5), cycle(5).adjacency(), arbitrary=True)  # a core of zeros and ones
        StoreCost(bits=25.0, dims=5, levels=2)
    """
    _small("The search", graph.n_nodes, 200)
    max_levels = _checks.integer("max_levels", max_levels, least=2)
    tries = _checks.integer("tries", tries, least=1)
    E, W, b = _parts(graph, embedding, core, bias)
    if arbitrary and W is None:
        raise ValueError("arbitrary must be False for a store without a core: all that it knows is its table.")
    inner = [part for part in (W, b) if part is not None]
    if arbitrary:
        entries = sum(part.numel() for part in inner)
        found = _coarsest(graph, entries, math.inf, max_levels, *inner, table=E)
        return StoreCost(entries * math.log2(found), E.shape[1], found) if found else StoreCost(math.inf, 0, 0)
    axes, best = torch.linalg.svd(E, full_matrices=False).Vh, StoreCost(math.inf, 0, 0)
    for k in range(1, len(axes) + 1):
        turns = torch.stack([axes[:k].T] + [axes[:k].T @ _rotation(k, seed) for seed in range(1, tries)])
        parts = [E @ turns] + ([turns.mT @ W @ turns] if W is not None else []) + ([b @ turns] if b is not None else [])
        entries = sum(part[0].numel() for part in parts)
        if edge_recall(_scores(*(part[0] for part in parts)), graph) < 1:
            continue
        found = _coarsest(graph, entries, best.bits, max_levels, *parts)
        if found:
            best = StoreCost(entries * math.log2(found), k, found)
    return best


def _parts(graph: Graph, embedding, core, bias) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Return table, core ``(m, m)`` and bias ``(1, m)`` of one store, checked, float64."""
    E = node_table("embedding", embedding, graph)
    if E.ndim != 2:
        raise ValueError(f"embedding must be one table, ({graph.n_nodes}, m), got {tuple(E.shape)}. Take one seed.")
    m, checked = E.shape[1], []
    for name, part, shape in (("core", core, (m, m)), ("bias", bias, (m,))):
        part = None if part is None else _checks.table(part)
        if part is not None and tuple(part.shape) != shape:
            raise ValueError(f"{name} must have shape {shape}, as the embedding is {m} wide, got {tuple(part.shape)}.")
        checked.append(part)
    if checked[1] is not None and checked[0] is None:
        raise ValueError("core must be given where there is a bias: the identity has none.")
    W, b = checked
    return E, W, None if b is None else b[None]


def _scores(E: Tensor, W: Tensor | None = None, b: Tensor | None = None) -> Tensor:
    """Return ``(E W + b) E^T``, with as many turns in front as the parts have."""
    read = E if W is None else E @ W
    return (read if b is None else read + b) @ E.mT


def _coarsest(graph: Graph, entries: int, below: float, max_levels: int, *parts: Tensor, table: Tensor | None = None) -> int:
    """Return the fewest levels at which some turn of the rounded parts recalls every edge; 0 if none under these bits."""
    affordable = itertools.takewhile(lambda levels: entries * math.log2(levels) < below, range(2, max_levels + 1))
    for levels in affordable:
        written = [_quantise(part, levels) for part in parts]
        scores = _scores(*written) if table is None else _scores(table, *written)
        if (edge_recall(scores, graph) == 1).any():
            return levels
    return 0


def _spectral_tables(spectrum: Spectrum):
    """Yield heat-kernel tables of 1, 2, ... leading eigenspaces, narrow first, with and without the trivial ones."""
    for trivial in (False, True):
        kept = [k for k in range(len(spectrum.values)) if trivial or not spectrum.trivial[k]]
        for last in range(1, len(kept) + 1):
            for t in (0.5, 1.0, 2.0, 4.0):
                yield torch.cat([spectrum.bases[k] * (t * spectrum.values[k] / 2).exp() for k in kept[:last]], dim=1)


def _rotation(m: int, seed: int) -> Tensor:
    noise = torch.randn(m, m, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return torch.linalg.qr(noise).Q


def _quantise(table: Tensor, levels: int) -> Tensor:
    """Round every entry to one of ``levels`` uniform steps between minus and plus the table's largest entry."""
    top = table.abs().amax((-2, -1), keepdim=True)
    step = 2 * torch.where(top == 0, 1.0, top) / (levels - 1)
    return ((table + top) / step).round() * step - top


class NormCost(NamedTuple):
    """Frobenius norms under the unit margin; ``gap`` bounds the relative error of ``geometric``."""

    associative: float
    geometric: float
    associative_bound: float
    geometric_bound: float
    gap: float


def cost_in_norm(graph: Graph, *, tolerance: float = 1e-4) -> NormCost:
    """Find the least norm of each memory that scores edges at least 1 and non-edges at most 0, self excluded.

    The associative store in an orthonormal basis is the adjacency matrix itself. The tied table's squared norm is the
    trace of its Gram matrix, so the least one is a convex problem: minimise tr G over positive semidefinite G under the
    margin. It is solved by alternating projections with a multiplier (ADMM), and the multiplier, made feasible, gives
    the lower bound that certifies it.

    Args:
        graph: The graph, at most 100 nodes.
        tolerance: Largest relative gap between the table's norm and its lower bound, > 0.

    Returns:
        Norms of the stores of both directions, the paper's bounds ``sqrt(2 |E|)`` and ``sqrt |V|``, and the gap.

    Raises:
        ValueError: If the graph is larger than 100 nodes.
        RuntimeError: If the gap is still open after 20,000 rounds.

    Source:
        Paper, proposition on norms; the computed minima are ours. ADMM: Boyd et al. (2011).

    Example:
        >>> from geomem.graphs import path_star
        >>> round(cost_in_norm(path_star(4, 2)).geometric ** 2, 2)  # a star of d leaves needs 2 d
        8.0
    """
    _small("The least norm", graph.n_nodes, 100)
    tolerance = _checks.real("tolerance", tolerance, above=0)
    edges = graph.adjacency().bool()
    self_pairs = torch.eye(graph.n_nodes, dtype=torch.bool)
    lower = torch.where(edges, 1.0, -torch.inf).to(torch.float64)
    upper = torch.where(edges | self_pairs, torch.inf, 0.0).to(torch.float64)
    identity = self_pairs.to(torch.float64)
    allowed, multiplier, weight = torch.zeros_like(identity), torch.zeros_like(identity), 1.0
    trace, bound = math.inf, 0.0
    for round_ in range(20_000):
        values, vectors = torch.linalg.eigh(allowed - multiplier - identity / weight)
        gram = (vectors * values.clamp(min=0)) @ vectors.T
        previous, allowed = allowed, torch.minimum(torch.maximum(gram + multiplier, lower), upper)
        multiplier = multiplier + gram - allowed
        if round_ % 10 == 9:
            trace = min(trace, _feasible_trace(gram, edges, self_pairs))
            bound = max(bound, _dual_bound(-weight * multiplier, edges, self_pairs))
            if trace < bound * (1 + tolerance) ** 2:
                store = math.sqrt(2 * graph.n_edges)
                return NormCost(store, math.sqrt(trace), store, math.sqrt(graph.n_nodes), math.sqrt(trace / bound) - 1)
        if round_ % 10 == 9 and round_ < 200:  # later changes of weight would keep it from settling
            primal, dual = (gram - allowed).norm(), weight * (allowed - previous).norm()
            factor = 2.0 if primal > 10 * dual else 0.5 if dual > 10 * primal else 1.0
            weight, multiplier = weight * factor, multiplier / factor
    raise RuntimeError(f"the least norm of {graph!r} was not certified to {tolerance:g}. Raise tolerance.")


def store_norm(graph: Graph, embedding, core=None, bias=None) -> float:
    """Return the least norm of a store that was learned, scores ``(E W + b) E^T``, brought to a margin of one.

    The margin is *relative*: for every node the lowest edge scores at least 1 more than the highest non-edge, self
    excluded. It is all that a softmax sees, and no harder to reach than the margin of ``cost_in_norm``, so the comparison
    favours what was learned. Table, core and bias are rescaled against each other, scores kept, so that the root of the
    sum of their squares is least.

    Args:
        graph: The graph.
        embedding: E, ``(n, m)``.
        core: W, ``(m, m)``; None is the identity.
        bias: b, ``(m,)``; None is zero.

    Returns:
        The norm; infinite if an edge does not score above every non-edge.

    Raises:
        ValueError: If a part does not fit.

    Source:
        Ours, after the paper's proposition on norms.

    Example:
        >>> from geomem.graphs import cycle
        >>> round(store_norm(cycle(5), torch.eye(5), cycle(5).adjacency()) ** 2, 3)  # 5 x + 10 / x^2 at its least
        11.906
    """
    E, W, b = _parts(graph, embedding, core, bias)
    edges, scores = graph.adjacency().bool(), _scores(E, W, b)
    others = ~edges & ~torch.eye(graph.n_nodes, dtype=torch.bool)
    lowest = scores.masked_fill(~edges, torch.inf).amin(1)
    margin = float((lowest - scores.masked_fill(~others, -torch.inf).amax(1)).amin())
    if not 0 < margin < math.inf:  # without non-edges there is no margin to keep
        return 0.0 if margin > 0 else math.inf
    table = float(E.square().sum())
    if W is None:
        return math.sqrt(table / margin)
    square = float(W.square().sum()) / margin**2
    shift = 0.0 if b is None else float(b.square().sum()) / margin**2
    # E times sqrt(x), W over x, b over sqrt(x) keep the scores: table x + shift / x + square / x^2 is convex in x
    high = max((4 * square / table) ** (1 / 3), (2 * shift / table) ** 0.5)

    def slope(x: float) -> float:
        return table * x**3 - shift * x - 2 * square

    x = cast(float, brentq(slope, 0.0, 1.001 * high)) if square else high / math.sqrt(2)  # without full_output a number
    return math.sqrt(table * x + shift / x + square / x**2)


def can_hold(graph: Graph, embedding) -> bool:
    """Return whether *any* core W and bias b make ``(E W + b) E^T`` recall every edge with this table, left as it is.

    A linear programme, so the answer is exact: it says what a frozen table can hold, not what training finds.

    Args:
        graph: The graph, at most 100 nodes.
        embedding: E, ``(n, m)``; the programme has ``m (m + 1)`` unknowns.

    Raises:
        ValueError: If the table does not fit or the graph is too large.

    Source:
        Ours.

    Example:
        >>> from geomem.graphs import cycle
        >>> can_hold(cycle(5), torch.eye(5)), can_hold(cycle(5), torch.ones(5, 1))
        (True, False)
    """
    _small("The programme", graph.n_nodes, 100)
    E, _, _ = _parts(graph, embedding, None, None)
    E = E / E.abs().max().clamp(min=torch.finfo(E.dtype).tiny)
    edges = graph.adjacency().bool()
    others = ~edges & ~torch.eye(graph.n_nodes, dtype=torch.bool)
    u, v, w = torch.nonzero(edges[:, :, None] & others[:, None, :]).T
    if not len(u):
        return True
    gap = E[v] - E[w]
    rows = torch.cat([(E[u][:, :, None] * gap[:, None, :]).flatten(1), gap], dim=1).numpy()
    found = linprog([0.0] * rows.shape[1], A_ub=-rows, b_ub=[-1.0] * len(rows), bounds=(None, None), method="highs")
    if found.status not in (0, 2):  # neither solved nor proved to have no solution
        raise RuntimeError(f"the programme for {graph!r} was not decided: {found.message}")
    return found.status == 0


def _feasible_trace(gram: Tensor, edges: Tensor, self_pairs: Tensor) -> float:
    """Return the trace of a feasible Gram matrix near ``gram``: entries mended, then the diagonal raised, then scaled."""
    off = torch.where(edges, gram, gram.clamp(max=0)).masked_fill(self_pairs, 0.0) + torch.diag(gram.diagonal())
    lift = max(0.0, -float(torch.linalg.eigvalsh(off)[0]))
    smallest = float(off[edges].min())
    return (float(off.trace()) + lift * len(off)) / smallest if smallest > 0 else math.inf


def _dual_bound(multiplier: Tensor, edges: Tensor, self_pairs: Tensor) -> float:
    """Return the lower bound sum of Y over edges, for Y >= 0 on edges, <= 0 off them, with largest eigenvalue 1."""
    y = torch.where(edges, multiplier.clamp(min=0), multiplier.clamp(max=0)).masked_fill(self_pairs, 0.0)
    top = float(torch.linalg.eigvalsh(y)[-1])
    return float(y[edges].sum()) / top if top > 0 else 0.0


def _small(what: str, n_nodes: int, limit: int) -> None:
    if n_nodes > limit:
        raise ValueError(f"{what} is made for at most {limit} nodes, got {n_nodes}. Take a smaller graph of the family.")
