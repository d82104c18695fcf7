"""Figures draw the data that they are given, and change nothing else."""

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch

import geomem as gm
from geomem import figures

GRAPHS = [gm.path_star(4, 5), gm.grid(4, 4), gm.cycle(15), gm.irregular(), gm.path_star(2, 2)]
CLOSE = 1e-6  # screen coordinates of float64 arithmetic


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture
def ax():
    return figures.panels()[0, 0]


@pytest.mark.parametrize("g", GRAPHS, ids=lambda g: g.name)
def test_graph_draws_every_node_and_edge(g, ax):
    assert figures.draw_graph(g, ax) is ax
    assert len(ax.collections[0].get_offsets()) == g.n_nodes
    (line,) = ax.lines
    points, places = line.get_xydata().reshape(-1, 3, 2), figures.layout(g)
    assert np.array_equal(points[:, :2], places[g.edges.numpy()]) and np.isnan(points[:, 2]).all()


@pytest.mark.parametrize("g", GRAPHS, ids=lambda g: g.name)
def test_layout_keeps_nodes_apart(g):
    places = figures.layout(g)
    gaps = np.linalg.norm(places[:, None] - places[None], axis=-1) + 10 * np.eye(g.n_nodes)
    assert np.isfinite(places).all() and gaps.min() > 0.05


