"""The command ``geomem train``: one model, one task, and what came out."""

import argparse
import json
import platform
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import torch
from tqdm import tqdm

from .. import __version__, _checks
from ..graphs import path_star, tree_star
from ..measures import first_hop_accuracy, sampled
from ..models import CORES, SequenceModel
from ..runner.parameters import Parameter
from ..tasks import InContextTask, PathTask
from ..training import checkpoints, cost, recipes
from ..training.loop import EVALUATIONS, PRECISIONS, Result, Stage, train

BY_TARGET = {"first": "edges_then_first", "full": "edges_then_paths"}
MODELS = [name for name, core in CORES.items() if core.sequential]
_LAPTOP = dict(width=32, layers=2, heads=4, snapshots=EVALUATIONS, precision="auto", compile=False, geometry=False,
               history=False, size=recipes.LAPTOP, checkpoint_seconds=180.0, steps=None)  # fmt: skip
_PAPER = _LAPTOP | dict(width=384, layers=12, heads=8, snapshots=40, geometry=True, history=True, size=recipes.PAPER,
                        compile=None, checkpoint_seconds=60.0)  # fmt: skip
PROFILES = {
    "laptop": _LAPTOP,
    "paper": _PAPER,
    "smoke": _PAPER | dict(width=16, layers=2, heads=2, snapshots=3, precision="bf16", compile=False, steps=4),
}
"""What an option is if it is not given. ``smoke`` goes the way of ``paper`` with a small model and four steps a stage."""


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
        p.add_argument("--reverse", action="store_true", help="answer from leaf to root")
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
        about = "measure the embedding at each evaluation: first hops, and in paper and smoke a sample of 500 held-out arms"
        p.add_argument("--geometry", action="store_true", default=None, help=about)
        about = "laptop; paper: its model, on CUDA; smoke: the same way, four small steps a stage [%(default)s]"
        p.add_argument("--profile", choices=tuple(PROFILES), default="laptop", help=about)
        _model_and_run(p)
    p = graphs.add_parser("in-context", help="a fresh graph in every prompt")
    p.set_defaults(run=_train, task=_prompt_task, recipe_of=_prompt_recipe, geometry=False, profile="laptop")
    _sizes(p)
    p.add_argument("--names", type=int, help="node names to draw from; by default as many as nodes")
    p.add_argument("--teacherless", action="store_true", help="hide the answer's own tokens in the input")
    for name, value in (("--steps", 2000), ("--lr", 1e-3), ("--batch", 256), ("--warmup", 100)):
        p.add_argument(name, type=type(value), default=value, help="of the one stage [%(default)s]")
    _model_and_run(p)
    return graphs.choices


def _sizes(p) -> None:
    """Add the sizes that every graph needs."""
    p.add_argument("--degree", type=int, required=True, help="arms at the root")
    p.add_argument("--length", type=int, required=True, help="nodes of a path, the root included")


def _model_and_run(p) -> None:
    """Add what all tasks share: the model, the run, and what comes out."""
    p.add_argument("--model", choices=MODELS, default="transformer", help="[%(default)s]")
    for name in ("width", "layers", "heads"):
        p.add_argument(f"--{name}", type=int, help=f"of the model [{_LAPTOP[name]}, paper {_PAPER[name]}]")
    p.add_argument("--frozen", action="store_true", help="keep the embedding as drawn: an associative memory")
    p.add_argument("--untied", action="store_true", help="unembed with a table of its own")
    p.add_argument("--init-std", type=float, default=0.02, help="spread of the embedding's start values [%(default)s]")
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
    """Train and say what came out; whatever would keep a result from being written is found before."""
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
    result = _result(run, recipe, args.history)
    if args.profile != "laptop" and args.graph == "path-star":
        result["map"] = sampled.portrait(run.model.embedding, task)
    text = json.dumps(result, allow_nan=False)
    print(text if args.json else _summary(run, run.history[-1]))
    if folder:
        run.save(folder)
    if out:
        checkpoints.write_whole(out, text + "\n")


def _fill(args) -> None:
    """Give every option that was not given the value of its profile."""
    for name, value in PROFILES[args.profile].items():
        if getattr(args, name, None) is None:
            setattr(args, name, value)
    if args.graphs:
        args.compile = "graphs"
    if args.compile is None:
        args.compile = args.device != "cpu" and torch.cuda.is_available()


def _model(args, task) -> dict:
    """Return what the model is made with."""
    core_std = recipes.CORE_STD.get(args.model, 0.02) if args.core_std is None else args.core_std
    return dict(core=args.model, width=args.width, layers=args.layers, heads=args.heads, frozen=args.frozen, seed=args.seed,
                tied=not args.untied, init_std=args.init_std, core_std=core_std, context=max(32, task.context))  # fmt: skip


