import itertools
import math

import networkx as nx
import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

import geomem as gm
from geomem import measures
from geomem.measures import arm_separation, core_survival, edge_margin, silhouette
from geomem.memories import path_star_memory
from geomem.models.linear import Dense

EXACT = 1e-12  # averages of a few hundred float64 numbers of order 1
TURNED = 1e-8  # the same after a product with a rotation

TINY = [gm.path_star(4, 5), gm.grid(4, 4), gm.cycle(15), gm.irregular(), gm.Graph.from_networkx(nx.karate_club_graph())]
SMALL = [gm.path_star(2, 3), gm.cycle(5), gm.grid(2, 3), gm.Graph.from_edges([(0, 1), (2, 3), (3, 4), (4, 2)])]
tiny = pytest.mark.parametrize("g", TINY, ids=lambda g: g.name)
small = pytest.mark.parametrize("g", SMALL, ids=lambda g: g.name)
STARS = [gm.path_star(4, 5, seed=2), gm.path_star(2, 3), gm.path_star(7, 4), gm.tree_star(3, 4), gm.tree_star(2, 3, seed=1)]
stars = pytest.mark.parametrize("g", STARS, ids=lambda g: g.name)


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def turn(m, seed=1):
    return torch.linalg.qr(noise(m, m, seed=seed)).Q


def renamed(g, order):
    """Return g with node u renamed to order[u]; ``table[order.argsort()]`` is its table."""
    paths = dict(root=int(order[g.root]), paths=order[g.paths]) if g.root is not None else {}
    return gm.Graph(n_nodes=g.n_nodes, edges=order[g.edges], **paths)


def shuffled(n, seed=3):
    return torch.randperm(n, generator=torch.Generator().manual_seed(seed))


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
        (torch.full((3, 3), torch.nan), {}, "scores must be finite, got NaN or infinity"),
        (torch.ones(3, 3).index_fill(0, torch.tensor([1]), -torch.inf), {}, "scores must be finite, got NaN or infinity"),
        (torch.ones(3, 3), {"directions": "forwards"}, "Did you mean 'forward'"),
        (torch.ones(1, 3), {"nodes": torch.tensor([1]), "directions": "forward"}, "no listed node has a target"),
        (torch.ones(1, 3), {"nodes": torch.tensor([-1])}, "nodes"),
        (torch.ones(1, 3), {"nodes": torch.tensor([3])}, "nodes"),
        (torch.ones(2, 3), {"nodes": torch.tensor([0, 0])}, "nodes"),
    ):
        with pytest.raises(ValueError, match=message):
            gm.edge_recall(scores, g, **options)


def test_scores_of_the_least_number_do_not_bring_the_node_itself_back():
    g = gm.path_star(2, 2)
    scores = torch.full((3, 3), torch.finfo(torch.float64).min, dtype=torch.float64)
    assert abs(gm.edge_recall(scores, g) - counted_recall(scores, g, "both", False)) < EXACT


@pytest.mark.parametrize("by", [1e12, 1e-12, 1e200, -1e200])
def test_recall_asks_each_row_by_itself_and_never_the_node_about_itself(by):
    g = gm.grid(4, 4)
    scores = g.adjacency() + 0.3 * noise(16, 16)
    wanted, facts = gm.edge_recall(scores, g), measures.recalled_facts(scores, g)
    own = scores + by * torch.eye(16, dtype=torch.float64)  # the score of a node given itself is not asked for
    assert wanted < 1 and gm.edge_recall(own, g) == wanted and torch.equal(measures.recalled_facts(own, g), facts)
    rows = scores * torch.tensor([abs(by) ** 0.05] + [1.0] * 15)[:, None]  # nor the size of another row
    assert gm.edge_recall(rows, g) == wanted and gm.edge_recall(rows, g, nodes=torch.arange(16)) == wanted
    assert gm.edge_recall(scores * abs(by), g) == wanted


