"""Pictures that move: each lives in a notebook with a kernel, in the book's page without one, and as an image elsewhere."""

from .base import Explorable
from .replay import Replay
from .watch import Watch

__all__ = ["Explorable", "Replay", "Watch"]
