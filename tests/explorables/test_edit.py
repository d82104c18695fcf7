"""Edit a fact: what the page gets, and what a wrong argument says."""

import base64

import numpy as np
import pytest
from traitlets import TraitError

import geomem as gm

explorables = pytest.importorskip("geomem.explorables", reason="anywidget is not installed")
STAR = gm.path_star(3, 4)
SHORT = dict(width=4, steps=50)


def decoded(text, columns):
    return np.frombuffer(base64.b64decode(text), "<f8").reshape(-1, columns)


def test_the_page_gets_the_tables_of_the_library():
    data = explorables.Edit(STAR, seed=2, **SHORT).data
    assert np.array_equal(decoded(data["phi"], 10), gm.associative_memory(STAR, seed=2).embedding)
    flow = gm.gradient_flow(STAR, width=4, lr=0.02, steps=50, init_std=0.1, seeds=[2], snapshots=[])
    assert np.array_equal(decoded(data["table"], 4), flow.embeddings[-1, 0])


def test_an_edit_is_by_default_from_the_first_neighbour_to_the_farthest_node():
    made = explorables.Edit(STAR, node=3, **SHORT)
    assert STAR.adjacency()[3, made.old] == 1 and STAR.hops()[3, made.next] == STAR.hops()[3].max()
    parted = explorables.Edit(gm.irregular(), node=0, **SHORT)
    assert gm.irregular().hops()[0, parted.next] < 0  # what cannot be reached is farthest


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (dict(node=10), "node must be a node, 0 to 9, got 10"),
        (dict(node=0, old=9), "old must be a neighbour of node 0, got 9"),
        (dict(node=0, new=1), "new must be another node that is no neighbour of 0, got 1"),
        (dict(width=1), "width must be at least 2"),
    ],
)
def test_a_wrong_edit_is_refused(words, message):
    with pytest.raises(ValueError, match=message):
        explorables.Edit(STAR, **(SHORT | words))


def test_a_graph_must_be_small_and_leave_a_stranger():
    with pytest.raises(ValueError, match="at most 40 nodes"):
        explorables.Edit(gm.cycle(41))
    with pytest.raises(ValueError, match="not joined"):
        explorables.Edit(gm.cycle(3), **SHORT)


def test_what_the_reader_changes_are_nodes_and_rehearsal():
    made = explorables.Edit(STAR, **SHORT)
    assert sorted(made.traits(reader=True)) == ["next", "node", "old", "rehearse"]
    with pytest.raises(TraitError, match="next must be a node, 0 to 9, got 10"):
        made.next = 10
    assert made.island().count("data-explorable") == 1 and made.alt.startswith("path-star(3, 4) before an edit")
