"""Leading eigenspaces of large sparse graphs, and every eigenspace of a path-star of any size in closed form."""

from typing import Any

import numpy as np
import scipy.sparse
import scipy.sparse.linalg
import torch
from scipy.linalg import eigh_tridiagonal
from scipy.sparse.linalg import ArpackNoConvergence
from torch import Tensor

from .. import _checks
from ..graphs import Graph
from .stars import path_star_arms

eigsh: Any = scipy.sparse.linalg.eigsh  # its stubs take whole numbers alone as tol
linear_operator: Any = scipy.sparse.linalg.LinearOperator
SMALL = 500
"""Components up to this size are decomposed densely."""
GUARD = 8
"""Eigenvalues found beyond the ones asked for, so that a space that is cut off at the end is seen to be."""
RESTARTS = 200
RESIDUAL = 1e-8
"""Largest ``|S v - value v|`` of an accepted eigenvector; a result that is looser counts as not converged."""

Pairs = tuple[Tensor, Tensor]


class ArmSpace:
    """Hold an eigenspace of a path-star whose vectors are ``c_i f(k)`` at depth k of arm i, with c that sum to 0.

    Args:
        arms: ``(degree, depth)``.
        profile: f, of norm 1, ``(depth,)``.
        n: Nodes of the star.
    """

    def __init__(self, arms: Tensor, profile: Tensor, n: int):
        self.arms, self.profile, self.shape = arms, profile, (n, len(arms) - 1)

    def energy(self, E: Tensor) -> Tensor:
        """Return the squared length of a table's projection, ``(...,)`` for ``(..., n, m)``."""
        moved = self.profile @ E[..., self.arms, :]
        return (moved - moved.mean(-2, keepdim=True)).square().sum((-2, -1))

    def to_dense(self) -> Tensor:
        """Return an orthonormal basis, float64 ``(n, degree - 1)``."""
        _checks.dense(self.shape[0], "A basis of this eigenspace", "Its energies need none.")
        centred = torch.eye(len(self.arms), dtype=torch.float64)[:, 1:] - 1 / len(self.arms)
        basis = torch.zeros(self.shape, dtype=torch.float64)
        basis[self.arms] = self.profile[:, None] * torch.linalg.qr(centred).Q[:, None, :]
        return basis


def path_star_spaces(graph: Graph, self_edges: bool) -> tuple[list, list] | None:
    """Return the trivial space and the others, as (value, basis) each, of a path-star; None for another graph."""
    try:
        arms = path_star_arms(graph)
    except ValueError:
        return None
    d, depth = arms.shape
    degree = np.array([d] + [2] * (depth - 1) + [1]) + self_edges
    on, off = 2 * self_edges / degree, 1 / degree[:-1] + 1 / degree[1:]
    together = eigh_tridiagonal(on, np.concatenate([np.sqrt(d) * off[:1], off[1:]]))
    apart = eigh_tridiagonal(on[1:], off[1:]) if depth > 1 else (on[1:], np.ones((1, 1)))
    spaces: list[tuple[float, Any]] = [
        (float(v), ArmSpace(arms, torch.from_numpy(f), graph.n_nodes)) for v, f in zip(apart[0], apart[1].T, strict=True)
    ]
    for value, vector in zip(together[0], torch.from_numpy(together[1]).T, strict=True):
        column = torch.empty(graph.n_nodes, 1, dtype=torch.float64)
        column[graph.root], column[arms, 0] = vector[0], vector[1:] / d**0.5
        spaces.append((float(value), column))
    return [spaces.pop()], spaces  # the last is the largest of those in which all arms move alike


def leading_pairs(graph: Graph, dims: int, self_edges: bool) -> tuple[Pairs, Pairs]:
    """Return the components' top eigenvectors, and the leading other eigenpairs of all components together.

    Args:
        graph: The graph.
        dims: How many of the others are wanted.
        self_edges: Add the identity to A first.

    Returns:
        Values ``(c,)`` and a sparse table ``(n, c)``, for c components; values in descending order and a table ``(n, q)``,
        with q at least ``dims + 1`` where there are so many.

    Raises:
        ValueError: If the eigensolver does not converge.
    """
    S, labels = sparse_walk(graph, self_edges), graph.components().numpy()
    order = np.argsort(labels, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)
    tops, found = [], []
    for nodes in parts:
        values, vectors = _of_component(S[nodes][:, nodes] if len(parts) > 1 else S, dims + GUARD + 1)
        tops.append((values[0], vectors[:, 0]))
        found += [(value, nodes, vector) for value, vector in zip(values[1:], vectors[:, 1:].T, strict=True)]
        if len(found) > 8 * (dims + GUARD):
            found = sorted(found, key=lambda pair: -pair[0])[: dims + GUARD]
    where = np.stack([np.concatenate(parts), np.repeat(np.arange(len(parts)), [len(part) for part in parts])])
    entries = torch.from_numpy(np.concatenate([vector for _, vector in tops]))
    size = graph.n_nodes, len(parts)
    top = torch.sparse_coo_tensor(torch.from_numpy(where), entries, size, check_invariants=True).coalesce()
    found = sorted(found, key=lambda pair: -pair[0])[: dims + GUARD]
    table = np.zeros((graph.n_nodes, len(found)))
    for column, (_, nodes, vector) in enumerate(found):
        table[nodes, column] = vector
    values = torch.tensor([value for value, *_ in found], dtype=torch.float64)
    return (torch.tensor([value for value, _ in tops], dtype=torch.float64), top.coalesce()), (
        values,
        torch.from_numpy(table),
    )


