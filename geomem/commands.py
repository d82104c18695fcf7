"""The commands ``geomem run`` and ``geomem sweep``: what they are asked, and what they say."""

import sys
from collections.abc import Iterable, Mapping

from tqdm import tqdm

from . import _checks, checkpoints, parameters, runs, sweep


def add_run(commands) -> None:
    """Add ``run``."""
    p = commands.add_parser("run", help="run one chapter with parameters of yours")
    p.set_defaults(run=_run)
    p.add_argument("chapter", nargs="?", metavar="CHAPTER", help="a unique beginning of its name, or a notebook's path")
    p.add_argument("--list", action="store_true", help="list the chapters, and do nothing")
    _shared(p)


def add_sweep(commands, trainings: Mapping) -> None:
    """Add ``sweep``; ``trainings`` holds what ``sweep train GRAPH`` may vary, by graph."""
    p = commands.add_parser("sweep", help="run a chapter, or `train GRAPH`, over a grid of parameters")
    p.set_defaults(run=_sweep, trainings=trainings)
    p.add_argument("what", nargs="+", metavar="CHAPTER", help="a chapter, as in geomem run; or: train GRAPH")
    p.add_argument("--scheduler", default="local", metavar="ADDRESS", help="local, or tcp://HOST:PORT [%(default)s]")
    p.add_argument("--workers", type=int, default=2, help="processes of a local cluster [%(default)s]")
    _shared(p)


def _shared(p) -> None:
    p.add_argument(
        "-p", "--parameter", action="append", default=[], metavar="NAME=VALUE",
        help="may be repeated; geomem sweep takes NAME=1,2,5 and NAME=0:5, which means 0 to 4",
    )  # fmt: skip
    p.add_argument("-f", "--file", metavar="FILE", help="YAML lines of NAME: VALUE; -p wins")
    p.add_argument("--profile", choices=runs.PROFILES, help="of a chapter; by default as BOOK_PROFILE says, else laptop")
    p.add_argument("--out", default="runs", metavar="DIR", help="where the folders of runs go [%(default)s]")
    p.add_argument("--timeout", type=float, metavar="S", help="stop a run after that many seconds")
    p.add_argument("--help-parameters", action="store_true", help="show the parameters, and do nothing")


def _run(args) -> None:
    """Run one chapter, and say what came out."""
    if args.list:
        print("\n".join(f"{path.stem:<24} {runs.title(path)}" for path in runs.chapters()))
        return
    if not args.chapter:
        raise ValueError("chapter must be given. --list shows what there is.")
    notebook = runs.chapter(args.chapter)
    known = parameters.of_notebook(notebook)
    if args.help_parameters:
        print(parameters.table(known))
        return
    given = parameters.values(known, args.parameter, args.file)
    what = {"chapter": str(notebook), "profile": runs.profile_of(given, args.profile)}
    runs.needs("geomem run", "papermill", "psutil", "nbconvert")
    folder, limit = checkpoints.folder_of(args.out), _limit(args)
    job = runs.job(what, known, given, runs.machine(), folder=folder, timeout=limit, page=True)
    cells = len(parameters.cells_of(notebook))
    with tqdm(total=cells, unit="cell", desc=notebook.stem, disable=None) as bar:  # None: only on a terminal
        entry = runs.perform(job, bar)
    if "reason" in entry:
        _stop(sweep.failure(entry))
    home = folder / entry["run"]
    if entry["there"]:
        runs.keep_page(home, notebook.name)
    record = runs.record_of(home)
    there = "there already" if entry["there"] else f"{record['seconds']:.1f} s, {record['peak_bytes'] / 1e6:.0f} MB"
    print(f"{notebook.stem}: {there}; {len(record['records'])} records, {len(record['claims'])} verdicts in {home}")


def _sweep(args) -> None:
    """Run the grid, and say what failed."""
    points, what, known = _grid(args)
    if args.help_parameters:
        print(parameters.table(known))
        return
    runs.needs("geomem sweep", "distributed", "psutil", *(["papermill"] if "chapter" in what else []))
    folder, limit = checkpoints.folder_of(args.out), _limit(args)

    def jobs(made: Mapping) -> list[dict]:
        return [runs.job(what_of, known, point, made, folder=folder, timeout=limit) for point, what_of in points]

    if args.scheduler == "local" and all(map(sweep.is_there, here := jobs(runs.machine()))):
        entries = [{"there": True} for _ in here]  # no cluster for nothing
    else:
        with sweep.cluster(args.scheduler, args.workers) as client:
            entries = sweep.sweep(client, jobs(sweep.machine(client)), say=lambda text: tqdm.write(text, file=sys.stderr))
    there, failed = (sum(name in entry and bool(entry[name]) for entry in entries) for name in ("there", "reason"))
    print(f"{len(entries)} runs: {there} were there, {len(entries) - there - failed} done, {failed} failed; all in {folder}")
    if failed:
        _stop(f"{failed} of {len(entries)} runs failed. The same call tries them again, and only them.")


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
            training.check(runs.options(point))
        return [(point, what) for point in points], what, training.known
    if len(args.what) > 1:
        raise ValueError(f"a sweep takes one chapter, got {' '.join(args.what)!r}.")
    notebook = runs.chapter(args.what[0])
    known, what = parameters.of_notebook(notebook), {"chapter": str(notebook)}
    if args.help_parameters:
        return [], what, known
    points = parameters.grid(known, args.parameter, args.file)
    return [(point, what | {"profile": runs.profile_of(point, args.profile)}) for point in points], what, known


def _telling(points: Iterable[Mapping]) -> Iterable[Mapping]:
    """Give the points that hold a value which no point before them held; seeds tell nothing new."""
    seen = set()
    for number, point in enumerate(points):
        new = {(name, value) for name, value in point.items() if name != "seed"} - seen
        if new or not number:
            seen |= new
            yield point


def _limit(args) -> float | None:
    return None if args.timeout is None else _checks.real("timeout", args.timeout, above=0)


def _stop(text: str) -> None:
    """Say what failed, and leave with code 1."""
    print(text, file=sys.stderr)
    raise SystemExit(1)
