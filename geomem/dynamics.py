"""The exact gradient flow of tied one-layer Node2Vec: no sampling, no walks, no autograd."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from . import _checks
from .graphs import Graph, require_graph
from .spectral import node_table, random_walk

PRECISIONS = {"float64": torch.float64, "float32": torch.float32}


@dataclass(frozen=True, eq=False)
class Flow:
    """Hold snapshots of a flow: T steps, S seeds, n nodes.

    Args:
        steps: Steps taken at each snapshot, int64 ``(T,)``; the last is the final state.
        loss: Cross-entropy, mean over nodes, in nats, ``(T, S)``.
        embeddings: V at each snapshot, ``(T, S, n, dim)``.
        seeds: The seeds, in order.
    """

    steps: Tensor
    loss: Tensor
    embeddings: Tensor
    seeds: tuple[int, ...]

    def scores(self) -> Tensor:
        """Return the final logits ``V V^T``, ``(S, n, n)``."""
        return self.embeddings[-1] @ self.embeddings[-1].mT


def flow_matrix(V, g: Graph, *, self_edges: bool = False) -> Tensor:
    """Return ``C(V) = (W - P) + (W - P)^T`` with ``W = D^-1 A`` and ``P = rowsoftmax(V V^T)``; then dV/dt = C V.

    Args:
        V: Embeddings, ``(..., n, m)``.
        g: The graph.
        self_edges: Add the identity to A first.

    Returns:
        float64 ``(..., n, n)``, symmetric.

    Raises:
        ValueError: If V does not fit.

    Source:
        Paper, section on Node2Vec.

    Example:
        >>> from geomem.graphs import cycle
        >>> flow_matrix(torch.zeros(3, 2), cycle(3)).sum().abs() < 1e-12
        tensor(True)
    """
    V = node_table("V", V, g)
    gap = random_walk(g, self_edges=self_edges) - torch.softmax(V @ V.mT, dim=-1)
    return gap + gap.mT


def gradient_flow(
    g: Graph,
    *,
    dim: int = 100,
    lr: float = 0.01,
    steps: int = 10_000,
    init_std: float = 1.0,
    seeds: Sequence[int] = range(8),
    self_edges: bool = False,
    snapshots: Sequence[int] | None = None,
    device: str = "cpu",
    precision: str = "float64",
) -> Flow:
    """Train tied one-layer Node2Vec by full-batch gradient descent, ``V <- V + lr C(V) V``, all seeds at once.

    The loss of node u is the cross-entropy between row u of ``D^-1 A`` and the softmax of row u of ``V V^T`` over all
    nodes, u included. ``lr`` belongs to the loss *summed* over nodes; the loss reported is the *mean*.

    Only ``V V^T`` enters C, and C acts from the left. So with ``V(0) = L Q``, Q with n orthonormal rows, the flow of the
    n x dim table is ``V(t) = L(t) Q``: the loop runs on n x n tables, two products of ``n^2 min(n, dim)`` a step.

    Args:
        g: The graph, at most 5,000 nodes.
        dim: Width m of the embeddings; n or more leaves the rank free.
        lr: Learning rate on the summed loss, > 0.
        steps: Gradient steps, at least 0.
        init_std: Standard deviation of the normal start values, > 0.
        seeds: One run a seed; V(0) depends on its seed only.
        self_edges: Train ``u -> u`` too.
        snapshots: Steps at which to keep loss and V; by default 0, 100 and 1,000, as far as ``steps`` reaches. The last
            step is always kept.
        device: "cpu" or "cuda".
        precision: "float64" or "float32".

    Returns:
        The flow, its tensors on the CPU in the precision asked for.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, the graph is too large, or the run diverges.

    Source:
        Paper, section on Node2Vec (m = 100, V(0) ~ N(0, 1), lr 0.01, 10,000 steps); the n x n form is ours.

    Example:
        >>> from geomem.graphs import cycle
        >>> flow = gradient_flow(cycle(5), steps=100, seeds=[0], snapshots=[0])
        >>> flow.embeddings.shape, bool(flow.loss[-1] < flow.loss[0])
        (torch.Size([2, 1, 5, 100]), True)
    """
    require_graph(g)
    dim = _checks.integer("dim", dim, least=1)
    lr = _checks.real("lr", lr, above=0)
    steps = _checks.integer("steps", steps, least=0)
    init_std = _checks.real("init_std", init_std, above=0)
    seeds = _checks.seeds_of(seeds)
    default = tuple(step for step in (0, 100, 1000) if step <= steps)
    kept = _checks.snapshots_of(default if snapshots is None else snapshots, steps)
    _checks.boolean("self_edges", self_edges)
    dtype = PRECISIONS[_checks.one_of("precision", precision, PRECISIONS)]
    device = _checks.device_of(device)
    W = random_walk(g, self_edges=self_edges).to(device, dtype)
    start = torch.stack([_start(g.n_nodes, dim, init_std, seed) for seed in seeds]).to(device, dtype)
    L, Q = _rotate(start)
    losses, tables = [], []
    for first, last in zip((0, *kept), kept, strict=False):
        for _ in range(last - first):
            _step(L, W, lr)
        losses.append(_loss(L, W))
        tables.append(L.clone() if Q is None else L @ Q)
    if not losses[-1].isfinite().all():
        bad = [seed for seed, loss in zip(seeds, losses[-1].tolist(), strict=True) if loss - loss != 0]
        raise ValueError(f"lr must keep the flow finite, got {lr:g}, which diverges on seed {bad[0]}. Lower lr or init_std.")
    return Flow(torch.tensor(kept), torch.stack(losses).cpu(), torch.stack(tables).cpu(), seeds)


def _start(n: int, dim: int, init_std: float, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, dim, generator=generator, dtype=torch.float64) * init_std


def _rotate(V: Tensor) -> tuple[Tensor, Tensor | None]:
    """Split ``V = L Q`` into an n x n table and orthonormal rows; ``(V, None)`` where V is no wider than n."""
    if V.shape[-1] <= V.shape[-2]:
        return V, None
    q, r = torch.linalg.qr(V.mT)
    return r.mT.contiguous(), q.mT


def _step(V: Tensor, W: Tensor, lr: float) -> None:
    """Take one step in place: ``V <- V + lr ((W - P) + (W - P)^T) V``."""
    gap = W - torch.softmax(V @ V.mT, dim=-1)
    V.copy_(torch.baddbmm(V, gap + gap.mT, V, alpha=lr))


def _loss(V: Tensor, W: Tensor) -> Tensor:
    """Return the cross-entropy of every seed, mean over nodes, ``(S,)``."""
    return -(W * torch.log_softmax(V @ V.mT, dim=-1)).sum(-1).mean(-1)
