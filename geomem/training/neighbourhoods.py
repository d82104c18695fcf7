"""Cheap steps on any large graph: a step draws a few nodes, and trains only on the rows of the table that concern them.

A step draws some nodes and asks for all their answers. These nodes, their answers and the special tokens are candidates for
certain; from all other nodes some more are drawn, and each of them counts (others) / (drawn) times in the softmax. So the
partition function of every question is right on average over draws, and exact when all are drawn. Gradients of its
logarithm are not quite unbiased, as with every sampled softmax; the more candidates, the less that matters.
"""

import math
from typing import Any

import torch
from torch import Tensor

from ..models import SequenceModel
from ..tasks import GraphTask
from .candidates import DrawnSteps, Questions


class Neighbourhoods:
    """Draw nodes with their facts, and further nodes to weigh them against.

    Args:
        facts: The trained facts u, v, int64 ``(n_facts, 2)``.
        n_nodes: How many nodes the graph has.
        specials: Token ids that are always candidates, int64 ``(s,)``.
        nodes: Nodes to draw per step, of those that have a fact.
        candidates: Further nodes to draw per step; all there are where they are fewer.
        generator: Draws both; each node is asked once before any is again, and at most ``nodes - 1`` are left out of a pass.
        dtype: Of the log weights.
    """

    def __init__(
        self, facts: Tensor, n_nodes: int, specials: Tensor, nodes: int, candidates: int, generator, dtype=torch.float32
    ):
        self.n_nodes, self.specials, self.nodes, self.candidates = n_nodes, specials, nodes, candidates
        self.generator, self.dtype, self.order = generator, dtype, facts.new_empty(0)
        self.tails = facts[facts[:, 0].argsort(stable=True), 1]  # the answers of node 0, of node 1, ...
        self.count = torch.bincount(facts[:, 0], minlength=n_nodes)
        self.first = self.count.cumsum(0) - self.count
        self.heads = self.count.nonzero().flatten()

    def draw(self) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Draw a step.

        Returns:
            The tokens whose rows it reads, int64 ``(c,)``, specials last; the place among them of every node that is asked,
            ``(nodes,)``; for every fact the number of its question and the place of its answer, ``(e,)``; and what to add to
            the logits of every candidate, ``(c,)``.
        """
        if len(self.order) < self.nodes:
            self.order = self._shuffled(len(self.heads))
        asked, self.order = self.heads[self.order[: self.nodes]], self.order[self.nodes :]
        count = self.count[asked]
        question = torch.arange(len(asked), device=asked.device).repeat_interleave(count)
        skipped = (self.first[asked] - count.cumsum(0) + count).repeat_interleave(count)
        near, place = torch.unique(torch.cat([asked, self.tails[skipped + torch.arange(len(skipped), device=asked.device)]]),
                                   return_inverse=True)  # fmt: skip
        others = torch.ones(self.n_nodes, dtype=torch.bool, device=asked.device)
        others[near] = False
        order = self._shuffled(self.n_nodes)
        far = order[others[order]][: self.candidates]
        tokens = torch.cat([near, far, self.specials])
        weights = torch.zeros(len(tokens), dtype=self.dtype, device=asked.device)
        if len(far):
            weights[len(near) : len(near) + len(far)] = math.log((self.n_nodes - len(near)) / len(far))
        return tokens, place[: len(asked)], question, place[len(asked) :], weights

    def _shuffled(self, n: int) -> Tensor:
        """Return 0 to n - 1 in random order."""
        return torch.randperm(n, generator=self.generator, device=self.specials.device)


class NodeSteps(DrawnSteps):
    """Take the steps of a recipe whose stages draw nodes.

    Args:
        model: The model, on its device.
        task: A task that ``check_nodes`` has accepted.
        recipe: All stages.
        generator: Draws the nodes.
    """

    def __init__(self, model: SequenceModel, task, recipe, generator: torch.Generator):
        n, device, stage = task.graph.n_nodes, model.embedding.device, recipe[0]
        specials = torch.arange(n, task.vocabulary.n_tokens, device=device)
        self.edge = task.vocabulary.EDGE - task.vocabulary.n_tokens  # its place among the tokens, from their end
        sizes: dict[str, Any] = dict(nodes=stage.nodes, candidates=stage.candidates, generator=generator)
        sizes |= {"dtype": model.embedding.dtype}
        self.draws = Neighbourhoods(task.edges[:, 1:].to(device), n, specials, **sizes)
        read = min(n, stage.nodes * (1 + len(task.edges) / len(self.draws.heads)) + stage.candidates)
        super().__init__(model, recipe, self.draws, {"always": len(specials), "gap": n / read})

    def loss(self, stage) -> Tensor:
        """Draw nodes and return the mean loss of their facts."""
        tokens, asked, question, answer, weights = self.draws.draw()
        rows = self.read(tokens)
        questions = Questions(weights, question, answer, len(asked))
        inputs = torch.stack([torch.full_like(asked, len(tokens) + self.edge), asked], 1)
        loss = questions.loss(self.model.hidden(inputs, 1, None, rows)[:, 0], rows)
        return loss + stage.node2vec * questions.loss(rows[asked], rows) if stage.node2vec else loss


def check_nodes(model: SequenceModel, task, recipe, compile) -> None:
    """Raise a ValueError if a recipe that draws nodes cannot be trained, before any training starts."""
    stage = recipe[0]
    kind = stage.nodes, stage.candidates, stage.table
    if any((other.nodes, other.candidates, other.table) != kind for other in recipe):
        raise ValueError("nodes, candidates and table must be the same in all stages of a recipe, because one optimiser "
                         "serves them all.")  # fmt: skip
    if not stage.nodes:
        return
    if not isinstance(task, GraphTask):
        raise ValueError(f"nodes must be 0 for {task!r}, got {stage.nodes}: it has no graph to draw them from.")
    there = len(task.edges[:, 1].unique())
    if stage.nodes > there:
        raise ValueError(f"nodes must be at most the {there} that have a fact to train, got {stage.nodes}. Lower it.")
    if any(other.paths for other in recipe):
        raise ValueError("paths must be 0 in a recipe that draws nodes: its steps train the facts alone.")
    if model.untied is not None:
        raise ValueError(f"nodes must be 0 for an untied model, got {stage.nodes}: the rows it draws are of one table.")
    if compile:
        raise ValueError(f"compile must be False where a stage draws nodes, got {compile!r}.")
