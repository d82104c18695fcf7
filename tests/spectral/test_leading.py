"""Leading eigenspaces by sparse solvers and closed forms against the dense spectrum."""

import networkx as nx
import numpy as np
import pytest
import torch

import geomem as gm
from geomem.spectral import leading

AGREE = 1e-8  # what is asked of the sparse solver


def graph(network):
    return gm.Graph.from_networkx(network)


PIECES = nx.disjoint_union_all([nx.grid_2d_graph(7, 9), nx.cycle_graph(6), nx.path_graph(2), nx.cycle_graph(6)])
GRAPHS = {
    "grid": graph(nx.grid_2d_graph(9, 11)),
    "square": graph(nx.grid_2d_graph(10, 10)),  # many eigenvalues are double
    "scale-free": graph(nx.barabasi_albert_graph(120, 3, seed=1)),
    "tree": gm.tree_star(3, 5),  # whole spaces of equal branches
    "karate": gm.named_graph("karate"),
    "pieces": graph(PIECES),
    "matching": graph(nx.Graph([(0, 1), (2, 3), (4, 5)])),
    "ring": gm.cycle(40),
}
everywhere = pytest.mark.parametrize("g", GRAPHS.values(), ids=GRAPHS)


@pytest.fixture
def _sparse(monkeypatch):
    """Leave as little as can be to the dense solver."""
    monkeypatch.setattr(leading, "SMALL", 5)


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def agree(some, whole, E):
    """Compare all that both know."""
    kept = (~whole.trivial).nonzero()[:, 0][: int((~some.trivial).sum())]
    found = ~some.trivial
    torch.testing.assert_close(some.values[found], whole.values[kept], atol=AGREE, rtol=0)
    assert torch.equal(some.multiplicities[found], whole.multiplicities[kept])
    torch.testing.assert_close(some.energy(E)[..., found], whole.energy(E)[..., kept], atol=AGREE, rtol=0)
    torch.testing.assert_close(some.energy(E)[..., some.trivial], whole.energy(E)[..., whole.trivial], atol=AGREE, rtol=0)
    curve = some.cumulative_energy(E)
    torch.testing.assert_close(curve, whole.cumulative_energy(E)[..., : curve.shape[-1]], atol=AGREE, rtol=0)
    lost = 1 - whole.cumulative_energy(E)[..., curve.shape[-1] - 1] if curve.shape[-1] else torch.ones(len(E)).double()
    torch.testing.assert_close(some.unresolved_energy(E), lost, atol=AGREE, rtol=0)
    assert some.unresolved == whole.graph.n_nodes - int(some.multiplicities.sum())


@everywhere
@pytest.mark.parametrize("self_edges", [False, True])
@pytest.mark.usefixtures("_sparse")
def test_what_is_found_is_that_of_the_dense_spectrum(g, self_edges):
    whole, E = gm.Spectrum(g, self_edges=self_edges), noise(2, g.n_nodes, 3)
    for dims in (1, 7):
        some = gm.Spectrum(g, self_edges=self_edges, dims=dims)
        agree(some, whole, E)
        widths = whole.multiplicities[~whole.trivial].cumsum(0)
        assert int(some.multiplicities[~some.trivial].sum()) == max([0, *widths[widths <= dims].tolist()])


@pytest.mark.usefixtures("_sparse")
def test_eigenvalues_too_close_together_are_found_by_solving_near_the_top(monkeypatch):
    g = graph(nx.grid_2d_graph(9, 11))
    monkeypatch.setattr(leading, "RESTARTS", 3)
    agree(gm.Spectrum(g, dims=5), gm.Spectrum(g), noise(1, g.n_nodes, 3))


def test_copies_of_an_equal_eigenvalue_that_the_solver_overlooks_are_found(monkeypatch):
    g = graph(nx.grid_2d_graph(10, 10))
    monkeypatch.setattr(leading, "SMALL", 5)
    largest = leading._largest

    def careless(S, q):
        values, vectors = largest(S, q)
        return np.delete(values, 2), np.delete(vectors, 2, axis=1)  # one of a pair

    monkeypatch.setattr(leading, "_largest", careless)
    agree(gm.Spectrum(g, dims=5), gm.Spectrum(g), noise(1, 100, 3))


