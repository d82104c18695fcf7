import itertools
import math

import networkx as nx
import numpy as np
import pytest
import torch
from scipy.linalg import expm
from scipy.optimize import linprog, minimize

import geomem as gm
from geomem import memories
from geomem.memories import costs
from geomem.spectral import path_star_profile

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
    torch.testing.assert_close(stored.scores(), g.adjacency(), rtol=0, atol=EXACT)
    assert abs(stored.core.norm() - gm.cost_in_norm(g, tolerance=0.5).associative) < EXACT


@tiny
@pytest.mark.parametrize("width", [5, 200])
def test_associative_memory_of_another_width_scores_phi_v_w_phi_u(g, width):
    stored = gm.associative_memory(g, width=width, seed=1)
    phi, logits = stored.embedding, stored.scores()
    assert phi.shape == (g.n_nodes, width)
    for u, v in itertools.product((0, 3, g.n_nodes - 1), repeat=2):
        score = sum((phi[v] @ phi[b]) * (phi[a] @ phi[u]) for a, b in g.directed_edges().tolist())
        assert abs(logits[u, v] - score) < EXACT


def test_a_score_is_read_from_u_to_v():
    phi, core = torch.eye(3, dtype=torch.float64), torch.zeros(3, 3, dtype=torch.float64)
    core[0, 2] = 1.0  # only "2 given 0" was stored
    logits = gm.Memory(phi, core, "one fact").scores()
    assert logits[0, 2] == 1 and logits.sum() == 1


def test_random_rows_have_expected_length_one_and_depend_on_the_seed():
    g = TINY[4]
    squares = torch.stack([gm.associative_memory(g, width=64, seed=s).embedding.square().sum(1) for s in range(30)])
    assert abs(squares.mean() - 1) < 5 * math.sqrt(2 / 64 / squares.numel())  # chi-square with 64 degrees of freedom
    assert torch.equal(gm.associative_memory(g, seed=1).embedding, gm.associative_memory(g, seed=1).embedding)
    assert not torch.equal(gm.associative_memory(g, seed=1).embedding, gm.associative_memory(g, seed=2).embedding)


@tiny
def test_incidence_logits_are_the_adjacency_plus_the_degrees(g):
    stored = gm.incidence_memory(g)
    assert torch.equal(stored.scores(), g.adjacency() + torch.diag(g.degrees.double()))
    assert stored.embedding.shape == (g.n_nodes, g.n_edges) and gm.edge_recall(stored.scores(), g) == 1


@tiny
@pytest.mark.parametrize("t", [0.1, 2.0])
@pytest.mark.parametrize("self_edges", [False, True])
def test_heat_kernel_logits_are_the_matrix_exponential(g, t, self_edges):
    A = nx.to_numpy_array(g.to_networkx(), nodelist=g.labels, weight=None) + self_edges * np.eye(g.n_nodes)
    W = A / A.sum(1, keepdims=True)
    expected = torch.from_numpy(expm(t * (W + W.T)))
    torch.testing.assert_close(gm.heat_kernel_memory(g, t, self_edges=self_edges).scores(), expected, rtol=EXACT, atol=EXACT)


@pytest.mark.parametrize(
    "g, largest", [(gm.path_star(4, 5), 1.6), (gm.grid(4, 4), 1.4)], ids=lambda x: getattr(x, "name", "")
)
def test_largest_heat_time_is_the_papers(g, largest):
    assert gm.largest_heat_time(g) == largest
    assert gm.edge_recall(gm.heat_kernel_memory(g, largest).scores(), g) == 1
    assert gm.edge_recall(gm.heat_kernel_memory(g, largest + 0.1).scores(), g) < 1


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
    torch.testing.assert_close(stored.scores(), basis @ basis.T, rtol=0, atol=EXACT)
    assert abs(spectrum.fiedler_energy(stored.embedding) - 1) < EXACT
    if recall is not None:
        assert round(float(gm.edge_recall(stored.scores(), g)), 2) == recall


@pytest.mark.parametrize("make", [lambda s: gm.path_star(4, 5, seed=s), lambda s: gm.path_star(3, 6, seed=s)])
def test_the_recall_of_a_fiedler_memory_does_not_depend_on_the_numbering(make):
    """The root's row is zero, so all its scores are tied; rounding must not break these ties."""
    recalls = [float(gm.edge_recall(gm.fiedler_memory(make(s)).scores(), make(s))) for s in (None, *range(6))]
    assert recalls == pytest.approx([recalls[0]] * 7, abs=EXACT)


