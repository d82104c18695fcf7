"""What a memory recalls, and whether its embedding is a map. Measures know arrays and graphs, not models."""

from .base import COSINE_TIE, ROUNDING
from .geometry import cosine_by_hops, cosines, geometric_contrast, geometric_order
from .nodes import Estimate, NodeSample
from .nulls import local_table, random_table
from .recall import edge_margin, edge_recall, recalled_facts
from .shares import CoreSurvival, core_survival, geometric_share, split_scores
from .stars import arm_separation, first_hop_accuracy, silhouette

__all__ = [
    "COSINE_TIE",
    "ROUNDING",
    "Estimate",
    "NodeSample",
    "edge_margin",
    "edge_recall",
    "recalled_facts",
    "cosine_by_hops",
    "cosines",
    "geometric_contrast",
    "geometric_order",
    "local_table",
    "random_table",
    "arm_separation",
    "first_hop_accuracy",
    "silhouette",
    "CoreSurvival",
    "core_survival",
    "geometric_share",
    "split_scores",
]
