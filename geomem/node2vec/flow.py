"""The exact gradient flow of one-layer Node2Vec: no sampling, no walks, no autograd."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .. import _checks
from ..graphs import Graph, node_table, require_graph
from ..spectral import random_walk

PRECISIONS = {"float64": torch.float64, "float32": torch.float32}
CORES = ("identity", "linear")


@dataclass(frozen=True, eq=False)
class Flow:
    """Hold snapshots of a flow: T steps, S seeds, n nodes.

    Args:
        steps: Steps taken at each snapshot, int64 ``(T,)``; the last is the final state.
        loss: Cross-entropy, mean over nodes, in nats, ``(T, S)``.
        embeddings: V at each snapshot, ``(T, S, n, width)``.
        seeds: The seeds, in order.
        unembeddings: U of an untied flow, ``(T, S, n, width)``; None where it is V itself.
        cores: M of a flow with a linear core, ``(T, S, width, width)``; None where it is the identity.
    """

    steps: Tensor
    loss: Tensor
    embeddings: Tensor
    seeds: tuple[int, ...]
    unembeddings: Tensor | None = None
    cores: Tensor | None = None

    def __repr__(self) -> str:
        n_steps, n_seeds, n_nodes, width = self.embeddings.shape
        return (
            f"Flow({n_steps} snapshots to step {int(self.steps[-1])}, {n_seeds} seeds, n_nodes={n_nodes}, width={width}, "
            f"loss={float(self.loss[-1].mean()):.5f})"
        )

    def scores(self) -> Tensor:
        """Return the final logits, ``V V^T`` or in general ``V M U^T``, ``(S, n, n)``."""
        U, M = (None if table is None else table[-1] for table in (self.unembeddings, self.cores))
        return _logits(self.embeddings[-1], U, M)


def flow_matrix(V, graph: Graph, *, self_edges: bool = False) -> Tensor:
    """Return ``C(V) = (W - P) + (W - P)^T`` with ``W = D^-1 A`` and ``P = rowsoftmax(V V^T)``; then dV/dt = C V.

    Args:
        V: Embeddings, ``(..., n, m)``.
        graph: The graph.
        self_edges: Add the identity to A first.

    Returns:
        float64 ``(..., n, n)``, symmetric.

    Raises:
        ValueError: If V does not fit, or its products are too large for a number.

    Source:
        Paper, section on Node2Vec.

    Example:
        >>> from geomem.graphs import cycle
        >>> flow_matrix(torch.zeros(3, 2), cycle(3)).sum().abs() < 1e-12
        tensor(True)
    """
    V = node_table("V", V, graph)
    scores = V @ V.mT
    if not scores.isfinite().all():
        raise ValueError(f"V must have products that are numbers, got entries up to {V.abs().max():.3g}. Rescale it.")
    gap = random_walk(graph, self_edges=self_edges) - torch.softmax(scores, dim=-1)
    return gap + gap.mT


def gradient_flow(
    graph: Graph,
    *,
    width: int = 100,
    lr: float = 0.01,
    steps: int = 10_000,
    init_std: float = 1.0,
    decay: float = 0.0,
    seeds: Sequence[int] = range(8),
    self_edges: bool = False,
    tied: bool = True,
    core: str = "identity",
    core_std: float = 0.02,
    snapshots: Sequence[int] | None = None,
    device: str | torch.device = "cpu",
    precision: str = "float64",
) -> Flow:
    """Train one-layer Node2Vec, by default tied, by full-batch gradient descent, all seeds at once.

    The loss of node u is the cross-entropy between row u of ``W = D^-1 A`` and row u of ``P``, the softmax of the logits
    over all nodes, u included. ``lr`` applies to the loss *summed* over nodes; the loss reported is the *mean*,
    without the penalty. A step adds lr times

    - tied, logits ``V V^T``: to V ``C V``, with C of ``flow_matrix``;
    - untied, logits ``V U^T``: to V ``(W - P) U``, to U ``(W - P)^T V``;
    - with a linear core, logits ``V M U^T``: to V ``(W - P) U M^T``, to U ``(W - P)^T V M``, to M ``V^T (W - P) U``;
      where it is tied, U is V, and V gets both.

    Without a core, these act from the left. So with ``V(0) = L Q``, Q with n orthonormal rows, the flow of the n x width
    table is ``V(t) = L(t) Q``: the loop runs on n x n tables (untied: both tables share Q, of 2 n rows).

    Args:
        graph: The graph, at most 5,000 nodes.
        width: Columns m of the table of embeddings; n or more leaves the rank free.
        lr: Learning rate on the summed loss, > 0.
        steps: Gradient steps, at least 0.
        init_std: Standard deviation of the normal start values, > 0.
        decay: Weight decay of the tables, at least 0: the penalty ``decay / 2 |V|^2`` on the summed loss, so that a step
            also subtracts ``lr decay V`` (untied: from both tables). A core's matrix is not decayed.
        seeds: One flow per seed; its start depends on its seed only.
        self_edges: Train ``u -> u`` too.
        tied: Unembed with V itself; else with a separate table U, drawn like V.
        core: "identity", or "linear": a trained matrix M in the middle, the linear core without its bias.
        core_std: Standard deviation of the start values of M, > 0.
        snapshots: Steps at which to keep loss and V; by default 0, 100 and 1,000, as far as ``steps`` reaches. The last
            step is always kept.
        device: "cpu", "cuda", "auto", or a ``torch.device``.
        precision: "float64" or "float32".

    Returns:
        The flow, its tensors on the CPU in the precision asked for.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, the graph is too large, or the run diverges.

    Source:
        Paper, section on Node2Vec (m = 100, V(0) ~ N(0, 1), lr 0.01, 10,000 steps); the n x n form and core_std are ours.

    Example:
        >>> from geomem.graphs import cycle
        >>> flow = gradient_flow(cycle(5), steps=100, seeds=[0], snapshots=[0])
        >>> flow.embeddings.shape, bool(flow.loss[-1] < flow.loss[0])
        (torch.Size([2, 1, 5, 100]), True)
    """
    _checks.dense(require_graph(graph).n_nodes, "gradient_flow", "Go on with node2vec.blockwise_flow, one seed at a time.")
    width = _checks.integer("width", width, least=1)
    lr = _checks.real("lr", lr, above=0)
    steps = _checks.integer("steps", steps, least=0)
    init_std = _checks.real("init_std", init_std, above=0)
    decay = _checks.real("decay", decay, least=0)
    seeds = _checks.seeds_of(seeds)
    default = tuple(step for step in (0, 100, 1000) if step <= steps)
    kept = _checks.snapshots_of(default if snapshots is None else snapshots, steps)
    _checks.boolean("self_edges", self_edges)
    _checks.boolean("tied", tied)
    _checks.one_of("core", core, CORES)
    core_std = _checks.real("core_std", core_std, above=0)
    dtype = PRECISIONS[_checks.one_of("precision", precision, PRECISIONS)]
    device = _checks.device_of(device)
    W = random_walk(graph, self_edges=self_edges).to(device, dtype)
    spreads = [init_std, None if tied else init_std, core_std if core == "linear" else None]
    V, U, M = _starts(graph.n_nodes, width, spreads, seeds)
    V = V.to(device, dtype)
    U, M = (None if table is None else table.to(device, dtype) for table in (U, M))
    (V, U), Q = _rotate(V, U) if M is None else ((V, U), None)
    losses, piles = [], ([], [], [])
    for first, last in zip((0, *kept), kept, strict=False):
        for _ in range(last - first):
            _step(V, U, M, W, lr, decay)
        losses.append(_loss(V, U, M, W))
        wide = (V, U) if Q is None else (V @ Q, None if U is None else U @ Q)
        for pile, table in zip(piles, (*wide, M), strict=True):
            if table is not None:
                pile.append(table.to("cpu", copy=True))
    if not losses[-1].isfinite().all():
        bad = [seed for seed, loss in zip(seeds, losses[-1].tolist(), strict=True) if loss - loss != 0]
        raise ValueError(f"lr must keep the flow finite, got {lr:g}, which diverges on seed {bad[0]}. Lower lr or init_std.")
    V, U, M = _stacked(*piles)
    return Flow(torch.tensor(kept), torch.stack(losses).cpu(), V, seeds, U, M)


def _starts(n: int, width: int, spreads, seeds) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Draw V, U and M of every seed, in this order, those that have a spread; float64."""
    shapes, piles = [(n, width), (n, width), (width, width)], ([], [], [])
    for seed in seeds:
        generator = torch.Generator().manual_seed(seed)
        for pile, shape, std in zip(piles, shapes, spreads, strict=True):
            if std is not None:
                pile.append(torch.randn(shape, generator=generator, dtype=torch.float64) * std)
    return _stacked(*piles)


