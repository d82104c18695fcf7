"""Recall: which facts a table of scores gives back."""

import torch
from torch import Tensor

from .. import _checks
from ..graphs import Graph, require_graph
from .base import ROUNDING, defined, listed_nodes

NOISE = 16 * torch.finfo(torch.float64).eps
"""What sums of products leave where the exact result is 0, per node and relative to the table's largest."""


def edge_recall(
    scores,
    graph: Graph,
    *,
    self_edges: bool = False,
    directions: str = "both",
    nodes: Tensor | None = None,
    facts: Tensor | None = None,
) -> Tensor:
    """Return the share of each node's trained targets among its k highest scores, averaged over nodes.

    k is the node's number of targets. Scores closer than a billionth of their row's largest are tied. Ties count by
    expectation under random order, so constant scores give the chance level. The node itself is left out unless self
    edges were trained.

    Args:
        scores: ``scores[..., u, v]`` is the score of v given u, ``(..., n, n)``; with ``nodes``, ``(..., len(nodes), n)``.
        graph: The graph that was trained.
        self_edges: Whether ``u -> u`` was trained too.
        directions: "both", "forward" or "backward"; nodes without a target are left out of the mean.
        nodes: The rows that ``scores`` holds, for graphs too large for all of them.
        facts: What was trained, if it is neither of the three: pairs u, v, int64 ``(n_facts, 2)``.

    Returns:
        float64 ``(...,)`` in [0, 1].

    Raises:
        ValueError: If the shape is wrong, a score is not finite, or no listed node has a target.

    Source:
        Ours; the paper's release has two definitions under one name.

    Example:
        >>> from geomem.graphs import path_star
        >>> g = path_star(2, 3)
        >>> float(edge_recall(g.adjacency(), g)), round(float(edge_recall(torch.ones(5, 5), g)), 3)
        (1.0, 0.4)
    """
    recalls, counted = recalls_of_nodes(
        scores, graph, self_edges=self_edges, directions=directions, nodes=nodes, facts=facts
    )
    return recalls[..., counted].mean(-1)


