import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import geomem as gm
from geomem.node2vec import cycle_fixed_point, entropy_floor, flow_spectrum, stationarity

EXACT = 1e-11  # float64, one step of order-1 numbers
TRAJECTORY = 1e-9  # the same after 50 steps, in which rounding grows a little
DIFFERENCE = 1e-6  # central differences with a step of 1e-5: error about 1e-10 / 1e-5 times a loss of 50

TINY = [gm.path_star(4, 5), gm.grid(4, 4), gm.cycle(15), gm.irregular()]
tiny = pytest.mark.parametrize("g", TINY, ids=lambda g: g.name)
loops = pytest.mark.parametrize("self_edges", [False, True])
forms = pytest.mark.parametrize("tied, core", [(True, "identity"), (True, "linear"), (False, "identity"), (False, "linear")])
widths = pytest.mark.parametrize("width", [3, 15, 16, 17, 100])


def node_losses(logits, g, self_edges):
    """Cross-entropy of every node's answers, written with torch's own loss on probabilities."""
    A = g.targets(self_edges=self_edges)
    return F.cross_entropy(logits, A / A.sum(1, keepdim=True), reduction="none")


def plain_flow(g, width, lr, steps, seed, self_edges=False):
    """Gradient descent with autograd on the identity core of SequenceModel, on the loss summed over nodes."""
    start = torch.randn(g.n_nodes, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    model = gm.SequenceModel(g.n_nodes, core="identity", width=width).double()
    with torch.no_grad():
        model.embedding.copy_(start)
    optimizer = torch.optim.SGD([model.embedding], lr=lr)
    losses, tables = [], []
    for step in range(steps + 1):
        loss = node_losses(model(torch.arange(g.n_nodes)[:, None], last=1)[:, 0], g, self_edges)
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
def test_every_step_is_the_gradient_step_of_the_identity_core(g, self_edges, width):
    losses, tables = plain_flow(g, width, 0.01, 3, seed=4, self_edges=self_edges)
    flow = gm.gradient_flow(g, width=width, steps=3, seeds=[4], self_edges=self_edges, snapshots=range(4))
    assert flow.steps.tolist() == [0, 1, 2, 3] and flow.embeddings.shape == (4, 1, g.n_nodes, width)
    torch.testing.assert_close(flow.embeddings[:, 0], tables, rtol=0, atol=EXACT)
    torch.testing.assert_close(flow.loss[:, 0], losses, rtol=0, atol=EXACT)


@pytest.mark.parametrize("width", [5, 40])
def test_fifty_steps_follow_a_plain_autograd_loop(width):
    g = gm.irregular()
    losses, tables = plain_flow(g, width, 0.02, 50, seed=1)
    flow = gm.gradient_flow(g, width=width, lr=0.02, steps=50, seeds=[0, 1], snapshots=range(0, 51, 10))
    torch.testing.assert_close(flow.embeddings[:, 1], tables[::10], rtol=0, atol=TRAJECTORY)
    torch.testing.assert_close(flow.loss[:, 1], losses[::10], rtol=0, atol=TRAJECTORY)


def tables_of(flow):
    """The trained tables of a flow of one seed, each (T, rows, columns): V, then U and M where there are any."""
    return [table[:, 0] for table in (flow.embeddings, flow.unembeddings, flow.cores) if table is not None]


def logits_of(tables, tied, core):
    """V M U^T written out: ``z_uv = sum over a, b of V_ua M_ab U_vb``."""
    V, U = tables[0], tables[0] if tied else tables[1]
    M = tables[-1] if core == "linear" else torch.eye(V.shape[-1], dtype=V.dtype)
    return torch.einsum("ua,ab,vb->uv", V, M, U)


@tiny
@loops
@forms
@pytest.mark.parametrize("width", [6, 15, 29, 30, 31, 50])  # untied tables are turned from 2 n on, and n is 15 on the cycle
def test_every_form_takes_the_gradient_step_of_autograd(g, self_edges, tied, core, width):
    asked = dict(width=width, lr=0.02, self_edges=self_edges, tied=tied, core=core, core_std=0.3)
    flow = gm.gradient_flow(g, steps=2, seeds=[3], snapshots=range(3), **asked)
    assert len(tables_of(flow)) == 1 + (not tied) + (core == "linear")
    for step in range(3):
        tables = [table[step].clone().requires_grad_() for table in tables_of(flow)]
        losses = node_losses(logits_of(tables, tied, core), g, self_edges)
        assert abs(losses.mean() - flow.loss[step, 0]) < EXACT
        if step < 2:
            slopes = torch.autograd.grad(losses.sum(), tables)
            for table, slope, after in zip(tables, slopes, tables_of(flow), strict=True):
                torch.testing.assert_close(after[step + 1], table - 0.02 * slope, rtol=0, atol=EXACT)
        else:
            torch.testing.assert_close(flow.scores()[0], logits_of(tables, tied, core), rtol=0, atol=EXACT)


@forms
@loops
def test_every_form_goes_down_the_slope_of_finite_differences(tied, core, self_edges):
    g = gm.irregular()
    asked = dict(width=5, steps=1, seeds=[7], snapshots=(0,), tied=tied, core=core, core_std=0.5)
    flow = gm.gradient_flow(g, lr=0.5, self_edges=self_edges, **asked)
    tables = [table[0] for table in tables_of(flow)]
    for k, table in enumerate(tables_of(flow)):
        velocity = (table[1] - table[0]) / 0.5
        for u, column in ((0, 0), (3, 4), (4, 2)):
            nudge = torch.zeros_like(table[0])
            nudge[u, column] = 1e-5
            up, down = (
                node_losses(logits_of(tables[:k] + [moved] + tables[k + 1 :], tied, core), g, self_edges).sum()
                for moved in (table[0] + nudge, table[0] - nudge)
            )
            assert abs(velocity[u, column] + (up - down) / 2e-5) < DIFFERENCE


@forms
@pytest.mark.parametrize("width", [5, 40])
def test_the_tables_of_a_seed_are_its_own_and_start_with_their_spread(tied, core, width):
    g, asked = gm.cycle(15), dict(width=width, steps=20, init_std=0.5, snapshots=(0,), tied=tied, core=core, core_std=0.1)
    together = gm.gradient_flow(g, seeds=range(5), **asked)
    alone = gm.gradient_flow(g, seeds=[3, 1], **asked)
    plain = gm.gradient_flow(g, seeds=range(5), width=width, steps=0, init_std=0.5, snapshots=())
    torch.testing.assert_close(together.embeddings[0], plain.embeddings[0], rtol=0, atol=EXACT)  # V is drawn first
    for name, std, there in (("embeddings", 0.5, True), ("unembeddings", 0.5, not tied), ("cores", 0.1, core == "linear")):
        many, few = getattr(together, name), getattr(alone, name)
        assert (many is not None) == there == (few is not None)
        if there:
            torch.testing.assert_close(few, many[:, [3, 1]], rtol=0, atol=EXACT)
            assert abs(many[0].std() / std - 1) < 5 / math.sqrt(2 * many[0].numel())
    if not tied:
        assert (together.unembeddings[0] - together.embeddings[0]).abs().max() > 0.1


def test_every_form_runs_in_float32():
    for tied, core in ((False, "identity"), (True, "linear")):
        asked = dict(width=40, lr=1e-3, steps=30, seeds=[0, 1], snapshots=(), tied=tied, core=core)
        exact, rough = (gm.gradient_flow(gm.grid(4, 4), precision=p, **asked) for p in ("float64", "float32"))
        assert rough.scores().dtype == torch.float32
        torch.testing.assert_close(rough.scores().double(), exact.scores(), rtol=1e-3, atol=1e-3)


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


@pytest.mark.parametrize("width", [5, 40])
def test_a_seeds_run_does_not_depend_on_its_company(width):
    g, asked = gm.grid(4, 4), dict(width=width, steps=30, snapshots=(10,))
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
@loops
def test_the_loss_falls_to_but_not_below_the_entropy_floor(g, self_edges):
    answers = g.targets(self_edges=self_edges).sum(1)
    floor = entropy_floor(g, self_edges=self_edges)
    assert floor == pytest.approx(float(answers.log().mean())) and (self_edges or floor == g.degrees.double().log().mean())
    asked = dict(steps=500, seeds=range(3), snapshots=range(0, 500, 50), self_edges=self_edges)
    tied, untied = gm.gradient_flow(g, **asked), gm.gradient_flow(g, tied=False, **asked)
    assert (tied.loss.diff(dim=0) < 0).all() and (untied.loss.diff(dim=0) < 0).all()
    assert (tied.loss > floor + 0.05).all()  # which no tied table reaches
    assert (untied.loss > floor).all() and (untied.loss[-1] < floor + 0.02).all()  # so it is the floor, and not slack


def test_float32_follows_float64():
    g, asked = gm.path_star(4, 5), dict(width=10, steps=50, seeds=[0, 1], snapshots=())
    exact, rough = gm.gradient_flow(g, **asked), gm.gradient_flow(g, precision="float32", **asked)
    assert rough.embeddings.dtype == torch.float32 and exact.embeddings.dtype == torch.float64
    torch.testing.assert_close(rough.embeddings.double(), exact.embeddings, rtol=0, atol=1e-4)


@pytest.mark.parametrize("n, lr, steps", [(5, 0.05, 400), (8, 0.05, 1000), (15, 0.05, 5000)])
def test_the_cycle_ends_at_its_closed_form_fixed_point(n, lr, steps):
    point = cycle_fixed_point(n)
    flow = gm.gradient_flow(gm.cycle(n), lr=lr, steps=steps, seeds=[0, 1], snapshots=())
    for gram in flow.scores():
        assert (gram - gram.mean() - point.gram).abs().max() < 1e-3
    assert stationarity(flow.embeddings[-1], gm.cycle(n)).max() < 1e-6  # C V = 0


@pytest.mark.parametrize("n", [5, 6, 8, 15, 64])
def test_the_closed_form_is_stationary_stable_and_has_its_eigenvalues(n):
    g, point = gm.cycle(n), cycle_fixed_point(n)
    theta = 2 * math.pi * torch.arange(n, dtype=torch.float64) / n
    V = math.sqrt(point.a) * torch.stack([theta.cos(), theta.sin()], dim=1)
    torch.testing.assert_close(V @ V.T, point.gram, rtol=0, atol=EXACT * n**2)
    assert stationarity(V, g) < EXACT and abs(point.gram.mean()) < EXACT and point.gram.dtype == torch.float64
    assert (flow_spectrum(V, g).norms - point.eigenvalues.abs()).abs().max() < EXACT * n
    twice = point.eigenvalues.repeat_interleave(torch.tensor([1] + [2] * ((n - 1) // 2) + [1] * (n % 2 == 0)))
    expected = twice.sort(descending=True).values
    torch.testing.assert_close(flow_spectrum(V, g).eigenvalues, expected, rtol=0, atol=EXACT * n)
    assert point.eigenvalues[:2].abs().max() < EXACT and (point.eigenvalues[2:] < 0).all()
    away = V * 1.05  # and only there
    assert stationarity(away, g) > 1e-4


@tiny
@loops
def test_the_spectrum_of_the_flow_is_that_of_its_matrix(g, self_edges):
    V = torch.randn(2, g.n_nodes, 4, generator=torch.Generator().manual_seed(8), dtype=torch.float64)
    C, got = gm.flow_matrix(V, g, self_edges=self_edges), flow_spectrum(V, g, self_edges=self_edges)
    spectrum = gm.Spectrum(g, self_edges=self_edges)
    assert got.norms.shape == (2, len(spectrum.values)) and got.eigenvalues.shape == (2, g.n_nodes)
    for k, base in enumerate(spectrum.bases):
        turn = torch.randn(base.shape[1], 2000, generator=torch.Generator().manual_seed(k), dtype=torch.float64)
        unit = base @ (turn / turn.norm(dim=0))
        mean = (C @ unit).square().sum(-2).mean(-1)  # over random unit vectors of the eigenspace
        torch.testing.assert_close(got.norms[:, k].square(), mean, rtol=0.1, atol=EXACT)
    whole = (got.norms.square() * spectrum.multiplicities).sum(-1)
    torch.testing.assert_close(whole, C.square().sum((-2, -1)), rtol=EXACT, atol=0)
    assert (got.eigenvalues.diff(dim=-1) <= 0).all()
    torch.testing.assert_close(got.eigenvalues.square().sum(-1), C.square().sum((-2, -1)), rtol=EXACT, atol=0)
    torch.testing.assert_close(got.eigenvalues.sum(-1), C.diagonal(dim1=-2, dim2=-1).sum(-1), rtol=0, atol=EXACT)


@tiny
def test_spectrum_and_stationarity_ignore_rotation_and_numbering(g):
    V = torch.randn(g.n_nodes, 7, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    turn = torch.linalg.qr(torch.randn(7, 7, generator=torch.Generator().manual_seed(6), dtype=torch.float64)).Q
    order = torch.randperm(g.n_nodes, generator=torch.Generator().manual_seed(7))
    renamed = gm.Graph(n_nodes=g.n_nodes, edges=order.argsort()[g.edges])
    for table, graph in ((V @ turn, g), (V[order], renamed)):
        for got, expected in zip(flow_spectrum(table, graph), flow_spectrum(V, g), strict=True):
            torch.testing.assert_close(got, expected, rtol=0, atol=EXACT)
        assert abs(stationarity(table, graph) - stationarity(V, g)) < EXACT


def test_stationarity_is_the_relative_size_of_the_velocity():
    g = gm.irregular()
    V = torch.randn(16, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    for self_edges in (False, True):
        C = gm.flow_matrix(V, g, self_edges=self_edges).numpy()
        expected = np.linalg.norm(C @ V.numpy()) / np.linalg.norm(C) / np.linalg.norm(V.numpy())
        assert stationarity(V, g, self_edges=self_edges) == pytest.approx(expected)
    complete = gm.cycle(3)  # with self edges its C is 0 where all scores are equal
    assert stationarity(torch.ones(3, 2), complete, self_edges=True) < 1e-15 and stationarity(torch.zeros(16, 2), g) == 0
    assert stationarity(torch.ones(2, 4, 16, 3), g).shape == (2, 4)


def test_the_null_space_of_c_holds_the_fiedler_space_of_the_cycle_but_not_of_the_star():
    norms = {}
    for g in (gm.cycle(15), gm.path_star(4, 5)):
        flow = gm.gradient_flow(g, lr=0.05, steps=3000, seeds=[0, 1], snapshots=())
        assert stationarity(flow.embeddings[-1], g).max() < 1e-3
        fiedler = int((~gm.Spectrum(g).trivial).nonzero()[0])
        norms[g.name] = flow_spectrum(flow.embeddings[-1], g).norms[:, fiedler]
    assert norms["cycle(15)"].max() < 1e-3 < 0.05 < norms["path-star(4, 5)"].min()


def test_wrong_arguments_are_refused_by_name():
    for kind, message, options in (
        (ValueError, "steps must be at least 0, got -1", {"steps": -1}),
        (TypeError, "steps must be an integer, got 10.0", {"steps": 10.0}),
        (ValueError, "lr must be finite and greater than 0, got 0", {"lr": 0}),
        (ValueError, "lr must be finite.*got nan", {"lr": math.nan}),
        (ValueError, "lr must be finite.*got -0.1", {"lr": -0.1}),
        (TypeError, "lr must be a number", {"lr": (0.1, 0.2)}),
        (ValueError, "init_std must be finite.*got inf", {"init_std": math.inf}),
        (ValueError, "width must be at least 1, got 0", {"width": 0}),
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
        (TypeError, "tied must be True or False, got 'no'", {"tied": "no"}),
        (ValueError, "core must be one of 'identity', 'linear', got 'lineal'. Did you mean", {"core": "lineal"}),
        (ValueError, "core_std must be finite and greater than 0, got 0", {"core_std": 0, "core": "linear"}),
        (ValueError, "lr must keep the flow finite, got 1e\\+200, which diverges on seed 0", {"lr": 1e200}),
    ):
        with pytest.raises(kind, match=message):
            gm.gradient_flow(gm.cycle(5), **{"steps": 10, "snapshots": (), "seeds": [0], **options})
    with pytest.raises(ValueError, match="V must have one row per node"):
        gm.flow_matrix(torch.ones(4, 2), gm.cycle(5))
    for measure in (stationarity, flow_spectrum):
        with pytest.raises(ValueError, match="V must have one row per node"):
            measure(torch.ones(4, 2), gm.cycle(5))
    with pytest.raises(TypeError, match="self_edges must be True or False"):
        entropy_floor(gm.cycle(5), self_edges="no")
    for kind, message, n in (
        (ValueError, "n must be at least 5, got 4. On fewer nodes", 4),
        (TypeError, "n must be an integer", 8.0),
        (ValueError, "limit is n = 5,000", 5001),
    ):
        with pytest.raises(kind, match=message):
            cycle_fixed_point(n)


@pytest.mark.parametrize("measure", ["flow_matrix", "stationarity", "flow_spectrum"])
def test_a_table_whose_products_overflow_is_refused_in_a_sentence(measure):
    with pytest.raises(ValueError, match="V must have products that are numbers, got entries up to 1e\\+200"):
        getattr(gm.node2vec, measure)(torch.full((5, 2), 1e200, dtype=torch.float64), gm.cycle(5))
