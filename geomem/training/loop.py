"""One loop for large tasks: recipes of stages over edges and paths, evaluation at listed steps, safe checkpoints."""

import itertools
import math
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .. import _checks
from ..measures import edge_recall
from ..models import SequenceModel
from ..tasks import TASKS, GraphTask, Rows, Task
from . import candidates, checkpoints, neighbourhoods
from .ensemble import BETAS, EPS, SCHEDULES
from .lazy import TABLES
from .loss import cross_entropy

PRECISIONS = ("auto", "float32", "bf16")
EVALUATIONS = 20
EVALUATION_BYTES = 2**26
EVALUATED = 2_000
"""Paths of the training and of the validation split that an evaluation reads at most; test paths are all read."""
RECALL_NODES = 200


@dataclass(frozen=True)
class Stage:
    """One training stage: its steps, their rate and their batches.

    A step's loss is the mean cross-entropy of ``edges`` facts plus ``path_weight`` times that of ``paths`` path examples,
    each drawn without replacement until all were seen. A *Node2Vec term* may stand beside it: the cross-entropy of the same
    facts with scores ``E_u . E_v``, read from the model's own table without its core.

    On a large path-star a step need not see all tokens. With ``arms``, it draws that many whole arms, each once before any
    is drawn again: all their facts, and those of their paths that are trained, are its examples, and their nodes, the root
    and the special tokens are the candidates of its softmax, in which the nodes of other drawn arms stand for those of all
    arms that were not drawn. With all arms drawn this is the full softmax. A step costs as if the star had k arms, and
    the table's optimiser makes up what rows have missed when they are drawn again.

    On any other large graph, ``nodes`` draws that many nodes, each once before any is drawn again: all their facts are the
    examples, and they, their answers, the special tokens and ``candidates`` further nodes are the candidates, in which a
    further node stands for as many as were not drawn. With all nodes drawn this, too, is the full softmax.

    Args:
        steps: Optimiser steps, at least 1.
        lr: Learning rate at the start of the stage, > 0.
        edges: Facts per step, at least 0; with ``arms`` it is ignored and set to 0.
        paths: Path examples per step, at least 0; with ``arms`` the largest number of them.
        path_weight: Weight of the paths' loss, where that of the edges is 1; > 0.
        schedule: "cosine" decays the rate to a tenth within the stage; "constant".
        warmup: Steps over which the rate rises from 0, at least 0.
        decay: Decoupled decay of the table of embeddings alone (with a table of unembeddings, of both): a step first
            multiplies it by ``1 - rate * decay``. None gives the table the same ``weight_decay`` as all else.
        weight_decay: Decoupled decay of all other trained parameters, at least 0.
        node2vec: Weight of the Node2Vec term, at least 0; it needs a tied model, and ``edges`` or ``arms``.
        arms: Arms of a path-star drawn per step; 0 draws facts and paths, with all tokens as candidates.
        table: The optimiser of the table with ``arms`` or ``nodes``: "adam" is AdamW, "rms" takes plain gradient steps,
            divided by one running root mean square for the whole table; its rate is what an entry of a drawn row moves.
        nodes: Nodes drawn per step, whose facts are its examples; 0 draws facts, with all tokens as candidates. ``edges`` is
            then ignored and set to 0.
        candidates: With ``nodes``, how many further nodes are drawn as candidates, at least 1.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, or the stage trains on nothing.

    Source:
        Paper, settings: edges first, paths first, or interleaved.

    Example:
        >>> Stage(100, 3e-3, edges=64, paths=16).path_weight
        1.0
    """

    steps: int
    lr: float
    edges: int = 512
    paths: int = 0
    path_weight: float = 1.0
    schedule: str = "cosine"
    warmup: int = 0
    decay: float | None = None
    weight_decay: float = 0.01
    node2vec: float = 0.0
    arms: int = 0
    table: str = "adam"
    nodes: int = 0
    candidates: int = 1024

    def __post_init__(self):
        least_of = {"steps": 1, "edges": 0, "paths": 0, "warmup": 0, "arms": 0, "nodes": 0, "candidates": 1}
        for name, least in least_of.items():
            object.__setattr__(self, name, _checks.integer(name, getattr(self, name), least=least))
        rules: dict[str, dict[str, Any]] = {
            "lr": {"above": 0},
            "path_weight": {"above": 0},
            "weight_decay": {"least": 0},
            "node2vec": {"least": 0},
        }
        rules |= {} if self.decay is None else {"decay": {"least": 0}}
        for name, rule in rules.items():
            object.__setattr__(self, name, _checks.real(name, getattr(self, name), **rule))
        _checks.one_of("schedule", self.schedule, SCHEDULES)
        _checks.one_of("table", self.table, TABLES)
        if self.arms and self.nodes:
            raise ValueError(f"nodes must be 0 in a stage that draws arms, got {self.nodes}. Set one of the two to 0.")
        if self.table != "adam" and not self.arms and not self.nodes:
            raise ValueError(f"table must be 'adam' in a stage without arms and nodes, got {self.table!r}. Set one above 0.")
        if self.arms or self.nodes:
            object.__setattr__(self, "edges", 0)
        elif not self.edges and not self.paths:
            raise ValueError("a stage must train on edges or paths, got neither. Set edges or paths above 0.")
        if self.node2vec and not self.edges and not self.arms and not self.nodes:
            raise ValueError(f"node2vec must be 0 in a stage without edges, got {self.node2vec:g}: its term needs edges.")

    def rate(self, step: int) -> float:
        """Return the learning rate at a step of the stage."""
        warm = min(1.0, (step + 1) / (self.warmup + 1))
        return self.lr * warm * SCHEDULES[self.schedule](step / max(self.steps - 1, 1))