def test_a_row_of_another_rows_rounding_holds_nothing():
    g = gm.path_star(2, 2)
    tied = torch.tensor([[0.0, 0, 0], [1e-17, 0, 2e-17], [1.0, 0, 0]])
    assert measures.recalled_facts(tied, g)[1].tolist() == [0.5, 0, 0]


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


def test_a_zero_row_has_cosine_zero_and_a_zero_table_is_refused():
    assert gm.cosines([[0.0, 0.0], [3.0, 4.0]]).tolist() == [[0.0, 0.0], [0.0, pytest.approx(1.0)]]
    for measure in (gm.geometric_order, gm.geometric_contrast, gm.cosine_by_hops):
        with pytest.raises(ValueError, match="E must not be zero"):
            measure(torch.zeros(15, 2), gm.cycle(15))
        with pytest.raises(ValueError, match="E must be finite"):
            measure(torch.full((15, 2), torch.inf), gm.cycle(15))
        with pytest.raises(ValueError, match="E must have one row per node"):
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
    in_the_table = gm.geometric_share(incidence.embedding, incidence.scores(), g)
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
    with pytest.raises(ValueError, match=r"scores must have one row per node, shape \(\.\.\., 15, 15\)"):
        gm.geometric_share(E, torch.ones(15, 14), g)


@tiny
@pytest.mark.parametrize("directions", ["both", "forward", "backward"])
@pytest.mark.parametrize("self_edges", [False, True])
def test_edge_margin_is_the_lowest_target_minus_the_highest_other(g, directions, self_edges):
    scores, asked = noise(2, g.n_nodes, g.n_nodes), dict(directions=directions, self_edges=self_edges)
    targets, rows = g.targets(**asked).bool(), {}
    for u in range(g.n_nodes):
        others = [v for v in range(g.n_nodes) if not targets[u, v] and (self_edges or v != u)]
        if targets[u].any() and others:
            rows[u] = scores[:, u, targets[u]].min(-1).values - scores[:, u, others].max(-1).values
    got = edge_margin(scores, g, **asked)
    torch.testing.assert_close(got, torch.stack(list(rows.values())).mean(0), rtol=0, atol=EXACT)
    nodes = torch.tensor(list(rows))[[3, 0]]
    some = edge_margin(scores[:, nodes], g, nodes=nodes, **asked)
    torch.testing.assert_close(some, torch.stack([rows[int(u)] for u in nodes]).mean(0), rtol=0, atol=EXACT)
    assert edge_margin(2.5 * g.targets(**asked), g, **asked) == 2.5


@tiny
def test_edge_margin_ignores_shifts_of_a_row_and_the_numbering_and_has_the_scale_of_the_scores(g):
    n, order = g.n_nodes, shuffled(g.n_nodes)
    scores = noise(3, n, n)
    margin, back = edge_margin(scores, g), order.argsort()
    assert margin.shape == (3,)
    torch.testing.assert_close(edge_margin(scores + 5 * noise(3, n, 1), g), margin, rtol=0, atol=TURNED)
    torch.testing.assert_close(edge_margin(4 * scores, g), 4 * margin, rtol=0, atol=TURNED)
    torch.testing.assert_close(edge_margin(scores[:, back][:, :, back], renamed(g, order)), margin, rtol=0, atol=TURNED)
    for loud in (scores + 99 * torch.eye(n), scores - 99 * torch.eye(n)):  # self is out, unless it was trained
        torch.testing.assert_close(edge_margin(loud, g), margin, rtol=0, atol=TURNED)
    assert (edge_margin(loud, g, self_edges=True) < margin - 50).all()


