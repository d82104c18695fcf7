"""Your own facts, in a browser: the flow is the library's, facts are counted as there, and no text can do harm."""

import numpy as np
import pytest

import geomem as gm
from geomem.explorables import Facts
from geomem.measures import recalled_facts
from tests.explorables.test_explorables import HOSTILE

ALIVE = "document.querySelector('[data-alive] > div').explorable"


def counted(g, scores):
    """Return how far every fact is on the map beyond chance."""
    lucky = (g.degrees / (g.n_nodes - 1))[:, None]
    return ((recalled_facts(scores, g) - lucky) / (1 - lucky)).clamp(0, 1)


@pytest.mark.parametrize("name", ["davis", "florentine"])
def test_every_fact_is_counted_as_in_the_library(shown, name):
    g = gm.named_graph(name)
    page = shown(Facts(name, width=16, seed=2), reduced_motion=True)
    page.evaluate(f"{ALIVE}.forward(400)")
    V = gm.gradient_flow(g, width=16, lr=0.02, init_std=0.1, seeds=[2], steps=400, snapshots=[]).embeddings[-1, 0]
    table = np.array(page.evaluate(f"[...{ALIVE}.flow().V]")).reshape(-1, 16)
    assert np.abs(table - V.numpy()).max() < 1e-6
    facts, directed = counted(g, V @ V.T), g.directed_edges().tolist()
    shown_here = [page.evaluate(f"{ALIVE}.held({u}, {v})") for u, v in directed]
    assert np.allclose(shown_here, [float(facts[u, v]) for u, v in directed], atol=1e-9)
    chance = float(g.degrees.double().mean() / (g.n_nodes - 1))
    share = (float(gm.edge_recall(V @ V.T, g)) - chance) / (1 - chance)
    assert f"the map's share is {share:.2f}" in page.inner_text(".status")
    assert not page.errors and not page.outside


def test_typed_facts_are_trained_at_once_and_a_mistake_is_told(shown):
    page = shown(Facts("florentine", width=8))
    page.get_by_role("textbox").fill("a b\nb c\nc d\nd a\nd e")
    page.get_by_role("button", name="Use these").click()
    page.wait_for_function(f"{ALIVE}.flow().steps > 20")
    assert page.evaluate(f"{ALIVE}.flow().n") == 5
    page.get_by_role("button", name="Pause").click()
    for text, says in (
        ("a b c", "Line 1 must hold two names, got 3."),
        ("a b", "at least 3 nodes, got 2"),
        ("\n".join(f"{k} {k + 1}" for k in range(80)), "may have 60 nodes here, got 81"),
        ("\n".join(["a" * 118 + " b"] * 200), "may have 20,000 letters here, got 24,199"),
    ):
        page.get_by_role("textbox").fill(text)
        page.get_by_role("button", name="Use these").click()
        assert says in page.inner_text(".status") and page.evaluate(f"{ALIVE}.flow().n") == 5
    assert not page.errors


def test_hostile_names_are_text_and_run_nothing(shown):
    page = shown(Facts(gm.Graph.from_edges([(HOSTILE[k], HOSTILE[k + 1]) for k in range(3)]), width=4), reduced_motion=True)
    assert HOSTILE[0] in page.get_by_role("textbox").input_value()
    page.get_by_role("textbox").fill(
        "\n".join(f"{HOSTILE[k]}, {HOSTILE[(k + 1) % 4]}" for k in range(4)) + "\nx, " + HOSTILE[0]
    )
    page.get_by_role("button", name="Use these").click()
    page.get_by_role("button", name="Train").click()
    page.locator("canvas").first.focus()
    page.keyboard.press("ArrowRight")
    assert HOSTILE[0] in page.inner_text(".status")
    page.wait_for_timeout(100)
    assert page.evaluate("window.hit") is None and page.locator("[data-alive] :is(img, script)").count() == 0
    assert not page.errors


def test_all_of_it_works_by_keyboard_and_little_motion_is_respected(shown):
    page = shown(Facts("florentine", width=8), reduced_motion=True, width=390)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.get_by_role("button", name="Use these").press("Enter")
    page.wait_for_timeout(200)
    assert page.evaluate(f"{ALIVE}.flow().steps") == 0  # nothing moves by itself
    page.get_by_role("button", name="Train").press("Enter")
    assert page.evaluate(f"{ALIVE}.flow().steps") == 3000 and "3,000 steps" in page.inner_text(".status")
    page.locator("canvas").first.focus()
    page.keyboard.press("End")
    assert "is asked for its" in page.inner_text(".status")


def test_the_poster_stands_without_javascript(shown):
    widget = Facts("florentine", width=8)
    assert shown(widget, javascript=False).locator("img").get_attribute("alt") == widget.alt


def test_with_a_kernel_both_sides_follow_each_other(live):
    page = live(Facts("florentine", width=8))
    page.evaluate("kernel.set('edges', 'a b\\nb c\\nc a\\nc d')")
    assert page.get_by_role("textbox").input_value().startswith("a b")
    page.get_by_role("textbox").fill("a b\nb c\nc d")
    page.get_by_role("button", name="Use these").click()
    assert page.evaluate("kernel.get('edges')") == "a b\nb c\nc d"
    page.evaluate("stop()")
    assert not page.errors
