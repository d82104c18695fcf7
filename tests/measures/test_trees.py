"""First hops and arms of trees of any shape, given their root."""

import networkx as nx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import geomem as gm
from geomem import measures

STARS = [gm.path_star(4, 5, seed=2), gm.tree_star(3, 4, seed=1)]


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("g", STARS, ids=lambda g: g.name)
def test_of_a_graph_with_paths_the_root_says_the_same(g):
    bare, E = gm.Graph(n_nodes=g.n_nodes, edges=g.edges), noise(2, g.n_nodes, 3)
    for measure in (gm.first_hop_accuracy, gm.arm_separation, measures.silhouette):
        torch.testing.assert_close(measure(E, bare, root=g.root), measure(E, g))
        some = g.leaves[::3]  # of several arms
        torch.testing.assert_close(measure(E, bare, root=g.root, leaves=some), measure(E, g, leaves=some))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(4, 40))
def test_random_trees_are_measured_as_networkx_sees_them(seed, n):
    network = nx.random_labeled_tree(n, seed=seed)
    root = max(network, key=network.degree)
    g = gm.Graph(n_nodes=n, edges=list(network.edges))
    E, way = noise(n, 3, seed=seed), nx.shortest_path(network, root)
    ends = [u for u in network if network.degree(u) == 1 and len(way[u]) > 2]
    if not ends or network.degree(root) < 2:
        with pytest.raises(ValueError, match="leaves must be|root must have"):
            gm.first_hop_accuracy(E, g, root=root)
        return
    cosine, first = gm.cosines(E), sorted(network[root])
    nearest = [max(first, key=lambda v, u=u: cosine[u, v]) for u in ends]
    right = sum(v == way[u][1] for u, v in zip(ends, nearest, strict=True)) / len(ends)
    assert float(gm.first_hop_accuracy(E, g, root=root)) == pytest.approx(right)
    apart = []
    for u in ends:
        own = [v for v in network if v not in (u, root) and way[v][1] == way[u][1]]
        others = [v for v in network if v != root and way[v][1] != way[u][1]]
        apart.append(cosine[u, own].mean() - cosine[u, others].mean())
    torch.testing.assert_close(gm.arm_separation(E, g, root=root), torch.stack(apart).mean())


def test_a_large_tree_needs_no_paths():
    g = gm.Graph.from_networkx(nx.full_rary_tree(3, 8_000))
    E = torch.zeros(8_000, 3)
    E[:, 0] = 1e-3
    for arm in range(3):
        below = nx.descendants(nx.bfs_tree(nx.full_rary_tree(3, 8_000), 0), arm + 1) | {arm + 1}
        E[sorted(below), arm] = 1.0
    assert float(gm.first_hop_accuracy(E, g, root=0)) == 1 and float(gm.arm_separation(E, g, root=0)) > 0.99


@pytest.mark.parametrize(
    ("g", "options", "words"),
    [
        (gm.cycle(6), {"root": 0}, "graph must be a tree where root is given, got"),
        (gm.path_star(3, 4), {"root": 13}, "root must lie in 0 to 9"),
        (gm.path_star(3, 4), {"root": 3}, "root must have two or more neighbours, got node 3"),
        (gm.path_star(3, 4), {"root": 0, "leaves": [1]}, "leaves must be one or more leaves of .* got .1."),
        (gm.Graph.from_networkx(nx.star_graph(4)), {"root": 0}, "that are no first hops, got none"),
    ],
)
def test_what_has_no_arms_is_refused(g, options, words):
    with pytest.raises(ValueError, match=words):
        gm.first_hop_accuracy(noise(g.n_nodes, 2), g, **options)
