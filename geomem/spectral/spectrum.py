"""The spectrum of a graph by eigenspace: where an embedding's energy lies, free of any choice of eigenvectors."""

import torch
from torch import Tensor

from .. import _checks
from .._products import by_power_of_two
from ..graphs import Graph, node_table, require_graph

EIGENVALUE_TOL = 1e-8
"""Eigenvalues closer than this are equal: S has entries of order 1 and float64 keeps about 1e-14."""


class Spectrum:
    """Decompose ``S = D^-1 A + (D^-1 A)^T`` into eigenspaces, largest eigenvalue first.

    The *trivial* directions are the top eigenvector of every connected component (about constant on it for nearly
    regular graphs); all others are *non-trivial*, and the leading non-trivial eigenspace is the Fiedler space. An
    eigenvalue that has trivial and non-trivial directions is listed twice, trivial first.

    Args:
        graph: The graph, at most 5,000 nodes.
        self_edges: Add the identity to A first.

    Attributes:
        values: One eigenvalue per eigenspace, float64 ``(n_eigenspaces,)``.
        multiplicities: Their dimensions, int64 ``(n_eigenspaces,)``; they sum to n.
        trivial: Which eigenspaces are trivial, bool ``(n_eigenspaces,)``.
        fiedler_dims: Dimensions that ``fiedler_energy`` counts by default.

    Raises:
        ValueError: If the graph is larger than dense arrays are made for.

    Source:
        Paper, section on spectral bias; eigenspaces instead of eigenvectors are ours.

    Example:
        >>> from geomem.graphs import cycle
        >>> Spectrum(cycle(5)).multiplicities
        tensor([1, 2, 2])
    """

    def __init__(self, graph: Graph, *, self_edges: bool = False):
        _checks.dense(require_graph(graph).n_nodes, "The spectrum", "For a path-star use path_star_fiedler_energy.")
        self.graph = graph
        spaces = []
        components = graph.components()
        matrix = symmetric_walk(graph, self_edges=self_edges)
        for component in components.unique():
            nodes = (components == component).nonzero().flatten()
            values, vectors = torch.linalg.eigh(matrix[nodes][:, nodes])
            columns = torch.zeros(graph.n_nodes, len(nodes), dtype=torch.float64)
            columns[nodes] = vectors
            top = torch.arange(len(nodes)) == len(nodes) - 1  # eigh ascends, and a connected graph's top is simple
            spaces += [(values[top], columns[:, top], True), (values[~top], columns[:, ~top], False)]
        grouped = [g for flag in (True, False) for g in _group([s[:2] for s in spaces if s[2] is flag], flag)]
        grouped.sort(key=lambda space: (-round(space[0] / EIGENVALUE_TOL), not space[2]))
        self.values = torch.tensor([value for value, _, _ in grouped], dtype=torch.float64)
        self.multiplicities = torch.tensor([vectors.shape[1] for _, vectors, _ in grouped])
        self.trivial = torch.tensor([flag for _, _, flag in grouped])
        self.bases = tuple(canonical_basis(vectors) for _, vectors, _ in grouped)
        if graph.fiedler_dims is not None:
            self.fiedler_dims = graph.fiedler_dims
        else:
            self.fiedler_dims = int(self.multiplicities[~self.trivial][0]) if (~self.trivial).any() else 0

    def __repr__(self) -> str:
        spaces = ", ".join(f"{v:.3f} x{m}" for v, m in zip(self.values.tolist(), self.multiplicities.tolist(), strict=True))
        return f"Spectrum({self.graph.name!r}: {spaces})"

    def basis(self, dims: int, *, trivial: bool = False) -> Tensor:
        """Return an orthonormal basis of the leading ``dims`` non-trivial dimensions, float64 ``(n, dims)``.

        Args:
            dims: How many dimensions; a cut inside an eigenspace is an error, because it would choose eigenvectors.
            trivial: Count the trivial directions too.

        Raises:
            ValueError: If ``dims`` does not end with an eigenspace.
        """
        kept = [base for base, flag in zip(self.bases, self.trivial, strict=True) if trivial or not flag]
        ends = torch.tensor([base.shape[1] for base in kept]).cumsum(0).tolist()
        if dims not in ends:
            raise ValueError(f"dims must end with an eigenspace, at one of {ends}, got {dims}.")
        return torch.cat(kept[: ends.index(dims) + 1], dim=1)

    def energy(self, E) -> Tensor:
        """Return the share of ``||E||^2`` in every eigenspace, float64 ``(..., n_eigenspaces)``; sums to 1.

        Args:
            E: Embeddings, ``(..., n, m)``.

        Raises:
            ValueError: If E has another number of nodes, is not finite, or is zero.
        """
        E, _ = by_power_of_two(node_table("E", E, self.graph), dims=(-2, -1))
        total = E.square().sum((-2, -1))
        if (total == 0).any():
            raise ValueError("E must not be zero: an embedding without energy has no shares.")
        return torch.stack([(base.T @ E).square().sum((-2, -1)) for base in self.bases], dim=-1) / total[..., None]

    def cumulative_energy(self, E) -> Tensor:
        """Return the share of the non-trivial energy in the leading 1, 2, ... non-trivial dimensions.

        An eigenspace's energy is spread evenly over its dimensions (the mean over all its bases), so the curve does
        not depend on a choice of eigenvectors. A random embedding's curve is the straight chance line k / K.

        Args:
            E: Embeddings, ``(..., n, m)``.

        Returns:
            float64 ``(..., K)`` for K non-trivial dimensions; the last is 1.

        Raises:
            ValueError: If E does not fit, or has no energy outside the trivial directions.
        """
        multiplicities = self.multiplicities[~self.trivial]
        return (self._shares(E) / multiplicities).repeat_interleave(multiplicities, dim=-1).cumsum(-1)

    def _shares(self, E) -> Tensor:
        """Return the share of the non-trivial energy in every non-trivial eigenspace; sums to 1."""
        energy = self.energy(E)[..., ~self.trivial]
        total = energy.sum(-1, keepdim=True)
        if (total < 1e-12).any():
            raise ValueError("E must have energy outside the trivial directions, got a constant table on every component.")
        return energy / total

    def fiedler_energy(self, E, dims: int | None = None) -> Tensor:
        """Return the share of the non-trivial energy in the leading ``dims`` non-trivial dimensions, ``(...,)``.

        Args:
            E: Embeddings, ``(..., n, m)``.
            dims: By default the multiplicity of the first non-trivial eigenspace (``irregular()``: 2). Chance level
                is ``dims / K`` for K non-trivial dimensions.

        Raises:
            ValueError: If ``dims`` is out of range or E does not fit.

        Source:
            Ours, after the paper's Fiedler-like subspace.
        """
        curve = self.cumulative_energy(E)
        dims = _checks.integer("dims", self.fiedler_dims if dims is None else dims, least=1)
        if dims > curve.shape[-1]:
            raise ValueError(f"dims must be at most the {curve.shape[-1]} non-trivial dimensions, got {dims}.")
        return curve[..., dims - 1]

    def negative_energy(self, E) -> Tensor:
        """Return the share of the non-trivial energy on eigenvalues below 0, ``(...,)``: 0 without zigzag.

        Training with self edges is compared in *one* spectrum, that without: its own would shift the eigenvalues too.

        Args:
            E: Embeddings, ``(..., n, m)``.

        Raises:
            ValueError: If E does not fit, or has no energy outside the trivial directions.

        Source:
            Ours, after the paper's zigzag geometry.
        """
        return self._shares(E)[..., self.values[~self.trivial] < -EIGENVALUE_TOL].sum(-1)

    def principal_angles(self, E, dims: int | None = None) -> Tensor:
        """Return the angles between E's leading ``dims`` left directions and the Fiedler-like space, ``(..., dims)``.

        Args:
            E: Embeddings, ``(..., n, m)``; its trivial part is removed first.
            dims: As in ``fiedler_energy``, and ending with an eigenspace.

        Returns:
            Radians in [0, pi/2], ascending; zeros mean the same subspace.

        Raises:
            ValueError: If ``dims`` cuts an eigenspace, or E does not fit or has fewer non-trivial directions.

        Source:
            Bjorck and Golub (1973).
        """
        dims = self.fiedler_dims if dims is None else dims
        rest = self.basis(int(self.multiplicities[~self.trivial].sum()))
        E, _ = by_power_of_two(node_table("E", E, self.graph), dims=(-2, -1))
        left, scale, _ = torch.linalg.svd(rest.T @ E, full_matrices=False)
        if scale.shape[-1] < dims or (scale[..., dims - 1] <= 1e-9 * E.norm(dim=(-2, -1))).any():
            raise ValueError(f"E must have {dims} non-trivial directions to compare, got a table of lower rank.")
        left = rest @ left[..., :dims]
        return torch.linalg.svdvals(left.mT @ self.basis(dims)).clamp(max=1.0).acos()