def test_edge_margin_refuses_what_has_none():
    for scores, g, message in (
        (torch.ones(3, 3), gm.cycle(3), "both a target and another node that is none"),
        (torch.full((5, 5), -torch.inf), gm.cycle(5), "scores must be finite"),
        (torch.full((5, 5), torch.nan), gm.cycle(5), "scores must be finite"),
        (1.5e308 * gm.cycle(5).adjacency() - 1e308, gm.cycle(5), "scores must be finite|margin must come out as a number"),
        (torch.ones(5, 4), gm.cycle(5), r"scores must have shape \(\.\.\., 5, 5\)"),
    ):
        with pytest.raises(ValueError, match=message):
            edge_margin(scores, g)


def arms_of(g):
    """Arm of every node as the id of its first hop, found by walking up the paths; None at the root."""
    home = [None] * g.n_nodes
    for path in g.paths.tolist():
        for node in path[1:]:
            home[node] = path[1]
    return home


def dense_separation(cosine, g, leaves):
    home, gaps = arms_of(g), []
    for leaf in leaves:
        own = [cosine[leaf, v] for v in range(g.n_nodes) if home[v] == home[leaf] and v != leaf]
        other = [cosine[leaf, v] for v in range(g.n_nodes) if home[v] not in (None, home[leaf])]
        gaps.append(np.mean(own) - np.mean(other))
    return np.mean(gaps)


def dense_silhouette(cosine, g, leaves):
    home = arms_of(g)
    listed = {home[leaf] for leaf in leaves}
    nodes, scores = [v for v in range(g.n_nodes) if home[v] in listed], []
    for u in nodes:
        mean = {arm: np.mean([1 - cosine[u, v] for v in nodes if home[v] == arm and v != u]) for arm in listed}
        a, b = mean[home[u]], min(mean[arm] for arm in listed if arm != home[u])
        scores.append((b - a) / max(a, b))
    return np.mean(scores)


@stars
@pytest.mark.parametrize("measure, dense", [(arm_separation, dense_separation), (silhouette, dense_silhouette)])
def test_arm_measures_from_sums_are_those_of_all_pairs(g, measure, dense):
    E = noise(2, 3, g.n_nodes, 4)
    E[..., 1, :] = 0  # a zero row has cosine 0 with everything, itself too
    leaves = g.paths[:, -1]
    for some in (leaves, leaves[[0, -1]]):
        got = measure(E, g, leaves=some)
        assert got.shape == (2, 3) and got.dtype == torch.float64
        for index in itertools.product(range(2), range(3)):
            cosine = np.nan_to_num(torch.nn.functional.cosine_similarity(E[index][:, None], E[index][None], dim=-1).numpy())
            assert abs(got[index] - dense(cosine, g, some.tolist())) < 1e-9
    assert torch.equal(measure(E, g), measure(E, g, leaves=leaves))
    assert torch.equal(measure(E[1, 2].numpy(), g), measure(E, g)[1, 2])


@stars
def test_arm_measures_ignore_rotation_scale_of_each_row_and_the_numbering(g):
    E, order = noise(2, g.n_nodes, 5), shuffled(g.n_nodes)
    other, leaves = renamed(g, order), g.paths[[-1, 0], -1]
    for measure in (arm_separation, silhouette, gm.first_hop_accuracy):
        expected = measure(E, g, leaves=leaves)
        for same in (E @ turn(5), 1e-6 * E, E * noise(g.n_nodes, 1).exp()):
            torch.testing.assert_close(measure(same, g, leaves=leaves), expected, rtol=0, atol=TURNED)
        moved = measure(E[:, order.argsort()], other, leaves=order[leaves])
        torch.testing.assert_close(moved, expected, rtol=0, atol=TURNED)


