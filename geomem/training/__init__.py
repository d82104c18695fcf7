"""One loop for large tasks, ensembles of tiny models, and the recipes that were swept."""

from .ensemble import Runs, train_ensemble
from .loop import Run, Stage, evaluate, load_run, train

__all__ = [
    "Runs",
    "train_ensemble",
    "Run",
    "Stage",
    "evaluate",
    "load_run",
    "train",
]