@pytest.mark.parametrize("degree, length", [(2, 2), (6, 2), (2, 3), (4, 5), (3, 9), (3, 10), (5, 11), (2, 40), (200, 4)])
def test_the_path_star_memory_is_the_fiedler_memory_in_closed_form(degree, length):
    g = gm.path_star(degree, length, seed=3)
    stored = memories.path_star_memory(g)
    assert stored.embedding.shape == (g.n_nodes, degree) and stored.core is None
    torch.testing.assert_close(stored.scores(), gm.fiedler_memory(g).scores(), rtol=0, atol=EXACT)
    assert gm.Spectrum(g).fiedler_energy(stored.embedding) == pytest.approx(1)
    assert (stored.embedding[g.root] == 0).all()
    cosine = gm.cosines(stored.embedding)[g.paths[:, 1:].flatten()][:, g.paths[:, 1:].flatten()]
    same = torch.block_diag(*[torch.ones(length - 1, length - 1)] * degree).double()
    torch.testing.assert_close(cosine, same - (1 - same) / (degree - 1), rtol=0, atol=EXACT)
    assert gm.first_hop_accuracy(stored.embedding, g) == 1  # in one step
    norms = stored.embedding.norm(dim=1)
    strength = norms[g.paths[:, 1]] / norms[g.paths[:, -1]]
    torch.testing.assert_close(
        strength, torch.full((degree,), memories.first_hop_strength(length), dtype=torch.float64), rtol=1e-9, atol=0
    )


def test_the_first_hop_is_the_shortest_of_its_arm_and_shrinks_with_length():
    for length in range(4, 60):  # lengths 2 and 3 have one strength, 1
        assert memories.first_hop_strength(length + 1) < memories.first_hop_strength(length) < 1
        assert path_star_profile(length)[1].argmin() == 0
    assert memories.first_hop_strength(2) == memories.first_hop_strength(3) == pytest.approx(1)
    for length in (5, 8, 9):  # below length 10, f(k) = sin(k t) with eigenvalue 2 cos t, but for the leaf's factor 3/2
        t = math.acos(path_star_profile(length)[0] / 2)
        f = [math.sin(k * t) for k in range(1, length)]
        assert memories.first_hop_strength(length) == pytest.approx(f[0] / (f[-1] / 1.5))
    assert memories.first_hop_strength(10) == pytest.approx(1 / 6)  # there f(k) = k, and f(9) = 9 / 1.5


def test_all_eigenspaces_together_are_a_look_up():
    g = gm.grid(4, 4)
    stored = gm.fiedler_memory(g, dims=15)
    off = stored.scores() - torch.diag(stored.scores().diagonal())
    assert gm.geometric_order(stored.embedding, g).abs() < 0.5 and off.std() < 0.05 * stored.scores().diagonal().mean()


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
    for table in costs._spectral_tables(gm.Spectrum(g)):
        if table.shape[1] == cost.dims:
            for turn in [torch.eye(cost.dims).double()] + [costs._rotation(cost.dims, seed) for seed in (1, 2, 3)]:
                written = costs._quantise(table @ turn, cost.levels)
                values = written.unique()
                distinct = 1 + int((values.diff() > 1e-9).sum())
                found |= distinct <= cost.levels and bool(gm.edge_recall(written @ written.T, g) == 1)
    assert found and cost.dims <= g.n_nodes and 2 <= cost.levels <= 8


def test_levels_are_uniform_and_reach_both_extremes():
    table = torch.linspace(-3, 1, 101, dtype=torch.float64)[:, None]
    for levels in (2, 3, 8):
        written = costs._quantise(table, levels)
        steps = written.unique().diff()
        assert written.min() == -3 and (steps - 6 / (levels - 1)).abs().max() < EXACT
        assert (written - table).abs().max() <= 3 / (levels - 1) + EXACT


