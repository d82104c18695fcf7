"""Watch geometry form, in a browser: the numbers of gradient_flow, its controls, keys, posters and hostile graphs."""

import numpy as np
import pytest

import geomem as gm
from geomem.explorables import Watch
from tests.explorables.test_explorables import HOSTILE
from tools import book

TOLERANCE = 1e-6
"""Between the browser's float64 and torch's, after all steps: sums are added in another order."""
LIVE = ".explorable[data-alive]"


def inside(page, what):
    """Ask the living explorable."""
    return page.evaluate(f"() => {{ const x = document.querySelector('{LIVE} > div').explorable; return {what}; }}")


def table(page, columns):
    """Return the browser's embedding."""
    return np.array(inside(page, "Array.from(x.flow().V)")).reshape(-1, columns)


@pytest.mark.parametrize(
    ("graph", "options"),
    [
        ("cycle", dict(dim=32)),
        ("path_star", dict(dim=12, lr=0.02, init_std=1.0, seed=7)),
        ("karate", dict(dim=2, lr=0.01)),
        ("grid", dict(dim=20, self_edges=True)),
    ],
)
def test_the_browser_takes_the_steps_of_gradient_flow(shown, graph, options):
    widget = Watch(graph, **options)
    page = shown(widget)
    inside(page, "x.forward(1000)")
    settings = {name: getattr(widget, name) for name in ("lr", "init_std", "dim", "self_edges")}
    g = gm.named_graph(graph)
    flow = gm.gradient_flow(g, seeds=[widget.seed], steps=1000, snapshots=[0], **settings)
    assert np.abs(table(page, widget.dim) - flow.embeddings[-1, 0].numpy()).max() < TOLERANCE
    assert abs(inside(page, "x.flow().loss") - float(flow.loss[-1, 0])) < TOLERANCE
    frames = inside(page, "x.frames()")
    spectrum = gm.Spectrum(g, self_edges=widget.self_edges)
    for frame, V in zip((frames[0], frames[-1]), flow.embeddings[:, 0], strict=True):
        assert np.abs(np.array(frame["energy"]) - spectrum.energy(V).numpy()).max() < TOLERANCE
    assert not page.errors and not page.outside


def test_the_picture_is_the_plane_of_the_two_largest_components(shown):
    page = shown(Watch("cycle", dim=12))
    inside(page, "x.forward(300)")
    V = table(page, 12)
    left, scale, _ = np.linalg.svd(V - V.mean(0), full_matrices=False)
    seen = np.array(inside(page, "x.frames().at(-1).places"))
    flat = left[:, :2] * scale[:2]
    assert np.abs(seen @ seen.T - flat @ flat.T).max() < 1e-6 * scale[0] ** 2


def test_run_pause_step_reset_and_the_slider_of_time(shown):
    page = shown(Watch("cycle"))
    steps = "x.flow().steps"
    assert inside(page, steps) == 0
    page.get_by_role("button", name="Step").click()
    assert inside(page, steps) == 1
    page.get_by_role("button", name="Run").click()
    page.wait_for_function(f"document.querySelector('{LIVE} > div').explorable.flow().steps > 60")
    page.get_by_role("button", name="Pause").click()
    stopped = inside(page, steps)
    page.wait_for_timeout(200)
    assert inside(page, steps) == stopped and stopped > 60
    time = page.get_by_role("slider", name="time")
    assert time.get_attribute("aria-valuetext") == f"step {stopped:,}"
    time.focus()
    page.keyboard.press("Home")
    assert time.get_attribute("aria-valuetext") == "step 0" and "Step 0: loss" in page.inner_text(".status")
    page.get_by_role("button", name="Reset").click()
    assert inside(page, steps) == 0 and inside(page, "x.frames().length") == 1


def test_every_control_changes_the_run(shown):
    page = shown(Watch("cycle"))
    first = table(page, 32)
    scale = page.get_by_role("slider", name="start scale")
    scale.focus()
    page.keyboard.press("ArrowRight")
    louder = table(page, 32)
    assert np.allclose(louder / first, 10**0.05, rtol=0.01)
    page.get_by_role("slider", name="seed").press("ArrowRight")
    assert not np.allclose(table(page, 32), louder)
    page.get_by_role("slider", name="dimension").press("ArrowLeft")
    assert inside(page, "x.flow().V.length") == 15 * 31
    page.get_by_role("slider", name="learning rate").press("ArrowRight")
    assert inside(page, "x.flow().lr") == pytest.approx(0.05 * 10**0.05, rel=0.01)
    page.get_by_label("self edges").check()
    assert inside(page, "x.flow().W[0]") == pytest.approx(1 / 3)
    page.get_by_label("graph", exact=True).select_option("karate club")
    assert inside(page, "x.flow().n") == 34
    assert not page.errors