def test_embedding_keeps_the_shape_of_a_plane_figure(ax):
    """A turned and shifted plane table is drawn as a rotation, reflection or shift of itself: all distances stay."""
    g = gm.cycle(7)
    flat = torch.randn(7, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    turn = torch.linalg.qr(torch.randn(5, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)).Q
    figures.embedding(torch.cat([flat, torch.zeros(7, 3)], dim=1) @ turn + 3.0, g, ax)
    drawn = torch.as_tensor(np.array(ax.collections[0].get_offsets()))
    assert (torch.cdist(drawn, drawn) - torch.cdist(flat, flat)).abs().max() < CLOSE
    assert ax.get_aspect() == 1


def test_embedding_draws_a_table_of_one_column(ax):
    figures.embedding(torch.arange(5.0)[:, None], gm.cycle(5), ax)
    assert np.isfinite(ax.collections[0].get_offsets()).all()


def test_same_node_has_the_same_colour_wherever_it_is_drawn():
    g, axes = gm.path_star(4, 5), figures.panels(1, 2)[0]
    figures.draw_graph(g, axes[0])
    figures.embedding(torch.randn(17, 3), g, axes[1])
    one, two = (ax.collections[0].get_facecolors() for ax in axes)
    assert (one == two).all() and len(np.unique(one.round(6), axis=0)) > 4


def test_label_from_a_file_is_text_not_markup(ax):
    g = gm.Graph.from_edges([("$x^2$", "<b>"), ("<b>", "ב")])
    figures.draw_graph(g, ax, labels=True)
    assert {text.get_text() for text in ax.texts} == {"$x^2$", "<b>", "ב"}
    assert not any(text.get_parse_math() for text in ax.texts)


@pytest.mark.parametrize(("seeds", "low", "high"), [(5, 0, 100), (20, 10, 90)])
def test_band_is_the_range_of_few_seeds_and_the_middle_of_many(ax, seeds, low, high):
    values = torch.rand(3, seeds, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    figures.band([0, 1, 2], values, ax)
    corners = ax.collections[0].get_paths()[0].vertices
    at_one = corners[corners[:, 0] == 1][:, 1]
    assert np.allclose([at_one.min(), at_one.max()], np.percentile(values[1], [low, high]))
    assert np.allclose(ax.lines[0].get_ydata(), values.mean(1))


def test_single_seed_has_no_band(ax):
    figures.band([0, 1], torch.rand(2, 1), ax)
    assert not ax.collections


def test_heat_map_hides_the_diagonal_and_centres_two_sided_scales(ax):
    figures.heat_map(torch.tensor([[9.0, -0.5], [0.25, 9.0]]), ax, center=0.0)
    shown = ax.images[0].get_array()
    assert shown.mask.tolist() == [[True, False], [False, True]]
    assert ax.images[0].norm.vmin == -ax.images[0].norm.vmax == -0.5


def test_heat_map_of_two_kinds_of_nodes_keeps_its_diagonal(ax):
    figures.heat_map(torch.tensor([[0.9, -0.5], [0.25, 0.8]]), ax, diagonal=True)
    assert not np.ma.getmaskarray(ax.images[0].get_array()).any() and ax.images[0].norm.vmax == pytest.approx(0.9)


def test_nodes_may_be_given_colours(ax):
    g = gm.cycle(4)
    figures.draw_graph(g, ax, colors=["red", "#00ff00", "red", "blue"])
    assert ax.collections[0].get_facecolors()[:, :3].tolist() == [[1, 0, 0], [0, 1, 0], [1, 0, 0], [0, 0, 1]]


def test_curves_start_where_they_should(ax):
    figures.by_hops({"linear": torch.tensor([[1.0, 0.5, 0.25]])}, ax)
    assert ax.lines[1].get_xdata().tolist() == [1, 2] and ax.lines[1].get_ydata().tolist() == [0.5, 0.25]
    other = figures.panels()[0, 0]
    figures.cumulative({"linear": torch.tensor([[0.5, 1.0]])}, other)
    assert other.lines[0].get_ydata().tolist() == [0.0, 0.5, 1.0]


def test_eigenspaces_are_bars_whose_area_is_the_share_of_energy(ax):
    g = gm.cycle(5)
    spectrum = gm.Spectrum(g)
    E = torch.cat([2 * spectrum.bases[1], spectrum.bases[2], 9 * spectrum.bases[0]], dim=1)
    figures.by_eigenspace(torch.stack([E, E]), spectrum, ax, color="red")
    slow, fast = ax.patches
    assert [bar.get_width() for bar in (slow, fast)] == [2, 2] and [bar.get_x() for bar in (slow, fast)] == [0, 2]
    assert [bar.get_height() * 2 for bar in (slow, fast)] == pytest.approx([0.8, 0.2])
    assert (slow.get_hatch(), fast.get_hatch()) == (None, "////")
    assert ax.lines[0].get_ydata() == pytest.approx([1 / 4, 1 / 4])


def test_eigenspace_bars_carry_the_spread_over_seeds(ax):
    spectrum = gm.Spectrum(gm.cycle(5))
    E = torch.stack([spectrum.bases[1], spectrum.bases[2]])
    figures.by_eigenspace(E, spectrum, ax)
    first, second = ax.collections[0].get_segments()
    assert first.flatten() == pytest.approx([1, 0, 1, 0.5]) and second.flatten() == pytest.approx([3, 0, 3, 0.5])


def test_eigenspaces_have_one_colour_per_rank():
    colors = [figures.eigenspace_color(rank) for rank in range(8)]
    assert len(set(colors)) == 8 and not set(colors[1:]) & set(figures.COLORS.values())
    assert figures.eigenspace_color(12) == colors[7]
    with pytest.raises(ValueError, match="rank must be"):
        figures.eigenspace_color(-1)


def test_table_is_markdown_with_rounded_numbers():
    assert figures.table([["star", 1.23456, 7]], ["graph", "bits", "m"]).splitlines() == [
        "| graph | bits | m |",
        "| --- | ---: | ---: |",
        "| star | 1.23 | 7 |",
    ]


def test_figures_change_no_global_style():
    before = dict(plt.rcParams)
    figures.draw_graph(GRAPHS[0], figures.panels()[0, 0])
    assert dict(plt.rcParams) == before


def test_studies_are_listed_with_their_hours():
    rows = figures.studies(["two_phase", "map"]).splitlines()
    assert len(rows) == 4 and rows[2].startswith("| two_phase | Facts first") and float(rows[2].split("|")[-2]) > 0


@pytest.mark.parametrize("write", [figures.name, figures.row_name])
@pytest.mark.parametrize("text", ["$x^2$", r"a \frac{ $", "<b>bold</b>"])
def test_a_name_is_text_whatever_it_is(write, text, ax):
    write(ax, text)
    ax.figure.canvas.draw()  # a broken formula would raise here
    drawn = [ax.title, ax._left_title, *ax.texts]
    assert [t.get_text() for t in drawn if t.get_text()] == [text]
    assert not any(t.get_parse_math() for t in drawn if t.get_text())


# --- large graphs


def test_a_crowd_counts_every_node_once_and_draws_as_many_edges_as_asked(ax):
    g, E = gm.grid(30, 40), torch.randn(1200, 5, generator=torch.Generator().manual_seed(0))
    assert figures.crowd(E, g, ax, edges=50, seed=3) is ax
    hexagons, lines = ax.collections
    assert len(lines.get_segments()) == 50 and hexagons.get_array().sum() == 1200
    flat = (E - E.mean(0)).double() @ torch.linalg.svd((E - E.mean(0)).double(), full_matrices=False).Vh[:2].T
    ends = np.abs(np.array(lines.get_segments())).reshape(-1, 2)
    there = np.abs(flat.numpy())
    assert max(np.abs(there - end).max(1).min() for end in ends) < CLOSE  # up to the sign of each axis


def test_a_crowd_of_few_edges_draws_all(ax):
    figures.crowd(torch.eye(7), gm.cycle(7), ax)
    assert len(ax.collections[1].get_segments()) == 7


def test_a_crowd_needs_one_table_of_two_columns(ax):
    with pytest.raises(ValueError, match="E must be one table of two or more columns"):
        figures.crowd(torch.ones(7, 1), gm.cycle(7), ax)
    with pytest.raises(ValueError, match="edges must be at least 0"):
        figures.crowd(torch.eye(7), gm.cycle(7), ax, edges=-1)


def test_a_sampled_curve_has_a_band_of_two_errors(ax):
    values, errors = torch.tensor([1.0, 0.6, 0.2]), torch.tensor([0.0, 0.1, 0.05])
    figures.sampled_by_hops({"node2vec": (values, errors), "local": (values / 2, errors)}, ax)
    assert ax.lines[1].get_xdata().tolist() == [1, 2]
    np.testing.assert_allclose(ax.lines[1].get_ydata(), [0.6, 0.2], rtol=1e-6)
    band = ax.collections[0].get_paths()[0].vertices
    assert band[:, 1].min() == pytest.approx(0.1) and band[:, 1].max() == pytest.approx(0.8)


def test_chance_of_leading_dimensions_is_their_share_of_all(ax):
    figures.cumulative({"node2vec": torch.tensor([[0.3, 0.5]])}, ax, total=50)
    assert ax.lines[-1].get_xydata().tolist() == [[0, 0], [2, 0.04]]
