"""Steps on drawn arms against the full softmax, and the lazy AdamW against torch's dense one."""

import pytest
import torch

import geomem as gm
from geomem.graphs import path_star
from geomem.training.candidates import Arms, facts
from geomem.training.ensemble import BETAS, EPS
from geomem.training.lazy import LazyAdamW, LazyRMS

WIDTH = 5


@pytest.fixture(autouse=True)
def _double():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def star(d, length, k, seed=0):
    """A star, its drawn arms and a table that holds four specials too."""
    g = path_star(d, length, seed=3)
    specials = torch.arange(g.n_nodes, g.n_nodes + 4)
    table = torch.randn(g.n_nodes + 4, WIDTH, generator=torch.Generator().manual_seed(1))
    return g, Arms(g.paths, specials, k, torch.Generator().manual_seed(seed), torch.float64), table


def full_loss(g, hidden, table):
    """The mean loss over all directed edges by torch's own softmax over all tokens."""
    pairs = g.directed_edges()
    return torch.nn.functional.cross_entropy(hidden[pairs[:, 0]] @ table.mT, pairs[:, 1])


def core(rows):
    """Stands for a core: not symmetric, so that questions and candidates cannot be exchanged unseen."""
    return torch.tanh(rows) + 0.3 * rows.roll(1, 1)


def test_with_all_arms_drawn_loss_and_gradient_are_those_of_the_full_softmax():
    g, arms, table = star(6, 4, 6)
    _, tokens = arms.draw()
    whole, rows = table.clone().requires_grad_(), table[tokens].requires_grad_()
    expected = full_loss(g, core(whole), whole)
    found = facts(arms).loss(core(rows[: arms.n_nodes]), rows)
    expected.backward(), found.backward()
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(rows.grad, whole.grad[tokens])


def test_the_gradient_is_that_of_the_value_it_reports():
    _, arms, table = star(7, 4, 3)
    _, tokens = arms.draw()
    rows = table[tokens].requires_grad_()
    questions = facts(arms)
    assert torch.autograd.gradcheck(lambda rows: questions.loss(core(rows[: arms.n_nodes]), rows), (rows,))


def test_a_questions_partition_function_is_right_on_average_over_all_draws():
    g, arms, table = star(6, 3, 3)
    exact = (core(table[: g.n_nodes]) @ table.mT).exp().sum(1)
    sums, counts = torch.zeros(g.n_nodes), torch.zeros(g.n_nodes)
    weights = arms.log_weights(arms.arm[: arms.n_nodes])
    for drawn in torch.combinations(torch.arange(6), 3):  # every draw there is, so the mean is exact
        arms.order = drawn
        _, tokens = arms.draw()
        asked = tokens[: arms.n_nodes]
        sums[asked] += (core(table[asked]) @ table[tokens].mT + weights).exp().sum(1)
        counts[asked] += 1
    torch.testing.assert_close(sums / counts, exact)


def test_each_arm_is_drawn_once_a_pass_and_never_twice_a_step():
    g, arms, _ = star(7, 4, 3)
    for _ in range(5):
        first, second = arms.draw()[0], arms.draw()[0]
        assert len(torch.cat([first, second]).unique()) == 6


def test_drawn_tokens_are_the_drawn_arms_node_by_node_then_root_and_specials():
    g, arms, _ = star(7, 4, 3)
    drawn, tokens = arms.draw()
    assert torch.equal(tokens[arms.small], g.paths[drawn])
    assert torch.equal(tokens[arms.n_nodes :], torch.arange(g.n_nodes, g.n_nodes + 4))


def test_the_lazy_optimiser_makes_up_exactly_the_decay_that_a_dense_one_applies():
    rates = torch.linspace(0.1, 0.01, 40)
    decays = torch.linspace(0.5, 2.0, 40)
    table = torch.randn(4, WIDTH)
    lazy = LazyAdamW(table.clone(), rates, decays)
    for step in (3, 11):
        lazy.step(torch.tensor([0]), torch.randn(1, WIDTH), step)
    torch.testing.assert_close(lazy.read(torch.tensor([1, 2]), 30), table[1:3] * (1 - rates * decays)[:30].prod())


