"""How to train the path task: each recipe is a list of stages, sized for the task's graph.

The numbers were swept on validation paths of graphs and seeds that no chapter reports: see ``benchmarks/README.md``.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

from ..tasks import EdgeTask, PathTask
from .loop import Stage

LR = 5e-3
EDGES, PATHS = 512, 128
PASSES = 25
"""How often every fact is seen before the first path."""
LEAST_STEPS = 200
CORE_STD = {"transformer": 0.02, "mamba": 0.1}
"""What the core's weights start at: from 0.02 Mamba learns the facts and writes the paths down instead."""
PATH_WEIGHT = 0.1
ARMS = 128
"""Whole arms per step on a large path-star."""
TERM = 10.0
"""Weight of the Node2Vec term where it makes the map."""
NODES, CANDIDATES = 128, 1024
"""Nodes asked per step on any other large graph, and further ones to weigh their answers against."""


class Size(NamedTuple):
    """Set the batch sizes and the number of steps of a recipe.

    Args:
        lr: Learning rate.
        edges: Facts per step.
        paths: Path examples per step.
        passes: How often every fact is seen before the first path.
        least_steps: Steps of that stage at least.
        warmup: Steps over which its rate rises.
    """

    lr: float = LR
    edges: int = EDGES
    paths: int = PATHS
    passes: int = PASSES
    least_steps: int = LEAST_STEPS
    warmup: int = 0


LAPTOP = Size()
PAPER = Size(lr=5e-4, edges=2048, paths=512, passes=100, warmup=200)
"""For twelve layers of width 384 on a GPU: batches that keep it busy, and passes to spare."""


def edges_only(task: PathTask | EdgeTask, size: Size = LAPTOP) -> list[Stage]:
    """Return one stage that trains the facts and nothing else: every fact 25 times, and at least 200 steps.

    Args:
        task: The task.
        size: Batch sizes and number of steps.

    Source:
        Paper, "not supervision".

    Example:
        >>> from geomem.graphs import path_star
        >>> edges_only(PathTask(path_star(500, 5)))[0].steps
        200
    """
    edges = min(size.edges, len(task.edges))
    steps = max(size.least_steps, round(size.passes * len(task.edges) / edges))
    return [Stage(steps, size.lr, edges=edges, schedule="constant", warmup=size.warmup)]


def edges_then_first(task: PathTask, size: Size = LAPTOP) -> list[Stage]:
    """Return two stages: the facts, then facts with a light weight on paths, as many steps again.

    Args:
        task: The task; its target is usually "first", the hardest token alone.
        size: As in ``edges_only``.

    Source:
        Paper, settings (facts first, then interleaved); weight, rate and steps are ours.

    Example:
        >>> from geomem.graphs import path_star
        >>> [stage.path_weight for stage in edges_then_first(PathTask(path_star(500, 5), target="first"))]
        [1.0, 0.1]
    """
    (facts,) = edges_only(task, size)
    return [facts, _with_paths(task, size, facts.steps, PATH_WEIGHT)]


def edges_then_paths(task: PathTask, size: Size = LAPTOP) -> list[Stage]:
    """Return the same two stages with twice the steps for paths; in the second, the rate falls to a tenth.

    Args:
        task: The task; its target is usually "full".
        size: As in ``edges_only``.

    Source:
        Paper, settings (facts first, then interleaved); weight, rate and steps are ours.
    """
    (facts,) = edges_only(task, size)
    return [facts, _with_paths(task, size, 2 * facts.steps, PATH_WEIGHT, schedule="cosine")]


def two_phase(task: PathTask, size: Size = LAPTOP) -> list[Stage]:
    """Return the facts, then paths alone at a tenth of the rate: nothing keeps the facts alive in the second stage.

    Args:
        task: The task.
        size: As in ``edges_only``.

    Source:
        Paper, appendix D: it works, but its accuracy peaks and can fall.

    Example:
        >>> from geomem.graphs import path_star
        >>> [stage.edges for stage in two_phase(PathTask(path_star(500, 5)))]
        [512, 0]
    """
    (facts,) = edges_only(task, size)
    return [facts, _with_paths(task, size, 2 * facts.steps, 1.0, edges=0, lr=size.lr / 10)]


def mixed(task: PathTask, size: Size = LAPTOP, *, path_weight: float = 0.01) -> list[Stage]:
    """Return one stage with facts and paths from the first step.

    Args:
        task: The task.
        size: As in ``edges_only``.
        path_weight: Weight of the paths' loss. From about .3 on, a run of laptop size memorises the paths instead.

    Source:
        Paper, settings (interleaved); the weight is ours.
    """
    (facts,) = edges_only(task, size)
    return [_with_paths(task, size, 2 * facts.steps, path_weight, warmup=size.warmup)]