def effective_rank(E) -> Tensor:
    """Return the exponential of the entropy of the shares ``p_i = s_i^2 / sum s^2`` of the squared singular values.

    k equal singular values give k; a table counts as it is, with its mean. Differs from Roy and Vetterli, who take shares
    of the singular values themselves: squares are the energies that a spectrum speaks of.

    Args:
        E: Embeddings, ``(..., n, m)``.

    Returns:
        float64 ``(...,)``, from 1 to min(n, m).

    Raises:
        ValueError: If E is not a table, not finite, or zero.

    Source:
        After Roy and Vetterli (2007).

    Example:
        >>> round(float(effective_rank(torch.eye(3))), 6)
        3.0
    """
    E = _checks.table(E)
    if E.ndim < 2 or not E.numel() or not E.isfinite().all() or (E == 0).flatten(-2).all(-1).any():
        raise ValueError(f"E must be a finite table that is not zero, shape (..., n, m), got {tuple(E.shape)}.")
    energy = torch.linalg.svdvals(E / E.abs().amax((-2, -1), keepdim=True)).square()
    return torch.special.entr(energy / energy.sum(-1, keepdim=True)).sum(-1).exp()


def symmetric_walk(graph: Graph, *, self_edges: bool = False) -> Tensor:
    """Return ``S = D^-1 A + (D^-1 A)^T``; S - 2 I is the paper's Laplacian up to sign.

    Args:
        graph: The graph, at most 5,000 nodes.
        self_edges: Add the identity to A first.

    Returns:
        float64 ``(n, n)``, symmetric.

    Source:
        Paper, section on spectral bias.

    Example:
        >>> from geomem.graphs import cycle
        >>> symmetric_walk(cycle(3))[0].tolist()
        [0.0, 1.0, 1.0]
    """
    walk = random_walk(graph, self_edges=self_edges)
    return walk + walk.T


