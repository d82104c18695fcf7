"""Change one property of a table of embeddings, and read what the model then answers."""

import torch
from torch import Tensor

from .. import _checks
from ..graphs import node_table
from ..spectral import path_star_arms, path_star_profile
from .base import leaves_of


def swap_fiedler(E, graph, pairs) -> Tensor:
    """Return E with the Fiedler components of paired leaves exchanged, and nothing else.

    The Fiedler component of a leaf is its row of the projection of E onto the Fiedler eigenspace of the path-star: the
    direction in which its arm, as a whole, leaves the mean of all arms.

    Args:
        E: Embeddings, ``(n, m)``.
        graph: A path-star.
        pairs: Leaves to exchange, int64 ``(k, 2)``, each leaf in at most one pair.

    Returns:
        float64 ``(n, m)``.

    Raises:
        ValueError: If the graph is not a path-star, E does not fit, or a listed node is not a leaf or listed twice.

    Source:
        Ours: if the map is what answers, moving a leaf on the map must move the answer.

    Example:
        >>> from geomem.graphs import path_star
        >>> g = path_star(2, 3)
        >>> E = torch.tensor([[0.0], [1], [1], [-1], [-1]])  # the arms point in opposite directions
        >>> swap_fiedler(E, g, [[2, 4]])[[2, 4]].flatten().sign().tolist()
        [-1.0, 1.0]
    """
    E, part = node_table("E", E, graph).clone(), fiedler_components(E, graph)
    pairs = _pairs(graph, pairs)
    return E.index_add(0, pairs.flatten(), part[pairs.flip(1).flatten()] - part[pairs.flatten()])


def move_at_random(E, graph, pairs, *, seed: int = 0) -> Tensor:
    """Return E with the same leaves moved as far as ``swap_fiedler`` moves them, in random directions: its control.

    Args:
        E: Embeddings, ``(n, m)``.
        graph: A path-star.
        pairs: As for ``swap_fiedler``.
        seed: Draws the directions.

    Returns:
        float64 ``(n, m)``.

    Raises:
        ValueError: As ``swap_fiedler``.

    Source:
        Ours.

    Example:
        >>> from geomem.graphs import path_star
        >>> E = torch.tensor([[0.0], [1], [1], [-1], [-1]])
        >>> moved = move_at_random(E, path_star(2, 3), [[2, 4]])
        >>> bool(torch.allclose((moved - E).abs(), (swap_fiedler(E, path_star(2, 3), [[2, 4]]) - E).abs()))
        True
    """
    generator = torch.Generator().manual_seed(_checks.seed_of("seed", seed))
    E = node_table("E", E, graph)
    steps = (swap_fiedler(E, graph, pairs) - E).norm(dim=1, keepdim=True)
    ways = torch.randn(E.shape, generator=generator, dtype=torch.float64)
    return E + steps * ways / ways.norm(dim=1, keepdim=True)


def fiedler_components(E, graph) -> Tensor:
    """Return every row of the projection of E onto the path-star's Fiedler eigenspace, float64 ``(n, m)``.

    Args:
        E: Embeddings, ``(n, m)``.
        graph: A path-star.

    Raises:
        ValueError: If the graph is not a path-star, or E does not fit.

    Source:
        Ours: the eigenspace in closed form.

    Example:
        >>> from geomem.graphs import path_star
        >>> fiedler_components(torch.ones(5, 1), path_star(2, 3)).abs().max() < 1e-12  # a common offset is no direction
        tensor(True)
    """
    arms, E = path_star_arms(graph), node_table("E", E, graph)
    _, profile = path_star_profile(arms.shape[1] + 1)
    moved = torch.einsum("k,akm->am", profile, E[arms])
    part = torch.zeros_like(E)
    part[arms] = profile[:, None] * (moved - moved.mean(0))[:, None]
    return part


def predicted_first_hops(model, task, leaves, E=None) -> Tensor:
    """Return the first hop that a model answers for each leaf, int64 ``(k,)``: the best of all first hops.

    Args:
        model: A ``SequenceModel``.
        task: Its ``PathTask``, with target "first".
        leaves: Leaf node ids, int64 ``(k,)``.
        E: As in ``first_hop_scores``.

    Raises:
        ValueError: As ``first_hop_scores``.

    Source:
        Ours.
    """
    return task.graph.first_hops[first_hop_scores(model, task, leaves, E).argmax(-1)]


@torch.no_grad()
def first_hop_scores(model, task, leaves, E=None) -> Tensor:
    """Return a model's logits of all first hops for each leaf, ``(k, d)``, in the order of ``graph.first_hops``.

    Args:
        model: A ``SequenceModel``.
        task: Its ``PathTask``, with target "first".
        leaves: Leaf node ids, int64 ``(k,)``.
        E: Node embeddings to read the *inputs* with, ``(n, m)``; by default the model's own. Answers are always scored
            with the model's own table, so that only the question has changed.

    Raises:
        ValueError: If the task's target is not "first", or E does not fit.

    Source:
        Ours.
    """
    if task.target != "first":
        raise ValueError(f"task must have the target 'first', got {task.target!r}.")
    inputs, _ = task.examples(leaves)
    own = model.embedding.data
    try:
        if E is not None:
            model.embedding.data = own.clone()
            model.embedding.data[: task.graph.n_nodes] = node_table("E", E, task.graph).to(own)
        hidden = model.hidden(inputs, 1)[:, 0]
    finally:
        model.embedding.data = own
    return hidden @ model.unembedding[task.graph.first_hops].mT


def _pairs(graph, pairs) -> Tensor:
    """Return pairs of leaves as int64 ``(k, 2)``, no leaf twice."""
    pairs = torch.as_tensor(pairs)
    if pairs.ndim != 2 or pairs.shape[1] != 2 or len(pairs.unique()) < pairs.numel():
        raise ValueError(f"pairs must be pairs of leaves, none listed twice, shape (k, 2), got {tuple(pairs.shape)}.")
    leaves_of(graph, pairs.flatten())
    return pairs
