"""Steps on drawn arms against the full softmax, and the lazy AdamW against torch's dense one."""

import pytest
import torch

from geomem.candidates import BETAS, EPS, Arms, LazyAdamW, facts
from geomem.graphs import path_star

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
    return g, Arms(g.paths, specials, k, torch.Generator().manual_seed(seed)), table


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
    rates = torch.full((steps,), 1e-2)
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
    lazy.flush(steps)
    return start, lazy.table, dense.detach()


def test_rarely_touched_rows_end_where_the_dense_optimiser_takes_them():
    start, lazy, dense = both_optimisers(decay=0.3)
    moved = (dense - start).abs().mean()
    assert (lazy - dense).abs().mean() < 0.02 * moved  # the run-out's bias correction is frozen at the touch


def test_rows_touched_at_every_step_are_the_dense_optimisers_to_rounding():
    _, lazy, dense = both_optimisers(decay=0.3, share=2.0)
    torch.testing.assert_close(lazy, dense)
