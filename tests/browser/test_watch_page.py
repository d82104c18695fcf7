"""Watch geometry form, in a browser: the numbers of the flow and its decay, controls, keys, posters and hostile graphs."""

import numpy as np
import pytest
import torch

import geomem as gm
from geomem.explorables import Facts, Heat, Watch
from geomem.node2vec import flow_matrix
from tests.explorables.test_explorables import HOSTILE
from tools import book

TOLERANCE = 1e-6
"""Between the browser's float64 and torch's, after all steps: sums are added in another order."""
LIVE = ".explorable[data-alive]"


def inside(page, what):
    """Ask the living explorable."""
    return page.evaluate(f"() => {{ const x = document.querySelector('{LIVE} > div').explorable; return {what}; }}")


def energies(g, V, *, self_edges=False):
    """Return the share of all energy that is trivial, and each other eigenspace's share of the non-trivial energy."""
    spectrum = gm.Spectrum(g, self_edges=self_edges)
    ends = spectrum.multiplicities[~spectrum.trivial].cumsum(0) - 1
    curve = spectrum.cumulative_energy(V)[ends]
    return float(spectrum.energy(V)[spectrum.trivial].sum()), np.diff(curve.numpy(), prepend=0)


def agree(frame, g, V, **options):
    trivial, shares = energies(g, V, **options)
    assert abs(frame["trivial"] - trivial) < TOLERANCE and np.abs(np.array(frame["shares"]) - shares).max() < TOLERANCE


def unfold(page):
    page.locator("summary").click()
    return page


def table(page, columns):
    """Return the browser's embedding."""
    return np.array(inside(page, "Array.from(x.flow().V)")).reshape(-1, columns)


@pytest.mark.parametrize(
    ("graph", "options"),
    [
        ("cycle", dict(width=32)),
        ("path_star", dict(width=12, lr=0.02, init_std=1.0, seed=7)),
        ("karate", dict(width=2, lr=0.01)),
        ("grid", dict(width=20, self_edges=True)),
    ],
)
def test_the_browser_takes_the_steps_of_gradient_flow(shown, graph, options):
    widget = Watch(graph, **options)
    page = shown(widget)
    inside(page, "x.forward(1000)")
    settings = {name: getattr(widget, name) for name in ("lr", "init_std", "width", "self_edges")}
    g = gm.named_graph(graph)
    flow = gm.gradient_flow(g, seeds=[widget.seed], steps=1000, snapshots=[0], **settings)
    assert np.abs(table(page, widget.width) - flow.embeddings[-1, 0].numpy()).max() < TOLERANCE
    assert abs(inside(page, "x.flow().loss") - float(flow.loss[-1, 0])) < TOLERANCE
    frames = inside(page, "x.frames()")
    for frame, V in zip((frames[0], frames[-1]), flow.embeddings[:, 0], strict=True):
        agree(frame, g, V, self_edges=widget.self_edges)
    assert not page.errors and not page.outside


def decayed(g, V, steps, *, lr, decay):
    """Take steps of ``V <- V + lr (C V - decay V)`` and return the table."""
    for _ in range(steps):
        V = V + lr * (flow_matrix(V, g) @ V - decay * V)
    return V


@pytest.mark.parametrize("decay", [0.3, 1.5])
def test_the_browser_takes_the_steps_of_a_table_that_decays(shown, decay):
    g = gm.path_star(3, 9)
    widget = Watch(g, decay=decay, lr=0.03)
    page = shown(widget)
    inside(page, "x.forward(1000)")
    start = gm.gradient_flow(g, width=32, init_std=0.1, seeds=[0], steps=0).embeddings[0, 0]
    V = decayed(g, start, 1000, lr=0.03, decay=decay)
    assert np.abs(table(page, 32) - V.numpy()).max() < TOLERANCE
    frame = inside(page, "x.frames().at(-1)")
    agree(frame, g, V)
    leaf, hop = V[g.paths[:, -1]], V[g.paths[:, 1]]
    assert abs(frame["cosine"] - float(torch.cosine_similarity(leaf, hop, dim=-1).mean())) < TOLERANCE


