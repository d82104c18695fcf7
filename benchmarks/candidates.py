"""Steps on drawn arms against steps over all tokens: examples a second of the processor, as a ratio measured in turn.

``OMP_NUM_THREADS=1 .venv/bin/python benchmarks/candidates.py [DEGREExLENGTH ...]``

An example is a fact or a path that a step's loss reads. The first step of each run and the evaluation are left out. The
bound of a step is what its matrix products take at this core's best rate, or its bytes at the best rate of a copy, whichever
is longer (``training.cost``); the last column says how much of a step on arms this is.
"""

import argparse
import statistics
import time

import torch
from flow import seconds_of

import geomem as gm
from geomem.training import cost

REPEATS, STEPS = 3, {"all tokens": 4, "arms": 24}
KINDS = {"facts": 0, "facts and paths": 128}


def examples(stage: gm.Stage, task: gm.PathTask) -> float:
    """Return how many examples a step reads, on average."""
    if not stage.arms:
        return stage.edges + stage.paths
    share = stage.arms / len(task.graph.paths)
    return share * len(task.edges) + min(stage.paths, share * task.n_paths)


def bound(stage: gm.Stage, task: gm.PathTask) -> float:
    """Return the seconds that no step can go below."""
    a, long = torch.ones(1024, 1024), torch.ones(2**26)
    how = dict(device=torch.device("cpu"), clock=time.process_time)
    products = 2 * 1024**3 / seconds_of(lambda: a @ a, **how)
    bytes_of_a_copy = 8 * len(long) / seconds_of(long.clone, **how)
    price = cost.step_cost(a_model(task, 0).settings, task, stage, low=False)
    return max(price.flops / products, price.bytes / bytes_of_a_copy)


def a_model(task: gm.PathTask, seed: int) -> gm.SequenceModel:
    """Return the Transformer of chapter 10."""
    return gm.SequenceModel(task.vocabulary.n_tokens, width=32, layers=2, heads=1, seed=seed)


def rate(stage: gm.Stage, task: gm.PathTask, seed: int) -> float:
    """Return examples a second of the processor."""
    model = a_model(task, seed)
    clock = []
    gm.train(
        model,
        task,
        [stage],
        seed=seed,
        device="cpu",
        on_step=lambda step, _: clock.append(time.process_time()),
        snapshots=[],
    )
    return (stage.steps - 1) * examples(stage, task) / (clock[-1] - clock[0])


def compare(degree: int, length: int) -> None:
    """Print both rates and the median of their ratios, least to largest."""
    task = gm.PathTask(gm.path_star(degree, length), target="first", seed=100)
    task.held = dict  # nothing is evaluated here
    for kind, paths in KINDS.items():
        arms = gm.Stage(STEPS["arms"], 3e-3, arms=128, paths=paths, path_weight=0.1)
        full = gm.Stage(STEPS["all tokens"], 3e-3, edges=512, paths=paths, path_weight=0.1)
        pairs = [(rate(full, task, seed), rate(arms, task, seed)) for seed in range(100, 100 + REPEATS)]
        slow, fast = (statistics.median(rates) for rates in zip(*pairs, strict=True))
        ratios = sorted(b / a for a, b in pairs)
        spread = f"{statistics.median(ratios):.1f} ({ratios[0]:.1f} to {ratios[-1]:.1f})"
        n, share = task.graph.n_nodes, bound(arms, task) * fast / examples(arms, task)
        row = f"| G({degree},{length}), {n:,} nodes | {kind} | {slow:,.0f} | {fast:,.0f} | {spread} | {share:.0%} |"
        print(row, flush=True)


def main() -> None:
    """Compare the sizes that are asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("size", nargs="*", metavar="DEGREExLENGTH", default=["5000x5", "10000x6"])
    head = ["star", "a step reads", "all tokens, examples a second", "arms", "ratio", "share of the bound"]
    print(f"| {' | '.join(head)} |\n| --- | --- | ---: | ---: | ---: | ---: |")
    for size in parser.parse_args().size:
        compare(*map(int, size.split("x")))


if __name__ == "__main__":
    main()
