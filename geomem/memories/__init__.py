"""Memories in closed form, and what each costs in bits and in norm."""

from .closed_form import (
    HEAT_TIMES,
    Memory,
    associative_memory,
    edit_fact,
    fiedler_memory,
    first_hop_strength,
    heat_kernel_memory,
    incidence_memory,
    largest_heat_time,
    path_star_memory,
)
from .costs import BitCost, NormCost, StoreCost, can_hold, cost_in_bits, cost_in_norm, store_bits, store_norm
from .twins import least_map_bits, twin_classes

__all__ = [
    "HEAT_TIMES",
    "Memory",
    "associative_memory",
    "edit_fact",
    "fiedler_memory",
    "first_hop_strength",
    "heat_kernel_memory",
    "incidence_memory",
    "largest_heat_time",
    "path_star_memory",
    "BitCost",
    "NormCost",
    "StoreCost",
    "can_hold",
    "cost_in_bits",
    "cost_in_norm",
    "store_bits",
    "store_norm",
    "least_map_bits",
    "twin_classes",
]
