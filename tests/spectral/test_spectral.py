import math

import networkx as nx
import numpy as np
import pytest
import torch

import geomem as gm
from geomem.spectral import (
    canonical_basis,
    effective_rank,
    path_star_arms,
    path_star_fiedler_energy,
    path_star_profile,
    random_walk,
    symmetric_walk,
)

EXACT = 1e-10  # float64 eigenproblems of order-1 entries: about 1e-14, times n
ANGLE = 1e-6  # acos near 1 turns 1e-14 into its root, 1e-7

TINY = [gm.path_star(4, 5), gm.grid(4, 4), gm.cycle(15), gm.irregular()]
tiny = pytest.mark.parametrize("g", TINY, ids=lambda g: g.name)
loops = pytest.mark.parametrize("self_edges", [False, True])


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def projector(columns):
    return columns @ columns.T


def turn(m, seed=1):
    return torch.linalg.qr(noise(m, m, seed=seed)).Q


@tiny
@loops
def test_eigenspaces_rebuild_the_symmetrised_walk(g, self_edges):
    A = nx.to_numpy_array(g.to_networkx(), nodelist=g.labels) + self_edges * np.eye(g.n_nodes)
    W = A / A.sum(1, keepdims=True)
    spectrum = gm.Spectrum(g, self_edges=self_edges)
    rebuilt = sum(v * projector(base) for v, base in zip(spectrum.values, spectrum.bases, strict=True))
    torch.testing.assert_close(rebuilt, torch.from_numpy(W + W.T), rtol=0, atol=EXACT)
    torch.testing.assert_close(symmetric_walk(g, self_edges=self_edges), rebuilt, rtol=0, atol=EXACT)
    torch.testing.assert_close(random_walk(g, self_edges=self_edges), torch.from_numpy(W), rtol=0, atol=EXACT)


@tiny
def test_eigenspaces_are_orthonormal_complete_and_in_order(g):
    spectrum = gm.Spectrum(g)
    everything = torch.cat(spectrum.bases, dim=1)
    torch.testing.assert_close(everything.T @ everything, torch.eye(g.n_nodes).double(), rtol=0, atol=EXACT)
    assert [base.shape[1] for base in spectrum.bases] == spectrum.multiplicities.tolist()
    assert int(spectrum.multiplicities.sum()) == g.n_nodes
    assert (spectrum.values.diff() < EXACT).all()
    assert int(spectrum.multiplicities[spectrum.trivial].sum()) == len(g.components().unique())


