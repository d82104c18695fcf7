"""Replay: what the page is given is what the library measures, and a wrong run is refused with a way out."""

import base64
import html
import json
import re
from types import SimpleNamespace

import networkx as nx
import numpy as np
import pytest
import torch

import geomem as gm
from geomem import figures
from geomem.explorables import Replay
from geomem.explorables.replay import _even

STAR = gm.path_star(3, 4)
MARKS = [0, 1, 3, 10, 30]
FLOW = gm.gradient_flow(STAR, steps=60, seeds=[100, 101], snapshots=MARKS)
RUNS = gm.train_ensemble(STAR, core="linear", width=16, steps=60, seeds=[100, 101], snapshots=MARKS)


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def array(run, name, dtype, n):
    values = np.frombuffer(base64.b64decode(run[name]), np.dtype(dtype).newbyteorder("<"))
    return values.reshape(len(run["steps"]), n, -1)


def solid(run, n=STAR.n_nodes):
    """Return the three components as the page reads them."""
    return array(run, "xyz", "int16", n) * np.array(run["scale"])[:, None, None]


def curves(run):
    return {curve["name"]: curve["y"] for curve in run["curves"]}


def angle(points, target):
    """Return how far a turn would still bring points nearer to the target: 0 when none does."""
    best = np.linalg.svd(points.T @ target, compute_uv=False).sum()
    return (best - np.trace(points.T @ target)) / best


@pytest.fixture(scope="module")
def shown():
    widget = Replay(STAR, {"node2vec": FLOW, "linear": RUNS, "pair": (MARKS, FLOW.embeddings[:5, 1])}, member={"linear": 1})
    return widget, {run["name"]: run for run in widget.data["runs"]}


@pytest.mark.parametrize("name", ["node2vec", "linear", "pair"])
def test_a_frame_has_the_distances_of_three_components_and_a_plane_with_those_of_two(shown, name):
    tables = {"node2vec": FLOW.embeddings[:, 0], "linear": RUNS.embeddings[:, 1], "pair": FLOW.embeddings[:5, 1]}[name]
    run = shown[1][name]
    for frame, plane, held, table in zip(solid(run), run["plane"], run["held"], tables.double(), strict=True):
        centred = table - table.mean(0)
        U, s, _ = torch.linalg.svd(centred, full_matrices=False)
        for k, points in ((3, frame), (2, frame @ np.array(plane).T)):
            principal = U[:, :k] * s[:k]
            far = float(torch.cdist(principal, principal).max())
            np.testing.assert_allclose(np.linalg.norm(points[:, None] - points, axis=-1), torch.cdist(principal, principal),
                                       atol=1e-3 * far)  # fmt: skip
            assert held[k - 2] == pytest.approx(float(s[:k].square().sum() / centred.square().sum()), abs=1e-3)


def test_every_frame_is_turned_to_the_next_and_the_last_to_the_layout(shown):
    layout = figures.layout(STAR) - figures.layout(STAR).mean(0)
    for run in shown[1].values():
        frames = solid(run)
        flat = [frame @ np.array(plane).T for frame, plane in zip(frames, run["plane"], strict=True)]
        for points, target in zip(frames, [*frames[1:], np.pad(layout, ((0, 0), (0, 1)))], strict=True):
            assert angle(points, target) < 1e-4
        for points, target in zip(flat, [*flat[1:], layout], strict=True):
            assert angle(points, target) < 1e-4


def test_the_last_frame_is_the_figure_of_the_book(shown):
    ax = figures.panels()[0, 0]
    figures.embedding(FLOW.embeddings[-1, 0], STAR, ax)
    drawn = ax.collections[-1].get_offsets()
    figures.plt.close(ax.figure)
    run = shown[1]["node2vec"]
    flat = solid(run)[-1] @ np.array(run["plane"][-1]).T
    np.testing.assert_allclose(flat, drawn, atol=1e-3 * np.abs(drawn).max())


def test_neighbours_are_the_largest_cosines_of_the_full_embedding(shown):
    tables = {"node2vec": FLOW.embeddings[:, 0], "linear": RUNS.embeddings[:, 1]}
    for name, table in tables.items():
        near = array(shown[1][name], "near", "uint8", STAR.n_nodes)
        cosine = array(shown[1][name], "cosine", "int8", STAR.n_nodes)
        unit = torch.nn.functional.normalize(table.double(), dim=-1)
        expected = (unit @ unit.mT - 9 * torch.eye(STAR.n_nodes)).sort(dim=-1, descending=True)
        np.testing.assert_allclose(cosine / 100, expected.values[..., :3], atol=0.0051)
        assert (near == expected.indices[..., :3].numpy()).all()


def test_neighbours_at_one_cosine_come_by_number_and_never_the_node_itself():
    ring = gm.cycle(5)
    run = Replay(ring, {"equal": ([0, 1], torch.ones(2, 5, 4))}).data["runs"][0]
    assert array(run, "near", "uint8", 5)[0].tolist() == [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2], [0, 1, 2]]
    turned = Replay(ring, {"turned": ([0, 1], torch.ones(2, 5, 4) + 1e-9 * noise(2, 5, 4))}).data["runs"][0]
    assert turned["near"] == run["near"]


