"""Run chapters through papermill, on copies.

``python -m tools.chapters [PREFIX ...] [-p NAME=VALUE] [--profile smoke] [--jobs 2]``
"""

import argparse
from concurrent.futures import ThreadPoolExecutor

from geomem import runner
from geomem.runner import parameters
from geomem.runner.notebooks import of_notebook
from tools import book, notebooks


def execute(chapter, values, profile, out):
    """Run one chapter in its own process; return whether it passed, and a report."""
    out.mkdir(parents=True, exist_ok=True)
    target = out / chapter.name
    target.unlink(missing_ok=True)
    done = runner.execute(chapter, target, values, profile=profile)
    line = f"{chapter.stem:<24} {done.seconds:6.1f} s {done.peak / 1e6:7.0f} MB  "
    return done.passed, line + ("ok" if done.passed else "FAILED\n" + "\n".join(f"    {said}" for said in done.said))


def take_over(chapter, ran):
    """Make a finished run the committed chapter."""
    book.write_whole(chapter, notebooks.normalise(ran.read_text(encoding="utf8")))


def main(argv=None):
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("chapters", nargs="*", help="a unique beginning of each chapter's name; default: all")
    parser.add_argument("-p", "--parameter", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--profile", choices=runner.PROFILES)
    parser.add_argument("--jobs", type=int, default=1, help="chapters at a time")
    parser.add_argument("--out", default="_build/runs", help="where the executed copies go")
    parser.add_argument("--in-place", action="store_true", help="make the runs the committed chapters")
    options = parser.parse_args(argv)
    if options.in_place and (options.parameter or options.profile):
        raise book.UserError("Committed chapters show their own parameters: --in-place takes neither -p nor --profile.")
    try:
        profile = "laptop" if options.in_place else runner.profile_of({}, options.profile)
        work = [(c, parameters.values(of_notebook(c), options.parameter)) for c in book.select(options.chapters)]
    except ValueError as error:
        raise book.UserError(str(error)) from None
    out = book.ROOT / options.out

    def one(item):
        chapter, values = item
        passed, report = execute(chapter, values, profile, out)
        print(report, flush=True)
        if passed and options.in_place:
            take_over(chapter, out / chapter.name)
        return passed

    with ThreadPoolExecutor(max(1, options.jobs)) as pool:
        failed = list(pool.map(one, work)).count(False)
    if failed:
        raise book.UserError(f"{failed} of {len(work)} chapters failed.")


if __name__ == "__main__":
    book.run(main)