def test_wrong_arguments_are_refused_by_name():
    g, large = gm.cycle(5), gm.cycle(201)
    for kind, message, call in (
        (ValueError, "t must be finite and greater than 0, got 0", lambda: gm.heat_kernel_memory(g, 0)),
        (ValueError, "t must be finite", lambda: gm.heat_kernel_memory(g, math.nan)),
        (TypeError, "t must be a number", lambda: gm.heat_kernel_memory(g, "1")),
        (ValueError, "width must be at least 1", lambda: gm.associative_memory(g, width=0)),
        (TypeError, "seed must be an integer", lambda: gm.associative_memory(g, seed=None)),
        (ValueError, "times must hold one that recalls", lambda: gm.largest_heat_time(gm.grid(4, 4), times=(5.0,))),
        (ValueError, "dims must end with an eigenspace", lambda: gm.fiedler_memory(g, dims=1)),
        (ValueError, "at most 200 nodes, got 201", lambda: gm.cost_in_bits(large)),
        (ValueError, "at most 100 nodes, got 201", lambda: gm.cost_in_norm(large)),
        (ValueError, "max_levels must be at least 2", lambda: gm.cost_in_bits(g, max_levels=1)),
        (ValueError, "tries must be at least 1", lambda: gm.cost_in_bits(g, tries=0)),
        (ValueError, "tolerance must be finite and greater than 0", lambda: gm.cost_in_norm(g, tolerance=0.0)),
        (ValueError, "graph must be a path-star", lambda: memories.path_star_memory(g)),
        (
            ValueError,
            "at most 25,000,000 entries, nodes x arms, got 100,005,000. Use first_hop",
            lambda: memories.path_star_memory(gm.path_star(5000, 5)),
        ),
        (ValueError, "length must be at least 2, got 1", lambda: memories.first_hop_strength(1)),
        (TypeError, "length must be an integer", lambda: memories.first_hop_strength(5.0)),
        (ValueError, "5,001", lambda: gm.incidence_memory(star(5000))),
    ):
        with pytest.raises(kind, match=message):
            call()


# What was learned, and what a frozen table can hold


@pytest.mark.parametrize("g", [*TINY[:-1], pytest.param(TINY[-1], marks=pytest.mark.slow)], ids=lambda g: g.name)
def test_a_table_of_independent_rows_holds_any_facts_and_one_column_holds_none(g):
    generator = torch.Generator().manual_seed(0)
    assert memories.can_hold(g, torch.randn(g.n_nodes, g.n_nodes, generator=generator))
    assert not memories.can_hold(g, torch.ones(g.n_nodes, 1)) and not memories.can_hold(g, torch.zeros(g.n_nodes, 3))


def test_the_bias_alone_holds_a_star_and_the_table_must_tell_its_leaves_from_the_root():
    """Of one column: root 1, leaves 0. Each leaf scores the root by b, and the root has no stranger."""
    table = torch.zeros(6, 1)
    table[0] = 1
    assert memories.can_hold(star(5), table)
    assert not memories.can_hold(gm.path_star(2, 4), torch.randn(7, 1, generator=torch.Generator().manual_seed(1)))
    assert memories.can_hold(gm.Graph.from_networkx(nx.complete_graph(4)), torch.zeros(4, 1))  # no stranger at all


@pytest.mark.parametrize("seed", range(6))
def test_what_a_table_can_hold_is_what_some_trained_core_reaches(seed):
    """At widths where both answers occur: a core that recalls everything exists wherever training finds one."""
    runs = gm.train_ensemble(gm.cycle(7), width=4, lr=0.03, steps=400, init_std=0.5, frozen=True, seeds=[seed])
    possible = memories.can_hold(gm.cycle(7), runs.embeddings[-1, 0])
    assert possible or runs.edge_recall[-1, 0] < 1


def trained(width=8, seed=0):
    runs = gm.train_ensemble(gm.cycle(7), width=width, lr=0.03, steps=300, seeds=[seed])
    final = [runs.parameters[f"core.maps.0.{part}"][0] for part in ("weight", "bias")]
    return runs, (runs.embeddings[-1, 0], *final)


def test_the_scores_of_a_store_are_those_of_the_model():
    runs, store = trained()
    assert torch.allclose(costs._scores(*costs._parts(gm.cycle(7), *store)), runs.scores()[0].double(), atol=1e-4)


def test_a_stores_norm_is_least_over_all_rescalings_and_does_not_depend_on_them():
    g, (_, (E, W, b)) = gm.cycle(7), trained()
    E, W, b = E.double(), W.double(), b.double()
    scores = costs._scores(E, W, b[None])
    edges = g.adjacency().bool()
    others = ~edges & ~torch.eye(7).bool()
    margin = min(float(scores[u][edges[u]].min() - scores[u][others[u]].max()) for u in range(7))
    tried = [
        (x * E.square().sum() + (W.square().sum() / x**2 + b.square().sum() / x) / margin**2).sqrt()
        for x in torch.logspace(-3, 3, 60001, dtype=torch.float64)
    ]
    least = memories.store_norm(g, E, W, b)
    assert least == pytest.approx(float(min(tried)), rel=1e-6)
    assert memories.store_norm(g, 3 * E, W / 5, 2 * b / 3 * 9 / 5 / 2) == pytest.approx(least, rel=1e-9)


