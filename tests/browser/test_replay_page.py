"""Replay in a real browser: it shows Python's numbers, and everything it does can be done with the keyboard."""

import json
import re
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import numpy as np
import pytest
import torch

import geomem as gm
from geomem.explorables import Replay
from tools import book

GRID = gm.grid(4, 4)
MARKS = [0, 1, 2, 4, 8, 16, 32, 64]
FLOW = gm.gradient_flow(GRID, steps=200, seeds=[100], snapshots=MARKS)
RUNS = gm.train_ensemble(GRID, width=16, steps=100, seeds=[100], snapshots=MARKS)
WIDGET = Replay(GRID, {"node2vec": FLOW, "linear": RUNS})
HOSTILE = '<img src=x onerror="window.hit = 1">'
PARTS = "document.querySelector('[data-explorable] > div').explorable"


@pytest.fixture
def opened(visit, tmp_path):
    def opened(widget=WIDGET, **options):
        script = (book.ROOT / "book/static/explorables.js").read_text(encoding="utf8")
        (tmp_path / "explorables.js").write_text(script, encoding="utf8")
        page = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>t</title>{widget.island()}'
        (tmp_path / "page.html").write_text(page + '<script src="explorables.js"></script></html>', encoding="utf8")
        page = visit((tmp_path / "page.html").as_uri(), **options)
        if options.get("javascript", True):
            page.wait_for_selector("[data-alive=replay]")
        return page

    return opened


def says(page):
    return re.sub("[\u2068\u2069]", "", page.locator(".status").inner_text())


def choose(page, name):
    return page.get_by_role("combobox", name=name, exact=True)


def projected(page):
    return np.array(page.evaluate(f"{PARTS}.projected().places"))


def ink(page):
    return page.evaluate("[...document.querySelectorAll('canvas')].map((c) => c.toDataURL())")


def settled(page):
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def distances(points):
    return np.linalg.norm(points[:, None] - points, axis=-1)


def test_the_page_shows_the_distances_and_numbers_of_python(opened):
    page = opened()
    time = page.get_by_role("slider")
    for k, (step, table) in enumerate(zip(FLOW.steps.tolist(), FLOW.embeddings[:, 0], strict=True)):
        time.fill(str(k))
        U, size, _ = torch.linalg.svd(table - table.mean(0))
        for view, m in (("2D", 2), ("3D", 3)):
            choose(page, "view").select_option(view)
            principal = distances((U[:, :m] * size[:m]).numpy())
            np.testing.assert_allclose(distances(projected(page)), principal, atol=1e-3 * principal.max())
            held = size[:m].square().sum() / size.square().sum()
            contrast, order = gm.geometric_contrast(table, GRID), gm.geometric_order(table, GRID)
            recall = gm.edge_recall(table @ table.T, GRID)
            shown = [float(x) for x in re.findall(r"-?\d+\.\d\d", says(page))]
            assert shown == pytest.approx([float(recall), float(contrast), float(order)], abs=0.0051)
            assert says(page).startswith(f"node2vec, step {step}: edge recall")
            told = re.search(rf"the {m} components hold (\d+) %", says(page))[1]
            assert float(told) == pytest.approx(100 * float(held), abs=0.6)
    assert page.errors == [] and page.outside == []


def test_a_node_s_neighbours_path_and_hops_are_those_of_python(opened):
    page, hops = opened(), GRID.hops()
    cosine = gm.cosines(FLOW.embeddings[4, 0]) - 9 * torch.eye(16)
    page.get_by_role("slider").fill("4")
    for node, target in ((15, 0), (0, 0), (6, 3)):
        choose(page, "node").select_option(index=node + 1)
        choose(page, "path to").select_option(index=target)
        far = int(hops[node, target])
        assert f"Node {node} to {target}, {far} hop{'' if far == 1 else 's'}" in says(page)
        best = cosine[node].argsort(descending=True)[:3].tolist()
        found = re.findall(r"(\d+) \((-?[\d.]+), (\d+) hops?\)", says(page))
        assert [(int(v), int(h)) for v, _, h in found] == [(v, int(hops[node, v])) for v in best]
        assert [float(c) for _, c, _ in found] == pytest.approx(cosine[node][best].tolist(), abs=0.0051)
        route = page.evaluate(f"{PARTS}.route()")
        assert route[0] == node and route[-1] == target and len(route) == far + 1
        assert all(hops[a, b] == 1 for a, b in zip(route, route[1:], strict=False))


