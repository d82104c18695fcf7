"""The command line: ``geomem train path-star --degree 500 --length 5 --target first --seed 0 --json``."""

import argparse
import importlib.metadata
import json
import platform
from dataclasses import replace
from pathlib import Path

import torch
from tqdm import tqdm

from . import _checks, checkpoints, commands, recipes
from .graphs import path_star, tree_star
from .metrics import first_hop_accuracy
from .models import SequenceModel
from .parameters import Parameter
from .tasks import InContextTask, PathTask
from .training import EVALUATIONS, PRECISIONS, Run, Stage, train

BY_TARGET = {"first": "edges_then_first", "full": "edges_then_paths"}


class _Parser(argparse.ArgumentParser):
    """Refuse in one sentence, and take no option by half its name."""

    def __init__(self, **options):
        super().__init__(allow_abbrev=False, **options)

    def error(self, message: str):
        """Say what is wrong, without the usage."""
        self.exit(2, f"{self.prog}: {' '.join(message.split())}\n")


def main(argv: list[str] | None = None) -> None:
    """Run ``geomem COMMAND ...``; leave with code 2 and one sentence on stderr if it cannot be done.

    Args:
        argv: What follows the program's name; by default that of the process.

    Source:
        Ours.
    """
    parser = _Parser(prog="geomem", description="Train models on graphs and measure what they remember.")
    added = parser.add_subparsers(dest="command", required=True)
    graphs = _add_train(added)  # a further command adds itself here, and says with set_defaults what runs it
    commands.add_run(added)
    commands.add_sweep(added, {name: Trainings(p) for name, p in graphs.items()})
    args = parser.parse_args(argv)
    try:
        args.run(args)
    except (ValueError, TypeError, OSError, MemoryError, RuntimeError) as error:
        if type(error) is RuntimeError and "memory" not in str(error):
            raise  # torch says so when an array does not fit; anything else is a bug, and its traceback is wanted
        parser.exit(2, f"geomem {args.command}: {' '.join(str(error).split()) or type(error).__name__}\n")
    except KeyboardInterrupt:
        parser.exit(130, f"geomem {args.command}: interrupted. What was written before is kept.\n")


def _add_train(commands) -> dict[str, argparse.ArgumentParser]:
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
        p.add_argument("--geometry", action="store_true", help="measure first hops in the embedding at each evaluation")
        _model_and_run(p)
    p = graphs.add_parser("in-context", help="a fresh graph in every prompt")
    p.set_defaults(run=_train, task=_prompt_task, recipe_of=_prompt_recipe, geometry=False)
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
    p.add_argument("--model", choices=("transformer", "mamba"), default="transformer", help="[%(default)s]")
    for name, value in (("--width", 32), ("--layers", 2), ("--heads", 4)):
        p.add_argument(name, type=int, default=value, help="of the model [%(default)s]")
    p.add_argument("--frozen", action="store_true", help="keep the embedding as drawn: an associative memory")
    p.add_argument("--untied", action="store_true", help="unembed with a table of its own")
    p.add_argument("--init-std", type=float, default=0.02, help="spread of the embedding's start values [%(default)s]")
    p.add_argument("--core-std", type=float, help="spread of the core's start values [transformer 0.02, mamba 0.1]")
    p.add_argument("--seed", type=int, default=0, help="of model, split and batches [%(default)s]")
    p.add_argument("--snapshots", type=int, default=EVALUATIONS, metavar="N", help="evaluations [%(default)s]")
    p.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="auto: CUDA where there is one")
    p.add_argument("--precision", choices=PRECISIONS, default="auto", help="auto: bf16 on CUDA only")
    p.add_argument("--compile", action="store_true", help="compile the model")
    p.add_argument("--checkpoint", metavar="DIR", help="keep the run there, and go on from what is there")
    p.add_argument("--save", metavar="DIR", help="save model, task and history there")
    p.add_argument("--out", metavar="FILE", help="write the JSON there")
    p.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    p.add_argument("--history", action="store_true", help="put every evaluation into the JSON")


