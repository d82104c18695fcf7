"""Your own facts: what the page gets, and what a wrong argument says."""

import base64

import numpy as np
import pytest

import geomem as gm

explorables = pytest.importorskip("geomem.explorables", reason="anywidget is not installed")


def test_the_page_gets_the_facts_as_text_and_the_start_of_gradient_flow():
    g = gm.named_graph("florentine")
    made = explorables.Facts(g, width=8, seed=3)
    assert made.edges.splitlines()[0] == ", ".join(g.labels[u] for u in g.edges[0].tolist())
    noise = np.frombuffer(base64.b64decode(made.data["start"]), "<f8").reshape(-1, 8)
    flow = gm.gradient_flow(g, width=8, seeds=[3], init_std=0.1, steps=0)
    assert np.allclose(0.1 * noise, flow.embeddings[0, 0], rtol=0, atol=1e-12)
    assert sorted(made.traits(reader=True)) == ["edges"] and made.alt.startswith(
        "The map that Node2Vec makes of the facts of Florentine families"
    )


@pytest.mark.parametrize(
    ("words", "error", "says"),
    [
        (dict(graph=gm.cycle(61)), ValueError, "3 to 60 nodes in the page"),
        (dict(graph="florentines"), ValueError, "Did you mean 'florentine'"),
        (dict(graph=[1]), TypeError, "graph must be a geomem.Graph"),
        (dict(width=1), ValueError, "width must be at least 2"),
        (dict(width=65), ValueError, "width must be at most 64 in the page"),
        (dict(graph=gm.Graph.from_edges([("a,b", "c"), ("c", "d")])), ValueError, "labels without commas"),
        (
            dict(graph=gm.Graph.from_edges([("x" * 9000, "b"), ("b", "c" * 9000), ("c" * 9000, "d")])),
            ValueError,
            "20,000 letters",
        ),
    ],
)
def test_wrong_facts_are_refused(words, error, says):
    with pytest.raises(error, match=says):
        explorables.Facts(**words)
