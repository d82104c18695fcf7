"""The spectrum of a graph by eigenspace: where an embedding's energy lies, free of any choice of eigenvectors."""

import torch
from torch import Tensor

from .. import _checks
from .._products import by_power_of_two
from ..graphs import Graph, node_table, require_graph
from .leading import ArmSpace, leading_pairs, path_star_spaces

EIGENVALUE_TOL = 1e-8
"""Eigenvalues closer than this are equal: S has entries of order 1 and float64 keeps about 1e-14."""


class Spectrum:
    """Decompose ``S = D^-1 A + (D^-1 A)^T`` into eigenspaces, largest eigenvalue first.

    The *trivial* directions are the top eigenvector of every connected component (about constant on it for nearly
    regular graphs); all others are *non-trivial*, and the leading non-trivial eigenspace is the Fiedler space. An
    eigenvalue that has trivial and non-trivial directions is listed twice, trivial first.

    With ``dims``, only the trivial directions and the leading others are found, so that the graph may be of any size; an
    eigenspace that would not fit into ``dims`` whole is left out, with all that come after it. They are *unresolved*, and
    energies stay shares of all that is not trivial. A path-star's eigenspaces are known in closed form, all of them.

    Args:
        graph: The graph, at most 5,000 nodes without ``dims``.
        self_edges: Add the identity to A first.
        dims: How many leading non-trivial dimensions to find at most, at least 1; None finds all.

    Attributes:
        values: One eigenvalue per eigenspace, float64 ``(n_eigenspaces,)``.
        multiplicities: Their dimensions, int64 ``(n_eigenspaces,)``; with ``unresolved`` they sum to n.
        trivial: Which eigenspaces are trivial, bool ``(n_eigenspaces,)``.
        unresolved: Non-trivial dimensions that were not found, 0 without ``dims``.
        fiedler_dims: Dimensions that ``fiedler_energy`` counts by default.

    Raises:
        TypeError: If ``dims`` is not an integer.
        ValueError: If the graph is larger than dense arrays are made for, or the eigensolver does not converge.

    Source:
        Paper, section on spectral bias; eigenspaces instead of eigenvectors are ours.

    Example:
        >>> from geomem.graphs import cycle
        >>> Spectrum(cycle(5)).multiplicities
        tensor([1, 2, 2])
    """

    def __init__(self, graph: Graph, *, self_edges: bool = False, dims: int | None = None):
        self.graph = require_graph(graph)
        grouped = self._all(graph, self_edges) if dims is None else self._leading(graph, self_edges, dims)
        grouped.sort(key=lambda space: (-round(space[0] / EIGENVALUE_TOL), not space[2]))
        self.values = torch.tensor([value for value, _, _ in grouped], dtype=torch.float64)
        self.multiplicities = torch.tensor([base.shape[1] for _, base, _ in grouped])
        self.trivial = torch.tensor([flag for _, _, flag in grouped])
        self.bases = tuple(base for _, base, _ in grouped)
        self.unresolved = graph.n_nodes - int(self.multiplicities.sum())
        if graph.fiedler_dims is not None:
            self.fiedler_dims = graph.fiedler_dims
        else:
            self.fiedler_dims = int(self.multiplicities[~self.trivial][0]) if (~self.trivial).any() else 0

    @staticmethod
    def _all(graph: Graph, self_edges: bool) -> list[tuple]:
        """Return every eigenspace: value, orthonormal basis, and whether it is trivial."""
        _checks.dense(graph.n_nodes, "The spectrum", "Write dims=16 for the leading sixteen dimensions.")
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
        return [(value, canonical_basis(vectors), flag) for value, vectors, flag in grouped]

    @staticmethod
    def _leading(graph: Graph, self_edges: bool, dims: int) -> list[tuple]:
        """Return the same of the trivial eigenspaces and of those that fit into ``dims`` whole."""
        dims = _checks.integer("dims", dims, least=1)
        star = path_star_spaces(graph, self_edges)
        if star is not None:
            return [(value, base, flag) for flag, part in zip((True, False), star, strict=True) for value, base in part]
        tops, rest = leading_pairs(graph, dims, self_edges)
        spaces = _group([(tops[0], torch.arange(len(tops[0]))[None])], True)  # which components, not yet their vectors
        spaces = [(value, tops[1].index_select(1, columns[0]).coalesce(), True) for value, columns, _ in spaces]
        there = 0
        for value, vectors, _ in _group([rest], False) if len(rest[0]) else []:
            there += vectors.shape[1]
            if there > dims:
                break
            spaces.append((value, canonical_basis(vectors), False))
        return spaces

    def __repr__(self) -> str:
        spaces = ", ".join(f"{v:.3f} x{m}" for v, m in zip(self.values.tolist(), self.multiplicities.tolist(), strict=True))
        more = f", and {self.unresolved:,} dimensions unresolved" if self.unresolved else ""
        return f"Spectrum({self.graph.name!r}: {spaces}{more})"

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
        return torch.cat([base.to_dense() for base in kept[: ends.index(dims) + 1]], dim=1)

    def energy(self, E) -> Tensor:
        """Return the share of ``||E||^2`` in every eigenspace, float64 ``(..., n_eigenspaces)``.

        They sum to 1 unless some dimensions are unresolved.

        Args:
            E: Embeddings, ``(..., n, m)``.

        Raises:
            ValueError: If E has another number of nodes, is not finite, or is zero.
        """
        E, _ = by_power_of_two(node_table("E", E, self.graph), dims=(-2, -1))
        total = E.square().sum((-2, -1))
        if (total == 0).any():
            raise ValueError("E must not be zero: an embedding without energy has no shares.")
        return torch.stack([_energy(base, E) for base in self.bases], dim=-1) / total[..., None]

    def unresolved_energy(self, E) -> Tensor:
        """Return the share of the non-trivial energy that lies in no eigenspace found, ``(...,)``; 0 without ``dims``.

        Args:
            E: Embeddings, ``(..., n, m)``.

        Raises:
            ValueError: If E does not fit, or has no energy outside the trivial directions.

        Source:
            Ours.
        """
        return (1 - self._shares(E).sum(-1)).clamp(min=0) if self.unresolved else 0 * self._shares(E).sum(-1)

    def cumulative_energy(self, E) -> Tensor:
        """Return the share of the non-trivial energy in the leading 1, 2, ... non-trivial dimensions.

        An eigenspace's energy is spread evenly over its dimensions (the mean over all its bases), so the curve does
        not depend on a choice of eigenvectors. A random embedding's curve is the straight chance line k / K, for the K
        non-trivial dimensions of the graph, which are ``n`` less one for each component.

        Args:
            E: Embeddings, ``(..., n, m)``.

        Returns:
            float64 ``(..., K)``; the last is 1. With ``dims``, as far as they were found.

        Raises:
            ValueError: If E does not fit, or has no energy outside the trivial directions.
        """
        multiplicities = self.multiplicities[~self.trivial]
        return (self._shares(E) / multiplicities).repeat_interleave(multiplicities, dim=-1).cumsum(-1)

    def _shares(self, E) -> Tensor:
        """Return the share of the non-trivial energy in every non-trivial eigenspace; sums to 1 if none is unresolved."""
        energy = self.energy(E)
        total = 1 - energy[..., self.trivial].sum(-1, keepdim=True)
        energy = energy[..., ~self.trivial]
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
            found = " that were found" if self.unresolved else ""
            raise ValueError(f"dims must be at most the {curve.shape[-1]} non-trivial dimensions{found}, got {dims}.")
        return curve[..., dims - 1]

    def negative_energy(self, E) -> Tensor:
        """Return the share of the non-trivial energy on eigenvalues below 0, ``(...,)``: 0 without zigzag.

        Training with self edges is compared in *one* spectrum, that without: its own would shift the eigenvalues too.

        Args:
            E: Embeddings, ``(..., n, m)``.

        Raises:
            ValueError: If E does not fit, has no energy outside the trivial directions, or eigenspaces are unresolved.

        Source:
            Ours, after the paper's zigzag geometry.
        """
        if self.unresolved:
            raise ValueError(f"dims must be None for energy on negative eigenvalues: {self.unresolved:,} dimensions are "
                             "unresolved.")  # fmt: skip
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
        E, _ = by_power_of_two(node_table("E", E, self.graph), dims=(-2, -1))
        scale_of, rest = E.norm(dim=(-2, -1)), E
        for base, flag in zip(self.bases, self.trivial, strict=True):
            rest = rest - _projected(base, rest) if flag else rest
        left, scale, _ = torch.linalg.svd(rest, full_matrices=False)
        if scale.shape[-1] < dims or (scale[..., dims - 1] <= 1e-9 * scale_of).any():
            raise ValueError(f"E must have {dims} non-trivial directions to compare, got a table of lower rank.")
        return torch.linalg.svdvals(left[..., :dims].mT @ self.basis(dims)).clamp(max=1.0).acos()


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


