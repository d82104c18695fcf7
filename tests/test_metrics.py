import itertools
import math

import networkx as nx
import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

import geomem as gm

EXACT = 1e-12  # averages of a few hundred float64 numbers of order 1
TURNED = 1e-8  # the same after a product with a rotation

TINY = [gm.path_star(4, 5), gm.grid(4, 4), gm.cycle(15), gm.irregular(), gm.Graph.from_networkx(nx.karate_club_graph())]
SMALL = [gm.path_star(2, 3), gm.cycle(5), gm.grid(2, 3), gm.Graph.from_edges([(0, 1), (2, 3), (3, 4), (4, 2)])]
tiny = pytest.mark.parametrize("g", TINY, ids=lambda g: g.name)
small = pytest.mark.parametrize("g", SMALL, ids=lambda g: g.name)


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def turn(m, seed=1):
    return torch.linalg.qr(noise(m, m, seed=seed)).Q


def counted_recall(scores, g, directions, self_edges):
    """Average the share of hits over all equally good choices of k nodes, node by node."""
    targets = {u: set() for u in range(g.n_nodes)}
    for u, v in g.edges.tolist():
        for a, b in {"forward": [(u, v)], "backward": [(v, u)], "both": [(u, v), (v, u)]}[directions]:
            targets[a].add(b)
    shares = []
    for u, wanted in targets.items():
        wanted |= {u} if self_edges else set()
        others = [v for v in range(g.n_nodes) if self_edges or v != u]
        subsets = list(itertools.combinations(others, len(wanted)))
        totals = [sorted((float(scores[u, v]) for v in subset), reverse=True) for subset in subsets]
        best = [subset for subset, total in zip(subsets, totals, strict=True) if total == max(totals)]
        if wanted:
            shares.append(np.mean([len(wanted & set(subset)) / len(wanted) for subset in best]))
    return np.mean(shares)


@small
@pytest.mark.parametrize("directions", ["both", "forward", "backward"])
@pytest.mark.parametrize("self_edges", [False, True])
@pytest.mark.parametrize("levels", [1, 2, 3, 1000])
def test_edge_recall_averages_over_every_way_to_break_ties(g, directions, self_edges, levels):
    scores = (noise(g.n_nodes, g.n_nodes, seed=levels) * 1000).round() % levels
    got = gm.edge_recall(scores, g, directions=directions, self_edges=self_edges)
    assert abs(got - counted_recall(scores, g, directions, self_edges)) < EXACT


@tiny
def test_constant_scores_recall_at_chance_and_the_targets_recall_themselves(g):
    n = g.n_nodes
    assert abs(gm.edge_recall(torch.zeros(n, n), g) - (g.degrees.double() / (n - 1)).mean()) < EXACT
    for directions, self_edges in itertools.product(("both", "forward", "backward"), (False, True)):
        asked = dict(directions=directions, self_edges=self_edges)
        assert gm.edge_recall(g.targets(**asked), g, **asked) == 1
        assert gm.edge_recall(-g.targets(**asked), g, **asked) < 0.5


@tiny
def test_self_scores_count_only_where_self_edges_were_trained(g):
    loud = g.adjacency() + 9 * torch.eye(g.n_nodes)
    assert gm.edge_recall(loud, g) == 1 == gm.edge_recall(loud, g, self_edges=True)
    assert gm.edge_recall(g.adjacency(), g, self_edges=True) < 1


@tiny
def test_edge_recall_keeps_batches_reads_numpy_and_ignores_row_shifts_and_numbering(g):
    n = g.n_nodes
    scores = noise(2, 3, n, n)
    batch = gm.edge_recall(scores, g)
    assert batch.shape == (2, 3) and batch.dtype == torch.float64
    single = torch.stack([gm.edge_recall(row.numpy().astype("float32"), g) for row in scores.flatten(0, 1)])
    assert torch.equal(single.reshape(2, 3), batch)
    torch.testing.assert_close(gm.edge_recall(3 * scores + 8 * noise(2, 3, n, 1), g), batch)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(3))
    renamed = gm.Graph(n_nodes=n, edges=order.argsort()[g.edges])
    torch.testing.assert_close(gm.edge_recall(scores[..., order, :][..., order], renamed), batch)


@tiny
def test_recall_of_listed_nodes_is_the_mean_of_their_rows(g):
    n, nodes = g.n_nodes, torch.tensor([5, 0, 3])
    scores = noise(4, n, n)
    rows = torch.stack([gm.edge_recall(scores[:, [u]], g, nodes=torch.tensor([u])) for u in range(n)])
    torch.testing.assert_close(rows.mean(0), gm.edge_recall(scores, g))
    torch.testing.assert_close(rows[nodes].mean(0), gm.edge_recall(scores[:, nodes], g, nodes=nodes))