def recalls_of_nodes(
    scores, graph: Graph, *, self_edges: bool, directions: str, nodes: Tensor | None, facts: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Return the recall of every listed node, float64 ``(..., rows)``, and which have a target, bool ``(rows,)``.

    Args:
        scores: As in ``edge_recall``.
        graph: As in ``edge_recall``.
        self_edges: As in ``edge_recall``.
        directions: As in ``edge_recall``.
        nodes: As in ``edge_recall``.
        facts: As in ``edge_recall``.

    Raises:
        ValueError: As in ``edge_recall``.

    Source:
        Ours.
    """
    scores, rows, targets = _rows(scores, graph, self_edges, directions, nodes, facts)
    if not self_edges:
        scores, targets = _without_self(rows, scores, targets)
    scores, k = _rounded(scores), targets.sum(-1)
    above, tied, places = _hits(scores, targets)
    return (above.sum(-1) + places * tied.sum(-1)) / k.clamp(min=1), k > 0


def recalled_facts(scores, graph: Graph) -> Tensor:
    """Return which facts are recalled, float64 ``(..., n, n)``: at ``[u, v]`` 1 if v is among u's k highest scores.

    k is the degree of u, u itself is left out, and ties count by expectation, as in ``edge_recall``: the sum of a row over
    its degree is the recall of the node, and the mean of that is the edge recall. Pairs that are no edge are 0.

    Args:
        scores: ``scores[..., u, v]`` is the score of v given u, ``(..., n, n)``.
        graph: The graph that was trained, both directions, without self edges.

    Raises:
        ValueError: If the shape is wrong or a score is not finite.

    Source:
        Ours.

    Example:
        >>> from geomem.graphs import path_star
        >>> g = path_star(2, 2)  # 1 - 0 - 2
        >>> recalled_facts([[0.0, 1, 1], [0, 0, 1], [2, 1, 0]], g).tolist()  # asked for 1, the table says 2
        [[0.0, 1.0, 1.0], [0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]
    """
    scores, rows, targets = _rows(scores, graph, False, "both", None)
    found = torch.zeros_like(scores)
    scores, targets = _without_self(rows, scores, targets)
    above, tied, places = _hits(_rounded(scores), targets)
    found[..., rows[:, None] != rows] = (above + places[..., None] * tied).flatten(-2)
    return found


def _rounded(scores: Tensor) -> Tensor:
    """Return scores as whole numbers of ``ROUNDING`` times their own row's largest, so that rounding ties.

    A row that is itself no more than the rounding of the table's largest row holds nothing, and all its scores are tied.
    """
    size = scores.abs().amax(-1, keepdim=True)
    nothing = size <= NOISE * scores.shape[-1] * size.amax(-2, keepdim=True)
    return (scores / torch.where(nothing, torch.inf, size) / ROUNDING).round()


def _hits(scores: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return which targets are surely among their row's k highest scores, which are tied for a place, and their chance."""
    k = targets.sum(-1)
    highest = scores.topk(int(k.max()), dim=-1).values  # sorted; whole rows of a large graph take seconds to sort
    threshold = highest.gather(-1, (k - 1).clamp(min=0)[:, None].expand(*scores.shape[:-1], 1))
    above, tied = scores > threshold, scores == threshold
    places = (k - above.sum(-1)).double() / tied.sum(-1)  # the share of the tied that still has a place among the k
    return above * targets, tied * targets, places


def edge_margin(
    scores, graph: Graph, *, self_edges: bool = False, directions: str = "both", nodes: Tensor | None = None
) -> Tensor:
    """Return each node's lowest target score minus its highest other score, averaged over nodes.

    Only nodes with both a target and a non-target count. The node itself is left out unless self edges were trained.
    Unlike recall it has the scale of the scores.

    Args:
        scores: ``scores[..., u, v]`` is the score of v given u, ``(..., n, n)``; with ``nodes``, ``(..., len(nodes), n)``.
        graph: The graph that was trained.
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
    scores, rows, targets = _rows(scores, graph, self_edges, directions, nodes)
    if not self_edges:
        scores, targets = _without_self(rows, scores, targets)
    both = targets.any(-1) & ~targets.all(-1)
    if not both.any():
        raise ValueError(f"graph must have a listed node with both a target and another node that is none, got {graph!r}.")
    lowest = scores.masked_fill(~targets, torch.inf).amin(-1)
    margin = (lowest - scores.masked_fill(targets, -torch.inf).amax(-1))[..., both].mean(-1)
    return defined("the margin", margin)


def _rows(scores, graph: Graph, self_edges: bool, directions: str, nodes, facts=None) -> tuple[Tensor, Tensor, Tensor]:
    """Return checked scores ``(..., rows, n)``, the node of each row, and its targets, bool ``(rows, n)``."""
    scores = _checks.table(scores)
    rows = torch.arange(require_graph(graph).n_nodes) if nodes is None else listed_nodes("nodes", nodes, graph)
    if scores.ndim < 2 or scores.shape[-2:] != (len(rows), graph.n_nodes):
        raise ValueError(f"scores must have shape (..., {len(rows)}, {graph.n_nodes}), got {tuple(scores.shape)}.")
    if not scores.isfinite().all():
        raise ValueError("scores must be finite, got NaN or infinity: the run they come from has diverged. Lower its lr.")
    facts = graph.directed_edges(directions=directions, self_edges=self_edges) if facts is None else facts
    targets = _target_rows(graph, rows, facts)
    if not targets.any():
        raise ValueError(f"no listed node has a target with directions={directions!r}: nothing can be recalled.")
    return scores, rows, targets


def _without_self(rows: Tensor, *tables: Tensor):
    """Leave out of every row the entry of its own node, ``(..., rows, n - 1)``."""
    others = rows[:, None] != torch.arange(tables[0].shape[-1])
    return (table[..., others].unflatten(-1, (len(rows), -1)) for table in tables)


def _target_rows(graph: Graph, rows: Tensor, facts: Tensor) -> Tensor:
    """Return the listed rows of the target matrix, bool ``(len(rows), n)``, without making the others."""
    heads, tails = facts.T
    place = torch.full((graph.n_nodes,), -1)
    place[rows] = torch.arange(len(rows))
    listed = place[heads] >= 0
    targets = torch.zeros(len(rows), graph.n_nodes, dtype=torch.bool)
    targets[place[heads[listed]], tails[listed]] = True
    return targets
