"""What a training step costs: products counted from the model and the batch, bytes, and the rates of machines."""

import math
import time
from typing import NamedTuple

import torch

from ..graphs import path_star
from ..models import SequenceModel
from ..models.mamba import EXPAND, STATE, TAPS
from ..tasks import PathTask
from .loop import EVALUATED, Stage, train

PEAKS = {"H100": 989e12, "H200": 989e12, "A100": 312e12}
"""Dense bfloat16 operations a second that the makers state, by a part of the device's name."""
BANDWIDTHS = {"H100": 3.35e12, "H200": 4.8e12, "A100": 2.0e12}
"""Bytes a second between chip and memory, likewise (the boards with HBM, not the PCIe ones)."""


class StepCost(NamedTuple):
    """Hold what one optimiser step costs.

    Args:
        flops: Floating-point operations of its matrix products, two a multiply-add.
        bytes: Bytes it must move at least: the optimiser's, the tables' and the logits'.
        memory: Bytes it needs at once, roughly.
        parameters: Trained and frozen ones.
    """

    flops: int
    bytes: int
    memory: int
    parameters: int


def parameters_of(settings: dict) -> tuple[int, int]:
    """Return how many parameters the core has, and how many the tables (embedding, unembedding, positions) have.

    Args:
        settings: ``SequenceModel.settings``; the core is "transformer", "mamba" or "identity".

    Source:
        Ours; a test counts those of the models.
    """
    w, layers = settings["width"], settings["layers"]
    tables = settings["n_tokens"] * w * (1 if settings["tied"] else 2)
    if settings["core"] == "identity":
        return 0, tables
    if settings["core"] == "transformer":
        block = 4 * w * w + 4 * w + 8 * w * w + 5 * w + 4 * w  # attention, network, two norms
    else:
        inner, rank = EXPAND * w, math.ceil(w / 16)
        dense = w * 2 * inner + 2 * inner + inner * (rank + 2 * STATE) + rank + 2 * STATE + inner * w + w
        block = dense + rank * inner + inner + (TAPS + 1) * inner + STATE * inner + inner + 2 * w
    places = settings["context"] * w if settings["positions"] != "none" else 0
    return layers * block + 2 * w, tables + places


def forward_flops(settings: dict, rows: int, length: int, last: int) -> int:
    """Return the operations of the core's matrix products for ``rows`` sequences, logits left out.

    A product of (a, b) with (b, c) counts ``2 a b c``. Attention counts all pairs of positions, also those that the mask
    hides. Norms, activations and Mamba's scan are no products and count nothing. The last block of a Transformer works
    for the ``last`` positions alone, after its queries, keys and values.

    Args:
        settings: ``SequenceModel.settings``.
        rows: Sequences.
        length: Tokens of each.
        last: Positions that answer.

    Source:
        Standard; compared with torch's own counter in the tests.
    """
    w, layers, tokens = settings["width"], settings["layers"], rows * length
    if settings["core"] == "identity":
        return 0
    if settings["core"] == "mamba":
        inner, rank = EXPAND * w, math.ceil(w / 16)
        return layers * 2 * tokens * (w * 2 * inner + inner * (rank + 2 * STATE) + rank * inner + inner * w)
    total = 0
    for layer in range(layers):
        asking = rows * (last if layer == layers - 1 else length)
        total += 2 * tokens * 3 * w * w + 4 * asking * length * w + 2 * asking * (w * w + 8 * w * w)
    return total


def step_cost(settings: dict, task, stage, *, chunk_bytes: int = 2**28, low: bool = True) -> StepCost:
    """Return what one step of a stage costs.

    *Operations.* The backward pass forms two products for each of the forward pass, so the core counts three times; the
    fused cross-entropy forms the logits and the gradients of hidden states and table, three products too (a frozen table
    has no gradient). *Bytes.* AdamW reads parameter, gradient and two moments and writes three of them, 28 bytes a
    parameter, and the gradient was written before, 4. Of the logits, float32, written and read three times and their
    gradient once, 20 bytes each if everything between the products is fused. The rest is small. *Memory.* 16 bytes a
    parameter, the logits of a chunk and their gradient, and 64 bytes a token, layer and unit of width for what the
    backward pass reads; Mamba's scan keeps four states a channel and token more.

    Args:
        settings: ``SequenceModel.settings``.
        task: A ``PathTask``, ``EdgeTask`` or ``InContextTask``.
        stage: A ``Stage``; one with arms costs what the small star of these arms does.
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
    batches = [(facts, 2, 1), (paths, task.context, task.n_targets)]
    answers = sum(rows * last for rows, _, last in batches) + facts * (stage.node2vec > 0)
    tokens = sum(rows * length for rows, length, _ in batches)
    core = sum(forward_flops(settings, *batch) for batch in batches)
    inside, tables = parameters_of(settings)
    trained = 0 if settings["frozen"] else tables
    moving = inside + trained - (settings["n_tokens"] - n_tokens) * w * (trained > 0)  # of the table, the borrowed rows
    flops = 3 * core + (4 if settings["frozen"] else 6) * answers * n_tokens * w
    moved = 32 * moving + 20 * answers * n_tokens
    held = min(chunk_bytes, 4 * answers * n_tokens) * (3 if low else 2)
    kept = 64 * tokens * settings["layers"] * w
    if settings["core"] == "mamba":
        kept += 16 * tokens * settings["layers"] * EXPAND * w * STATE
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
    """Say in two sentences what a run at the paper's size wants of a GPU, and how long this CPU would take.

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
