"""Train one seed of a phase diagram: ``--core linear|transformer --graph cycle|path_star --seed 60 --out FILE``.

``--precision float32|bf16`` trains the wide ring of the paper at that precision instead.
"""

import argparse
import json
from pathlib import Path

import torch

import geomem as gm

BASE = {"lr": 0.01, "init_std": 0.02, "weight_decay": 0.0, "dropout": 0.0}
"""The paper's tiny runs."""
STEPS, WIDTH = 500, 32
SERIES = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0]
GRIDS = {  # the maps; KNOBS in this order, lr slowest
    "linear": {"lr": SERIES, "weight_decay": [0.0, 0.1, 1.0], "init_std": SERIES[2:]},
    "transformer": {"lr": SERIES[:6], "weight_decay": [0.0], "init_std": SERIES[4:]},
}
SLICES = {
    "linear": {
        "lr": SERIES,
        "weight_decay": [0.0, *SERIES[3:], 2.0, 5.0],
        "init_std": [*SERIES, 2.0],
        "dropout": [k / 10 for k in range(10)],
    },
    "transformer": {
        "weight_decay": [0.0, 0.01, 0.1, 0.5, 1.0, 5.0],
        "dropout": [k / 5 for k in range(5)],
    },  # the map holds the others
}
WIDTHS = {"linear": [8, 16, 32, 64, 128], "transformer": []}


def main() -> None:
    """Train, measure, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--core", choices=GRIDS, default="linear")
    parser.add_argument("--graph", choices=("cycle", "path_star"), default="cycle")
    parser.add_argument("--precision", choices=("float32", "bf16"))
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    g = gm.named_graph(options.graph)
    if options.precision:
        settings = {"graph": "cycle", "width": 512, "steps": 700, "lr": [0.001, 0.01], "precision": options.precision}
        result = {"cells": wide(g, options.seed, **settings)}
    else:
        settings = {"core": options.core, "graph": options.graph, "steps": STEPS, "width": WIDTH, "base": BASE}
        settings |= {"grid": GRIDS[options.core], "slices": SLICES[options.core], "widths": WIDTHS[options.core]}
        result = phase(g, options.core, options.seed)
    options.out.write_text(json.dumps({"settings": settings} | rounded(result)), encoding="utf8")


def phase(g, core, seed) -> dict:
    """Return the map, its cells in the order of the grid, and slices through the base point, one knob at a time."""
    shared = dict(core=core, graph=g, steps=STEPS, seeds=[seed])
    cells = measured(gm.train_ensemble(width=WIDTH, **BASE | GRIDS[core], **shared), g)
    slices = {}
    for knob, values in SLICES[core].items():
        slices[knob] = measured(gm.train_ensemble(width=WIDTH, **BASE | {knob: values}, **shared), g)
    each = [measured(gm.train_ensemble(width=width, **BASE, **shared), g) for width in WIDTHS[core]]
    slices["width"] = {name: [value for part in each for value in part[name]] for name in cells}
    drawn = ("edge_recall", "order", "energy")  # of the slices
    return {"cells": cells, "slices": {knob: {name: part[name] for name in drawn} for knob, part in slices.items()}}


def wide(g, seed, *, graph, **settings) -> dict:
    """Return the measures of the wide linear net of the paper at one precision."""
    runs = gm.train_ensemble(g, seeds=[seed], **settings)
    result = measured(runs, g)
    return result | {"hops": gm.cosine_by_hops(runs.embeddings[-1], g).tolist()}


def measured(runs, g) -> dict:
    """Return one value a member for each measure; a member that diverged has none of a geometry and counts as 0 recall."""
    start, end = runs.embeddings[0].double(), runs.embeddings[-1].double()
    alive = end.isfinite().all(-1).all(-1) & runs.scores().isfinite().all(-1).all(-1) & (end.norm(dim=-1).amax(-1) > 0)
    end = torch.where(alive[:, None, None], end, start)
    logits = torch.where(alive[:, None, None], runs.scores().double(), torch.zeros(()).double())
    geometric, associative = gm.geometric_share(end, logits, g)
    result = {
        "edge_recall": runs.edge_recall[-1],
        "order": gm.geometric_order(end, g),
        "contrast": gm.geometric_contrast(end, g),
        "energy": gm.Spectrum(g).fiedler_energy(end),
        "geometric": geometric,
        "associative": associative,
        "moved": size(end - start) / size(start),
        "start_kept": (end * start).sum((-2, -1)) / size(end) / size(start),
        "table": size(end),
        "core_moved": core_movement(runs),
    }
    return {name: torch.where(alive, value, 0.0).tolist() for name, value in result.items()}


def size(table):
    """Return the Frobenius norm of every member's table."""
    return table.norm(dim=(-2, -1))


def core_movement(runs):
    """Return how far all parameters but the embedding went from their start, relative to its norm."""
    core = {name: p.double() for name, p in runs.parameters.items() if name != "embedding"}
    start = gm.SequenceModel(**runs.settings, seed=int(runs.knobs["seed"][0])).state_dict()  # knobs do not touch it
    moved = sum((p - start[name]).square().flatten(1).sum(1) for name, p in core.items())
    return (moved / sum(start[name].double().square().sum() for name in core)).sqrt().nan_to_num(0, 0, 0)


def rounded(value):
    """Round to four decimals, or four digits above one."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return float(f"{value:.4g}") if abs(value) >= 1 else round(value, 4)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
