"""The reference that `gradient_flow` is compared with: Node2Vec as a competent user would write it in PyTorch.

One seed at a time, a loop over nodes, autograd. Committed before the fast version was tuned, and never touched again.
"""

import torch


def node2vec(neighbours: list[list[int]], *, dim: int, lr: float, steps: int, init_std: float, seed: int) -> torch.Tensor:
    """Return V after ``steps`` of full-batch gradient descent on the summed cross-entropy, float64 ``(n, dim)``."""
    generator = torch.Generator().manual_seed(seed)
    n = len(neighbours)
    V = (torch.randn(n, dim, generator=generator, dtype=torch.float64) * init_std).requires_grad_()
    targets = [torch.tensor(nodes) for nodes in neighbours]
    optimizer = torch.optim.SGD([V], lr=lr)
    for _ in range(steps):
        loss = torch.zeros((), dtype=torch.float64)
        for u in range(n):
            log_p = torch.log_softmax(V @ V[u], dim=0)
            loss = loss - log_p[targets[u]].mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return V.detach()