def test_arm_measures_know_planted_arms_and_noise():
    for degree, length in ((4, 5), (3, 3), (10, 8)):
        g = gm.path_star(degree, length, seed=1)
        ideal = path_star_memory(g).embedding  # cosine 1 in an arm, -1 / (d - 1) across
        assert arm_separation(ideal, g) == pytest.approx(1 + 1 / (degree - 1)) and silhouette(ideal, g) == pytest.approx(1)
        assert arm_separation(torch.eye(g.n_nodes), g) == silhouette(torch.eye(g.n_nodes), g) == 0
        constant = torch.ones(g.n_nodes, 2)
        assert abs(arm_separation(constant, g)) < EXACT and silhouette(constant, g) == 0
        torn = ideal.clone()  # every leaf moved to the next arm: less than nothing
        torn[g.paths[:, -1]] = ideal[g.paths[:, -1].roll(1)]
        assert arm_separation(torn, g) < 0 and silhouette(torn, g) < silhouette(ideal, g)
        random = arm_separation(noise(400, g.n_nodes, 16), g)
        assert abs(random.mean()) < 4 * random.std() / math.sqrt(400)


def test_silhouette_draws_arms_where_there_are_too_many():
    g = gm.path_star(60, 4)
    E = noise(g.n_nodes, 3)
    assert torch.equal(silhouette(E, g, max_arms=60), silhouette(E, g))
    few = [float(silhouette(E, g, max_arms=10, seed=seed)) for seed in (0, 0, 1)]
    assert few[0] == few[1] != few[2]
    leaves = g.paths[:30, -1]
    assert torch.equal(silhouette(E, g, leaves=leaves, max_arms=30, seed=4), silhouette(E, g, leaves=leaves))
    pairs = torch.stack([silhouette(E, g, max_arms=2, seed=s) for s in range(60)])
    possible = torch.stack([silhouette(E, g, leaves=g.paths[[a, b], -1]) for a, b in itertools.combinations(range(60), 2)])
    assert torch.isin((pairs * 1e9).round(), (possible * 1e9).round()).all() and len(pairs.unique()) > 30
    with pytest.raises(ValueError, match="leaves must lie on two or more arms, got 1"):
        silhouette(E, g, leaves=g.paths[:1, -1])
    with pytest.raises(ValueError, match="max_arms must be at least 2"):
        silhouette(E, g, max_arms=1)


def test_arm_measures_refuse_graphs_without_arms_to_compare():
    pairs = [(0, 1), (1, 2), (2, 4), (0, 3), (3, 2), (2, 5)]
    forked = gm.Graph(n_nodes=6, edges=pairs, root=0, paths=[[0, 1, 2, 4], [0, 3, 2, 5]])  # both arms pass node 2
    single = gm.Graph(n_nodes=3, edges=[(0, 1), (1, 2)], root=0, paths=torch.tensor([[0, 1, 2]]))
    for measure in (arm_separation, silhouette):
        for g, message in (
            (gm.cycle(5), "has no root"),
            (gm.path_star(4, 2), "arms must be two or more, disjoint"),
            (forked, "arms must be two or more, disjoint"),
            (single, "arms must be two or more, disjoint"),
        ):
            with pytest.raises(ValueError, match=message):
                measure(torch.eye(g.n_nodes), g)
        g = gm.path_star(4, 5)
        for E, leaves, message in (
            (torch.eye(17), torch.tensor([1]), r"leaves must be one or more leaves of .*, got \[1\]"),
            (torch.eye(17), torch.tensor([], dtype=torch.int64), "got none"),
            (torch.eye(16), None, "E must have one row per node"),
            (torch.zeros(17, 2), None, "E must not be zero"),
        ):
            with pytest.raises(ValueError, match=message):
                measure(E, g, leaves=leaves)


@pytest.mark.parametrize("g", [*TINY, *STARS], ids=lambda g: g.name)
def test_cosines_by_hops_of_listed_nodes_count_the_pairs_that_begin_there(g):
    E, hops = noise(2, g.n_nodes, 3), g.hops()
    everyone = gm.cosine_by_hops(E, g, nodes=shuffled(g.n_nodes))
    torch.testing.assert_close(everyone, gm.cosine_by_hops(E, g), rtol=0, atol=EXACT)
    nodes = torch.tensor([3, 1])
    got, cosine = gm.cosine_by_hops(E, g, nodes=nodes), gm.cosines(E)[:, nodes]
    assert got.shape == (2, int(hops[nodes].max()) + 1)
    for k in range(got.shape[1]):
        torch.testing.assert_close(got[:, k], cosine[:, hops[nodes] == k].mean(-1), rtol=0, atol=EXACT)
    for wrong in (torch.tensor([0, 0]), torch.tensor([g.n_nodes]), torch.tensor([0.5])):
        with pytest.raises(ValueError, match="nodes must"):
            gm.cosine_by_hops(E, g, nodes=wrong)


