"""Interactive pictures: they run in a notebook with a kernel, in the book's page without one, and are images elsewhere."""

from .ask import Ask
from .base import Explorable
from .edit import Edit
from .facts import Facts
from .heat import Heat
from .phase import Phase
from .replay import Replay
from .swap import Swap
from .watch import Watch

__all__ = ["Ask", "Edit", "Explorable", "Facts", "Heat", "Phase", "Replay", "Swap", "Watch"]
