"""The blockwise flow of Node2Vec: seconds a step, the share of the arithmetic bound, and how both grow with n.

``OMP_NUM_THREADS=1 .venv/bin/python benchmarks/flow.py [--degrees 500,1000,2000] [--length 5] [--dim 128] [--device cuda]``
"""

import argparse
import time

import torch

import geomem as gm
from geomem._products import product
from geomem.node2vec import blockwise
from geomem.training import cost


def seconds_of(work, device: torch.device, *, least: float = 1.0, repeats: int = 3, clock=time.perf_counter) -> float:
    """Return the least time of one call by a clock, after one that is not counted."""
    times, begin = [], None
    while len(times) < repeats + 1 or clock() - begin < least:
        if device.type == "cuda":
            torch.cuda.synchronize()
        start = clock()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(clock() - start)
        begin = begin or clock()
    return min(times[1:])


def bound(n: int, dim: int, rows: int, device: torch.device, precision: str) -> float:
    """Return the seconds that the three products of a step would take alone: stated on a known GPU, else measured."""
    flops = blockwise.flops_per_step(n, dim)
    stated = cost.rate_of(cost.PEAKS, torch.cuda.get_device_name()) if device.type == "cuda" else None
    if stated is not None and precision == "bf16":
        return flops / stated
    dtype = blockwise.PRECISIONS[precision]
    low = torch.bfloat16 if precision == "bf16" else dtype
    a, b = torch.randn(rows, dim, device=device).to(low), torch.randn(dim, n, device=device).to(low)
    one = seconds_of(lambda: product(a, b, dtype), device, least=0.3)
    return flops / (2 * rows * n * dim / one)


def main() -> None:
    """Measure each size in turn, and fit the growth."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--degrees", default="500,1000,2000")
    parser.add_argument("--length", type=int, default=5)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", choices=tuple(blockwise.PRECISIONS), default="float32")
    options = parser.parse_args()
    device = gm._checks.device_of(options.device)
    dtype = blockwise.PRECISIONS[options.precision]
    low, points = torch.bfloat16 if options.precision == "bf16" else dtype, []
    print("| n | seconds a step | the products alone | share of the bound |\n| ---: | ---: | ---: | ---: |")
    for degree in map(int, options.degrees.split(",")):
        g = gm.path_star(degree, options.length)
        rows = min(g.n_nodes, blockwise.rows_of_block(g.n_nodes, options.dim, device))
        walk = blockwise._Walk(g, False, device, dtype)
        V = torch.randn(g.n_nodes, options.dim, generator=torch.Generator().manual_seed(0)).to(device, dtype)
        step = seconds_of(lambda w=walk, V=V, r=rows: V.add_(w.velocity(V, r, low), alpha=1e-6), device)
        alone = bound(g.n_nodes, options.dim, rows, device, options.precision)
        points.append((g.n_nodes, step))
        print(f"| {g.n_nodes:,} | {step:.3g} | {alone:.3g} | {100 * alone / step:.0f} % |", flush=True)
    if len(points) > 1:
        x, y = (torch.tensor([p[k] for p in points], dtype=torch.float64).log() for k in (0, 1))
        slope = float(((x - x.mean()) * (y - y.mean())).sum() / (x - x.mean()).square().sum())
        at = points[-1][1] * (90_001 / points[-1][0]) ** 2
        print(f"seconds grow like n to the power {slope:.2f}; from the last, at n = 90,001: about {at:.3g} (a prediction)")


if __name__ == "__main__":
    main()