@pytest.mark.parametrize("degree, length", [(2, 2), (3, 2), (4, 5), (5, 3), (7, 4)])
@pytest.mark.parametrize("self_edges", [False, True])
def test_a_path_star_is_known_whole_in_closed_form(degree, length, self_edges):
    g = gm.path_star(degree, length, seed=3)
    whole, some = gm.Spectrum(g, self_edges=self_edges), gm.Spectrum(g, self_edges=self_edges, dims=1)
    agree(some, whole, noise(2, g.n_nodes, 3))
    assert some.unresolved == 0 and float(some.unresolved_energy(noise(g.n_nodes, 2))) == 0
    total = g.n_nodes - 1
    for a, b in (
        (some.basis(total), whole.basis(total)),
        (some.basis(g.n_nodes, trivial=True), torch.eye(g.n_nodes).double()),
    ):
        torch.testing.assert_close(a @ a.T, b @ b.T, atol=AGREE, rtol=0)


def test_of_the_papers_largest_star_every_energy_is_there_at_once():
    g = gm.path_star(10_000, 10)
    E = noise(g.n_nodes, 2)
    some = gm.Spectrum(g, dims=1)
    assert some.energy(E).sum().item() == pytest.approx(1, abs=1e-12) and int(some.multiplicities.sum()) == g.n_nodes
    assert some.fiedler_energy(E).item() == pytest.approx(spectrum_of_star(E, g), abs=1e-10)


def spectrum_of_star(E, g):
    from geomem.spectral import path_star_fiedler_energy

    return float(path_star_fiedler_energy(E, g))


def test_a_large_graph_agrees_with_what_is_known_of_it():
    n = 6_000
    some = gm.Spectrum(gm.cycle(n), dims=6)
    angles = 2 * torch.pi * torch.arange(1, 4, dtype=torch.float64) / n
    torch.testing.assert_close(some.values, torch.cat([torch.tensor([2.0]).double(), 2 * angles.cos()]), atol=1e-9, rtol=0)
    assert some.multiplicities.tolist() == [1, 2, 2, 2] and some.unresolved == n - 7
    around = torch.arange(n) * 2 * torch.pi / n
    E = torch.stack([around.cos(), around.sin()], 1).double()
    assert some.fiedler_energy(E).item() == pytest.approx(1, abs=1e-6)
    assert "5,993 dimensions unresolved" in repr(some)


@pytest.mark.usefixtures("_sparse")
def test_angles_need_the_leading_spaces_alone():
    g, E = GRAPHS["scale-free"], noise(120, 4)
    torch.testing.assert_close(
        gm.Spectrum(g, dims=4).principal_angles(E, 2), gm.Spectrum(g).principal_angles(E, 2), atol=1e-6, rtol=0
    )


@pytest.mark.parametrize(
    ("act", "error", "words"),
    [
        (lambda g: gm.Spectrum(g, dims=0), ValueError, "dims must be at least 1, got 0"),
        (lambda g: gm.Spectrum(g, dims=2.5), TypeError, "dims must be an integer"),
        (
            lambda g: gm.Spectrum(g, dims=3).negative_energy(noise(99, 2)),
            ValueError,
            "dims must be None for energy on neg",
        ),
        (lambda g: gm.Spectrum(g, dims=3).fiedler_energy(noise(99, 2), 9), ValueError, "dimensions that were found, got 9"),
        (lambda g: gm.Spectrum(g, dims=3).energy(noise(98, 2)), ValueError, "E must have one row per node"),
        (lambda g: gm.Spectrum(gm.grid(80, 80)), ValueError, "Write dims=16 for the leading sixteen"),
        (lambda g: gm.gradient_flow(gm.grid(80, 80)), ValueError, "Go on with node2vec.blockwise_flow"),
        (lambda g: gm.train_ensemble(gm.grid(80, 80)), ValueError, "Go on with train: train.model, EdgeTask.graph."),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(act, error, words):
    with pytest.raises(error, match=words):
        act(GRAPHS["grid"])


def test_a_solver_that_does_not_converge_says_what_to_do(monkeypatch):
    monkeypatch.setattr(leading, "SMALL", 5)

    def never(*args, **options):
        raise leading.ArpackNoConvergence("no", np.zeros(0), np.zeros((0, 0)))

    top = np.array([2.0])
    monkeypatch.setattr(leading, "eigsh", lambda *a, k, **o: top if k == 1 else never())
    with pytest.raises(ValueError, match="that the eigensolver converges for, got 3 on a component of 99 nodes"):
        gm.Spectrum(GRAPHS["grid"], dims=3)
