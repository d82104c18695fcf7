"""What to know before the runs at the paper's size: milliseconds a step against its bounds, and which rate learns.

``python benchmarks/gpu.py [speed] [rates] [--degree 5000] [--length 5] [--model transformer] [--profile paper]``
"""

import argparse
from dataclasses import replace

import geomem as gm
from geomem.cli.train import PROFILES
from geomem.training import cost, recipes

RATES = (3e-4, 5e-4, 1e-3, 2e-3)


def a_model(task, options, seed: int = 100) -> gm.SequenceModel:
    """Return the model of the profile."""
    shape = {name: PROFILES[options.profile][name] for name in ("width", "layers", "heads")}
    start = recipes.CORE_STD[options.model]
    return gm.SequenceModel(task.vocabulary.n_tokens, core=options.model, core_std=start, seed=seed, **shape)


def speed(options, steps: int = 30) -> None:
    """Print each stage's step, plain and compiled, beside what its operations and its bytes would take alone."""
    task = gm.PathTask(gm.path_star(options.degree, options.length), target="first", seed=100)
    name = gm._checks.device_name("auto")
    peak, bandwidth = (cost.rate_of(table, name) for table in (cost.PEAKS, cost.BANDWIDTHS))
    print(f"{name}: stated peak {peak}, bandwidth {bandwidth}")
    for stage in recipes.edges_then_first(task, recipes.PAPER):
        model = a_model(task, options)
        price = cost.step_cost(model.settings, task, stage)
        limits = [f"{1e3 * amount / rate:.2f} ms" if rate else "unknown"
                  for amount, rate in ((price.flops, peak), (price.bytes, bandwidth))]  # fmt: skip
        print(f"{stage.edges} facts, {stage.paths} paths: operations {limits[0]}, bytes {limits[1]}", flush=True)
        for compiled in (False, "graphs", True) if peak or options.compile else (False,):
            part = replace(stage, steps=3 * steps, warmup=0)
            run = gm.train(a_model(task, options), task, [part], seed=100, snapshots=[steps, 2 * steps], compile=compiled)
            rows = run.history
            best = min(b["seconds"] - a["seconds"] for a, b in zip(rows, rows[1:], strict=False)) / steps
            share = (
                f"{price.flops / best / peak:.1%} of the peak" if peak else f"{price.flops / best:.1e} operations a second"
            )
            print(
                f"  compiled {compiled}: {1e3 * best:.2f} ms a step, {share}, first {rows[0]['seconds']:.1f} s", flush=True
            )


def rates(options) -> None:
    """Print validation paths and nearest first hops for each rate; the seed and the graph are in no result."""
    task = gm.PathTask(gm.path_star(options.degree, options.length), target="first", seed=100)
    for lr in RATES:
        size = recipes.PAPER._replace(lr=lr, passes=50)
        recipe = recipes.edges_then_first(task, size)
        recipe = [replace(s, steps=4, warmup=1) for s in recipe] if options.profile == "smoke" else recipe
        run = gm.train(a_model(task, options), task, recipe, seed=100, snapshots=[recipe[0].steps])
        E = run.model.embedding[: task.graph.n_nodes].detach()
        nearest = float(gm.first_hop_accuracy(E, task.graph, leaves=task.validation_leaves))
        last = run.history[-1]
        validation, training = (last[split]["answer_accuracy"] for split in ("validation", "train"))
        print(f"lr {lr:g}: validation {validation:.3f}, training {training:.3f}, edges {last['edge_recall']:.3f}, "
              f"nearest {nearest:.3f}, {last['seconds']:.0f} s", flush=True)  # fmt: skip


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", nargs="*", default=["speed", "rates"], metavar="PART", help="speed, rates")
    parser.add_argument("--degree", type=int, default=5000)
    parser.add_argument("--length", type=int, default=5)
    parser.add_argument("--model", choices=("transformer", "mamba"), default="transformer")
    parser.add_argument("--profile", choices=tuple(PROFILES), default="paper")
    parser.add_argument("--compile", action="store_true", help="try it without a known GPU too")
    options = parser.parse_args()
    for part in options.part:
        {"speed": speed, "rates": rates}[part](options)


if __name__ == "__main__":
    main()
