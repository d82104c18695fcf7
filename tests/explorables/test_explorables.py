"""Explorables in Python: what the page gets, how large it is, that it is text, and what a wrong argument says."""

import base64
import html
import io
import json
import re

import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex
from PIL import Image

import geomem as gm
from geomem import figures
from geomem.explorables import Explorable, Watch, base
from geomem.explorables import ask as explorables_ask
from tools import book, bundle

HOSTILE = [
    '<img src=x onerror="window.hit=1">',
    "' onload='window.hit=1",
    "\u202eleft\u202c",
    "</div><script>window.hit=1</script>",
]


def values_of(island):
    """Read back what an island gives to the page."""
    return json.loads(html.unescape(re.search(r'data-explorable="([^"]*)"', island)[1]))


def test_an_island_is_data_and_a_poster_and_nothing_that_runs():
    island = Watch("cycle").island()
    assert island.startswith('<div class="explorable"') and "<script" not in island
    picture = Image.open(io.BytesIO(base64.b64decode(re.search(r"base64,([^\"]*)", island)[1])))
    assert picture.width > 500 and len(np.unique(np.asarray(picture.convert("L")))) > 20
    assert re.search(r'<img alt="([^"]*)"', island)[1].startswith("Node2Vec on cycle(15)")
    assert len(island) < base.LARGEST
    assert island == Watch("cycle").island()  # bytes follow from the arguments


def test_the_page_starts_where_gradient_flow_does():
    values = values_of(Watch("path_star", width=20, seed=3, init_std=0.5).island())
    start = values["data"]["start"]
    noise = np.frombuffer(base64.b64decode(start["noise"]), "<f8").reshape(-1, 20)
    flow = gm.gradient_flow(gm.named_graph("path_star"), width=20, seeds=[3], init_std=0.5, steps=0)
    assert np.allclose(noise * values["init_std"], flow.embeddings[0, 0], rtol=0, atol=1e-12)
    assert (start["graph"], start["width"], start["seed"]) == (values["graph"], values["width"], values["seed"])


def test_the_page_gets_the_graphs_of_the_book_and_the_first_one_once():
    graphs = values_of(Watch("grid").island())["data"]["graphs"]
    assert [graph["name"] for graph in graphs] == [
        "grid(4, 4)",
        "cycle(15)",
        "path-star(4, 5)",
        "path-star(3, 9)",
        "karate club",
    ]
    ours = [gm.named_graph(name) for name in ("grid", "cycle", "path_star", "karate")]
    for graph, g in zip(graphs, [*ours[:3], gm.path_star(3, 9), ours[3]], strict=True):
        assert graph["edges"] == g.edges.tolist() and len(graph["labels"]) == g.n_nodes
        assert np.allclose(graph["places"], figures.layout(g), atol=1e-3)
        assert all(re.fullmatch("#[0-9a-f]{6}", color) for color in graph["colors"])


def test_a_hostile_label_stays_text_in_the_island():
    g = gm.Graph.from_edges([(HOSTILE[k], HOSTILE[k + 1]) for k in range(3)])
    island = Watch(g, others=()).island()
    assert "<img src=x" not in island and "<script" not in island and island.count("<div") == 1
    assert values_of(island)["data"]["graphs"][0]["labels"] == HOSTILE


def test_a_notebook_keeps_the_island_and_colab_shows_the_widget(monkeypatch):
    data, _ = Watch("cycle")._repr_mimebundle_()
    assert data["text/html"].startswith("<div") and "application/vnd.jupyter.widget-view+json" in data
    assert data["text/plain"] == "Watch: Node2Vec on cycle(15): the embedding at the start, after 100 steps and after 1,000"
    monkeypatch.setitem(__import__("sys").modules, "google.colab", object())
    assert "text/html" not in Watch("cycle")._repr_mimebundle_()[0]


def test_what_the_reader_changes_comes_back():
    watch, seen = Watch("cycle"), []
    watch.observe(lambda change: seen.append((change.name, change.new)), names=["lr", "graph", "step"])
    watch.set_state({"lr": 0.2, "graph": "karate club", "step": 70})  # as a message from the page does
    assert (watch.lr, watch.graph, watch.step) == (0.2, "karate club", 70) and len(seen) == 3
    assert set(watch.values()) == {"kind", "data", *watch.traits(reader=True)}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (dict(graph="circle"), "graph must be one of .* got 'circle'"),
        (dict(lr=0), "lr must be finite and at least 0.001, got 0"),
        (dict(lr=50.0), "lr must be at most 1 in the page, got 50. Use gradient_flow for more"),
        (dict(decay=-0.1), "decay must be finite and at least 0, got -0.1"),
        (dict(decay=3), "decay must be at most 2.4 in the page, got 3"),
        (dict(init_std=3.1), "init_std must be at most 3 in the page, got 3.1"),
        (dict(init_std=-1.0), "init_std must be finite and at least 0.001, got -1.0"),
        (dict(width=1), "width must be at least 2, got 1"),
        (dict(width=100), "width must be at most 64 in the page, got 100. Use gradient_flow for more"),
        (dict(seed=-1), "seed must be at least 0"),
        (dict(others=["karat"]), "others must be one of .* Did you mean 'karate'"),
        (dict(graph=gm.cycle(300), others=()), "graph must have at most 60 nodes in the page, got Graph"),
        (dict(others=["les_miserables"]), "others must have at most 60 nodes in the page, got Graph"),
    ],
)
def test_a_wrong_argument_is_told_in_one_sentence(arguments, says):
    with pytest.raises(ValueError, match=says):
        Watch(**arguments)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (dict(graph=5), "graph must be a geomem.Graph, got int"),
        (dict(others=[5]), "graph must be a geomem.Graph, got int"),
        (dict(lr="0.1"), "lr must be a number, got '0.1'"),
        (dict(width=8.0), "width must be an integer, got 8.0"),
        (dict(running=1), "running must be True or False, got 1"),
        (dict(more="no"), "more must be True or False, got 'no'"),
    ],
)
def test_an_argument_of_another_kind_is_told_in_one_sentence(arguments, says):
    with pytest.raises(TypeError, match=says):
        Watch(**arguments)