@pytest.mark.parametrize(
    "g, multiplicities",
    [
        (gm.cycle(15), [1] + [2] * 7),
        (gm.cycle(6), [1, 2, 2, 1]),
        (gm.path_star(4, 5), [1, 3, 1, 3, 1, 3, 1, 3, 1]),
        (gm.path_star(3, 4, seed=3), [1, 2, 1, 2, 1, 2, 1]),
        (gm.grid(4, 4), [1, 2, 1, 1, 1, 4, 1, 1, 1, 2, 1]),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_multiplicities_are_those_of_the_paper(g, multiplicities):
    assert gm.Spectrum(g).multiplicities.tolist() == multiplicities


@pytest.mark.parametrize("n", [3, 4, 15, 40])
def test_a_cycles_eigenvalues_are_twice_the_cosines(n):
    spectrum = gm.Spectrum(gm.cycle(n))
    expected = [2 * math.cos(2 * math.pi * k / n) for k in range(n // 2 + 1)]
    torch.testing.assert_close(spectrum.values, torch.tensor(expected).double(), rtol=0, atol=1e-6)
    angle = 2 * torch.pi * torch.arange(n, dtype=torch.float64) / n
    wave = torch.stack([angle.cos(), angle.sin()], dim=1) * math.sqrt(2 / n)
    if n > 4:
        torch.testing.assert_close(projector(spectrum.basis(2)), projector(wave), rtol=0, atol=EXACT)


@pytest.mark.parametrize("degree, length, seed", [(4, 5, None), (3, 3, None), (5, 7, 2), (2, 12, 0)])
def test_a_path_stars_fiedler_space_has_its_closed_form(degree, length, seed):
    g = gm.path_star(degree, length, seed=seed)
    between = torch.tensor([1.0] * (length - 3) + [1.5], dtype=torch.float64)
    values, vectors = torch.linalg.eigh(torch.diag(between, 1) + torch.diag(between, -1))
    f = vectors[:, -1].abs()
    arms = torch.zeros(g.n_nodes, degree, dtype=torch.float64)
    arms[g.paths[:, 1:].T, torch.arange(degree)] = f[:, None]  # f(k) on depth k of each arm
    closed = arms @ (torch.eye(degree, dtype=torch.float64) - 1 / degree)  # coefficients that sum to 0
    spectrum = gm.Spectrum(g)
    leading = int((~spectrum.trivial).nonzero()[0])
    assert spectrum.fiedler_dims == degree - 1 == int(spectrum.multiplicities[leading])
    assert abs(spectrum.values[leading] - values[-1]) < EXACT
    assert projector(spectrum.basis(degree - 1)).sub(closed @ arms.T).abs().max() < EXACT


def test_trivial_directions_are_the_components_top_vectors():
    g = gm.irregular()
    spectrum = gm.Spectrum(g)
    tops = spectrum.basis(int(spectrum.multiplicities.sum()), trivial=True)[:, :0]
    for part in (range(12), range(12, 16)):
        S = symmetric_walk(g)[list(part)][:, list(part)]
        column = torch.zeros(16, 1, dtype=torch.float64)
        column[list(part), 0] = torch.linalg.eigh(S).eigenvectors[:, -1]
        tops = torch.cat([tops, column], dim=1)
    energy = spectrum.energy(tops)
    assert abs(energy[spectrum.trivial].sum() - 1) < EXACT
    assert spectrum.fiedler_dims == 2
    two = gm.Graph.from_networkx(nx.disjoint_union(nx.cycle_graph(5), nx.cycle_graph(5)))
    assert gm.Spectrum(two).multiplicities.tolist() == [2, 4, 4]  # equal eigenvalues of components are one space
    assert gm.Spectrum(two).trivial.tolist() == [True, False, False]


def test_the_smallest_graph_has_two_one_dimensional_eigenspaces():
    pair = gm.Spectrum(gm.Graph.from_edges([("a", "b")]))
    assert pair.values.tolist() == pytest.approx([2.0, -2.0]) and pair.trivial.tolist() == [True, False]
    assert pair.fiedler_dims == 1 and float(pair.fiedler_energy([[1.0], [0.0]])) == pytest.approx(1)


@tiny
@loops
def test_energies_sum_to_one_and_curves_end_at_one_and_rise(g, self_edges):
    spectrum = gm.Spectrum(g, self_edges=self_edges)
    E = noise(3, 2, g.n_nodes, 7)
    energy, curve = spectrum.energy(E), spectrum.cumulative_energy(E)
    assert energy.shape == (3, 2, len(spectrum.values)) and energy.dtype == torch.float64
    torch.testing.assert_close(energy.sum(-1), torch.ones(3, 2).double(), rtol=0, atol=EXACT)
    assert curve.shape[-1] == g.n_nodes - len(g.components().unique())
    assert (curve.diff(dim=-1) >= 0).all() and (curve[..., -1] - 1).abs().max() < EXACT
    torch.testing.assert_close(spectrum.energy(E[1, 1]), energy[1, 1])


@tiny
def test_energy_of_one_eigenspace_is_all_there(g):
    spectrum = gm.Spectrum(g)
    for k, base in enumerate(spectrum.bases):
        energy = spectrum.energy(base @ noise(base.shape[1], 4))
        assert abs(energy[k] - 1) < EXACT
    dims = spectrum.fiedler_dims
    assert abs(spectrum.fiedler_energy(spectrum.basis(dims)) - 1) < EXACT
    chance = dims / int(spectrum.multiplicities[~spectrum.trivial].sum())
    assert abs(spectrum.fiedler_energy(torch.eye(g.n_nodes)) - chance) < EXACT


@tiny
def test_principal_angles_are_zero_inside_and_right_outside(g):
    spectrum = gm.Spectrum(g)
    dims = spectrum.fiedler_dims
    top = torch.cat([base for base, flag in zip(spectrum.bases, spectrum.trivial, strict=True) if flag], dim=1)
    inside = spectrum.basis(dims) @ turn(dims)
    shifted = torch.cat([inside, 5 * top], dim=1)  # the trivial part does not count
    for E in (inside, shifted, torch.stack([inside, -inside])):
        assert spectrum.principal_angles(E).abs().max() < ANGLE
    rest = torch.cat([b for b, flag in zip(spectrum.bases, spectrum.trivial, strict=True) if not flag], dim=1)
    outside = rest[:, -dims:]
    assert (spectrum.principal_angles(outside) - torch.pi / 2).abs().max() < ANGLE
    halfway = spectrum.principal_angles(inside + outside * 3**0.5)
    assert (halfway - torch.pi / 3).abs().max() < ANGLE


def test_a_basis_depends_on_the_space_only():
    columns = torch.linalg.qr(noise(9, 4)).Q
    a, b = canonical_basis(columns), canonical_basis(columns @ turn(4))
    torch.testing.assert_close(a, b, rtol=0, atol=EXACT)
    torch.testing.assert_close(projector(a), projector(columns), rtol=0, atol=EXACT)


def test_wrong_tables_and_dims_are_named():
    spectrum = gm.Spectrum(gm.cycle(15))
    for E, message in (
        (torch.ones(14, 3), r"E must have one row per node, shape \(\.\.\., 15, m\), got \(14, 3\)"),
        (torch.ones(15), "one row per node"),
        (torch.full((15, 3), torch.nan), "E must be finite"),
        (torch.zeros(15, 3), "E must not be zero"),
    ):
        with pytest.raises(ValueError, match=message):
            spectrum.energy(E)
    with pytest.raises(ValueError, match="outside the trivial directions"):
        spectrum.cumulative_energy(torch.ones(15, 3))
    with pytest.raises(ValueError, match=r"dims must end with an eigenspace, at one of \[2, 4, .* got 3"):
        spectrum.basis(3)
    for dims in (0, 15):
        with pytest.raises(ValueError, match="dims must be at"):
            spectrum.fiedler_energy(noise(15, 3), dims=dims)
    with pytest.raises(TypeError, match="dims must be an integer"):
        spectrum.fiedler_energy(noise(15, 3), dims=2.0)


def test_angles_of_a_table_without_enough_directions_are_refused():
    spectrum = gm.Spectrum(gm.cycle(15))
    for E in (torch.ones(15, 3), torch.zeros(15, 3), spectrum.basis(2)[:, :1]):
        with pytest.raises(ValueError, match="E must"):
            spectrum.principal_angles(E)


@tiny
def test_negative_energy_is_the_non_trivial_share_below_zero(g):
    spectrum, E = gm.Spectrum(g), noise(3, g.n_nodes, 4)
    energy, values = spectrum.energy(E), spectrum.values.tolist()
    below = sum(energy[:, k] for k, v in enumerate(values) if v < -1e-6)
    rest = sum(energy[:, k] for k, trivial in enumerate(spectrum.trivial.tolist()) if not trivial)
    torch.testing.assert_close(spectrum.negative_energy(E), below / rest, rtol=0, atol=EXACT)
    for value, base, trivial in zip(values, spectrum.bases, spectrum.trivial.tolist(), strict=True):
        if not trivial:
            assert abs(spectrum.negative_energy(base) - float(value < -1e-6)) < EXACT


def test_eigenvalues_of_zero_are_not_negative_and_zigzag_is():
    star = gm.path_star(6, 2)  # eigenvalues of five dimensions are 0 up to rounding
    spectrum = gm.Spectrum(star)
    assert spectrum.negative_energy(spectrum.basis(5)) < EXACT
    ring, waves = gm.Spectrum(gm.cycle(8)), (-1.0) ** torch.arange(8)[:, None]
    assert ring.negative_energy(waves) == pytest.approx(1)
    with pytest.raises(ValueError, match="outside the trivial directions"):
        ring.negative_energy(torch.ones(8, 2))


def test_effective_rank_is_the_exponential_of_the_entropy_of_squared_singular_values():
    for values in ([1.0], [2.0, 2.0, 2.0], [3.0, 1.0, 0.5, 0.0]):
        E = torch.linalg.qr(noise(9, len(values))).Q * torch.tensor(values) @ turn(len(values))
        share = [v**2 / sum(u**2 for u in values) for v in values if v]
        assert effective_rank(E) == pytest.approx(math.exp(-sum(p * math.log(p) for p in share)))
    E = noise(2, 3, 9, 4)
    expected = effective_rank(E)
    assert expected.shape == (2, 3) and (expected > 1).all() and (expected < 4).all()
    order = torch.randperm(9, generator=torch.Generator().manual_seed(0))
    for same in (E @ turn(4), 1e-200 * E, 1e200 * E, E[..., order, :], E.mT, E.numpy()):
        torch.testing.assert_close(effective_rank(same), expected, rtol=0, atol=EXACT)
    for wrong in (torch.zeros(3, 2), torch.ones(3), torch.full((3, 2), torch.nan), torch.ones(3, 0), [[[1.0]], [[0.0]]]):
        with pytest.raises(ValueError, match="E must be a finite table that is not zero"):
            effective_rank(wrong)


SIZES = [(2, 2), (5, 2), (2, 3), (4, 5), (7, 3), (3, 10), (5, 12), (2, 30), (300, 4)]


@pytest.mark.parametrize("degree, length", SIZES)
def test_a_path_stars_fiedler_energy_needs_no_spectrum(degree, length):
    g = gm.path_star(degree, length, seed=1)
    spectrum, E = gm.Spectrum(g), noise(2, 3, g.n_nodes, 4)
    assert spectrum.fiedler_dims == degree - 1
    torch.testing.assert_close(path_star_fiedler_energy(E, g), spectrum.fiedler_energy(E), rtol=0, atol=EXACT)
    value, f = path_star_profile(length)
    leading = int((~spectrum.trivial).nonzero()[0])
    assert abs(value - spectrum.values[leading]) < EXACT
    assert f.shape == (length - 1,) and f.dtype == torch.float64 and (f > 0).all() and abs(f.norm() - 1) < EXACT


def test_the_fiedler_energy_of_a_large_star_ignores_rotation_scale_and_numbering():
    g, E = gm.path_star(2000, 5), noise(8001, 6)
    expected = path_star_fiedler_energy(E, g)
    dims = 2000 - 1
    assert abs(expected * 8000 / dims - 1) < 5 * math.sqrt(2 / (6 * dims))  # energy in proportion to dimension
    order = torch.randperm(8001, generator=torch.Generator().manual_seed(2))
    moved = torch.empty_like(E)
    moved[order] = E
    other = gm.Graph(n_nodes=8001, edges=order[g.edges], root=int(order[0]), paths=order[g.paths].flip(0))
    for same, graph in ((E @ turn(6), g), (1e-3 * E, g), (moved, other)):
        torch.testing.assert_close(path_star_fiedler_energy(same, graph), expected, rtol=0, atol=EXACT)
    f = path_star_profile(5)[1]
    ideal = torch.zeros(8001, 2, dtype=torch.float64)
    ideal[g.paths[:, 1:]] = f[:, None] * noise(2000, 1, 2)
    ideal[g.paths[:, 1:]] -= ideal[g.paths[:, 1:]].mean(0)
    assert abs(path_star_fiedler_energy(ideal, g) - 1) < EXACT


@pytest.mark.parametrize("length", [2, 3, 4, 9, 10, 11, 60])
def test_the_profile_is_the_positive_vector_of_its_matrix(length):
    between = [1.0] * (length - 3) + [1.5] * (length > 2)
    matrix = torch.diag(torch.tensor(between), 1) + torch.diag(torch.tensor(between), -1) if between else torch.zeros(1, 1)
    value, f = path_star_profile(length)
    assert (matrix.double() @ f - value * f).abs().max() < EXACT and (f > 0).all()  # positive: so it is the Perron vector
    assert (value > 2 + EXACT) == (length > 10) and (abs(value - 2) < EXACT) == (length == 10)


def test_what_is_no_path_star_has_no_closed_form():
    single = gm.Graph(n_nodes=3, edges=[(0, 1), (1, 2)], root=0, paths=[[0, 1, 2]])
    pairs = [(0, 1), (1, 2), (2, 4), (0, 3), (3, 2), (2, 5)]
    forked = gm.Graph(n_nodes=6, edges=pairs, root=0, paths=[[0, 1, 2, 4], [0, 3, 2, 5]])  # both arms pass node 2
    for g in (gm.cycle(5), gm.tree_star(2, 3), single, forked, gm.Graph.from_edges([(0, 1), (0, 2)])):
        with pytest.raises(ValueError, match="graph must be a path-star"):
            path_star_fiedler_energy(torch.eye(g.n_nodes), g)
    assert path_star_arms(gm.path_star(2, 3)).tolist() == [[1, 2], [3, 4]]
    g = gm.path_star(2, 3)
    for E, message in (
        (torch.eye(4), "E must have one row per node"),
        (torch.zeros(5, 2), "outside the top eigenvector"),
        (gm.Spectrum(g).bases[0], "outside the top eigenvector"),
    ):
        with pytest.raises(ValueError, match=message):
            path_star_fiedler_energy(E, g)
    with pytest.raises(ValueError, match="length must be at least 2, got 1. The length counts the root"):
        path_star_profile(1)
    with pytest.raises(ValueError, match="limit is n = 5,000. Write dims=16 for the leading"):
        gm.Spectrum(gm.path_star(5000, 2))
