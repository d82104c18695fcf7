"""The textbook way to train the path task: a Dataset, a DataLoader, and one loss over all positions.

Committed before ``geomem.training`` and not touched again. Every example is a row of token ids, padded to one length, with
-100 at the positions that are not scored. The model's logits are formed at every position, as the usual loop does.
"""

import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset

IGNORE = -100


class Examples(Dataset):
    """Yield one example at a time: token ids and what to predict at each position."""

    def __init__(self, edges, inputs, targets, pad):
        """Take edge rows ``[EDGE] u v``, path inputs and their targets, which answer the last positions."""
        self.rows = [(row[:-1], row[-1:]) for row in edges.tolist()]
        self.rows += list(zip(inputs.tolist(), targets.tolist(), strict=True))
        self.length = max(len(tokens) for tokens, _ in self.rows)
        self.pad = pad

    def __len__(self):
        """Count the examples."""
        return len(self.rows)

    def __getitem__(self, index):
        """Return one padded example."""
        tokens, answer = self.rows[index]
        missing = self.length - len(tokens)
        labels = [IGNORE] * (len(tokens) - len(answer)) + answer + [IGNORE] * missing
        return torch.tensor(tokens + [self.pad] * missing), torch.tensor(labels)


def train(model, examples, *, steps, batch, lr, seed):
    """Train ``steps`` batches with AdamW, and return the last loss."""
    order = torch.Generator().manual_seed(seed)
    loader = DataLoader(examples, batch_size=batch, shuffle=True, drop_last=True, generator=order)
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr, weight_decay=0.01)
    done = 0
    while True:
        for tokens, labels in loader:
            logits = model(tokens)
            loss = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=IGNORE)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            done += 1
            if done == steps:
                return loss.item()