def few_arms(task: PathTask, size: Size = LAPTOP, *, arms: int | None = None) -> list[Stage]:
    """Return stages for a large path-star whose steps draw a few whole arms: each fact 20 times, then 25 times with paths.

    Rows that are seldom drawn move further per draw, so the rate grows with the square root of the share that a step
    draws; it decays to a tenth.

    Args:
        task: A task on a path-star.
        size: As in ``edges_only``; its paths are read.
        arms: Arms per step, at least 2; by default 128, or all there are.

    Source:
        Ours.

    Example:
        >>> from geomem.graphs import path_star
        >>> [stage.steps for stage in few_arms(PathTask(path_star(5000, 5), target="first"))]
        [782, 977]
    """
    d, arms = _arms(task, arms)
    lr = min(LR, 3e-3 * math.sqrt(arms / ARMS * 5000 / d))
    facts, paths = (math.ceil(passes * d / arms) for passes in (20, 25))
    first = Stage(facts, lr, arms=arms, schedule="constant")
    return [first, Stage(paths, lr, arms=arms, paths=min(size.paths, task.n_paths), path_weight=PATH_WEIGHT)]


def map_then_paths(task: PathTask, size: Size = LAPTOP, *, arms: int | None = None) -> list[Stage]:
    """Return two stages with a Node2Vec term: first it builds the map, each fact 24 times; then the core learns to read it.

    The term asks for the facts from the table alone, without the core, so the table becomes Node2Vec's map however the
    core stores them. The paper trains without it; this is the headroom that its abstract speaks of. Each token of an
    answer weighs the same, and whole paths take twice the steps.

    Args:
        task: A task on a path-star.
        size: As in ``edges_only``; its rate and paths are read.
        arms: Arms per step, at least 2; by default 128, or all there are.

    Source:
        Ours, see chapters 10 and 12.

    Example:
        >>> from geomem.graphs import path_star
        >>> [stage.node2vec for stage in map_then_paths(PathTask(path_star(5000, 5), target="first"))]
        [10.0, 10.0]
    """
    d, arms = _arms(task, arms)
    shared = {"arms": arms, "node2vec": TERM, "decay": 0.0}
    steps = max(size.least_steps, math.ceil(24 * d / arms))
    first = Stage(steps, size.lr, schedule="constant", **shared)
    paths, weight = min(arms, size.paths, task.n_paths), 2 * PATH_WEIGHT * task.n_targets
    return [first, Stage(steps * min(2, task.n_targets), size.lr, paths=paths, path_weight=weight, **shared)]


def node2vec_by_arms(task: EdgeTask, *, arms: int | None = None, passes: int = 64) -> list[Stage]:
    """Return one stage for Node2Vec on a large path-star with long arms: plain steps, and a decay that keeps arms straight.

    Args:
        task: A task on a path-star.
        arms: Arms per step, at least 2; by default 128, or all there are.
        passes: How often an arm is drawn.

    Source:
        Ours; why decay extends the reach stands in chapter 12.

    Example:
        >>> from geomem.graphs import path_star
        >>> node2vec_by_arms(EdgeTask(path_star(640, 3)))[0].decay
        0.8
    """
    d, arms = _arms(task, arms)
    return [Stage(math.ceil(passes * d / arms), 0.1, arms=arms, table="rms", decay=4.0 * arms / d, warmup=49)]


def few_nodes(
    task: EdgeTask, size: Size = LAPTOP, *, nodes: int | None = None, candidates: int = CANDIDATES, passes: int = PASSES
) -> list[Stage]:
    """Return one stage for the facts of any large graph whose steps draw a few nodes: each is asked 25 times.

    Args:
        task: A task on any graph.
        size: As in ``edges_only``; its rate is read.
        nodes: Nodes asked per step, at least 1; by default 128, or all that have a fact.
        candidates: Further nodes among the candidates of a step.
        passes: How often a node is asked.

    Source:
        Ours.

    Example:
        >>> from geomem.graphs import grid
        >>> few_nodes(EdgeTask(grid(32, 32)))[0].steps
        200
    """
    heads = len(task.edges[:, 1].unique())
    nodes = min(NODES, heads) if nodes is None else nodes
    return [Stage(math.ceil(passes * heads / nodes), size.lr, nodes=nodes, candidates=candidates)]


def _arms(task: PathTask | EdgeTask, arms: int | None) -> tuple[int, int]:
    """Return how many arms the star has, and how many a step draws: by default 128, or all there are."""
    d = len(task.graph.paths)
    return d, min(ARMS, d) if arms is None else arms


def _with_paths(task: PathTask, size: Size, steps: int, path_weight: float, *, schedule="constant", **other) -> Stage:
    """Return a stage with paths, in batches no larger than the data."""
    given = {"lr": size.lr, "edges": min(size.edges, len(task.edges))} | other
    return Stage(steps, paths=min(size.paths, task.n_paths), path_weight=path_weight, schedule=schedule, **given)


_ALL = (edges_only, edges_then_first, edges_then_paths, two_phase, mixed, few_arms, map_then_paths, few_nodes)
RECIPES: dict[str, Callable[..., list[Stage]]] = {recipe.__name__: recipe for recipe in _ALL}
BY_ARMS = ("few_arms", "map_then_paths")
"""Recipes whose steps draw whole arms of a path-star."""
