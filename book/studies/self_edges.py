"""Energy on negative eigenvalues, with and without self edges, of the tiny models and of both nulls.

``--seed 70 --out FILE``
"""

import argparse
import json
from pathlib import Path

import torch

import geomem as gm
from geomem.measures import local_table, random_table

GRAPHS = {  # width of the linear net, steps
    "path_star": (32, 500),
    "grid": (32, 500),
    "cycle": (512, 700),
    "irregular": (16, 700),
}
MODELS = ("linear", "transformer", "mamba")


def main() -> None:
    """Train every model on every graph with and without self edges; write energies and recall."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    result: dict = {"settings": {"graphs": GRAPHS, "models": MODELS}}
    for name, (width, steps) in GRAPHS.items():
        g, spectrum = gm.named_graph(name), gm.Spectrum(gm.named_graph(name))
        result[name] = {}
        for model in MODELS:
            columns = width if model == "linear" else 32
            settings = dict(core=model, width=columns, steps=steps, seeds=[options.seed])
            settings["core_std"] = gm.recipes.CORE_STD.get(model, 0.02)
            found = {}
            for which, self_edges in (("without", False), ("with", True)):
                run = gm.train_ensemble(g, self_edges=self_edges, **settings)
                found[which] = float(spectrum.negative_energy(run.embeddings[-1, 0]))
                found[f"recall_{which}"] = float(run.edge_recall[-1, 0])
            for null, make in (("random", random_table), ("local", local_table)):
                found[null] = float(spectrum.negative_energy(make(g, columns, options.seed)))
            result[name][model] = found
    options.out.write_text(json.dumps(result), encoding="utf8")


if __name__ == "__main__":
    main()
