"""What a model reads: tokens, edge examples, and path examples with their splits."""

from .base import Rows, Vocabulary
from .edges import EdgeTask, edge_examples
from .in_context import InContextTask, PromptVocabulary, in_context_examples
from .paths import PathTask

TASKS = {"edges": EdgeTask, "paths": PathTask, "in-context": InContextTask}
"""Tasks by the name that a file gives them."""

__all__ = [
    "TASKS",
    "Rows",
    "Vocabulary",
    "EdgeTask",
    "edge_examples",
    "PathTask",
    "InContextTask",
    "PromptVocabulary",
    "in_context_examples",
]
