"""The strict order: a table that knows neighbours' neighbours and nothing beyond passes the plain one and not this."""

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr

import geomem as gm

STRICT = {"min_hops": 3, "parity": "same"}


def test_it_is_spearman_within_each_parity_averaged():
    graph = gm.grid(4, 4)
    E = torch.randn(16, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    cosine, hops, found = gm.cosines(E).numpy(), graph.hops().numpy(), []
    for parity in (0, 1):
        pairs = np.triu((hops >= 3) & (hops % 2 == parity), 1)
        found += [-spearmanr(cosine[pairs], hops[pairs]).statistic]
    assert float(gm.geometric_order(E, graph, **STRICT)) == pytest.approx(np.mean(found), abs=1e-12)


@pytest.mark.parametrize("name", ["path_star", "grid", "cycle", "irregular"])
def test_the_local_table_passes_the_plain_order_and_not_the_strict_one(name):
    graph = gm.named_graph(name)
    noise = torch.randn(100, graph.n_nodes, 32, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    local = graph.adjacency() @ noise
    plain, strict = gm.geometric_order(local, graph), gm.geometric_order(local, graph, **STRICT)
    assert plain.mean() > 0.3 and abs(strict.mean()) < 5 * strict.std() / 10  # ten is the root of a hundred tables
    flow = gm.gradient_flow(graph, steps=2000, seeds=[0])
    assert gm.geometric_order(flow.embeddings[-1], graph, **STRICT).item() > 0.5


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"min_hops": 0}, ValueError, "min_hops must be at least 1, got 0"),
        ({"min_hops": 2.5}, TypeError, "min_hops must be an integer"),
        ({"parity": "odd"}, ValueError, "parity must be one of 'same', got 'odd'"),
        ({"min_hops": 4, "parity": "same"}, ValueError, "needs two different distances of 4 or more hops of one parity"),
    ],
)
def test_what_cannot_be_ordered_is_refused(change, error, words):
    with pytest.raises(error, match=words):
        gm.geometric_order(torch.eye(9), gm.path_star(4, 3), **change)