def _geometry(model: SequenceModel, task: PathTask, profile: str) -> dict:
    """Return what the embedding shows of held-out arms; a run that diverged has no geometry."""
    E = model.embedding[: task.graph.n_nodes].detach()
    if profile != "laptop" and task.graph.name.startswith("path-star"):
        return {"geometry": sampled.geometry(E, task)}
    finite = bool(E.isfinite().all())
    return {"first_hop_accuracy": float(first_hop_accuracy(E, task.graph, leaves=task.test_leaves)) if finite else None}


def _path_task(args) -> PathTask:
    sizes = {name: getattr(args, name) for name in ("degree", "length", "branching") if hasattr(args, name)}
    names = ("target", "reverse", "split", "directions", "pauses", "train_fraction", "seed")
    return PathTask(args.make(**sizes), **{name: getattr(args, name) for name in names})


def _path_recipe(args, task: PathTask) -> list[Stage]:
    """Return the named recipe, or the target's, with what the options put in its place."""
    scale = _checks.real("steps_scale", args.steps_scale, above=0)
    given = {name: getattr(args, name) for name in ("lr", "path_weight") if getattr(args, name) is not None}
    stages = recipes.RECIPES[args.recipe or BY_TARGET[args.target]](task, args.size)
    stages = [replace(s, steps=args.steps, warmup=1) for s in stages] if args.steps else stages
    return [replace(s, steps=max(1, round(scale * s.steps)), warmup=round(scale * s.warmup), **given) for s in stages]


def _prompt_task(args) -> InContextTask:
    return InContextTask(args.degree, args.length, names=args.names, teacherless=args.teacherless, seed=args.seed)


def _prompt_recipe(args, task: InContextTask) -> list[Stage]:
    return [Stage(args.steps, args.lr, edges=0, paths=args.batch, warmup=args.warmup)]


def _result(run: Result, recipe: list[Stage], whole: bool) -> dict:
    """Return the one JSON object: how it was made, what was measured last, what it cost, and with what."""
    history, last, device = run.history, run.history[-1], run.settings["device"]
    name = _checks.device_name(device)
    result = {"settings": run.settings, "seconds": last["seconds"], **last["test"], "edge_recall": last.get("edge_recall")}
    result |= {key: last[key] for key in ("first_hop_accuracy", "geometry") if key in last}
    flops = [cost.step_cost(run.settings["model"], run.task, stage).flops for stage in recipe]
    rate = cost.rate_of(cost.PEAKS, name)
    speed = cost.speed_of(history, recipe, flops)
    result |= {"flops_per_step": flops, "flops_per_second": speed, "peak_flops_per_second": rate}
    result |= {"utilisation": None if rate is None or speed is None else speed / rate, "peak_memory": _peak_memory(device)}
    result |= {"device": name, "commit": _commit()}
    result["versions"] = {"python": platform.python_version(), "geomem": __version__, "torch": torch.__version__}
    return result | {"history": history} if whole else result


def _peak_memory(device: str) -> int | None:
    """Return the most bytes held at once: of the CUDA device, or of this process."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated()
    if sys.platform != "linux":
        return None
    import resource  # not everywhere

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _commit() -> str | None:
    """Return the commit of the source, where it is a repository."""
    try:
        words = ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None


def _summary(run: Result, last: dict) -> str:
    """Return the same in words."""
    tokens = ", ".join(f"{100 * share:.1f}" for share in last["test"]["token_accuracy"])
    lines = [f"{run.task!r}, {last['seconds']:.0f} s on {run.settings['device']}"]
    lines += [f"held-out answers right: {100 * last['test']['answer_accuracy']:.1f} %; token by token: {tokens} %"]
    lines += [f"chance of the first hop: {100 * run.task.chance:.2g} %"]
    if "edge_recall" in last:
        lines += [f"edges recalled: {100 * last['edge_recall']:.1f} %"]
    nearest = (last.get("geometry") or last).get("first_hop_accuracy")
    if nearest is not None:
        lines += [f"held-out first hops nearest in the embedding: {100 * nearest:.1f} %"]
    return "\n".join(lines)


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

    elsewhere = {"help", "checkpoint", "save", "out", "json", "history"}

    def __init__(self, parser: argparse.ArgumentParser):
        self.parser = parser
        self.known = {a.dest: _parameter(a) for a in parser._actions if a.dest not in self.elsewhere}

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
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"out must be a file, got the folder {str(path)!r}. Name a file in it.")
    checkpoints.folder_of(path.parent)
    return path
