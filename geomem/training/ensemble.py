"""Many tiny models at once: seeds and knobs are a batch dimension over one ``SequenceModel``."""

import itertools
import math
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call, stack_module_state, vmap

from .. import _checks
from ..graphs import Graph, require_graph
from ..measures import edge_recall
from ..models import SequenceModel
from ..models.transformer import Block, plain_attention
from ..tasks import Vocabulary

KNOBS = ("lr", "weight_decay", "init_std", "dropout")
SCHEDULES = {
    "constant": lambda part: 1.0,
    "cosine": lambda part: 0.1 + 0.45 * (1 + math.cos(math.pi * part)),
}
PRECISIONS = ("float32", "float64", "bf16")
BETAS, EPS = (0.9, 0.999), 1e-8
CHUNK_BYTES = 64 * 2**20
"""Parameters, gradients and two moments of members trained together stay below this: larger chunks are no faster."""
LANES = 32
"""AdamW's vector instructions never mix two members, so a member's numbers do not depend on the others in its batch."""


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Hold the results of an ensemble of B models: T snapshots, n nodes.

    Args:
        steps: Steps taken at each snapshot, int64 ``(T,)``; the last is the final state.
        embeddings: Node rows of the embedding table, ``(T, B, n, width)``.
        loss: Mean cross-entropy over directed edges, nats, without dropout, ``(T, B)``.
        edge_recall: As ``measures.edge_recall``, of the trained directions, float64 ``(T, B)``; NaN where a member diverged.
        knobs: One value per member for lr, weight_decay, init_std, dropout and seed, ``(B,)`` each; seeds run fastest.
        settings: What ``SequenceModel`` was made with, the same for all members.
        training: What else all members share: schedule, precision, self_edges, directions.
    """

    steps: Tensor
    embeddings: Tensor
    loss: Tensor
    edge_recall: Tensor
    knobs: dict[str, Tensor]
    final_scores: Tensor
    parameters: dict[str, Tensor]
    settings: dict
    training: dict

    def __repr__(self) -> str:
        n_steps, members, n_nodes, width = self.embeddings.shape
        return (
            f"Ensemble({self.settings['core']!r}, {n_steps} snapshots to step {int(self.steps[-1])}, {members} members, "
            f"n_nodes={n_nodes}, width={width}, edge_recall={float(self.edge_recall[-1].mean()):.3f})"
        )

    def scores(self) -> Tensor:
        """Return the final logits over node tokens, v given u at ``[u, v]``, ``(B, n, n)``."""
        return self.final_scores

    def model(self, b: int) -> SequenceModel:
        """Return member b as a separate model, with its final parameters."""
        b = range(len(self.final_scores))[b]
        model = SequenceModel(**self.settings, dropout=float(self.knobs["dropout"][b]), seed=int(self.knobs["seed"][b]))
        model.to(self.embeddings.dtype).load_state_dict({name: stack[b] for name, stack in self.parameters.items()})
        return model


def train_ensemble(
    graph: Graph,
    *,
    core: str = "linear",
    width: int = 32,
    layers: int = 1,
    heads: int = 1,
    steps: int = 500,
    lr: float | Sequence[float] = 0.01,
    schedule: str = "cosine",
    weight_decay: float | Sequence[float] = 0.0,
    init_std: float | Sequence[float] = 0.02,
    core_std: float = 0.02,
    dropout: float | Sequence[float] = 0.0,
    frozen: bool = False,
    tied: bool = True,
    self_edges: bool = False,
    directions: str = "both",
    seeds: Sequence[int] = range(16),
    snapshots: Sequence[int] = (0,),
    precision: str = "float32",
    device: str | torch.device = "cpu",
    memory: float = 1.0,
    workers: int = 1,
    progress: bool = False,
) -> Ensemble:
    """Train many tiny models on the edges of one graph at once, full batch.

    The loss is the mean cross-entropy over directed edges, softmax over the node tokens. AdamW with betas (.9, .999) and
    eps 1e-8; decay acts on all trained parameters; "cosine" decays the rate to a tenth. The batch is the grid of the
    listed knobs times the seeds, seeds fastest. A member's start values and dropout draws depend on its seed only, so
    members that differ in a knob share them, and a member trained alone ends at the same numbers.

    Members train in chunks. At widths that are multiples of 16 neither ``memory`` nor ``workers`` nor the other members
    change a bit of a member; at other widths, and for mamba, they may change the last ones (other kernels for other shapes).

    Since the loss needs a node's answers once, the model reads n rows, not one per edge: ``u`` for cores that read one
    token, ``[EDGE] u`` for the others. One dropout draw serves all edges of a node.

    Args:
        graph: The facts.
        core: A name in ``models.CORES``.
        width: Width of the embeddings.
        layers: Blocks or linear maps.
        heads: Attention heads.
        steps: Optimiser steps, at least 1.
        lr: Learning rate, > 0; one or several.
        schedule: "cosine" or "constant".
        weight_decay: Decoupled decay, at least 0; one or several.
        init_std: Standard deviation of the embedding's start values, > 0; one or several.
        core_std: That of the core's weights, > 0.
        dropout: Share dropped, in [0, 1); one or several.
        frozen: Leave the embeddings as drawn: the associative memory.
        tied: Unembed with the embedding table.
        self_edges: Train ``u -> u`` too.
        directions: "both", "forward" or "backward"; only nodes with a target enter the loss.
        seeds: One member per seed and setting of the knobs.
        snapshots: Steps at which to keep embeddings, loss and recall; the last step is always kept.
        precision: "float32", "float64", or "bf16" (autocast over float32 parameters).
        device: "cpu", "cuda", "auto", or a ``torch.device``.
        memory: GiB for results and for chunks in training, as estimated: parameters, gradients, two moments, activations.
        workers: Chunks that train in parallel, at least 1; on two cores use 2, each with ``torch.set_num_threads(1)``.
        progress: Show a bar of the steps of all chunks.

    Returns:
        The runs, on the CPU.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range or unknown, nothing is left to train, or memory does not hold the results
            and one member in training per worker.

    Source:
        Paper, tiny runs (AdamW, lr 0.01, cosine to a tenth, init std 0.02); the batch of knobs is ours.

    Example:
        >>> from geomem.graphs import cycle
        >>> runs = train_ensemble(cycle(5), width=8, steps=50, lr=[0.01, 0.1], seeds=[0, 1])
        >>> runs.loss.shape, runs.knobs["seed"].tolist()
        (torch.Size([2, 4]), [0, 1, 0, 1])
    """
    way_out = "Go on with train: train(model, EdgeTask(graph), recipes.few_nodes(task)), one model at a time."
    _checks.dense(require_graph(graph).n_nodes, "train_ensemble", way_out)
    steps = _checks.integer("steps", steps, least=1)
    memory = _checks.real("memory", memory, above=0)
    workers = _checks.integer("workers", workers, least=1)
    _checks.boolean("progress", progress)
    kept = _checks.snapshots_of(snapshots, steps)
    _checks.one_of("schedule", schedule, SCHEDULES)
    _checks.one_of("precision", precision, PRECISIONS)
    device = _checks.device_of(device)
    _checks.boolean("self_edges", self_edges)
    members = _members(lr, weight_decay, init_std, dropout, seeds)
    settings: dict[str, Any] = dict(
        n_tokens=Vocabulary(graph.n_nodes).n_tokens, core=core, width=width, layers=layers, heads=heads
    )
    settings |= dict(context=2, position_std=1.0, tied=tied, frozen=frozen, core_std=core_std)
    template = SequenceModel(**settings)
    if not any(p.requires_grad for p in template.parameters()):
        raise ValueError("frozen must leave something to train: the identity core has nothing but its embedding.")
    tokens = torch.arange(graph.n_nodes)[:, None]
    if template.core.sequential:
        tokens = torch.cat([torch.full_like(tokens, Vocabulary(graph.n_nodes).EDGE), tokens], dim=1)
    targets = graph.targets(directions=directions, self_edges=self_edges)
    chunks = _chunks(members, template, tokens, len(kept), 8 if precision == "float64" else 4, memory, workers)
    facts: dict[str, Any] = dict(self_edges=self_edges, directions=directions)
    training = dict(schedule=schedule, precision=precision, **facts)
    from tqdm.auto import tqdm  # slow to import, and a notebook's where there is one

    with tqdm(total=steps * len(chunks), disable=not progress, unit="step") as bar, ThreadPoolExecutor(workers) as pool:

        def trained(chunk):
            found = _train_chunk(settings, chunk, tokens, targets, steps, SCHEDULES[schedule], kept, precision, device, bar)
            embeddings, loss, scores, final = found
            recall = edge_recall(scores.nan_to_num(), graph, **facts)
            recall = recall.masked_fill(~scores.isfinite().all(-1).all(-1), torch.nan)  # diverged: recalls nothing
            return (embeddings, loss, recall, scores[-1:].clone()), final

        parts = list((pool.map if workers > 1 else map)(trained, chunks))  # in this thread, Ctrl-C stops at once
    embeddings, loss, recall, scores = (torch.cat([tables[k] for tables, _ in parts], dim=1) for k in range(4))
    parameters = {name: torch.cat([final[name] for _, final in parts]) for name in parts[0][1]}
    knobs = {name: torch.tensor([member[name] for member in members], dtype=torch.float64) for name in KNOBS}
    knobs["seed"] = torch.tensor([member["seed"] for member in members])
    return Ensemble(torch.tensor(kept), embeddings, loss, recall, knobs, scores[-1], parameters, settings, training)


def _members(lr, weight_decay, init_std, dropout, seeds) -> list[dict]:
    """Return one dict per member: the grid of the knobs, seeds fastest."""
    rules: dict[str, dict[str, Any]] = {
        "lr": {"above": 0},
        "weight_decay": {"least": 0},
        "init_std": {"above": 0},
        "dropout": {"least": 0, "below": 1},
    }
    axes = []
    for name, value in zip(KNOBS, (lr, weight_decay, init_std, dropout), strict=True):
        value = value.tolist() if hasattr(value, "tolist") else value
        listed: list[Any] = list(value) if isinstance(value, Iterable) and not isinstance(value, str) else [value]
        if not listed:
            raise ValueError(f"{name} must hold at least one value, got none.")
        axes.append([_checks.real(name, v.item() if hasattr(v, "item") else v, **rules[name]) for v in listed])
    axes.append(_checks.seeds_of(seeds))
    return [dict(zip((*KNOBS, "seed"), values, strict=True)) for values in itertools.product(*axes)]


def _chunks(members, template, tokens, n_kept: int, width_of_float: int, memory: float, workers: int) -> list[list[dict]]:
    """Split the members so that the runs, and as many chunks as there are workers, fit into ``memory`` GiB."""
    saved = {}  # what autograd keeps of one member's forward pass

    def keep(tensor):
        saved[tensor.data_ptr()] = tensor  # itself, so that no address is used twice
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        template(tokens, last=1)
    n, size = len(tokens), sum(p.numel() for p in template.parameters())
    held = n_kept * n * template.embedding.shape[1] + n * n + size  # snapshots, final scores and parameters
    activations = 2 * sum(t.numel() for t in saved.values())  # twice: the backward pass makes as much again
    trains = 4 * size + activations + 8 * n_kept * n * n  # eight: recall of every snapshot sorts in float64
    room = memory * 2**30 / width_of_float - 2 * held * len(members)  # twice: results of chunks are joined
    if room < trains * workers:
        needed = width_of_float * (2 * held * len(members) + trains * workers) / 2**30
        raise ValueError(f"memory must hold the runs and one member in training per worker, {needed:.2g} GiB, got "
                         f"{memory:g}. Raise it, keep fewer snapshots, or train fewer members at a time.")  # fmt: skip
    most = min(room // (trains * workers), CHUNK_BYTES // (4 * width_of_float * size), -(-len(members) // workers))
    size = max(1, int(most))
    return [members[a : a + size] for a in range(0, len(members), size)]


def _train_chunk(
    settings, members, tokens, targets, steps, schedule, kept, precision, device, bar
) -> tuple[Tensor, Tensor, Tensor, dict[str, Tensor]]:
    """Train these members together; return snapshots of embeddings, loss and scores, and the final parameters."""
    dtype = torch.float64 if precision == "float64" else torch.float32
    models = [SequenceModel(**settings, init_std=member["init_std"], seed=member["seed"]) for member in members]
    for module in models[0].modules():
        if isinstance(module, Block):
            module.kernel = plain_attention  # vmap has no rule for the fused kernel
    trained = {name for name, p in models[0].named_parameters() if p.requires_grad}
    parameters, _ = stack_module_state(models)
    parameters = {k: _padded(v.detach().to(device, dtype)).requires_grad_(k in trained) for k, v in parameters.items()}
    dropped = [m["dropout"] for m in members]
    rates = torch.tensor(dropped, dtype=dtype).to(device)
    noise = _noise(models[0], members, tokens, device, dtype) if any(dropped) else itertools.repeat(None)
    n = len(targets)
    tokens, targets = tokens.to(device), targets.to(device, dtype)

    def scores(member, rate, draws):
        state = {**member, "dropout": rate}
        return functional_call(models[0], state, (tokens,), {"last": 1, "noise": draws})[:, 0, :n]

    def all_scores(draws=None):
        with torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16"):
            in_dims = (0, 0, None if draws is None else 0)
            return vmap(scores, in_dims)(parameters, rates, draws).to(dtype)

    moving = [parameters[name] for name in sorted(trained)]
    optimizer = _adamw(moving, members)
    snapshots = []
    for first, last in zip((0, *kept), kept, strict=False):
        for step in range(first, last):
            loss = _loss(all_scores(next(noise)), targets).sum()  # members are independent: their gradients do not mix
            _adamw_step(optimizer, torch.autograd.grad(loss, moving), schedule(step / max(steps - 1, 1)))
            if not bar.disable:
                with bar.get_lock():
                    bar.update()
        with torch.no_grad():
            now = all_scores()
            table = parameters["embedding"].detach()[:, :n].clone()
            snapshots.append((table.cpu(), _loss(now, targets).cpu(), now.cpu()))
    final = {name: p.detach().cpu().contiguous() for name, p in parameters.items()}
    embeddings, loss, logits = (torch.stack(part) for part in zip(*snapshots, strict=True))
    return embeddings, loss, logits, final


def _loss(scores: Tensor, targets: Tensor) -> Tensor:
    """Return the mean cross-entropy over directed edges of every member, ``(B,)``."""
    return -(torch.log_softmax(scores, dim=-1) * targets).sum((-2, -1)) / targets.sum()


def _noise(model: SequenceModel, members: list[dict], tokens: Tensor, device, dtype):
    """Yield each step's dropout draws ``(B, sites, n, length, width)``: one random stream per seed, whatever the knobs."""
    streams = {m["seed"]: _second_stream(m["seed"]) for m in members}
    while True:
        draws = {seed: model.draw_noise(tokens, stream) for seed, stream in streams.items()}
        yield torch.stack([draws[m["seed"]] for m in members]).to(device, dtype)


