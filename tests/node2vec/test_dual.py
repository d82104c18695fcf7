"""The exact end of tied Node2Vec: against the flow, a conic solver, closed forms, and its own certificate."""

import math
import random

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import geomem as gm
from geomem.node2vec import cycle_fixed_point
from geomem.node2vec.dual import _bounds, _Problem, most_random_walk

EXACT = 1e-9  # nats or less: Newton's method ends at rounding, about 1e-12 times logits of up to 100
FLOW = 1e-5  # nats: the flow stands to STANDS, and its loss is above the least by about its square
STANDS = 1e-5
CONIC = {0.0: 1e-3, 0.2: 1e-5}  # nats: without decay no walk meets the constraint strictly, which conic solvers need
KARATE = gm.Graph.from_networkx(nx.karate_club_graph(), name="karate")
TINY = [gm.cycle(15), gm.grid(4, 4), gm.path_star(4, 5), KARATE]
tiny = pytest.mark.parametrize("g", TINY, ids=lambda g: g.name)
every = pytest.mark.parametrize("g", [*TINY, gm.irregular()], ids=lambda g: g.name)
loops = pytest.mark.parametrize("self_edges", [False, True])
sums = pytest.mark.parametrize("weights", ["nodes", "edges"])
decays = pytest.mark.parametrize("decay", [0.0, 0.2])


def parts(g, self_edges=False, weights="nodes"):
    """Return W and w, from the adjacency matrix."""
    A = g.adjacency(self_edges=self_edges)
    return A / A.sum(1, keepdim=True), A.sum(1) if weights == "edges" else torch.ones(len(A), dtype=torch.float64)


def slack_matrix(rest, g, decay, self_edges=False, weights="nodes"):
    W, w = parts(g, self_edges, weights)
    gap = w[:, None] * (rest.P - W)
    return (gap + gap.T) / 2 + decay / 2 * torch.eye(len(W), dtype=torch.float64)


