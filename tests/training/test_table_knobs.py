"""Two knobs of a stage that act on the table alone: its own decay, and the Node2Vec term."""

import pytest
import torch
import torch.nn.functional as F

import geomem as gm
from geomem.training import loop

TASK = gm.PathTask(gm.path_star(8, 3), target="first")


def model(**more):
    return gm.SequenceModel(TASK.vocabulary.n_tokens, width=8, layers=1, heads=2, **more)


def test_decay_shrinks_the_table_and_nothing_else():
    """AdamW first multiplies by 1 - rate x decay; everything else of a first step does not know the decay."""
    rate, ends = 0.01, {}
    for decay in (None, 0.0, 5.0):
        network = model()
        start = network.embedding.detach().clone()
        stage = gm.Stage(1, rate, edges=8, weight_decay=0.0, decay=decay)
        gm.train(network, TASK, [stage], device="cpu", snapshots=[])
        ends[decay] = {name: p.detach().clone() for name, p in network.named_parameters()}
    assert all(torch.equal(ends[None][name], ends[0.0][name]) for name in ends[None])  # None: weight_decay, here 0
    for name, value in ends[0.0].items():
        less = 5.0 * rate * start if name == "embedding" else 0.0
        torch.testing.assert_close(ends[5.0][name], value - less, rtol=1e-6, atol=1e-7)


def test_the_term_is_the_cross_entropy_of_inner_products_of_the_table():
    network, facts = model().double(), TASK.edges[:6]
    stage, plain = gm.Stage(1, 1e-3, edges=6, node2vec=0.3), gm.Stage(1, 1e-3, edges=6)
    given = ((facts[:, :2], facts[:, 2:]), (facts[:0, :2], facts[:0, 2:]))
    with_term, without = (loop._loss(network.hidden, network, *given, s).item() for s in (stage, plain))
    E = network.embedding
    term = F.cross_entropy(E[facts[:, 1]] @ E.T, facts[:, 2])
    assert with_term - without == pytest.approx(0.3 * term.item(), rel=1e-12)


@pytest.mark.parametrize(
    ("stage", "words"),
    [
        (dict(decay=-1.0), "decay must be finite and at least 0"),
        (dict(node2vec=-1.0), "node2vec must be finite and at least 0"),
        (dict(edges=0, paths=2, node2vec=1.0), "node2vec must be 0 in a stage without edges"),
    ],
)
def test_a_stage_that_makes_no_sense_is_refused(stage, words):
    with pytest.raises(ValueError, match=words):
        gm.Stage(1, 1e-3, **stage)


def test_an_untied_model_has_no_table_for_the_term():
    with pytest.raises(ValueError, match="node2vec must be 0 for an untied model"):
        gm.train(model(tied=False), TASK, [gm.Stage(1, 1e-3, edges=4, node2vec=1.0)], device="cpu")
