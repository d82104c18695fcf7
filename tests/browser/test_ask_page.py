"""Ask the memory in a real browser: its table says what Python says."""

import pytest
import torch

import geomem as gm

explorables = pytest.importorskip("geomem.explorables", reason="anywidget is not installed")
STAR = gm.path_star(3, 4)
ALIVE = "document.querySelector('[data-alive] > div').explorable"
LOOK_UP, MAP = gm.associative_memory(STAR), gm.heat_kernel_memory(STAR, gm.largest_heat_time(STAR))


def ask(**options):
    generator = torch.Generator().manual_seed(1)
    trained = tuple(torch.randn(10, m, generator=generator) for m in (10, 4))
    return explorables.Ask(STAR, {"look-up": LOOK_UP, "map": MAP, "trained": trained}, **options), trained


def cells(page):
    return [row.locator("th, td").all_inner_texts() for row in page.locator("tbody tr").all()]


def pair(page):
    return page.evaluate(f"{ALIVE}.pair()")


def test_the_table_says_what_the_library_says(shown):
    explorable, trained = ask(source=3, target=9)
    page = shown(explorable)
    scores = [LOOK_UP.scores(), MAP.scores(), trained[0], gm.cosines(trained[1])]
    assert page.locator("thead th").all_inner_texts()[3] == "rank of “to” among 9"
    for source, target in [(3, 9), (0, 4), (7, 1)]:
        page.get_by_label("from", exact=True).select_option(str(source))
        page.get_by_label("to", exact=True).select_option(str(target))
        told = cells(page)
        hops = int(STAR.hops()[source, target])
        assert told[0][0] == "the graph itself" and told[0][2] == f"{hops} hop" + "s" * (hops > 1)
        for row, matrix in zip(told[1:], scores, strict=True):
            assert float(row[2]) == pytest.approx(float(matrix[source, target]), abs=6e-4)
            others = matrix[source, torch.arange(10) != source].double()
            here, near = float(matrix[source, target]), 1e-9
            better, tied = int((others > here + near).sum()), int(((others - here).abs() <= near).sum())
            assert float(row[3]) == better + (tied + 1) / 2
    kept = page.evaluate(f"{ALIVE}.memories.map((m) => [...m.scores])")
    for values, matrix in zip(kept, scores, strict=True):
        assert torch.allclose(torch.tensor(values).double(), matrix.flatten().double(), rtol=1e-6, atol=1e-12)
    assert not page.errors and not page.outside


def test_clicks_choose_from_and_then_to(shown):
    page = shown(ask(source=3, target=9)[0])
    canvas = page.locator("canvas").first
    box = canvas.bounding_box()
    places = torch.tensor(explorables.base.graph_data(STAR)["places"])
    middle = (places.amax(0) + places.amin(0)) / 2
    reach = (places - middle).abs().amax(0)
    zoom = min((box["width"] / 2 - 30) / reach[0], (box["height"] / 2 - 30) / reach[1])

    def click(node):
        x, y = ((places[node] - middle) * zoom).tolist()
        canvas.click(position={"x": box["width"] / 2 + x, "y": box["height"] / 2 - y})

    click(0)
    assert pair(page) == [0, 9]
    click(5)
    assert pair(page) == [0, 5]
    click(5)  # the other end of the pair: they change places
    assert pair(page) == [5, 0]


def test_all_of_it_works_by_keyboard(shown):
    page = shown(ask(source=3, target=9)[0])
    canvas = page.locator("canvas").first
    canvas.focus()
    page.keyboard.press("ArrowRight")
    assert pair(page) == [3, 0]
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowDown")
    assert pair(page) == [4, 9]
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    assert pair(page) == [2, 9]
    assert "From 2 to 9: 5 hops. look-up: 0," in canvas.get_attribute("aria-label")
    page.get_by_label("to", exact=True).select_option("3")
    canvas.press("ArrowDown")  # a walk steps over the other end
    assert pair(page) == [4, 3]
    canvas.press("ArrowRight")
    assert pair(page) == [4, 5]
    for label, node in (("from", "2"), ("to", "9")):
        page.get_by_label(label, exact=True).select_option(node)
    page.get_by_role("button", name="Swap").press("Enter")
    assert pair(page) == [9, 2]
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")  # surprise me
    found = pair(page)
    assert found != [9, 2] and page.get_by_role("button", name="Surprise me").evaluate("(b) => b === document.activeElement")
    pairs = page.get_by_role("button", name="Surprise me").evaluate(
        f"(button) => Array.from({{length: 60}}, () => {{ button.click(); return {ALIVE}.pair(); }})"
    )
    assert all(int(STAR.hops()[u, v]) >= 2 for u, v in [found, *pairs]) and len({tuple(two) for two in pairs}) > 10
    found = pairs[-1]
    assert page.get_by_label("from", exact=True).input_value() == str(found[0])