def test_edge_recall_refuses_what_it_cannot_measure():
    g = gm.path_star(2, 2)
    for scores, options, message in (
        (torch.ones(3, 4), {}, r"scores must have shape \(\.\.\., 3, 3\), got \(3, 4\)"),
        (torch.ones(3), {}, "scores must have shape"),
        (torch.full((3, 3), torch.nan), {}, "scores must not be NaN"),
        (torch.ones(3, 3), {"directions": "forwards"}, "Did you mean 'forward'"),
        (torch.ones(1, 3), {"nodes": torch.tensor([1]), "directions": "forward"}, "no listed node has a target"),
        (torch.ones(1, 3), {"nodes": torch.tensor([-1])}, "nodes"),
        (torch.ones(1, 3), {"nodes": torch.tensor([3])}, "nodes"),
        (torch.ones(2, 3), {"nodes": torch.tensor([0, 0])}, "nodes"),
    ):
        with pytest.raises(ValueError, match=message):
            gm.edge_recall(scores, g, **options)


def test_scores_of_minus_infinity_do_not_bring_the_node_itself_back():
    g = gm.path_star(2, 2)
    scores = torch.zeros(3, 3).fill_(-torch.inf)
    assert abs(gm.edge_recall(scores, g) - counted_recall(scores, g, "both", False)) < EXACT


@tiny
def test_geometric_order_is_minus_spearmans_rank_correlation(g):
    E, hops = noise(3, g.n_nodes, 4), g.hops()
    pairs = [(u, v) for u, v in itertools.combinations(range(g.n_nodes), 2) if hops[u, v] >= 2]
    for e, got in zip(E, gm.geometric_order(E, g), strict=True):
        cosine = [float(torch.cosine_similarity(e[u], e[v], dim=0)) for u, v in pairs]
        assert abs(got + spearmanr(cosine, [int(hops[u, v]) for u, v in pairs]).statistic) < 1e-5  # cosines tie at 1e-6


@tiny
def test_geometric_order_is_one_for_a_map_and_zero_for_embeddings_that_order_nothing(g):
    n = g.n_nodes
    assert gm.geometric_order(torch.eye(n), g) == 0
    assert gm.geometric_order(gm.incidence_memory(g).embedding, g) == 0
    far = g.hops().double()
    far[far < 0] = far.max() + 1
    similar = 99 * n * torch.eye(n).double() - far  # positive definite: far apart, less similar
    table = torch.linalg.cholesky(similar)
    assert abs(gm.geometric_order(table, g) - 1) < EXACT
    random = gm.geometric_order(noise(200, n, 16), g)
    assert abs(random.mean()) < 4 * random.std() / math.sqrt(200)


def test_geometric_contrast_is_edges_minus_non_edges():
    g = gm.irregular()
    E = noise(g.n_nodes, 3)
    edges = {frozenset(edge) for edge in g.edges.tolist()}
    cosine = {frozenset(p): float(torch.cosine_similarity(*E[list(p)], dim=0)) for p in itertools.combinations(range(16), 2)}
    expected = np.mean([cosine[p] for p in edges]) - np.mean([c for p, c in cosine.items() if p not in edges])
    assert abs(gm.geometric_contrast(E, g) - expected) < EXACT


def test_contrast_has_its_known_traps():
    ring = gm.cycle(14)
    zigzag = (-1.0) ** torch.arange(14)[:, None]
    assert gm.geometric_contrast(zigzag, ring) < -1  # neighbours on opposite sides
    for g in (ring, gm.cycle(15)):  # two of degree 2 share one edge of two: cosine 1/2, others 0
        assert abs(gm.geometric_contrast(gm.incidence_memory(g).embedding, g) - 0.5) < EXACT
    with pytest.raises(ValueError, match="complete"):
        gm.geometric_contrast(torch.eye(3), gm.cycle(3))


@tiny
def test_cosine_by_hops_leaves_out_unreachable_pairs(g):
    E, hops = noise(2, g.n_nodes, 3), g.hops()
    got = gm.cosine_by_hops(E, g)
    assert got.shape == (2, int(hops.max()) + 1)
    for k in range(got.shape[1]):
        pairs = [(u, v) for u in range(g.n_nodes) for v in range(g.n_nodes) if hops[u, v] == k]
        cosine = torch.stack([torch.cosine_similarity(E[:, u], E[:, v], dim=-1) for u, v in pairs])
        torch.testing.assert_close(got[:, k], cosine.mean(0))
    assert (got[:, 0] - 1).abs().max() < EXACT


