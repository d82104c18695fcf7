"""What ``geomem run`` and ``geomem sweep`` share."""

import sys

from .. import _checks
from ..reporting.profiles import PROFILES


def add_shared(p) -> None:
    """Add the options of both commands to a parser."""
    p.add_argument(
        "-p", "--parameter", action="append", default=[], metavar="NAME=VALUE",
        help="may be repeated; geomem sweep takes NAME=1,2,5 and NAME=0:5, which means 0 to 4",
    )  # fmt: skip
    p.add_argument("-f", "--file", metavar="FILE", help="YAML lines of NAME: VALUE; -p wins")
    p.add_argument("--profile", choices=PROFILES, help="of a chapter; by default as BOOK_PROFILE says, else laptop")
    p.add_argument("--out", default="runs", metavar="DIR", help="where the folders of runs go [%(default)s]")
    p.add_argument("--timeout", type=float, metavar="S", help="stop a run after that many seconds")
    p.add_argument("--help-parameters", action="store_true", help="show the parameters, and do nothing")


def limit_of(args) -> float | None:
    """Return the time limit of a run in seconds, None for no limit."""
    return None if args.timeout is None else _checks.real("timeout", args.timeout, above=0)


def stop(text: str) -> None:
    """Say what failed, and leave with code 1."""
    print(text, file=sys.stderr)
    raise SystemExit(1)
