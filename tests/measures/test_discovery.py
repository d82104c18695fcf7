"""Held-out edges against networkx and Mann and Whitney; what an edit moves against scipy's rank correlation."""

import pytest
import torch
from scipy.stats import mannwhitneyu, spearmanr

import geomem as gm
from geomem.measures import discover, pair_scores, ripple

SAME = 1e-12
KARATE = gm.named_graph("karate")
TASK = gm.EdgeTask(KARATE, held_out=0.1, seed=3)
KNOWN = gm.Graph(n_nodes=34, edges=[e for e in KARATE.edges.tolist() if e not in TASK.held_edges.tolist()])
PATH = gm.Graph(n_nodes=5, edges=[(0, 1), (1, 2), (2, 3), (3, 4)])
MOVED = gm.Graph(n_nodes=5, edges=[(0, 1), (1, 2), (2, 3), (0, 4)])


def table(seed, n=34, levels=None):
    noise = torch.randn(n, n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    noise = noise + noise.T
    return noise if levels is None else (noise * levels).round()


def parts(pairs):
    """Return the scores of held-out edges, of pairs that are no edges, and of trained edges."""
    held = {frozenset(e) for e in TASK.held_edges.tolist()}
    known = {frozenset(e) for e in KNOWN.edges.tolist()}
    every = [(u, v) for u in range(34) for v in range(u)]
    others = [pair for pair in every if frozenset(pair) not in held | known]
    return ([float(pairs[tuple(pair)]) for pair in some] for some in (map(tuple, held), others, map(tuple, known)))


@pytest.mark.parametrize("levels", [None, 1], ids=["no ties", "many ties"])
@pytest.mark.parametrize("seed", range(3))
def test_auc_is_mann_and_whitneys(seed, levels):
    pairs = table(seed, levels=levels)
    found, others, known = parts(pairs)
    seen = discover(pairs, KNOWN, TASK.held_edges)
    assert float(seen.auc) == pytest.approx(mannwhitneyu(found, others).statistic / len(found) / len(others), abs=SAME)
    assert float(seen.invented) == pytest.approx(sum(x > min(known) for x in others) / len(known), abs=SAME)


def test_hits_count_the_best_k_and_ties_by_expectation():
    held = [(0, 2), (1, 3)]
    pairs = torch.zeros(5, 5)
    assert float(discover(pairs, PATH, held).hits) == pytest.approx(2 / 6)  # two places for six tied pairs
    pairs[0, 2] = pairs[2, 0] = 1.0
    assert float(discover(pairs, PATH, held).hits) == pytest.approx((1 + 1 / 5) / 2)
    assert float(discover(PATH.adjacency(), PATH, held).auc) == 0.5  # an exact look-up knows nothing of untrained pairs


def test_discovery_keeps_batches_apart():
    pairs = torch.stack([table(0), table(1)])
    whole = discover(pairs, KNOWN, TASK.held_edges)
    for k in range(2):
        one = discover(pairs[k], KNOWN, TASK.held_edges)
        assert all(float(a[k]) == float(b) for a, b in zip(whole, one, strict=True))


@pytest.mark.parametrize(
    ("pairs", "held", "message"),
    [
        (torch.zeros(3, 3), [(0, 2)], "pairs must be finite"),
        (torch.full((5, 5), torch.nan), [(0, 2)], "pairs must be finite"),
        (torch.zeros(5, 5), [(0, 1)], "the graph does not have"),
        (torch.zeros(5, 5), [], "one or more edges"),
    ],
)
def test_discovery_refuses(pairs, held, message):
    with pytest.raises(ValueError, match=message):
        discover(pairs, PATH, held)


def test_discovery_needs_a_pair_that_is_no_edge():
    with pytest.raises(ValueError, match="every pair is one"):
        discover(torch.zeros(3, 3), gm.Graph(n_nodes=3, edges=[(0, 1), (1, 2)]), [(0, 2)])


def test_pair_scores_are_the_mean_log_probability_of_both_directions():
    scores = torch.randn(4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    p = scores.exp() / scores.exp().sum(1, keepdim=True)
    assert torch.allclose(pair_scores(scores), (p * p.T).sqrt().log(), atol=SAME)
    with pytest.raises(ValueError, match="NaN or infinity"):
        pair_scores([[float("nan"), 0.0], [0.0, 0.0]])


def test_ripple_is_the_rank_correlation_over_pairs_that_are_no_edge():
    change = table(5, n=5)
    pairs = [(0, 2), (0, 3), (1, 3), (1, 4), (2, 4)]  # all but 0-4 and 3-4, edges after or before, and the edges that stay
    nearer = [int(PATH.hops()[pair] - MOVED.hops()[pair]) for pair in pairs]
    wanted = spearmanr([float(change[pair]) for pair in pairs], nearer).statistic
    assert float(ripple(change, PATH, MOVED)) == pytest.approx(wanted, abs=SAME)
    left = [k for k, pair in enumerate(pairs) if 3 not in pair]
    wanted = spearmanr([float(change[pairs[k]]) for k in left], [nearer[k] for k in left]).statistic
    assert float(ripple(change, PATH, MOVED, without=[3])) == pytest.approx(wanted, abs=SAME)


def test_a_change_of_named_pairs_alone_makes_no_ripple():
    change = torch.zeros(5, 5)
    change[0, 4] = change[4, 0] = 1.0
    change[3, 4] = change[4, 3] = -1.0
    assert float(ripple(change, PATH, MOVED)) == 0.0


def test_ripple_refuses_what_cannot_be_measured():
    with pytest.raises(ValueError, match="change must be finite"):
        ripple(torch.zeros(4, 4), PATH, MOVED)
    with pytest.raises(ValueError, match="must change the distance"):
        ripple(torch.zeros(5, 5), PATH, PATH)
