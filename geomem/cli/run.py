"""The command ``geomem run``: one chapter, with your parameters."""

from tqdm import tqdm

from ..runner import notebooks, parameters
from ..runner.facts import check_facts
from ..runner.job import NOTEBOOKS, chapter, chapters, job_of, machine, needs, profile_of, record_of, title
from ..runner.run import keep_page, perform
from ..runner.sweep import failure
from ..training import checkpoints
from .shared import add_shared, limit_of, stop


def add_run(commands) -> None:
    """Add ``run``."""
    p = commands.add_parser("run", help="run one chapter with parameters of yours")
    p.set_defaults(run=_run)
    p.add_argument("chapter", nargs="?", metavar="CHAPTER", help="a unique beginning of its name, or a notebook's path")
    p.add_argument("--list", action="store_true", help="list the chapters, and do nothing")
    add_shared(p)


def _run(args) -> None:
    """Run one chapter, and say what came out."""
    if args.list:
        print("\n".join(f"{path.stem:<24} {title(path)}" for path in chapters()))
        return
    if not args.chapter:
        raise ValueError("chapter must be given. --list shows what there is.")
    notebook = chapter(args.chapter)
    known = notebooks.of_notebook(notebook)
    if args.help_parameters:
        print(parameters.table(known))
        return
    needs("geomem run", *NOTEBOOKS, "psutil", "nbconvert", *(["yaml"] if args.file else []))
    given = parameters.values(known, args.parameter, args.file)
    check_facts(known, given)
    what = {"chapter": str(notebook), "profile": profile_of(given, args.profile)}
    folder, limit = checkpoints.folder_of(args.out), limit_of(args)
    job = job_of(what, known, given, machine(), folder=folder, timeout=limit, page=True)
    cells = len(notebooks.cells_of(notebook))
    with tqdm(total=cells, unit="cell", desc=notebook.stem, disable=None) as bar:  # None: only on a terminal
        entry = perform(job, bar)
    if "reason" in entry:
        stop(failure(entry))
    home = folder / entry["run"]
    if entry["there"]:
        keep_page(home, notebook.name)
    record = record_of(home)
    if record is None:
        raise ValueError(f"{home} must hold the record of this run, got none: something removed it. Run it again.")
    there = "there already" if entry["there"] else f"{record['seconds']:.1f} s, {record['peak_bytes'] / 1e6:.0f} MB"
    print(f"{notebook.stem}: {there}; {len(record['records'])} records, {len(record['claims'])} verdicts in {home}")