def _second_stream(seed: int) -> torch.Generator:
    """Return a generator that depends on the seed and does not repeat the one that drew the start values."""
    first = torch.Generator().manual_seed(seed)
    return torch.Generator().manual_seed(int(torch.randint(2**32, (), generator=first)))


def _padded(stack: Tensor) -> Tensor:
    """Return the same stack with every member's entries beginning at a multiple of LANES in memory, zeros between."""
    rows = stack.flatten(1)
    return F.pad(rows, (0, -rows.shape[1] % LANES))[:, : rows.shape[1]].unflatten(1, stack.shape[1:])


def _rows(stack: Tensor) -> Tensor:
    """Return a padded stack's memory, one row per member, padding included."""
    return stack.detach().as_strided((len(stack), stack.stride(0)), (stack.stride(0), 1))


def _adamw(parameters: list[Tensor], members: list[dict]) -> torch.optim.AdamW:
    """Return torch's fused AdamW with one parameter group for each run of members of equal rate and decay.

    Its parameters are slices that share memory with the stacks, so a step writes where the model reads.
    """
    groups, start = [], 0
    for (lr, decay), same in itertools.groupby(members, key=lambda member: (member["lr"], member["weight_decay"])):
        stop = start + len(list(same))
        slices = [_rows(p)[start:stop] for p in parameters]
        groups.append({"params": slices, "lr": lr, "initial_lr": lr, "weight_decay": decay, "members": slice(start, stop)})
        start = stop
    return torch.optim.AdamW(groups, betas=BETAS, eps=EPS, fused=True)


def _adamw_step(optimizer: torch.optim.AdamW, gradients: Sequence[Tensor], factor: float) -> None:
    """Take one step with every group's own rate times ``factor``."""
    gradients = [gradient.flatten(1) for gradient in gradients]
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] * factor
        for p, gradient in zip(group["params"], gradients, strict=True):
            gradient = gradient[group["members"]].contiguous()  # the fused kernel reads memory as if it were
            p.grad = F.pad(gradient, (0, p.shape[1] - gradient.shape[1])) if gradient.shape != p.shape else gradient
    optimizer.step()
