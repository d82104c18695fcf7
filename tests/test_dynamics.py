import math

import pytest
import torch
import torch.nn.functional as F
from scipy.optimize import brentq

import geomem as gm
from geomem import dynamics

EXACT = 1e-11  # float64, one step of order-1 numbers
TRAJECTORY = 1e-9  # the same after 50 steps, in which rounding grows a little
DIFFERENCE = 1e-6  # central differences with a step of 1e-5: error about 1e-10 / 1e-5 times a loss of 50

TINY = [gm.path_star(4, 5), gm.grid(4, 4), gm.cycle(15), gm.irregular()]
tiny = pytest.mark.parametrize("g", TINY, ids=lambda g: g.name)
loops = pytest.mark.parametrize("self_edges", [False, True])
widths = pytest.mark.parametrize("dim", [3, 15, 16, 17, 100])


def node_losses(logits, g, self_edges):
    """Cross-entropy of every node's answers, written with torch's own loss on probabilities."""
    A = g.targets(self_edges=self_edges)
    return F.cross_entropy(logits, A / A.sum(1, keepdim=True), reduction="none")


def plain_flow(g, dim, lr, steps, seed, self_edges=False):
    """Gradient descent with autograd on the identity core of SequenceModel, on the loss summed over nodes."""
    start = dynamics._start(g.n_nodes, dim, 1.0, seed)
    model = gm.SequenceModel(g.n_nodes, core="identity", width=dim).double()
    with torch.no_grad():
        model.embedding.copy_(start)
    optimizer = torch.optim.SGD([model.embedding], lr=lr)
    losses, tables = [], []
    for step in range(steps + 1):
        loss = node_losses(model(torch.arange(g.n_nodes)[:, None], where=-1), g, self_edges)
        losses.append(loss.mean().item())
        tables.append(model.embedding.detach().clone())
        if step < steps:
            optimizer.zero_grad()
            loss.sum().backward()
            optimizer.step()
    return torch.tensor(losses, dtype=torch.float64), torch.stack(tables)


@tiny
@loops
@widths
def test_every_step_is_the_gradient_step_of_the_identity_core(g, self_edges, dim):
    losses, tables = plain_flow(g, dim, 0.01, 3, seed=4, self_edges=self_edges)
    flow = gm.gradient_flow(g, dim=dim, steps=3, seeds=[4], self_edges=self_edges, snapshots=range(4))
    assert flow.steps.tolist() == [0, 1, 2, 3] and flow.embeddings.shape == (4, 1, g.n_nodes, dim)
    torch.testing.assert_close(flow.embeddings[:, 0], tables, rtol=0, atol=EXACT)
    torch.testing.assert_close(flow.loss[:, 0], losses, rtol=0, atol=EXACT)


@pytest.mark.parametrize("dim", [5, 40])
def test_fifty_steps_follow_a_plain_autograd_loop(dim):
    g = gm.irregular()
    losses, tables = plain_flow(g, dim, 0.02, 50, seed=1)
    flow = gm.gradient_flow(g, dim=dim, lr=0.02, steps=50, seeds=[0, 1], snapshots=range(0, 51, 10))
    torch.testing.assert_close(flow.embeddings[:, 1], tables[::10], rtol=0, atol=TRAJECTORY)
    torch.testing.assert_close(flow.loss[:, 1], losses[::10], rtol=0, atol=TRAJECTORY)


