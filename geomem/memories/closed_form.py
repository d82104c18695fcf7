"""Memories in closed form: embed, core, unembed without training."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from .. import _checks
from ..graphs import Graph
from ..measures import edge_recall
from ..spectral import Spectrum, path_star_arms, path_star_profile, symmetric_walk

HEAT_TIMES = tuple(round(0.1 * k, 1) for k in range(1, 61))
"""The stated grid on which the heat kernel's largest time with full recall is sought: 0.1 to 6.0."""


@dataclass(frozen=True, eq=False)
class Memory:
    """Hold a table of embeddings and the core between them; the score of v given u is ``Phi(u)^T M Phi(v)``.

    Args:
        embedding: Phi, one row per node, float64 ``(n, m)``.
        core: M, float64 ``(m, m)``; None is the identity: a geometric memory.
        name: Its name in captions.

    Source:
        Paper, section 2: associative ``Phi(v)^T W Phi(u)`` (so M is W^T), geometric ``Phi(u)^T Phi(v)``.

    Example:
        >>> Memory(torch.eye(2), None, "one-hot").scores().tolist()
        [[1.0, 0.0], [0.0, 1.0]]
    """

    embedding: Tensor
    core: Tensor | None
    name: str

    def __repr__(self) -> str:
        n_nodes, width = self.embedding.shape
        return (
            f"Memory({self.name!r}, n_nodes={n_nodes}, width={width}, core={'identity' if self.core is None else 'matrix'})"
        )

    def scores(self) -> Tensor:
        """Return the score of v given u at ``[u, v]``, float64 ``(n, n)``."""
        read = self.embedding if self.core is None else self.embedding @ self.core
        return read @ self.embedding.T


def associative_memory(graph: Graph, *, width: int | None = None, seed: int = 0) -> Memory:
    """Write the edges into a matrix between arbitrary embeddings: ``W = sum over edges of Phi(v) Phi(u)^T``.

    Args:
        graph: The graph; both directions of every edge are written.
        width: Width of the embeddings. By default n: a random orthonormal basis, in which the scores are exactly the
            adjacency matrix. Any other width draws Gaussian rows of expected length 1, with crosstalk about
            1 / sqrt(width).
        seed: Draws the embeddings.

    Returns:
        The memory with core W^T.

    Raises:
        ValueError: If ``width`` is below 1 or the graph is larger than dense arrays are made for.

    Source:
        Paper, section 2.

    Example:
        >>> from geomem.graphs import cycle
        >>> torch.allclose(associative_memory(cycle(5)).scores(), cycle(5).adjacency())
        True
    """
    n = graph.n_nodes
    width = n if width is None else _checks.integer("width", width, least=1)
    generator = torch.Generator().manual_seed(_checks.seed_of("seed", seed))
    phi = torch.randn(n, width, generator=generator, dtype=torch.float64)
    phi = torch.linalg.qr(phi).Q if width == n else phi / math.sqrt(width)
    return Memory(phi, phi.T @ graph.adjacency() @ phi, "associative")


def edit_fact(memory: Memory, node: int, *, learn: int | None = None, forget: int | None = None) -> Memory:
    """Return the memory with one answer changed, by the rank-one change of W that disturbs the other nodes least.

    The scores of ``node`` move by exactly ``Phi(learn) - Phi(forget)``, read with the embeddings. Among all rank-one changes
    that do this, it is the one with the least sum of squares at the other nodes; in an orthonormal basis, zero.

    Args:
        memory: A memory with a core.
        node: u, whose answers change. One direction: for an edge, call it for both ends.
        learn: v, added to what u is answered with; nothing by default.
        forget: The same, subtracted.

    Returns:
        A memory with the same embeddings and another core.

    Raises:
        ValueError: If the memory has no core, a node does not exist, or neither ``learn`` nor ``forget`` is given.

    Source:
        Meng et al. (2022), equation 2, for a linear memory whose keys are its embeddings.

    Example:
        >>> from geomem.graphs import cycle
        >>> edited = edit_fact(associative_memory(cycle(5)), 0, learn=2, forget=1)
        >>> edited.scores()[0].round().abs().tolist()
        [0.0, 0.0, 1.0, 0.0, 1.0]
    """
    if memory.core is None:
        raise ValueError(f"memory must have a core to write into, got {memory!r}: a map's facts are in its embedding.")
    if learn is None and forget is None:
        raise ValueError("learn or forget must name a node, got neither: there is nothing to edit.")
    phi, n = memory.embedding, len(memory.embedding)
    for name, value in (("node", node), ("learn", learn), ("forget", forget)):
        if value is not None and _checks.integer(name, value, least=0) >= n:
            raise ValueError(f"{name} must lie in 0 to {n - 1}, got {value}.")
    zero = torch.zeros_like(phi[0])
    answer = (zero if learn is None else phi[learn]) - (zero if forget is None else phi[forget])
    reader = torch.linalg.pinv(phi.T @ phi, hermitian=True) @ phi[node]
    return Memory(phi, memory.core + torch.outer(reader / (phi[node] @ reader), answer), memory.name)


