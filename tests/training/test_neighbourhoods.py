"""Steps on drawn nodes of any graph against the full softmax."""

import itertools

import networkx as nx
import pytest
import torch

import geomem as gm
from geomem.training.candidates import Questions
from geomem.training.neighbourhoods import Neighbourhoods
from tests.training.test_candidates import LAST, assert_close, trained

WIDTH = 5


@pytest.fixture(autouse=True)
def _double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def case(g, nodes, candidates, *, facts=None, seed=0):
    """What draws, and a table that holds four specials too."""
    facts, n = g.directed_edges() if facts is None else facts, g.n_nodes
    generator = torch.Generator().manual_seed(seed)
    draws = Neighbourhoods(facts, n, torch.arange(n, n + 4), nodes, candidates, generator, torch.float64)
    return draws, torch.randn(n + 4, WIDTH, generator=torch.Generator().manual_seed(1))


def core(rows):
    """Stands for a core: not symmetric, so that questions and candidates cannot be exchanged unseen."""
    return torch.tanh(rows) + 0.3 * rows.roll(1, 1)


def drawn_loss(draws, table):
    """The loss of one draw, the rows it read with their gradient, and which they were."""
    tokens, asked, question, answer, weights = draws.draw()
    rows = table[tokens].requires_grad_()
    return Questions(weights, question, answer, len(asked)).loss(core(rows[asked]), rows), rows, tokens


def test_with_all_nodes_drawn_loss_and_gradient_are_those_of_the_full_softmax():
    g = gm.irregular()
    draws, table = case(g, g.n_nodes, 1)
    whole, pairs = table.clone().requires_grad_(), g.directed_edges()
    expected = torch.nn.functional.cross_entropy(core(whole)[pairs[:, 0]] @ whole.mT, pairs[:, 1])
    found, rows, tokens = drawn_loss(draws, table)
    expected.backward(), found.backward()
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(rows.grad, whole.grad[tokens])


def test_few_nodes_against_all_candidates_are_exact_too():
    g = gm.irregular()
    draws, table = case(g, 3, g.n_nodes)
    found, _, tokens = drawn_loss(draws, table)
    heads = draws.heads[draws.order.new_tensor([u for u in range(g.n_nodes) if u not in draws.order.tolist()])]
    pairs = g.directed_edges()
    pairs = pairs[torch.isin(pairs[:, 0], heads)]
    assert len(heads) == 3 and len(tokens) == g.n_nodes + 4
    torch.testing.assert_close(found, torch.nn.functional.cross_entropy(core(table)[pairs[:, 0]] @ table.mT, pairs[:, 1]))


def test_every_partition_function_is_right_on_average_over_all_draws(monkeypatch):
    g = gm.grid(2, 4)
    draws, table = case(g, 1, 2)
    exact = (core(table[: g.n_nodes]) @ table.mT).exp().sum(1)
    for u in range(g.n_nodes):
        near = [u, *g.adjacency()[u].nonzero()[:, 0].tolist()]
        far, total = [v for v in range(g.n_nodes) if v not in near], torch.zeros(())
        pairs = list(itertools.combinations(far, 2))  # every draw there is, so the mean is exact
        for pair in pairs:
            draws.order = torch.tensor([u])
            order = [*near, *pair, *(v for v in far if v not in pair)]
            monkeypatch.setattr(draws, "_shuffled", lambda n, order=order: torch.tensor(order))
            tokens, asked, *_, weights = draws.draw()
            assert tokens[asked].tolist() == [u]
            total += (core(table[u][None]) @ table[tokens].mT + weights).exp().sum()
        torch.testing.assert_close(total / len(pairs), exact[u])


def test_each_node_is_asked_once_a_pass_with_all_its_facts_and_no_other():
    g = gm.named_graph("karate")
    task = gm.EdgeTask(g, held_out=0.3, seed=1)
    facts, seen = task.edges[:, 1:], []
    draws, _ = case(g, 10, 4, facts=facts)
    for _ in range(3):
        tokens, asked, question, answer, weights = draws.draw()
        pairs = torch.stack([tokens[asked][question], tokens[answer]], 1)
        mine = facts[torch.isin(facts[:, 0], tokens[asked])]
        assert sorted(pairs.tolist()) == sorted(mine.tolist()) and len(tokens.unique()) == len(tokens)
        assert (weights[answer] == 0).all() and (weights[-4:] == 0).all() and int((weights > 0).sum()) == 4
        seen += tokens[asked].tolist()
    assert len(set(seen)) == 30