@pytest.mark.parametrize(
    ("name", "value"), [("lr", 50.0), ("decay", 3.0), ("init_std", 0.0), ("width", 65), ("seed", -1), ("graph", "karate")]
)
def test_what_the_constructor_refuses_is_refused_afterwards_too(name, value):
    watch = Watch("cycle")
    before = getattr(watch, name)
    with pytest.raises(ValueError, match=f"{name} must be"):
        setattr(watch, name, value)
    assert getattr(watch, name) == before
    watch.graph = "your own edges"  # of which the page takes care


def test_the_ends_of_the_ranges_are_inside_and_the_poster_decays():
    Watch(lr=0.001, decay=2.4, init_std=3, width=64)
    Watch(lr=1, decay=0, init_std=0.001, width=2)
    assert Watch(decay=1.0)._image() != Watch()._image()
    assert Watch(decay=1.0).alt.startswith("Node2Vec with decay 1 on cycle(15)")


def test_an_island_that_is_too_large_says_so():
    class Large(Explorable):
        alt = "nothing"

        def poster(self, figure):
            figure.subplots().plot(torch.arange(3))

    assert "nothing" in Large(kind="watch", data={}).island()
    with pytest.raises(ValueError, match="may have 150,000 bytes in the page, got 2"):
        Large(kind="watch", data={"x": "y" * 200_000}).island()


def test_bundles_are_those_of_the_sources():
    command = bundle.esbuild(book.ROOT)
    if command is None or bundle.subprocess.run([*command, "--version"], capture_output=True, cwd=book.ROOT).returncode:
        pytest.skip("neither esbuild nor Node.js with a registry is here")
    bundle.main(["--check"])


def test_the_page_script_weighs_little():
    import gzip

    for _, place in bundle.BUNDLES.values():
        text = (book.ROOT / place).read_bytes()
        assert text.startswith(bundle.HEAD.encode()) and len(gzip.compress(text)) <= 30_000
    assert not re.search(rb"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|https?://", text)


def test_colours_are_those_of_the_figures_and_no_model_s_is_used_for_another_thing():
    kit = (book.ROOT / bundle.SOURCES / "kit.mjs").read_text(encoding="utf8")
    colors = dict(re.findall(r'(\w+): "(#[0-9a-f]{6})"', re.search(r"COLORS = \{(.*?)\}", kit)[1]))
    assert colors.pop("lookUp") == figures.COLORS["look-up"] and colors.pop("map") == figures.COLORS["map"]
    own = [*colors.values(), explorables_ask.OTHER]
    assert not set(own) & set(figures.COLORS.values())
    ranks = re.findall("#[0-9a-f]{6}", re.search(r"RANKS = \[(.*?)\]", kit)[1])
    assert ranks == [to_hex(figures.plt.get_cmap("viridis")(rank / 6.5)) for rank in range(4)]
    for path in (book.ROOT / bundle.SOURCES).glob("*.mjs"):  # elsewhere colours have names
        used = set(re.findall(r"#[0-9a-f]{6}\b", path.read_text(encoding="utf8"))) - set(ranks)
        assert path.name == "kit.mjs" or not used & set(figures.COLORS.values()) - {figures.COLORS["null"]}, path.name


def test_a_stale_bundle_is_named(tmp_path, monkeypatch):
    for _, place in bundle.BUNDLES.values():
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text("old")
    monkeypatch.setattr(bundle, "esbuild", lambda root: ["esbuild"])
    monkeypatch.setattr(bundle, "bundle", lambda *a: "new")
    with pytest.raises(book.UserError, match="explorables.mjs is stale: run `python -m tools.bundle`"):
        bundle.main(["--check"], root=tmp_path)
    bundle.main([], root=tmp_path)
    bundle.main(["--check"], root=tmp_path)
    monkeypatch.setattr(bundle, "esbuild", lambda root: None)
    with pytest.raises(book.UserError, match="needs esbuild or Node.js"):
        bundle.main([], root=tmp_path)