def test_the_arms_of_a_long_star_straighten_as_the_decay_rises(shown):
    page = unfold(shown(Watch(gm.path_star(3, 9), lr=0.05)))
    inside(page, "x.forward(2000)")
    assert inside(page, "x.frames().at(-1).cosine") < -0.3  # leaf and first hop point away from each other
    slider = page.get_by_role("slider", name="decay")
    for _ in range(39):
        slider.press("ArrowRight")
    assert (
        slider.get_attribute("aria-valuetext") == "1.95"
    )  # between the cutoffs of the first profile, 1.995, and the second
    inside(page, "x.forward(3000)")
    assert inside(page, "x.frames().at(-1).cosine") > 0.99
    assert "Leaf and first hop: cosine 1.00." in page.inner_text(".status")


@pytest.mark.parametrize("graph", ["cycle", "path_star", "grid", "karate"])
def test_a_decay_above_the_cutoff_empties_the_table_and_below_it_does_not(shown, graph):
    g = gm.named_graph(graph)
    cutoff = float(torch.linalg.eigvalsh(flow_matrix(torch.zeros(g.n_nodes, 1), g)).max())
    for decay, empty in ((cutoff - 0.1, False), (cutoff + 0.1, True)):
        page = shown(Watch(graph, decay=decay, lr=0.05))
        inside(page, "x.forward(3000)")
        assert (inside(page, "x.frames().at(-1).longest") < 0.01) == empty
        said = page.inner_text(".status")
        assert ("the table is empty" in said) == empty and (f"is above {cutoff:.2f}, the strongest pull" in said) == empty
    inside(page, "x.forward(100000)")  # smaller than any number: still a picture, and no NaN on it
    page.wait_for_timeout(100)
    words = [page.inner_text(LIVE), *(board.get_attribute("aria-label") for board in page.locator("canvas").all())]
    assert not any("NaN" in text for text in words) and np.isfinite(inside(page, "x.xy()")).all() and not page.errors
    middle = np.array(inside(page, "x.xy()"))
    assert np.ptp(middle, axis=0).max() < 1  # what is nothing is drawn as nothing, not blown up
    assert inside(page, "x.frames().at(-1).longest") < 1e-100


def test_the_loss_never_rises_at_the_default_rate_on_any_graph_that_is_offered(shown):
    worst = (
        "(() => { let worst = -Infinity; for (let k = 0; k < 5000; k++) { const before = x.flow().loss; x.flow().step(); "
    )
    worst += "worst = Math.max(worst, x.flow().loss - before); } return worst; })()"
    page = shown(Watch())
    offered = [g["name"] for g in Watch().data["graphs"]]
    assert len(offered) == 5
    for name in [*offered, "your own edges"]:
        page.get_by_label("graph", exact=True).select_option(name)
        assert inside(page, "x.flow().lr") == 0.01 and inside(page, worst) < 1e-12, name
    for graph in ("path_star", gm.path_star(3, 9), "grid", "karate"):  # from Python's start values too
        assert inside(shown(Watch(graph)), worst) < 1e-12, graph


def test_the_picture_is_the_plane_of_the_two_largest_components(shown):
    page = shown(Watch("cycle", width=12))
    inside(page, "x.forward(300)")
    V = table(page, 12)
    left, scale, _ = np.linalg.svd(V - V.mean(0), full_matrices=False)
    seen = np.array(inside(page, "x.seen(1).places"))
    flat = left[:, :2] * scale[:2]
    assert np.abs(seen @ seen.T - flat @ flat.T).max() < 1e-6 * scale[0] ** 2


def test_the_reader_can_look_along_one_arm(shown):
    g = gm.path_star(3, 9)
    page = unfold(shown(Watch(g, width=12)))
    inside(page, "x.forward(1000)")
    V, arm = table(page, 12), g.paths[0].tolist()
    page.get_by_label("look along one arm").check()
    axes = np.linalg.svd(V[arm] - V[arm].mean(0))[2][:2]
    flat, seen = (V - V[arm].mean(0)) @ axes.T, np.array(inside(page, "x.seen(1).places"))
    assert np.abs(seen @ seen.T - flat @ flat.T).max() < 1e-6 * np.abs(flat).max() ** 2
    page.get_by_label("graph", exact=True).select_option("cycle(15)")
    assert not page.get_by_label("look along one arm").is_visible() and not page.errors


