"""The exact end of tied Node2Vec on any graph: the most random walk that is as persistent as the graph's own."""

from dataclasses import dataclass

import numpy as np
import torch
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from .. import _checks
from ..graphs import Graph, require_graph
from ..spectral import Spectrum, random_walk

LARGEST = 1_000
"""Largest n: every step costs a few n x n products, and thousands of steps are taken."""

USED = 1e-6
"""A direction of the map counts above this eigenvalue of the centred Gram matrix: it moves a logit by no more, in nats."""


@dataclass(frozen=True, eq=False)
class Rest:
    """Hold where tied Node2Vec comes to rest: the most random walk, and the table that makes it.

    With ``w_u = 1`` (``weights="nodes"``) or the number of answers of u (``"edges"``), ``W = D^-1 A``, and the *slack
    matrix* ``Z = sym(diag(w) (P - W)) + decay / 2 I``, where ``sym(X) = (X + X^T) / 2``:

    Args:
        P: The most random walk, the row softmax of ``gram + bias``, float64 ``(n, n)``.
        gram: Inner products ``V V^T`` of the table, positive semidefinite, float64 ``(n, n)``. Without decay it is centred.
        bias: What every answer v has added to its logits, float64 ``(n,)``; zero with decay, else of mean 0 (on every
            component of the graph).
        entropy: ``sum_u w_u H(P_u)``, in nats.
        loss: Cross-entropy, ``sum_u w_u H(W_u, P_u)``, plus ``decay / 2 |V|^2``, in nats: at the optimum, the entropy.
        gap: The least loss lies within ``[loss - gap, loss]``; see ``most_random_walk``.
        least_eigenvalue: Least eigenvalue of Z: 0 or, by rounding, just below where the constraint holds and binds.
        slack: Mean of ``e^T Z e`` over the unit vectors e of every eigenspace, in the order of ``Spectrum.values``: 0
            exactly where P is as persistent as the graph's walk in the whole eigenspace; float64 ``(n_eigenspaces,)``.
        dims: Directions of the map, the constant one not counted: eigenvalues of the centred Gram matrix above 1e-6.
        decay: The decay.
        weights: What the loss was summed over.
    """

    P: Tensor
    gram: Tensor
    bias: Tensor
    entropy: float
    loss: float
    gap: float
    least_eigenvalue: float
    slack: Tensor
    dims: int
    decay: float
    weights: str

    def __repr__(self) -> str:
        return (
            f"Rest(n_nodes={len(self.P)}, decay={self.decay:g}, weights={self.weights!r}, entropy={self.entropy:.5f}, "
            f"gap={self.gap:.1e}, dims={self.dims})"
        )