def test_typed_edges_are_a_graph_and_a_mistake_is_told(shown):
    page = shown(Watch("cycle"))
    page.get_by_label("graph", exact=True).select_option("your own edges")
    page.get_by_role("textbox").fill("a b\nb c\nc a\n# a comment\nc, d")
    page.get_by_role("button", name="Use these").click()
    assert inside(page, "x.flow().n") == 4
    g = gm.Graph.from_edges([("a", "b"), ("b", "c"), ("c", "a"), ("c", "d")])
    inside(page, "x.forward(5)")
    ours = gm.Spectrum(g).energy(table(page, 32)).numpy()
    assert np.abs(np.array(inside(page, "x.frames().at(-1).energy")) - ours).max() < TOLERANCE
    mistakes = {"a b c": "Line 1 must hold two names, got 3.", "a a": "joins a node to itself", "": "at least 3 nodes"}
    for text, says in mistakes.items():
        page.get_by_role("textbox").fill(text)
        page.get_by_role("button", name="Use these").click()
        assert says in page.inner_text(".status")
        assert inside(page, "x.flow().n") == 4  # what was there stays
    page.get_by_role("textbox").fill("\n".join(f"{k} {k + 1}" for k in range(80)))
    page.get_by_role("button", name="Use these").click()
    assert "may have 60 nodes here, got 81" in page.inner_text(".status")
    assert not page.errors


def test_arrow_keys_walk_over_the_nodes_and_say_the_way_to_the_root(shown):
    page = shown(Watch("path_star"))
    map_ = page.get_by_role("img", name="Embedding of 17 nodes")
    map_.focus()
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    g = gm.named_graph("path_star")
    way = [path for path in g.paths.tolist() if 3 in path][0]
    ids = way[: way.index(3) + 1][::-1]
    assert f"Node {g.labels[3]}: {' – '.join(g.labels[node] for node in ids)}." in page.inner_text(".status")
    page.keyboard.press("Escape")
    assert "Node" not in page.inner_text(".status")


def test_a_rate_that_is_too_high_is_told_and_the_next_run_starts_again(shown):
    page = shown(Watch("cycle"))
    page.get_by_role("slider", name="start scale").press("End")
    page.get_by_role("slider", name="learning rate").press("End")
    inside(page, "x.forward(3000)")
    assert "diverged" in page.inner_text(".status")
    page.get_by_role("slider", name="learning rate").press("Home")
    page.get_by_role("button", name="Run").click()
    page.wait_for_function(f"document.querySelector('{LIVE} > div').explorable.flow().steps > 3")
    assert np.isfinite(inside(page, "x.flow().loss")) and not page.errors


def test_it_starts_by_itself_only_where_motion_is_welcome(shown):
    assert shown(Watch("cycle", running=True)).get_by_role("button", name="Pause").is_visible()
    assert shown(Watch("cycle", running=True), reduced_motion=True).get_by_role("button", name="Run").is_visible()


def test_a_poster_stands_where_no_script_runs(shown):
    page = shown(Watch("cycle"), javascript=False)
    image = page.locator(".explorable img")
    assert image.is_visible() and image.bounding_box()["width"] > 400
    assert "Node2Vec on cycle(15)" in image.get_attribute("alt")


def test_a_hostile_graph_is_text_and_runs_nothing(shown):
    g = gm.Graph.from_edges([(HOSTILE[k], HOSTILE[k + 1]) for k in range(3)])
    page = shown(Watch(g, others=()))
    page.get_by_role("img", name="Embedding of 4 nodes").focus()
    page.keyboard.press("ArrowRight")
    assert HOSTILE[0] in page.inner_text(".status")
    page.get_by_label("graph", exact=True).select_option("your own edges")
    page.get_by_role("textbox").fill(f"{HOSTILE[0].replace(' ', '')} b\nb {HOSTILE[3].replace(' ', '')}")
    page.get_by_role("button", name="Use these").click()
    page.wait_for_timeout(100)
    assert page.evaluate("window.hit === undefined && document.querySelectorAll('main script, main [onerror]').length === 0")
    assert not page.errors and not page.outside


def test_damaged_data_leaves_the_poster(tmp_path, visit):
    island = Watch("cycle").island().replace("&quot;kind&quot;:&quot;watch&quot;", "&quot;kind&quot;:&quot;wtch&quot;")
    (tmp_path / "explorables.js").write_text((book.ROOT / "book/static/explorables.js").read_text(encoding="utf8"))
    (tmp_path / "page.html").write_text(f'<body>{island}<script src="explorables.js"></script></body>')
    page = visit((tmp_path / "page.html").as_uri())
    page.wait_for_timeout(300)
    assert page.locator(".explorable img").is_visible() and "An explorable failed" in page.errors[0]


def test_with_a_kernel_values_come_in_and_the_reader_s_go_back(live):
    page = live(Watch("cycle"))
    page.get_by_role("slider", name="learning rate").press("Home")
    assert page.evaluate("[kernel.get('lr'), kernel.saved]") == [0.001, 1]
    page.evaluate("kernel.set('seed', 4)")
    assert page.get_by_role("slider", name="seed").input_value() == "4"
    page.evaluate("kernel.set('graph', 'karate club')")
    assert "graph karate club" in page.get_by_role("img").first.get_attribute("aria-label")
    keyed = "[...document.querySelectorAll('.explorable-box :is(button, canvas, input, select, textarea)')]"
    assert page.evaluate(f"{keyed}.length") > 10  # JupyterLab leaves their keys to them
    assert page.evaluate(f"{keyed}.every((control) => control.dataset.lmSuppressShortcuts === 'true')")
    assert page.evaluate("stop()") is None and not page.errors
