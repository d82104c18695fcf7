"""Closed forms of the path-star: its Fiedler space and its energies, at any size."""

import math

import torch
from scipy.linalg import eigh_tridiagonal
from torch import Tensor

from .. import _checks
from .._products import by_power_of_two
from ..graphs import Graph, node_table, require_graph


def path_star_profile(length: int) -> tuple[float, Tensor]:
    """Return the Fiedler eigenvalue of a path-star and the profile f along an arm, for any degree.

    The Fiedler vectors are ``c_i f(k)`` at depth k of arm i, with coefficients c that sum to 0: f is the Perron vector of
    the tridiagonal matrix with off-diagonals 1, ..., 1, 3/2. Arms that all move alike make the other eigenvalues; they
    interlace, so this one is the second of all and has multiplicity ``degree - 1``, whatever the size. It reaches 2 at
    length 10.

    Args:
        length: Nodes of a path, root included, at least 2.

    Returns:
        The eigenvalue, and f at depth 1, ..., length - 1: float64, positive, of norm 1.

    Raises:
        TypeError: If ``length`` is not an integer.
        ValueError: If it is below 2.

    Source:
        Ours.

    Example:
        >>> value, f = path_star_profile(10)
        >>> round(value, 6), [round(x, 6) for x in (f / f[0]).tolist()]
        (2.0, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 6.0])
    """
    depth = _checks.integer("length", length, least=2, hint="The length counts the root.") - 1
    return _perron([1.0] * (depth - 2) + [1.5] * (depth > 1))


def path_star_fiedler_energy(E, graph: Graph) -> Tensor:
    """Return ``Spectrum(graph).fiedler_energy(E)`` of a path-star of any size, from sums over its arms.

    Args:
        E: Embeddings, ``(..., n, m)``.
        graph: A path-star.

    Returns:
        float64 ``(...,)``; chance is ``(degree - 1) / (n - 1)``.

    Raises:
        ValueError: If the graph is not a path-star, or E does not fit or has no energy outside the top eigenvector.

    Source:
        Ours.

    Example:
        >>> from geomem.graphs import path_star
        >>> round(float(path_star_fiedler_energy(torch.eye(5), path_star(2, 3))), 6)
        0.25
    """
    arms = path_star_arms(graph)
    E, _ = by_power_of_two(node_table("E", E, graph), dims=(-2, -1))
    degree, depth = arms.shape
    along = E[..., arms, :]  # (..., degree, depth, m)
    total = E.square().sum((-2, -1))
    first = math.sqrt(degree) * (1 / degree + 0.5)  # at depth 1 another, with the same vector
    _, top = _perron([first] + [1.0] * (depth - 2) + [1.5] * (depth > 1))
    trivial = top[0] * E[..., graph.root, :] + top[1:] @ along.sum(-3) / math.sqrt(degree)
    rest = total - trivial.square().sum(-1)
    if (rest <= 1e-12 * total).any():
        raise ValueError("E must have energy outside the top eigenvector, got none to share out.")
    moved = path_star_profile(depth + 1)[1] @ along  # (..., degree, m)
    return (moved - moved.mean(-2, keepdim=True)).square().sum((-2, -1)) / rest


def path_star_arms(graph: Graph) -> Tensor:
    """Return the arms of a path-star without its root, int64 ``(degree, length - 1)``; other graphs raise a ValueError."""
    n, paths = require_graph(graph).n_nodes, graph.paths
    steps = torch.stack([paths[:, :-1], paths[:, 1:]], dim=-1).reshape(-1, 2)
    keys = [(pairs.amin(1) * n + pairs.amax(1)).sort().values for pairs in (steps, graph.edges)]
    if len(paths) < 2 or len(steps) != n - 1 or not torch.equal(*keys):
        raise ValueError(f"graph must be a path-star, disjoint arms of one length at a root, got {graph!r}. Use Spectrum.")
    return paths[:, 1:]


def _perron(between: list[float]) -> tuple[float, Tensor]:
    """Return the largest eigenvalue of the tridiagonal matrix with these off-diagonals and 0 between, and its vector."""
    size = len(between) + 1
    value, vector = eigh_tridiagonal([0.0] * size, between, select="i", select_range=(size - 1, size - 1))
    return float(value[0]), torch.from_numpy(vector[:, 0]).abs()
