"""The phase diagram: cells, measures and pictures are the library's, and the copied call trains the cell again."""

import base64
import json
import re
from dataclasses import replace
from html import unescape

import numpy as np
import pytest
import torch

import geomem as gm

explorables = pytest.importorskip("geomem.explorables", reason="anywidget is not installed")
RING = gm.cycle(15)
GRID = dict(lr=[0.1, 0.003, 0.03], weight_decay=[0.0, 1.0], init_std=[0.02, 0.5], seeds=[61, 60])


@pytest.fixture(scope="module")
def runs():
    return gm.train_ensemble(RING, width=16, steps=40, **GRID)


def decoded(text, kind, *shape):
    return torch.from_numpy(np.frombuffer(base64.b64decode(text), dtype=kind).reshape(shape).copy())


def members_of(runs, **knobs):
    """Return the members that have these knobs, in the order of the runs."""
    found = torch.stack([runs.knobs[name] == value for name, value in knobs.items()]).all(0)
    return found.nonzero().flatten()


def test_numbers_of_every_cell_are_the_librarys(runs):
    data = explorables.Phase(runs, RING).data
    assert [axis["values"] for axis in data["axes"]] == [["0.003", "0.03", "0.1"], ["0.02", "0.5"], ["0.0", "1.0"]]
    assert [axis["name"] for axis in data["axes"]] == ["learning rate", "start scale", "weight decay"]
    end = runs.embeddings[-1].double()
    geometric, associative = gm.geometric_share(end, runs.scores().double(), RING)
    measures = {
        "geometric order": gm.geometric_order(end, RING),
        "edge recall": runs.edge_recall[-1],
        "contrast": gm.geometric_contrast(end, RING),
        "Fiedler energy": gm.Spectrum(RING).fiedler_energy(end),
        "geometric share": geometric,
        "associative share": associative,
    }
    assert [told["name"] for told in data["measures"]] == list(measures)
    for told, values in zip(data["measures"], measures.values(), strict=True):
        mean, sd = (decoded(told[part], "<f4", 2, 2, 3).double() for part in ("values", "sd"))
        for k, decay in enumerate((0.0, 1.0)):
            for j, start in enumerate((0.02, 0.5)):
                for i, rate in enumerate((0.003, 0.03, 0.1)):
                    two = values[members_of(runs, lr=rate, init_std=start, weight_decay=decay)]
                    assert mean[k, j, i] == pytest.approx(float(two.mean()), abs=1e-6)
                    assert sd[k, j, i] == pytest.approx(float(two.std()), abs=1e-6)


def test_picture_of_a_cell_is_its_first_members_plane(runs):
    phase = explorables.Phase(runs, RING)
    places = decoded(phase.data["places"], "<i2", 2, 2, 3, 15, 2).double()
    member = members_of(runs, lr=0.03, init_std=0.5, weight_decay=1.0)[0]
    assert int(runs.knobs["seed"][member]) == 61
    flat = torch.from_numpy(gm.figures.plane(runs.embeddings[-1, member], RING))
    assert torch.allclose(places[1, 1, 1] / 32767, flat / flat.abs().max(), atol=2e-5)
    U, scale, _ = torch.linalg.svd(flat - flat.mean(0), full_matrices=False)
    E = runs.embeddings[-1, member].double()
    assert torch.allclose(scale, torch.linalg.svdvals(E - E.mean(0))[:2])  # turned, not stretched


