import itertools
import math

import networkx as nx
import numpy as np
import pytest
import torch
from scipy.linalg import expm
from scipy.optimize import linprog, minimize

import geomem as gm
from geomem import memory

EXACT = 1e-10  # products of a few 34 x 34 float64 matrices of order 1 to 100
CERTIFIED = 3e-4  # twice cost_in_norm's own relative tolerance on the norm, for its square

TINY = [gm.path_star(4, 5), gm.grid(4, 4), gm.cycle(15), gm.irregular(), gm.Graph.from_networkx(nx.karate_club_graph())]
tiny = pytest.mark.parametrize("g", TINY, ids=lambda g: g.name)


def star(leaves):
    return gm.path_star(leaves, 2)


@tiny
def test_associative_memory_with_an_orthonormal_basis_is_the_adjacency_matrix(g):
    stored = gm.associative_memory(g, seed=3)
    phi, n = stored.embedding, g.n_nodes
    W = torch.zeros(n, n, dtype=torch.float64)
    for u, v in g.edges.tolist():
        W += torch.outer(phi[v], phi[u]) + torch.outer(phi[u], phi[v])
    torch.testing.assert_close(stored.core, W.T, rtol=0, atol=EXACT)
    torch.testing.assert_close(phi @ phi.T, torch.eye(n).double(), rtol=0, atol=EXACT)
    torch.testing.assert_close(stored.logits(), g.adjacency(), rtol=0, atol=EXACT)
    assert abs(stored.core.norm() - gm.cost_in_norm(g, tolerance=0.5).associative) < EXACT


@tiny
@pytest.mark.parametrize("dim", [5, 200])
def test_associative_memory_of_another_width_scores_phi_v_w_phi_u(g, dim):
    stored = gm.associative_memory(g, dim=dim, seed=1)
    phi, logits = stored.embedding, stored.logits()
    assert phi.shape == (g.n_nodes, dim)
    for u, v in itertools.product((0, 3, g.n_nodes - 1), repeat=2):
        score = sum((phi[v] @ phi[b]) * (phi[a] @ phi[u]) for a, b in g.directed_edges().tolist())
        assert abs(logits[u, v] - score) < EXACT


def test_a_score_is_read_from_u_to_v():
    phi, core = torch.eye(3, dtype=torch.float64), torch.zeros(3, 3, dtype=torch.float64)
    core[0, 2] = 1.0  # only "2 given 0" was stored
    logits = gm.Memory(phi, core, "one fact").logits()
    assert logits[0, 2] == 1 and logits.sum() == 1


def test_random_rows_have_expected_length_one_and_depend_on_the_seed():
    g = TINY[4]
    squares = torch.stack([gm.associative_memory(g, dim=64, seed=s).embedding.square().sum(1) for s in range(30)])
    assert abs(squares.mean() - 1) < 5 * math.sqrt(2 / 64 / squares.numel())  # chi-square with 64 degrees of freedom
    assert torch.equal(gm.associative_memory(g, seed=1).embedding, gm.associative_memory(g, seed=1).embedding)
    assert not torch.equal(gm.associative_memory(g, seed=1).embedding, gm.associative_memory(g, seed=2).embedding)


@tiny
def test_incidence_logits_are_the_adjacency_plus_the_degrees(g):
    stored = gm.incidence_memory(g)
    assert torch.equal(stored.logits(), g.adjacency() + torch.diag(g.degrees.double()))
    assert stored.embedding.shape == (g.n_nodes, g.n_edges) and gm.edge_recall(stored.logits(), g) == 1


@tiny
@pytest.mark.parametrize("t", [0.1, 2.0])
@pytest.mark.parametrize("self_edges", [False, True])
def test_heat_kernel_logits_are_the_matrix_exponential(g, t, self_edges):
    A = nx.to_numpy_array(g.to_networkx(), nodelist=g.labels, weight=None) + self_edges * np.eye(g.n_nodes)
    W = A / A.sum(1, keepdims=True)
    expected = torch.from_numpy(expm(t * (W + W.T)))
    torch.testing.assert_close(gm.heat_kernel_memory(g, t, self_edges=self_edges).logits(), expected, rtol=EXACT, atol=EXACT)


