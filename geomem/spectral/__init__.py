"""The spectrum of a graph by eigenspace, and the closed forms of the path-star."""

from .spectrum import EIGENVALUE_TOL, Spectrum, canonical_basis, effective_rank, random_walk, symmetric_walk
from .stars import path_star_arms, path_star_fiedler_energy, path_star_profile

__all__ = [
    "EIGENVALUE_TOL",
    "Spectrum",
    "canonical_basis",
    "effective_rank",
    "random_walk",
    "symmetric_walk",
    "path_star_arms",
    "path_star_fiedler_energy",
    "path_star_profile",
]