def most_random_walk(
    graph: Graph, *, decay: float = 0.0, self_edges: bool = False, weights: str = "nodes", tol: float = 1e-4
) -> Rest:
    """Return where the gradient flow of tied Node2Vec ends, without following it.

    The least loss over all tables V, at least n columns wide, is a convex problem in ``G = V V^T``; its dual is

        maximise ``sum_u w_u H(P_u)`` over row-stochastic P, subject to ``Z = sym(diag(w) (P - W)) + decay / 2 I >= 0``

    (no negative eigenvalue). So P is the most random walk that is, in every direction over the nodes, at least as
    persistent as the graph's own, up to the decay; and ``Z G = 0``: the table uses only directions in which the two are
    equally persistent.

    *Without decay* the constant direction binds always, P keeps the column sums of ``diag(w) W``, and the constant part
    of G may grow without end, which amounts to a free bias of every answer. So P is the softmax of ``gram + bias``,
    which is attained on every connected graph. Components are then solved apart, and P is 0 between them. *With decay*
    there is no bias: a constant part costs as much as any other. A table is empty above the largest eigenvalue of
    ``2 sym(diag(w) (W - 1/n))``.

    *Certificate.* Every V gives an upper bound, its loss, and every P that meets the constraint gives a lower bound, its
    entropy. The softmax P meets it up to rounding only. It is repaired: mass is moved between columns until their sums
    are right (without decay), then P is mixed with a walk whose slack is known, W itself (with decay), or W made lazier
    along its edges (without), just as much as the least eigenvalue of Z asks for. ``gap`` is the loss less the entropy of
    the repaired walk. It is rigorous but for the rounding of float64. By Pinsker's inequality no row of the exact walk
    is further from the repaired one than ``sqrt(2 gap / w_u)`` in total absolute difference.

    Args:
        graph: The graph, 2 to 1,000 nodes.
        decay: At least 0; ``decay / 2 |V|^2`` is added to the *summed, weighted* loss, so that a step of the flow is
            ``V += lr (C V - decay V)`` with ``C = 2 sym(diag(w) (W - P))``. For ``weights="edges"`` the sum has one term per
            directed edge: the decay beside the *mean* over directed edges is this one over their number.
        self_edges: Train ``u -> u`` too.
        weights: "nodes" counts every node once, as ``gradient_flow`` does; "edges" counts every directed edge once, so
            node u as often as it has answers, as ``train`` and ``train_ensemble`` do.
        tol: Largest gap accepted, in nats in total, > 0; the search goes on to rounding anyway.

    Returns:
        The walk, its table, its certificate.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, the graph is too large, or the gap stays above ``tol``: where the
            decay is tiny but not zero, or on long trees, on which hardly any walker crosses from end to end.

    Source:
        Ours: the convex dual of one-layer, one-hop Node2Vec with a full softmax.

    Example:
        >>> from geomem.graphs import cycle
        >>> rest = most_random_walk(cycle(15))
        >>> round(rest.entropy, 5), rest.gap < 1e-9, rest.dims
        (21.52376, True, 2)
    """
    n = require_graph(graph).n_nodes
    if n > LARGEST:
        raise ValueError(
            f"graph must have at most {LARGEST:,} nodes, got {n:,}: the exact end is a dense problem. "
            "Follow gradient_flow, or take a smaller graph of the same family."
        )
    decay = _checks.real("decay", decay, least=0)
    _checks.boolean("self_edges", self_edges)
    _checks.one_of("weights", weights, ("nodes", "edges"))
    tol = _checks.real("tol", tol, above=0)
    W = random_walk(graph, self_edges=self_edges).numpy()
    w = (graph.degrees + self_edges).double().numpy() if weights == "edges" else np.ones(n)
    P, gram, bias, bounds = np.zeros((n, n)), np.zeros((n, n)), np.zeros(n), np.zeros(2)
    groups = np.zeros(n, dtype=int) if decay else connected_components(W)[1]
    for group in range(groups.max() + 1):
        nodes = np.flatnonzero(groups == group)
        block = np.ix_(nodes, nodes)
        problem = _Problem(W[block], w[nodes], decay)
        V, bias[nodes] = _solve(problem)
        gram[block], P[block] = V @ V.T, problem.state(V, bias[nodes]).P
        bounds += _bounds(problem, V, bias[nodes])
    loss, gap = float(bounds[0]), max(0.0, float(bounds[0] - bounds[1]))
    if gap > tol:
        raise ValueError(
            f"tol must be within reach, got {tol:g}: the gap on {graph!r} stays at {gap:.1e}. Raise tol or decay."
        )
    Z = _sym(w[:, None] * (P - W)) + decay / 2 * np.eye(n)
    centred = gram - gram.mean(0)
    centred -= centred.mean(1, keepdims=True)
    bases = map(np.asarray, Spectrum(graph, self_edges=self_edges).bases)
    return Rest(
        P=torch.from_numpy(P),
        gram=torch.from_numpy(gram),
        bias=torch.from_numpy(bias),
        entropy=float(w @ _entropies(P)),
        loss=loss,
        gap=gap,
        least_eigenvalue=float(np.linalg.eigvalsh(Z)[0]),
        slack=torch.tensor([np.sum(base * (Z @ base)) / base.shape[1] for base in bases], dtype=torch.float64),
        dims=int((np.linalg.eigvalsh(centred) > USED).sum()),
        decay=decay,
        weights=weights,
    )


def _sym(X: np.ndarray) -> np.ndarray:
    return (X + X.T) / 2