def _stacked(V: list[Tensor], U: list[Tensor], M: list[Tensor]) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Stack the tables of each kind; None where there are none of it."""
    return torch.stack(V), torch.stack(U) if U else None, torch.stack(M) if M else None


def _rotate(V: Tensor, U: Tensor | None) -> tuple[tuple[Tensor, Tensor | None], Tensor | None]:
    """Split the tables, one above the other, into a square table and orthonormal rows; None where they are no wider."""
    stack = V if U is None else torch.cat([V, U], dim=-2)
    if stack.shape[-1] <= stack.shape[-2]:
        return (V, U), None
    q, r = torch.linalg.qr(stack.mT)
    left = r.mT.contiguous()
    if U is None:
        return (left, None), q.mT
    upper, lower = left.chunk(2, dim=-2)
    return (upper.contiguous(), lower.contiguous()), q.mT


def _logits(V: Tensor, U: Tensor | None, M: Tensor | None) -> Tensor:
    """Return ``V M U^T``; no U is V, no M the identity."""
    return (V if M is None else V @ M) @ (V if U is None else U).mT


def _step(V: Tensor, U: Tensor | None, M: Tensor | None, W: Tensor, lr: float, decay: float) -> None:
    """Take one step in place."""
    kept = 1 - lr * decay  # what decay leaves of a table
    gap = W - torch.softmax(_logits(V, U, M), dim=-1)
    if U is None and M is None:
        V.copy_(torch.baddbmm(V, gap + gap.mT, V, beta=kept, alpha=lr))  # both roles of V in one product
        return
    out = V if U is None else U
    to_in, to_out = gap @ out, gap.mT @ V
    to_core = V.mT @ to_in
    if M is not None:
        to_in, to_out = to_in @ M.mT, to_out @ M
        M.add_(to_core, alpha=lr)
    V.mul_(kept).add_(to_in if U is not None else to_in + to_out, alpha=lr)
    if U is not None:
        U.mul_(kept).add_(to_out, alpha=lr)


def _loss(V: Tensor, U: Tensor | None, M: Tensor | None, W: Tensor) -> Tensor:
    """Return the cross-entropy of every seed, mean over nodes, ``(S,)``."""
    return -(W * torch.log_softmax(_logits(V, U, M), dim=-1)).sum(-1).mean(-1)
