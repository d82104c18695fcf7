"""Training of the path task: against the textbook loop, and how its cost grows.

``OMP_NUM_THREADS=1 .venv/bin/python benchmarks/training.py [reference] [recipe] [arms] [length]``

Seconds are those of the processor, one thread, evaluation included: a clock on the wall counts the company on the
machine too. Seeds are 100 and up, which no chapter reports; what is read here are validation paths.
"""

import argparse
import math
import statistics
import time

import reference_training as reference
import torch
from candidates import examples as examples_of

import geomem as gm

SEEDS = (110, 111, 112)


def a_task(degree: int = 500, length: int = 5, seed: int = 100, target: str = "first") -> gm.PathTask:
    """Return the task with a quarter of the paths for validation and hardly a test path."""
    g = gm.path_star(degree, length)
    return gm.PathTask(g, target=target, seed=seed, train_fraction=0.99, validation_fraction=0.25)


def a_model(task, seed: int = 100) -> gm.SequenceModel:
    """Return the Transformer of chapters 3 to 5."""
    return gm.SequenceModel(task.vocabulary.n_tokens, width=32, seed=seed)


def timed(work, *args, **kwargs):
    """Return the result and the processor's seconds."""
    start = time.process_time()
    return work(*args, **kwargs), time.process_time() - start


def against_the_reference(target: str, steps: int = 30) -> None:
    """Print examples a second of our loop over the textbook's, measured in turn: over all tokens, and by drawn arms."""
    task = a_task(target=target)
    inputs, targets = task.examples(task.train_leaves)
    n_edges = round(512 * len(task.edges) / (len(task.edges) + len(inputs)))
    stages = {"all tokens": gm.Stage(steps, 3e-3, edges=n_edges, paths=512 - n_edges)}  # the reference's mixture
    stages["128 arms"] = gm.Stage(steps, 3e-3, arms=128, paths=128)
    ratios, ours = ({name: [] for name in stages} for _ in range(2))
    gm.train(a_model(task), task, [gm.Stage(3, 3e-3)], snapshots=[], device="cpu")  # torch imports much at the first step
    for seed in SEEDS + (113, 114):
        examples = reference.Examples(task.edges, inputs, targets, task.vocabulary.PAD)
        _, slow = timed(reference.train, a_model(task, seed), examples, steps=steps, batch=512, lr=3e-3, seed=seed)
        for name, stage in stages.items():
            _, fast = timed(gm.train, a_model(task, seed), task, [stage], seed=seed, snapshots=[], device="cpu")
            ours[name].append(1e3 * fast / steps)
            ratios[name].append(slow / fast * examples_of(stage, task) / 512)
    for name, found in ratios.items():
        ratio = f"{statistics.median(found):.1f} ({min(found):.1f} to {max(found):.1f})"
        step = f"{statistics.median(ours[name]):.0f} ms a step of {examples_of(stages[name], task):.0f}"
        print(f"{target}, {name}: {ratio} times as many examples a second as the textbook loop, {step}", flush=True)


def by_recipe() -> None:
    """Print the sweep that led to the recipe: held-out validation paths at the end, one factor at a time."""
    base = dict(width=32, layers=2, lr=5e-3, path_weight=0.1, schedule="constant")
    tried = [{}, {"width": 16}, {"width": 64}, {"width": 128}, {"layers": 1}, {"layers": 3}, {"lr": 2e-3}, {"lr": 8e-3},
             {"path_weight": 0.03}, {"path_weight": 0.3}, {"path_weight": 1.0}, {"schedule": "cosine"}]  # fmt: skip
    print("| changed | validation paths right | seconds |\n| --- | ---: | ---: |")
    for change in tried:
        s, values, seconds = base | change, [], []
        for seed in SEEDS:
            task = a_task(seed=seed)
            model = gm.SequenceModel(task.vocabulary.n_tokens, width=s["width"], layers=s["layers"], seed=seed)
            facts = gm.Stage(200, s["lr"], schedule=s["schedule"])
            paths = gm.Stage(200, s["lr"], paths=128, path_weight=s["path_weight"], schedule=s["schedule"])
            run, spent = timed(gm.train, model, task, [facts, paths], seed=seed, snapshots=[], device="cpu")
            values.append(run.history[-1]["validation"]["answer_accuracy"])
            seconds.append(spent)
        what = ", ".join(f"{k} {v}" for k, v in change.items()) or "the recipe"
        spread = f"{statistics.mean(values):.3f} ± {statistics.stdev(values):.3f}"
        print(f"| {what} | {spread} | {statistics.median(seconds):.1f} |", flush=True)


def to_95(degree: int, length: int, passes: int, seed: int) -> float:
    """Return seconds of training until 95 % of the validation paths are right, or infinity."""
    task = a_task(degree, length, seed)
    edges = min(1024 if degree > 1000 else 512, len(task.edges))
    steps = max(100, math.ceil(passes * len(task.edges) / edges))
    rest = dict(edges=edges, schedule="constant")
    recipe = [gm.Stage(steps, 5e-3, **rest), gm.Stage(steps, 5e-3, paths=min(128, task.n_paths), path_weight=0.1, **rest)]
    listed = range(steps, 2 * steps, 10)
    run, spent = timed(gm.train, a_model(task, seed), task, recipe, seed=seed, snapshots=listed, device="cpu")
    good = [row["step"] for row in run.history if row["validation"]["answer_accuracy"] >= 0.95]
    return spent * good[0] / (2 * steps) if good else math.inf


def growth(name: str, sizes, seconds) -> None:
    """Print the seconds at each size and the exponent of the power law through their medians."""
    rows = []
    for size in sizes:
        times = sorted(seconds(size, seed) for seed in SEEDS)
        rows.append((size, statistics.median(times)))
        print(
            f"| {name} = {size} | {', '.join('not reached' if t == math.inf else f'{t:.1f}' for t in times)} |", flush=True
        )
    x, y = (torch.tensor([r[k] for r in rows if r[1] < math.inf], dtype=torch.float64).log() for k in (0, 1))
    if len(x) > 1:
        slope = ((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum()
        print(f"seconds to 95 % grow like {name} to the power {float(slope):.2f}, over the {len(x)} sizes that got there")


def main() -> None:
    """Run what is asked for."""
    parts = {
        "reference": lambda: [against_the_reference(target) for target in ("first", "full")],
        "recipe": by_recipe,
        "arms": lambda: growth("d", (100, 250, 500, 1000, 2000), lambda d, seed: to_95(d, 5, 25, seed)),
        "length": lambda: growth(
            "l", (4, 5, 6, 7, 8), lambda length, seed: to_95(500, length, 25 * 2 ** (length - 5), seed)
        ),
    }
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", nargs="*", metavar="PART", help=", ".join(parts))
    chosen = parser.parse_args().part or list(parts)
    for part in chosen:
        if part not in parts:
            parser.error(f"there is no part {part!r}: choose among {', '.join(parts)}")
        parts[part]()


if __name__ == "__main__":
    main()
