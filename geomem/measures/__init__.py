"""What a memory recalls, and whether its embedding is a map. Measures know arrays and graphs, not models."""

from .base import COSINE_TIE, ROUNDING
from .beside import Beside, Measured, Null, judged
from .discovery import Discovery, discover, pair_scores, ripple
from .geometry import cosine_by_hops, cosines, geometric_contrast, geometric_order
from .nodes import Estimate, NodeSample
from .nulls import local_table, random_table
from .recall import edge_margin, edge_recall, recalled_facts
from .rows import Matched, Table, match_rows
from .shares import CoreSurvival, core_survival, geometric_share, split_scores
from .stars import arm_separation, first_hop_accuracy, silhouette
from .tables import read_table
from .verdict import measure

__all__ = [
    "COSINE_TIE",
    "ROUNDING",
    "Estimate",
    "NodeSample",
    "edge_margin",
    "edge_recall",
    "recalled_facts",
    "Discovery",
    "discover",
    "pair_scores",
    "ripple",
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
    "Beside",
    "Measured",
    "Null",
    "judged",
    "Matched",
    "Table",
    "match_rows",
    "measure",
    "read_table",
]