def test_a_stores_norm_in_closed_form():
    """Identity table and adjacency core: n x + 2 |E| / x^2. Without a core the squares divide by the margin."""
    for g in (gm.cycle(5), gm.grid(3, 3)):
        x = (4 * g.n_edges / g.n_nodes) ** (1 / 3)
        assert memories.store_norm(g, torch.eye(g.n_nodes), g.adjacency()) ** 2 == pytest.approx(
            g.n_nodes * x + 2 * g.n_edges / x**2)  # fmt: skip
        incidence = gm.incidence_memory(g).embedding
        assert memories.store_norm(g, incidence) ** 2 == pytest.approx(2 * g.n_edges)
        assert memories.store_norm(g, 3 * incidence) ** 2 == pytest.approx(2 * g.n_edges)


def test_a_store_that_lacks_an_edge_has_no_norm_and_no_bits():
    lost = torch.eye(5)
    assert memories.store_norm(gm.cycle(5), lost) == math.inf
    assert memories.store_bits(gm.cycle(5), lost) == (math.inf, 0, 0)
    complete = gm.Graph.from_networkx(nx.complete_graph(3))
    assert memories.store_norm(complete, torch.eye(3)) == 0.0  # nothing to keep apart


def test_a_star_needs_no_core_but_the_bias():
    table = torch.zeros(4, 1)
    table[0] = 1
    assert memories.store_norm(star(3), table, torch.zeros(1, 1), torch.ones(1)) ** 2 == pytest.approx(2.0)


@pytest.mark.parametrize("arbitrary", [False, True])
def test_a_rounded_store_recalls_every_edge_at_the_levels_that_are_counted(arbitrary):
    g, (_, store) = gm.cycle(7), trained()
    cost = memories.store_bits(g, *store, arbitrary=arbitrary, tries=1)
    E, W, b = costs._parts(g, *store)
    turn = torch.eye(8).double() if arbitrary else torch.linalg.svd(E, full_matrices=False).Vh[: cost.dims].T
    parts = [E @ turn, turn.T @ W @ turn, b @ turn]

    def recall(levels):
        written = [costs._quantise(part, levels) for part in parts]
        return float(gm.edge_recall(costs._scores(*([parts[0], *written[1:]] if arbitrary else written)), g))

    entries = sum(part.numel() for part in parts[1 if arbitrary else 0 :])
    assert cost.bits == pytest.approx(entries * math.log2(cost.levels)) and cost.dims == turn.shape[1]
    assert recall(cost.levels) == 1 and all(recall(levels) < 1 for levels in range(2, cost.levels))


def test_more_turns_and_more_levels_never_cost_bits():
    g, (_, store) = gm.cycle(7), trained()
    assert memories.store_bits(g, *store, tries=6).bits <= memories.store_bits(g, *store, tries=1).bits
    assert memories.store_bits(g, *store).bits <= memories.store_bits(g, *store, max_levels=4).bits


def test_a_part_of_zeros_is_rounded_to_zeros():
    assert torch.equal(costs._quantise(torch.zeros(2, 3), 4), torch.zeros(2, 3))


def test_parts_that_do_not_fit_are_refused_by_name():
    g, table = gm.cycle(5), torch.eye(5)
    for call in (memories.store_bits, memories.store_norm):
        with pytest.raises(ValueError, match=r"core must have shape \(5, 5\).*got \(4, 4\)"):
            call(g, table, torch.eye(4))
        with pytest.raises(ValueError, match=r"bias must have shape \(5,\).*got \(4,\)"):
            call(g, table, torch.eye(5), torch.ones(4))
        with pytest.raises(ValueError, match="core must be given where there is a bias"):
            call(g, table, None, torch.ones(5))
        with pytest.raises(ValueError, match="embedding must be one table"):
            call(g, table[None])
    with pytest.raises(ValueError, match="arbitrary must be False for a store without a core"):
        memories.store_bits(g, table, arbitrary=True)
    with pytest.raises(ValueError, match="max_levels must be"):
        memories.store_bits(g, table, max_levels=1)
    with pytest.raises(ValueError, match="at most 100 nodes, got 101"):
        memories.can_hold(gm.cycle(101), torch.ones(101, 1))
