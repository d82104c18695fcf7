"""The nulls: what they are, and which measures they fool."""

import pytest
import torch

import geomem as gm
from geomem.measures import local_table, random_table

STRICT = {"min_hops": 3, "parity": "same"}
TINY = ("path_star", "grid", "cycle", "irregular")


@pytest.mark.parametrize("hops", [0, 1, 2, 3])
@pytest.mark.parametrize("name", TINY)
def test_the_local_table_is_a_power_of_the_adjacency_times_the_random_table(name, hops):
    graph = gm.named_graph(name)
    expected = torch.linalg.matrix_power(graph.adjacency().double(), hops) @ random_table(graph, 6, 3)
    torch.testing.assert_close(local_table(graph, 6, 3, hops=hops), expected)


@pytest.mark.parametrize("name", TINY)
def test_the_local_table_fools_order_and_fiedler_energy_and_finds_no_first_hop(name):
    graph = gm.named_graph(name)
    local, noise = (torch.stack([make(graph, 32, seed) for seed in range(100, 140)]) for make in (local_table, random_table))
    for measure in (gm.geometric_order, lambda E, g: gm.Spectrum(g).fiedler_energy(E)):
        assert gm.exceeds_null(measure(local, graph), measure(noise, graph))
    if name == "path_star":
        large = gm.path_star(60, 5)
        assert gm.first_hop_accuracy(local_table(large, 32, 100), large) < 0.1


def test_the_nulls_refuse_what_does_not_fit():
    with pytest.raises(ValueError, match="hops must be at least 0, got -1"):
        local_table(gm.cycle(5), 4, 0, hops=-1)
    with pytest.raises(ValueError, match="width must be at least 1, got 0"):
        random_table(gm.cycle(5), 0, 0)