def test_play_pause_step_and_reset(opened):
    page = opened()
    time, play = page.get_by_role("slider"), page.get_by_role("button", name="Play")
    assert time.input_value() == str(len(MARKS)) == time.get_attribute("max")
    play.click()  # from the end it begins anew
    page.wait_for_function("() => +document.querySelector('input[type=range]').value === 2")
    page.get_by_role("button", name="Pause").click()
    before = int(time.input_value())
    page.wait_for_timeout(500)
    assert int(time.input_value()) == before < len(MARKS)
    page.get_by_role("button", name="Step").click()
    assert int(time.input_value()) == before + 1
    page.get_by_role("button", name="Reset").click()
    assert time.input_value() == "0" and "step 0:" in says(page)
    first = ink(page)
    play.click()
    page.wait_for_function(f"() => +document.querySelector('input[type=range]').value === {len(MARKS)}")
    play.wait_for()  # it stopped by itself, and says so
    settled(page)
    assert all(a != b for a, b in zip(first, ink(page), strict=True))
    page.get_by_role("button", name="Step").click()
    assert time.input_value() == str(len(MARKS)) and page.errors == []


def test_another_run_keeps_the_step_or_the_end(opened):
    page = opened()
    choose(page, "run").select_option("linear")
    assert says(page).startswith("linear, step 100: edge recall 1.00")
    page.get_by_role("slider").fill("3")
    choose(page, "run").select_option("node2vec")
    assert says(page).startswith("node2vec, step 4:")


def test_the_keyboard_does_it_all(opened):
    page = opened()
    page.keyboard.press("Tab")
    seen = []
    for _ in range(9):
        seen.append(page.evaluate("document.activeElement.getAttribute('aria-label') || document.activeElement.innerText"
                                  " || document.activeElement.parentElement.innerText"))  # fmt: skip
        page.keyboard.press("Tab")
    assert any(name.startswith("Embedding of 16 nodes") for name in seen) and seen[-1] == "time"
    page.locator("canvas").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    assert "Node 1 to 0, 1 hop." in says(page)
    page.keyboard.press("End")
    assert "Node 15 to 0, 6 hops: 15 –" in says(page)
    assert choose(page, "node").input_value() == "15"
    page.keyboard.press("Escape")
    assert "Node" not in says(page)
    page.keyboard.press("Shift+ArrowRight")  # in 2D nothing turns, and no node is chosen
    assert page.evaluate(f"{PARTS}.turn()") == [0, 0] and "Node" not in says(page)
    choose(page, "view").select_option("3D")
    before = projected(page)
    page.locator("canvas").first.focus()
    page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("Shift+ArrowDown")
    turned = projected(page)
    assert np.abs(turned - before).max() > 0.05 * np.abs(before).max()
    np.testing.assert_allclose(distances(turned), distances(before), atol=1e-9)


def test_drag_and_buttons_turn_and_hover_chooses(opened):
    page = opened()
    page.get_by_role("button", name="turn left").wait_for(state="hidden")
    choose(page, "view").select_option("3D")
    for name, way in (("turn left", (-1, 0)), ("turn right", (1, 0)), ("tilt up", (0, -1)), ("tilt down", (0, 1))):
        before = np.array(page.evaluate(f"{PARTS}.turn()"))
        page.get_by_role("button", name=name).click()
        assert page.evaluate(f"{PARTS}.turn()") == pytest.approx((before + np.array(way) * np.pi / 12).tolist())
    box = page.locator("canvas").first.bounding_box()
    x, y = box["x"] + 100, box["y"] + 100
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 50, y)
    page.mouse.move(x + 100, y + 20)
    page.mouse.up()
    assert page.evaluate(f"{PARTS}.turn()") == pytest.approx([1.0, 0.2])
    settled(page)
    for node in (3, 12):
        x, y = page.evaluate(f"{PARTS}.xy()")[node]
        page.mouse.move(box["x"] + x, box["y"] + y)
        assert f"Node {node} to 0" in says(page)
    assert page.evaluate(f"{PARTS}.turn()") == pytest.approx([1.0, 0.2])


@pytest.mark.parametrize("still", [False, True])
def test_it_turns_by_itself_only_on_request_and_never_with_reduced_motion(opened, still):
    page = opened(reduced_motion=still)
    choose(page, "view").select_option("3D")
    rotate = page.get_by_role("checkbox", name="rotate")
    page.wait_for_timeout(300)
    assert page.evaluate(f"{PARTS}.turn()") == [0, 0]
    assert rotate.is_disabled() is still
    page.evaluate("() => { const box = document.querySelector('input[type=checkbox]'); box.disabled = false; box.click(); }")
    page.wait_for_timeout(500)
    turned = page.evaluate(f"{PARTS}.turn()[0]")
    assert turned == 0 if still else turned > 0.02
    if not still:
        rotate.uncheck()
        page.wait_for_timeout(100)
        before = page.evaluate(f"{PARTS}.turn()")
        page.wait_for_timeout(300)
        assert page.evaluate(f"{PARTS}.turn()") == before


