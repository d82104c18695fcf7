"""Change what a trained model knows: add a fact by gradient steps, or remove one by gradient ascent."""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from .. import _checks
from ..graphs import Graph, require_graph
from ..measures import recalled_facts
from ..models import SequenceModel
from ..tasks import Vocabulary
from .ensemble import BETAS, EPS


@dataclass(frozen=True, eq=False)
class Edited:
    """Hold a model after an edit, and how the edit went.

    Args:
        model: The edited model, a copy.
        steps: Gradient steps taken.
        reached: Whether the goal was reached within them.
        scores: Logits over the nodes, v given u at ``[u, v]``, ``(n, n)``.
    """

    model: SequenceModel
    steps: int
    reached: bool
    scores: Tensor

    def __repr__(self) -> str:
        return f"Edited({self.model.settings['core']!r}, {self.steps} steps, reached={self.reached})"


Goal = Callable[[Tensor], bool]
"""What ends an edit: a function of the scores ``(n, n)`` that says whether the goal is reached."""


def fact_scores(model: SequenceModel, n_nodes: int) -> Tensor:
    """Return what a model answers when it is asked for the neighbours of each node, logits ``(n, n)``.

    Args:
        model: A model with the vocabulary of a graph of ``n_nodes`` nodes.
        n_nodes: Number of nodes.

    Raises:
        ValueError: If the model has another vocabulary.

    Source:
        Paper, in-weights task: the question is ``[EDGE] u``.

    Example:
        >>> fact_scores(SequenceModel(Vocabulary(4).n_tokens, width=8), 4).shape
        torch.Size([4, 4])
    """
    vocabulary = Vocabulary(n_nodes)
    if len(model.embedding) != vocabulary.n_tokens:
        raise ValueError(f"model must have {vocabulary.n_tokens} tokens for {n_nodes} nodes, got {len(model.embedding)}. "
                         "Ask it about its own graph.")  # fmt: skip
    nodes = torch.arange(n_nodes)
    return model(torch.stack([torch.full_like(nodes, vocabulary.EDGE), nodes], dim=1), 1)[:, 0, :n_nodes]


def edit_facts(
    model: SequenceModel,
    graph: Graph,
    facts,
    *,
    rehearse: bool = False,
    lr: float = 0.003,
    steps: int = 500,
    until: Goal | None = None,
) -> Edited:
    """Write facts into a trained model by gradient steps, until it recalls them.

    Alone, a step lowers the mean cross-entropy of the new facts and knows of nothing else. With rehearsal the mean over all
    other facts of the graph is added.

    Args:
        model: A trained model; it is copied.
        graph: The graph as it shall be: it has the new facts, and no longer those that they replace.
        facts: New facts u, v, int64 ``(k, 2)``; an edge is two of them.
        rehearse: Train the other facts of ``graph`` too.
        lr: Rate of AdamW without decay, > 0.
        steps: Most steps, at least 1.
        until: The goal; by default that all ``facts`` are recalled (``recalled_facts``). With rehearsal, the other facts of
            ``graph`` must be recalled as well.

    Returns:
        The edited model. Where the goal is reached at once, no step is taken.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, or a fact is none of the graph's.

    Source:
        Ours.

    Example:
        >>> from geomem.graphs import cycle
        >>> model = SequenceModel(Vocabulary(5).n_tokens, core="identity", width=8)
        >>> edit_facts(model, cycle(5), [(0, 1), (1, 0)]).reached
        True
    """
    facts, others = _split(graph, facts, kept=True)

    def goal(scores: Tensor) -> bool:
        return _recalled(scores, graph, facts) if until is None else until(scores)

    return _descend(model, graph, (facts, others if rehearse else others[:0]), 1.0, lr, steps, goal)


