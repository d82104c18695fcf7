"""The command line: ``geomem train path-star --degree 500 --length 5 --target first --seed 0 --json``."""

from .main import main

__all__ = ["main"]