@tiny
@loops
def test_the_flow_matrix_is_minus_the_slope_of_the_summed_loss(g, self_edges):
    V = torch.randn(g.n_nodes, 6, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    velocity = gm.flow_matrix(V, g, self_edges=self_edges) @ V
    for u, k in ((0, 0), (3, 5), (g.n_nodes - 1, 2)):
        nudge = torch.zeros_like(V)
        nudge[u, k] = 1e-5
        up, down = (node_losses(W @ W.T, g, self_edges).sum() for W in (V + nudge, V - nudge))
        assert abs(velocity[u, k] + (up - down) / 2e-5) < DIFFERENCE


@tiny
@loops
def test_the_flow_matrix_is_symmetric_and_sums_to_zero(g, self_edges):
    V = torch.randn(3, g.n_nodes, 6, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    C = gm.flow_matrix(V, g, self_edges=self_edges)
    assert C.shape == (3, g.n_nodes, g.n_nodes) and torch.equal(C, C.mT)
    assert C.sum((-2, -1)).abs().max() < EXACT  # rows of W and of P sum to 1
    torch.testing.assert_close(gm.flow_matrix(V[1], g, self_edges=self_edges), C[1])
    walk = g.adjacency(self_edges=self_edges) / g.adjacency(self_edges=self_edges).sum(1, keepdim=True)
    constant = gm.flow_matrix(torch.ones(g.n_nodes, 1), g, self_edges=self_edges)  # P is uniform
    torch.testing.assert_close(constant, walk + walk.T - 2 / g.n_nodes, rtol=0, atol=EXACT)


@tiny
def test_turning_the_start_turns_the_flow_and_the_numbering_does_not_matter(g):
    V = torch.randn(g.n_nodes, 7, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    turn = torch.linalg.qr(torch.randn(7, 7, generator=torch.Generator().manual_seed(6), dtype=torch.float64)).Q
    torch.testing.assert_close(gm.flow_matrix(V @ turn, g), gm.flow_matrix(V, g), rtol=0, atol=EXACT)
    order = torch.randperm(g.n_nodes, generator=torch.Generator().manual_seed(7))
    renamed = gm.Graph(n_nodes=g.n_nodes, edges=order.argsort()[g.edges])
    torch.testing.assert_close(gm.flow_matrix(V[order], renamed), gm.flow_matrix(V, g)[order][:, order], rtol=0, atol=EXACT)


@pytest.mark.parametrize("dim", [5, 40])
def test_a_seeds_run_does_not_depend_on_its_company(dim):
    g, asked = gm.grid(4, 4), dict(dim=dim, steps=30, snapshots=(10,))
    together = gm.gradient_flow(g, seeds=range(6), **asked)
    some = gm.gradient_flow(g, seeds=(s for s in (4, 1)), **asked)
    assert some.seeds == (4, 1) and together.seeds == tuple(range(6))
    torch.testing.assert_close(some.embeddings, together.embeddings[:, [4, 1]], rtol=0, atol=EXACT)
    torch.testing.assert_close(some.loss, together.loss[:, [4, 1]], rtol=0, atol=EXACT)
    assert torch.equal(together.embeddings, gm.gradient_flow(g, seeds=range(6), **asked).embeddings)
    assert (together.embeddings[0, 0] - together.embeddings[0, 1]).abs().max() > 0.1


def test_a_seed_that_torch_would_take_for_a_smaller_one_is_refused():
    with pytest.raises(ValueError, match=r"a seed must be less than 2\*\*32"):
        gm.gradient_flow(gm.cycle(5), steps=0, seeds=[0, 2**32], snapshots=())
    with pytest.raises(ValueError, match=r"seed must be less than 2\*\*32"):
        gm.SequenceModel(5, seed=2**32)


@pytest.mark.parametrize("init_std", [0.1, 2.0])
def test_the_start_is_normal_with_the_spread_that_is_asked(init_std):
    before = torch.get_rng_state()
    V = gm.gradient_flow(gm.cycle(15), steps=0, init_std=init_std, seeds=range(20), snapshots=()).embeddings[0]
    assert torch.equal(torch.get_rng_state(), before)
    assert abs(V.std() / init_std - 1) < 5 / math.sqrt(2 * V.numel())
    assert abs(V.mean()) < 5 * init_std / math.sqrt(V.numel())


def test_snapshots_are_sorted_distinct_and_end_with_the_last_step():
    g = gm.cycle(5)
    flow = gm.gradient_flow(g, steps=20, seeds=[0], snapshots=(7, 0, 7))
    assert flow.steps.tolist() == [0, 7, 20] and flow.loss.shape == (3, 1)
    for k, steps in enumerate((0, 7, 20)):
        alone = gm.gradient_flow(g, steps=steps, seeds=[0], snapshots=())
        assert alone.steps.tolist() == [steps]
        torch.testing.assert_close(flow.embeddings[k], alone.embeddings[0], rtol=0, atol=EXACT)
    torch.testing.assert_close(flow.scores(), flow.embeddings[-1] @ flow.embeddings[-1].mT)
    defaults = gm.gradient_flow(g, steps=1000, seeds=[0])
    assert defaults.steps.tolist() == [0, 100, 1000]


@tiny
def test_the_loss_falls_to_but_not_below_the_mean_log_degree(g):
    flow = gm.gradient_flow(g, steps=300, seeds=range(3), snapshots=range(0, 300, 50))
    assert (flow.loss.diff(dim=0) < 0).all()
    assert (flow.loss > g.degrees.double().log().mean()).all()  # the entropy floor, which no tied table reaches


def test_float32_follows_float64():
    g, asked = gm.path_star(4, 5), dict(dim=10, steps=50, seeds=[0, 1], snapshots=())
    exact, rough = gm.gradient_flow(g, **asked), gm.gradient_flow(g, precision="float32", **asked)
    assert rough.embeddings.dtype == torch.float32 and exact.embeddings.dtype == torch.float64
    torch.testing.assert_close(rough.embeddings.double(), exact.embeddings, rtol=0, atol=1e-4)


def test_the_cycle_ends_at_its_closed_form_fixed_point():
    n = 15
    theta = 2 * math.pi * torch.arange(n, dtype=torch.float64) / n

    def excess(a):  # sum_j q_j cos theta_j - cos(2 pi / n), q_j proportional to exp(a cos theta_j)
        return float(torch.softmax(a * theta.cos(), dim=0) @ theta.cos()) - math.cos(2 * math.pi / n)

    a = brentq(excess, 0.1, 100, xtol=1e-13)
    expected = a * (theta[:, None] - theta).cos()
    flow = gm.gradient_flow(gm.cycle(n), lr=0.05, steps=5000, seeds=[0, 1], snapshots=())
    for gram in flow.scores():
        assert (gram - gram.mean() - expected).abs().max() < 1e-3
    assert gm.flow_matrix(flow.embeddings[-1], gm.cycle(n)).matmul(flow.embeddings[-1]).abs().max() < 1e-3  # C V = 0


def test_wrong_arguments_are_refused_by_name():
    for kind, message, options in (
        (ValueError, "steps must be at least 0, got -1", {"steps": -1}),
        (TypeError, "steps must be an integer, got 10.0", {"steps": 10.0}),
        (ValueError, "lr must be finite and greater than 0, got 0", {"lr": 0}),
        (ValueError, "lr must be finite.*got nan", {"lr": math.nan}),
        (ValueError, "lr must be finite.*got -0.1", {"lr": -0.1}),
        (TypeError, "lr must be a number", {"lr": (0.1, 0.2)}),
        (ValueError, "init_std must be finite.*got inf", {"init_std": math.inf}),
        (ValueError, "dim must be at least 1, got 0", {"dim": 0}),
        (ValueError, "seeds must hold at least one seed, got none", {"seeds": ()}),
        (ValueError, "seeds must differ", {"seeds": (1, 2, 1)}),
        (TypeError, r"seeds must be a sequence of integers, got 3. Write seeds=\[3\]", {"seeds": 3}),
        (TypeError, "a seed must be an integer, got 0.5", {"seeds": (0.5,)}),
        (ValueError, "a seed must be at least 0", {"seeds": (-1,)}),
        (ValueError, "snapshots must not lie after the last step, 10, got 11", {"snapshots": (11, 5)}),
        (ValueError, "a snapshot must be at least 0", {"snapshots": (-1,)}),
        (TypeError, "snapshots must be", {"snapshots": 5}),
        (ValueError, "precision must be one of 'float64', 'float32', got 'float23'. Did you mean", {"precision": "float23"}),
        (ValueError, "device must be one of", {"device": "tpu"}),
        (ValueError, "lr must keep the flow finite, got 1e\\+200, which diverges on seed 0", {"lr": 1e200}),
    ):
        with pytest.raises(kind, match=message):
            gm.gradient_flow(gm.cycle(5), **{"steps": 10, "snapshots": (), "seeds": [0], **options})
    with pytest.raises(ValueError, match="V must have one row a node"):
        gm.flow_matrix(torch.ones(4, 2), gm.cycle(5))
