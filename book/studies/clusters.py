"""The paper's picture of a large star: the embedding after the facts alone, laid flat by UMAP, held-out arms only.

``--length 6 --degree 10000 --seed 5 --out FILE``; needs the package umap-learn (the paper's settings: 15 neighbours, 0.1).
"""

import argparse
import json
from pathlib import Path

import torch

import geomem as gm
from geomem.measures import sampled

SHOWN, ARMS = 40, 500


def main() -> None:
    """Train the facts alone, measure the map on held-out arms, and lay it flat."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--length", type=int, default=6)
    parser.add_argument("--degree", type=int, default=10_000)
    parser.add_argument("--term", action="store_true", help="with the Node2Vec term")
    parser.add_argument("--steps-scale", type=float, default=1.0)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    task = gm.PathTask(gm.path_star(options.degree, options.length), target="first", seed=options.seed)
    model = gm.SequenceModel(task.vocabulary.n_tokens, width=64, layers=2, heads=1, seed=options.seed)
    recipe = gm.recipes.map_then_paths if options.term else gm.recipes.few_arms
    facts = recipe(task)[0]
    facts = gm.Stage(**{**vars(facts), "steps": round(options.steps_scale * facts.steps)})
    run = gm.train(model, task, [facts], seed=options.seed, device="cpu", snapshots=[])
    nodes = run.model.embedding[: task.graph.n_nodes].detach()
    arms = sampled.sample_arms(task, ARMS)
    table, star = sampled.sub_star(nodes, task.graph, arms)
    noise = torch.randn(table.shape, generator=torch.Generator().manual_seed(options.seed), dtype=torch.float64)
    local = gm.measures.local_table(task.graph, nodes.shape[1], options.seed)
    found = {"sample": sampled.star_measures(table, star), "random": sampled.star_measures(noise, star)}
    found["local"] = sampled.star_measures(sampled.sub_star(local, task.graph, arms)[0], star)
    of_all = float(gm.first_hop_accuracy(nodes, task.graph, leaves=arms[:, -1]))
    names = ("length", "degree", "term", "steps_scale")
    result = {"settings": {name: getattr(options, name) for name in names} | {"recipe": run.settings["recipe"]}}
    result |= {"edge_recall": run.history[-1]["edge_recall"], "seconds": run.history[-1]["seconds"], "arms": len(arms)}
    result |= {"first_hop_of_all": of_all, "measures": found, "plane": flat(table[star.paths[:, 1:]], options.seed)}
    options.out.write_text(json.dumps(result), encoding="utf8")


def flat(along: torch.Tensor, seed: int) -> list:
    """Return where UMAP puts the nodes of the first arms, ``(SHOWN, length - 1, 2)``; all arms take part."""
    import umap  # an extra: it brings a compiler

    reducer = umap.UMAP(n_neighbors=15, min_dist=0.1, metric="cosine", random_state=seed)
    places = reducer.fit_transform(along.flatten(0, 1).numpy()).reshape(*along.shape[:2], 2)
    return [[[round(float(x), 2) for x in place] for place in arm] for arm in places[:SHOWN]]


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