def test_the_gradient_is_that_of_the_value_it_reports():
    draws, table = case(gm.irregular(), 4, 3)
    tokens, asked, question, answer, weights = draws.draw()
    questions = Questions(weights, question, answer, len(asked))
    assert torch.autograd.gradcheck(lambda rows: questions.loss(core(rows[asked]), rows), (table[tokens].requires_grad_(),))


# --- through train


@pytest.mark.parametrize("shape", [{"layers": 2}, {"core": "mamba"}, {"core": "linear"}, {"frozen": True}], ids=repr)
@pytest.mark.parametrize("asked", [{}, {"directions": "forward", "self_edges": True}, {"held_out": 0.2}], ids=repr)
def test_steps_on_all_nodes_are_those_of_the_full_softmax(shape, asked):
    task = gm.EdgeTask(gm.irregular(), **asked)
    both = [dict(steps=5, lr=0.02, warmup=2), dict(steps=5, lr=0.01, schedule="constant", **LAST)]
    heads = len(task.edges[:, 1].unique())
    whole = [gm.Stage(**stage, edges=len(task.edges)) for stage in both]
    drawn = [gm.Stage(**stage, nodes=heads, candidates=99) for stage in both]
    assert_close(trained(task, drawn, **shape), trained(task, whole, **shape))


def test_any_graph_is_learned_from_few_nodes_at_a_time():
    g = gm.Graph.from_networkx(nx.connected_watts_strogatz_graph(200, 4, 0.2, seed=100))
    task = gm.EdgeTask(g, seed=100)
    model = gm.SequenceModel(task.vocabulary.n_tokens, width=32, layers=1, heads=1, seed=100)
    row = gm.train(model.float(), task, gm.recipes.few_nodes(task, nodes=20, candidates=40), device="cpu", snapshots=[])
    assert row.history[-1]["edge_recall"] > 0.9  # chance is .02


def test_a_run_that_was_stopped_ends_where_one_that_was_not_does(tmp_path):
    task = gm.EdgeTask(gm.named_graph("karate"), held_out=0.1)
    stages, words = [gm.Stage(9, 0.02, nodes=7, candidates=5)], dict(seed=3, snapshots=[], device="cpu")

    def model():
        return gm.SequenceModel(task.vocabulary.n_tokens, width=8, layers=1, seed=1)

    def stop(step, _):
        if step == 5:
            raise KeyboardInterrupt

    whole = gm.train(model(), task, stages, **words)
    with pytest.raises(KeyboardInterrupt):
        gm.train(model(), task, stages, **words, checkpoint=tmp_path, checkpoint_seconds=1e-9, on_step=stop)
    again = gm.train(model(), task, stages, **words, checkpoint=tmp_path)
    loaded = gm.load_result(tmp_path)
    for run in (again, loaded):
        for p, q in zip(run.model.parameters(), whole.model.parameters(), strict=True):
            assert torch.equal(p, q)
    assert loaded.task.edges.tolist() == task.edges.tolist() and loaded.task.held_edges.tolist() == task.held_edges.tolist()


@pytest.mark.parametrize(
    "message, task, stages, options",
    [
        ("nodes, candidates and table must be the same in all stages", None, [dict(nodes=4), dict(nodes=3)], {}),
        ("nodes, candidates and table must be the same in all stages", None, [dict(edges=4), dict(nodes=3)], {}),
        ("nodes must be at most the 9 that have a fact to train, got 10", None, [dict(nodes=10)], {}),
        ("nodes must be 0 for InContextTask.*: it has no graph", gm.InContextTask(2, 3), [dict(nodes=2)], {}),
        ("paths must be 0 in a recipe that draws nodes", gm.PathTask(gm.path_star(8, 3)), [dict(nodes=2, paths=2)], {}),
        ("nodes must be 0 for an untied model, got 4", None, [dict(nodes=4)], {"tied": False}),
        ("nodes must be 0 in a stage that draws arms, got 4", None, [dict(nodes=4, arms=2)], {}),
        ("candidates must be at least 1, got 0", None, [dict(nodes=4, candidates=0)], {}),
    ],
)
def test_what_drawn_nodes_cannot_do_is_said_in_one_sentence(message, task, stages, options):
    with pytest.raises(ValueError, match=message):
        trained(task or gm.EdgeTask(gm.cycle(9)), [gm.Stage(2, 0.01, **stage) for stage in stages], **options)


def test_drawn_nodes_are_not_compiled():
    task = gm.EdgeTask(gm.cycle(9))
    model = gm.SequenceModel(task.vocabulary.n_tokens, width=8)
    with pytest.raises(ValueError, match="compile must be False where a stage draws nodes, got True"):
        gm.train(model.float(), task, [gm.Stage(2, 0.01, nodes=4)], device="cpu", compile=True)