@tiny
def test_embedding_measures_ignore_rotation_and_scale_and_read_numpy(g):
    E = noise(2, g.n_nodes, 5)
    for measure in (gm.geometric_order, gm.geometric_contrast, gm.cosine_by_hops):
        expected = measure(E, g)
        for same in (E @ turn(5), 1e-6 * E, 1e6 * E, E.numpy()):
            torch.testing.assert_close(measure(same, g), expected, rtol=0, atol=TURNED)
        torch.testing.assert_close(measure(E.numpy().astype("float32"), g), expected, rtol=0, atol=1e-4)


def test_a_zero_row_has_cosine_zero_and_a_zero_table_is_refused():
    assert gm.cosines([[0.0, 0.0], [3.0, 4.0]]).tolist() == [[0.0, 0.0], [0.0, pytest.approx(1.0)]]
    for measure in (gm.geometric_order, gm.geometric_contrast, gm.cosine_by_hops):
        with pytest.raises(ValueError, match="E must not be zero"):
            measure(torch.zeros(15, 2), gm.cycle(15))
        with pytest.raises(ValueError, match="E must be finite"):
            measure(torch.full((15, 2), torch.inf), gm.cycle(15))
        with pytest.raises(ValueError, match="E must have one row a node"):
            measure(torch.ones(14, 2), gm.cycle(15))
    with pytest.raises(ValueError, match="two different distances"):
        gm.geometric_order(torch.eye(5), gm.cycle(5))


@pytest.mark.parametrize("seed", [None, 4])
def test_first_hop_accuracy_finds_planted_arms(seed):
    g = gm.path_star(4, 5, seed=seed)
    E = torch.zeros(g.n_nodes, 4)
    E[g.paths[:, 1:].T, torch.arange(4)] = torch.tensor([1.0, 2.0, 3.0, 4.0])[:, None]
    assert gm.first_hop_accuracy(E, g) == 1
    leaves, swapped = g.paths[:, -1], E.clone()
    swapped[leaves[:3]] = E[leaves[[1, 2, 3]]]  # three leaves point at another arm
    assert gm.first_hop_accuracy(torch.stack([E, swapped]), g).tolist() == [1, 0.25]
    assert gm.first_hop_accuracy(swapped, g, leaves=leaves[3:]) == 1
    assert gm.first_hop_accuracy(swapped, g, leaves=leaves[:3]) == 0


def test_first_hop_ties_count_by_expectation_and_chance_is_one_over_d():
    g = gm.path_star(5, 3)
    assert gm.first_hop_accuracy(torch.ones(11, 2), g) == pytest.approx(1 / 5)
    E = torch.zeros(11, 5)
    E[g.paths[:, 1:].T, torch.arange(5)] = 1.0
    E[g.paths[1, 1]] = E[g.paths[0, 1]]  # arm 0 ties with it at 1, arm 1's leaf with all at 0
    assert gm.first_hop_accuracy(E, g) == pytest.approx((1 / 2 + 1 / 5 + 3) / 5)
    random = gm.first_hop_accuracy(noise(500, 11, 8), g)
    assert abs(random.mean() - 1 / 5) < 4 * random.std() / math.sqrt(500)
    tree = gm.tree_star(3, 4)
    home = torch.zeros(tree.n_nodes, 3)
    for path in tree.paths:
        home[path[1:], (tree.first_hops == path[1]).nonzero()[0, 0]] = 1.0
    assert gm.first_hop_accuracy(home, tree) == 1


@pytest.mark.parametrize("scale", [1e-30, 1e-14, 1e30])
def test_first_hop_accuracy_ignores_scale(scale):
    g = gm.path_star(4, 5)
    E = noise(20, g.n_nodes, 6)
    assert torch.equal(gm.first_hop_accuracy(E * scale, g), gm.first_hop_accuracy(E, g))


def test_first_hop_accuracy_refuses_graphs_without_paths_and_nodes_that_are_no_leaves():
    g = gm.path_star(4, 5)
    for leaves in (torch.tensor([0]), torch.tensor([99]), torch.tensor([], dtype=torch.int64)):
        with pytest.raises(ValueError, match="leaves must be one or more leaves"):
            gm.first_hop_accuracy(torch.eye(17), g, leaves=leaves)
    with pytest.raises(ValueError, match="no root"):
        gm.first_hop_accuracy(torch.eye(15), gm.cycle(15))


