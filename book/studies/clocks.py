"""Time one seed of the wide linear net by two clocks, frozen and learned, over rates and starts: ``--seed 70 --out FILE``.

The clocks: every edge is recalled; 1 % of the avoidable loss is left. ``--optimiser adamw|descent``.
"""

import argparse
import json
import math
from pathlib import Path

import torch

import geomem as gm

RATES = {"adamw": (0.001, 0.003, 0.01, 0.03, 0.1, 0.3), "descent": (0.01, 0.1, 1.0, 3.0, 10.0, 30.0)}
STARTS = (0.02, 512**-0.5, 0.2)
GRAPHS = ("cycle", "path_star")
STEPS, CORE_STD = 300, 0.02
MARKS = sorted({*range(31), *(round(30 * 1.1**k) for k in range(25)), STEPS})


def main() -> None:
    """Train the grid on both graphs, frozen and learned; write one table a clock, rates by starts; 0 is never."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--optimiser", choices=RATES, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--width", type=int, default=512)
    options = parser.parse_args()
    torch.set_num_threads(1)
    rates = RATES[options.optimiser]
    settings = {"width": options.width, "rates": rates, "starts": STARTS, "steps": STEPS, "graphs": GRAPHS}
    result: dict = {"settings": settings | {"optimiser": options.optimiser}}
    train = adamw if options.optimiser == "adamw" else descent
    for name in GRAPHS:
        g = gm.named_graph(name)
        result[name] = {}
        for kind in ("frozen", "learned"):
            loss, recall = train(g, rates, options.seed, options.width, kind == "frozen")
            result[name][kind] = timed(g, loss, recall, len(rates))
    options.out.write_text(json.dumps(result), encoding="utf8")


def timed(g, loss, recall, n_rates: int) -> dict:
    """Return the first marked step at which each member passes each clock, rates by starts."""
    degrees = g.degrees.double()
    floor = float((degrees * degrees.log()).sum() / degrees.sum())  # the mean over directed edges, as the loss
    left = (loss.double() - floor) / (math.log(g.n_nodes) - floor)
    clocks = {"recall": recall, "loss": -left}
    levels = {"recall": 1.0, "loss": -0.01}
    steps = torch.tensor(MARKS)
    first = {clock: gm.reporting.steps_to(steps, values.T, levels[clock]) for clock, values in clocks.items()}
    return {clock: values.nan_to_num(0.0).view(n_rates, -1).tolist() for clock, values in first.items()}


def adamw(g, rates, seed: int, width: int, frozen: bool):
    """Return loss and recall at the marks, (marks, members), of AdamW at a constant rate."""
    runs = gm.train_ensemble(g, width=width, lr=rates, init_std=STARTS, frozen=frozen, seeds=[seed], steps=STEPS,
                             schedule="constant", core_std=CORE_STD, snapshots=MARKS)  # fmt: skip
    return runs.loss, runs.edge_recall.nan_to_num(0.0)


def descent(g, rates, seed: int, width: int, frozen: bool):
    """Return the same of plain gradient steps on the same loss, mean over directed edges, scores ``E (W e_u + b)``."""
    generator = torch.Generator().manual_seed(seed)
    table = torch.randn(g.n_nodes, width, generator=generator)
    core = torch.randn(width, width, generator=generator) * CORE_STD
    members = [(rate, start) for rate in rates for start in STARTS]
    rate = torch.tensor([rate for rate, _ in members])[:, None, None]
    E = torch.stack([table * start for _, start in members])
    W, b = core.expand(len(members), -1, -1).clone(), torch.zeros(len(members), 1, width)
    target = g.adjacency().float()
    degrees = target.sum(1, keepdim=True)
    losses, recalls = [], []
    for step in range(STEPS + 1):
        moved = E @ W + b
        scores = moved @ E.mT
        if step in MARKS:
            losses.append(-(torch.log_softmax(scores, -1) * target).sum((-2, -1)) / target.sum())
            finite = scores.isfinite().all(-1).all(-1)
            recall = gm.edge_recall(torch.where(finite[:, None, None], scores, 0.0), g)
            recalls.append(torch.where(finite, recall, 0.0))
        gap = (degrees * torch.softmax(scores, -1) - target) / target.sum()
        to_moved = gap @ E
        to_table = gap.mT @ moved + to_moved @ W.mT
        W.baddbmm_(E.mT, -rate * to_moved)
        b.sub_(rate * to_moved.sum(-2, keepdim=True))
        if not frozen:
            E = E - rate * to_table
    return torch.stack(losses).nan_to_num(math.inf, math.inf), torch.stack(recalls)


if __name__ == "__main__":
    main()
