"""Measures on a sample of nodes against those of the whole graph: equal on all nodes, within the standard error on some."""

import networkx as nx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import geomem as gm
from geomem.measures import NodeSample

STRICT = {"min_hops": 3, "parity": "same"}


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def case(g, width=6, batch=()):
    """A table that half knows the graph, and logits that know some edges."""
    E = noise(*batch, g.n_nodes, width) + g.adjacency() @ noise(*batch, g.n_nodes, width, seed=1)
    return E, E @ E.mT + noise(*batch, g.n_nodes, g.n_nodes, seed=2)


def both(sample, E, scores, order):
    """Every measure of a sample beside that of the whole graph."""
    g, some = sample.graph, scores[..., sample.nodes, :]
    yield sample.edge_recall(some), gm.edge_recall(scores, g)
    yield sample.edge_recall(some, directions="forward"), gm.edge_recall(scores, g, directions="forward")
    yield sample.edge_recall(some, self_edges=True), gm.edge_recall(scores, g, self_edges=True)
    yield sample.geometric_contrast(E), gm.geometric_contrast(E, g)
    yield from zip(sample.geometric_share(E, some), gm.geometric_share(E, scores, g), strict=True)
    for options in order:
        yield sample.geometric_order(E, **options), gm.geometric_order(E, g, **options)
    yield sample.cosine_by_hops(E), gm.cosine_by_hops(E, g)


@pytest.mark.parametrize("g", [gm.grid(4, 5), gm.irregular(), gm.path_star(3, 5), gm.named_graph("karate")], ids=repr)
def test_of_all_nodes_every_value_is_that_of_the_whole_graph_and_every_error_zero(g):
    E, scores = case(g)
    order = [{}, {"min_hops": 1}, STRICT] if g.name != "karate" else [{}]
    for found, whole in both(NodeSample(g, g.n_nodes), E, scores, order):
        torch.testing.assert_close(found.value, whole, atol=1e-9, rtol=0)
        assert (found.error == 0).all() and found.n == g.n_nodes


def test_batches_keep_their_shape_and_their_values():
    g = gm.grid(4, 5)
    E, scores = case(g, batch=(2, 3))
    sample = NodeSample(g, 7, seed=3)
    for (found, _), (one, _) in zip(both(sample, E, scores, [{}]), both(sample, E[1, 2], scores[1, 2], [{}]), strict=True):
        assert found.value.shape[:2] == found.error.shape[:2] == (2, 3)
        torch.testing.assert_close((found.value[1, 2], found.error[1, 2]), (one.value, one.error))


@pytest.mark.slow
def test_the_error_is_how_far_samples_lie_from_the_whole():
    g = gm.Graph.from_networkx(nx.connected_watts_strogatz_graph(160, 6, 0.1, seed=4))
    E, scores = case(g)
    z = []
    for seed in range(60):
        pairs = both(NodeSample(g, 40, seed=seed), E, scores, [{}, STRICT])
        kept = [
            (found, whole) for found, whole in pairs if not whole.ndim and found.n == 40 and 0 < whole < 1
        ]  # none clipped
        z.append(torch.tensor([(found.value - whole) / found.error for found, whole in kept]))
    z = torch.stack(z)
    assert z.shape[1] >= 5
    # The root mean square of 60 standard scores is 1 within about .1, and a rank correlation's error rests on ten groups.
    assert (z.square().mean(0).sqrt() < 1.5).all() and (z.square().mean(0).sqrt() > 0.6).all()
    assert (z.mean(0).abs() < 0.6).all()


def test_the_sample_is_drawn_by_the_seed_each_node_once():
    g = gm.cycle(40)
    samples = [NodeSample(g, 10, seed=seed).nodes.tolist() for seed in range(4)]
    assert samples[0] == NodeSample(g, 10, seed=0).nodes.tolist() and len(set(map(tuple, samples))) == 4
    assert all(len(set(nodes)) == 10 and max(nodes) < 40 for nodes in samples) and len(NodeSample(g).nodes) == 40


def test_pairs_without_a_path_are_left_out():
    g = gm.Graph.from_networkx(nx.disjoint_union(nx.path_graph(5), nx.path_graph(7)))
    E, _ = case(g)
    sample = NodeSample(g, 12)
    torch.testing.assert_close(sample.cosine_by_hops(E).value, gm.cosine_by_hops(E, g))
    torch.testing.assert_close(sample.geometric_order(E).value, gm.geometric_order(E, g))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(6, 30))
def test_random_graphs_agree_on_all_nodes_with_ties(seed, n):
    g = _random(n, seed)
    E = noise(n, 2, seed=seed).round()  # few directions: many cosines are tied
    E[0, 0] += 1
    sample = NodeSample(g, n, seed=seed)
    torch.testing.assert_close(sample.cosine_by_hops(E).value, gm.cosine_by_hops(E, g))
    scores = (E @ E.mT).round()
    torch.testing.assert_close(sample.edge_recall(scores).value, gm.edge_recall(scores, g))
    if len(g.hops()[g.hops() >= 2].unique()) > 1:
        torch.testing.assert_close(sample.geometric_order(E).value, gm.geometric_order(E, g), atol=1e-9, rtol=0)


def _random(n, seed):
    """A random tree and some more edges."""
    tree = nx.random_labeled_tree(n, seed=seed)
    tree.add_edges_from(nx.gnm_random_graph(n, n // 2, seed=seed).edges)
    return gm.Graph.from_networkx(tree)


@pytest.mark.parametrize(
    ("act", "error", "words"),
    [
        (lambda g: NodeSample(g, 13), ValueError, "n must be at most the 12 nodes of Graph.'cycle.12"),
        (lambda g: NodeSample(g, 1), ValueError, "n must be at least 2, got 1"),
        (lambda g: NodeSample(g, 2.5), TypeError, "n must be an integer"),
        (lambda g: NodeSample(g, 4).geometric_order(noise(11, 2)), ValueError, "E must have one row per node"),
        (lambda g: NodeSample(g, 4).edge_recall(noise(5, 12)), ValueError, "scores must have shape"),
        (lambda g: NodeSample(g, 4).geometric_share(noise(12, 2), noise(5, 12)), ValueError, "scores must be finite, shape"),
        (lambda g: NodeSample(g, 4).geometric_order(noise(12, 2), min_hops=6), ValueError, "needs two different distances"),
        (lambda g: NodeSample(g, 4).geometric_order(noise(12, 2), parity="odd"), ValueError, "parity must be one of"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_one_sentence(act, error, words):
    with pytest.raises(error, match=words):
        act(gm.cycle(12))
