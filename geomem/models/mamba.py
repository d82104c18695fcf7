"""The Mamba core: pre-norm residual blocks around a selective state-space model."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .linear import Dense

STATE, TAPS, EXPAND = 16, 4, 2
"""States per channel, width of the convolution, channels per unit of width: the paper's Mamba."""
DT_RANGE = (1e-3, 1e-1)


def selective_scan(x: Tensor, dt: Tensor, a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """Run ``h_t = exp(dt_t A) h_(t-1) + dt_t B_t x_t`` from ``h_0 = 0`` and return ``y_t = C_t h_t``.

    A loop over positions, because lengths here are short (2 to about 40). Measured forward and backward on one core, 512
    sequences of 128 channels and length 2 to 12: about 12 ms per position. The closed form over pairs of positions takes 3
    to 50 times as long, cumulative sums of logarithms 25 to 40 times, plain ones of ``exp(-t dt A)`` 3 to 9 times, and these
    overflow.

    Args:
        x: Input, ``(batch, length, channels)``.
        dt: Step sizes, > 0, of the same shape.
        a: Rates of decay A, < 0, ``(channels, state)``.
        b: How the input enters the state, ``(batch, length, state)``.
        c: How the state is read, ``(batch, length, state)``.

    Returns:
        ``(batch, length, channels)``.

    Source:
        Gu & Dao (arXiv 2312.00752), equations 2 and 4, algorithm 2.

    Example:
        >>> one = torch.ones(1, 3, 1)
        >>> selective_scan(one, one, torch.tensor([[0.5]]).log(), one, one).flatten().tolist()
        [1.0, 1.5, 1.75]
    """
    h, read = None, []
    for x_t, dt_t, b_t, c_t in zip(*(part.unbind(1) for part in (x, dt, b, c)), strict=True):
        enters = (dt_t * x_t)[..., None] * b_t[:, None]  # (batch, channels, state), as h
        h = enters if h is None else torch.exp(dt_t[..., None] * a) * h + enters
        read.append((h * c_t[:, None]).sum(-1))
    return torch.stack(read, dim=1)


class MambaBlock(nn.Module):
    """Mix positions by a short causal convolution and a scan whose step, input and read-out depend on the token.

    With z the gate, ``u = silu(conv(W_x v))``: ``out((scan(u) + D u) * silu(z))``.
    """

    # Differs from Mamba: B enters as dt B, the first-order form of the zero-order hold of equation 4. Dense maps, also
    # that of dt, are N(0, std^2) with trained biases from 0, so that core_std means the same for every core. Nothing is
    # exempt from weight decay, A and D neither: it acts on all trained parameters. The dt bias, A, D and the convolution
    # start as theirs do, whatever std is.
    def __init__(self, width: int, generator: torch.Generator, std: float):
        super().__init__()
        inner, rank = EXPAND * width, math.ceil(width / 16)
        self.split = [rank, STATE, STATE]
        self.into, self.select = Dense(width, 2 * inner, generator, std), Dense(inner, sum(self.split), generator, std)
        self.step, self.out = Dense(rank, inner, generator, std), Dense(inner, width, generator, std)
        single = torch.float32  # whatever torch's default is
        taps = torch.rand(TAPS, inner, generator=generator, dtype=single)
        self.taps = nn.Parameter((2 * taps - 1) / math.sqrt(TAPS))
        self.taps_bias = nn.Parameter(torch.zeros(inner, dtype=single))
        low, high = map(math.log, DT_RANGE)
        dt = torch.exp(low + (high - low) * torch.rand(inner, generator=generator, dtype=single))
        self.step.bias = nn.Parameter(dt + torch.log(-torch.expm1(-dt)))  # softplus of it is dt
        rates = torch.arange(1, STATE + 1, dtype=single)
        self.log_rates = nn.Parameter(rates.log().repeat(inner, 1))  # A = -exp(log_rates) < 0
        self.skip = nn.Parameter(torch.ones(inner, dtype=single))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(batch, length, width)`` to the same shape."""
        u, gate = self.into(x).chunk(2, dim=-1)
        u = F.silu(self.convolve(u))
        low_rank, b, c = self.select(u).split(self.split, dim=-1)
        exact = torch.promote_types(u.dtype, torch.float32)  # in bfloat16 errors would add up in h
        dt = F.softplus(self.step(low_rank).to(exact))
        y = selective_scan(u.to(exact), dt, -self.log_rates.to(exact).exp(), b.to(exact), c.to(exact))
        return self.out((y.to(u.dtype) + self.skip * u) * F.silu(gate))

    def convolve(self, x: Tensor) -> Tensor:
        """Return a causal weighted sum per channel: tap k weights the token k places back, zeros before the first."""
        length = x.shape[1]
        back = (F.pad(x[:, : length - k], (0, 0, k, 0)) for k in range(min(TAPS, length)))
        return self.taps_bias + sum(tap * shifted for tap, shifted in zip(self.taps, back, strict=False))


class Mamba(nn.Module):
    """Stack ``layers`` blocks ``x + block(norm(x))`` and a last norm.

    Source:
        Paper, settings: d_state 16, d_conv 4, expand 2; Gu & Dao (arXiv 2312.00752), section 3.4.
    """

    sequential = True

    def __init__(self, width: int, layers: int, heads: int, generator: torch.Generator, std: float):
        super().__init__()
        self.dropout_sites = layers
        self.blocks = nn.ModuleList(MambaBlock(width, generator, std) for _ in range(layers))
        self.norms = nn.ModuleList(nn.LayerNorm(width, dtype=torch.float32) for _ in range(layers))
        self.norm = nn.LayerNorm(width, dtype=torch.float32)

    def forward(self, x: Tensor, drop, last: int) -> Tensor:
        """Map ``(batch, length, width)`` to ``(batch, last, width)``."""
        for norm, block in zip(self.norms, self.blocks, strict=True):
            x = x + drop(block(norm(x)))
        return self.norm(x[:, -last:])

    def flops(self, rows: int, length: int, last: int) -> int:
        """Return the operations of a forward pass's matrix products; scan and convolution are not counted."""
        dense = sum(part.weight.numel() for part in self.blocks.modules() if isinstance(part, Dense))
        return 2 * rows * length * dense

    @property
    def scan_bytes(self) -> int:
        """Bytes that the scan keeps per token for the backward pass: four float32 states for each channel."""
        return 16 * sum(block.log_rates.numel() for block in self.blocks if isinstance(block, MambaBlock))
