"""Where the facts are: in the embedding's own similarities, or in the core."""

from typing import NamedTuple

import torch
from torch import Tensor

from .. import _checks
from .._products import by_power_of_two
from ..graphs import Graph, node_table
from .base import ROUNDING, defined
from .recall import edge_recall


def geometric_share(E, scores, graph: Graph) -> tuple[Tensor, Tensor]:
    """Return how much of the recall comes from the embedding's own similarities, and how much from the rest of the logits.

    With K = E E^T over its largest eigenvalue and L the model's logits, both without self pairs and row means, F is
    the least-squares fit of L by K, K^2 and K^3: all that a core diagonal in the embedding's own basis could say. The
    geometric share is the edge recall of F, the associative share that of L - F, each corrected for chance and clipped
    to [0, 1]. They need not sum to 1, and random embeddings of width 32 give a geometric share of about .1.

    It says *where* the facts are, not of what kind: the incidence embedding scores (1, 0) and is not a map.

    Args:
        E: Embeddings, ``(..., n, m)``.
        scores: The model's own scores of v given u, ``(..., n, n)``.
        graph: The graph.

    Returns:
        Geometric and associative share, float64 ``(...,)`` each.

    Raises:
        ValueError: If the shapes do not fit, E is zero, or the graph is complete.

    Source:
        Ours.

    Example:
        >>> from geomem.graphs import cycle
        >>> geometric_share(torch.eye(5), cycle(5).adjacency(), cycle(5))
        (tensor(0., dtype=torch.float64), tensor(1., dtype=torch.float64))
    """
    chance = chance_of(graph)
    shares = [((edge_recall(part, graph) - chance) / (1 - chance)).clamp(0, 1) for part in share_parts(E, scores, graph)]
    geometric, associative = shares
    return geometric, associative


def chance_of(graph: Graph) -> Tensor:
    """Return the recall of random scores, or raise a ValueError where nothing else is possible."""
    if (graph.degrees == graph.n_nodes - 1).all():
        raise ValueError(f"graph must have a pair that is no edge, got {graph!r}: where all are joined, all is recalled.")
    return graph.degrees.double().mean() / (graph.n_nodes - 1)


def share_parts(E, scores, graph: Graph, nodes: Tensor | None = None) -> list[Tensor]:
    """Return fit and rest as ``split_scores`` does, with rounding set to 0, all rows or those of the listed nodes."""
    L, _ = by_power_of_two(_scores(scores, graph, nodes), dims=(-2, -1))
    rows = _rows(graph, nodes)
    scale = _off_diagonal(L, rows).abs().amax(-1)[..., None, None]
    return [torch.where(part.abs() < ROUNDING * scale, 0.0, part) for part in _split(E, L, graph, rows)]


def split_scores(E, scores, graph: Graph) -> tuple[Tensor, Tensor]:
    """Split the logits into what the embedding's own similarities carry and the rest, as ``geometric_share`` does.

    Args:
        E: Embeddings, ``(..., n, m)``.
        scores: The model's own scores of v given u, ``(..., n, n)``.
        graph: The graph.

    Returns:
        F and L - F, float64 ``(..., n, n)`` each, without self pairs and row means.

    Raises:
        ValueError: If the shapes do not fit, or E is zero.

    Source:
        Ours.

    Example:
        >>> from geomem.graphs import cycle
        >>> fit, rest = split_scores(torch.eye(5), cycle(5).adjacency(), cycle(5))
        >>> float(fit.abs().max()), rest[0, 1:].tolist()
        (0.0, [0.5, -0.5, -0.5, 0.5])
    """
    return _split(E, _scores(scores, graph, None), graph, _rows(graph, None))


def _rows(graph: Graph, nodes: Tensor | None) -> Tensor:
    """Return the node of each row of scores."""
    return torch.arange(graph.n_nodes) if nodes is None else nodes


def _scores(scores, graph: Graph, nodes: Tensor | None) -> Tensor:
    """Return scores, all or the listed nodes' rows, as a finite float64 tensor."""
    if nodes is None:
        return node_table("scores", scores, graph, columns=graph.n_nodes)
    scores = _checks.table(scores)
    if scores.ndim < 2 or scores.shape[-2:] != (len(nodes), graph.n_nodes) or not scores.isfinite().all():
        raise ValueError(f"scores must be finite, shape (..., {len(nodes)}, {graph.n_nodes}), got {tuple(scores.shape)} or "
                         "a value that is not finite.")  # fmt: skip
    return scores


