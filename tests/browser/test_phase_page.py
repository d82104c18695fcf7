"""The phase diagram in a real browser: its numbers, its picture and the call that it copies are Python's."""

import pytest
import torch

import geomem as gm

explorables = pytest.importorskip("geomem.explorables", reason="anywidget is not installed")
RING = gm.cycle(15)
ALIVE = "document.querySelector('[data-alive] > div').explorable"


@pytest.fixture(scope="module")
def runs():
    knobs = dict(lr=[0.003, 0.03, 0.1], init_std=[0.02, 0.5], weight_decay=[0.0, 1.0], seeds=[60, 61])
    return gm.train_ensemble(RING, width=16, steps=40, **knobs)


def call(page):
    return page.get_by_label("the call that trains the pinned cell again").input_value()


def number(page, measure):
    row = page.locator("tbody tr", has=page.get_by_role("rowheader", name=measure, exact=True))
    return [float(part) for part in row.locator("td").inner_text().split(" ± ")]


def middle(page, column, row, columns=3, rows=2):
    """Return where a cell of the map lies on its canvas."""
    box = page.locator("canvas").first.bounding_box()
    wide, high = (box["width"] - 58) / columns, (box["height"] - 106) / rows
    return {"x": 50 + (column + 0.5) * wide, "y": 22 + (rows - row - 0.5) * high}


def test_keys_choose_a_cell_and_all_of_it_is_pythons(shown, runs):
    phase = explorables.Phase(runs, RING)
    phase.cell = [0, 0, 0]
    page = shown(phase)
    canvas = page.locator("canvas").first
    canvas.focus()
    order = gm.geometric_order(runs.embeddings[-1], RING).view(3, 2, 2, 2)  # lr, decay, start, seeds
    for key, cell in [(None, [0, 0, 0]), ("ArrowUp", [0, 1, 0]), ("End", [2, 1, 0]), ("ArrowLeft", [1, 1, 0])]:
        if key:
            page.keyboard.press(key)
        assert page.evaluate(f"{ALIVE}.chosen()") == cell and call(page) == phase.call(cell)
        both = order[cell[0], cell[2], cell[1]]
        assert number(page, "geometric order") == pytest.approx([float(both.mean()), float(both.std())], rel=6e-3)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")  # the edge of the map holds
    assert page.evaluate(f"{ALIVE}.chosen()") == [1, 0, 0]
    page.get_by_label("weight decay", exact=True).select_option("1")
    assert call(page) == phase.call([1, 0, 1])
    page.get_by_label("colour", exact=True).select_option("contrast")
    contrast = gm.geometric_contrast(runs.embeddings[-1], RING).view(3, 2, 2, 2)[1, 1, 0]
    said = canvas.get_attribute("aria-label")
    assert said.startswith(
        "A map of contrast over learning rate and start scale, 3 by 2 cells. learning rate 0.03, start scale 0.02"
    )
    assert number(page, "contrast")[0] == pytest.approx(float(contrast.mean()), rel=6e-3)
    assert not page.errors and not page.outside


def test_the_copied_text_trains_the_cell_again(shown, runs):
    phase = explorables.Phase(runs, RING)
    phase.cell = [2, 1, 1]
    page = shown(phase)
    page.get_by_role("button", name="Copy the call").click()
    page.wait_for_function("/Copied|selected/.test(document.querySelector('.status').textContent)")
    found = {"gm": gm}
    exec(f"again = {call(page)}", found)
    knobs = {"lr": 0.1, "init_std": 0.5, "weight_decay": 1.0}
    members = torch.stack([runs.knobs[name] == value for name, value in knobs.items()]).all(0)
    assert torch.equal(found["again"].embeddings[-1], runs.embeddings[-1, members])


@pytest.mark.parametrize("allowed", [True, False])
def test_copy_reaches_the_clipboard_or_selects_the_text(shown, runs, allowed):
    phase = explorables.Phase(runs, RING)
    page = shown(phase)
    page.evaluate(
        "(allowed) => Object.defineProperty(navigator, 'clipboard', {value: allowed ?"
        " {writeText: async (text) => { window.copied = text; }} : undefined})",
        allowed,
    )
    page.get_by_role("button", name="Copy the call").press("Enter")
    page.wait_for_function("/Copied|selected/.test(document.querySelector('.status').textContent)")
    if allowed:
        assert page.evaluate("window.copied") == phase.call()
    else:
        assert page.evaluate("document.activeElement.tagName") == "TEXTAREA"
        assert page.evaluate("getSelection().toString()") == phase.call()
    assert not page.errors


