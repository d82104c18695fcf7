"""One-layer Node2Vec, exactly: its gradient flow, and where the flow ends."""

from .blockwise import blockwise_flow
from .dual import Rest, most_random_walk
from .flow import Flow, flow_matrix, gradient_flow
from .rest import CycleFixedPoint, FlowSpectrum, cycle_fixed_point, entropy_floor, flow_spectrum, stationarity

__all__ = [
    "Flow",
    "flow_matrix",
    "gradient_flow",
    "CycleFixedPoint",
    "FlowSpectrum",
    "cycle_fixed_point",
    "entropy_floor",
    "flow_spectrum",
    "stationarity",
    "Rest",
    "blockwise_flow",
    "most_random_walk",
]
