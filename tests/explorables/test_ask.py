"""Ask the memory: what the page is told is what the library says."""

import base64
import json
import re
from html import unescape

import numpy as np
import pytest
import torch
from scipy.stats import rankdata
from traitlets import TraitError

import geomem as gm

explorables = pytest.importorskip("geomem.explorables", reason="anywidget is not installed")
STAR = gm.path_star(3, 4)


def decoded(text, kind, n):
    return np.frombuffer(base64.b64decode(text), dtype=kind).reshape(n, n).astype(float)


def rank_of(scores, u, v):
    """Return the rank of v among all nodes but u, ties by expectation."""
    others = [w for w in range(len(scores)) if w != u]
    return rankdata([-round(float(scores[u, w]), 9) for w in others], method="average")[others.index(v)]


def memories(g, seed=0):
    generator = torch.Generator().manual_seed(seed)
    table, logits = (torch.randn(g.n_nodes, m, generator=generator) for m in (5, g.n_nodes))
    t = gm.largest_heat_time(g)
    one_way = gm.Memory(table, torch.randn(5, 5, generator=generator), "one way")
    pair = {"look-up": gm.associative_memory(g), "map": gm.heat_kernel_memory(g, t)}
    return pair | {"one way": one_way, "trained": (logits, table)}


@pytest.mark.parametrize("g", [STAR, gm.irregular(), gm.named_graph("karate")], ids=lambda g: g.name)
def test_page_has_the_scores_hops_and_ranks_of_the_library(g):
    told, n = memories(g), g.n_nodes
    data = explorables.Ask(g, told).data
    closed = [told[name].scores() for name in ("look-up", "map", "one way")]
    wanted = [*closed, told["trained"][0], gm.cosines(told["trained"][1])]
    kinds = ["logit E_u W E_v", "similarity E_u · E_v", "logit E_u W E_v", "logit", "cosine of E_u and E_v"]
    assert [m["what"] for m in data["memories"]] == kinds
    assert [m["name"] for m in data["memories"]] == [*told, "trained"]
    for told, scores in zip(data["memories"], wanted, strict=True):
        assert np.allclose(decoded(told["scores"], "<f4", n), scores, rtol=1e-6, atol=1e-12)
        ranks = decoded(told["ranks"], "u1", n) / 2
        pairs = [(u, v) for u in range(n) for v in range(n) if u != v]
        assert all(ranks[u, v] == rank_of(scores, u, v) for u, v in pairs)
        assert not ranks.diagonal().any()
    hops = g.hops()
    assert np.array_equal(decoded(data["hops"], "i1", n), hops)
    near = torch.where(hops < 0, 10**6, hops)
    assert decoded(data["hop_ranks"], "u1", n)[0, n - 1] / 2 == rank_of(-near, 0, n - 1)


def test_ties_by_rounding_share_their_rank():
    exact = explorables.Ask(STAR, {"a": gm.associative_memory(STAR)})
    ranks = decoded(exact.data["memories"][0]["ranks"], "u1", STAR.n_nodes) / 2
    assert sorted(set(ranks[0])) == [0, 2, 6.5]  # itself; places 1 to 3 for the neighbours, 4 to 9 for the others


def test_first_target_is_the_farthest_that_can_be_reached():
    assert STAR.hops()[3, explorables.Ask(STAR, memories(STAR), source=3).target] == 6
    parted = gm.irregular()
    asked = explorables.Ask(parted, {"a": gm.associative_memory(parted)})
    assert parted.hops()[0, asked.target] == parted.hops()[0].max()


def test_what_the_reader_changes_are_nodes():
    asked = explorables.Ask(STAR, memories(STAR), source=1, target=2)
    assert sorted(asked.traits(reader=True)) == ["source", "target"] and asked.trait_metadata("source", "sync")
    asked.source = 5
    assert asked.values()["source"] == 5
    with pytest.raises(TraitError, match="target must be a node, 0 to 9, got 10"):
        asked.target = 10


def test_largest_graph_fits_into_an_island_and_a_larger_one_does_not():
    ring = gm.cycle(60)
    both = {"look-up": gm.associative_memory(ring), "map": gm.heat_kernel_memory(ring, 2.0)}
    assert len(explorables.Ask(ring, both | {"linear": (torch.ones(60, 60), torch.ones(60, 2))}).island()) < 150_000
    with pytest.raises(ValueError, match="graph must have at most 60 nodes in the page, got 61"):
        explorables.Ask(gm.cycle(61), {"map": gm.heat_kernel_memory(gm.cycle(61), 2.0)})


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (dict(memories={}), TypeError, "at least one memory by name"),
        (dict(memories=[gm.associative_memory(STAR)]), TypeError, "memories must be a dict"),
        (dict(memories={"x": torch.eye(10)}), TypeError, "the memory 'x' must be a Memory, or a pair"),
        (dict(memories={"x": gm.associative_memory(gm.cycle(5))}), ValueError, "the scores of 'x' must have one row per"),
        (dict(memories={"x": (torch.ones(10, 9), torch.eye(10))}), ValueError, "the scores of 'x' must have one row per"),
        (dict(memories={"x": (torch.eye(10), torch.eye(9))}), ValueError, "the embedding of 'x' must have one row per"),
        (dict(memories={"x": (torch.eye(10) * torch.nan, torch.eye(10))}), ValueError, "the scores of 'x' must be finite"),
        (dict(source=10), ValueError, "source must be a node, 0 to 9, got 10"),
        (dict(source=1, target=1), ValueError, "source and target must differ, got 1 for both"),
        (dict(target="a"), TypeError, "target must be an integer"),
    ],
)
def test_wrong_arguments_are_refused_with_a_sentence(change, error, says):
    with pytest.raises(error, match=re.escape(says)):
        explorables.Ask(**{"graph": STAR, "memories": {"a": gm.associative_memory(STAR)}} | change)


def test_hostile_labels_and_names_stay_text_in_the_island():
    bad = '"><img src=x onerror=alert(1)>'
    g = gm.Graph.from_edges([(bad, "'"), ("'", "אב")], name=bad)
    text = explorables.Ask(g, {bad: gm.associative_memory(g)}).island()
    assert text.count("<") == 3 and text.count(">") == 3  # a div, its picture, its end
    values = json.loads(unescape(re.search('data-explorable="([^"]*)"', text)[1]))
    assert values["data"]["graph"]["labels"][0] == bad == values["data"]["memories"][0]["name"]
