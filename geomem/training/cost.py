"""What a training step costs: products counted from the model and the batch, bytes, and the rates of machines."""

import functools
import time
from typing import NamedTuple, Protocol, runtime_checkable

import torch
from torch.utils.flop_counter import FlopCounterMode

from ..graphs import path_star
from ..models import CORES, SequenceModel
from ..tasks import PathTask
from .loop import EVALUATED, Stage, train

PEAKS = {"H100": 989e12, "H200": 989e12, "A100": 312e12}
"""Dense bfloat16 operations a second that the makers state, by a part of the device's name."""
BANDWIDTHS = {"H100": 3.35e12, "H200": 4.8e12, "A100": 2.0e12}
"""Bytes a second between chip and memory, likewise (the boards with HBM, not the PCIe ones)."""


class StepCost(NamedTuple):
    """Hold the cost of one optimiser step.

    Args:
        flops: Floating-point operations of its matrix products, two per multiply-add.
        bytes: Bytes it must move at least: the optimiser's, the tables' and the logits'.
        memory: Bytes it needs at once, roughly.
        parameters: Trained and frozen ones.
    """

    flops: int
    bytes: int
    memory: int
    parameters: int


@runtime_checkable
class _Counted(Protocol):
    """A core that counts its own operations."""

    def flops(self, rows: int, length: int, last: int) -> int: ...


@functools.lru_cache(maxsize=4)
def _core(kind: type, width: int, layers: int, heads: int) -> torch.nn.Module:
    """Return a core of this size, to be counted: it is the class that is registered, whoever wrote it."""
    return kind(width, layers, heads, torch.Generator().manual_seed(0), 0.02).float()


def core_of(settings: dict) -> torch.nn.Module:
    """Return a core as ``SequenceModel(**settings)`` would hold."""
    return _core(CORES[settings["core"]], settings["width"], settings["layers"], settings.get("heads", 1))


def parameters_of(settings: dict) -> tuple[int, int]:
    """Return how many parameters the core has, and how many the tables (embedding, unembedding, positions) have.

    Args:
        settings: ``SequenceModel.settings``; the core is made and counted.

    Source:
        Ours; a test counts those of the models.
    """
    inside = sum(parameter.numel() for parameter in core_of(settings).parameters())
    return inside, _words(settings) + _places(settings)


def _words(settings: dict) -> int:
    """Return the numbers in the embedding, and in the unembedding where it is another table."""
    return settings["n_tokens"] * settings["width"] * (1 if settings["tied"] else 2)


def _places(settings: dict) -> int:
    """Return the numbers in the table of positions; a core that reads a single token has none."""
    positioned = settings["positions"] != "none" and CORES[settings["core"]].sequential
    return settings["context"] * settings["width"] * positioned


def forward_flops(settings: dict, rows: int, length: int, last: int) -> int:
    """Return the operations of the core's matrix products for ``rows`` sequences, logits left out.

    A product of (a, b) with (b, c) counts ``2 a b c``. Attention counts all pairs of positions, also those that the mask
    hides. Norms, activations and Mamba's scan are no products and count nothing. A core says it in its method ``flops``;
    one without that method is run on a single row, under torch's own counter.

    Args:
        settings: ``SequenceModel.settings``.
        rows: Sequences.
        length: Tokens of each.
        last: Positions that answer.

    Source:
        Standard; compared with torch's own counter in the tests.
    """
    core = core_of(settings)
    if isinstance(core, _Counted):
        return core.flops(rows, length, last)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        core(torch.zeros(1, length, settings["width"], dtype=torch.float32), lambda x: x, last)
    return rows * counter.get_total_flops()


def step_cost(settings: dict, task, stage, *, chunk_bytes: int = 2**28, low: bool = True) -> StepCost:
    """Return what one step of a stage costs.

    *Operations.* The backward pass forms two products for each of the forward pass, so the core counts three times; the
    fused cross-entropy forms the logits and the gradients of hidden states and table, three products too (a frozen table
    has no gradient). *Bytes.* AdamW reads parameter, gradient and two moments and writes three of them, 28 bytes a
    parameter, and the gradient was written before, 4. Of the logits, float32, written and read three times and their
    gradient once, 20 bytes each if everything between the products is fused. The rest is small. *Memory.* 16 bytes a
    parameter, the logits of a chunk and their gradient, and 64 bytes per token, layer and unit of width for what the
    backward pass reads, and ``scan_bytes`` a token more where the core says so.

    Args:
        settings: ``SequenceModel.settings``.
        task: A ``PathTask``, ``EdgeTask`` or ``InContextTask``.
        stage: A ``Stage``; one with arms costs what the small star of these arms does, one with nodes what it does
            if no two of these share an answer.
        chunk_bytes: Logits held at once.
        low: Whether the products take bfloat16.

    Source:
        Ours.

    Example:
        >>> from geomem import PathTask, SequenceModel, Stage, path_star
        >>> task = PathTask(path_star(8, 3), target="first")
        >>> model = SequenceModel(task.vocabulary.n_tokens, width=16, layers=1)
        >>> step_cost(model.settings, task, Stage(1, 1e-3, edges=4)).flops  # 3 * 31,232 of the core, 3 * 2,688 of the logits
        101760
    """
    w, n_tokens = settings["width"], settings["n_tokens"]
    facts, paths = stage.edges, stage.paths
    if stage.arms:  # on average over draws; a fact's question is asked once a node
        share = stage.arms / len(task.graph.paths)
        facts = 1 + stage.arms * (task.graph.paths.shape[1] - 1)
        paths, n_tokens = min(paths, round(share * task.n_paths)), facts + n_tokens - task.graph.n_nodes
    if stage.nodes:
        drawn = stage.nodes * len(task.edges) / len(task.edges[:, 1].unique())
        read = min(task.graph.n_nodes, round(stage.nodes + drawn) + stage.candidates)
        facts, n_tokens = stage.nodes, read + n_tokens - task.graph.n_nodes
    batches = [(facts, 2, 1), (paths, task.context, task.n_targets)]
    answers = sum(rows * last for rows, _, last in batches) + facts * (stage.node2vec > 0)
    tokens = sum(rows * length for rows, length, _ in batches)
    core = sum(forward_flops(settings, *batch) for batch in batches)
    inside, tables = parameters_of(settings)
    trained = (0 if settings["frozen"] else _words(settings)) + _places(settings) * (settings["positions"] == "learned")
    unread = 0 if settings["frozen"] else (settings["n_tokens"] - n_tokens) * w  # rows that a step leaves alone
    moving = inside + trained - unread
    flops = 3 * core + (4 if settings["frozen"] else 6) * answers * n_tokens * w
    moved = 32 * moving + 20 * answers * n_tokens
    held = min(chunk_bytes, 4 * answers * n_tokens) * (3 if low else 2)
    kept = tokens * (64 * settings["layers"] * w + getattr(core_of(settings), "scan_bytes", 0))
    return StepCost(flops, moved, 16 * (inside + trained) + held + kept, inside + tables)