def both_optimisers(decay, steps=300, rows=12, share=0.1):
    """Return a table after the same sparse gradients by the lazy and by torch's dense AdamW."""
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(rows, WIDTH, generator=generator)
    rates = torch.full((steps,), 1e-2, dtype=torch.float64)
    lazy = LazyAdamW(start.clone(), rates, torch.full((steps,), decay))
    dense = torch.nn.Parameter(start.clone())
    optimiser = torch.optim.AdamW([dense], lr=1e-2, betas=BETAS, eps=EPS, weight_decay=decay)
    for step in range(steps):
        touched = (torch.rand(rows, generator=generator) < share).nonzero()[:, 0]
        dense.grad = torch.zeros_like(start)
        if len(touched):
            gradient = dense.detach()[touched] + torch.randn(len(touched), WIDTH, generator=generator)
            dense.grad[touched] = gradient
            lazy.step(touched, gradient, step)
        optimiser.step()
    return start, lazy.whole(steps), dense.detach()


def test_rarely_touched_rows_end_where_the_dense_optimiser_takes_them():
    start, lazy, dense = both_optimisers(decay=0.3)
    moved = (dense - start).abs().mean()
    assert (lazy - dense).abs().mean() < 0.02 * moved  # the run-out's bias correction is frozen at the touch


def test_rows_touched_at_every_step_are_the_dense_optimisers_to_rounding():
    _, lazy, dense = both_optimisers(decay=0.3, share=2.0)
    torch.testing.assert_close(lazy, dense)


def test_the_other_rule_steps_by_one_root_mean_square_and_makes_up_decay():
    rates, decays = torch.tensor([0.1, 0.2, 0.3], dtype=torch.float64), torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64)
    table = torch.randn(5, WIDTH)
    lazy = LazyRMS(table, rates, decays, always=1, gap=4.0)
    gradient = torch.randn(3, WIDTH)
    gradient[2] *= 50  # what every step reads has a gradient longer than others
    lazy.step(torch.tensor([1, 3, 4]), gradient, 0)
    unit = gradient / gradient[:2].square().mean().sqrt()
    unit[2] /= 4 * unit[2].square().mean().sqrt()
    expected = table * (1 - 0.1 * 0.5)
    expected[[1, 3, 4]] -= 0.1 * unit
    torch.testing.assert_close(lazy.whole(1), expected)
    torch.testing.assert_close(lazy.whole(3), expected * (1 - 0.2 * 1.0) * (1 - 0.3 * 2.0))


# --- through train

SHAPES = {
    "transformer": ({"layers": 2}, {"target": "first"}),
    "mamba": ({"core": "mamba"}, {"reverse": True, "pauses": 2}),
    "frozen": ({"frozen": True}, {}),
}
LAST = dict(weight_decay=0.2, decay=0.7, node2vec=0.4)


def trained(task, stages, **shape):
    """Train a small model in float64."""
    shape = {"width": 8, "heads": 2, "layers": 1, "init_std": 0.3, "core_std": 0.3, "seed": 1} | shape
    model = gm.SequenceModel(task.vocabulary.n_tokens, **shape).double()
    return gm.train(model, task, stages, seed=3, snapshots=[], device="cpu")


def assert_close(a, b):
    for (name, p), q in zip(a.model.named_parameters(), b.model.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-8, atol=1e-8, msg=lambda text, name=name: name + text)


@pytest.mark.parametrize("shape, asked", SHAPES.values(), ids=SHAPES)
def test_steps_on_all_arms_are_those_of_the_full_softmax(shape, asked):
    task = gm.PathTask(path_star(8, 4, seed=2), **asked)
    both = [dict(steps=6, lr=0.02, warmup=2), dict(steps=6, lr=0.01, path_weight=0.3, schedule="constant", **LAST)]
    whole = [gm.Stage(**stage, edges=len(task.edges), paths=k * task.n_paths) for k, stage in enumerate(both)]
    drawn = [gm.Stage(**stage, arms=8, paths=k * task.n_paths) for k, stage in enumerate(both)]
    assert_close(trained(task, drawn, **shape), trained(task, whole, **shape))


def test_so_are_those_of_node2vec_alone():
    task = gm.EdgeTask(path_star(8, 4))
    stage = dict(steps=9, lr=0.02, decay=0.5)
    drawn, whole = (trained(task, [gm.Stage(**stage, **size)], core="identity") for size in ({"arms": 8}, {"edges": 48}))
    assert_close(drawn, whole)


def test_no_held_out_path_is_read_and_all_training_paths_are(monkeypatch):
    task, read, hidden = gm.PathTask(path_star(9, 3, seed=1), target="first"), [], gm.SequenceModel.hidden

    def spy(self, tokens, last=None, noise=None, table=None):
        if table is not None and tokens.shape[1] > 2:
            rows = (self.embedding[:, None] - table[tokens[:, 1]]).abs().sum(2)  # whose rows they are
            read.extend(rows.argmin(0).tolist())
        return hidden(self, tokens, last, noise, table)

    monkeypatch.setattr(gm.SequenceModel, "hidden", spy)
    trained(task, [gm.Stage(40, 1e-9, arms=4, paths=4)])
    assert set(read) == set(task.train_leaves.tolist())


