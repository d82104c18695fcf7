"""Measure the ratios of benchmarks/README.md in one run: ``.venv/bin/python benchmarks/run.py``.

Ratios, not seconds: both sides of each run in turn on this machine, several times, and the median ratio is printed with its
least and largest. One thread, unless said otherwise.
"""

import argparse
import statistics
import time

import torch
from reference_node2vec import node2vec

import geomem as gm

CYCLE = gm.cycle(15)


def seconds(call) -> float:
    """Return the wall-clock time of one call."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def report(name: str, ratios: list[float], says: str) -> None:
    """Print one row: median (least to largest) of the ratios."""
    print(f"{name:<46} {statistics.median(ratios):8.2f} ({min(ratios):.2f} to {max(ratios):.2f})  {says}", flush=True)


def peak_flops(dtype: torch.dtype) -> float:
    """Return the operations a second of a large matrix product: the arithmetic bound of this machine, one thread."""
    a = torch.randn(1024, 1024, dtype=dtype)
    return 2 * 1024**3 / min(seconds(lambda: a @ a) for _ in range(5))


def copy_bandwidth() -> float:
    """Return bytes a second of a large copy, read and written."""
    a, b = torch.zeros(2**26), torch.zeros(2**26)
    return 2 * a.nbytes / min(seconds(lambda: b.copy_(a)) for _ in range(3))


def flow(repeats: int) -> None:
    """Time the flow a seed and step against the reference, float64, 15-cycle, m = 100, 16 seeds."""
    neighbours = [[(i - 1) % 15, (i + 1) % 15] for i in range(15)]
    ratios, fast = [], []
    for _ in range(repeats):
        slow = seconds(lambda: node2vec(neighbours, dim=100, lr=0.01, steps=100, init_std=1.0, seed=0)) / 100
        fast.append(seconds(lambda: gm.gradient_flow(CYCLE, steps=2000, seeds=range(16), snapshots=())) / 2000 / 16)
        ratios.append(slow / fast[-1])
    report("gradient_flow, times faster than the reference", ratios, "a seed and step; at least 200 wanted")
    operations = 2 * 2 * 15**3 + 20 * 15**2  # two products, and about twenty operations an exponential
    share = operations / statistics.median(fast) / peak_flops(torch.float64)
    print(f"{'':<46} {share:8.1%} of the arithmetic bound ({operations:,} operations a seed and step)")


def members(repeats: int) -> None:
    """Time 64 and 1,000 linear members against one."""
    shared = dict(graph=CYCLE, width=32, steps=500)
    one, many, thousand = [], [], []
    for _ in range(repeats):
        one.append(seconds(lambda: gm.train_ensemble(seeds=[0], **shared)))
        many.append(seconds(lambda: gm.train_ensemble(seeds=range(64), **shared)))
        thousand.append(seconds(lambda: gm.train_ensemble(seeds=range(1000), **shared)))
    report("64 linear members, times one", [b / a for a, b in zip(one, many, strict=True)], "at most 4 wanted")
    report("1,000 linear members, times one", [b / a for a, b in zip(one, thousand, strict=True)], "")
    size = 15 * 32 + 4 * 32 + 32 * 32 + 32
    traffic = 4 * size * 1000 * (7 + 4)  # AdamW reads p, g, m, v and writes p, m, v; the model reads p twice, writes g
    share = traffic * 500 / statistics.median(thousand) / copy_bandwidth()
    print(f"{'':<46} {share:8.1%} of the memory bound ({traffic / 1e6:.0f} MB a step)")


def thousand(repeats: int) -> None:
    """Time 1,000 linear members for 1,000 steps, two chunks side by side, against one member."""
    shared = dict(graph=CYCLE, width=32, steps=1000)
    ratios, both, cpu = [], [], []
    for _ in range(repeats):
        one = seconds(lambda: gm.train_ensemble(seeds=[0], **shared))
        before = time.process_time()
        both.append(seconds(lambda: gm.train_ensemble(seeds=range(1000), workers=2, **shared)))
        cpu.append(time.process_time() - before)
        ratios.append(both[-1] / one)
    report("1,000 members, 1,000 steps, two workers, times one", ratios, "")
    says = f"seconds; at most 25 wanted ({statistics.median(cpu):.0f} s of processor time)"
    report("1,000 members, 1,000 steps, two workers", both, says)


def wide(repeats: int) -> None:
    """Time a step of ten members of width 512 against the bytes that it must move."""
    parameters = 10 * (19 * 512 + 512 * 512 + 512)
    shared = dict(graph=CYCLE, width=512, seeds=range(10))
    steps = [seconds(lambda: gm.train_ensemble(steps=60, **shared)) / 60 for _ in range(repeats)]
    bound = 4 * parameters * (7 + 4) / copy_bandwidth()
    report("width 512, ten members, times the memory bound", [step / bound for step in steps], "a step")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5, help="how often each pair is timed")
    parser.add_argument("--threads", type=int, default=1, help="threads of torch")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for benchmark in (flow, members, thousand, wide):
        benchmark(options.repeats)


if __name__ == "__main__":
    main()