def test_curves_are_the_measures_of_the_library(shown):
    _, runs = shown
    for run, E in ((runs["node2vec"], FLOW.embeddings[:, 0]), (runs["linear"], RUNS.embeddings[:, 1])):
        assert curves(run)["contrast"] == pytest.approx(gm.geometric_contrast(E, STAR).tolist(), abs=1e-4)
        assert curves(run)["order"] == pytest.approx(gm.geometric_order(E, STAR).tolist(), abs=1e-4)
    assert curves(runs["linear"])["edge recall"] == pytest.approx(RUNS.edge_recall[:, 1].tolist(), abs=1e-4)
    gram = gm.edge_recall(FLOW.embeddings @ FLOW.embeddings.mT, STAR)
    assert curves(runs["node2vec"])["edge recall"] == pytest.approx(gram[:, 0].tolist(), abs=1e-4)
    assert curves(runs["pair"])["edge recall of E Eᵀ"] == pytest.approx(gram[:5, 1].tolist(), abs=1e-4)
    assert [run["steps"] for run in runs.values()] == [[*MARKS, 60], [*MARKS, 60], MARKS]


def test_recall_of_a_flow_with_a_core_is_that_of_its_own_scores():
    flow = gm.gradient_flow(STAR, steps=60, seeds=[100, 101], core="linear", tied=False, snapshots=MARKS)
    run = Replay(STAR, {"flow": flow}, member=1).data["runs"][0]
    own = flow.embeddings @ flow.cores @ flow.unembeddings.mT
    expected = gm.edge_recall(own, STAR)[:, 1]
    assert (expected - gm.edge_recall(flow.embeddings @ flow.embeddings.mT, STAR)[:, 1]).abs().max() > 0.05
    assert curves(run)["edge recall"] == pytest.approx(expected.tolist(), abs=1e-4)


def test_what_cannot_be_measured_is_left_out():
    whole = gm.Graph.from_networkx(nx.complete_graph(4))
    assert list(curves(Replay(whole, {"noise": ([0, 1], noise(2, 4, 3))}).data["runs"][0])) == ["edge recall of E Eᵀ"]
    assert "order" not in curves(Replay(gm.cycle(5), {"noise": ([0, 1], noise(2, 5, 3))}).data["runs"][0])
    assert "contrast" in curves(Replay(gm.cycle(5), {"noise": ([0, 1], noise(2, 5, 3))}).data["runs"][0])


@pytest.mark.parametrize("m", [1, 2, 3])
def test_narrow_embeddings_have_flat_frames(m):
    table = noise(2, STAR.n_nodes, m)
    run = Replay(STAR, {"narrow": ([0, 1], table)}).data["runs"][0]
    assert np.linalg.matrix_rank(solid(run)[-1], tol=1e-3) == m
    assert run["held"][-1][1] == 1


def test_snapshots_are_kept_near_evenly_in_log_time():
    for steps in (torch.arange(1001), torch.tensor([0, 5, *range(100, 2000, 7)])):
        kept = _even(steps, 20)
        at = np.log1p(steps.numpy())
        assert len(set(kept)) == 20 and kept[0] == 0 and kept[-1] == len(steps) - 1 and kept == sorted(kept)
        given = np.diff(at).max()
        assert np.diff(at[kept]).max() <= max(given, 2.5 * at[-1] / 19)
    assert _even(torch.arange(7), 20) == list(range(7))


def test_at_most_sixty_frames_and_fewer_on_request():
    pair = (range(80), noise(80, STAR.n_nodes, 4))
    assert len(Replay(STAR, {"long": pair}).data["runs"][0]["steps"]) == 60
    short = Replay(STAR, {"long": pair}, steps=7)
    assert len(short.data["runs"][0]["steps"]) == 7 and short.step == 6


def test_the_largest_graph_fits_the_page():
    names = [f"a node with quite a long name, number {node}" for node in range(255)]
    crowd = gm.Graph.from_edges(zip(names, names[1:] + names[:1], strict=True))
    for letters, frames in (("a", 12), ("abcd", 3)):
        widget = Replay(crowd, {name: (range(70), noise(70, 255, 8)) for name in letters})
        assert all(len(run["steps"]) >= frames for run in widget.data["runs"])
        assert len(widget.island()) <= 150_000
    with pytest.raises(ValueError, match="Keep fewer steps"):
        Replay(crowd, {"a": (range(70), noise(70, 255, 8))}, steps=40).island()


def test_the_page_gets_no_markup_from_labels_or_names():
    hostile = '<img src=x onerror="alert(1)">'
    g = gm.Graph.from_edges([(hostile, "b'"), ("b'", 'c"'), ('c"', "\u202eabc")], name=hostile)
    widget = Replay(g, {hostile: ([0, 9], noise(2, 4, 3))})
    island = widget.island()
    assert island.count("<") == 3 and "<img alt=" in island and "onerror=&quot;" in island
    values = json.loads(html.unescape(re.search(r'data-explorable="([^"]*)"', island)[1]))
    assert values["data"]["graph"]["labels"][0] == hostile == values["run"]
    assert set(values) == {"kind", "data", "run", "step", "node", "target", "view"} and values["kind"] == "replay"
    assert values["target"] == 0 and values["step"] == 1 and values["node"] == -1


