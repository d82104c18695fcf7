"""``python -m geomem.cli`` is the command ``geomem``."""

from .main import main

main()
