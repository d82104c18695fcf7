"""What a model reads: tokens, edge examples, and path examples with their splits."""

from .base import GraphTask, Rows, Task, Vocabulary
from .edges import EdgeTask, edge_examples
from .in_context import InContextTask, PromptVocabulary, in_context_examples
from .paths import PathTask

TASKS: dict[str, type[Task]] = {
    "edges": EdgeTask,
    "paths": PathTask,
    "in-context": InContextTask,
}
"""Tasks by the name that a file gives them."""

__all__ = [
    "TASKS",
    "GraphTask",
    "Rows",
    "Task",
    "Vocabulary",
    "EdgeTask",
    "edge_examples",
    "PathTask",
    "InContextTask",
    "PromptVocabulary",
    "in_context_examples",
]