@pytest.mark.parametrize(
    ("g", "options"),
    [
        (RING, {}),
        (RING, dict(core="transformer", seeds=[3])),
        (gm.path_star(3, 4), dict(schedule="constant", self_edges=True, directions="backward", precision="float64")),
        (RING, dict(layers=2, tied=False, core_std=0.1, dropout=0.2)),
        (gm.named_graph("karate"), dict(frozen=True, precision="bf16", seeds=[5])),
    ],
    ids=["linear", "transformer", "star", "untied", "karate"],
)
def test_the_call_trains_the_cell_again(g, options):
    options = dict(width=16, steps=12, seeds=[61, 60]) | options
    runs = gm.train_ensemble(g, lr=[0.003, 0.1], weight_decay=[0.0, 0.1], init_std=[0.02, 0.7], **options)
    phase = explorables.Phase(runs, g)
    for cell in ([1, 0, 1], [0, 1, 0]):
        found = {}
        exec(f"import geomem as gm\nagain = {phase.call(cell)}", found)
        again = found["again"]
        knobs = dict(lr=[0.003, 0.1][cell[0]], init_std=[0.02, 0.7][cell[1]], weight_decay=[0.0, 0.1][cell[2]])
        members = members_of(runs, **knobs)
        assert again.knobs["seed"].tolist() == options["seeds"]
        assert torch.equal(again.embeddings[-1], runs.embeddings[-1, members])
        assert torch.equal(again.scores(), runs.scores()[members])
        assert again.settings == runs.settings and again.training == runs.training


def test_the_call_names_a_graph_that_has_a_name_and_only_what_is_not_the_default(runs):
    phase = explorables.Phase(runs, RING)
    phase.cell = [0, 1, 1]
    assert phase.call() == (
        "gm.train_ensemble(gm.named_graph('cycle'), core='linear', width=16, steps=40, lr=0.003, weight_decay=1.0, "
        "init_std=0.5, dropout=0.0, seeds=[61, 60])"
    )


def test_lost_members_are_counted_and_left_out(runs):
    end = runs.embeddings[-1].clone()
    first, second = members_of(runs, lr=0.003, init_std=0.02, weight_decay=0.0)
    end[second] = torch.nan
    end[members_of(runs, lr=0.1, init_std=0.5, weight_decay=1.0)] = 0
    phase = explorables.Phase(replace(runs, embeddings=end[None]), RING)
    lost = decoded(phase.data["lost"], "u1", 2, 2, 3)
    assert lost[0, 0, 0] == 1 and lost[1, 1, 2] == 2 and lost.sum() == 3
    order = decoded(phase.data["measures"][0]["values"], "<f4", 2, 2, 3)
    assert float(order[0, 0, 0]) == pytest.approx(float(gm.geometric_order(runs.embeddings[-1, first], RING)), abs=1e-6)
    assert order[1, 1, 2].isnan() and order.isnan().sum() == 1
    assert not decoded(phase.data["places"], "<i2", 2, 2, 3, 30)[1, 1, 2].any()
    own = explorables.Phase(replace(runs, embeddings=end[None]), RING, measures={"own": torch.arange(24.0)})
    assert decoded(own.data["measures"][0]["values"], "<f4", 2, 2, 3)[0, 0, 0] == float(first)
    phase.cell = [2, 1, 1]
    assert phase.island()  # no number of it is NaN, which JSON does not know
    with pytest.raises(ValueError, match="runs must hold a member that has not diverged"):
        explorables.Phase(replace(runs, embeddings=end[None] * torch.nan), RING)


def test_cells_that_do_not_recall_their_edges_are_marked(runs):
    recall = torch.ones_like(runs.edge_recall)
    recall[-1, members_of(runs, lr=0.1, init_std=0.02, weight_decay=1.0)] = torch.tensor([1.0, 0.97]).double()
    forgot = decoded(explorables.Phase(replace(runs, edge_recall=recall), RING).data["forgot"], "u1", 2, 2, 3)
    assert forgot[1, 0, 2] == 1 and forgot.sum() == 1