def test_a_kernel_sees_what_the_reader_does_and_moves_the_picture(visit, tmp_path):
    bundle = book.ROOT / "geomem/explorables/explorables.mjs"
    (tmp_path / "m.mjs").write_text(bundle.read_text(encoding="utf8"), encoding="utf8")
    values = json.dumps(WIDGET.values()).replace("<", "\\u003c")
    (tmp_path / "page.html").write_text(
        f"""<!doctype html><meta charset="utf-8"><div id="here"></div><script type="module">
        import it from "./m.mjs";
        const values = {values}, heard = {{}};
        window.saved = [];
        window.model = {{ get: (n) => values[n], on: (n, f) => heard[n] = f, 
          save_changes: () => saved.push({{...values, data: 0}}),
          set: (n, v) => {{ values[n] = v; heard["change:" + n]?.(); }} }};
        window.stop = it.render({{ model, el: document.getElementById("here") }});</script>""",
        encoding="utf8",
    )

    class Quiet(SimpleHTTPRequestHandler):
        extensions_map = SimpleHTTPRequestHandler.extensions_map | {".mjs": "text/javascript"}

        def log_message(self, *words):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), lambda *a: Quiet(*a, directory=tmp_path)) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        page = visit(f"http://127.0.0.1:{server.server_port}/page.html")
        page.wait_for_selector(".status")
        page.get_by_role("slider").fill("2")
        choose(page, "node").select_option("7")
        choose(page, "path to").select_option("3")
        choose(page, "view").select_option("3D")
        choose(page, "run").select_option("linear")
        last = page.evaluate("saved.at(-1)")
        assert (last["step"], last["node"], last["target"], last["view"], last["run"]) == (2, 7, 3, "3D", "linear")
        sent = [("step", 5, "linear, step 16:"), ("node", 9, "Node 9 to 3"), ("target", 1, "Node 9 to 1")]
        sent += [("view", "2D", "the 2 components"), ("run", "node2vec", "node2vec, step 16:")]
        for name, value, words in sent:
            page.evaluate("([n, v]) => model.set(n, v)", [name, value])
            assert words in says(page)
        page.evaluate("stop()")
        assert [words for words in page.errors if "favicon" not in words and "404" not in words] == []
        server.shutdown()


def test_without_javascript_there_is_the_poster(opened):
    page = opened(javascript=False)
    image = page.get_by_alt_text("The embedding of node2vec on grid(4, 4) after 0, 8 and 200 steps")
    assert image.bounding_box()["width"] > 300


def test_a_hostile_graph_is_text_and_runs_nothing(opened):
    g = gm.Graph.from_edges([(HOSTILE, "b'"), ("b'", 'c"'), ('c"', "\u202eabc"), ("d", "e")], name=HOSTILE)
    E = torch.randn(3, 6, 4, generator=torch.Generator().manual_seed(0))
    page = opened(Replay(g, {HOSTILE: ([0, 5, 9], E)}))
    choose(page, "node").select_option(index=1)
    choose(page, "path to").select_option(index=3)
    assert f"Node {HOSTILE} to \u202eabc, 3 hops: {HOSTILE} – b' – c\" – \u202eabc." in says(page)
    assert "\u2068\u202eabc\u2069" in page.locator(".status").inner_text()  # what turns around ends with the name
    choose(page, "path to").select_option(index=5)
    assert "no path" in says(page)
    page.get_by_role("button", name="Play").click()
    page.wait_for_timeout(2000)
    assert page.locator("img").count() == 0 and page.evaluate("window.hit") is None and page.errors == []


def test_a_contrast_above_one_is_drawn_whole(opened):
    g = gm.path_star(2, 3)
    far = torch.tensor([[0.01, 0.0], [1, 0], [1, 0], [-1, 0], [-1, 0]])
    widget = Replay(g, {"pair": ([0, 1], torch.stack([far, far]))})
    (contrast,) = [curve["y"][-1] for curve in widget.data["runs"][0]["curves"] if curve["name"] == "contrast"]
    assert contrast > 1
    page = opened(widget)
    page.evaluate("""() => { const own = CanvasRenderingContext2D.prototype.fillText; window.texts = [];
        CanvasRenderingContext2D.prototype.fillText = function (text, ...at) {
          window.texts.push(`${text}`);
          own.call(this, text, ...at);
        }; }""")
    page.get_by_role("slider").press("Home")
    settled(page)
    assert "1.5" in page.evaluate("window.texts") and not page.errors
