"""What all measures share: when two numbers are tied, rows of unit length, and checks of nodes and leaves."""

import torch
from torch import Tensor

from .. import _checks
from .._products import by_power_of_two
from ..graphs import Graph

COSINE_TIE = 1e-6
"""Cosines closer than this are tied: trained tables are float32, and rounding must not make an order."""
ROUNDING = 1e-9
"""Scores that differ by less than this share of the largest are tied: it is rounding, not memory."""


def listed_nodes(name: str, nodes, graph: Graph) -> Tensor:
    """Return node ids as an int64 vector of different nodes of the graph."""
    nodes = torch.as_tensor(nodes)
    whole = nodes.ndim == 1 and not nodes.dtype.is_floating_point and nodes.dtype != torch.bool
    if not whole or not len(nodes) or len(nodes.unique()) < len(nodes):
        raise ValueError(f"{name} must be a vector of different node ids, got {nodes.tolist()}.")
    if int(nodes.min()) < 0 or int(nodes.max()) >= graph.n_nodes:
        raise ValueError(f"{name} must lie in 0 to {graph.n_nodes - 1}, got {int(nodes.min())} to {int(nodes.max())}.")
    return nodes.to(torch.int64)


def unit_rows(E) -> Tensor:
    """Return the rows at length 1, float64; a zero row stays zero, and a table of zeros is an error."""
    E = _checks.table(E)
    if E.ndim < 2 or not E.numel() or not E.isfinite().all():
        raise ValueError(f"E must be a finite table, shape (..., n, m), got {tuple(E.shape)} or a value that is not finite.")
    E = by_power_of_two(E, dims=(-1,))[0]  # a row of 1e200 has a direction, but its square overflows
    norms = E.norm(dim=-1, keepdim=True)
    if (norms.amax((-2, -1)) == 0).any():
        raise ValueError("E must not be zero: the cosine of zero vectors cannot be measured.")
    return E / torch.where(norms == 0, 1.0, norms)


def defined(what: str, value: Tensor) -> Tensor:
    """Return a measure's result, or raise a ValueError if it is not finite."""
    if not value.isfinite().all():
        raise ValueError(f"{what} must come out as a number, got NaN or infinity: the entries are too large. Rescale them.")
    return value


def leaves_of(graph: Graph, leaves) -> Tensor:
    """Return listed leaves, by default all, as a vector of node ids."""
    ends = graph.leaves
    leaves = ends if leaves is None else torch.as_tensor(leaves).flatten()
    strangers = leaves[~torch.isin(leaves, ends)].tolist()
    if strangers or not len(leaves):
        raise ValueError(f"leaves must be one or more leaves of {graph!r}, got {strangers[:1] or 'none'}.")
    return leaves
