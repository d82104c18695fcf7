"""How to train the path task: each recipe is a list of stages, sized for the task's graph.

The numbers were swept on validation paths of graphs and seeds that no chapter reports: see ``benchmarks/README.md``.
"""

from .tasks import PathTask
from .training import Stage

LR = 5e-3
EDGES, PATHS = 512, 128
PASSES = 25
"""How often every fact is seen before the first path."""
LEAST_STEPS = 200
CORE_STD = {"transformer": 0.02, "mamba": 0.1}
"""What the core's weights start at: from 0.02 Mamba learns the facts and writes the paths down instead."""
PATH_WEIGHT = 0.1


def edges_only(task: PathTask) -> list[Stage]:
    """Return one stage that trains the facts and nothing else: every fact 25 times, and at least 200 steps.

    Args:
        task: The task.

    Source:
        Paper, "not supervision".

    Example:
        >>> from geomem.graphs import path_star
        >>> edges_only(PathTask(path_star(500, 5)))[0].steps
        200
    """
    edges = min(EDGES, len(task.edges))
    steps = max(LEAST_STEPS, round(PASSES * len(task.edges) / edges))
    return [Stage(steps, LR, edges=edges, schedule="constant")]


def edges_then_first(task: PathTask) -> list[Stage]:
    """Return two stages: the facts, then facts with a light weight on paths, as many steps again.

    Args:
        task: The task; its target is usually "first", the hardest token alone.

    Source:
        Paper, settings (facts first, then interleaved); weight, rate and steps are ours.

    Example:
        >>> from geomem.graphs import path_star
        >>> [stage.path_weight for stage in edges_then_first(PathTask(path_star(500, 5), target="first"))]
        [1.0, 0.1]
    """
    (facts,) = edges_only(task)
    return [facts, _with_paths(task, facts.steps, PATH_WEIGHT)]


def edges_then_paths(task: PathTask) -> list[Stage]:
    """Return the same two stages with twice the steps for paths, and a rate that falls to a tenth in the second.

    Args:
        task: The task; its target is usually "full".

    Source:
        Paper, settings (facts first, then interleaved); weight, rate and steps are ours.
    """
    (facts,) = edges_only(task)
    return [facts, _with_paths(task, 2 * facts.steps, PATH_WEIGHT, schedule="cosine")]


def two_phase(task: PathTask) -> list[Stage]:
    """Return the facts, then paths alone at a tenth of the rate: nothing keeps the facts alive in the second stage.

    Args:
        task: The task.

    Source:
        Paper, appendix D: it works, but its accuracy peaks and can fall.

    Example:
        >>> from geomem.graphs import path_star
        >>> [stage.edges for stage in two_phase(PathTask(path_star(500, 5)))]
        [512, 0]
    """
    (facts,) = edges_only(task)
    return [facts, _with_paths(task, 2 * facts.steps, 1.0, edges=0, lr=LR / 10)]


def mixed(task: PathTask, path_weight: float = 0.01) -> list[Stage]:
    """Return one stage with facts and paths from the first step.

    Args:
        task: The task.
        path_weight: What the paths count beside the facts. From about .3 on a laptop's run memorises the paths instead.

    Source:
        Paper, settings (interleaved); the weight is ours.
    """
    (facts,) = edges_only(task)
    return [_with_paths(task, 2 * facts.steps, path_weight)]


def _with_paths(task: PathTask, steps: int, path_weight: float, *, edges=EDGES, lr=LR, schedule="constant") -> Stage:
    """Return a stage with paths, in batches no larger than the data."""
    paths, edges = min(PATHS, task.n_paths), min(edges, len(task.edges))
    return Stage(steps, lr, edges=edges, paths=paths, path_weight=path_weight, schedule=schedule)


RECIPES = {recipe.__name__: recipe for recipe in (edges_only, edges_then_first, edges_then_paths, two_phase, mixed)}
