"""``gm.measure``: a verdict that follows from the numbers, tried on tables whose answer is known."""

import json

import networkx as nx
import pytest
import torch

import geomem as gm
from geomem.measures import Beside, Null, judged
from geomem.measures import verdict as command

GRAPHS = {"cycle": gm.cycle(40), "grid": gm.grid(8, 8), "family": gm.named_graph("family"), "arms": gm.path_star(8, 6)}
SEEDS = range(100, 103)


def noise(g, seed, width=32):
    return torch.randn(g.n_nodes, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def node2vec(g, seed):
    return gm.gradient_flow(g, steps=1500, seeds=[seed], snapshots=()).embeddings[-1, 0]


KNOWN = {  # what is a map, and what is none, by construction
    "node2vec": ("map", node2vec),
    "heat kernel": ("map", lambda g, seed: gm.heat_kernel_memory(g, 4.0).embedding),
    "A R": ("neighbourhoods", lambda g, seed: g.adjacency() @ noise(g, seed)),
    "A R of skewed R": ("neighbourhoods", lambda g, seed: g.adjacency() @ (noise(g, seed) * torch.logspace(0, -1, 32))),
    "incidence": ("neighbourhoods", lambda g, seed: gm.incidence_memory(g).embedding),
    "random": ("chance", noise),
    "random with a mean": ("chance", lambda g, seed: noise(g, seed) + 2 * noise(gm.cycle(3), 50 + seed)[0]),
}


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("table", KNOWN)
def test_a_known_table_gets_its_verdict_for_every_seed(table, graph):
    g, (kind, make) = GRAPHS[graph], KNOWN[table]
    found = [gm.measure(make(g, seed), g, null=20, seed=seed) for seed in SEEDS]
    assert [one.kind for one in found] == [kind] * len(SEEDS), [one.verdict for one in found]


@pytest.mark.slow
def test_false_alarms_are_as_rare_as_the_rule_says():
    """A random table is one more draw: above 20 others once in 21 times for each measure, and by three sd rarer still."""
    g, alarms = gm.grid(6, 6), 0
    for seed in range(100, 120):
        alarms += gm.measure(noise(g, seed), g, null=20, seed=seed).kind != "chance"
        alarms += gm.measure(g.adjacency() @ noise(g, seed), g, null=20, seed=seed).kind == "map"
    assert alarms <= 5


@pytest.mark.parametrize("graph", ["cycle", "family", "arms"])
def test_every_value_is_what_the_measure_of_that_name_gives(graph):
    g = GRAPHS[graph]
    E = node2vec(g, 100)
    found, hops = gm.measure(E, g, null=20).values, g.hops()
    near, far = (hops == 1) | (hops == 2), (hops > 2) | (hops < 0)
    wanted = {
        "strict_order": gm.geometric_order(E, g, min_hops=3, parity="same"),
        "geometric_order": gm.geometric_order(E, g),
        "geometric_contrast": gm.geometric_contrast(E, g),
        "near_contrast": gm.cosines(E)[near].mean() - gm.cosines(E)[far].mean(),
        "edge_recall_cosine": gm.edge_recall(gm.cosines(E), g),
        "edge_recall_dot": gm.edge_recall(E @ E.T, g),
        "fiedler_energy": gm.Spectrum(g).fiedler_energy(E),
        "effective_rank": gm.spectral.effective_rank(E),
    }
    wanted |= {"first_hop_accuracy": gm.first_hop_accuracy(E, g)} if g.root is not None else {}
    assert set(found) == set(wanted)
    for name, value in wanted.items():
        assert found[name].value == pytest.approx(float(value), abs=1e-9), name
    result = gm.measure(E, g, null=20)
    assert torch.allclose(result.hops, gm.cosine_by_hops(E, g)[1:])
    assert torch.allclose(result.energy, gm.Spectrum(g).cumulative_energy(E))


def test_nulls_have_the_moments_that_theory_gives():
    """Dealt rows: recall by chance is the mean degree over n - 1; Fiedler energy its share of dimensions."""
    g = gm.grid(6, 6)
    found = gm.measure(noise(g, 100), g, null=200).values
    recall, energy = found["edge_recall_cosine"].dealt, found["fiedler_energy"]
    assert abs(recall.mean - float(g.degrees.double().mean()) / 35) < 4 * recall.sd / 200**0.5
    assert abs(energy.dealt.mean - energy.chance) < 4 * energy.dealt.sd / 200**0.5 + 0.003
    assert abs(found["strict_order"].dealt.mean) < 4 * found["strict_order"].dealt.sd / 200**0.5


def test_the_local_table_is_the_sum_of_neighbours():
    g = GRAPHS["family"]
    rows = noise(g, 100)
    asked = command._Asked(g, torch.Generator().manual_seed(0))
    assert torch.allclose(asked.summed(rows), g.adjacency() @ rows)


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_scale_and_rotation_change_no_verdict(scale):
    g, E = GRAPHS["cycle"], node2vec(GRAPHS["cycle"], 100)
    turn = torch.linalg.qr(noise(gm.cycle(E.shape[1]), 101, E.shape[1])).Q
    for same in (E * scale, E @ turn):
        one, two = gm.measure(E, g, null=20), gm.measure(same, g, null=20)
        assert one.kind == two.kind == "map"
        assert one.values["strict_order"].value == pytest.approx(two.values["strict_order"].value, abs=1e-3)


SMALL = {
    "one edge": nx.path_graph(2),
    "matching": nx.Graph([(0, 1), (2, 3), (4, 5)]),
    "complete": nx.complete_graph(5),
    "star": nx.star_graph(5),
    "K3,3": nx.complete_bipartite_graph(3, 3),
    "two triangles": nx.disjoint_union(nx.complete_graph(3), nx.complete_graph(3)),
    "path": nx.path_graph(7),
    "karate": nx.karate_club_graph(),
}


@pytest.mark.parametrize("shape", SMALL)
def test_a_graph_that_has_no_order_to_find_is_too_small_to_say(shape):
    g = gm.Graph.from_networkx(nx.Graph(list(SMALL[shape].edges)))
    for table in (noise(g, 100), gm.heat_kernel_memory(g, 1.0).embedding, torch.ones(g.n_nodes, 3)):
        found = gm.measure(table, g, null=20)
        constant = bool((table == 1).all())  # of which there is something to say: that it holds nothing
        assert found.kind == "small" or (constant and found.kind == "chance")
        json.dumps(found.to_dict(), allow_nan=False)
        assert "\n" not in repr(found) and found.summary().startswith(found.verdict)


def test_the_verdict_follows_from_the_numbers_alone():
    low, high = Null(0.0, 0.02, 0.05, 100), Null(0.4, 0.1, 0.6, 100)
    near = {name: Beside(0.9, low, low) for name in ("geometric_order", "geometric_contrast", "edge_recall_cosine")}
    far = {name: Beside(0.0, low, low) for name in near}
    assert judged(near | {"strict_order": Beside(0.8, low, low)})[1] == (
        "A map: strict order 0.80, above dealt rows and the local table (z 40.0, 40.0)."
    )
    assert judged(near | {"strict_order": Beside(0.08, low, low)})[1].startswith("A faint map: ")
    assert judged(near | {"strict_order": Beside(0.65, low, high)})[0] == "neighbourhoods"  # above one null is not enough
    assert judged(far | {"strict_order": Beside(0.05, low, low)})[0] == "chance"
    assert judged(far | {"strict_order": Beside(0.05, low, low)}, best=0.05)[0] == "small"
    assert judged(far, "there is no distance")[1] == (
        "Too small to say: there is no distance. Neighbours do not stand out either."
    )


@pytest.mark.slow
def test_a_large_graph_is_measured_at_a_sample_and_says_so():
    g = gm.path_star(300, 5)
    table = node2vec_of_arms(g)
    found = gm.measure(table, g, null=20)
    assert g.n_nodes == 1201 and found.sampled == 500_000 // 1201 and found.kind == "neighbourhoods"
    assert found.verdict.endswith(
        "Leaves do find their first hop: 1.00, chance 0.00."
    )  # arms: no order among different ones
    assert abs(found.values["strict_order"].value - float(gm.geometric_order(table, g, min_hops=3, parity="same"))) < 0.05
    assert found.values["edge_recall_cosine"].dealt.n == 20
    assert "sampled nodes" in found.summary()


def node2vec_of_arms(g):
    """Return the ideal map of a path-star, an arm a direction, as far out as the depth."""
    depth = torch.arange(1.0, g.paths.shape[1])
    table = torch.zeros(g.n_nodes, len(g.paths))
    table[g.paths[:, 1:], torch.arange(len(g.paths))[:, None]] = depth
    return table + 0.3 * torch.randn(table.shape, generator=torch.Generator().manual_seed(100)) / len(g.paths) ** 0.5


def test_beyond_all_pairs_nothing_dense_is_made():
    g = gm.path_star(1500, 5)
    found = gm.measure(noise(g, 100, 8), g, null=20)
    assert found.kind == "chance" and found.energy is None and found.sampled == 100
    ring = gm.cycle(2000)
    angle = 2 * torch.pi * torch.arange(2000) / 2000
    found = gm.measure(torch.stack([angle.cos(), angle.sin()], dim=1), ring, null=20)
    assert found.kind == "map" and found.values["fiedler_energy"].value > 0.999
    assert found.values["fiedler_energy"].dealt.highest < 0.02


@pytest.mark.parametrize(("table", "graph", "match"), [
    (torch.zeros(40, 3), gm.cycle(40), "must not be zero"),
    (torch.ones(2, 40, 3), gm.cycle(40), "one table at a time"),
    (torch.ones(39, 3), gm.cycle(40), "one row per node"),
    (torch.full((40, 3), torch.nan), gm.cycle(40), "finite"),
    (torch.ones(40, 3, dtype=torch.complex64), gm.cycle(40), "real numbers"),
    ("table.npy", gm.cycle(40), "table must"),
    (None, gm.cycle(40), "table must"),
    (torch.ones(40, 3), "cycle", "graph must be"),
])  # fmt: skip
def test_what_cannot_be_measured_is_refused(table, graph, match):
    with pytest.raises((ValueError, TypeError), match=match):
        gm.measure(table, graph)


@pytest.mark.parametrize("null", [0, 19, 2.5, True])
def test_too_few_draws_are_refused(null):
    with pytest.raises((ValueError, TypeError), match="null must be"):
        gm.measure(torch.ones(40, 3), gm.cycle(40), null=null)