@dataclass(frozen=True, eq=False)
class Result:
    """Hold a trained model and what was measured during training.

    Args:
        model: The model, on the CPU.
        task: What it was trained on.
        history: One dict per evaluation: ``step``, ``seconds`` of training so far, ``edge_recall`` on a sample of nodes,
            and for each of train, validation and test the ``token_accuracy`` of every target, and ``answer_accuracy``.
        settings: Everything that decides the result.

    Source:
        Ours.

    Example:
        >>> from geomem import PathTask, path_star
        >>> task = PathTask(path_star(8, 3))
        >>> run = train(SequenceModel(task.vocabulary.n_tokens), task, [Stage(2, 1e-3, edges=8)], device="cpu")
        >>> [tuple(x.shape) for x in run.curve("validation", token=1)]
        [(2,), (2,)]
    """

    model: SequenceModel
    task: Task
    history: list[dict]
    settings: dict

    def __repr__(self) -> str:
        model, last = self.settings["model"], self.history[-1]
        size = f"core={model['core']!r}, width={model['width']}, layers={model['layers']}"
        return f"Result({self.task!r}, {size}, {len(self.history)} evaluations to step {last['step']})"

    @property
    def token_accuracy(self) -> Tensor:
        """Held-out accuracy of each target token at the end, float64 ``(n_targets,)``, the true tokens before it given."""
        if "test" not in self.history[-1]:
            raise ValueError(f"token_accuracy needs held-out paths, and {self.task!r} has none. Look at history.")
        return torch.tensor(self.history[-1]["test"]["token_accuracy"], dtype=torch.float64)

    def curve(self, split: str = "test", token: int | None = None) -> tuple[Tensor, Tensor]:
        """Return steps and accuracy at each evaluation, ``(T,)`` both: of the whole answer, or of one target token."""
        _checks.one_of("split", split, [name for name, row in self.history[-1].items() if isinstance(row, dict)])
        if token is not None and not 0 <= _checks.integer("token", token, least=0) < self.task.n_targets:
            raise ValueError(f"token must lie in 0 to {self.task.n_targets - 1}, the tokens of an answer, got {token}.")
        rows = [row[split] for row in self.history]
        values = [row["answer_accuracy"] if token is None else row["token_accuracy"][token] for row in rows]
        return torch.tensor([row["step"] for row in self.history]), torch.tensor(values, dtype=torch.float64)

    def save(self, folder: str | Path) -> None:
        """Write model, task and history to one file in ``folder``, whole or not at all."""
        info = {"settings": self.settings, "history": self.history}
        checkpoints.write(checkpoints.folder_of(folder), _kept(self.model, self.task), info)


