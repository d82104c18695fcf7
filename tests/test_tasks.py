import networkx as nx
import numpy as np
import pytest
import torch

import geomem as gm

TINY = [gm.path_star(4, 5), gm.grid(4, 4), gm.cycle(15), gm.irregular(), gm.Graph.from_networkx(nx.karate_club_graph())]
tiny = pytest.mark.parametrize("g", TINY, ids=lambda g: g.name)


def rows(examples):
    return sorted(map(tuple, examples.tolist()))


@tiny
def test_tokens_are_the_nodes_and_then_four_different_specials(g):
    words = gm.Vocabulary(g.n_nodes)
    specials = [words.PAD, words.EDGE, words.PATH, words.PAUSE]
    assert sorted([*range(g.n_nodes), *specials]) == list(range(words.n_tokens))


@tiny
def test_edge_examples_are_the_directed_facts_behind_the_edge_token(g):
    tag = gm.Vocabulary(g.n_nodes).EDGE
    pairs = g.edges.tolist()
    expected = {
        "forward": sorted((tag, u, v) for u, v in pairs),
        "backward": sorted((tag, v, u) for u, v in pairs),
        "both": sorted((tag, *pair) for u, v in pairs for pair in ((u, v), (v, u))),
    }
    loops = [(tag, u, u) for u in range(g.n_nodes)]
    for directions, wanted in expected.items():
        examples = gm.edge_examples(g, directions=directions)
        assert examples.dtype == torch.int64 and rows(examples) == wanted
        assert rows(gm.edge_examples(g, directions=directions, self_edges=True)) == sorted(wanted + loops)


@tiny
def test_every_fact_is_asked_once_and_agrees_with_the_targets(g):
    for directions in ("both", "forward", "backward"):
        _, u, v = gm.edge_examples(g, directions=directions, self_edges=True).T
        counted = torch.zeros(g.n_nodes, g.n_nodes, dtype=torch.float64).index_put_(
            (u, v), torch.ones(len(u)).double(), True
        )
        assert torch.equal(counted, g.targets(directions=directions, self_edges=True))


def test_renaming_the_nodes_renames_the_examples():
    g = gm.path_star(3, 4)
    order = torch.randperm(g.n_nodes, generator=torch.Generator().manual_seed(1))
    renamed = gm.Graph(n_nodes=g.n_nodes, edges=order[g.edges])
    moved = torch.cat([order, torch.arange(g.n_nodes, g.n_nodes + 4)])[gm.edge_examples(g)]
    assert rows(gm.edge_examples(renamed)) == rows(moved)


def test_the_smallest_graph_has_two_facts():
    g = gm.Graph.from_edges([("a", "b")])
    assert gm.edge_examples(g).tolist() == [[3, 0, 1], [3, 1, 0]]
    assert gm.Vocabulary(2).n_tokens == 6 == gm.Vocabulary(np.int64(2)).n_tokens


@pytest.mark.parametrize(
    "value, kind", [(1, ValueError), (-3, ValueError), (2.0, TypeError), (True, TypeError), ("5", TypeError)]
)
def test_a_wrong_number_of_nodes_is_named(value, kind):
    with pytest.raises(kind, match="n_nodes must be"):
        gm.Vocabulary(value)


def test_an_unknown_direction_is_refused_with_the_nearest_name():
    with pytest.raises(ValueError, match="directions must be one of 'both', .* Did you mean 'backward'"):
        gm.edge_examples(TINY[0], directions="backwards")