def forget_facts(
    model: SequenceModel,
    graph: Graph,
    facts,
    *,
    rehearse: bool = False,
    lr: float = 0.003,
    steps: int = 500,
    until: Goal | None = None,
) -> Edited:
    """Remove facts from a trained model by gradient ascent on their loss, until it gives them no more often than by chance.

    Args:
        model: A trained model; it is copied.
        graph: The graph as it shall be, without the facts.
        facts: Facts u, v to forget, int64 ``(k, 2)``.
        rehearse: Train the facts of ``graph`` too.
        lr: Rate of AdamW without decay, > 0.
        steps: Most steps, at least 1.
        until: The goal; by default that every fact's probability is at most 1 / n, the chance of a node among all. While
            it holds there is no ascent. With rehearsal, the facts of ``graph`` must be recalled as well.

    Returns:
        The model that forgot.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range, or a fact is still one of the graph's.

    Source:
        Ascent is the baseline of the unlearning literature; the goal is ours.

    Example:
        >>> from geomem.graphs import Graph, cycle
        >>> model = SequenceModel(Vocabulary(5).n_tokens, core="identity", width=8)
        >>> known = edit_facts(model, cycle(5), [(0, 4), (4, 0)]).model
        >>> forget_facts(known, Graph(n_nodes=5, edges=[(0, 1), (1, 2), (2, 3), (3, 4)]), [(0, 4), (4, 0)]).reached
        True
    """
    facts, others = _split(graph, facts, kept=False)

    def chance(scores: Tensor) -> bool:
        logs = torch.log_softmax(scores.double(), -1)[facts[:, 0], facts[:, 1]]
        return bool((logs.exp() * len(scores) <= 1 + 1e-9).all())

    return _descend(model, graph, (facts, others if rehearse else others[:0]), -1.0, lr, steps, until or chance)


def _recalled(scores: Tensor, graph: Graph, facts: Tensor) -> bool:
    return bool((recalled_facts(scores, graph)[facts[:, 0], facts[:, 1]] == 1).all())


def _split(graph: Graph, facts, *, kept: bool) -> tuple[Tensor, Tensor]:
    """Return the facts that the edit names and all others of the graph, both directions."""
    facts = torch.as_tensor(facts).reshape(-1, 2).to(torch.int64)
    n, known = require_graph(graph).n_nodes, graph.directed_edges()
    if not len(facts) or int(facts.min()) < 0 or int(facts.max()) >= n:
        raise ValueError(f"facts must be one or more pairs of nodes in 0 to {n - 1}, got {facts.tolist()}.")
    there = torch.isin(facts @ torch.tensor([n, 1]), known @ torch.tensor([n, 1]))
    if bool((there != kept).any()):
        pair, must = facts[there != kept][0].tolist(), "be facts of" if kept else "be gone from"
        raise ValueError(f"facts must {must} the graph, which is the one after the edit, got {pair}. Make that graph first.")
    return facts, known[~torch.isin(known @ torch.tensor([n, 1]), facts @ torch.tensor([n, 1]))]


def _descend(model, graph, parts, sign: float, lr, steps, goal: Goal) -> Edited:
    """Take steps on the named facts, up or down, and down on the rehearsed ones, until the goal holds."""
    if not isinstance(model, SequenceModel):
        raise TypeError(f"model must be a SequenceModel, got {type(model).__name__}.")
    lr, steps = _checks.real("lr", lr, above=0), _checks.integer("steps", steps, least=1)
    model = copy.deepcopy(model)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr, BETAS, EPS, weight_decay=0.0)
    named, others = parts
    for step in range(steps + 1):
        scores = fact_scores(model, graph.n_nodes)
        there = goal(scores.detach())
        if (done := there and (not len(others) or _recalled(scores, graph, others))) or step == steps:
            break
        logs = torch.log_softmax(scores, -1)
        asked = [(others, 1.0)] if len(others) else []
        if sign > 0 or not there:  # ascent has no end of its own: it acts only while its goal is not met
            asked.append((named, sign))
        loss = torch.stack([-weight * logs[some[:, 0], some[:, 1]].mean() for some, weight in asked]).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return Edited(model, step, done, scores.detach())