@pytest.mark.parametrize(
    "g, largest", [(gm.path_star(4, 5), 1.6), (gm.grid(4, 4), 1.4)], ids=lambda x: getattr(x, "name", "")
)
def test_largest_heat_time_is_the_papers(g, largest):
    assert gm.largest_heat_time(g) == largest
    assert gm.edge_recall(gm.heat_kernel_memory(g, largest).logits(), g) == 1
    assert gm.edge_recall(gm.heat_kernel_memory(g, largest + 0.1).logits(), g) < 1


def test_a_cycle_keeps_its_edges_at_large_heat_times():
    assert gm.largest_heat_time(gm.cycle(15)) >= 5.9
    assert gm.largest_heat_time(gm.cycle(15), times=(0.5, 0.2)) == 0.5


@pytest.mark.parametrize("g", TINY[:3], ids=lambda g: g.name)
def test_the_dial_goes_from_look_up_to_map(g):
    cold = gm.cosine_by_hops(gm.heat_kernel_memory(g, 0.01).embedding, g)
    warm = gm.cosine_by_hops(gm.heat_kernel_memory(g, gm.largest_heat_time(g)).embedding, g)
    assert (cold[2:].abs() < 0.001).all()
    assert (warm.diff() < 0).all()  # falls over all hops


@pytest.mark.parametrize(
    "g, recall", list(zip(TINY, (0.60, 0.71, None, None, 0.55), strict=True)), ids=lambda x: getattr(x, "name", "")
)
def test_fiedler_memory_has_the_recall_of_the_paper_notes(g, recall):
    stored, spectrum = gm.fiedler_memory(g), gm.Spectrum(g)
    basis = spectrum.basis(spectrum.fiedler_dims)
    torch.testing.assert_close(stored.logits(), basis @ basis.T, rtol=0, atol=EXACT)
    assert abs(spectrum.fiedler_energy(stored.embedding) - 1) < EXACT
    if recall is not None:
        assert round(float(gm.edge_recall(stored.logits(), g)), 2) == recall


@pytest.mark.parametrize("make", [lambda s: gm.path_star(4, 5, seed=s), lambda s: gm.path_star(3, 6, seed=s)])
def test_the_recall_of_a_fiedler_memory_does_not_depend_on_the_numbering(make):
    """The root's row is zero, so all its scores are tied; rounding must not break these ties."""
    recalls = [float(gm.edge_recall(gm.fiedler_memory(make(s)).logits(), make(s))) for s in (None, *range(6))]
    assert recalls == pytest.approx([recalls[0]] * 7, abs=EXACT)


@pytest.mark.parametrize("degree, length", [(2, 2), (6, 2), (2, 3), (4, 5), (3, 9), (3, 10), (5, 11), (2, 40), (200, 4)])
def test_the_path_star_memory_is_the_fiedler_memory_in_closed_form(degree, length):
    g = gm.path_star(degree, length, seed=3)
    stored = memory.path_star_memory(g)
    assert stored.embedding.shape == (g.n_nodes, degree) and stored.core is None
    torch.testing.assert_close(stored.logits(), gm.fiedler_memory(g).logits(), rtol=0, atol=EXACT)
    assert gm.Spectrum(g).fiedler_energy(stored.embedding) == pytest.approx(1)
    assert (stored.embedding[g.root] == 0).all()
    cosine = gm.cosines(stored.embedding)[g.paths[:, 1:].flatten()][:, g.paths[:, 1:].flatten()]
    same = torch.block_diag(*[torch.ones(length - 1, length - 1)] * degree).double()
    torch.testing.assert_close(cosine, same - (1 - same) / (degree - 1), rtol=0, atol=EXACT)
    assert gm.first_hop_accuracy(stored.embedding, g) == 1  # in one step
    norms = stored.embedding.norm(dim=1)
    strength = norms[g.paths[:, 1]] / norms[g.paths[:, -1]]
    torch.testing.assert_close(
        strength, torch.full((degree,), memory.first_hop_strength(length), dtype=torch.float64), rtol=1e-9, atol=0
    )


