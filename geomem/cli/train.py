"""The command ``geomem train``: train one model on one task, and report."""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import torch
from tqdm import tqdm

from .. import _checks
from ..graphs import path_star, tree_star
from ..measures import first_hop_accuracy, sampled
from ..models import CORES, SequenceModel
from ..runner.parameters import Parameter
from ..tasks import EdgeTask, InContextTask, PathTask
from ..training import checkpoints, cost, recipes
from ..training.ensemble import SCHEDULES
from ..training.loop import EVALUATIONS, PRECISIONS, Stage, train
from .edges import add_edges
from .report import result_of, summary

BY_TARGET = {"first": "edges_then_first", "full": "edges_then_paths"}
MODELS = [name for name, core in CORES.items() if core.sequential]
FACTS_ALONE = {"node2vec": "identity"}
"""Models that read one token, by the name of their core: they learn the facts of a graph, and no path."""
MANY_NODES = 10_000
"""From more nodes on, a step on a path-star draws arms, unless told otherwise."""
LEAVES = 1_000
"""Leaves whose nearest first hop is sought, at most."""
_LAPTOP = dict(width=32, layers=2, heads=4, snapshots=EVALUATIONS, precision="auto", compile=False, geometry=False,
               history=False, size=recipes.LAPTOP, checkpoint_seconds=180.0, steps=None, arms=0)  # fmt: skip
_MANY = _LAPTOP | dict(heads=1, snapshots=10, checkpoint_seconds=30.0, arms=recipes.ARMS)
_MAP = dict(width=128, geometry=True)
_PAPER = _LAPTOP | dict(width=384, layers=12, heads=8, snapshots=40, geometry=True, history=True, size=recipes.PAPER,
                        compile=None, checkpoint_seconds=60.0)  # fmt: skip
PROFILES = {
    "laptop": _LAPTOP,
    "paper": _PAPER,
    "smoke": _PAPER | dict(width=16, layers=2, heads=2, snapshots=3, precision="bf16", compile=False, steps=4),
}
"""Defaults of the options. ``smoke`` runs the code of ``paper`` with a small model and four steps per stage."""


def add_train(commands) -> dict[str, argparse.ArgumentParser]:
    """Add ``train``, with one subcommand a graph; return their parsers."""
    about = "train one model on one task, and measure it on held-out paths"
    graphs = commands.add_parser("train", help=about).add_subparsers(dest="graph", required=True)
    for name, make in (("path-star", path_star), ("tree-star", tree_star)):
        p = graphs.add_parser(name, help="one graph, kept in the weights")
        p.set_defaults(run=_train, task=_path_task, recipe_of=_path_recipe, make=make)
        _sizes(p)
        if make is tree_star:
            p.add_argument("--branching", type=int, default=2, help="children of an inner node [%(default)s]")
        p.add_argument("--target", choices=("full", "first"), default="full", help="whole path or first hop [%(default)s]")
        p.add_argument("--reverse", action="store_true", help="answer with the way from the leaf's parent to the root")
        p.add_argument(
            "--split", choices=("leaf", "first"), default="leaf", help="hold out paths or first hops [%(default)s]"
        )
        p.add_argument("--directions", type=_directions, default="both", help="both, forward, backward or a share [both]")
        p.add_argument("--pauses", type=int, default=1, help="pause tokens after the leaf [%(default)s]")
        p.add_argument("--train-fraction", type=float, default=0.75, help="share of paths not held out [%(default)s]")
        p.add_argument("--recipe", choices=tuple(recipes.RECIPES), help="by default the one for the target")
        p.add_argument("--path-weight", type=float, help="what the paths' loss counts, in place of the recipe's")
        p.add_argument("--steps-scale", type=float, default=1.0, help="multiplies steps and warm-up of every stage")
        p.add_argument("--lr", type=float, help="learning rate, in place of the recipe's")
        p.add_argument("--decay", type=float, help="decoupled decay of the table alone, in place of the recipe's")
        p.add_argument("--node2vec", type=float, help="weight of the Node2Vec term, in place of the recipe's")
        if make is path_star:
            about = (
                f"whole arms per step, their nodes the candidates; 0: all nodes [{recipes.ARMS} above {MANY_NODES:,} nodes]"
            )
            p.add_argument("--arms", type=int, help=about)
        about = "measure the embedding at each evaluation: first hops, and in paper and smoke a sample of 500 held-out arms"
        p.add_argument("--geometry", action="store_true", default=None, help=about)
        about = "add a portrait of the map at the end: measures of 500 held-out arms, cosines and principal components"
        p.add_argument("--portrait", action="store_true", help=about)
        about = "laptop; paper: its model, on CUDA; smoke: the same way, four small steps per stage [%(default)s]"
        p.add_argument("--profile", choices=tuple(PROFILES), default="laptop", help=about)
        _model_and_run(p, [*MODELS, *FACTS_ALONE])
    p = graphs.add_parser("in-context", help="a fresh graph in every prompt")
    p.set_defaults(run=_train, task=_prompt_task, recipe_of=_prompt_recipe, geometry=False, profile="laptop")
    _sizes(p)
    p.add_argument("--names", type=int, help="node names to draw from; by default as many as nodes")
    p.add_argument("--teacherless", action="store_true", help="hide the answer's own tokens in the input")
    for name, value in (("--steps", 2000), ("--lr", 1e-3), ("--batch", 256), ("--warmup", 100)):
        p.add_argument(name, type=type(value), default=value, help="of the one stage [%(default)s]")
    about = "cosine: the rate falls to a tenth [%(default)s]"
    p.add_argument("--schedule", choices=tuple(SCHEDULES), default="cosine", help=about)
    _model_and_run(p, MODELS)
    p = add_edges(graphs)
    p.set_defaults(run=_train, geometry=False, profile="laptop")
    _model_and_run(p, [*(name for name in CORES if name not in FACTS_ALONE.values()), *FACTS_ALONE])
    return graphs.choices


