"""The two cores that read one token: nothing at all (Node2Vec), and linear maps (the paper's "neural network")."""

import torch
from torch import Tensor, nn


class Identity(nn.Module):
    """Leave the embedding as it is: with tied tables the logits are ``V V^T``, which is Node2Vec.

    Source:
        Paper, section on Node2Vec.
    """

    sequential = False
    dropout_sites = 0

    def __init__(self, width: int, layers: int, heads: int, generator: torch.Generator, std: float):
        super().__init__()

    def forward(self, x: Tensor, drop, last: int) -> Tensor:
        """Return the last positions of x."""
        return x[:, -last:]

    def flops(self, rows: int, length: int, last: int) -> int:
        """Return the operations of a forward pass: none."""
        return 0


class Linear(nn.Module):
    """Apply ``x -> W x + b``, ``layers`` times, with nothing between: logits ``E (W e_u + b)``.

    Source:
        Paper, tiny runs: the "neural network" is linear.
    """

    sequential = False
    dropout_sites = 0

    def __init__(self, width: int, layers: int, heads: int, generator: torch.Generator, std: float):
        super().__init__()
        self.maps = nn.ModuleList(Dense(width, width, generator, std) for _ in range(layers))

    def forward(self, x: Tensor, drop, last: int) -> Tensor:
        """Map ``(batch, length, width)`` to ``(batch, last, width)``."""
        x = x[:, -last:]
        for layer in self.maps:
            x = layer(x)
        return x

    def flops(self, rows: int, length: int, last: int) -> int:
        """Return the operations of a forward pass's matrix products."""
        return sum(2 * rows * last * layer.weight.numel() for layer in self.maps if isinstance(layer, Dense))


class Dense(nn.Module):
    """Map ``x -> x W + b`` with normal W from ``generator`` and b = 0; the global generator is not touched.

    Differs from ``nn.Linear``: W is ``(inputs, outputs)``, because its gradient ``x^T g`` then lies in memory as W does,
    and a batch of members needs no copy of it.
    """

    def __init__(self, inputs: int, outputs: int, generator: torch.Generator, std: float):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(inputs, outputs, generator=generator, dtype=torch.float32) * std)
        self.bias = nn.Parameter(torch.zeros(outputs, dtype=torch.float32))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(..., inputs)`` to ``(..., outputs)``."""
        return x @ self.weight + self.bias