def flow_to_rest(g, decay, lr, self_edges=False, weights="nodes"):
    """Follow the flow in plain steps until it stands, and return its loss with the penalty, and its softmax."""
    W, w = parts(g, self_edges, weights)
    V = torch.randn(len(W), len(W), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for _ in range(50_000):
        gap = w[:, None] * (W - torch.softmax(V @ V.T, dim=1))
        force = (gap + gap.T) @ V - decay * V
        if force.norm() < STANDS:
            break
        V += lr * force
    logs = torch.log_softmax(V @ V.T, dim=1)
    return float(-(w[:, None] * W * logs).sum() + decay / 2 * V.square().sum()), logs.exp()


def random_graph(n, seed):
    """Return a random spanning tree and a few more edges, connected."""
    tree = nx.from_prufer_sequence(random.Random(seed).choices(range(n), k=n - 2))
    tree.add_edges_from(nx.gnm_random_graph(n, seed % (n + 1), seed=seed).edges)
    return gm.Graph.from_networkx(tree)


# Oracles


@pytest.mark.parametrize(
    "decay, entropies",
    [(0.0, (21.52376, 29.34022, 21.85838, 62.47514)), (0.2, (27.12928, 34.73009, 29.73269, 86.38797))],
)
def test_the_entropies_are_those_of_an_independent_search(decay, entropies):
    # By L-BFGS on V and the bias, and for decay 0.2 also by the flow.
    found = [most_random_walk(g, decay=decay).entropy for g in TINY]
    np.testing.assert_allclose(found, entropies, rtol=0, atol=6e-6)


@tiny
@sums
def test_the_decayed_flow_comes_to_rest_there(g, weights):
    rest = most_random_walk(g, decay=0.2, weights=weights)
    loss, P = flow_to_rest(g, 0.2, 0.1 if weights == "nodes" else 0.02, weights=weights)
    assert loss == pytest.approx(rest.entropy, abs=FLOW) and loss == pytest.approx(rest.loss, abs=FLOW)
    assert loss >= rest.loss - rest.gap - EXACT
    torch.testing.assert_close(rest.P, P, rtol=0, atol=1e-3)  # an error of 1e-5 nats leaves P twice its square root


@given(
    n=st.integers(2, 8), seed=st.integers(0, 10_000), self_edges=st.booleans(), weights=st.sampled_from(["nodes", "edges"])
)
@settings(max_examples=15, deadline=None)
def test_so_it_does_on_random_graphs(n, seed, self_edges, weights):
    g = random_graph(n, seed)
    rest = most_random_walk(g, decay=0.3, self_edges=self_edges, weights=weights)
    loss, _ = flow_to_rest(g, 0.3, 0.05, self_edges, weights)
    assert loss == pytest.approx(rest.entropy, abs=FLOW)


@pytest.mark.parametrize("g", [gm.cycle(6), gm.path_star(3, 4), random_graph(9, 4), gm.grid(4, 4)], ids=lambda g: g.name)
@decays
@sums
def test_a_conic_solver_finds_the_same_walk(g, decay, weights):
    cp = pytest.importorskip("cvxpy")
    W, w = (part.numpy() for part in parts(g, weights=weights))
    P = cp.Variable(W.shape, nonneg=True)
    gap = cp.multiply(w[:, None] @ np.ones((1, len(W))), P - W)
    constraints = [cp.sum(P, axis=1) == 1, (gap + gap.T) / 2 + decay / 2 * np.eye(len(W)) >> 0]
    entropy = cp.Problem(cp.Maximize(w @ cp.sum(cp.entr(P), axis=1)), constraints).solve(solver="CLARABEL")
    assert most_random_walk(g, decay=decay, weights=weights).entropy == pytest.approx(entropy, abs=CONIC[decay] * w.max())


@pytest.mark.parametrize("n", [5, 6, 15, 40])
def test_on_a_ring_it_is_the_closed_form(n):
    rest, point = most_random_walk(gm.cycle(n)), cycle_fixed_point(n)
    torch.testing.assert_close(rest.gram, point.gram, rtol=0, atol=1e-4 * point.a)  # the flattest direction of the loss
    torch.testing.assert_close(rest.P, torch.softmax(point.gram, dim=1), rtol=0, atol=EXACT)
    assert rest.dims == 2
    torch.testing.assert_close(rest.slack.sort().values, (-point.eigenvalues / 2).sort().values, rtol=0, atol=EXACT)


@decays
def test_derivatives_are_central_differences(decay):
    W, w = (part.numpy() for part in parts(KARATE, weights="edges"))
    problem, generator = _Problem(W, w, decay), np.random.default_rng(0)
    V, a = problem.projector @ generator.normal(size=(34, 3)), problem.projector @ generator.normal(size=34) * (decay == 0)
    state = problem.state(V, a)
    x = problem.pack(generator.normal(size=(34, 3)), generator.normal(size=34))  # of the kind that is searched
    dV, da = problem.unpack(1e-5 * x)
    ahead, behind = problem.state(V + dV, a + da), problem.state(V - dV, a - da)
    assert (ahead.loss - behind.loss) / 2e-5 == pytest.approx(state.gradient @ x, rel=1e-6)
    difference = (ahead.gradient - behind.gradient) / 2e-5
    np.testing.assert_allclose(problem.curvature(V, state, x), difference, rtol=0, atol=1e-6 * np.abs(difference).max())


# Invariants


@every
@decays
@loops
@sums
def test_the_walk_meets_its_constraint_and_the_table_lives_where_it_binds(g, decay, self_edges, weights):
    rest = most_random_walk(g, decay=decay, self_edges=self_edges, weights=weights)
    W, w = parts(g, self_edges, weights)
    Z = slack_matrix(rest, g, decay, self_edges, weights)
    assert torch.linalg.eigvalsh(Z)[0].item() == pytest.approx(rest.least_eigenvalue, abs=EXACT)
    assert rest.least_eigenvalue > -EXACT
    assert torch.linalg.eigvalsh(rest.gram)[0] > -EXACT
    assert (Z @ rest.gram).abs().max() < EXACT
    assert rest.entropy == pytest.approx(rest.loss, abs=EXACT) and 0 <= rest.gap < EXACT
    torch.testing.assert_close(rest.P.sum(1), torch.ones(g.n_nodes, dtype=torch.float64), rtol=0, atol=EXACT)
    together = g.hops() >= 0 if decay == 0 else torch.ones(g.n_nodes, g.n_nodes, dtype=bool)
    logits = torch.where(together, rest.gram + rest.bias, -math.inf)
    torch.testing.assert_close(rest.P, torch.softmax(logits, dim=1), rtol=0, atol=EXACT)
    if decay == 0:
        torch.testing.assert_close(w @ rest.P, w @ W, rtol=0, atol=EXACT)
        assert rest.gram.sum(1).abs().max() < EXACT and abs(rest.bias.sum()) < EXACT
    else:
        assert not rest.bias.any()
    sizes = gm.Spectrum(g, self_edges=self_edges).multiplicities.double()
    assert float(rest.slack @ sizes) == pytest.approx(float(Z.trace()), abs=EXACT)


@every
@loops
def test_edge_weighted_the_walk_is_reversible_and_has_no_negative_eigenvalue(g, self_edges):
    # P is diag(x) exp(K) diag(y), exp(K) is positive semidefinite (Schur), and the degrees are stationary.
    rest = most_random_walk(g, self_edges=self_edges, weights="edges")
    flow = parts(g, self_edges, "edges")[1][:, None] * rest.P
    assert (flow - flow.T).abs().max() < EXACT and torch.linalg.eigvalsh(flow)[0] > -EXACT


@tiny
@decays
def test_renaming_nodes_renames_the_walk(g, decay):
    order = torch.randperm(g.n_nodes, generator=torch.Generator().manual_seed(1))
    renamed = gm.Graph(n_nodes=g.n_nodes, edges=order[g.edges])
    one, two = most_random_walk(g, decay=decay), most_random_walk(renamed, decay=decay)
    assert (one.dims, one.entropy) == (two.dims, pytest.approx(two.entropy, abs=EXACT))
    torch.testing.assert_close(two.P[order][:, order], one.P, rtol=0, atol=1e-7)
    torch.testing.assert_close(two.gram[order][:, order], one.gram, rtol=0, atol=1e-4)
    torch.testing.assert_close(two.slack, one.slack, rtol=0, atol=1e-7)


@tiny
@decays
@pytest.mark.parametrize("spoiled", [1e-6, 1e-3, 0.1, 3.0])
def test_the_bounds_hold_on_either_side_for_any_table(g, decay, spoiled):
    rest, (W, w) = most_random_walk(g, decay=decay), parts(g)
    values, vectors = np.linalg.eigh(rest.gram.numpy())
    noise = spoiled * np.random.default_rng(0).normal(size=(2, g.n_nodes, g.n_nodes))
    V = vectors * np.sqrt(np.maximum(values, 0)) + noise[0]
    loss, entropy = _bounds(_Problem(W.numpy(), w.numpy(), decay), V, rest.bias.numpy() + noise[1, 0] * (decay == 0))
    assert entropy < rest.entropy < loss


def test_more_decay_is_more_entropy_and_a_smaller_table():
    rests = [most_random_walk(gm.path_star(4, 5), decay=decay) for decay in (0.01, 0.1, 0.5, 1.0)]
    entropies, sizes = [rest.entropy for rest in rests], [float(rest.gram.trace()) for rest in rests]
    assert entropies == sorted(entropies) and sizes == sorted(sizes, reverse=True)


def test_the_loss_over_edges_is_what_training_minimises():
    g, rest = KARATE, most_random_walk(KARATE, weights="edges")
    heads, tails = g.directed_edges().T
    mean = -rest.P[heads, tails].log().mean()
    assert rest.loss == pytest.approx(float(mean) * 2 * g.n_edges, abs=EXACT)


# Limits


@pytest.mark.parametrize("g", [gm.cycle(8), gm.path_star(4, 5), KARATE], ids=lambda g: g.name)
@sums
def test_the_table_is_empty_above_the_largest_eigenvalue_only(g, weights):
    W, w = parts(g, weights=weights)
    start = w[:, None] * (W - 1 / g.n_nodes)
    highest = torch.linalg.eigvalsh(start + start.T)[-1].item()
    empty, filled = (most_random_walk(g, decay=share * highest, weights=weights) for share in (1.001, 0.98))
    assert empty.dims == 0 and not empty.gram.any() and filled.dims > 0
    assert empty.entropy == pytest.approx(float(w.sum()) * math.log(g.n_nodes), abs=EXACT)


@pytest.mark.parametrize("n", [2, 3, 6])
@loops
def test_a_complete_graph_needs_no_map(n, self_edges):
    rest = most_random_walk(gm.Graph.from_networkx(nx.complete_graph(n)), self_edges=self_edges)
    assert rest.dims == 0 and rest.entropy == pytest.approx(n * math.log(n), abs=EXACT)
    torch.testing.assert_close(rest.P, torch.full((n, n), 1 / n, dtype=torch.float64), rtol=0, atol=EXACT)


def test_two_nodes_with_decay():
    rest = most_random_walk(gm.Graph(n_nodes=2, edges=[(0, 1)]), decay=0.1)
    assert rest.dims == 0 and not rest.gram.any() and rest.entropy == pytest.approx(2 * math.log(2), abs=EXACT)


def test_a_hub_needs_a_bias_and_no_map():
    # Only column sums bind: column v holds the share deg-weighted walks bring there, and every row may be the same.
    rest = most_random_walk(gm.Graph.from_networkx(nx.star_graph(5)))
    sums = torch.tensor([5.0] + [0.2] * 5, dtype=torch.float64)
    assert rest.dims == 0
    torch.testing.assert_close(rest.P, (sums / 6).expand(6, 6), rtol=0, atol=EXACT)


def test_components_are_solved_apart_without_decay():
    parts = [nx.cycle_graph(7), nx.path_graph(5)]
    whole = most_random_walk(gm.Graph.from_networkx(nx.disjoint_union(*parts)))
    alone = [most_random_walk(gm.Graph.from_networkx(part)) for part in parts]
    torch.testing.assert_close(whole.P, torch.block_diag(*(rest.P for rest in alone)), rtol=0, atol=EXACT)
    assert whole.entropy == pytest.approx(sum(rest.entropy for rest in alone), abs=EXACT)
    assert whole.dims == sum(rest.dims for rest in alone)


def test_twins_share_a_row():
    rest = most_random_walk(KARATE)
    twins = [node for node in range(34) if set(KARATE.adjacency()[node].nonzero().flatten().tolist()) == {32, 33}]
    assert len(twins) == 5
    torch.testing.assert_close(rest.gram[twins], rest.gram[twins[:1]].expand(5, -1), rtol=0, atol=EXACT)


def test_it_prints_as_one_line():
    text = repr(most_random_walk(gm.cycle(5), decay=0.5, weights="edges"))
    assert text.startswith("Rest(n_nodes=5, decay=0.5, weights='edges', entropy=") and "\n" not in text


# Errors


@pytest.mark.parametrize(
    "arguments, error, text",
    [
        (dict(graph="cycle"), TypeError, "graph"),
        (dict(decay=-0.1), ValueError, "decay must be finite and at least 0, got -0.1"),
        (dict(decay="no"), TypeError, "decay must be a number"),
        (dict(self_edges=1), TypeError, "self_edges must be True or False"),
        (dict(weights="node"), ValueError, "weights must be one of 'nodes', 'edges', got 'node'. Did you mean 'nodes'?"),
        (dict(tol=0), ValueError, "tol must be finite and greater than 0"),
        (dict(tol=1e-300, graph=KARATE), ValueError, "tol must be within reach, got 1e-300: .* Raise tol or decay."),
        (dict(graph=gm.cycle(1001)), ValueError, "graph must have at most 1,000 nodes, got 1,001: .* Follow gradient_flow"),
    ],
)
def test_a_wrong_argument_is_named(arguments, error, text):
    with pytest.raises(error, match=text.replace("?", r"\?")):
        most_random_walk(**{"graph": gm.cycle(5)} | arguments)