def _sizes(p) -> None:
    """Add the sizes that every graph needs."""
    p.add_argument("--degree", type=int, required=True, help="arms at the root")
    p.add_argument("--length", type=int, required=True, help="nodes of a path, the root included")


def _model_and_run(p, models: list[str]) -> None:
    """Add what all tasks share: the model, the run, and what comes out."""
    mixed = "node2vec" in models and "linear" not in models
    about = "; node2vec learns the facts alone, and options about paths are ignored" if mixed else ""
    p.add_argument("--model", choices=models, default="transformer", help=f"[%(default)s]{about}")
    for name in ("width", "layers", "heads"):
        p.add_argument(f"--{name}", type=int, help=f"of the model [{_LAPTOP[name]}, paper {_PAPER[name]}]")
    p.add_argument("--frozen", action="store_true", help="keep the embedding as drawn: an associative memory")
    p.add_argument("--untied", action="store_true", help="unembed with a separate table")
    p.add_argument("--init-std", type=float, help="spread of the embedding's start values [0.02, large edges 0.1]")
    p.add_argument("--core-std", type=float, help="spread of the core's start values [mamba 0.1, others 0.02]")
    p.add_argument("--seed", type=int, default=0, help="of model, split and batches [%(default)s]")
    p.add_argument("--snapshots", type=int, metavar="N", help=f"evaluations [{EVALUATIONS}, paper 40]")
    p.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="auto: CUDA where there is one")
    p.add_argument("--precision", choices=PRECISIONS, help="auto: bf16 on CUDA only [auto]")
    about = "compile core and softmax [only in paper on CUDA]"
    p.add_argument("--compile", action=argparse.BooleanOptionalAction, help=about)
    p.add_argument("--graphs", action="store_true", help="replay the core as CUDA graphs instead: it starts in seconds")
    p.add_argument("--checkpoint", metavar="DIR", help="keep the run there, and go on from what is there")
    p.add_argument("--save", metavar="DIR", help="save model, task and history there")
    p.add_argument("--out", metavar="FILE", help="write the JSON there")
    p.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    p.add_argument("--history", action="store_true", default=None, help="put every evaluation into the JSON [paper: yes]")


