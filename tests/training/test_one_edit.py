"""Facts written in and taken out of trained models: the goals are reached, and steps are torch's own."""

import copy

import pytest
import torch

import geomem as gm
from geomem.measures import recalled_facts
from geomem.training import edit_facts, fact_scores, forget_facts

RING = gm.cycle(9)
MOVED = gm.Graph(n_nodes=9, edges=[(0, 5), *[(k, (k + 1) % 9) for k in range(1, 9)]])  # 0-5 in place of 0-1
CUT = gm.Graph(n_nodes=9, edges=[(k, (k + 1) % 9) for k in range(1, 9)])  # without 0-1
NEW, OLD = [(0, 5), (5, 0)], [(0, 1), (1, 0)]


@pytest.fixture(scope="module", params=["identity", "transformer"])
def model(request):
    made = gm.SequenceModel(gm.Vocabulary(9).n_tokens, core=request.param, width=16, layers=1, heads=1, context=2, seed=1)
    gm.train(made, gm.EdgeTask(RING), [gm.Stage(400, 0.02, edges=18, weight_decay=0.0)], device="cpu", snapshots=[])
    return made


def probability(scores, facts):
    return torch.stack([scores.double().softmax(-1)[fact] for fact in facts])


def test_a_fact_alone_is_learned_and_the_model_given_is_left_alone(model):
    before = copy.deepcopy(model.state_dict())
    edit = edit_facts(model, MOVED, NEW, lr=0.01)
    assert edit.reached and 0 < edit.steps < 500
    right = recalled_facts(edit.scores, MOVED)
    assert all(right[fact] == 1 for fact in NEW)
    assert torch.equal(edit.scores, fact_scores(edit.model, 9).detach())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_with_rehearsal_all_of_the_edited_graph_is_recalled(model):
    edit = edit_facts(model, MOVED, NEW, rehearse=True, lr=0.01)
    assert edit.reached and gm.edge_recall(edit.scores, MOVED) == 1


@pytest.mark.parametrize("rehearse", [False, True])
def test_ascent_reaches_chance(model, rehearse):
    assert (probability(fact_scores(model, 9), OLD) > 0.2).all()  # chance is 0.11
    gone = forget_facts(model, CUT, OLD, rehearse=rehearse, lr=0.01)
    assert gone.reached and (probability(gone.scores, OLD) <= 1 / 9 + 1e-9).all()
    if rehearse:
        assert gm.edge_recall(gone.scores, CUT) == 1


def stepped(model, parts):
    """Return the scores after one step of torch's AdamW on the sum of the parts' mean losses."""
    other = copy.deepcopy(model)
    optimizer = torch.optim.AdamW(other.parameters(), 0.01, (0.9, 0.999), 1e-8, weight_decay=0.0)
    loss = torch.zeros(())
    for facts in parts:
        asked = torch.tensor([[gm.Vocabulary(9).EDGE, u] for u, _ in facts])
        loss = loss + torch.nn.functional.cross_entropy(other(asked, 1)[:, 0, :9], torch.tensor([v for _, v in facts]))
    loss.backward()
    optimizer.step()
    return fact_scores(other, 9)  # not the parameters: a gradient that is but rounding has no sign to compare


def test_a_step_is_a_step_of_adamw_on_the_mean_loss(model):
    rest = [tuple(fact) for fact in MOVED.directed_edges().tolist() if tuple(fact) not in NEW]
    edit = edit_facts(model, MOVED, NEW, rehearse=True, steps=1, lr=0.01)
    assert edit.steps == 1 and torch.allclose(edit.scores, stepped(model, (NEW, rest)), atol=1e-3)


def test_ascent_rests_while_its_goal_holds(model):
    gone = forget_facts(model, CUT, OLD, rehearse=True, until=lambda scores: True, steps=1, lr=0.01)
    assert gone.steps == 1 and torch.allclose(gone.scores, stepped(model, (CUT.directed_edges().tolist(),)), atol=1e-3)


def test_a_goal_of_ones_own_ends_it_and_steps_do(model):
    asked = edit_facts(model, MOVED, NEW, until=lambda scores: scores.shape == (9, 9))
    assert asked.steps == 0 and asked.reached
    never = edit_facts(model, MOVED, NEW, until=lambda scores: False, steps=3)
    assert never.steps == 3 and not never.reached and repr(never).endswith("3 steps, reached=False)")


def test_what_does_not_fit_is_refused(model):
    with pytest.raises(ValueError, match="facts must be facts of the graph"):
        edit_facts(model, RING, NEW)
    with pytest.raises(ValueError, match="facts must be gone from the graph"):
        forget_facts(model, RING, OLD)
    with pytest.raises(ValueError, match="one or more pairs"):
        edit_facts(model, MOVED, [(0, 9)])
    with pytest.raises(ValueError, match="tokens for 10 nodes"):
        fact_scores(model, 10)
    with pytest.raises(TypeError, match="SequenceModel"):
        edit_facts(torch.nn.Linear(2, 2), MOVED, NEW)
