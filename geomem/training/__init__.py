"""One loop for large tasks, ensembles of tiny models, and the recipes that were swept."""

from .ensemble import Ensemble, train_ensemble
from .loop import Result, Stage, evaluate, load_result, train

__all__ = [
    "Ensemble",
    "train_ensemble",
    "Result",
    "Stage",
    "evaluate",
    "load_result",
    "train",
]
