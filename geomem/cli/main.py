"""The command ``geomem``: its parser, and how every command ends."""

import argparse

from .. import __version__
from .graph import add_graph
from .measure import add_measure
from .rest import add_rest
from .run import add_run
from .sweep import add_sweep
from .train import Trainings, add_train


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
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    added = parser.add_subparsers(dest="command", required=True)
    graphs = add_train(added)  # a further command adds itself here, and says with set_defaults what runs it
    add_rest(added)
    add_graph(added)
    add_measure(added)
    add_run(added)
    add_sweep(added, {name: Trainings(p) for name, p in graphs.items()})
    args = parser.parse_args(argv)
    try:
        args.run(args)
    except (ValueError, TypeError, OSError, MemoryError, RuntimeError) as error:
        if type(error) is RuntimeError and "memory" not in str(error):
            raise  # torch says so when an array does not fit; anything else is a bug, and its traceback is wanted
        parser.exit(2, f"geomem {args.command}: {' '.join(str(error).split()) or type(error).__name__}\n")
    except KeyboardInterrupt:
        parser.exit(130, f"geomem {args.command}: interrupted. What was written before is kept.\n")