@tiny
def test_geometric_share_puts_the_facts_where_they_are(g):
    one_hot = gm.geometric_share(torch.eye(g.n_nodes), g.adjacency(), g)
    incidence = gm.incidence_memory(g)
    in_the_table = gm.geometric_share(incidence.embedding, incidence.logits(), g)
    assert list(map(float, one_hot)) == pytest.approx([0, 1], abs=EXACT)
    assert list(map(float, in_the_table)) == pytest.approx([1, 0], abs=EXACT)


@pytest.mark.parametrize("g", TINY[:4], ids=lambda g: g.name)
def test_converged_node2vec_is_geometric_and_not_associative(g):
    flow = gm.gradient_flow(g, steps=2000, seeds=[0, 1], snapshots=())
    geometric, associative = gm.geometric_share(flow.embeddings[-1], flow.scores(), g)
    assert geometric.tolist() == pytest.approx([1, 1]) and associative.tolist() == pytest.approx([0, 0])


def test_random_embeddings_have_the_noise_floor_of_the_paper_notes():
    for g in TINY[:4]:
        E = noise(60, g.n_nodes, 32)
        core = torch.linalg.pinv(E) @ g.adjacency() @ torch.linalg.pinv(E).mT  # a core that answers every edge
        geometric, associative = gm.geometric_share(E, E @ core @ E.mT, g)
        error = 4 * geometric.std() / math.sqrt(60)
        assert 0.09 - error < geometric.mean() < 0.16 + error  # paper.md section 5, 11
        assert associative.mean() > 0.9


def fitted_share(E, L, g):
    """Fit with numpy's own least squares, on the pairs of different nodes."""
    n, off = g.n_nodes, ~np.eye(g.n_nodes, dtype=bool)
    K = (E @ E.T) / np.linalg.eigvalsh(E @ E.T)[-1]
    K, K2, K3, L = (np.where(off, M - (M * off).sum(1, keepdims=True) / (n - 1), 0) for M in (K, K @ K, K @ K @ K, L))
    powers = np.stack([M[off] for M in (K, K2, K3)], axis=1)
    fit = np.zeros((n, n))
    fit[off] = powers @ np.linalg.lstsq(powers, L[off], rcond=None)[0]
    chance = float(g.degrees.double().mean()) / (n - 1)
    return [max(0.0, (float(gm.edge_recall(M, g)) - chance) / (1 - chance)) for M in (fit, L - fit)]


@tiny
def test_geometric_share_is_a_least_squares_fit_by_three_powers(g):
    for seed in range(3):
        E, L = noise(g.n_nodes, 5, seed=seed), g.adjacency() + 0.3 * noise(g.n_nodes, g.n_nodes, seed=seed + 9)
        assert list(map(float, gm.geometric_share(E, L, g))) == pytest.approx(
            fitted_share(E.numpy(), L.numpy(), g), abs=EXACT
        )
    V = noise(g.n_nodes, 5)
    K = V @ V.T / torch.linalg.eigvalsh(V @ V.T)[-1]
    assert gm.geometric_share(V, 2 * K - 3 * K @ K + 5 * K @ K @ K, g)[1] < EXACT  # a cubic leaves nothing over


def test_constant_logits_share_nothing_and_wrong_tables_are_named():
    g = gm.cycle(15)
    E = noise(15, 4)
    assert [float(share) for share in gm.geometric_share(E, torch.ones(15, 15), g)] == [0, 0]
    with pytest.raises(ValueError, match="E must not be zero"):
        gm.geometric_share(torch.zeros(15, 4), torch.ones(15, 15), g)
    with pytest.raises(ValueError, match=r"logits must have one row a node, shape \(\.\.\., 15, 15\)"):
        gm.geometric_share(E, torch.ones(15, 14), g)


@tiny
def test_geometric_share_ignores_rotation_scale_and_shifts_of_a_row(g):
    E, logits = noise(3, g.n_nodes, 8), g.adjacency() + 0.3 * noise(3, g.n_nodes, g.n_nodes, seed=5)
    expected = gm.geometric_share(E, logits, g)
    assert expected[0].shape == (3,)
    same = [(E @ turn(8), logits), (1e-3 * E, 1e3 * logits), (E, logits + 5 * noise(3, g.n_nodes, 1)), (E.numpy(), logits)]
    for table, scores in same:
        for got, wanted in zip(gm.geometric_share(table, scores, g), expected, strict=True):
            torch.testing.assert_close(got, wanted, rtol=0, atol=TURNED)