def test_the_poster_says_what_it_shows(shown):
    widget, _ = shown
    assert widget.alt == "The embedding of node2vec on path-star(3, 4) after 0, 10 and 60 steps"
    figure = figures.plt.figure()
    widget.poster(figure)
    assert [ax.get_title(loc="left") for ax in figure.axes] == ["step 0", "step 10", "step 60"]
    figures.plt.close(figure)


def test_the_root_is_where_paths_lead():
    g = gm.path_star(3, 4, seed=1)
    assert g.root != 0 and Replay(g, {"noise": ([0, 1], noise(2, 10, 3))}).target == g.root


@pytest.mark.parametrize(
    "trait, value, words",
    [
        ("run", "liner", "run must be one of .*Did you mean 'linear'"),
        ("view", "4D", "view must be one of '2D', '3D'"),
        ("step", 6, "step must lie in 0 to 5, got 6"),
        ("node", 10, "node must lie in -1 to 9, got 10"),
        ("node", -2, "node must lie in -1 to 9, got -2"),
        ("target", -1, "target must lie in 0 to 9, got -1"),
    ],
)
def test_a_value_that_is_none_is_refused(trait, value, words):
    widget = Replay(STAR, {"linear": RUNS})
    before = getattr(widget, trait)
    with pytest.raises(ValueError, match=words):
        setattr(widget, trait, value)
    assert getattr(widget, trait) == before


E = noise(3, STAR.n_nodes, 4)
BROKEN = E.clone()
BROKEN[1, 2, 3] = torch.nan


@pytest.mark.parametrize(
    "runs, options, error, words",
    [
        (RUNS, {}, TypeError, r"runs must be a dict .*got Ensemble\. Write \{'linear': runs\}"),
        ({}, {}, ValueError, r"runs must hold one or more named runs, got \[\]\. Write"),
        ({1: RUNS}, {}, ValueError, r"runs must hold one or more named runs, got \[1\]"),
        ({"a": E}, {}, TypeError, r"runs\['a'\] must be what gradient_flow .*got Tensor"),
        ({"a": ([0, 1, 2], E[:, :5])}, {}, ValueError, r"runs\['a'\] .*shape \(T, 10, m\).*got \(3, 5, 4\)\. Give"),
        ({"a": ([0], E[:1])}, {}, ValueError, r"at least 2 snapshots, got 1\. Train with snapshots"),
        ({"a": ([0, 1], E)}, {}, ValueError, r"3 ascending steps, one per snapshot, got \[0, 1\]"),
        ({"a": ([0, 2, 2], E)}, {}, ValueError, r"ascending"),
        ({"a": ([-1, 2, 3], E)}, {}, ValueError, r"ascending"),
        ({"a": ([0.0, 0.5, 1.0], E)}, {}, ValueError, r"ascending"),
        ({"a": ([0, 4, 9], BROKEN)}, {}, ValueError, r"runs\['a'\] must be finite.*at step 4\. Lower its lr"),
        ({"a": RUNS}, {"member": 2}, ValueError, r"member must be at most 1 in runs\['a'\], got 2"),
        ({"a": RUNS}, {"member": -1}, ValueError, r"member must be at least 0"),
        ({"a": RUNS}, {"member": 0.5}, TypeError, r"member must be an integer"),
        ({"linear": RUNS}, {"member": {"liner": 0}}, ValueError, r"member must be one of 'linear'.*Did you mean"),
        ({"a": RUNS}, {"steps": 1}, ValueError, r"steps must be at least 2"),
        ({"a": RUNS}, {"steps": 61}, ValueError, r"steps must be at most 60, got 61\. Leave it out"),
        ({"a": RUNS}, {"view": "3d"}, ValueError, r"view must be one of '2D', '3D', got '3d'"),
    ],
)
def test_a_wrong_argument_is_refused_with_a_way_out(runs, options, error, words):
    with pytest.raises(error, match=words):
        Replay(STAR, runs, **options)


def test_a_large_graph_is_refused_before_anything_is_measured():
    with pytest.raises(ValueError, match=r"graph must have at most 255 nodes .*got 256\. Take a part of it, or draw"):
        Replay(gm.cycle(256), {"a": SimpleNamespace()})


def test_the_run_that_is_shown_is_the_one_of_median_order():
    ring = gm.cycle(7)
    runs = gm.train_ensemble(ring, width=8, steps=60, seeds=range(100, 105), snapshots=[0, 60])
    order = gm.geometric_order(runs.embeddings[-1], ring)
    middle = int(order.argsort(stable=True)[2])
    shown, own = (
        Replay(ring, {"linear": runs}).data["runs"][0],
        Replay(ring, {"linear": runs}, member=middle).data["runs"][0],
    )
    assert shown["xyz"] == own["xyz"] and own["which"] == f"Run {middle + 1} of 5."
    assert shown["which"] == f"Run {middle + 1} of 5, the one of median geometric order."
