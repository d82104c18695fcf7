"""Measure the map of a large path-star on a sample of its held-out arms."""

import torch
from torch import Tensor

from ..graphs import Graph, path_star
from ..spectral import path_star_arms, path_star_fiedler_energy
from ..tasks import PathTask
from .stars import arm_separation, first_hop_accuracy, silhouette

ARMS = 500
SHOWN, MAPPED, COMPONENTS = 12, 100, 8
"""Arms of the heat map, arms of the plane, and the principal components that are kept of these."""


def sample_arms(task: PathTask, n: int = ARMS) -> Tensor:
    """Return at most ``n`` held-out arms, drawn by the task's seed, without the root: int64 ``(k, length - 1)``.

    A task of facts alone holds out no path, so all arms may be drawn.

    Args:
        task: A task on a path-star.
        n: How many at most.

    Raises:
        ValueError: If the graph is not a path-star.

    Source:
        Ours.

    Example:
        >>> sample_arms(PathTask(path_star(8, 3))).shape  # a quarter is held out
        torch.Size([2, 2])
    """
    path_star_arms(task.graph)
    leaves = getattr(task, "test_leaves", task.graph.paths[:, -1])
    order = torch.randperm(len(leaves), generator=torch.Generator().manual_seed(task.seed))
    return task.graph.paths_to(leaves[order[:n]])[:, 1:]


def sub_star(E: Tensor, graph: Graph, arms: Tensor) -> tuple[Tensor, Graph]:
    """Return the rows of the root and of the arms, and the path-star they form, whose first hops are the candidates.

    Args:
        E: One row per token or node, ``(n, m)``.
        graph: The star.
        arms: ``(k, length - 1)``, k at least 2.
    """
    rows = torch.cat([torch.tensor([graph.root]), arms.flatten()])
    return E.detach()[rows.to(E.device)].cpu().double(), path_star(len(arms), arms.shape[1] + 1)


def star_measures(E: Tensor, graph: Graph) -> dict[str, float]:
    """Return the measures of chapter 5 on a path-star: separation, nearest first hop, silhouette, Fiedler energy.

    Args:
        E: ``(n, m)``.
        graph: The star.

    Source:
        Ours; each is described where it is defined.
    """
    values = {"first_hop_accuracy": first_hop_accuracy(E, graph), "arm_separation": arm_separation(E, graph)}
    values |= {"silhouette": silhouette(E, graph), "fiedler_energy": path_star_fiedler_energy(E, graph)}
    return {name: float(value) for name, value in values.items()}


def geometry(E: Tensor, task: PathTask) -> dict | None:
    """Return the measures on the sample, or None where the table is not finite because the run has diverged.

    Args:
        E: The embedding, ``(n_tokens, m)``, on any device; only the sample leaves it.
        task: A task on a path-star.

    Source:
        Ours; the nearest first hop is sought among those of the sample, so chance is one over its arms.
    """
    arms, table, star = _sample(E, task)
    return {"arms": len(arms)} | star_measures(table, star) if table.isfinite().all() else None


def _sample(E: Tensor, task: PathTask) -> tuple[Tensor, Tensor, Graph]:
    """Return the sampled arms, and their rows and star as ``sub_star`` gives them."""
    arms = sample_arms(task)
    return arms, *sub_star(E, task.graph, arms)


def portrait(E: Tensor, task: PathTask) -> dict | None:
    """Return a summary of a run's map: measures beside those of a random table, a heat map, and arms to draw.

    Args:
        E: The embedding, ``(n_tokens, m)``.
        task: A task on a path-star.

    Returns:
        ``sample`` and ``null``, as ``geometry``; ``first_hop_of_all``, the nearest among all first hops for the sample's
        leaves; ``cosine``, leaves by first hops of twelve arms; ``plane``, principal components of a hundred arms, the
        mean over arms removed at each depth, ``(arms, length - 1, components)``. None where the table is not finite.

    Source:
        Ours, after the paper's heat map and clusters.
    """
    arms, table, star = _sample(E, task)
    if not table.isfinite().all():
        return None
    noise = torch.randn(table.shape, generator=torch.Generator().manual_seed(task.seed), dtype=torch.float64)
    nodes = E.detach()[: task.graph.n_nodes].cpu()
    along = table[star.paths[:, 1:]]
    unit = torch.nn.functional.normalize(along[:SHOWN], dim=-1)
    centred = (along - along.mean(0))[:MAPPED]
    _, _, directions = torch.linalg.svd(centred.flatten(0, 1), full_matrices=False)
    plane = centred @ directions[:COMPONENTS].T
    return {
        "sample": {"arms": len(arms)} | star_measures(table, star),
        "null": {"arms": len(arms)} | star_measures(noise, star),
        "first_hop_of_all": float(first_hop_accuracy(nodes, task.graph, leaves=arms[:, -1])),
        "cosine": _rounded(unit[:, -1] @ unit[:, 0].T),
        "plane": _rounded(plane / plane.norm(dim=-1).mean()),
    }


def _rounded(values: Tensor) -> list | float:
    """Return nested lists of three decimals: a picture shows no more."""
    return [_rounded(part) for part in values] if values.ndim else round(float(values), 3)