def test_measures_of_a_star_too_large_for_dense_arrays_follow_their_formulas():
    degree, length, colours = 1500, 5, 4  # 6,001 nodes
    g = gm.path_star(degree, length, seed=6)
    with pytest.raises(ValueError, match="limit is n = 5,000"):
        gm.cosine_by_hops(torch.ones(g.n_nodes, 2), g)
    E = torch.zeros(g.n_nodes, colours)
    E[g.paths[:, 1:], (torch.arange(degree) % colours)[:, None]] = 1.0  # arm i points along axis i mod 4, the root nowhere
    members, n = degree // colours * (length - 1), g.n_nodes
    pairs, edges = colours * members * (members - 1) / 2, degree * (length - 2)
    expected = edges / g.n_edges - (pairs - edges) / (n * (n - 1) / 2 - g.n_edges)
    assert gm.geometric_contrast(E, g) == pytest.approx(expected, abs=1e-9)
    same = (members - (length - 1)) / (n - 1 - (length - 1))  # share of the other arms' nodes that point the same way
    assert arm_separation(E, g) == pytest.approx(1 - same, abs=1e-9) and gm.first_hop_accuracy(E, g) > 0
    depth = torch.zeros(n, dtype=torch.int64)
    arm = torch.full((n,), -1)
    depth[g.paths[:, 1:]], arm[g.paths[:, 1:]] = torch.arange(1, length).expand(degree, -1), torch.arange(degree)[:, None]
    nodes, V = torch.cat([torch.tensor([g.root]), g.paths[5, 1:]]), noise(n, 6)
    hops = torch.where(arm[nodes, None] == arm, (depth[nodes, None] - depth).abs(), depth[nodes, None] + depth)
    unit = V / V.norm(dim=1, keepdim=True)
    for k, got in enumerate(gm.cosine_by_hops(V, g, nodes=nodes)):
        assert abs(got - (unit[nodes] @ unit.T)[hops == k].mean()) < EXACT


def survivors(E, W, b, g, tolerance=0.01):
    """Recall with the blocks of W alone, in numpy: entries between singular values of one group."""
    _, values, right = np.linalg.svd(E.numpy(), full_matrices=False)
    group, top = [], None
    for value in values:
        top = value if top is None or value < top * (1 - tolerance) else top
        group.append(top)
    inner = right @ W.numpy() @ right.T * (np.array(group)[:, None] == np.array(group))
    kept = right.T @ inner @ right
    return gm.edge_recall(torch.from_numpy(E.numpy() @ kept @ E.numpy().T) + E @ b, g)


@tiny
def test_core_survival_recalls_with_the_parts_of_the_map_that_it_names(g):
    n, m = g.n_nodes, 6
    E, b = noise(3, n, m), 0.3 * noise(3, m, seed=5)
    W = torch.linalg.pinv(E) @ (g.adjacency() + 0.1 * noise(3, n, n, seed=8)) @ torch.linalg.pinv(E).mT
    E[1] = torch.linalg.qr(E[1]).Q * torch.tensor([1, 0.994, 0.988, 0.982, 0.5, 0.5])  # three groups, no chain
    got = core_survival(E, W, b, g)
    for k in range(3):
        core = Dense(m, m, torch.Generator(), 1.0).double()
        with torch.no_grad():
            core.weight.copy_(W[k]), core.bias.copy_(b[k])
            logits = core(E[k]) @ E[k].T  # the model's own
        assert got.full[k] == gm.edge_recall(logits, g)
        assert got.blocks[k] == pytest.approx(survivors(E[k], W[k], b[k], g))
        alone = core_survival(E[k], W[k], b[k], g)
        assert [float(x) for x in alone] == pytest.approx([float(x[k]) for x in got])
    assert (got.spread[[0, 2]] < EXACT).all()  # single directions have no freedom
    one = core_survival(E[0], W[0], b[0], g)
    assert one.blocks == pytest.approx(float(one.diagonal))