def load_result(folder: str | Path) -> Result:
    """Return what ``Result.save``, or a checkpoint of ``train``, left in a folder.

    Args:
        folder: A folder that holds ``run.safetensors``.

    Raises:
        ValueError: If there is none, or it was truncated or edited.

    Source:
        Ours.
    """
    tensors, info = checkpoints.read(folder)
    task = TASKS[info["settings"]["task"]["kind"]].restore(tensors, info["settings"]["task"])
    model = SequenceModel(**info["settings"]["model"]).to(tensors["model.embedding"].dtype)
    model.load_state_dict(_part(tensors, "model."))
    return Result(model, task, info["history"], info["settings"])


def train(
    model: SequenceModel,
    task: Task,
    recipe: Sequence[Stage],
    *,
    seed: int = 0,
    snapshots: Sequence[int] | None = None,
    device: str | torch.device = "auto",
    precision: str = "auto",
    compile: bool | str = False,
    checkpoint: str | Path | None = None,
    checkpoint_seconds: float = 180.0,
    on_step: Callable[[int, SequenceModel], object] | None = None,
    measure: Callable[[SequenceModel], dict] | None = None,
) -> Result:
    """Train a model on a task by a recipe, and measure it at the listed steps.

    All examples lie on the device. Batches come from one generator, logits are formed where a target is and nowhere else,
    and only the evaluations wait for the device. Held-out paths are read there and never choose anything.

    Args:
        model: The model; it is trained in place.
        task: What to learn, with a vocabulary that is the model's.
        recipe: Stages, one after the other; the optimiser's moments pass from one to the next.
        seed: Draws the batches.
        snapshots: Steps after which to evaluate; by default twenty, evenly spaced. The last step is always one.
        device: "cpu", "cuda", "auto", or a ``torch.device``.
        precision: "float32", "bf16" (autocast; parameters and sums stay float32), or "auto": bf16 on CUDA only.
        compile: True compiles the core, on CUDA replayed as graphs, and the softmax, which takes minutes; "graphs" only
            replays the core's kernels as CUDA graphs, which starts in seconds.
        checkpoint: A folder. A run found there is continued, and ends at the same result as one that was never stopped.
        checkpoint_seconds: How often to write it, > 0.
        on_step: Called with the steps done and the model, after each step; where stages draw arms, the model's table is
            that of the last evaluation or checkpoint.
        measure: Called with the model at each evaluation; the numbers it returns join the row of ``Result.history``, and so
            the checkpoint.

    Returns:
        The run; its model, on the CPU, is the one given.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, model and task do not fit, a batch is larger than the data, or the
            folder holds another run.

    Source:
        Paper, settings; the loop is ours.

    Example:
        >>> from geomem import PathTask, path_star
        >>> task = PathTask(path_star(8, 3), target="first")
        >>> model = SequenceModel(task.vocabulary.n_tokens, width=8, layers=1)
        >>> run = train(model, task, [Stage(20, 3e-3, edges=16), Stage(20, 3e-3, edges=16, paths=4)], device="cpu")
        >>> run.history[-1]["step"], run.token_accuracy.shape
        (40, torch.Size([1]))
    """
    device = _checks.device_of(device)
    recipe, listed, settings = _plan(model, task, recipe, seed, snapshots, device, precision)
    path = None if checkpoint is None else checkpoints.folder_of(checkpoint)
    _checks.real("checkpoint_seconds", checkpoint_seconds, above=0)
    if not isinstance(compile, bool) and compile != "graphs":
        raise TypeError(f"compile must be True, False or 'graphs', got {compile!r}.")
    candidates.check(model, task, recipe, compile)
    neighbourhoods.check_nodes(model, task, recipe, compile)
    state = _State(model.to(device), task, torch.Generator(device).manual_seed(settings["seed"]), settings, recipe)
    if path is not None and (path / checkpoints.NAME).exists():
        state.resume(path)
    hidden, graphs = model.hidden, bool(compile) and device.type == "cuda"
    if compile:  # a step's shapes never change within a stage, so nothing is left open
        how: dict[str, Any] = (
            {"mode": "reduce-overhead" if graphs else "default"} if compile is True else {"backend": "cudagraphs"}
        )
        hidden = torch.compile(hidden, dynamic=False, **how)

    def look(step: int, seconds: float) -> None:
        """Append an evaluation of the current model to the history."""
        state.sync()
        row = evaluate(model, task) | ({} if measure is None else measure(model))
        state.history.append(row | {"step": step, "seconds": round(seconds, 3)})

    low = torch.autocast(device.type, torch.bfloat16, enabled=settings["precision"] == "bf16")
    if state.step == 0 in listed and not state.history:
        look(0, 0.0)
    tick = saved = time.perf_counter()
    plan = ((stage, k) for stage in recipe for k in range(stage.steps))
    for stage, k in itertools.islice(plan, state.step, None):
        for group in state.optimizer.param_groups:
            group["lr"], group["weight_decay"] = stage.rate(k), stage.weight_decay
            if group["table"] and stage.decay is not None:
                group["weight_decay"] = stage.decay
        state.optimizer.zero_grad()
        with low:
            if graphs:
                torch.compiler.cudagraph_mark_step_begin()  # the last step's results may be overwritten now
            if state.arms is not None:
                loss = state.arms.loss(stage)
            else:
                drawn = state.facts.draw(stage.edges), state.paths.draw(stage.paths)
                loss = _loss(hidden, model, *drawn, stage, compile is True)
        loss.backward()
        state.update()
        due = time.perf_counter() - saved > checkpoint_seconds and path is not None
        if due or state.step in listed:
            state.seconds += _now(device) - tick
            if state.step in listed:
                look(state.step, state.seconds)
                if not loss.isfinite():
                    warnings.warn("the loss is not finite: the run has diverged, and answers count as wrong. Lower lr.",
                                  RuntimeWarning, stacklevel=2)  # fmt: skip
            if due and path is not None:
                state.write(path)
                saved = time.perf_counter()
            tick = time.perf_counter()
        if on_step is not None:
            on_step(state.step, model)
    if path is not None:
        state.write(path)
    return Result(model.cpu(), task, state.history, settings)