def _train(args) -> None:
    """Train and report; folders and files that cannot be written to are found before training starts."""
    out = None if args.out is None else _free_file(args.out)
    folder = None if args.save is None else checkpoints.folder_of(args.save)
    if folder and args.checkpoint and folder.resolve() == Path(args.checkpoint).resolve():
        raise ValueError(f"save must name another folder than checkpoint, got {args.save!r}: it would take its place.")
    _fill(args)
    task = args.task(args)
    recipe = args.recipe_of(args, task)
    model = _model(args, task)
    steps, n = sum(stage.steps for stage in recipe), _checks.integer("snapshots", args.snapshots, least=0)
    listed = {round(steps * k / n) for k in range(1, n + 1)} - {0} | {steps}
    if args.profile == "paper" and args.device == "auto" and not torch.cuda.is_available():
        raise ValueError(cost.needs(model | {"positions": "learned"}, task, recipe, evaluations=len(listed)))
    model = SequenceModel(task.vocabulary.n_tokens, **model)
    measure = None if not args.geometry else lambda model: _geometry(model, task, args.profile)
    options = {name: getattr(args, name) for name in ("seed", "device", "precision", "compile", "checkpoint")}
    options |= {"checkpoint_seconds": args.checkpoint_seconds, "measure": measure, "snapshots": sorted(listed)}
    with tqdm(total=steps, unit="step", disable=None) as bar:  # None: only on a terminal
        run = train(model, task, recipe, on_step=lambda step, _: bar.update(step - bar.n), **options)
    result = result_of(run, recipe, args.history)
    if args.graph == "path-star" and (args.portrait or args.profile != "laptop"):
        result["map"] = sampled.portrait(run.model.embedding, task)
    warned = getattr(args, "warned", [])  # about a file of facts
    result |= {"warnings": warned} if args.graph == "edges" else {}
    text = json.dumps(result, allow_nan=False)
    said = "\n".join([*(f"Attention: {line}" for line in warned), summary(run, run.history[-1])])
    print(text if args.json else said)
    if folder:
        run.save(folder)
    if out:
        checkpoints.write_whole(out, text + "\n")


def _fill(args) -> None:
    """Give every option that was not given the value of its profile."""
    defaults = PROFILES[args.profile] | (_MAP if args.model in FACTS_ALONE else {})
    star = args.profile == "laptop" and getattr(args, "make", None) is path_star and args.recipe in (None, *recipes.BY_ARMS)
    if star and (args.degree * (args.length - 1) >= MANY_NODES or args.arms) and args.arms != 0:
        defaults = _MANY | (_MAP if args.model in FACTS_ALONE else {})
        defaults |= {} if args.target == "first" else {"heads": 4}  # later tokens look elsewhere than the first hop
    for name, value in defaults.items():
        if getattr(args, name, None) is None:
            setattr(args, name, value)
    if args.graphs:
        args.compile = "graphs"
    if args.compile is None:
        args.compile = args.device != "cpu" and torch.cuda.is_available()


def _model(args, task) -> dict:
    """Return what the model is made with."""
    core_std = recipes.CORE_STD.get(args.model, 0.02) if args.core_std is None else args.core_std
    core = FACTS_ALONE.get(args.model, args.model)
    spread = getattr(args, "init_std_of", lambda task: 0.02)(task) if args.init_std is None else args.init_std
    return dict(core=core, width=args.width, layers=args.layers, heads=args.heads, frozen=args.frozen, seed=args.seed,
                tied=not args.untied, init_std=spread, core_std=core_std, context=max(32, task.context))  # fmt: skip


def _geometry(model: SequenceModel, task: PathTask, profile: str) -> dict:
    """Return what the embedding shows of held-out arms; a run that diverged has no geometry."""
    E = model.embedding[: task.graph.n_nodes].detach()
    if profile != "laptop" and task.graph.name.startswith("path-star"):
        return {"geometry": sampled.geometry(E, task)}
    finite = bool(E.isfinite().all())
    leaves = getattr(task, "test_leaves", task.graph.paths[:, -1])
    few = leaves[torch.randperm(len(leaves), generator=torch.Generator().manual_seed(task.seed))[:LEAVES]]
    sampled_leaves = {"first_hop_leaves": len(few)} if len(few) < len(leaves) else {}
    leaves = few if sampled_leaves else leaves
    value = float(first_hop_accuracy(E, task.graph, leaves=leaves)) if finite else None
    return {"first_hop_accuracy": value} | sampled_leaves