def test_core_survival_of_maps_with_a_known_answer():
    g = gm.grid(4, 4)
    A, nothing = g.adjacency(), torch.zeros(16)
    turned = turn(16)
    frozen = core_survival(turned, turned.T @ A @ turned, nothing, g)  # all singular values equal: nothing is lost
    assert frozen.full == frozen.blocks == 1 and frozen.diagonal < 0.9 and frozen.spread > 0.01
    values, vectors = torch.linalg.eigh(A + 0.1 * torch.diag(torch.arange(16.0)))
    scale = torch.linspace(2, 1, 16, dtype=torch.float64)
    own = core_survival(vectors * scale, torch.diag(values / scale**2), nothing, g)  # diagonal in the embedding's own basis
    assert own.full == own.blocks == 1 and own.diagonal == pytest.approx(1) and own.spread < EXACT
    E = turn(16, seed=4) * scale  # distinct values, and a map that mixes them
    mixed = core_survival(E, torch.linalg.inv(E) @ A @ torch.linalg.inv(E).T, nothing, g)
    assert mixed.full == 1 and mixed.blocks < 0.9
    coarse = core_survival(E, torch.linalg.inv(E) @ A @ torch.linalg.inv(E).T, nothing, g, tolerance=0.6)
    assert coarse.blocks == 1  # all values within 60 % of the largest


def test_core_survival_turns_only_within_blocks_and_depends_on_the_seed_alone():
    g = gm.cycle(15)
    E = torch.linalg.qr(noise(15, 6)).Q * torch.tensor([3, 3, 3, 1, 1, 1])
    W, b = noise(6, 6, seed=2), noise(6, seed=3)
    got, many = core_survival(E, W, b, g), core_survival(E, W, b, g, turns=800)
    assert [float(x) for x in got] == [float(x) for x in core_survival(E, W, b, g)]
    assert got.diagonal != core_survival(E, W, b, g, seed=1).diagonal
    recalls, right = [], torch.linalg.svd(E, full_matrices=False)[2]
    for seed in range(800):
        turns = torch.block_diag(turn(3, seed=seed), turn(3, seed=seed + 5000))
        inner = turns @ right @ W @ right.T @ turns.T
        diagonal = right.T @ turns.T @ torch.diag(inner.diagonal()) @ turns @ right
        recalls.append(float(gm.edge_recall(E @ diagonal @ E.T + E @ b, g)))
    error = np.std(recalls) * math.sqrt(2 / 800)
    assert abs(np.mean(recalls) - many.diagonal) < 4 * error
    assert many.spread == pytest.approx(np.std(recalls), rel=0.2) and many.spread > 0.01
    R, order = turn(6, seed=9), shuffled(15)
    rotated = core_survival(E @ R, R.T @ W @ R, b @ R, g, turns=800)
    assert (rotated.full, rotated.blocks) == (many.full, many.blocks)
    assert abs(rotated.diagonal - many.diagonal) < 4 * error
    moved = core_survival(E[order.argsort()], W, b, renamed(g, order))
    assert [float(x) for x in moved] == pytest.approx([float(x) for x in got])


