"""Train one seed of the path task and measure the map it drew: ``--condition learned|edges|frozen --seed 0 --out FILE``."""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import torch

import geomem as gm
from geomem.measures import interventions

CONDITIONS = {
    "learned": dict(recipe="edges_then_first", width=32, init_std=0.02, scale=1, frozen=False),
    "edges": dict(recipe="edges_only", width=32, init_std=0.02, scale=2, frozen=False),
    "frozen": dict(recipe="edges_then_first", width=64, init_std=0.125, scale=4, frozen=True),
}


def main() -> None:
    """Train, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--condition", choices=CONDITIONS, required=True)
    parser.add_argument("--model", choices=("transformer", "mamba"), default="transformer")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--degree", type=int, default=500)
    parser.add_argument("--length", type=int, default=5)
    options = parser.parse_args()
    settings = CONDITIONS[options.condition]
    task = gm.PathTask(gm.path_star(options.degree, options.length), target="first", seed=options.seed)
    model, run = trained(task, options.model, options.seed, **settings)
    result = {"settings": {**run.settings, "condition": settings}, **run.history[-1], **measured(model, task, options.seed)}
    options.out.write_text(json.dumps(result), encoding="utf8")


def trained(task, core, seed, *, recipe, width, init_std, scale, frozen):
    """Return the model and its run; a frozen one takes a lower rate, since its core must do all the work."""
    model = gm.SequenceModel(task.vocabulary.n_tokens, core=core, width=width, init_std=init_std, frozen=frozen,
                             core_std=gm.recipes.CORE_STD[core], seed=seed)  # fmt: skip
    stages = gm.recipes.RECIPES[recipe](task)
    stages = [replace(stage, steps=scale * stage.steps, lr=0.003 if frozen else stage.lr) for stage in stages]
    return model, gm.train(model, task, stages, seed=seed, device="cpu", snapshots=[])


def measured(model, task, seed) -> dict:
    """Return every measure of chapter 5, on held-out and on training paths, and on random embeddings beside them."""
    g, generator = task.graph, torch.Generator().manual_seed(seed)
    E = model.embedding[: g.n_nodes].detach().double()
    null = torch.randn(E.shape, generator=generator, dtype=torch.float64)
    result = {}
    for name, table, leaves in (
        ("test", E, task.test_leaves),
        ("train", E, task.train_leaves),
        ("null", null, task.test_leaves),
    ):
        result[f"map_{name}"] = {
            "arm_separation": float(gm.arm_separation(table, g, leaves=leaves)),
            "nearest_first_hop": float(gm.first_hop_accuracy(table, g, leaves=leaves)),
            "silhouette": float(gm.measures.silhouette(table, g, leaves=leaves)),
        }
    result["fiedler_energy"] = float(gm.spectral.path_star_fiedler_energy(E, g))
    result["fiedler_energy_null"] = float(gm.spectral.path_star_fiedler_energy(null, g))
    leaves = task.test_leaves
    part = interventions.fiedler_components(E, g)[leaves]
    result["fiedler_share_of_leaf"] = float((part.square().sum(1) / E[leaves].square().sum(1)).mean())
    result["swaps"] = {name: swaps(model, task, E, leaves, generator) for name, leaves in (
        ("test", task.test_leaves), ("train", task.train_leaves))}  # fmt: skip
    return result


def swaps(model, task, E, leaves, generator, n_pairs: int = 62, rounds: int = 2) -> dict:
    """Count how often a swapped leaf is answered with the other's first hop, or still with its own; random moves beside."""
    counts = {"fiedler": [0, 0], "random": [0, 0]}
    n_pairs = min(n_pairs, len(leaves) // 2)
    for k in range(rounds):
        pairs = leaves[torch.randperm(len(leaves), generator=generator)][: 2 * n_pairs].view(-1, 2)
        own = task.graph.paths_to(pairs)[:, 1].view(-1, 2)
        for name, table in (
            ("fiedler", interventions.swap_fiedler(E, task.graph, pairs)),
            ("random", interventions.move_at_random(E, task.graph, pairs, seed=k)),
        ):
            said = interventions.predicted_first_hops(model, task, pairs.flatten(), table).view(-1, 2)
            counts[name][0] += int((said == own.flip(1)).sum())
            counts[name][1] += int((said == own).sum())
    total = 2 * n_pairs * rounds
    return {name: {"to_the_other": other / total, "still_own": own / total} for name, (other, own) in counts.items()}


if __name__ == "__main__":
    main()
