"""Where the flow of Node2Vec ends: fixed points, what C does to the spectrum, and the floor of the loss."""

import math
from typing import NamedTuple, cast

import torch
from scipy.optimize import brentq
from torch import Tensor

from .. import _checks
from ..graphs import Graph, node_table, require_graph
from ..spectral import Spectrum
from .flow import flow_matrix


def stationarity(V, graph: Graph, *, self_edges: bool = False) -> Tensor:
    """Return ``||C V|| / (||C|| ||V||)`` in Frobenius norms, ``(...,)`` in [0, 1]: 0 at a fixed point of the tied flow.

    C itself is not 0 there: then V lies in its null space.

    Args:
        V: Embeddings, ``(..., n, m)``.
        graph: The graph.
        self_edges: Whether ``u -> u`` was trained too.

    Raises:
        ValueError: If V does not fit, or its products are too large for a number.

    Source:
        Ours.

    Example:
        >>> from geomem.graphs import cycle
        >>> float(stationarity(torch.zeros(5, 2), cycle(5)))
        0.0
    """
    V, C = node_table("V", V, graph), flow_matrix(V, graph, self_edges=self_edges)
    size = C.norm(dim=(-2, -1)) * V.norm(dim=(-2, -1))
    return (C @ V).norm(dim=(-2, -1)) / torch.where(size == 0, 1.0, size)


class FlowSpectrum(NamedTuple):
    """Hold the spectrum of C(V): ``norms`` ``(..., n_eigenspaces)`` and ``eigenvalues`` ``(..., n)``, largest first."""

    norms: Tensor
    eigenvalues: Tensor

    def __repr__(self) -> str:
        return (
            f"FlowSpectrum(norms of shape {tuple(self.norms.shape)}, eigenvalues of shape {tuple(self.eigenvalues.shape)})"
        )


def flow_spectrum(V, graph: Graph, *, self_edges: bool = False) -> FlowSpectrum:
    """Return what C(V) does to every eigenspace of the graph, and its own eigenvalues.

    The norm of an eigenspace with orthonormal basis B of k columns is ``||C B||_F / sqrt(k)``: the root mean square of
    ``||C e||`` over its unit vectors e, whatever the basis. It is 0 where C annihilates the eigenspace.

    Args:
        V: Embeddings, ``(..., n, m)``, for instance ``flow.embeddings``.
        graph: The graph.
        self_edges: Whether ``u -> u`` was trained too; the eigenspaces are then those with self edges.

    Returns:
        Norms in the order of ``Spectrum(graph, self_edges=self_edges).values``, and eigenvalues.

    Raises:
        ValueError: If V does not fit, or its products are too large for a number.

    Source:
        Paper, section on Node2Vec (null space of C); eigenspaces instead of eigenvectors are ours.

    Example:
        >>> from geomem.graphs import cycle
        >>> flow_spectrum(torch.zeros(5, 1), cycle(5)).norms.shape  # eigenspaces of 1, 2 and 2 dimensions
        torch.Size([3])
    """
    C, spectrum = flow_matrix(V, graph, self_edges=self_edges), Spectrum(graph, self_edges=self_edges)
    norms = [(C @ base).norm(dim=(-2, -1)) / math.sqrt(base.shape[1]) for base in spectrum.bases]
    return FlowSpectrum(torch.stack(norms, dim=-1), torch.linalg.eigvalsh(C).flip(-1))


def entropy_floor(graph: Graph, *, self_edges: bool = False) -> float:
    """Return the lowest loss of any memory: the mean over nodes of the natural log of the number of answers.

    A look-up with large logits comes arbitrarily close; tied Node2Vec does not, with or without self edges.

    Args:
        graph: The graph.
        self_edges: Whether ``u -> u`` was trained too.

    Source:
        Standard; that tied Node2Vec stays above is ours.

    Example:
        >>> from geomem.graphs import cycle
        >>> round(entropy_floor(cycle(5)), 4)
        0.6931
    """
    return float((require_graph(graph).degrees + _checks.boolean("self_edges", self_edges)).double().log().mean())


class CycleFixedPoint(NamedTuple):
    """Hold the fixed point of tied Node2Vec on a cycle: its amplitude, Gram matrix, and the eigenvalues of C there."""

    a: float
    gram: Tensor
    eigenvalues: Tensor

    def __repr__(self) -> str:
        return f"CycleFixedPoint(n_nodes={len(self.gram)}, a={self.a:.5f}, {len(self.eigenvalues)} eigenvalues)"


def cycle_fixed_point(n: int) -> CycleFixedPoint:
    """Return where tied Node2Vec on a cycle ends, in closed form: ``V V^T_ij = a cos(theta_(i - j))``, of rank 2.

    With ``theta_k = 2 pi k / n`` and ``q_j`` proportional to ``exp(a cos theta_j)``, a solves
    ``sum_j q_j cos theta_j = cos(2 pi / n)``. A constant may be added to all of ``V V^T`` without changing C, so compare
    after removing the mean. All eigenvalues of C but those of modes 0 and 1 are negative: the fixed point is stable.

    Args:
        n: Nodes of the cycle, 5 to 5,000.

    Returns:
        a; the Gram matrix, float64 ``(n, n)``, of mean 0; the eigenvalue of C on mode k,
        ``2 cos theta_k - 2 sum_j q_j cos(k theta_j)``, for k = 0, ..., n // 2, float64.

    Raises:
        TypeError: If n is not an integer.
        ValueError: If n is below 5, where no such a exists, or above 5,000.

    Source:
        Ours.

    Example:
        >>> point = cycle_fixed_point(6)
        >>> round(point.a, 4), point.eigenvalues[2:] < 0
        (1.1581, tensor([True, True]))
    """
    n = _checks.integer("n", n, least=5, hint="On fewer nodes no amplitude solves the equation.")
    _checks.dense(n, "The Gram matrix", "Take a shorter cycle.")
    theta = 2 * math.pi * torch.arange(n, dtype=torch.float64) / n

    def excess(a: float) -> float:
        return float(torch.softmax(a * theta.cos(), dim=0) @ theta.cos()) - math.cos(2 * math.pi / n)

    above = 1.0
    while excess(above) < 0:
        above *= 2
    a = cast(float, brentq(excess, 0.0, above, xtol=1e-13))  # without full_output it is a number
    modes = torch.outer(torch.arange(n // 2 + 1, dtype=torch.float64), theta).cos()  # cos(k theta_j)
    eigenvalues = 2 * modes[:, 1] - 2 * modes @ torch.softmax(a * theta.cos(), dim=0)
    return CycleFixedPoint(a, a * (theta[:, None] - theta).cos(), eigenvalues)
