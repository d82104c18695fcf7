"""Embed, core, unembed: one model, and one file per core. A new core is a file here and a line in ``CORES``."""

from .core import Core
from .sequence import CORES, SequenceModel

__all__ = ["CORES", "Core", "SequenceModel"]