def test_run_pause_step_reset_and_the_slider_of_time(shown):
    page = unfold(shown(Watch("cycle")))
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
    page = unfold(shown(Watch("cycle")))
    first = table(page, 32)
    scale = page.get_by_role("slider", name="start scale")
    scale.focus()
    page.keyboard.press("ArrowRight")
    louder = table(page, 32)
    assert np.allclose(louder / first, 10**0.05, rtol=0.01)
    page.get_by_role("slider", name="seed").press("ArrowRight")
    assert not np.allclose(table(page, 32), louder)
    page.get_by_role("slider", name="width").press("ArrowLeft")
    assert inside(page, "x.flow().V.length") == 15 * 31
    page.get_by_role("slider", name="learning rate").press("ArrowRight")
    assert inside(page, "x.flow().lr") == pytest.approx(0.01 * 10**0.05, rel=0.01)
    page.get_by_role("slider", name="decay").press("ArrowRight")
    assert inside(page, "x.flow().decay") == 0.05
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
    agree(inside(page, "x.frames().at(-1)"), g, table(page, 32))
    page.get_by_role("textbox").fill("a b\nb c\nd e\ne f\nf d\nf g")  # in two parts, so two directions are trivial
    page.get_by_role("button", name="Use these").click()
    inside(page, "x.forward(5)")
    parts = gm.Graph.from_edges([pair.split() for pair in ("a b", "b c", "d e", "e f", "f d", "f g")])
    agree(inside(page, "x.frames().at(-1)"), parts, table(page, 32))
    mistakes = {"a b c": "Line 1 must hold two names, got 3.", "a a": "joins a node to itself", "": "at least 3 nodes"}
    for text, says in mistakes.items():
        page.get_by_role("textbox").fill(text)
        page.get_by_role("button", name="Use these").click()
        assert says in page.inner_text(".status")
        assert inside(page, "x.flow().n") == 7  # what was there stays
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
    page = unfold(shown(Watch("cycle")))
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
    page = shown(Watch("cycle", running=True), reduced_motion=True)
    page.wait_for_timeout(2500)
    assert page.get_by_role("button", name="Run").is_visible() and inside(page, "x.flow().steps") == 0


def test_what_plays_by_itself_holds_the_tangle_draws_for_about_ten_seconds_and_begins_again(shown, visit):
    page = shown(Watch("cycle", running=True))
    page.clock.install()  # from here on its time is ours
    page.reload()
    page.wait_for_selector("[data-alive]")
    page.clock.run_for(1500)
    assert inside(page, "x.flow().steps") == 0
    page.clock.run_for(3500)
    assert 50 < inside(page, "x.flow().steps") < 500
    page.clock.run_for(8500)
    assert inside(page, "x.flow().steps") >= 3000
    heard = page.locator("[role=status]").inner_text()
    assert heard == "" or heard.startswith(
        "Step 0: "
    )  # while it plays nothing is said: a voice that never stops helps nobody
    page.clock.run_for(3500)
    assert inside(page, "x.flow().steps") == 0
    page.clock.run_for(4000)
    assert inside(page, "x.flow().steps") > 20
    page.get_by_label("graph", exact=True).select_option("grid(4, 4)")
    assert inside(page, "x.flow().steps") == 0 and page.get_by_role("button", name="Pause").is_visible()
    page.clock.run_for(4000)
    assert inside(page, "x.flow().steps") > 20
    page.get_by_role("button", name="Pause").click()
    page.clock.run_for(2000)
    assert "Step" in page.locator("[role=status]").inner_text()


def test_speed_is_the_reader_s(shown):
    page = unfold(shown(Watch("cycle")))
    page.clock.install()
    steps = {}
    for press in ("Home", "End"):
        page.get_by_role("button", name="Reset").click()
        page.get_by_role("slider", name="speed").press(press)
        page.get_by_role("button", name="Run").click()
        page.clock.run_for(1000)
        page.get_by_role("button", name="Pause").click()
        steps[press] = inside(page, "x.flow().steps")
    assert 1 <= steps["Home"] <= 4 and steps["End"] > 50


def middle_of(page, node):
    """Return where on the screen a node is drawn."""
    box = page.get_by_role("img").first.bounding_box()
    x, y = inside(page, f"x.xy()[{node}]")
    return box["x"] + x, box["y"] + y