def test_axes_and_measures_may_be_chosen(runs):
    own = torch.arange(24.0)
    phase = explorables.Phase(runs, RING, x="init_std", y="weight_decay", by="lr", measures={"own": own})
    assert [axis["name"] for axis in phase.data["axes"]] == ["start scale", "weight decay", "learning rate"]
    values = decoded(phase.data["measures"][0]["values"], "<f4", 3, 2, 2)
    members = members_of(runs, lr=0.1, init_std=0.02, weight_decay=1.0)
    assert float(values[2, 1, 0]) == float(own[members].mean()) and phase.measure == "own"
    one = gm.train_ensemble(RING, width=16, steps=2, lr=[0.1, 0.2], init_std=[0.1, 1.0], seeds=[1])
    flat = explorables.Phase(one, RING, by=None)
    assert flat.data["axes"][2] == {"name": "", "values": ["0.0"]} and "sd" not in flat.data["measures"][0]
    assert "weight_decay=0.0" in flat.call([1, 1, 0])


@pytest.mark.parametrize(
    ("values", "ends", "first"),
    [([0.0, 0.5, 1.0], (0, 1), "#440154"), ([-0.1, 0.8, 1.0], (-0.1, 1), "#440154"), ([-2.0, 0.5, 1.0], (-2, 2), "#053061")],
)
def test_scale_is_two_sided_when_much_lies_below_zero(runs, values, ends, first):
    shown = explorables.Phase(runs, RING, measures={"own": torch.tensor(values).repeat_interleave(8)}).data["measures"][0]
    assert (shown["low"], shown["high"]) == pytest.approx(ends) and shown["colors"][0] == first


def test_map_of_240_cells_fits_into_an_island():
    series = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0]
    options = dict(lr=series, init_std=series[2:], weight_decay=[0.0, 0.1, 1.0], steps=1, width=16)
    assert len(explorables.Phase(gm.train_ensemble(RING, seeds=[60, 61], **options), RING).island()) < 150_000


def test_what_the_reader_changes_is_checked(runs):
    phase = explorables.Phase(runs, RING)
    assert sorted(phase.traits(reader=True)) == ["cell", "measure"] and phase.trait_metadata("cell", "sync")
    phase.measure = "contrast"
    assert phase.values()["measure"] == "contrast" and "contrast" in phase.alt
    for cell in ([3, 0, 0], [0, 0], [0, -1, 0]):
        with pytest.raises(ValueError, match=re.escape("a map of [3, 2, 2]")):
            phase.cell = cell
    with pytest.raises(ValueError, match="measure must be one of"):
        phase.measure = "beauty"


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (dict(runs=3), TypeError, "runs must be what train_ensemble returned, got int"),
        (dict(graph=gm.cycle(14)), ValueError, "graph must be the graph of the runs, 15 nodes"),
        (dict(x="rate"), ValueError, "x must be one of"),
        (dict(y="lr"), ValueError, "x, y and by must be different knobs, got lr, lr, weight_decay"),
        (dict(by=None), ValueError, "weight_decay must have one value, got 2: it is not an axis"),
        (dict(measures={}), TypeError, "measures must be a dict of at least one measure"),
        (
            dict(measures={"own": torch.ones(23)}),
            ValueError,
            "the measure 'own' must have one value per member, shape (24,)",
        ),
    ],
)
def test_wrong_arguments_are_refused_with_a_sentence(runs, change, error, says):
    with pytest.raises(error, match=re.escape(says)):
        explorables.Phase(**{"runs": runs, "graph": RING} | change)


def test_a_grid_with_a_value_twice_is_refused():
    twice = gm.train_ensemble(RING, width=16, steps=1, lr=[0.1, 0.1], seeds=[1])
    with pytest.raises(ValueError, match="runs must be a full grid with every member once"):
        explorables.Phase(twice, RING)


def test_hostile_names_stay_text_in_the_island(runs):
    bad = '"><img src=x onerror=alert(1)>'
    g = gm.Graph(n_nodes=15, edges=RING.edges, labels=(bad, *map(str, range(14))), name=bad)
    text = explorables.Phase(runs, g, measures={bad: torch.ones(24)}).island()
    assert text.count("<") == 3 and text.count(">") == 3
    assert json.loads(unescape(re.search('data-explorable="([^"]*)"', text)[1]))["measure"] == bad
