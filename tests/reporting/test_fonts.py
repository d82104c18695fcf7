"""Names in any script are written in a font that has them, or as numbers."""

import warnings

import matplotlib.pyplot as plt
import pytest
from matplotlib import font_manager

import geomem as gm
from geomem.reporting import fonts

NAMES = {"cjk": "東京", "korean": "서울", "devanagari": "दिल्ली", "emoji": "🐝", "arabic": "القاهرة", "latin": "Łódź"}


@pytest.fixture(params=[True, False], ids=["system", "bare"])
def system(request, monkeypatch):
    """Try with the fonts that are here, and where matplotlib's own are the only ones."""
    if not request.param:
        own = [font for font in font_manager.fontManager.ttflist if "DejaVu Sans" in font.name]
        monkeypatch.setattr(font_manager.fontManager, "ttflist", own)
    fonts._families.cache_clear()
    yield
    fonts._families.cache_clear()


@pytest.mark.parametrize("script", NAMES)
def test_a_name_is_drawn_without_a_missing_glyph(script, system):
    graph = gm.Graph.from_edges([(NAMES[script], "a"), ("a", "b")])
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # matplotlib warns of every glyph that is missing
        ax = gm.figures.draw_graph(graph, gm.figures.panels()[0, 0], labels=True)
        ax.figure.canvas.draw()
    shown = [text.get_text() for text in ax.texts]
    assert shown in ([NAMES[script], "a", "b"], ["0", "1", "2"])
    assert script not in ("latin", "arabic") or shown[0] == NAMES[script]
    assert not any("Last Resort" in family for text in ax.texts for family in text.get_fontfamily())  # boxes for all
    plt.close(ax.figure)


def test_numbers_stand_for_names_that_no_font_has(monkeypatch):
    monkeypatch.setattr(font_manager.fontManager, "ttflist", [])
    fonts._families.cache_clear()
    assert fonts.fonts_for(["a", "東京"]) is None
    assert fonts.writable(["東京"], numbers=[7]) == (["7"], ("DejaVu Sans",))
    assert fonts.writable(["a\u202eb"])[0] == [ascii("a\u202eb")]
    fonts._families.cache_clear()
