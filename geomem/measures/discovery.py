"""What a memory says about pairs it was never trained on: held-out edges, invented edges, and the effects of an edit."""

from typing import NamedTuple

import torch
from torch import Tensor

from .. import _checks
from ..graphs import Graph, require_graph
from .base import ROUNDING, defined
from .geometry import rank_correlation


class Discovery(NamedTuple):
    """Hold how held-out edges rank among the pairs that were not trained; float64 ``(...,)`` each.

    Args:
        auc: Chance that a held-out edge scores above a pair that is no edge; 0.5 knows nothing, 1 finds them all.
        hits: Share of the k held-out edges among the k untrained pairs that score highest.
        invented: Pairs that are no edges and score above the weakest trained edge, for each trained edge.
    """

    auc: Tensor
    hits: Tensor
    invented: Tensor


def pair_scores(scores) -> Tensor:
    """Return how much a model believes in each pair: its log-probability of v given u, mean of both directions.

    Args:
        scores: Logits over the nodes, v given u at ``[u, v]``, ``(..., n, n)``.

    Returns:
        float64 ``(..., n, n)``, symmetric, in nats.

    Raises:
        ValueError: If a score is not finite.

    Source:
        Ours.

    Example:
        >>> pair_scores([[0.0, 0.0], [0.0, 0.0]])[0, 1].exp()
        tensor(0.5000, dtype=torch.float64)
    """
    logs = torch.log_softmax(_checks.table(scores), dim=-1)
    return defined("the log-probability", (logs + logs.mT) / 2)


def discover(pairs, graph: Graph, held) -> Discovery:
    """Rank edges that were held out among all pairs that were not trained.

    Scores closer than a billionth of the largest are tied, and ties count by expectation under random order.

    Args:
        pairs: A symmetric table that says how likely each pair is, ``(..., n, n)``, as from ``pair_scores`` or ``cosines``.
        graph: What was trained: the graph without the held-out edges.
        held: Undirected edges held out, int64 ``(k, 2)``, as ``EdgeTask.held_edges``.

    Raises:
        ValueError: If a shape is wrong, a score is not finite, a held-out edge was trained, or every other pair is an edge.

    Source:
        AUC is Mann and Whitney's; hits at k is the measure of link prediction.

    Example:
        >>> from geomem.graphs import Graph
        >>> path = Graph(n_nodes=4, edges=[(0, 1), (1, 2), (2, 3)])
        >>> hops = -path.hops().double()
        >>> discover(hops, path, [(0, 2)]).auc  # beside 1-3, equally far, and 0-3, further
        tensor(0.7500, dtype=torch.float64)
    """
    pairs = torch.as_tensor(pairs).detach().to("cpu", torch.float64)
    n, held = require_graph(graph).n_nodes, torch.as_tensor(held).reshape(-1, 2).to(torch.int64)
    if pairs.ndim < 2 or pairs.shape[-2:] != (n, n) or not pairs.isfinite().all():
        raise ValueError(f"pairs must be finite, shape (..., {n}, {n}), got {tuple(pairs.shape)} or a value that is not.")
    trained = graph.adjacency().bool()
    if not len(held) or trained[held[:, 0], held[:, 1]].any():
        raise ValueError("held must list one or more edges that the graph does not have. Give the graph without them.")
    out = torch.zeros_like(trained)
    out[held[:, 0], held[:, 1]] = out[held[:, 1], held[:, 0]] = True
    upper = torch.ones_like(trained).triu(1)
    size = pairs.abs().amax((-2, -1), keepdim=True)
    pairs = (pairs / torch.where(size == 0, 1.0, size) / ROUNDING).round()
    found, others, known = (pairs[..., where & upper] for where in (out, ~out & ~trained, trained))
    if not others.shape[-1]:
        raise ValueError(f"graph must leave pairs that are no edges, got {graph!r}, where every pair is one.")
    higher = found[..., :, None] - others[..., None, :]
    auc = ((higher > 0).double() + 0.5 * (higher == 0).double()).mean((-2, -1))
    everything = torch.cat([found, others], dim=-1)
    last = everything.topk(found.shape[-1], dim=-1).values[..., -1:]
    places = (found.shape[-1] - (everything > last).sum(-1)) / (everything == last).sum(-1)
    hits = ((found > last).double().sum(-1) + places * (found == last).sum(-1)) / found.shape[-1]
    invented = (others > known.amin(-1, keepdim=True)).double().sum(-1) / known.shape[-1]
    return Discovery(auc, hits, invented)


def ripple(change, graph: Graph, edited: Graph, *, without=()) -> Tensor:
    """Return the rank correlation, over pairs that an edit did not name, of their change with how much nearer they came.

    Pairs that are an edge before or after are left out. 1: what came nearer in the graph gained most; 0: nothing moved, or
    without regard to the graph.

    Args:
        change: How much more each pair is believed after the edit, symmetric, ``(..., n, n)``.
        graph: The graph before.
        edited: The graph after, of the same nodes. A pair without a path counts as n hops apart.
        without: Nodes whose pairs are left out: those that the edit names.

    Returns:
        float64 ``(...,)`` in [-1, 1]; 0 where no score changed.

    Raises:
        ValueError: If shapes do not fit, or no counted pair changes its distance.

    Source:
        Ours; "ripple effects" of edits are after Cohen et al. (2023).

    Example:
        >>> from geomem.graphs import Graph
        >>> path, bent = (Graph(n_nodes=5, edges=[(0, 1), (1, 2), (2, 3), (k, 4)]) for k in (3, 0))
        >>> nearer = (path.hops() - bent.hops()).double()
        >>> ripple(nearer, path, bent)
        tensor(1.0000, dtype=torch.float64)
    """
    change, n = _checks.table(change), require_graph(graph).n_nodes
    if change.shape[-2:] != (n, n) or require_graph(edited).n_nodes != n or not change.isfinite().all():
        raise ValueError(f"change must be finite, shape (..., {n}, {n}), and both graphs of {n} nodes, got "
                         f"{tuple(change.shape)} and {edited.n_nodes}.")  # fmt: skip
    counted = ~(graph.adjacency().bool() | edited.adjacency().bool()).triu(1) & torch.ones(n, n, dtype=torch.bool).triu(1)
    named = torch.as_tensor(list(without), dtype=torch.int64)
    counted[named], counted[:, named] = False, False
    before, after = (torch.where(g.hops() < 0, n, g.hops()).double() for g in (graph, edited))
    nearer = (before - after)[counted]
    if not len(nearer) or nearer.min() == nearer.max():
        raise ValueError("edited must change the distance of some of the counted pairs, and not of all alike. Move another "
                         "edge.")  # fmt: skip
    return rank_correlation(change[..., counted], nearer)
