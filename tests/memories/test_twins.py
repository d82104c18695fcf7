"""The lower bound of a map's bits: twins by brute force, and no table that was found beats it."""

import itertools

import pytest
import torch

import geomem as gm
from geomem import memories

GRAPHS = [*map(gm.named_graph, ("path_star", "grid", "cycle", "irregular", "karate")), gm.path_star(5, 2), gm.cycle(4)]


@pytest.mark.parametrize("graph", GRAPHS, ids=lambda graph: graph.name)
def test_twins_are_those_with_the_same_neighbours_besides_each_other(graph):
    A, classes = graph.adjacency().bool(), memories.twin_classes(graph)
    for u, v in itertools.combinations(range(graph.n_nodes), 2):
        others = [w for w in range(graph.n_nodes) if w not in (u, v)]
        assert bool((A[u, others] == A[v, others]).all()) == bool(classes[u] == classes[v])


@pytest.mark.parametrize("name", ["path_star", "grid", "cycle", "irregular"])
def test_no_map_that_was_found_is_cheaper_and_the_ratio_is_at_most_two(name):
    graph = gm.named_graph(name)
    found, least = gm.cost_in_bits(graph), memories.least_map_bits(graph)
    assert least <= found.geometric and found.associative <= 2 * least


def test_two_nodes_that_are_no_twins_cannot_share_a_row():
    graph = gm.grid(3, 3)
    generator = torch.Generator().manual_seed(100)
    for u, v in itertools.combinations(range(9), 2):
        E = gm.fiedler_memory(graph, dims=8).embedding + 0.01 * torch.randn(200, 9, 8, generator=generator)
        E[:, v] = E[:, u]
        assert gm.edge_recall(E @ E.mT, graph).max() < 1