def test_the_first_hop_is_the_shortest_of_its_arm_and_shrinks_with_length():
    for length in range(4, 60):  # lengths 2 and 3 have one strength, 1
        assert memory.first_hop_strength(length + 1) < memory.first_hop_strength(length) < 1
        assert memory.path_star_profile(length)[1].argmin() == 0
    assert memory.first_hop_strength(2) == memory.first_hop_strength(3) == pytest.approx(1)
    for length in (5, 8, 9):  # below length 10, f(k) = sin(k t) with eigenvalue 2 cos t, but for the leaf's factor 3/2
        t = math.acos(memory.path_star_profile(length)[0] / 2)
        f = [math.sin(k * t) for k in range(1, length)]
        assert memory.first_hop_strength(length) == pytest.approx(f[0] / (f[-1] / 1.5))
    assert memory.first_hop_strength(10) == pytest.approx(1 / 6)  # there f(k) = k, and f(9) = 9 / 1.5


def test_all_eigenspaces_together_are_a_look_up():
    g = gm.grid(4, 4)
    stored = gm.fiedler_memory(g, dims=15)
    off = stored.logits() - torch.diag(stored.logits().diagonal())
    assert gm.geometric_order(stored.embedding, g).abs() < 0.5 and off.std() < 0.05 * stored.logits().diagonal().mean()


@pytest.mark.parametrize(
    "g, squared",
    [(star(16), 32), (gm.path_star(4, 5), 24.7), (gm.cycle(15), 22.2), (gm.grid(4, 4), 32.2)],
    ids=lambda x: getattr(x, "name", ""),
)
def test_least_squared_norms_are_those_of_the_paper_notes(g, squared):
    cost = gm.cost_in_norm(g)
    assert abs(cost.geometric**2 - squared) <= 0.05 + CERTIFIED * squared
    assert 0 <= cost.gap <= 1e-4


@tiny
def test_norms_keep_their_bounds_and_the_ratio_of_sparse_graphs_is_below_two(g):
    cost = gm.cost_in_norm(g, tolerance=1e-2)
    assert cost.associative == cost.associative_bound == pytest.approx(math.sqrt(2 * g.n_edges))
    assert cost.geometric >= cost.geometric_bound == pytest.approx(math.sqrt(g.n_nodes))
    if g.n_edges <= 2 * g.n_nodes:
        assert cost.associative_bound / cost.geometric_bound <= 2
    incidence = gm.incidence_memory(g).embedding  # feasible: edges score 1, non-edges 0
    assert cost.geometric <= (1 + cost.gap) * incidence.norm()


CLOSED = {"pair": (star(2), 4.0)} | {f"star of {d}": (star(d), 2.0 * d) for d in (3, 5, 9)} | {
    f"complete graph of {n}": (gm.Graph.from_networkx(nx.complete_graph(n)), float(n)) for n in (2, 3, 6)
}  # fmt: skip


@pytest.mark.parametrize("g, squared", CLOSED.values(), ids=CLOSED)
def test_least_norms_agree_with_their_closed_forms(g, squared):
    """A star: leaves sqrt(1) e_i, root the sum. A complete graph: the same unit vector for all, the bound sqrt |V|."""
    assert gm.cost_in_norm(g).geometric ** 2 == pytest.approx(squared, rel=CERTIFIED)


@pytest.mark.parametrize("n", [5, 8, 15])
def test_a_cycles_least_norm_is_that_of_a_linear_programme(n):
    k = np.arange(n)
    modes = np.cos(2 * np.pi * np.outer(k, k) / n) / n  # G_j = sum over k of eigenvalue_k modes[j, k], averaged over turns
    problem = linprog(np.ones(n), A_ub=np.concatenate([-modes[[1]], modes[2 : n - 1]]), b_ub=[-1.0] + [0.0] * (n - 3))
    assert gm.cost_in_norm(gm.cycle(n)).geometric ** 2 == pytest.approx(problem.fun, rel=CERTIFIED)