def training_flops(settings: dict, task, recipe) -> int:
    """Return the operations of all steps of a recipe."""
    return sum(stage.steps * step_cost(settings, task, stage).flops for stage in recipe)


def evaluation_flops(settings: dict, task) -> int:
    """Return the operations of one evaluation: a forward pass over the paths it reads, with their logits."""
    total = 0
    for name, (inputs, targets) in task.held().items():
        rows, last = targets.shape
        rows = rows if name == "test" else min(rows, EVALUATED)
        total += (
            forward_flops(settings, rows, inputs.shape[1], last) + 2 * rows * last * settings["n_tokens"] * settings["width"]
        )
    return total


def rate_of(table: dict[str, float], device_name: str) -> float | None:
    """Return a chip's stated rate by its name, None where it is not listed.

    Example:
        >>> rate_of(PEAKS, "NVIDIA H200"), rate_of(PEAKS, "a loom")
        (989000000000000.0, None)
    """
    return next((rate for part, rate in table.items() if part in device_name), None)


def measured_rate(settings: dict, *, seconds: float = 1.0) -> float:
    """Return the operations a second of training on this CPU: steps of one block of this width on a small star.

    Args:
        settings: ``SequenceModel.settings``.
        seconds: How long to measure; one step is taken at least.

    Source:
        Ours.
    """
    task = PathTask(path_star(500, 3), target="first")
    small = {**settings, "n_tokens": task.vocabulary.n_tokens, "layers": 1}
    model, stage = SequenceModel(**small), Stage(1, 1e-6, edges=256, paths=64)
    flops, rates, start = step_cost(small, task, stage).flops, [], time.perf_counter()
    while not rates or time.perf_counter() - start < seconds:
        run = train(model, task, [stage], snapshots=[], device="cpu", precision="float32")
        rates.append(flops / run.history[-1]["seconds"])
    return max(rates)


def needs(settings: dict, task, recipe, *, evaluations: int) -> str:
    """Say in two sentences what GPU a run at the paper's size needs, and how long this CPU would take.

    Args:
        settings: ``SequenceModel.settings``, the vocabulary may be missing.
        task: What to train on.
        recipe: The stages.
        evaluations: How many there will be.

    Source:
        Ours: operations counted, divided by a rate measured now.
    """
    settings = settings | {"n_tokens": task.vocabulary.n_tokens}
    flops = training_flops(settings, task, recipe) + evaluations * evaluation_flops(settings, task)
    memory = max(step_cost(settings, task, stage).memory for stage in recipe)
    steps, rate = sum(stage.steps for stage in recipe), measured_rate(settings)
    return (
        f"the profile paper wants a CUDA device with {max(1, round(memory / 2**30))} GB of memory or more, and there is "
        f"none. This CPU would take about {duration(flops / rate)} ({steps:,} steps, {flops:.1e} operations, {rate:.1e} a "
        "second measured just now): add --device cpu to go on."
    )


def duration(seconds: float) -> str:
    """Return a time in the unit that suits it.

    Example:
        >>> duration(90), duration(3 * 3600)
        ('90 seconds', '3 hours')
    """
    for size, unit in ((86400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"


def speed_of(history: list[dict], recipe, flops: list[int]) -> float | None:
    """Return the operations a second between evaluations: the median over pairs of neighbours within one stage.

    The first pair holds the start-up, compilation among it, and the median leaves it out where there are more.

    Args:
        history: ``Result.history``.
        recipe: The stages.
        flops: The operations of a step of each.

    Source:
        Ours.
    """
    ends = torch.tensor([stage.steps for stage in recipe]).cumsum(0).tolist()
    rows = [{"step": 0, "seconds": 0.0}, *(row for row in history if row["step"])]
    rates = []
    for a, b in zip(rows, rows[1:], strict=False):
        stage = next(k for k, end in enumerate(ends) if b["step"] <= end)
        before = ends[stage - 1] if stage else 0
        if a["step"] >= before and b["seconds"] > a["seconds"]:
            rates.append((b["step"] - a["step"]) * flops[stage] / (b["seconds"] - a["seconds"]))
    return sorted(rates)[len(rates) // 2] if rates else None
