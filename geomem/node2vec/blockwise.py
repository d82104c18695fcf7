"""The exact flow of tied Node2Vec on graphs too large for an n x n matrix: a block of rows at a time."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from .. import _checks
from .._products import CHUNK_BYTES, add_product, product
from ..graphs import Graph, require_graph
from .flow import Flow

PRECISIONS = {"float64": torch.float64, "float32": torch.float32, "bf16": torch.float32}


def blockwise_flow(
    graph: Graph,
    *,
    width: int = 128,
    lr: float = 0.01,
    steps: int = 1000,
    init_std: float = 1.0,
    seed: int = 0,
    self_edges: bool = False,
    snapshots: Sequence[int] | None = None,
    start: tuple[int, Tensor] | None = None,
    rows: int | None = None,
    device: str | torch.device = "cpu",
    precision: str = "float32",
    on_snapshot: Callable[[int, float, Tensor], None] | None = None,
) -> Flow:
    """Follow ``gradient_flow`` of one seed, tied and without a core, in memory O(n width) instead of O(n^2).

    With ``S = D^-1 A + (D^-1 A)^T`` a step adds ``lr (S - P - P^T) V`` to V. S V is a sum over the edges. Of P a block of
    rows exists at a time: its logits become its softmax, which gives those rows of ``P V``, and its share in every row of
    ``P^T V``. That is three products, ``6 n^2 width`` operations per step.

    Args:
        graph: The graph, of any size.
        width: Columns m of the table of embeddings.
        lr: Learning rate on the loss summed over nodes, > 0.
        steps: Gradient steps in all, at least 0.
        init_std: Standard deviation of the normal start values, > 0.
        seed: Draws the start as ``gradient_flow`` does.
        self_edges: Train ``u -> u`` too.
        snapshots: Steps at which to keep loss and V; the last step is always one, and by default the only one.
        start: Number of steps done and the table after them, to continue from; earlier snapshots are left out.
        rows: Rows of a block; by default as ``rows_of_block`` says.
        device: "cpu", "cuda", "auto", or a ``torch.device``.
        precision: "float64", "float32", or "bf16": products of bfloat16, all else float32.
        on_snapshot: Called with step, loss and V, on the device, at each snapshot. The result then keeps only the last V.

    Returns:
        The flow, with one seed.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, or the run diverges.

    Source:
        Paper, section on Node2Vec; the blocks are ours.

    Example:
        >>> from geomem.graphs import cycle
        >>> blockwise_flow(cycle(5), width=3, steps=10, rows=2).embeddings.shape
        torch.Size([1, 1, 5, 3])
    """
    n = require_graph(graph).n_nodes
    width = _checks.integer("width", width, least=1)
    lr, init_std = _checks.real("lr", lr, above=0), _checks.real("init_std", init_std, above=0)
    steps, seed = _checks.integer("steps", steps, least=0), _checks.seed_of("seed", seed)
    kept = _checks.snapshots_of((steps,) if snapshots is None else snapshots, steps)
    _checks.boolean("self_edges", self_edges)
    dtype = PRECISIONS[_checks.one_of("precision", precision, PRECISIONS)]
    device = _checks.device_of(device)
    rows = rows_of_block(n, width, device) if rows is None else _checks.integer("rows", rows, least=1)
    walk = _Walk(graph, self_edges, device, dtype)
    done, V = _start(graph, width, init_std, seed, start, steps)
    V, low = V.to(device, dtype, copy=True), torch.bfloat16 if precision == "bf16" else dtype
    at, losses, tables = [], [], []
    for step in (s for s in kept if s >= done):
        for _ in range(step - done):
            V.add_(walk.velocity(V, rows, low), alpha=lr)
        done = step
        value = float(walk.loss(V, rows, low))
        if value - value != 0:
            raise ValueError(
                f"lr must keep the flow finite, got {lr:g}, which diverged by step {step}. Lower lr or init_std."
            )
        at.append(step)
        losses.append(value)
        if on_snapshot is not None:
            on_snapshot(step, value, V)
        if on_snapshot is None or step == steps:
            tables.append(V.to("cpu", copy=True))
    at = at if on_snapshot is None else at[-1:]
    losses = torch.tensor(losses[-len(at) :], dtype=dtype)[:, None]
    return Flow(torch.tensor(at), losses, torch.stack(tables)[:, None], (seed,))


def rows_of_block(n: int, width: int, device: torch.device) -> int:
    """Return how many rows a block has by default: as many as ``CHUNK_BYTES`` holds, and at least one per column.

    A block reads the whole table for each of its products. With fewer rows than columns, reading would take longer than
    computing.

    Example:
        >>> rows_of_block(90_001, 128, torch.device("cpu"))
        128
    """
    return max(width, CHUNK_BYTES.get(device.type, 2**22) // (4 * n))


def flops_per_step(n: int, width: int) -> int:
    """Return the operations of a step's three products, two per multiply-add.

    Example:
        >>> flops_per_step(10, 2)
        1200
    """
    return 6 * n * n * width


class _Walk:
    """Hold W = D^-1 A as a list of directed edges, and form the products that need all pairs block by block."""

    def __init__(self, graph: Graph, self_edges: bool, device, dtype):
        degree = (graph.degrees + self_edges).to(dtype)
        pairs = graph.directed_edges(directions="both", self_edges=self_edges)
        self.heads, self.tails = (pairs[:, k].contiguous().to(device) for k in (0, 1))
        self.forth = (1 / degree[pairs[:, 0]]).to(device)  # W at each edge
        self.both = self.forth + (1 / degree[pairs[:, 1]]).to(device)  # S = W + W^T at each edge

    def velocity(self, V: Tensor, rows: int, low: torch.dtype) -> Tensor:
        """Return ``(W - P) V + (W - P)^T V``."""
        factor = V.to(low)
        towards = torch.zeros_like(V)  # (P + P^T) V
        for a in range(0, len(V), rows):
            part = factor[a : a + rows]
            P = torch.softmax(product(part, factor.mT, V.dtype), dim=-1).to(low)
            towards[a : a + rows] += product(P, factor, V.dtype)
            add_product(towards, P.mT, part)
        return towards.neg_().index_add_(0, self.heads, V[self.tails] * self.both[:, None])

    def loss(self, V: Tensor, rows: int, low: torch.dtype) -> Tensor:
        """Return the cross-entropy, mean over nodes."""
        factor = V.to(low)
        blocks = (product(part, factor.mT, V.dtype).logsumexp(-1).sum() for part in factor.split(rows))
        edges = ((V[self.heads] * V[self.tails]).sum(-1) * self.forth).sum()
        return (sum(blocks) - edges) / len(V)


def _start(graph: Graph, width: int, init_std: float, seed: int, start, steps: int) -> tuple[int, Tensor]:
    """Return the steps done and the table at which to begin: drawn, or what was given."""
    if start is None:
        drawn = torch.randn(graph.n_nodes, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        return 0, drawn * init_std
    done, V = start
    done = _checks.integer("start", done, least=0)
    if done > steps or V.shape != (graph.n_nodes, width):
        raise ValueError(
            f"start must be at most steps={steps} and a table of {graph.n_nodes} x {width}, got {done} and {tuple(V.shape)}."
        )
    return done, V
