"""Block by block the flow is the same flow."""

import pytest
import torch

import geomem as gm
from geomem.node2vec import blockwise
from geomem.node2vec.blockwise import blockwise_flow

TRAJECTORY = 1e-10  # float64, some hundred steps of order-1 numbers
TINY = [gm.path_star(4, 5), gm.grid(4, 4), gm.cycle(15), gm.irregular()]
tiny = pytest.mark.parametrize("g", TINY, ids=lambda g: g.name)


@tiny
@pytest.mark.parametrize("self_edges", [False, True])
@pytest.mark.parametrize("rows", [1, 4, 7, 100])
def test_the_trajectory_is_that_of_the_dense_flow(g, self_edges, rows):
    asked = dict(width=12, lr=0.02, steps=120, self_edges=self_edges, snapshots=(0, 1, 40))
    dense = gm.gradient_flow(g, seeds=[3], **asked)
    ours = blockwise_flow(g, seed=3, rows=rows, precision="float64", **asked)
    assert (
        torch.equal(ours.steps, dense.steps)
        and ours.seeds == dense.seeds
        and ours.embeddings.shape == dense.embeddings.shape
    )
    torch.testing.assert_close(ours.embeddings, dense.embeddings, rtol=0, atol=TRAJECTORY)
    torch.testing.assert_close(ours.loss, dense.loss, rtol=0, atol=TRAJECTORY)


def test_it_is_the_same_where_the_table_is_wider_than_the_graph():
    g = gm.cycle(7)
    dense, ours = (
        gm.gradient_flow(g, steps=30, seeds=[0]),
        blockwise_flow(g, width=100, steps=30, precision="float64", rows=3),
    )
    torch.testing.assert_close(ours.embeddings[-1], dense.embeddings[-1], rtol=0, atol=1e-9)


def test_a_run_taken_up_ends_where_it_would_have():
    g, asked = gm.grid(4, 4), dict(width=6, steps=50, precision="float64", rows=5)
    whole = blockwise_flow(g, snapshots=(20,), **asked)
    rest = blockwise_flow(g, start=(20, whole.embeddings[0, 0]), snapshots=(10, 30), **asked)
    assert rest.steps.tolist() == [30, 50] and torch.equal(rest.embeddings[-1], whole.embeddings[-1])
    done = blockwise_flow(g, start=(50, whole.embeddings[-1, 0]), **asked)
    assert torch.equal(done.embeddings[-1], whole.embeddings[-1])


def test_nobody_is_handed_a_table_that_changes():
    start = torch.randn(15, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    before = start.clone()
    blockwise_flow(gm.cycle(15), width=4, start=(0, start), steps=3, precision="float64")
    assert torch.equal(start, before)


@pytest.mark.parametrize("precision, least, tolerance", [("float32", 0, 1e-4), ("bf16", 1e-4, 0.1)])
def test_low_precision_follows(precision, least, tolerance):
    g = gm.grid(4, 4)
    exact, ours = (blockwise_flow(g, width=8, steps=60, rows=6, precision=p) for p in ("float64", precision))
    assert ours.embeddings.dtype == torch.float32
    gap = (ours.embeddings.double() - exact.embeddings).norm() / exact.embeddings.norm()
    assert least < gap < tolerance and abs(float(ours.loss[-1]) - float(exact.loss[-1])) < tolerance


def test_no_more_than_a_block_of_logits_is_held(monkeypatch):
    product, sizes = blockwise.product, []
    monkeypatch.setattr(blockwise, "product", lambda *a: sizes.append((out := product(*a)).numel()) or out)
    blockwise_flow(gm.path_star(50, 5), width=4, steps=2, rows=20)
    assert max(sizes) == max(20 * 201, 201 * 4)
    sizes.clear()
    monkeypatch.setitem(blockwise.CHUNK_BYTES, "cpu", 4 * 201 * 9)
    blockwise_flow(gm.path_star(50, 5), width=4, steps=1)
    assert max(sizes) == 9 * 201
    monkeypatch.setitem(blockwise.CHUNK_BYTES, "cpu", 1)
    sizes.clear()
    blockwise_flow(gm.path_star(50, 5), width=4, steps=1)
    assert max(sizes) == 4 * 201  # as many rows as columns, at least


def test_a_snapshot_can_be_looked_at_instead_of_kept():
    g, seen = gm.cycle(15), []
    flow = blockwise_flow(
        g, width=4, steps=20, snapshots=(0, 10), on_snapshot=lambda *a: seen.append((a[0], a[1], a[2].clone()))
    )
    kept = blockwise_flow(g, width=4, steps=20, snapshots=(0, 10))
    assert [step for step, _, _ in seen] == [0, 10, 20] == kept.steps.tolist() and flow.steps.tolist() == [20]
    assert torch.equal(torch.stack([V for _, _, V in seen]), kept.embeddings[:, 0])
    assert [value for _, value, _ in seen] == pytest.approx(kept.loss[:, 0].tolist()) and flow.loss.shape == (1, 1)


def test_it_goes_where_the_dense_flow_is_refused():
    g = gm.path_star(1300, 5)  # 5,201 nodes
    with pytest.raises(ValueError, match="limit is n = 5,000"):
        gm.gradient_flow(g, steps=1, seeds=[0])
    first = blockwise_flow(g, width=8, steps=1, snapshots=(0,))
    assert first.loss[1] < first.loss[0]


@pytest.mark.parametrize(
    "message, asked",
    [
        ("width must be at least 1", {"width": 0}),
        ("lr must be finite and greater than 0", {"lr": 0}),
        ("steps must be at least 0", {"steps": -1}),
        ("rows must be at least 1", {"rows": 0}),
        ("init_std must be", {"init_std": -1}),
        ("precision must be one of", {"precision": "float16"}),
        ("a snapshot|snapshots must not lie after", {"snapshots": [9]}),
        ("start must be at most steps=3", {"start": (4, torch.zeros(15, 8))}),
        ("start must be at most steps=3 and a table of 15 x 8", {"start": (0, torch.zeros(15, 3))}),
        ("lr must keep the flow finite", {"lr": 1e6, "steps": 30}),
    ],
)
def test_wrong_arguments_are_refused_by_name(message, asked):
    with pytest.raises(ValueError, match=message):
        blockwise_flow(gm.cycle(15), **{"width": 8, "steps": 3} | asked)