def _path_task(args) -> PathTask | EdgeTask:
    sizes = {name: getattr(args, name) for name in ("degree", "length", "branching") if hasattr(args, name)}
    if args.model in FACTS_ALONE:
        return EdgeTask(args.make(**sizes), directions=args.directions, seed=args.seed)
    names = ("target", "reverse", "split", "directions", "pauses", "train_fraction", "seed")
    return PathTask(args.make(**sizes), **{name: getattr(args, name) for name in names})


def _path_recipe(args, task: PathTask) -> list[Stage]:
    """Return the named recipe, or the one for the target, with the settings that the options replace."""
    scale = _checks.real("steps_scale", args.steps_scale, above=0)
    given = {name: getattr(args, name) for name in ("lr", "path_weight", "decay", "node2vec")}
    given = {name: value for name, value in given.items() if value is not None}
    stages = _stages(args, task)
    stages = [replace(s, steps=args.steps, warmup=1) for s in stages] if args.steps else stages
    return [replace(s, steps=max(1, round(scale * s.steps)), warmup=round(scale * s.warmup), **given) for s in stages]


def _stages(args, task) -> list[Stage]:
    """Return the stages of the named recipe, or of the one for the model, the size and the target."""
    _checks.integer("arms", args.arms, least=0)
    if args.arms and args.recipe not in (None, *recipes.BY_ARMS):
        raise ValueError(f"arms must be 0 for the recipe {args.recipe}, got {args.arms}. Leave the recipe out.")
    if args.model in FACTS_ALONE and args.recipe not in (None, "edges_only"):
        raise ValueError(f"recipe must be left out for {args.model}, got {args.recipe!r}: it learns the facts alone.")
    if args.model in FACTS_ALONE:
        return recipes.node2vec_by_arms(task, arms=args.arms) if args.arms else recipes.edges_only(task, args.size)
    if args.arms or args.recipe in recipes.BY_ARMS:
        by_arms = recipes.map_then_paths if args.recipe == "map_then_paths" else recipes.few_arms
        return by_arms(task, args.size, arms=args.arms or None)
    return recipes.RECIPES[args.recipe or BY_TARGET[args.target]](task, args.size)


def _prompt_task(args) -> InContextTask:
    return InContextTask(args.degree, args.length, names=args.names, teacherless=args.teacherless, seed=args.seed)


def _prompt_recipe(args, task: InContextTask) -> list[Stage]:
    return [Stage(args.steps, args.lr, edges=0, paths=args.batch, warmup=args.warmup, schedule=args.schedule)]


def _directions(text: str) -> str | float:
    """Read a share where it is a number."""
    try:
        return float(text)
    except ValueError:
        return text


class Trainings:
    """What ``geomem sweep train GRAPH`` may vary: the options of ``geomem train GRAPH`` that change what comes out.

    Args:
        parser: That of ``geomem train GRAPH``.
    """

    elsewhere = {"help", "checkpoint", "save", "out", "json", "history", "portrait"}

    def __init__(self, parser: argparse.ArgumentParser):
        self.parser = parser
        actions = [a for a in parser._actions if a.dest not in self.elsewhere and a.nargs != 2]
        self.known = {a.dest: _parameter(a) for a in actions}

    def check(self, words: list[str]) -> None:
        """Make task, recipe and model of a run, so that what is wrong shows before any run starts."""
        args = self.parser.parse_args(words)
        _fill(args)
        task = args.task(args)
        args.recipe_of(args, task)
        SequenceModel(task.vocabulary.n_tokens, **_model(args, task))


def _parameter(option: argparse.Action) -> Parameter:
    """Return an option as a parameter."""
    kind = "bool" if option.nargs == 0 else option.type.__name__ if option.type in (int, float) else "str"
    says = (option.help or "").replace("%(default)s", "").removesuffix("[]").strip()
    return Parameter(name=option.dest, kind=kind, default=option.default, options=tuple(option.choices or ()),
                     says=says + " (at least 0)" * (option.dest == "seed"), required=option.required)  # fmt: skip


def _free_file(path: str) -> Path:
    """Return where a file can be written."""
    file = Path(path)
    if file.is_dir():
        raise ValueError(f"out must be a file, got the folder {str(file)!r}. Name a file in it.")
    checkpoints.folder_of(file.parent)
    return file