def evaluate(model: SequenceModel, task: Task) -> dict:
    """Return one entry of ``Result.history``, without step and seconds.

    Of training and validation paths at most ``EVALUATED`` are read, drawn by the task's seed; ``n`` says so in the row.

    Args:
        model: The model, on any device.
        task: The task.

    Source:
        Paper: accuracy of each token given the true ones before it. All right at once is the same as a greedy answer
        being right, token by token.
    """
    rows: dict[str, Any] = {"edge_recall": _recall(model, task)} if isinstance(task, GraphTask) else {}
    for name, (inputs, targets) in task.held().items():
        sampled = name != "test" and len(inputs) > EVALUATED
        if sampled:
            order = torch.randperm(len(inputs), generator=torch.Generator().manual_seed(task.seed))[:EVALUATED]
            inputs, targets = inputs[order], targets[order]
        hits = _hits(model, inputs, targets).double()
        rows[name] = {"token_accuracy": hits.mean(0).tolist(), "answer_accuracy": float(hits.all(1).double().mean())}
        rows[name] |= {"n": len(inputs)} if sampled else {}
    return rows


def _plan(model, task, recipe, seed, snapshots, device, precision) -> tuple[list[Stage], set[int], dict]:
    """Check all arguments against each other; return stages, steps to evaluate at, and all that decides the result."""
    if not isinstance(model, SequenceModel) or not isinstance(task, Task):
        raise TypeError(f"train takes a SequenceModel and a task, got {type(model).__name__} and {type(task).__name__}.")
    recipe = list(recipe) if isinstance(recipe, Iterable) else [recipe]
    if not recipe or not all(isinstance(stage, Stage) for stage in recipe):
        raise TypeError(f"recipe must be a list of one or more Stage, got {recipe!r}. See geomem.recipes.")
    seed = _checks.seed_of("seed", seed)
    if len(model.embedding) != task.vocabulary.n_tokens:
        raise ValueError(
            f"model must have the task's vocabulary of {task.vocabulary.n_tokens} tokens, got {len(model.embedding)}. "
            "Make it with SequenceModel(task.vocabulary.n_tokens)."
        )
    if not model.core.sequential and any(stage.paths for stage in recipe):
        raise ValueError("model must read sequences to learn paths, got a core that reads one token. Use a transformer.")
    if any(stage.node2vec for stage in recipe) and model.untied is not None:
        raise ValueError("node2vec must be 0 for an untied model: the term reads scores with the embeddings themselves.")
    if model.dropout > 0:
        raise ValueError(f"dropout must be 0, because this loop applies none, got {float(model.dropout):g}.")
    for stage in recipe:
        facts = len(task.edges) if isinstance(task, GraphTask) else 0
        for name, wanted, there in (("edges", stage.edges, facts), ("paths", stage.paths, task.n_paths)):
            if there is not None and wanted > there:
                raise ValueError(f"{name} must be at most the {there} there are to train on, got {wanted}. Lower it.")
    with torch.no_grad():
        for inputs, _ in task.held().values():
            model.hidden(inputs[:1].to(model.embedding.device))  # a context too short is found here
    steps = sum(stage.steps for stage in recipe)
    if snapshots is None:
        snapshots = [math.ceil(steps * k / EVALUATIONS) for k in range(1, EVALUATIONS + 1)]
    listed = _checks.snapshots_of(snapshots, steps)
    _checks.one_of("precision", precision, PRECISIONS)
    if precision == "auto":
        precision = "bf16" if device.type == "cuda" else "float32"
    settings = {"task": task.settings, "model": model.settings, "recipe": [asdict(stage) for stage in recipe]}
    settings |= {"seed": seed, "snapshots": list(listed), "precision": precision, "device": device.type}
    return recipe, set(listed), settings


