"""The dial between look-up and map, in a browser: Python's numbers, keys, hostile names, a kernel."""

import numpy as np
import pytest

import geomem as gm
from geomem.explorables import Heat
from tests.explorables.test_explorables import HOSTILE

ALIVE = "document.querySelector('[data-alive] > div').explorable"


@pytest.mark.parametrize("g", [gm.path_star(4, 5), gm.cycle(9), gm.irregular()], ids=lambda g: g.name)
def test_the_page_shows_the_numbers_of_the_library(shown, g):
    page = shown(Heat(g))
    dial = page.get_by_role("slider", name="time t")
    for place in (-1, -0.2, 0.4, 1):
        dial.fill(str(place))
        t = float(page.evaluate(f"{ALIVE}.time()"))
        memory = gm.heat_kernel_memory(g, t)
        cosine = np.array(page.evaluate(f"[...{ALIVE}.cosine()]")).reshape(g.n_nodes, -1)
        assert np.abs(cosine - gm.cosines(memory.embedding).numpy()).max() < 1e-6
        assert page.evaluate(f"{ALIVE}.recall()") == pytest.approx(float(gm.edge_recall(memory.scores(), g)))
        ranked = np.array(page.evaluate(f"[...{ALIVE}.scores()]")).reshape(g.n_nodes, -1)
        scores = memory.scores().numpy()
        assert np.allclose(ranked / ranked.max(), scores / scores.max(), atol=1e-8)
    assert not page.errors and not page.outside


def test_it_goes_from_a_look_up_to_what_forgets_its_facts(shown):
    page = shown(Heat("path_star", node=4))
    assert "100 % of the facts recalled" in page.inner_text(".status")
    page.get_by_role("button", name="look-up").click()
    assert "t = 0.10: 100 %" in page.inner_text(".status") and "cosine 0.00" in page.inner_text(".status")
    page.get_by_role("button", name="too smooth").click()
    assert "t = 20: 100 %" not in page.inner_text(".status")


def test_all_of_it_works_by_keyboard_and_fits_a_phone(shown):
    page = shown(Heat("path_star", node=4), width=390)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("slider", name="time t").press("ArrowLeft")
    assert page.evaluate(f"{ALIVE}.time()") < gm.largest_heat_time(gm.path_star(4, 5))
    page.locator("canvas").first.focus()
    page.keyboard.press("ArrowRight")
    assert page.get_by_label("node", exact=True).input_value() == "5"
    assert "for node 5" in page.inner_text("thead")


def test_the_poster_stands_without_javascript_and_names_are_text(shown):
    widget = Heat("path_star")
    assert shown(widget, javascript=False).locator("img").get_attribute("alt") == widget.alt
    page = shown(Heat(gm.Graph.from_edges([(HOSTILE[k], HOSTILE[k + 1]) for k in range(3)])))
    assert page.evaluate("window.hit") is None and page.locator("[data-alive] img").count() == 0 and not page.errors


def test_with_a_kernel_both_sides_follow_each_other(live):
    page = live(Heat("path_star"))
    page.evaluate("kernel.set('t', 5)")
    assert "t = 5.0" in page.inner_text(".status")
    page.get_by_label("node", exact=True).select_option("7")
    assert page.evaluate("kernel.get('node')") == 7
    page.evaluate("stop()")
    assert not page.errors