def incidence_memory(graph: Graph) -> Memory:
    """Return the table of incidences, ``Phi(u)_e = 1`` if u is an end of edge e: every fact, and no map.

    Args:
        graph: The graph; the width is its number of edges.

    Source:
        Paper, section on Node2Vec: architecture alone does not force geometry.

    Example:
        >>> from geomem.graphs import cycle
        >>> incidence_memory(cycle(3)).scores().tolist()
        [[2.0, 1.0, 1.0], [1.0, 2.0, 1.0], [1.0, 1.0, 2.0]]
    """
    _checks.dense(max(graph.n_nodes, graph.n_edges), "The incidence table", "Work with graph.edges instead.")
    phi = torch.zeros(graph.n_nodes, graph.n_edges, dtype=torch.float64)
    phi[graph.edges, torch.arange(graph.n_edges)[:, None]] = 1.0
    return Memory(phi, None, "incidence")


def heat_kernel_memory(graph: Graph, t: float, *, self_edges: bool = False) -> Memory:
    """Return the table V with ``V V^T = exp(t S)``: a look-up for small t, a map for large t.

    Args:
        graph: The graph.
        t: How long the heat spreads, > 0.
        self_edges: As in ``Spectrum``.

    Raises:
        ValueError: If t is not positive or the graph is larger than dense arrays are made for.

    Source:
        Ours.

    Example:
        >>> from geomem.graphs import cycle
        >>> memory = heat_kernel_memory(cycle(5), 1.0)
        >>> torch.allclose(memory.scores(), torch.linalg.matrix_exp(symmetric_walk(cycle(5))))
        True
    """
    t = _checks.real("t", t, above=0)
    return Memory(torch.linalg.matrix_exp(0.5 * t * symmetric_walk(graph, self_edges=self_edges)), None, "heat kernel")


def largest_heat_time(graph: Graph, times=HEAT_TIMES) -> float:
    """Return the largest listed time at which the heat kernel still recalls every edge.

    Args:
        graph: The graph.
        times: Times to try, > 0; by default 0.1, 0.2, ... 6.0.

    Raises:
        ValueError: If none of them recalls every edge.

    Source:
        Ours.

    Example:
        >>> from geomem.graphs import grid
        >>> largest_heat_time(grid(4, 4))
        1.4
    """
    times = tuple(times)
    kept = [t for t in times if edge_recall(heat_kernel_memory(graph, t).scores(), graph) == 1]
    if not kept:
        raise ValueError(
            f"times must hold one that recalls every edge of {graph!r}; of {len(times)} none does. Try smaller."
        )
    return max(kept)


def fiedler_memory(graph: Graph, *, dims: int | None = None) -> Memory:
    """Return the truncated spectral embedding: an orthonormal basis of the leading non-trivial dimensions.

    It is a map that forgets edges: see its ``edge_recall``.

    Args:
        graph: The graph.
        dims: Dimensions kept, ending with an eigenspace; by default the Fiedler-like ones of ``Spectrum``.

    Raises:
        ValueError: If ``dims`` cuts an eigenspace.

    Source:
        Paper, section on the Fiedler vectors; its recall is ours.

    Example:
        >>> from geomem.graphs import cycle
        >>> fiedler_memory(cycle(5)).embedding.shape
        torch.Size([5, 2])
    """
    spectrum = Spectrum(graph)
    return Memory(spectrum.basis(spectrum.fiedler_dims if dims is None else dims), None, "Fiedler")


def path_star_memory(graph: Graph) -> Memory:
    """Return the ideal map of a path-star, ``f(k) (e_i - mean)`` at depth k of arm i, at the root 0: its Fiedler memory.

    In an arm all cosines are 1, across arms ``-1 / (degree - 1)``: the first hop is one step from the leaf.

    Args:
        graph: A path-star, of at most 5,000 squared nodes times arms.

    Raises:
        ValueError: If the graph is not a path-star, or its table of nodes x arms is too large.

    Source:
        Ours.

    Example:
        >>> from geomem.graphs import path_star
        >>> path_star_memory(path_star(2, 2)).embedding.tolist()
        [[0.0, 0.0], [0.5, -0.5], [-0.5, 0.5]]
    """
    arms = path_star_arms(graph)
    degree, depth = arms.shape
    if graph.n_nodes * degree > _checks.DENSE_LIMIT**2:
        raise ValueError(f"the path-star's table must have at most {_checks.DENSE_LIMIT**2:,} entries, nodes x arms, got "
                         f"{graph.n_nodes * degree:,}. Use first_hop_strength, which needs the length only.")  # fmt: skip
    phi = torch.zeros(graph.n_nodes, degree, dtype=torch.float64)
    centred = torch.eye(degree, dtype=torch.float64) - 1 / degree
    phi[arms] = path_star_profile(depth + 1)[1][:, None] * centred[:, None]
    return Memory(phi, None, "path-star")


def first_hop_strength(length: int) -> float:
    """Return ``f(1) / f(length - 1)``, the first hop's norm over the leaf's in the ideal map of a path-star of any degree.

    Args:
        length: Nodes of a path, root included, at least 2.

    Raises:
        TypeError: If ``length`` is not an integer.
        ValueError: If it is below 2.

    Source:
        Ours.

    Example:
        >>> [round(first_hop_strength(length), 3) for length in (3, 5, 10)]
        [1.0, 0.483, 0.167]
    """
    _, f = path_star_profile(length)
    return float(f[0] / f[-1])