def sparse_walk(graph: Graph, self_edges: bool = False) -> scipy.sparse.csr_array:
    """Return ``symmetric_walk`` of a graph of any size as a sparse array, float64 ``(n, n)``."""
    heads, tails = graph.directed_edges(self_edges=self_edges).numpy().T
    walk = 1 / (graph.degrees.numpy() + self_edges)
    values = walk[heads] + walk[tails]  # a self edge stands once in the list, and twice in the sum
    return scipy.sparse.coo_array((values, (heads, tails)), shape=(graph.n_nodes,) * 2).tocsr()


def _of_component(S, q: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the q largest eigenvalues of a connected component, or all, largest first, and their vectors."""
    n = S.shape[0]
    if n <= max(SMALL, 2 * q + 2):
        _checks.dense(n, f"A spectrum of {q} dimensions", "Lower dims.")
        values, vectors = np.linalg.eigh(S.toarray())
        return values[::-1][:q], vectors[:, ::-1][:, :q]
    values, vectors = _largest(S, q)
    for _ in range(q):  # a solver that builds on one vector at a time may overlook copies of an equal eigenvalue
        missed = _overlooked(S, values, vectors)
        if missed is None:
            return values, vectors
        vectors = np.linalg.qr(np.column_stack([vectors, missed]))[0]
        inner, turn = np.linalg.eigh(vectors.T @ (S @ vectors))
        values, vectors = inner[::-1][:q], (vectors @ turn)[:, ::-1][:, :q]
    raise _not_converged(q, n)


def _largest(S, q: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the q largest eigenvalues, largest first, and their vectors: by products, else by solving near the top."""
    n = S.shape[0]
    start = np.random.default_rng(0).standard_normal(n)
    try:
        pairs = eigsh(S, k=q, which="LA", v0=start, tol=1e-12, maxiter=RESTARTS)
    except ArpackNoConvergence:  # eigenvalues too close together, as on grids: far apart once the matrix is inverted
        top = float(eigsh(S, k=1, which="LA", v0=start, tol=1e-3, return_eigenvectors=False)[0])
        try:
            pairs = eigsh(S.tocsc(), k=q, sigma=top * 1.001, which="LM", v0=start, tol=1e-12, maxiter=RESTARTS)
        except (ArpackNoConvergence, RuntimeError, MemoryError):
            raise _not_converged(q, n) from None
    order = np.argsort(-pairs[0])
    values, vectors = pairs[0][order], np.linalg.qr(pairs[1][:, order])[0]
    if np.linalg.norm(S @ vectors - vectors * values, axis=0).max() > RESIDUAL:
        raise _not_converged(q, n)
    return values, vectors


def _overlooked(S, values: np.ndarray, vectors: np.ndarray) -> np.ndarray | None:
    """Return a vector orthogonal to those found whose eigenvalue is larger than the least of them, if there is one."""
    lift = values - values.min() + 1
    rest = linear_operator(S.shape, lambda x: S @ x - vectors @ (lift * (vectors.T @ x)), dtype=float)
    start = np.random.default_rng(1).standard_normal(S.shape[0])
    try:
        value, vector = eigsh(rest, k=1, which="LA", v0=start, tol=1e-9, maxiter=RESTARTS)
    except ArpackNoConvergence:
        return None  # eigenvalues as close together as on a grid: a copy above the found ones would have stood apart
    return vector if value[0] > values.min() + RESIDUAL else None


def _not_converged(q: int, n: int) -> ValueError:
    return ValueError(f"dims must be one that the eigensolver converges for, got {q - GUARD - 1} on a component of {n:,} "
                      "nodes. Try fewer, or more, so that the last eigenvalue stands apart from the next.")  # fmt: skip