def random_walk(graph: Graph, *, self_edges: bool = False) -> Tensor:
    """Return ``W = D^-1 A``, the transition matrix of the random walk.

    Args:
        graph: The graph, at most 5,000 nodes.
        self_edges: Add the identity to A first.

    Returns:
        float64 ``(n, n)``, rows summing to 1.

    Source:
        Paper, section on Node2Vec.

    Example:
        >>> from geomem.graphs import path_star
        >>> random_walk(path_star(2, 2)).tolist()
        [[0.0, 0.5, 0.5], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0]]
    """
    adjacency = graph.adjacency(self_edges=self_edges)
    return adjacency / adjacency.sum(1, keepdim=True)


def canonical_basis(vectors: Tensor) -> Tensor:
    """Return an orthonormal basis of the same column space that depends on the space only, not on LAPACK.

    The projector is applied to fixed random vectors and the result orthonormalised with positive diagonal.

    Args:
        vectors: Orthonormal columns, float64 ``(n, k)``.

    Returns:
        float64 ``(n, k)``.

    Source:
        Ours.
    """
    n, k = vectors.shape
    probe = torch.randn(n, k, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    q, r = torch.linalg.qr(vectors @ (vectors.T @ probe))
    return q * r.diagonal().sign()


def _group(parts: list[tuple[Tensor, Tensor]], flag: bool) -> list[tuple[float, Tensor, bool]]:
    """Merge eigenpairs of several components into eigenspaces of equal eigenvalue."""
    values, order = torch.cat([values for values, _ in parts]).sort(descending=True)
    vectors = torch.cat([vectors for _, vectors in parts], dim=1)[:, order]
    starts = [0] + ((values[:-1] - values[1:]) > EIGENVALUE_TOL).nonzero().flatten().add(1).tolist() + [len(values)]
    return [(float(values[a]), vectors[:, a:b], flag) for a, b in zip(starts, starts[1:], strict=False) if b > a]