def test_hover_looks_and_a_click_keeps(shown, runs):
    phase = explorables.Phase(runs, RING)
    phase.cell = [0, 0, 0]
    page = shown(phase)
    map, picture = page.locator("canvas").all()
    image = picture.evaluate("(canvas) => canvas.toDataURL()")
    map.hover(position=middle(page, 2, 1))
    page.wait_for_function("(old) => document.querySelectorAll('canvas')[1].toDataURL() !== old", arg=image)
    assert "Under the pointer (dashed): learning rate 0.1, start scale 0.5" in page.locator(".status").inner_text()
    assert page.evaluate(f"{ALIVE}.chosen()") == [0, 0, 0] and call(page) == phase.call([0, 0, 0])
    page.mouse.move(1, 1)
    assert "Pinned: learning rate 0.003, start scale 0.02" in page.locator(".status").inner_text()
    map.click(position=middle(page, 1, 1))
    page.mouse.move(1, 1)
    assert page.evaluate(f"{ALIVE}.chosen()") == [1, 1, 0] and call(page) == phase.call([1, 1, 0])


def test_a_diverged_member_is_said(shown):
    options = dict(width=16, steps=5, init_std=[0.02, 0.5], seeds=[60])
    runs = gm.train_ensemble(RING, lr=[0.01, 1e30], **options)
    phase = explorables.Phase(runs, RING, by=None)
    phase.cell = [1, 0, 0]
    page = shown(phase)
    assert "This training diverged" in page.locator(".status").inner_text()
    assert page.locator("tbody td").first.inner_text() == "–"
    assert page.get_by_text("╱ a training diverged").is_visible() and not page.get_by_label("none").is_visible()
    page.locator("canvas").first.press("ArrowLeft")
    assert "diverged" not in page.locator(".status").inner_text()
    assert not page.errors


def test_poster_is_seen_without_javascript(shown, runs):
    phase = explorables.Phase(runs, RING)
    page = shown(phase, javascript=False)
    assert page.locator("img").get_attribute("alt") == phase.alt
    assert page.evaluate("document.images[0].naturalWidth") == 576


def test_phone_width_needs_no_sideways_scrolling(shown, runs):
    page = shown(explorables.Phase(runs, RING), width=390, theme="dark")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_hostile_names_are_text_and_run_nothing(shown, runs):
    bad = '"><img src=x onerror="window.ran=1">'
    g = gm.Graph(n_nodes=15, edges=RING.edges, labels=(bad, *map(str, range(14))), name=bad)
    page = shown(explorables.Phase(runs, g, measures={bad: torch.ones(24), "אב": torch.ones(24)}))
    assert page.get_by_role("rowheader").first.text_content() == bad
    assert page.evaluate("window.ran") is None and not page.locator("img, script:not([src])").count()
    assert not page.errors


def test_with_a_kernel_both_sides_follow_each_other(live, runs):
    phase = explorables.Phase(runs, RING)
    page = live(phase)
    page.evaluate("kernel.set('cell', [2, 0, 1]); kernel.set('measure', 'contrast')")
    assert call(page) == phase.call([2, 0, 1]) and page.get_by_label("colour", exact=True).input_value() == "contrast"
    assert page.get_by_label("weight decay", exact=True).input_value() == "1"
    page.locator("canvas").first.press("ArrowLeft")
    page.get_by_label("colour", exact=True).select_option("edge recall")
    assert page.evaluate("kernel.get('cell')") == [1, 0, 1] and page.evaluate("kernel.get('measure')") == "edge recall"
    assert page.evaluate("kernel.saved") == 2
    page.evaluate("stop()")
    assert not page.errors


def test_the_page_says_whose_call_stands_below_while_the_pointer_is_elsewhere(shown, runs):
    phase = explorables.Phase(runs, RING)
    phase.cell = [0, 0, 0]
    page = shown(phase)
    canvas = page.locator("canvas").first
    canvas.hover(position=middle(page, 0, 0))
    alone = canvas.evaluate("c => c.toDataURL()")
    assert "This call trains the pinned cell again (solid frame): learning rate 0.003" in page.inner_text("[data-alive]")
    canvas.hover(position=middle(page, 2, 1))
    page.wait_for_timeout(100)
    hovered = canvas.evaluate("c => c.toDataURL()")
    said = page.inner_text("[data-alive]")
    assert "numbers above are those of the cell under the pointer" in said and call(page) == phase.call([0, 0, 0])
    assert "(solid frame): learning rate 0.003, start scale 0.02, weight decay 0." in said
    canvas.click(position=middle(page, 2, 1))
    page.wait_for_timeout(100)
    assert len({alone, hovered, canvas.evaluate("c => c.toDataURL()")}) == 3  # pinned and hovered cells look different
    assert call(page) == phase.call([2, 1, 0])