def test_a_node_that_is_dragged_takes_its_row_along_and_training_goes_on_from_there(shown):
    page = shown(Watch("cycle", width=8))
    inside(page, "x.forward(500)")
    inside(page, "x.forward(500)")
    time = page.get_by_role("slider", name="time")
    time.press("ArrowLeft")  # step 500: the later frame is forgotten
    before, places = np.array(inside(page, "Array.from(x.frames()[1].V)")).reshape(15, 8), inside(page, "x.seen(1).places")
    x, y = middle_of(page, 0)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 60, y + 10, steps=4)
    after = table(page, 8)
    moved = np.abs(after - before).max(1)
    assert moved[0] > 0.1 and moved[1:].max() == 0 and inside(page, "x.flow().steps") == 500
    shift = np.array(inside(page, "x.seen(x.frames().length - 1).places[0]")) - places[0]
    assert np.linalg.norm(after[0] - before[0]) == pytest.approx(np.linalg.norm(shift))  # no more than what was drawn
    assert np.allclose(middle_of(page, 0), (x - 60, y + 10), atol=1)
    page.mouse.up()
    page.wait_for_function(f"document.querySelector('{LIVE} > div').explorable.flow().steps > 520")
    assert np.abs(table(page, 8) - after).max() > 0 and page.get_by_role("button", name="Pause").is_visible()
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("img").first.focus()
    page.keyboard.press("ArrowRight")
    before = table(page, 8)
    page.keyboard.press("Shift+ArrowUp")
    moved = np.abs(table(page, 8) - before).max(1)
    assert (moved > 0).sum() == 1 and page.get_by_role("button", name="Run").is_visible() and not page.errors


def test_a_click_drags_nothing_and_little_motion_waits_after_a_drag(shown):
    page = shown(Watch("cycle"), reduced_motion=True)
    inside(page, "x.forward(500)")
    page.wait_for_timeout(100)  # until it is drawn
    before = table(page, 32)
    page.mouse.click(*middle_of(page, 3))
    assert (table(page, 32) == before).all() and "Node 3: " in page.inner_text(".status")
    x, y = middle_of(page, 3)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 30, y, steps=3)
    page.mouse.up()
    assert (table(page, 32) != before).any() and page.get_by_role("button", name="Run").is_visible()


def test_a_finger_drags_a_node_and_scrolls_elsewhere(shown):
    page = shown(Watch("cycle", width=8), width=390)
    inside(page, "x.forward(500)")
    page.wait_for_timeout(100)  # until it is drawn
    before, (x, y) = table(page, 8), middle_of(page, 0)
    session = page.context.new_cdp_session(page)
    kept = page.evaluate("""() => { const kept = []; const canvas = document.querySelector("canvas");
        canvas.addEventListener("touchstart", (event) => kept.push(event.defaultPrevented)); window.kept = kept; }""")
    assert kept is None
    for kind, points in (
        ("touchStart", [(x, y)]),
        ("touchMove", [(x - 40, y + 40)]),
        ("touchMove", [(x - 60, y + 60)]),
        ("touchEnd", []),
    ):
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": a, "y": b} for a, b in points]})
    assert np.abs(table(page, 8) - before).max(1)[0] > 0.05
    box = page.get_by_role("img").first.bounding_box()
    middle = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    session.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [middle]})
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert page.evaluate("kept") == [True, False]


def test_picture_and_time_are_seen_together_on_a_phone(shown):
    page = shown(Watch("path_star"), width=390)
    box = page.get_by_role("img").first.bounding_box()
    time = page.get_by_role("slider", name="time").bounding_box()
    assert 0 <= box["x"] and box["x"] + box["width"] <= 390 and page.evaluate("document.documentElement.scrollWidth") <= 390
    assert box["y"] + box["height"] <= time["y"] and time["y"] + time["height"] < 560  # even with a phone's bars around
    for name in ("decay", "speed", "seed"):
        assert not page.get_by_role("slider", name=name).is_visible()
    unfold(page)
    assert all(page.get_by_role("slider", name=name).is_visible() for name in ("decay", "speed", "seed", "learning rate"))
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert not shown(Watch("cycle")).get_by_role("slider", name="decay").is_visible()
    assert shown(Watch("cycle", more=True)).get_by_role("slider", name="decay").is_visible()


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


def test_an_island_from_before_there_was_decay_lives_on(tmp_path, visit):
    widget = Watch("cycle")
    values = {name: value for name, value in widget.values().items() if name not in ("decay", "more")}
    widget.values = lambda: values
    (tmp_path / "explorables.js").write_text((book.ROOT / "book/static/explorables.js").read_text(encoding="utf8"))
    (tmp_path / "page.html").write_text(f'<body>{widget.island()}<script src="explorables.js"></script></body>')
    page = visit((tmp_path / "page.html").as_uri())
    page.wait_for_selector("[data-alive]")
    inside(page, "x.forward(10)")
    assert np.isfinite(inside(page, "x.flow().loss")) and not page.errors


