"""Fonts for names in any script: matplotlib's own where it has the characters, else one that the system offers."""

import functools
from collections.abc import Iterable, Sequence

from matplotlib import font_manager
from matplotlib.ft2font import FT2Font

OWN = "DejaVu Sans"
"""What matplotlib brings along and draws with."""
EMPTY = ("Last Resort", "Adobe Blank")
"""Fonts that claim every character and draw a box, or nothing, for each."""


def fonts_for(texts: Iterable[str]) -> tuple[str, ...] | None:
    """Return the font families that together have every character of some texts, None if this system lacks one.

    Args:
        texts: What is to be written.

    Source:
        Ours.

    Example:
        >>> fonts_for(["Zürich", "Łódź"])
        ('DejaVu Sans',)
    """
    lacking = frozenset(character for text in texts for character in text if not character.isspace()) - _own()
    return _families(lacking)


def writable(texts: Iterable[str], *, numbers: Sequence[int] | None = None) -> tuple[list[str], tuple[str, ...]]:
    """Return texts as a figure can show them, and the fonts: numbers where no font has them.

    Characters that cannot be printed, or turn the writing, are written as escapes.

    Args:
        texts: Names of nodes.
        numbers: What to write for each where fonts are missing; by default 0, 1, 2, ...

    Source:
        Ours.

    Example:
        >>> writable(["Paris", "Łódź"])
        (['Paris', 'Łódź'], ('DejaVu Sans',))
    """
    shown = [text if text.isprintable() else ascii(text) for text in texts]
    families = fonts_for(shown)
    numbers = range(len(shown)) if numbers is None else numbers
    return (shown, families) if families else ([str(number) for number in numbers], (OWN,))


@functools.lru_cache(maxsize=1)
def _own() -> frozenset[str]:
    return _characters(font_manager.findfont(OWN))


@functools.lru_cache(maxsize=256)
def _families(lacking: frozenset[str]) -> tuple[str, ...] | None:
    """Return our own family and the fewest others of the system that have the characters it lacks, found one by one."""
    families, rest = [OWN], set(lacking)
    for font in font_manager.fontManager.ttflist if rest else ():
        skipped = font.name in families or font.name.startswith(EMPTY)
        has = set() if skipped else rest & _characters(font.fname)
        if has:
            families.append(font.name)
            rest -= has
        if not rest:
            break
    return None if rest else tuple(families)


@functools.lru_cache(maxsize=512)
def _characters(file: str) -> frozenset[str]:
    """Return the characters that a font file has; none if it cannot be read."""
    try:
        return frozenset(map(chr, FT2Font(file).get_charmap()))
    except (OSError, RuntimeError, ValueError):
        return frozenset()