def _train(args) -> None:
    """Train and say what came out; whatever would keep a result from being written is found before."""
    out = None if args.out is None else _free_file(args.out)
    folder = None if args.save is None else checkpoints.folder_of(args.save)
    if folder and args.checkpoint and folder.resolve() == Path(args.checkpoint).resolve():
        raise ValueError(f"save must name another folder than checkpoint, got {args.save!r}: it would take its place.")
    task = args.task(args)
    recipe = args.recipe_of(args, task)
    model = _model(args, task)
    steps, n = sum(stage.steps for stage in recipe), _checks.integer("snapshots", args.snapshots, least=0)
    listed = {round(steps * k / n) for k in range(1, n + 1)} - {0} | {steps}
    first_hops = {}

    def on_step(step: int, model: SequenceModel) -> None:
        if args.geometry and step in listed:
            nodes = model.embedding[: task.graph.n_nodes].detach().cpu()
            if nodes.isfinite().all():  # a run that diverged has no geometry
                first_hops[step] = float(first_hop_accuracy(nodes, task.graph, leaves=task.test_leaves))
        bar.update(step - bar.n)

    with tqdm(total=steps, unit="step", disable=None) as bar:  # None: only on a terminal
        run = train(model, task, recipe, seed=args.seed, snapshots=sorted(listed), device=args.device, on_step=on_step,
                    precision=args.precision, compile=args.compile, checkpoint=args.checkpoint)  # fmt: skip
    history = [row | {"first_hop_accuracy": first_hops.get(row["step"])} if args.geometry else row for row in run.history]
    text = json.dumps(_result(run, history, args.history), allow_nan=False)
    print(text if args.json else _summary(run, history[-1]))
    if folder:
        run.save(folder)
    if out:
        checkpoints.write_whole(out, text + "\n")


def _model(args, task) -> SequenceModel:
    core_std = recipes.CORE_STD[args.model] if args.core_std is None else args.core_std
    return SequenceModel(task.vocabulary.n_tokens, core=args.model, width=args.width, layers=args.layers, heads=args.heads,
                         frozen=args.frozen, tied=not args.untied, init_std=args.init_std, core_std=core_std,
                         context=max(32, task.context), seed=args.seed)  # fmt: skip


def _path_task(args) -> PathTask:
    sizes = {name: getattr(args, name) for name in ("degree", "length", "branching") if hasattr(args, name)}
    names = ("target", "reverse", "split", "directions", "pauses", "train_fraction", "seed")
    return PathTask(args.make(**sizes), **{name: getattr(args, name) for name in names})


def _path_recipe(args, task: PathTask) -> list[Stage]:
    """Return the named recipe, or the target's, with what the options put in its place."""
    scale = _checks.real("steps_scale", args.steps_scale, above=0)
    given = {name: getattr(args, name) for name in ("lr", "path_weight") if getattr(args, name) is not None}
    stages = recipes.RECIPES[args.recipe or BY_TARGET[args.target]](task)
    return [replace(s, steps=max(1, round(scale * s.steps)), warmup=round(scale * s.warmup), **given) for s in stages]


def _prompt_task(args) -> InContextTask:
    return InContextTask(args.degree, args.length, names=args.names, teacherless=args.teacherless, seed=args.seed)


def _prompt_recipe(args, task: InContextTask) -> list[Stage]:
    return [Stage(args.steps, args.lr, edges=0, paths=args.batch, warmup=args.warmup)]


def _result(run: Run, history: list[dict], whole: bool) -> dict:
    """Return the one JSON object: how it was made, what was measured last, and with what."""
    last, device = history[-1], run.settings["device"]
    result = {"settings": run.settings, "seconds": last["seconds"], **last["test"], "edge_recall": last.get("edge_recall")}
    if "first_hop_accuracy" in last:
        result["first_hop_accuracy"] = last["first_hop_accuracy"]
    result["device"] = f"cuda: {torch.cuda.get_device_name()}" if device == "cuda" else device
    result["versions"] = {"python": platform.python_version(), "geomem": _version(), "torch": torch.__version__}
    return result | {"history": history} if whole else result


def _summary(run: Run, last: dict) -> str:
    """Return the same in words."""
    tokens = ", ".join(f"{100 * share:.1f}" for share in last["test"]["token_accuracy"])
    lines = [f"{run.task!r}, {last['seconds']:.0f} s on {run.settings['device']}"]
    lines += [f"held-out answers right: {100 * last['test']['answer_accuracy']:.1f} %; token by token: {tokens} %"]
    lines += [f"chance of the first hop: {100 * run.task.chance:.2g} %"]
    if "edge_recall" in last:
        lines += [f"edges recalled: {100 * last['edge_recall']:.1f} %"]
    if last.get("first_hop_accuracy") is not None:
        lines += [f"held-out first hops nearest in the embedding: {100 * last['first_hop_accuracy']:.1f} %"]
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
        task = args.task(args)
        args.recipe_of(args, task)
        _model(args, task)


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


def _version() -> str | None:
    """Return geomem's version, if it was installed."""
    try:
        return importlib.metadata.version("geomem")
    except importlib.metadata.PackageNotFoundError:
        return None


if __name__ == "__main__":
    main()
