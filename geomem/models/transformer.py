"""The Transformer core: pre-norm blocks of causal attention and a GELU network, as in GPT-2."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .linear import Dense


def plain_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Return causal attention as a softmax written out: what ``vmap`` can batch, and the test of the fused kernel.

    Args:
        q: Queries of the last positions, ``(..., last, d)``.
        k: Keys, ``(..., length, d)``.
        v: Values, ``(..., length, d)``.
    """
    scores = (q @ k.mT) * q.shape[-1] ** -0.5
    return scores.masked_fill(~_seen(q, k), -torch.inf).softmax(-1) @ v


def fused_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Return the same by torch's fused kernel."""
    if q.shape[-2] == k.shape[-2]:
        return F.scaled_dot_product_attention(q, k, v, is_causal=True)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=_seen(q, k))


def _seen(q: Tensor, k: Tensor) -> Tensor:
    """Return which keys each of the last positions sees: its own and those before."""
    return torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool, device=q.device).tril(k.shape[-2] - q.shape[-2])


class Block(nn.Module):
    """One pre-norm block: ``x + attention(norm(x))``, then ``x + mlp(norm(x))``."""

    def __init__(self, width: int, heads: int, generator: torch.Generator, std: float):
        super().__init__()
        self.heads, self.kernel = heads, fused_attention
        self.norm_attention, self.norm_mlp = (nn.LayerNorm(width, dtype=torch.float32) for _ in range(2))
        self.qkv, self.out = Dense(width, 3 * width, generator, std), Dense(width, width, generator, std)
        self.up, self.down = Dense(width, 4 * width, generator, std), Dense(4 * width, width, generator, std)

    def forward(self, x: Tensor, drop, last: int) -> Tensor:
        """Map ``(batch, length, width)`` to ``(batch, last, width)``: only the last positions ask and answer."""
        attended = self.attention(self.norm_attention(x), last)
        x = x[:, -last:] + drop(attended)
        return x + drop(self.down(F.gelu(self.up(self.norm_mlp(x)))))

    def attention(self, x: Tensor, last: int) -> Tensor:
        """Let each of the last positions look at itself and the positions before it."""
        q, k, v = self.qkv(x).unflatten(-1, (3, self.heads, -1)).transpose(1, 3).unbind(2)  # (batch, heads, length, d)
        return self.out(self.kernel(q[..., -last:, :], k, v).transpose(1, 2).flatten(-2))


class Transformer(nn.Module):
    """Stack ``layers`` pre-norm blocks and a last norm.

    Source:
        Paper, settings: pre-norm, GELU; one layer and one head for the tiny graphs.
    """

    sequential = True

    def __init__(self, width: int, layers: int, heads: int, generator: torch.Generator, std: float):
        super().__init__()
        if width % heads:
            raise ValueError(f"heads must divide width, got heads={heads}, width={width}. Change one of them.")
        self.dropout_sites = 2 * layers
        self.blocks = nn.ModuleList(Block(width, heads, generator, std) for _ in range(layers))
        self.norm = nn.LayerNorm(width, dtype=torch.float32)

    def forward(self, x: Tensor, drop, last: int) -> Tensor:
        """Map ``(batch, length, width)`` to ``(batch, last, width)``; the last block computes no other position."""
        *first, final = self.blocks
        for block in first:
            x = block(x, drop, x.shape[1])
        return self.norm(final(x, drop, last))

    def flops(self, rows: int, length: int, last: int) -> int:
        """Return the operations of a forward pass's matrix products; attention counts the pairs that the mask hides too."""
        total, tokens = 0, rows * length
        blocks = [block for block in self.blocks if isinstance(block, Block)]
        for block in blocks:
            asking = rows * (last if block is blocks[-1] else length)  # the last block asks and answers at the end only
            after = sum(part.weight.numel() for part in (block.out, block.up, block.down))
            mixing = 4 * asking * length * block.out.weight.shape[0]
            total += 2 * tokens * block.qkv.weight.numel() + mixing + 2 * asking * after
        return total
