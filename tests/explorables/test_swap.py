"""Swap two leaves: the page gets the models' own answers, and a wrong argument is told."""

import base64

import numpy as np
import pytest
import torch
from traitlets import TraitError

import geomem as gm
from geomem.measures import interventions

explorables = pytest.importorskip("geomem.explorables", reason="anywidget is not installed")
TASK = gm.PathTask(gm.path_star(6, 4), target="first", seed=0)


def untrained(seed=0):
    return gm.SequenceModel(TASK.vocabulary.n_tokens, width=16, layers=1, heads=1, seed=seed, init_std=0.5)


MODELS = {"one": untrained(), "other": untrained(1)}


def decoded(text, dtype, *shape):
    return np.frombuffer(base64.b64decode(text), dtype).reshape(shape)


def test_the_answers_are_those_of_the_exchanged_table():
    made = explorables.Swap(TASK, MODELS)
    leaves, d, n = made.data["leaves"], 6, 19
    assert leaves == TASK.train_leaves.tolist()
    pairs = [(i, j) for i in range(len(leaves)) for j in range(i + 1, len(leaves))]
    for entry, model in zip(made.data["models"], MODELS.values(), strict=True):
        E = model.embedding[:n].detach().double()
        answers = decoded(entry["answers"], "u1", len(pairs), 21, 2)
        for p, (i, j) in enumerate(pairs):
            pair = [leaves[i], leaves[j]]
            for level, table in ((0, E), (20, interventions.swap_fiedler(E, TASK.graph, [pair]))):
                said = interventions.predicted_first_hops(model, TASK, torch.tensor(pair), table)
                assert TASK.graph.first_hops[answers[p, level].astype(int)].tolist() == said.tolist()
        chances = decoded(entry["chances"], "u1", len(pairs), 21, 2, d)
        assert (np.abs(chances.sum(-1, dtype=int) - 255) <= d).all()
        part = interventions.fiedler_components(E, TASK.graph)[leaves]
        assert np.allclose(decoded(entry["parts"], "<f4", len(leaves), 16), part, atol=1e-6)


def test_the_reader_chooses_leaves_and_the_share():
    leaves = TASK.graph.leaves[:3].tolist()
    made = explorables.Swap(TASK, MODELS, leaves=leaves, pair=leaves[1:])
    assert (made.one, made.other, made.level) == (1, 2, 0)
    assert sorted(made.traits(reader=True)) == ["level", "one", "other"] and "with all of it: one" in made.alt
    for name, value in (("one", 3), ("level", 21)):
        with pytest.raises(TraitError, match=f"{name} must lie in 0 to"):
            setattr(made, name, value)


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (dict(task=gm.EdgeTask(gm.cycle(5))), TypeError, "task must be a PathTask, got EdgeTask"),
        (dict(task=gm.PathTask(gm.path_star(6, 4), seed=0)), ValueError, "task must have the target 'first', got 'full'"),
        (dict(task=gm.PathTask(gm.path_star(40, 4), target="first", seed=0)), ValueError, "at most 80 nodes in the page"),
        (dict(models=[]), TypeError, "models must be a dict of SequenceModel"),
        (dict(models={"a": 5}), TypeError, "models must be a dict of SequenceModel"),
        (dict(models={}), ValueError, "one to three models, got 0"),
        (dict(leaves=[3]), ValueError, "leaves must be 2 to 12 different leaves"),
        (dict(leaves=[0, 3]), ValueError, "different leaves"),
        (dict(pair=[3, 3]), ValueError, "pair must be two different leaves"),
    ],
)
def test_a_wrong_argument_is_told(change, error, says):
    with pytest.raises(error, match=says):
        explorables.Swap(**(dict(task=TASK, models=MODELS) | change))
