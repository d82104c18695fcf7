"""The dial between look-up and map: what the page gets, and what a wrong argument says."""

import pytest
from traitlets import TraitError

import geomem as gm

explorables = pytest.importorskip("geomem.explorables", reason="anywidget is not installed")


def test_the_dial_begins_at_the_last_time_with_all_facts():
    made = explorables.Heat("path_star", node=4)
    assert made.t == gm.largest_heat_time(gm.path_star(4, 5)) == made.data["edge"] and made.node == 4
    assert explorables.Heat(gm.cycle(5), t=0.5).t == 0.5
    assert sorted(made.traits(reader=True)) == ["node", "t"] and len(made.island()) < 20_000
    assert made.alt.startswith("Cosines of all nodes of path-star(4, 5)")


@pytest.mark.parametrize(
    ("words", "error", "says"),
    [
        (dict(graph=gm.cycle(41)), ValueError, "at most 40 nodes in the page"),
        (dict(graph=5), TypeError, "graph must be a geomem.Graph"),
        (dict(graph="star"), ValueError, "graph must be one of"),
        (dict(t=0.05), ValueError, "t must be finite and at least 0.1"),
        (dict(t=30), ValueError, "t must be at most 20 in the page, got 30"),
        (dict(node=17), ValueError, "node must be a node, 0 to 16, got 17"),
    ],
)
def test_a_wrong_dial_is_refused(words, error, says):
    with pytest.raises(error, match=says):
        explorables.Heat(**words)


def test_what_the_constructor_refuses_is_refused_afterwards_too():
    made = explorables.Heat(gm.cycle(5))
    with pytest.raises(ValueError, match="t must be at most 20"):
        made.t = 21.0
    with pytest.raises(TraitError, match="node must be a node, 0 to 4, got 5"):
        made.node = 5