def test_damaged_data_leaves_the_poster(tmp_path, visit):
    island = Watch("cycle").island().replace("&quot;kind&quot;:&quot;watch&quot;", "&quot;kind&quot;:&quot;wtch&quot;")
    (tmp_path / "explorables.js").write_text((book.ROOT / "book/static/explorables.js").read_text(encoding="utf8"))
    (tmp_path / "page.html").write_text(f'<body>{island}<script src="explorables.js"></script></body>')
    page = visit((tmp_path / "page.html").as_uri())
    page.wait_for_timeout(300)
    assert page.locator(".explorable img").is_visible() and "An explorable failed" in page.errors[0]


def test_with_a_kernel_values_come_in_and_the_reader_s_go_back(live):
    page = live(Watch("cycle", more=True))
    page.get_by_role("slider", name="learning rate").press("Home")
    assert page.evaluate("[kernel.get('lr'), kernel.saved]") == [0.001, 1]
    page.evaluate("kernel.set('seed', 4)")
    assert page.get_by_role("slider", name="seed").input_value() == "4"
    page.evaluate("kernel.set('decay', 0.5)")
    assert page.get_by_role("slider", name="decay").input_value() == "0.5"
    page.evaluate("kernel.set('graph', 'karate club')")
    assert "graph karate club" in page.get_by_role("img").first.get_attribute("aria-label")
    keyed = "[...document.querySelectorAll('.explorable-box :is(button, canvas, input, select, summary, textarea)')]"
    assert page.evaluate(f"{keyed}.length") > 10  # JupyterLab leaves their keys to them
    assert page.evaluate(f"{keyed}.every((control) => control.dataset.lmSuppressShortcuts === 'true')")
    assert page.evaluate("stop()") is None and not page.errors


@pytest.mark.parametrize("kind", ["watch", "heat", "facts"])
def test_what_is_drawn_stands_out_in_the_light_and_in_the_dark(shown, kind):
    made = {"watch": Watch, "heat": Heat, "facts": Facts}[kind]
    for theme, paper, ink in (("light", "white", "#222832"), ("dark", "#14181e", "#ced6dd")):
        page = shown(made())
        page.add_style_tag(content=f"body {{ background: {paper}; color: {ink}; }}")
        page.evaluate("([theme]) => { document.documentElement.dataset.theme = theme; }", [theme])
        page.wait_for_timeout(150)
        inked = page.evaluate(
            """([paper]) => [...document.querySelectorAll("canvas")].map((canvas) => {
              const copy = document.createElement("canvas"), pen = copy.getContext("2d");
              [copy.width, copy.height] = [canvas.width, canvas.height];
              pen.fillStyle = paper;
              pen.fillRect(0, 0, copy.width, copy.height);
              const back = [...pen.getImageData(0, 0, 1, 1).data];
              pen.drawImage(canvas, 0, 0);
              const light = (d, i) => [0.2126, 0.7152, 0.0722].reduce((sum, w, k) => sum + w * (d[i + k] / 255) ** 2.2, 0);
              const { data } = pen.getImageData(0, 0, copy.width, copy.height), own = light(back, 0);
              let seen = 0;
              for (let i = 0; i < data.length; i += 4) {
                const [a, b] = [light(data, i), own].sort((x, y) => x - y);
                seen += (b + 0.05) / (a + 0.05) > 3;
              }
              return seen;
            })""",
            [paper],
        )
        assert all(count > 300 for count in inked), (theme, inked)


def test_the_first_page_plays_by_itself_with_graph_and_play_alone(visit):
    page = visit("book/intro.html")
    page.locator("[data-explorable]").scroll_into_view_if_needed()
    page.wait_for_selector("[data-alive=watch]")
    assert page.get_by_role("button", name="Pause").is_visible() and page.get_by_label("graph", exact=True).is_visible()
    assert not page.get_by_role("slider", name="decay").is_visible()
    page.wait_for_function("document.querySelector('[data-alive] > div').explorable.flow().steps > 30", timeout=20_000)
    assert not page.errors and not page.outside
