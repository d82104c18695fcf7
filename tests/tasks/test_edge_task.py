"""The task of any graph: its facts, the edges held out, and the way through training and a file."""

import networkx as nx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import geomem as gm

KARATE = gm.named_graph("karate")


@pytest.mark.parametrize(
    ("directions", "self_edges", "facts"), [("both", False, 156), ("forward", False, 78), ("both", True, 190)]
)
def test_facts_are_those_of_the_graph(directions, self_edges, facts):
    task = gm.EdgeTask(KARATE, directions=directions, self_edges=self_edges)
    assert len(task.edges) == facts and (task.edges[:, 0] == task.vocabulary.EDGE).all() and not len(task.held_edges)
    assert torch.equal(task.edges[:, 1:], KARATE.directed_edges(directions=directions, self_edges=self_edges))


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), share=st.floats(0.05, 0.4))
def test_what_is_left_joins_what_was_joined(seed, share):
    task = gm.EdgeTask(KARATE, held_out=share, seed=seed, self_edges=True)
    assert len(task.held_edges) == round(share * 78) and len(task.edges) == 2 * (78 - len(task.held_edges)) + 34
    left = nx.Graph(row for row in task.edges[:, 1:].tolist() if row[0] != row[1])
    assert nx.is_connected(left) and len(left) == 34
    assert not any(left.has_edge(u, v) for u, v in task.held_edges.tolist())


def test_another_seed_holds_out_other_edges_and_the_same_the_same():
    one, again, other = (gm.EdgeTask(KARATE, held_out=0.2, seed=seed).held_edges for seed in (1, 1, 2))
    assert torch.equal(one, again) and not torch.equal(one, other)


def test_a_tree_has_no_edge_to_spare():
    with pytest.raises(ValueError, match="held_out must leave the graph connected, got 0.5, 4 edges: only 0 of 8"):
        gm.EdgeTask(gm.path_star(4, 3), held_out=0.5)


@pytest.mark.parametrize("core", ["identity", "linear", "transformer"])
def test_every_core_learns_facts_and_comes_back_from_a_file(core, tmp_path):
    task = gm.EdgeTask(gm.irregular(), held_out=0.1)
    model = gm.SequenceModel(task.vocabulary.n_tokens, core=core, width=16, heads=2)
    result = gm.train(model, task, [gm.Stage(400, 0.02, edges=len(task.edges))], device="cpu")
    assert result.history[-1]["edge_recall"] == 1
    result.save(tmp_path)
    back = gm.load_result(tmp_path)
    assert torch.equal(back.task.edges, task.edges) and back.task.graph.fiedler_dims == 2
    assert torch.equal(back.model.embedding, model.embedding)
    with pytest.raises(ValueError, match="token_accuracy needs held-out paths"):
        _ = back.token_accuracy


def test_a_core_that_reads_one_token_learns_no_paths():
    task = gm.PathTask(gm.path_star(8, 3), target="first")
    model = gm.SequenceModel(task.vocabulary.n_tokens, core="linear", width=8)
    with pytest.raises(ValueError, match="model must read sequences to learn paths"):
        gm.train(model, task, [gm.Stage(1, 0.01, edges=4, paths=2)], device="cpu")
