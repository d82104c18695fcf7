"""One loop for large tasks, ensembles of tiny models, and the recipes that were swept."""

from .edit import Edited, edit_facts, fact_scores, forget_facts
from .ensemble import Ensemble, train_ensemble
from .loop import Result, Stage, evaluate, load_result, train

__all__ = [
    "Edited",
    "edit_facts",
    "fact_scores",
    "forget_facts",
    "Ensemble",
    "train_ensemble",
    "Result",
    "Stage",
    "evaluate",
    "load_result",
    "train",
]