def test_bars_show_scores_or_ranks_and_are_chosen_by_a_click(shown):
    page = shown(ask(source=0, target=9)[0])
    bars = page.locator("canvas").nth(2)
    inked = """() => { // the look-up's sixth bar of nine, a fifth of the way up
      const canvas = document.querySelectorAll("canvas")[1], { width, height } = canvas;
      const scale = height / canvas.clientHeight;
      const x = 4 * scale + (width - 8 * scale) * 5.5 / 9, [top, bottom] = [22 * scale, height - 16 * scale];
      return canvas.getContext("2d").getImageData(x, bottom - 0.2 * (bottom - top), 1, 1).data[3] > 0;
    }"""
    page.wait_for_timeout(200)
    assert not page.evaluate(inked)
    page.get_by_label("bars").select_option("ranks")
    page.wait_for_function(inked)
    box = bars.bounding_box()
    bars.click(position={"x": 4 + (box["width"] - 8) * 1.5 / 9, "y": 30})  # the second bar of nine
    assert pair(page) == [0, int(sorted(range(1, 10), key=lambda v: (int(STAR.hops()[0, v]), v))[1])]


def test_poster_is_seen_without_javascript(shown):
    explorable = ask()[0]
    page = shown(explorable, javascript=False)
    assert page.locator("img").get_attribute("alt") == explorable.alt
    assert page.evaluate("document.images[0].naturalWidth") == 576


def test_hostile_names_are_text_and_run_nothing(shown):
    bad = '"><img src=x onerror="window.ran=1">'
    g = gm.Graph.from_edges([(bad, "<script>window.ran=1</script>"), ("<script>window.ran=1</script>", "אבג"), ("אבג", "d")])
    page = shown(explorables.Ask(g, {bad: gm.associative_memory(g)}))
    assert page.get_by_label("from", exact=True).locator("option").first.text_content() == bad
    assert cells(page)[1][0] == bad
    page.get_by_role("button", name="Swap").click()
    assert page.evaluate("window.ran") is None and not page.locator("img, script:not([src])").count()
    assert not page.errors


def test_with_a_kernel_both_sides_follow_each_other(live):
    page = live(ask(source=3, target=9)[0])
    page.evaluate("kernel.set('target', 5)")
    assert cells(page)[0][2] == "5 hops"
    page.get_by_role("button", name="Swap").click()
    assert page.evaluate("[kernel.get('source'), kernel.get('target')]") == [5, 3] and page.evaluate("kernel.saved") == 1
    page.evaluate("stop()")
    assert not page.errors


def test_the_race_of_the_first_hops_says_which_wins(shown):
    star = gm.path_star(4, 5)
    memories = {"look-up": gm.associative_memory(star), "map": gm.heat_kernel_memory(star, 1.5)}
    page = shown(explorables.Ask(star, memories, source=4, target=5))
    page.get_by_role("button", name="Which first hop wins?").press("Enter")
    said = page.inner_text(".status")
    assert said == "Which of the first hops 1, 5, 9, 13 leads to 4? look-up: 1, 5, 9, 13, a tie of 4; map: 1, its own arm’s."
    assert page.locator("tbody tr").count() == 3 and "its own arm’s" in page.locator("tbody tr").last.inner_text()
    page.get_by_label("from", exact=True).select_option("8")
    assert page.inner_text(".status").startswith("From 8 to 5")
    page.get_by_label("from", exact=True).select_option("9")
    page.get_by_role("button", name="Which first hop wins?").click()
    assert page.inner_text(".status").startswith("9 is no node behind a first hop.")
    assert (
        not shown(explorables.Ask(gm.cycle(5), {"look-up": gm.associative_memory(gm.cycle(5))}))
        .get_by_role("button", name="Which")
        .is_visible()
    )
