"""The command ``geomem sweep``: a chapter, or ``train GRAPH``, over a grid of parameters."""

import sys
from collections.abc import Iterable, Mapping

from tqdm import tqdm

from .. import _checks
from ..runner import notebooks, parameters, sweep
from ..runner.facts import check_facts
from ..runner.job import NOTEBOOKS, chapter, job_of, machine, needs, options, profile_of
from ..training import checkpoints
from .shared import add_shared, limit_of, stop


def add_sweep(commands, trainings: Mapping) -> None:
    """Add ``sweep``; ``trainings`` holds what ``sweep train GRAPH`` may vary, by graph."""
    p = commands.add_parser("sweep", help="run a chapter, or `train GRAPH`, over a grid of parameters")
    p.set_defaults(run=_sweep, trainings=trainings)
    p.add_argument("what", nargs="+", metavar="CHAPTER", help="a chapter, as in geomem run; or: train GRAPH")
    p.add_argument("--scheduler", default="local", metavar="ADDRESS", help="local, or tcp://HOST:PORT [%(default)s]")
    p.add_argument("--workers", type=int, default=2, help="processes of a local cluster [%(default)s]")
    add_shared(p)


def _sweep(args) -> None:
    """Run the grid, and say what failed."""
    if not args.help_parameters:
        files = ["yaml"] if args.file else []
        needs("geomem sweep", "distributed", "psutil", *files, *(NOTEBOOKS if args.what[0] != "train" else []))
    points, what, known = _grid(args)
    if args.help_parameters:
        print(parameters.table(known))
        return
    folder, limit = checkpoints.folder_of(args.out), limit_of(args)

    def jobs(made: Mapping) -> list[dict]:
        return [job_of(what_of, known, point, made, folder=folder, timeout=limit) for point, what_of in points]

    if args.scheduler == "local" and all(map(sweep.is_there, here := jobs(machine()))):
        entries = [{"there": True} for _ in here]  # no cluster for nothing
    else:
        with sweep.cluster(args.scheduler, args.workers) as client:
            made = sweep.common_machine(client, _say)
            entries = sweep.sweep(client, jobs(made), say=_say)
    there, failed = (sum(name in entry and bool(entry[name]) for entry in entries) for name in ("there", "reason"))
    print(f"{len(entries)} runs: {there} were there, {len(entries) - there - failed} done, {failed} failed; all in {folder}")
    if failed:
        stop(f"{failed} of {len(entries)} runs failed. The same call tries them again, and only them.")


def _say(text: str) -> None:
    """Print beside a progress bar."""
    tqdm.write(text, file=sys.stderr)


def _grid(args) -> tuple[list[tuple[dict, dict]], dict, Mapping]:
    """Return the points of the grid, each checked and with what is run there; what is run at all; and its parameters."""
    if args.what[0] == "train":
        graph = _checks.one_of("what follows train", " ".join(args.what[1:]), args.trainings)
        training, what = args.trainings[graph], {"command": ["train", graph]}
        if args.profile:
            raise ValueError("profile is of chapters; geomem train has none.")
        if args.help_parameters:
            return [], what, training.known
        points = parameters.grid(training.known, args.parameter, args.file)
        for point in _telling(points):
            training.check(options(point))
        return [(point, what) for point in points], what, training.known
    if len(args.what) > 1:
        raise ValueError(f"a sweep takes one chapter, got {' '.join(args.what)!r}.")
    notebook = chapter(args.what[0])
    known, what = notebooks.of_notebook(notebook), {"chapter": str(notebook)}
    if args.help_parameters:
        return [], what, known
    points = parameters.grid(known, args.parameter, args.file)
    for point in _telling(points):
        check_facts(known, point)
    return [(point, what | {"profile": profile_of(point, args.profile)}) for point in points], what, known


def _telling(points: Iterable[Mapping]) -> Iterable[Mapping]:
    """Give the points that hold a value which no point before them held; seeds tell nothing new."""
    seen = set()
    for number, point in enumerate(points):
        new = {(name, value) for name, value in point.items() if name != "seed"} - seen
        if new or not number:
            seen |= new
            yield point