@pytest.mark.parametrize("pairs", ["ab bc cd", "ab bc ca cd", "ab cd de ec"])
def test_a_general_solver_finds_the_same_least_norm(pairs):
    g = gm.Graph.from_edges([tuple(pair) for pair in pairs.split()])
    n, sign = g.n_nodes, 2 * g.adjacency().numpy() - 1
    u, v = np.triu_indices(n, 1)
    margin = (sign[u, v] + 1) / 2

    def slack(flat):
        V = flat.reshape(n, n)
        return sign[u, v] * (V @ V.T)[u, v] - margin

    best = min(
        minimize(lambda x: x @ x, np.random.default_rng(s).normal(size=n * n), jac=lambda x: 2 * x, method="SLSQP",
                 constraints={"type": "ineq", "fun": slack}, options={"maxiter": 500}).fun
        for s in range(2)
    )  # fmt: skip
    assert gm.cost_in_norm(g).geometric ** 2 == pytest.approx(best, rel=CERTIFIED)


@pytest.mark.parametrize("g", TINY[:4], ids=lambda g: g.name)
def test_the_table_that_is_counted_in_bits_recalls_every_edge(g):
    cost = gm.cost_in_bits(g, max_levels=8, tries=4)
    assert cost.associative == pytest.approx(g.n_edges * math.log2(g.n_nodes))
    assert cost.geometric == pytest.approx(g.n_nodes * cost.dims * math.log2(cost.levels))
    found = False
    for table in memory._spectral_tables(gm.Spectrum(g)):
        if table.shape[1] == cost.dims:
            for turn in [torch.eye(cost.dims).double()] + [memory._rotation(cost.dims, seed) for seed in (1, 2, 3)]:
                written = memory._quantise(table @ turn, cost.levels)
                values = written.unique()
                distinct = 1 + int((values.diff() > 1e-9).sum())
                found |= distinct <= cost.levels and bool(gm.edge_recall(written @ written.T, g) == 1)
    assert found and cost.dims <= g.n_nodes and 2 <= cost.levels <= 8


def test_levels_are_uniform_and_reach_both_extremes():
    table = torch.linspace(-3, 1, 101, dtype=torch.float64)[:, None]
    for levels in (2, 3, 8):
        written = memory._quantise(table, levels)
        steps = written.unique().diff()
        assert written.min() == -3 and (steps - 6 / (levels - 1)).abs().max() < EXACT
        assert (written - table).abs().max() <= 3 / (levels - 1) + EXACT


def test_wrong_arguments_are_refused_by_name():
    g, large = gm.cycle(5), gm.cycle(201)
    for kind, message, call in (
        (ValueError, "t must be finite and greater than 0, got 0", lambda: gm.heat_kernel_memory(g, 0)),
        (ValueError, "t must be finite", lambda: gm.heat_kernel_memory(g, math.nan)),
        (TypeError, "t must be a number", lambda: gm.heat_kernel_memory(g, "1")),
        (ValueError, "dim must be at least 1", lambda: gm.associative_memory(g, dim=0)),
        (TypeError, "seed must be an integer", lambda: gm.associative_memory(g, seed=None)),
        (ValueError, "times must hold one that recalls", lambda: gm.largest_heat_time(gm.grid(4, 4), times=(5.0,))),
        (ValueError, "dims must end with an eigenspace", lambda: gm.fiedler_memory(g, dims=1)),
        (ValueError, "at most 200 nodes, got 201", lambda: gm.cost_in_bits(large)),
        (ValueError, "at most 100 nodes, got 201", lambda: gm.cost_in_norm(large)),
        (ValueError, "max_levels must be at least 2", lambda: gm.cost_in_bits(g, max_levels=1)),
        (ValueError, "tries must be at least 1", lambda: gm.cost_in_bits(g, tries=0)),
        (ValueError, "tolerance must be finite and greater than 0", lambda: gm.cost_in_norm(g, tolerance=0.0)),
        (ValueError, "graph must be a path-star", lambda: memory.path_star_memory(g)),
        (
            ValueError,
            "at most 25,000,000 entries, nodes x arms, got 100,005,000. Use first_hop",
            lambda: memory.path_star_memory(gm.path_star(5000, 5)),
        ),
        (ValueError, "length must be at least 2, got 1", lambda: memory.first_hop_strength(1)),
        (TypeError, "length must be an integer", lambda: memory.first_hop_strength(5.0)),
        (ValueError, "5,001", lambda: gm.incidence_memory(star(5000))),
    ):
        with pytest.raises(kind, match=message):
            call()