def _loss(hidden, model, facts, paths, stage: Stage, compiled: bool = False) -> Tensor:
    """Return the weighted cross-entropy of facts, paths and the Node2Vec term, from one pass over the logits."""
    states, answers, weights = [], [], []
    alone = facts if stage.node2vec else (facts[0][:0], facts[1][:0])
    parts = ((facts, 1.0, hidden), (paths, stage.path_weight, hidden), (alone, stage.node2vec, model.looked_up))
    for (inputs, targets), weight, read in parts:
        if len(inputs):
            states.append(read(inputs, targets.shape[1]).flatten(0, 1))
            exact = torch.promote_types(states[-1].dtype, torch.float32)
            answers.append(targets.flatten())
            weights.append(states[-1].new_full((targets.numel(),), weight / targets.numel(), dtype=exact))
    states, answers, weights = (torch.cat(parts) for parts in (states, answers, weights))
    return cross_entropy(states, model.unembedding, answers, weights, compiled=compiled)


@torch.no_grad()
def _hits(model: SequenceModel, inputs: Tensor, targets: Tensor) -> Tensor:
    """Return which target tokens score highest, bool ``(k, n_targets)``, some rows at a time."""
    device, n = model.embedding.device, targets.shape[1]
    rows = max(1, EVALUATION_BYTES // (4 * n * len(model.unembedding)))
    best = []
    for some in inputs.split(rows):
        score, token = model(some.to(device), n).max(-1)
        best.append(token.where(score.isfinite(), -1).cpu())  # a model that diverged answers nothing
    return torch.cat(best) == targets


@torch.no_grad()
def _recall(model: SequenceModel, task: GraphTask) -> float:
    """Return the recall of the trained facts, on at most ``RECALL_NODES`` nodes that have one, drawn by the task's seed."""
    heads = task.edges[:, 1].unique()
    order = torch.randperm(len(heads), generator=torch.Generator().manual_seed(task.seed))
    nodes = heads[order[:RECALL_NODES]]
    asked = torch.stack([torch.full_like(nodes, task.vocabulary.EDGE), nodes], dim=1).to(model.embedding.device)
    scores, facts = model(asked, 1)[:, 0, : task.graph.n_nodes], task.edges[:, 1:]
    if not scores.isfinite().all():
        return 0.0
    return float(edge_recall(scores, task.graph, nodes=nodes, facts=facts, self_edges=task.self_edges))


def _now(device) -> float:
    """Return the time once the device has finished its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


class _State:
    """Everything that training changes, so that it can be saved and resumed."""

    def __init__(self, model, task, generator, settings, recipe):
        self.model, self.task, self.generator, self.settings = model, task, generator, settings
        device = model.embedding.device
        facts = (task.edges if isinstance(task, GraphTask) else torch.empty(0, 3, dtype=torch.int64)).to(device)
        self.facts = Rows(facts[:, :-1], facts[:, -1:], generator)
        self.paths = task.source(generator)
        steps = candidates.ArmSteps if recipe[0].arms else neighbourhoods.NodeSteps if recipe[0].nodes else None
        self.arms = None if steps is None else steps(model, task, recipe, generator)
        own = set() if self.arms is None else {id(model.embedding)}  # drawn rows have an optimiser of their own
        self.moving = [p for p in model.parameters() if p.requires_grad and id(p) not in own]
        tables = {id(model.embedding), id(model.unembedding)}
        parts = {table: [p for p in self.moving if (id(p) in tables) == table] for table in (True, False)}
        groups = [{"params": part, "table": table} for table, part in parts.items() if part or not table]
        self.optimizer = torch.optim.AdamW(groups, betas=BETAS, eps=EPS, fused=True)
        self.step, self.seconds, self.history = 0, 0.0, []

    def sync(self) -> None:
        """Copy what was trained into the model."""
        if self.arms is not None:
            self.arms.sync()

    def update(self) -> None:
        """Apply the gradients."""
        self.optimizer.step()
        if self.arms is not None:
            self.arms.update()
        self.step += 1

    def write(self, folder: Path) -> None:
        """Save everything to one file."""
        self.sync()
        tensors = _kept(self.model, self.task) | ({} if self.arms is None else self.arms.tensors())
        tensors |= {"generator": self.generator.get_state(), "facts": self.facts.state()}
        tensors |= {} if (paths := self.paths.state()) is None else {"paths": paths}
        for k, p in enumerate(self.moving):
            tensors |= {f"adam.{k}.{name}": value for name, value in self.optimizer.state.get(p, {}).items()}
        info = {"settings": self.settings, "history": self.history, "step": self.step, "seconds": self.seconds}
        checkpoints.write(folder, tensors, info)

    def resume(self, folder: Path) -> None:
        """Continue from a checkpoint, if it is of the same run."""
        tensors, info = checkpoints.read(folder)
        other = [key for key, value in self.settings.items() if info["settings"].get(key) != value]
        if other or "step" not in info:
            what = f"another {other[0]}" if other else "no step to go on from"
            raise ValueError(f"checkpoint must be of this run, but {folder / checkpoints.NAME} has {what}. Choose another.")
        self.model.load_state_dict(_part(tensors, "model."))
        self.generator.set_state(tensors["generator"])
        device = self.model.embedding.device
        self.facts.resume(tensors["facts"])
        self.paths.resume(tensors.get("paths"))
        for k, p in enumerate(self.moving):
            moments = _part(tensors, f"adam.{k}.")
            self.optimizer.state[p] = {name: value.to(device) for name, value in moments.items()}
        self.step, self.seconds, self.history = info["step"], info["seconds"], info["history"]
        if self.arms is not None:
            self.arms.restore(_part(tensors, "arms."), self.step)


def _kept(model: SequenceModel, task) -> dict[str, Tensor]:
    """Return the tensors that ``load_result`` needs."""
    return {f"model.{name}": tensor for name, tensor in model.state_dict().items()} | task.tensors()


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Return the tensors whose names begin so, without the prefix."""
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}
