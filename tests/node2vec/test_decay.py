"""Weight decay in the flow: the step of its formula, and the filter that it is."""

import pytest
import torch

import geomem as gm
from geomem.node2vec import flow_matrix

STEP = 1e-12
"""One step in float64, two ways."""


@pytest.mark.parametrize("self_edges", [False, True])
def test_a_step_adds_c_v_and_takes_decay_v(self_edges):
    graph, lr, decay = gm.irregular(), 0.05, 0.7
    run = gm.gradient_flow(graph, width=7, lr=lr, steps=1, decay=decay, seeds=[3], snapshots=[0], self_edges=self_edges)
    V = run.embeddings[0, 0]
    wanted = V + lr * (flow_matrix(V, graph, self_edges=self_edges) @ V - decay * V)
    torch.testing.assert_close(run.embeddings[1, 0], wanted, rtol=STEP, atol=STEP)


def test_a_wide_table_is_decayed_as_a_narrow_one_is():
    graph = gm.cycle(6)
    wide = gm.gradient_flow(graph, width=40, lr=0.05, steps=30, decay=0.4, seeds=[0], snapshots=[0])
    V = wide.embeddings[0, 0]
    for _ in range(30):
        V = V + 0.05 * (flow_matrix(V, graph) @ V - 0.4 * V)
    torch.testing.assert_close(wide.embeddings[1, 0], V, rtol=1e-9, atol=1e-9)


def test_an_untied_flow_decays_both_tables():
    graph, lr, decay = gm.cycle(5), 0.05, 0.3
    free, tight = (
        gm.gradient_flow(graph, width=4, lr=lr, steps=1, decay=d, seeds=[1], tied=False, snapshots=[0]) for d in (0.0, decay)
    )
    for name in ("embeddings", "unembeddings"):
        start, plain, less = getattr(free, name)[0], getattr(free, name)[1], getattr(tight, name)[1]
        torch.testing.assert_close(less, plain - lr * decay * start, rtol=STEP, atol=STEP)


def test_above_the_largest_eigenvalue_the_table_empties_and_below_it_does_not():
    graph = gm.cycle(15)
    largest = 2 * torch.cos(torch.tensor(2 * torch.pi / 15)).item()  # of S without the constant direction
    sizes = [
        float(gm.gradient_flow(graph, lr=0.05, steps=4000, init_std=0.1, decay=decay, seeds=[0]).embeddings[-1].norm())
        for decay in (largest + 0.1, largest - 0.1)
    ]
    assert sizes[0] < 1e-3 < 0.1 < sizes[1]


def test_decay_below_zero_is_refused():
    with pytest.raises(ValueError, match="decay must be finite and at least 0, got -0.1"):
        gm.gradient_flow(gm.cycle(5), decay=-0.1)
