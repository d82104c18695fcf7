"""geomem: associative and geometric memories of graphs, on two cores. The public names, in reading order."""

from .graphs import Graph, cycle, grid, irregular, named_graph, path_star, read_edges, tree_star
from .spectral import Spectrum
from .metrics import arm_separation, cosine_by_hops, cosines, edge_recall, first_hop_accuracy
from .metrics import geometric_contrast, geometric_order, geometric_share
from .memory import Memory, associative_memory, fiedler_memory, heat_kernel_memory, incidence_memory, largest_heat_time
from .memory import cost_in_bits, cost_in_norm
from .tasks import InContextTask, PathTask, Vocabulary, edge_examples, in_context_examples
from .models import SequenceModel
from .dynamics import flow_matrix, gradient_flow
from .ensemble import train_ensemble
from .training import Stage, load_run, train
from . import recipes
from .records import claim, exceeds_null, load_records, load_study, record, standard_error
from .sweep import load_sweep

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
    "Memory",
    "associative_memory",
    "fiedler_memory",
    "heat_kernel_memory",
    "incidence_memory",
    "largest_heat_time",
    "cost_in_bits",
    "cost_in_norm",
    "InContextTask",
    "PathTask",
    "Vocabulary",
    "edge_examples",
    "in_context_examples",
    "SequenceModel",
    "flow_matrix",
    "gradient_flow",
    "train_ensemble",
    "Stage",
    "load_run",
    "train",
    "recipes",
    "claim",
    "exceeds_null",
    "load_records",
    "load_study",
    "record",
    "standard_error",
    "load_sweep",
]
