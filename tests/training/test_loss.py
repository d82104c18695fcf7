import pytest
import torch
import torch.nn.functional as F

from geomem import _products
from geomem.training import loss
from geomem.training.loss import cross_entropy

EXACT = 1e-12  # float64, sums of a few dozen products of order-1 numbers
FLOAT32 = 1e-6  # the same numbers added up in another order

N, WIDTH, TOKENS = 7, 5, 11


def drawn(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def problem(dtype=torch.float64):
    hidden, table = drawn(N, WIDTH, dtype=dtype).requires_grad_(), drawn(TOKENS, WIDTH, seed=1, dtype=dtype).requires_grad_()
    targets = torch.tensor([3, 0, 10, 3, 3, 7, 0])  # some answers repeat
    weights = torch.tensor([0.5, 0.0, 2.0, 0.1, 0.3, 1.0, 0.7], dtype=dtype)
    return hidden, table, targets, weights


@pytest.mark.parametrize("chunk", [None, 1, 3, 6, 7, 100])
@pytest.mark.parametrize("weighted", [True, False])
def test_value_and_gradients_are_those_of_torch(chunk, weighted):
    hidden, table, targets, weights = problem()
    each = F.cross_entropy(hidden @ table.T, targets, reduction="none")
    expected = (each * weights).sum() if weighted else each.mean()
    ours = cross_entropy(hidden, table, targets, weights if weighted else None, chunk=chunk)
    torch.testing.assert_close(ours, expected, rtol=EXACT, atol=EXACT)
    pairs = (torch.autograd.grad(3 * value, (hidden, table)) for value in (ours, expected))  # scaled from above
    for mine, theirs in zip(*pairs, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=EXACT, atol=EXACT)


def test_gradients_are_those_of_finite_differences():
    hidden, table, targets, weights = problem()
    assert torch.autograd.gradcheck(lambda h, t: cross_entropy(h, t, targets, weights, chunk=2), (hidden, table))


@pytest.mark.parametrize("frozen", [(True, False), (False, True), (True, True)], ids=str)
def test_what_is_frozen_takes_no_gradient_and_changes_no_other(frozen):
    hidden, table, targets, weights = problem()
    expected = torch.autograd.grad(cross_entropy(hidden, table, targets, weights), (hidden, table))
    parts = [part.detach().requires_grad_(not still) for part, still in zip((hidden, table), frozen, strict=True)]
    value = cross_entropy(*parts, targets, weights, chunk=3)
    assert value.item() == pytest.approx(cross_entropy(hidden, table, targets, weights).item(), rel=EXACT)
    assert value.requires_grad != all(frozen)
    if value.requires_grad:
        value.backward()
    for part, still, gradient in zip(parts, frozen, expected, strict=True):
        assert (part.grad is None) == still
        if not still:
            torch.testing.assert_close(part.grad, gradient, rtol=EXACT, atol=EXACT)


@pytest.mark.parametrize("chunk", [2, 100])
def test_under_bf16_autocast_only_the_factors_are_rounded(chunk):
    hidden, table, targets, weights = problem(torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        value = cross_entropy(hidden, table, targets, weights, chunk=chunk)
    low_hidden, low_table = (part.detach().bfloat16().float() for part in (hidden, table))
    logits = low_hidden @ low_table.T
    expected = (F.cross_entropy(logits, targets, reduction="none") * weights).sum()
    torch.testing.assert_close(value, expected, rtol=FLOAT32, atol=FLOAT32)
    gradient = ((logits.softmax(-1) - F.one_hot(targets, TOKENS)) * weights[:, None]).bfloat16().float()
    ours = torch.autograd.grad(value, (hidden, table))
    # the factor itself may round to the neighbouring bfloat16, which has 8 bits
    torch.testing.assert_close(ours[0], gradient @ low_table, rtol=2**-8, atol=2**-8)
    torch.testing.assert_close(ours[1], gradient.T @ low_hidden, rtol=2**-8, atol=2**-8)
    assert [grad.dtype for grad in ours] == [value.dtype] * 2 == [torch.float32] * 2
    exact = cross_entropy(hidden, table, targets, weights)
    assert 0 < abs(value - exact) < 0.02 * exact


def test_sums_are_float32_under_autocast_whatever_the_chunks(monkeypatch):
    product, seen = loss.product, []
    for module in (loss, _products):
        monkeypatch.setattr(module, "product", lambda *a: seen.append((a[0].dtype, (out := product(*a)).dtype)) or out)
    hidden, table, targets, _ = problem(torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        cross_entropy(hidden, table, targets, chunk=2).backward()
    assert set(seen) == {(torch.bfloat16, torch.float32)} and len(seen) == 3 * 4


@pytest.mark.parametrize("dtypes", [(torch.bfloat16, torch.float32), (torch.bfloat16, torch.bfloat16)], ids=str)
def test_gradients_have_the_types_of_what_was_given(dtypes):
    hidden, table, targets, weights = problem(torch.float32)
    hidden, table = (part.detach().to(dtype).requires_grad_() for part, dtype in zip((hidden, table), dtypes, strict=True))
    value = cross_entropy(hidden, table, targets, weights)
    value.backward()
    assert value.dtype == torch.float32 and (hidden.grad.dtype, table.grad.dtype) == dtypes
    expected = (F.cross_entropy(hidden.float() @ table.float().T, targets, reduction="none") * weights).sum()
    torch.testing.assert_close(value, expected, rtol=FLOAT32, atol=FLOAT32)


def test_large_logits_neither_overflow_nor_vanish():
    hidden, table = torch.tensor([[1e4], [1e4]]).double().requires_grad_(), torch.tensor([[1.0], [-1.0], [0.999]]).double()
    value = cross_entropy(hidden, table, torch.tensor([0, 1]))
    expected = F.cross_entropy(hidden @ table.T, torch.tensor([0, 1]))
    torch.testing.assert_close(value, expected, rtol=EXACT, atol=EXACT)
    assert torch.autograd.grad(value, hidden)[0].isfinite().all()


def test_nothing_to_answer_costs_nothing():
    hidden, table = torch.zeros(0, 4, requires_grad=True), drawn(3, 4, dtype=torch.float32).requires_grad_()
    value = cross_entropy(hidden, table, torch.zeros(0, dtype=torch.int64))
    value.backward()
    assert value == 0 and hidden.grad.shape == (0, 4) and table.grad.eq(0).all()


def test_no_more_logits_than_asked_are_held_at_once(monkeypatch):
    product, sizes = loss.product, []
    monkeypatch.setattr(loss, "product", lambda *a: sizes.append((out := product(*a)).shape) or out)
    hidden, table = drawn(10, WIDTH).float(), drawn(TOKENS, WIDTH).float()
    monkeypatch.setitem(loss.CHUNK_BYTES, "cpu", 4 * TOKENS * 4)
    cross_entropy(hidden, table, torch.zeros(10, dtype=torch.int64))
    assert sizes == [(4, TOKENS), (4, TOKENS), (2, TOKENS)]
    sizes.clear()
    monkeypatch.setitem(loss.CHUNK_BYTES, "cpu", 1)  # one row at least
    cross_entropy(hidden, table, torch.zeros(10, dtype=torch.int64))
    assert sizes == [(1, TOKENS)] * 10


def test_a_second_derivative_is_refused_and_not_wrong():
    hidden, table, targets, _ = problem()
    (gradient,) = torch.autograd.grad(cross_entropy(hidden, table, targets).square(), hidden, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


@pytest.mark.parametrize("chunk, kind", [(0, ValueError), (-1, ValueError), (2.5, TypeError)])
def test_a_wrong_chunk_is_named(chunk, kind):
    hidden, table, targets, _ = problem()
    with pytest.raises(kind, match="chunk must be"):
        cross_entropy(hidden, table, targets, chunk=chunk)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=str)
def test_the_form_for_the_compiler_is_the_form_in_place(dtype):
    exact = torch.promote_types(dtype, torch.float32)
    logits, target, weight = (
        5 * drawn(N, TOKENS, dtype=exact),
        torch.arange(N)[:, None],
        drawn(N, 1, seed=2, dtype=exact).abs(),
    )
    before = logits.clone()
    apart, in_place = loss._softmax_apart(logits, target, weight, dtype), loss._softmax(before, target, weight, dtype)
    tolerance = {torch.float64: EXACT, torch.float32: FLOAT32, torch.bfloat16: 2**-8}[dtype]
    for one, other in zip(apart, in_place, strict=True):
        assert one.dtype == other.dtype
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)
    assert torch.equal(logits, 5 * drawn(N, TOKENS, dtype=exact))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # torch's compiler warns of its own ways
def test_the_compiled_loss_is_the_plain_one(compiler):
    hidden, table, targets, weights = problem(torch.float32)
    values = [cross_entropy(hidden, table, targets, weights, chunk=6, compiled=compiled) for compiled in (False, True)]
    torch.testing.assert_close(*values, rtol=FLOAT32, atol=FLOAT32)
    gradients = [torch.autograd.grad(value, (hidden, table)) for value in values]
    for plain, compiled in zip(*gradients, strict=True):
        torch.testing.assert_close(compiled, plain, rtol=FLOAT32, atol=FLOAT32)