def _split(E, L: Tensor, graph: Graph, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Return the least-squares fit of rows of logits by those of K, K^2 and K^3, and what is left of them."""
    E, (L, exponent) = by_power_of_two(node_table("E", E, graph), dims=(-2, -1))[0], by_power_of_two(L, dims=(-2, -1))
    top = torch.linalg.matrix_norm(E, 2)[..., None, None].square()
    if (top <= 0).any():
        raise ValueError("E must not be zero: it has no similarities to fit with.")
    power, powers = E[..., rows, :] @ E.mT / top, []
    for _ in range(3):
        powers.append(_off_diagonal(power, rows))
        power = power @ E @ E.mT / top  # rows of the next power of K, without the other rows
    powers = torch.stack(powers, dim=-1)
    L = _off_diagonal(L, rows)
    fit = (powers @ (torch.linalg.pinv(powers, rtol=1e-12) @ L[..., None]))[..., 0]
    parts = [part.unflatten(-1, (len(rows), graph.n_nodes)) for part in (fit, L - fit)]
    fit, rest = (defined("the split", torch.ldexp(torch.ldexp(part, exponent - 1), torch.tensor(1))) for part in parts)
    return fit, rest


class CoreSurvival(NamedTuple):
    """Hold edge recalls, float64 ``(...,)``: of the logits, and with parts of the core's map; see ``core_survival``."""

    full: Tensor
    blocks: Tensor
    diagonal: Tensor
    spread: Tensor

    def __repr__(self) -> str:
        means = ", ".join(f"{name}={float(value.mean()):.3f}" for name, value in self._asdict().items())
        return f"CoreSurvival(means over {self.full.numel()} tables: {means})"


def core_survival(E, weight, bias, graph: Graph, *, tolerance: float = 0.01, turns: int = 32, seed: int = 0) -> CoreSurvival:
    """Return how much edge recall survives when a linear core keeps only what does not mix the embedding's directions.

    The logits are ``(E W + b) E^T``. With ``E = U s R^T``, the map between the embedding's own directions is ``R^T W R``.
    Of it, ``blocks`` keeps the entries between directions of nearly equal singular value, and ``diagonal`` the strict
    diagonal. Within a block the basis R is arbitrary, so ``diagonal`` is the mean, and ``spread`` the standard deviation,
    over random turns within the blocks. The bias always stays.

    Args:
        E: Embeddings, ``(..., n, m)``.
        weight: W of ``x -> x W + b``, as the linear core stores it, ``(..., m, m)``.
        bias: b, ``(..., m)``.
        graph: The graph that was trained.
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
    E = node_table("E", E, graph)
    n, m = E.shape[-2:]
    weight, bias = (_checks.table(table) for table in (weight, bias))
    if weight.shape != (*E.shape[:-2], m, m) or bias.shape != (*E.shape[:-2], m):
        raise ValueError(f"weight and bias must have shape (..., {m}, {m}) and (..., {m}) for E of {tuple(E.shape)}, "
                         f"got {tuple(weight.shape)} and {tuple(bias.shape)}.")  # fmt: skip
    members = zip(E.reshape(-1, n, m), weight.reshape(-1, m, m), bias.reshape(-1, m), strict=True)
    recalls = []
    for e, w, b in members:
        generator = torch.Generator().manual_seed(seed)  # a member's turns do not depend on the other members
        spaces = _equal_spaces(e, tolerance)
        kept = sum(space @ (space.T @ w @ space) @ space.T for space in spaces)
        frames = torch.cat([_frames(space, turns, generator) for space in spaces], dim=-1)  # (turns, m, min(n, m))
        seen = e @ frames
        diagonal = (seen * (frames * (w @ frames)).sum(-2, keepdim=True)) @ seen.mT
        logits = torch.cat([torch.stack([e @ w @ e.T, e @ kept @ e.T]), diagonal]) + e @ b
        recalls.append(edge_recall(logits, graph))
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


def _off_diagonal(matrix: Tensor, rows: Tensor) -> Tensor:
    """Flatten rows of a matrix with self pairs set to 0 and every row's mean over the others removed, ``(..., k * n)``."""
    n = matrix.shape[-1]
    others = (rows[:, None] != torch.arange(n)).to(matrix.dtype)
    matrix = matrix * others
    return ((matrix - matrix.sum(-1, keepdim=True) / (n - 1)) * others).flatten(-2)
