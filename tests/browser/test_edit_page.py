"""Edit a fact, in a browser: both memories end where Python takes them; keys, reduced motion and hostile names."""

import numpy as np
import pytest
import torch

import geomem as gm
from geomem.explorables import Edit
from geomem.memories import edit_fact
from geomem.node2vec import flow_matrix
from tests.explorables.test_explorables import HOSTILE

TOLERANCE = 1e-6
"""Between the browser's float64 and torch's, after all steps: sums are added in another order."""
ALIVE = "document.querySelector('[data-alive] > div').explorable"
RING = gm.cycle(9)
AFTER = gm.Graph(n_nodes=9, edges=[(0, 5), *[(k, (k + 1) % 9) for k in range(1, 9)]])  # 0-5 in place of 0-1
OPTIONS = dict(node=0, old=1, new=5, width=6, steps=400)


def edited(page):
    page.get_by_role("button", name="Edit").click()
    page.wait_for_function(f"{ALIVE}.steps() > 0")
    steps = -1
    while steps != (steps := page.evaluate(f"{ALIVE}.steps()")):
        page.wait_for_timeout(150)
    return steps, [np.array(table).reshape(9, 9) for table in page.evaluate(f"{ALIVE}.scores()")]


def taken(V, steps, lr, *, rehearse):
    """Take the steps that the page takes."""
    named = torch.zeros(9, dtype=torch.float64)
    named[[0, 5]] = 1.0
    target = torch.zeros(9, 9, dtype=torch.float64)
    target[0, 5] = target[5, 0] = 1.0
    for _ in range(steps):
        gap = target - named[:, None] * torch.softmax(V @ V.T, -1)
        C = flow_matrix(V, AFTER) if rehearse else gap + gap.T
        V = V + lr * C @ V
    return V


@pytest.mark.parametrize("rehearse", [False, True])
def test_both_memories_end_where_the_library_takes_them(shown, rehearse):
    widget = Edit(RING, rehearse=rehearse, **OPTIONS)
    page = shown(widget, reduced_motion=True)
    steps, (look_up, atlas) = edited(page)
    memory = gm.associative_memory(RING)
    for node, change in ((0, dict(forget=1, learn=5)), (1, dict(forget=0)), (5, dict(learn=0))):
        memory = edit_fact(memory, node, **change)
    assert np.abs(look_up - memory.scores().numpy()).max() < TOLERANCE
    V = taken(widget._table, steps, widget.data["lr"], rehearse=rehearse)
    assert 0 < steps < 3000 and np.abs(atlas - (V @ V.T).numpy()).max() < TOLERANCE
    if rehearse:
        assert gm.edge_recall(atlas, AFTER) == 1
    told = page.evaluate(f"{ALIVE}.changed(0)")
    assert [row[0] for row in told] == [0, 1, 5] and told[0] == [0, [1, 8], [5, 8]]
    text = page.locator(".status").inner_text()
    assert "The look-up, after one change: 3 nodes answer differently, 0 of them not named in the edit" in text
    assert f"after {steps} steps" in text
    assert not page.errors and not page.outside


def test_it_plays_where_motion_is_welcome_and_undo_sets_both_back(shown):
    page = shown(Edit(RING, **OPTIONS))
    before = page.evaluate(f"{ALIVE}.scores()")
    edited(page)
    assert page.evaluate(f"{ALIVE}.scores()") != before and page.locator("tbody tr").count() >= 3
    page.get_by_role("button", name="Undo").click()
    assert page.evaluate(f"{ALIVE}.scores()") == before and not page.locator("tbody tr").count()


def test_all_of_it_works_by_keyboard(shown):
    page = shown(Edit(RING, **OPTIONS), reduced_motion=True)
    canvas = page.locator("canvas").first
    canvas.focus()
    page.keyboard.press("ArrowRight")
    assert page.evaluate(f"{ALIVE}.edit()") == [0, 1, 6]
    page.get_by_label("no longer", exact=True).select_option("8")
    page.get_by_label("node", exact=True).select_option("3")
    u, v, w = page.evaluate(f"{ALIVE}.edit()")
    assert u == 3 and v in (2, 4) and w not in (2, 3, 4)
    page.get_by_role("button", name="Edit").press("Enter")
    assert "The map, after" in page.locator(".status").inner_text()
    assert "answer differently" in canvas.get_attribute("aria-label")


def test_poster_is_seen_without_javascript(shown):
    widget = Edit(RING, **OPTIONS)
    page = shown(widget, javascript=False)
    assert page.locator("img").get_attribute("alt") == widget.alt


def test_hostile_names_are_text_and_run_nothing(shown):
    g = gm.Graph.from_edges(list(zip(HOSTILE, [*HOSTILE[1:], "d"], strict=True)))
    page = shown(Edit(g, width=4, steps=200), reduced_motion=True)
    page.get_by_role("button", name="Edit").click()
    assert page.locator("tbody th").first.text_content() in HOSTILE + ["d"]
    assert page.evaluate("window.hit") is None and not page.locator("img, script:not([src])").count()
    assert not page.errors


def test_with_a_kernel_both_sides_follow_each_other(live):
    page = live(Edit(RING, **OPTIONS))
    page.evaluate("kernel.set('next', 4)")
    assert page.get_by_label("but now", exact=True).input_value() == "4"
    page.get_by_label("no longer", exact=True).select_option("8")
    assert page.evaluate("[kernel.get('node'), kernel.get('old'), kernel.get('next')]") == [0, 8, 4]
    page.evaluate("stop()")
    assert not page.errors