def _energy(base, E: Tensor) -> Tensor:
    """Return the squared length of a table's projection on a space, ``(...,)``; a basis may be sparse."""
    if isinstance(base, ArmSpace):
        return base.energy(E)
    if not base.is_sparse:
        return (base.T @ E).square().sum((-2, -1))
    parts = base.T @ E.movedim(-2, 0).flatten(1)  # sparse products know no batches
    return parts.square().unflatten(1, (*E.shape[:-2], E.shape[-1])).sum((0, -1))


def _projected(base, E: Tensor) -> Tensor:
    """Return a table's projection on a space, ``(..., n, m)``; a basis may be sparse."""
    flat = E.movedim(-2, 0).flatten(1)
    return (base @ (base.T @ flat)).unflatten(1, (*E.shape[:-2], E.shape[-1])).movedim(0, -2)


def _group(parts: list[tuple[Tensor, Tensor]], flag: bool) -> list[tuple[float, Tensor, bool]]:
    """Merge eigenpairs of several components into eigenspaces of equal eigenvalue."""
    values, order = torch.cat([values for values, _ in parts]).sort(descending=True)
    vectors = torch.cat([vectors for _, vectors in parts], dim=1)[:, order]
    starts = [0] + ((values[:-1] - values[1:]) > EIGENVALUE_TOL).nonzero().flatten().add(1).tolist() + [len(values)]
    return [(float(values[a]), vectors[:, a:b], flag) for a, b in zip(starts, starts[1:], strict=False) if b > a]