def test_core_survival_takes_wide_tables_and_refuses_what_does_not_fit():
    g = gm.cycle(5)
    wide = noise(5, 12)
    inverse = torch.linalg.pinv(wide)
    got = core_survival(wide, inverse @ g.adjacency() @ inverse.T, torch.zeros(12), g)
    assert got.full == 1 and got.blocks <= 1
    E, W, b = noise(5, 3), noise(3, 3), noise(3)
    for kind, message, call in (
        (ValueError, r"weight and bias must have shape \(\.\.\., 3, 3\)", lambda: core_survival(E, W[:2], b, g)),
        (ValueError, "weight and bias must have shape", lambda: core_survival(E, W, b[:2], g)),
        (ValueError, "weight and bias must have shape", lambda: core_survival(E.expand(2, 5, 3), W, b, g)),
        (ValueError, "E must have one row per node", lambda: core_survival(E[:4], W, b, g)),
        (ValueError, "scores must be finite", lambda: core_survival(E, W * torch.nan, b, g)),
        (
            ValueError,
            "tolerance must be finite and at least 0 and less than 1",
            lambda: core_survival(E, W, b, g, tolerance=1),
        ),
        (ValueError, "turns must be at least 2", lambda: core_survival(E, W, b, g, turns=1)),
        (TypeError, "seed must be an integer", lambda: core_survival(E, W, b, g, seed=None)),
    ):
        with pytest.raises(kind, match=message):
            call()


@pytest.mark.parametrize("name", ["karate", "places", "irregular"])
def test_recalled_facts_are_those_among_the_highest_scores(name):
    g = gm.named_graph(name)
    noise = torch.rand(3, g.n_nodes, g.n_nodes, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    scores = noise + g.adjacency() * 0.4
    found = measures.recalled_facts(scores, g)
    for s, u in itertools.product(range(3), range(g.n_nodes)):
        others = [v for v in range(g.n_nodes) if v != u]
        best = sorted(others, key=lambda v: -scores[s, u, v])[: int(g.degrees[u])]
        hits = {v for v in best if g.adjacency()[u, v]}
        assert set(found[s, u].nonzero().flatten().tolist()) == hits and set(found[s, u].unique().tolist()) <= {0.0, 1.0}
    by_node = found.sum(-1) / g.degrees
    torch.testing.assert_close(by_node.mean(-1), gm.edge_recall(scores, g), rtol=0, atol=1e-12)


def test_tied_facts_are_recalled_by_expectation():
    star = gm.path_star(4, 2)  # a hub and four leaves: constant scores know the hub's answers, and a quarter of a leaf's
    found = measures.recalled_facts(torch.ones(5, 5), star)
    assert found[0, 1:].tolist() == [1.0] * 4 and found[1:, 0].tolist() == [0.25] * 4 and found[1:, 1:].eq(0).all()


def test_split_logits_add_up_and_the_rest_is_orthogonal_to_the_similarities():
    g = gm.named_graph("florentine")
    generator = torch.Generator().manual_seed(1)
    E, L = (torch.randn(2, 15, k, generator=generator, dtype=torch.float64) for k in (6, 15))
    fit, rest = measures.split_scores(E, L, g)
    others = ~torch.eye(15, dtype=torch.bool)
    whole = L - (L * others).sum(-1, keepdim=True) / 14
    torch.testing.assert_close((fit + rest)[:, others], whole[:, others], rtol=0, atol=1e-9)
    assert fit[:, ~others].eq(0).all() and rest[:, ~others].eq(0).all()
    K = E @ E.mT
    for power in (K, K @ K, K @ K @ K):  # row means of the rest are 0, so those of the power need not be removed
        assert ((rest * power)[:, others].sum(-1) / power.norm() / rest.norm()).abs().max() < 1e-9


def test_split_logits_give_a_table_its_own_logits_and_a_look_up_none():
    g = gm.named_graph("davis")
    E = torch.randn(32, 8, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    fit, rest = measures.split_scores(E, E @ E.T, g)
    assert rest.abs().max() < 1e-9 * fit.abs().max()
    fit, rest = measures.split_scores(torch.eye(32), g.adjacency(), g)
    assert fit.abs().max() < 1e-9 * rest.abs().max()
