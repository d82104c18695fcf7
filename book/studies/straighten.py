"""How long an arm takes to straighten over its length: plain gradient steps, decay midway between its first two profiles.

``--seed 10 --out FILE``
"""

import argparse
import json
from pathlib import Path

import torch

import geomem as gm

DEGREE, LENGTHS = 6, (5, 6, 7, 8, 9, 10, 11, 12)
LR, START, EVERY, MOST = 0.05, 0.1, 20, 12_000


def main() -> None:
    """Follow one flow per length until its arms are straight; write the steps, and the cosines on the way."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    rows = [followed(length, options.seed) for length in LENGTHS]
    settings = {"degree": DEGREE, "lengths": list(LENGTHS), "lr": LR, "init_std": START, "every": EVERY, "most": MOST}
    result = {"settings": settings} | {key: [row[key] for row in rows] for key in rows[0]}
    options.out.write_text(json.dumps(result), encoding="utf8")


def followed(length: int, seed: int) -> dict:
    """Return decay, the first listed step at which the arms are straight (0 if none), and two cosines at 40 moments."""
    graph = gm.path_star(DEGREE, length)
    first, second = profiles(graph)
    decay, steps = (first + second) / 2, min(MOST, 60 * length * length)
    snapshots = range(0, steps + 1, EVERY)
    flow = gm.gradient_flow(graph, width=graph.n_nodes, lr=LR, steps=steps, init_std=START, decay=decay, seeds=[seed],
                            snapshots=snapshots)  # fmt: skip
    arms = flow.embeddings[:, 0][:, graph.paths[:, 1:]]  # (T, arms, depth, width)
    centred = arms - arms.mean(1, keepdim=True)
    plain, own = (torch.cosine_similarity(x[:, :, -1], x[:, :, 0], dim=-1).mean(-1) for x in (arms, centred))
    reached = gm.reporting.steps_to(flow.steps, own[None], 0.9).nan_to_num(0.0)
    shown = torch.linspace(0, len(own) - 1, 40).round().long()
    return {
        "decay": decay,
        "straight_after": int(reached),
        "step": flow.steps[shown].tolist(),
        "centred": [round(float(x), 4) for x in own[shown]],
        "plain": [round(float(x), 4) for x in plain[shown]],
    }


def profiles(graph) -> tuple[float, float]:
    """Return the eigenvalues of the first and second profile of a path-star: those of multiplicity arms - 1."""
    spectrum = gm.Spectrum(graph)
    found = spectrum.values[spectrum.multiplicities == DEGREE - 1]
    return float(found[0]), float(found[1])


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
