"""``python -m geomem`` is the command ``geomem``."""

from .cli import main

main()