def test_a_step_reads_no_more_paths_than_asked(monkeypatch):
    task, sizes, hidden = gm.PathTask(path_star(9, 3), target="first"), [], gm.SequenceModel.hidden

    def spy(self, tokens, last=None, noise=None, table=None):
        sizes.append(len(tokens) if table is not None and tokens.shape[1] > 2 else 0)
        return hidden(self, tokens, last, noise, table)

    monkeypatch.setattr(gm.SequenceModel, "hidden", spy)
    trained(task, [gm.Stage(10, 0.01, arms=9, paths=2)])
    assert max(sizes) == 2


def test_the_hardest_token_is_learned_from_few_arms_at_a_time():
    task = gm.PathTask(path_star(80, 3), target="first", seed=100)
    stages = [gm.Stage(200, 5e-3, arms=20, schedule="constant"), gm.Stage(150, 5e-3, arms=20, paths=20, path_weight=0.1)]
    model = gm.SequenceModel(task.vocabulary.n_tokens, width=32, layers=2, heads=1, seed=100)
    row = gm.train(model.float(), task, stages, seed=100, device="cpu", snapshots=[]).history[-1]
    assert row["edge_recall"] >= 0.95 and row["validation"]["answer_accuracy"] >= 0.8 and task.chance == 1 / 80


@pytest.mark.parametrize(
    "message, task, stages, options",
    [
        ("arms and table must be the same in all stages", None, [dict(arms=4), dict(arms=3)], {}),
        ("arms and table must be the same in all stages", None, [dict(arms=4), dict(edges=4)], {}),
        ("arms must lie in 2 to 8, all the star has, got 9", None, [dict(arms=9)], {}),
        ("arms must lie in 2 to 8, all the star has, got 1", None, [dict(arms=1)], {}),
        ("arms must be 0 unless the graph is a path-star, got 4 for", gm.EdgeTask(gm.cycle(5)), [dict(arms=4)], {}),
        ("arms must be 0 unless the graph is a path-star", gm.PathTask(gm.tree_star(4, 4)), [dict(arms=4)], {}),
        ("arms must be 0 for InContextTask.*: it has no star", gm.InContextTask(2, 3), [dict(arms=2)], {}),
        ("unless both directions of all edges", gm.PathTask(path_star(8, 3), directions=0.5), [dict(arms=4)], {}),
        ("unless both directions of all edges", gm.PathTask(path_star(8, 3), self_edges=True), [dict(arms=4)], {}),
        ("arms must be 0 for an untied model, got 4", None, [dict(arms=4)], {"tied": False}),
    ],
)
def test_what_arms_cannot_do_is_said_in_one_sentence(message, task, stages, options):
    with pytest.raises(ValueError, match=message) as said:
        trained(task or gm.PathTask(path_star(8, 3)), [gm.Stage(2, 0.01, **stage) for stage in stages], **options)
    assert str(said.value).count(". ") == 0


def test_arms_are_not_compiled():
    task = gm.PathTask(path_star(8, 3))
    model = gm.SequenceModel(task.vocabulary.n_tokens, width=8)
    with pytest.raises(ValueError, match="compile must be False where a stage draws arms, got True"):
        gm.train(model.float(), task, [gm.Stage(2, 0.01, arms=4)], device="cpu", compile=True)


def test_an_evaluation_reads_a_sample_of_training_paths_and_says_so(monkeypatch):
    from geomem.training import evaluate, loop

    task = gm.PathTask(path_star(40, 3), seed=2)
    model = gm.SequenceModel(task.vocabulary.n_tokens, width=8, seed=1)
    whole = evaluate(model, task)
    assert all("n" not in whole[name] for name in task.splits)
    monkeypatch.setattr(loop, "EVALUATED", 5)
    seen, hits = [], loop._hits
    monkeypatch.setattr(loop, "_hits", lambda model, i, t: seen.append(t[:, -1]) or hits(model, i, t))
    rows = [evaluate(model, task) for _ in range(2)]
    assert rows[0] == rows[1] and rows[0]["train"]["n"] == 5
    assert set(seen[0].tolist()) < set(task.train_leaves.tolist()) and len(set(seen[0].tolist())) == 5
    assert rows[0]["test"] == whole["test"] and len(seen[2]) == 10 and "n" not in rows[0]["validation"]
