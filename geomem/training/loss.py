"""Cross-entropy over a large vocabulary, without ever holding all logits."""

import functools

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from .. import _checks
from .._products import CHUNK_BYTES, add_product, product


def cross_entropy(
    hidden: Tensor, table: Tensor, targets: Tensor, weights: Tensor | None = None, *, chunk=None, compiled=False
) -> Tensor:
    """Return ``sum_i weights_i * -log softmax(hidden_i table^T)[targets_i]``, in nats.

    Rows are taken ``chunk`` at a time. While a chunk's logits lie in the cache they become its loss, and in place the
    gradient with respect to the logits, which two products turn into the gradients of ``hidden`` and ``table``. So
    logits are formed once and never read from main memory; the backward pass only scales. Sums are float32 or better: under
    autocast the products take bfloat16, and their results are added up in float32.

    Args:
        hidden: ``(n, width)``.
        table: The unembedding, ``(n_tokens, width)``.
        targets: Token ids, int64 ``(n,)``.
        weights: One per row; by default 1/n each, which gives the mean.
        chunk: Rows at a time; by default as many as ``CHUNK_BYTES`` holds.
        compiled: Let torch's compiler fuse what lies between the products: worth it where logits do not fit a cache.

    Returns:
        A scalar, differentiable in ``hidden`` and ``table``.

    Source:
        Standard; fusing loss and gradient is known from memory-efficient training of language models.

    Example:
        >>> round(float(cross_entropy(torch.zeros(3, 2), torch.zeros(4, 2), torch.tensor([0, 1, 3]))), 4)
        1.3863
    """
    device = hidden.device
    if weights is None:
        dtype = torch.promote_types(hidden.dtype, torch.float32)
        weights = torch.full((len(hidden),), 1 / max(len(hidden), 1), device=device, dtype=dtype)
    if chunk is None:
        chunk = max(1, CHUNK_BYTES.get(device.type, 2**22) // (4 * len(table)))
    low = torch.get_autocast_dtype(device.type) if torch.is_autocast_enabled(device.type) else None
    with torch.autocast(device.type, enabled=False):  # it would round the sums too
        return _CrossEntropy.apply(hidden, table, targets, weights, _checks.integer("chunk", chunk, least=1), low, compiled)


class _CrossEntropy(torch.autograd.Function):
    """Loss and gradients in one pass over chunks of rows."""

    @staticmethod
    def forward(ctx, hidden, table, targets, weights, chunk, low, compiled):
        exact = torch.promote_types(hidden.dtype, torch.float32)
        rows, columns = (x.to(low or exact) for x in (hidden, table))
        grad_table = torch.zeros_like(table, dtype=exact) if ctx.needs_input_grad[1] else None
        grad_hidden = torch.empty_like(hidden, dtype=exact) if ctx.needs_input_grad[0] else None
        loss = torch.zeros((), dtype=exact, device=hidden.device)
        for a in range(0, len(hidden), chunk):
            part = slice(a, a + chunk)
            logits = product(rows[part], columns.mT, exact)
            target, weight = targets[part, None], weights[part, None].to(exact)
            step = _compiled() if compiled else _softmax
            value, gradient = step(logits, target, weight, low or exact)
            loss += value
            if grad_hidden is not None:
                grad_hidden[part] = product(gradient, columns, exact)
            if grad_table is not None:
                add_product(grad_table, gradient.mT, rows[part])
        ctx.save_for_backward(grad_hidden, grad_table)
        ctx.dtypes = hidden.dtype, table.dtype
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx, above):
        """Scale what the forward pass found."""
        pairs = zip(ctx.saved_tensors, ctx.dtypes, strict=True)
        return *(None if g is None else (g * above).to(dtype) for g, dtype in pairs), None, None, None, None, None


def _softmax(logits: Tensor, target: Tensor, weight: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return the loss of a chunk, and its gradient with respect to the logits, overwriting the logits."""
    logits -= logits.amax(-1, keepdim=True)
    chosen = logits.gather(-1, target)
    total = logits.exp_().sum(-1, keepdim=True)
    gradient = logits.mul_(weight / total).scatter_add_(-1, target, -weight).to(dtype)
    return (weight * (total.log() - chosen)).sum(), gradient


def _softmax_apart(logits: Tensor, target: Tensor, weight: Tensor, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return the same without writing to the logits: the form that a compiler fuses into two passes."""
    shifted = logits - logits.amax(-1, keepdim=True)
    total = shifted.exp().sum(-1, keepdim=True)
    chosen = shifted.gather(-1, target)
    own = torch.arange(logits.shape[-1], device=logits.device) == target
    gradient = (shifted.exp() * (weight / total) - own * weight).to(dtype)
    return (weight * (total.log() - chosen)).sum(), gradient


@functools.cache
def _compiled():
    """Return the compiled form; compiling starts with the first chunk."""
    return torch.compile(_softmax_apart, dynamic=False)