def _entropies(P: np.ndarray) -> np.ndarray:
    """Return the entropy of every row, in nats."""
    return -(P * np.log(np.where(P > 0, P, 1.0))).sum(1)


@dataclass(frozen=True)
class _State:
    """Hold the loss at one table, and what its derivatives are made of."""

    loss: float
    P: np.ndarray
    Z: np.ndarray
    gradient: np.ndarray  # to V and then, without decay, to the bias


class _Problem:
    """The penalised loss of tables V ``(n, r)`` and biases a ``(n,)`` on one graph, connected unless there is decay."""

    def __init__(self, W: np.ndarray, w: np.ndarray, decay: float):
        self.W, self.w, self.decay, self.n = w[:, None] * W, w, decay, len(W)
        # Nodes with the same answers share a row of every best table: if they differed, their difference would have slack.
        # So it has neither slack nor energy, and a search would creep along it: only the other directions are searched.
        _, twins = np.unique(W, axis=0, return_inverse=True)
        indicator = np.eye(twins.max() + 1)[twins.ravel()]
        self.basis = indicator / np.sqrt(indicator.sum(0))
        if not decay:  # the constant direction is the bias's
            constant = self.basis.T @ np.ones((self.n, 1))
            self.basis = self.basis @ np.linalg.qr(constant, mode="complete")[0][:, 1:]
        self.projector = self.basis @ self.basis.T

    def state(self, V: np.ndarray, a: np.ndarray) -> _State:
        logits = V @ V.T + a
        top = logits.max(1, keepdims=True)
        P = np.exp(logits - top)
        total = P.sum(1, keepdims=True)
        P /= total
        loss = self.w @ (top + np.log(total))[:, 0] - (self.W * logits).sum() + self.decay / 2 * (V * V).sum()
        rest = self.w[:, None] * P - self.W
        Z = _sym(rest)
        Z.flat[:: self.n + 1] += self.decay / 2
        return _State(loss, P, Z, self.pack(2 * Z @ V, rest.sum(0)))

    def curvature(self, V: np.ndarray, state: _State, x: np.ndarray) -> np.ndarray:
        """Return the Hessian times x, a change of V and a."""
        dV, da = self.unpack(x)
        change = dV @ V.T
        change = state.P * (change + change.T + da)
        change = self.w[:, None] * (change - state.P * change.sum(1, keepdims=True))
        return self.pack((change + change.T) @ V + 2 * state.Z @ dV, change.sum(0))

    def pack(self, V: np.ndarray, a: np.ndarray) -> np.ndarray:
        change = self.projector @ (V if self.decay else np.column_stack([V, a]))
        return change.T.ravel()

    def unpack(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        change = x.reshape(-1, self.n).T
        return (change, np.zeros(self.n)) if self.decay else (change[:, :-1], change[:, -1])


def _solve(problem: _Problem, stages: int = 60, rounding: float = 1e-12) -> tuple[np.ndarray, np.ndarray]:
    """Return the best table and bias.

    A table of few columns is brought to rest; where Z then has negative eigenvalues, their directions lower the loss and
    become columns, at most as many as there are already. At rest without negative eigenvalues the optimum is found: the
    problem is convex in ``V V^T``.
    """
    V, a, settled, least = np.zeros((problem.n, 0)), np.zeros(problem.n), False, -np.inf
    for _ in range(stages):
        values, vectors = np.linalg.eigh(problem.basis.T @ problem.state(V, a).Z @ problem.basis)
        new = min(int((values < -rounding).sum()), max(2, V.shape[1]))
        if settled and (not new or values.min() < least / 2):  # done, or no nearer than before: this is rounding
            break
        settled, least = not new or values.min() > -1e-5, values.min(initial=0.0)
        aim = 3e-14 * (1 + (V * V).sum()) if settled else 1e-2 * -least  # rounding of logits is felt times |V|
        columns = problem.basis @ vectors[:, :new] * np.sqrt(-values[:new])
        V, a = _tidy(problem, *_descend(problem, np.hstack([V, columns]), a, aim))
    return V, a


def _tidy(problem: _Problem, V: np.ndarray, a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the same table without its constant part, which becomes bias, and without empty columns."""
    if not problem.decay:
        mean = V.mean(0)
        V = V - mean
        a = a + V @ mean
        a = a - a.mean()
    left, sizes, _ = np.linalg.svd(V, full_matrices=False)
    kept = sizes > 1e-7 * max(1.0, sizes.max(initial=0.0))
    return left[:, kept] * sizes[kept], a


def _descend(problem, V, a, aim: float, steps: int = 500, products: int = 2000):
    """Bring V and a to rest by Newton's method within a trust region, until the gradient's norm is below ``aim``."""
    state, radius, smallest, idle = problem.state(V, a), 1.0, np.inf, 0
    for _ in range(steps):
        size = np.linalg.norm(state.gradient)
        smallest, idle = (size, 0) if size < 0.9 * smallest else (smallest, idle + 1)
        if size < aim or radius < 1e-9:
            break
        step, curved, outside = _newton_step(problem, V, state, float(radius), float(min(0.1, size**0.5) * size), products)
        promised = -(state.gradient @ step + step @ curved / 2)
        dV, da = problem.unpack(step)
        new = problem.state(V + dV, a + da)
        kept = state.loss - new.loss
        if promised < 1e-12 * max(1.0, abs(state.loss)):  # so small a difference of losses is rounding: integrate the slope
            kept = -(state.gradient + new.gradient) @ step / 2
            if idle > 10:
                break
        if kept < 0.25 * promised:
            radius = np.linalg.norm(step) / 4
        elif kept > 0.75 * promised and outside:
            radius *= 2
        if kept > 1e-3 * promised:
            V, a, state = V + dV, a + da, new
    return V, a


def _newton_step(problem, V, state, radius: float, aim: float, products: int):
    """Return about the best step within ``radius``, the Hessian times it, and whether it ends at the border.

    Conjugate gradients after Steihaug (1983): they stop at the border, and follow directions of negative curvature to it.
    """
    step = curved = np.zeros_like(state.gradient)
    residual = -state.gradient
    direction, square = residual, residual @ residual
    for _ in range(products):
        bent = problem.curvature(V, state, direction)
        bend = direction @ bent
        length = square / bend if bend > 0 else np.inf
        if not np.linalg.norm(step + min(length, 1e100) * direction) < radius:
            p, q, r = direction @ direction, step @ direction, step @ step - radius**2
            length = (np.sqrt(q * q - p * r) - q) / p
            return step + length * direction, curved + length * bent, True
        step, curved, residual = step + length * direction, curved + length * bent, residual - length * bent
        square, before = residual @ residual, square
        if square < aim**2:
            break
        direction = residual + square / before * direction
    return step, curved, False


def _bounds(problem: _Problem, V: np.ndarray, a: np.ndarray) -> np.ndarray:
    """Return the loss of the table, and the entropy of a walk near its own that meets the constraint."""
    state, w = problem.state(V, a), problem.w
    flow, identity = w[:, None] * state.P, np.eye(problem.n)
    if problem.decay:
        safe, slack, lift = problem.W, problem.decay / 2, 0.0
    else:
        flow = _with_columns(flow, problem.W.sum(0))
        edges = np.minimum(problem.W, problem.W.T) * (1 - identity)
        laplacian = np.diag(edges.sum(1)) - edges
        safe, slack, lift = problem.W + laplacian, np.linalg.eigvalsh(laplacian)[1], w.sum()  # above the constant direction
    least = np.linalg.eigvalsh(_sym(flow - problem.W) + problem.decay / 2 * identity + lift / problem.n)[0]
    lacking = max(0.0, -least)
    mixed = flow + lacking / (lacking + slack) * (safe - flow)
    return np.array([state.loss, w @ _entropies(mixed / w[:, None])])


def _with_columns(flow: np.ndarray, sums: np.ndarray) -> np.ndarray:
    """Move mass within the rows, from columns with too much to columns with too little, until the sums are as given."""
    over = flow.sum(0) - sums
    if not (over < 0).any():  # rounding has left nothing to fill
        return flow
    taken = flow * np.maximum(over, 0) / flow.sum(0)
    lacking = np.maximum(-over, 0)
    return flow - taken + np.outer(taken.sum(1), lacking / lacking.sum())
