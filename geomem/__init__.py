"""geomem: associative and geometric memories of graphs, on two cores. The public names, in reading order."""

import importlib

__version__ = "0.2.0"

from .graphs import Graph, cycle, grid, irregular, named_graph, path_star, read_edges, tree_star
from .spectral import Spectrum
from .measures import arm_separation, cosine_by_hops, cosines, edge_recall, first_hop_accuracy
from .measures import geometric_contrast, geometric_order, geometric_share, measure, read_table
from .memories import Memory, associative_memory, fiedler_memory, heat_kernel_memory, incidence_memory, largest_heat_time
from .memories import cost_in_bits, cost_in_norm
from .tasks import EdgeTask, InContextTask, PathTask, Vocabulary, edge_examples, in_context_examples
from .models import SequenceModel
from .node2vec import flow_matrix, gradient_flow, most_random_walk
from .training import Stage, load_result, train, train_ensemble
from .training import recipes
from .reporting import claim, exceeds_null, load_records, load_study, record, record_table, standard_error
from .runner.table import load_sweep

__all__ = [
    "Graph",
    "cycle",
    "grid",
    "irregular",
    "named_graph",
    "path_star",
    "read_edges",
    "tree_star",
    "Spectrum",
    "arm_separation",
    "cosine_by_hops",
    "cosines",
    "edge_recall",
    "first_hop_accuracy",
    "geometric_contrast",
    "geometric_order",
    "geometric_share",
    "measure",
    "read_table",
    "Memory",
    "associative_memory",
    "fiedler_memory",
    "heat_kernel_memory",
    "incidence_memory",
    "largest_heat_time",
    "cost_in_bits",
    "cost_in_norm",
    "EdgeTask",
    "InContextTask",
    "PathTask",
    "Vocabulary",
    "edge_examples",
    "in_context_examples",
    "SequenceModel",
    "flow_matrix",
    "gradient_flow",
    "most_random_walk",
    "train_ensemble",
    "Stage",
    "load_result",
    "train",
    "recipes",
    "claim",
    "exceeds_null",
    "load_records",
    "load_study",
    "record",
    "record_table",
    "standard_error",
    "load_sweep",
]

_LATER = {"figures": ".reporting.figures", "explorables": ".explorables"}
"""Modules that are loaded when they are first used: they need matplotlib or anywidget."""


def __getattr__(name: str):
    if name in _LATER:
        return importlib.import_module(_LATER[name], __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})
