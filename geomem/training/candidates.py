"""Cheap steps on large path-stars: a step draws a few whole arms and trains only on their rows of the table.

A step draws k of the star's d arms. Their facts, and the paths of those among them that are trained, are its examples; their
nodes, the root and the special tokens are its candidates, in place of all tokens. Arms that were not drawn are like the
drawn ones: in a question's softmax, the nodes of *other* drawn arms count (d - 1) / (k - 1) times, so the partition
function is right on average over draws, and exact when all arms are drawn. Hard negatives, a question's own arm, are
always among the candidates.

So a step is one on a small star of k arms, numbered the same way every time; only the rows of the table it uses change.
"""

import math

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..models import SequenceModel
from ..spectral import path_star_arms
from .lazy import TABLES, LazyRMS


class Arms:
    """Draw k arms of a star, and number them as a small star: arm by arm from the root, then the root, then the specials.

    Args:
        paths: The star's paths, root to leaf, int64 ``(d, l)``.
        specials: Token ids that are always candidates, int64 ``(s,)``.
        k: Arms per step, 2 to d.
        generator: Draws the arms, each once before any is drawn again; at most k - 1 are left out of a pass.
        dtype: Of the log weights.
    """

    def __init__(self, paths: Tensor, specials: Tensor, k: int, generator: torch.Generator, dtype=torch.float32):
        self.d, self.k, device = len(paths), k, paths.device
        self.nodes, self.root, self.specials, self.generator = paths[:, 1:], paths[0, :1], specials, generator
        self.order = paths.new_empty(0)
        m = paths.shape[1] - 1
        self.n_nodes = k * m + 1
        small = torch.arange(k * m, device=device).reshape(k, m)
        self.small = torch.cat([torch.full_like(small[:, :1], k * m), small], 1)  # the small star's paths
        self.edges = torch.stack([self.small[:, :-1].flatten(), self.small[:, 1:].flatten()], 1)
        always = torch.full((1 + len(specials),), -1, device=device)
        self.arm = torch.cat([torch.arange(k, device=device).repeat_interleave(m), always])
        asked = torch.cat([torch.arange(k, device=device), always[:1]])[:, None]
        other = torch.where(asked < 0, math.log(self.d / k), math.log((self.d - 1) / (k - 1)))
        self.weights = (other * ((asked != self.arm) & (self.arm >= 0))).to(dtype)

    def draw(self) -> tuple[Tensor, Tensor]:
        """Return the drawn arms, int64 ``(k,)``, and the tokens whose rows they use, int64 ``(c,)``."""
        if len(self.order) < self.k:
            self.order = torch.randperm(self.d, generator=self.generator, device=self.nodes.device)
        arms, self.order = self.order[: self.k], self.order[self.k :]
        return arms, torch.cat([self.nodes[arms].flatten(), self.root, self.specials])

    def log_weights(self, arm: Tensor) -> Tensor:
        """Return what to add to the logits of each question, ``(q, c)``.

        Args:
            arm: The drawn arm that each question lies in, from 0 to k - 1, or -1 for the root's own.
        """
        return self.weights[arm]


class _WeighedSoftmax(torch.autograd.Function):
    """``sum_q mass_q logsumexp_c(z_qc + log_weights_qc) - sum_e weight_e z_e``, loss and gradients in one pass."""

    @staticmethod
    def forward(ctx, hidden, table, log_weights, mass, flat, weight, given):
        logits = torch.addmm(log_weights, hidden, table.mT)
        top = logits.amax(1, keepdim=True)
        answers = (logits.view(-1)[flat] - given) @ weight
        total = logits.sub_(top).exp_().sum(1, keepdim=True)
        loss = mass @ (total.log() + top).squeeze(1) - answers
        logits.mul_(mass[:, None] / total)
        logits.view(-1).index_add_(0, flat, -weight)
        ctx.save_for_backward(logits @ table, logits.mT @ hidden)
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx, above):
        return *(above * g for g in ctx.saved_tensors), None, None, None, None, None


class Questions:
    """Hold questions with their answers, and what their softmax needs.

    Args:
        log_weights: What to add to the logits, ``(q, c)``, or ``(c,)`` for all questions alike.
        asked: The row of the question of each pair, int64 ``(e,)``.
        answer: The candidate that answers it, int64 ``(e,)``.
        n: How many questions there are, q.
    """

    def __init__(self, log_weights: Tensor, asked: Tensor, answer: Tensor, n: int):
        self.log_weights, c = log_weights, log_weights.shape[-1]
        self.weight = log_weights.new_full((len(asked),), 1 / max(len(asked), 1))
        self.mass = log_weights.new_zeros(n).index_add_(0, asked, self.weight)
        self.flat, self.given = asked * c + answer, log_weights.expand(n, c)[asked, answer]

    def loss(self, hidden: Tensor, table: Tensor) -> Tensor:
        """Return the mean loss of all pairs; sums are never of less than the table's precision."""
        fixed = self.log_weights, self.mass, self.flat, self.weight, self.given
        with torch.autocast(hidden.device.type, enabled=False):
            return _WeighedSoftmax.apply(hidden.to(table.dtype), table, *fixed)


def facts(arms: Arms) -> Questions:
    """Return the directed edges of the small star as questions, one per node: the answers of a node share its logits."""
    both = torch.cat([arms.edges, arms.edges.flip(1)])
    return Questions(arms.log_weights(arms.arm[: arms.n_nodes]), both[:, 0], both[:, 1], arms.n_nodes)


class DrawnSteps:
    """Take the steps of a recipe whose stages read a few rows of the table: the loss of each, and the table's own optimiser.

    The model's table is left as it was between two calls of ``sync``: what is trained lies in the lazy optimiser.

    Args:
        model: The model, on its device.
        recipe: All stages.
        draws: What draws, and keeps in ``order`` what is still to be drawn before any is drawn again.
        often: What ``LazyRMS`` has to know.
    """

    tokens: Tensor
    rows: Tensor

    def __init__(self, model: SequenceModel, recipe, draws, often: dict):
        self.model, self.step, self.draws = model, 0, draws
        rates = [stage.rate(k) for stage in recipe for k in range(stage.steps)]
        decays = [stage.weight_decay if stage.decay is None else stage.decay for stage in recipe for _ in range(stage.steps)]
        kind = TABLES[recipe[0].table]
        self.lazy = kind(model.embedding, rates, decays, **(often if kind is LazyRMS else {}))

    def read(self, tokens: Tensor) -> Tensor:
        """Return the rows of the tokens that a step reads, ready to take a gradient."""
        self.tokens = tokens
        frozen = not self.model.embedding.requires_grad  # then nothing decays either
        self.rows = self.model.embedding[tokens] if frozen else self.lazy.read(tokens, self.step).requires_grad_()
        return self.rows

    def update(self) -> None:
        """Apply the gradient to the table."""
        if self.rows.grad is not None:
            self.lazy.step(self.tokens, self.rows.grad, self.step)
        self.step += 1

    @torch.no_grad()
    def sync(self) -> None:
        """Copy the trained rows into the model's table, so that it can be read; later steps are not affected."""
        if self.model.embedding.requires_grad:
            self.model.embedding.copy_(self.lazy.whole(self.step))

    def tensors(self) -> dict[str, Tensor]:
        """Return the tensors that training changes, for a checkpoint."""
        return {"arms.order": self.draws.order} | {f"arms.{name}": value for name, value in self.lazy.tensors().items()}

    def restore(self, tensors: dict[str, Tensor], step: int) -> None:
        """Continue from these tensors after ``step`` steps; their names come without "arms."."""
        self.draws.order, self.step = tensors["order"].to(self.model.embedding.device), step
        self.lazy.restore(tensors)


class ArmSteps(DrawnSteps):
    """Take the steps of a recipe whose stages draw arms.

    Args:
        model: The model, on its device.
        task: A task that ``check`` has accepted.
        recipe: All stages.
        generator: Draws the arms.
    """

    def __init__(self, model: SequenceModel, task, recipe, generator: torch.Generator):
        graph, words, device = task.graph, task.vocabulary, model.embedding.device
        specials = torch.arange(graph.n_nodes, words.n_tokens, device=device)
        self.arms = arms = Arms(graph.paths.to(device), specials, recipe[0].arms, generator, model.embedding.dtype)
        super().__init__(model, recipe, arms, {"always": 1 + len(specials), "gap": arms.d / arms.k})
        self.facts, nodes = facts(arms), torch.arange(arms.n_nodes, device=device)
        small = type(words)(arms.n_nodes)
        self.asked = torch.stack([torch.full_like(nodes, small.EDGE), nodes], 1)
        if task.n_paths:
            drawn, tokens = graph.paths[: arms.k, -1], torch.cat([graph.paths[: arms.k, 1:].flatten(), arms.root.cpu()])
            number = torch.empty(words.n_tokens, dtype=torch.int64)
            number[torch.cat([tokens, specials.cpu()])] = torch.arange(small.n_tokens)
            self.paths = tuple(number[part].to(device) for part in task.examples(drawn))  # the same for all draws
            self.trained = torch.isin(graph.paths[:, -1], task.train_leaves).to(device)

    def loss(self, stage) -> Tensor:
        """Draw arms and return the loss on them."""
        drawn, tokens = self.arms.draw()
        rows = self.read(tokens)
        loss = self.facts.loss(self.model.hidden(self.asked, 1, None, rows)[:, 0], rows)
        if stage.paths:
            loss = loss + stage.path_weight * self._paths(drawn, rows, stage.paths)
        if stage.node2vec:
            loss = loss + stage.node2vec * self.facts.loss(rows[: self.arms.n_nodes], rows)
        return loss

    def _paths(self, drawn: Tensor, rows: Tensor, most: int) -> Tensor:
        """Return the mean loss of the drawn arms' paths that are trained, at most ``most`` of them."""
        kept = self.trained[drawn].nonzero().flatten()[:most]
        inputs, targets = (part[kept] for part in self.paths)
        hidden = self.model.hidden(inputs, targets.shape[1], None, rows).flatten(0, 1)
        weights = self.arms.log_weights(kept.repeat_interleave(targets.shape[1]))
        asked = torch.arange(targets.numel(), device=targets.device)
        return Questions(weights, asked, targets.flatten(), len(asked)).loss(hidden, rows)


def check(model: SequenceModel, task, recipe, compile) -> None:
    """Raise a ValueError if a recipe with arms cannot be trained, before any training starts."""
    k = recipe[0].arms
    if any((stage.arms, stage.table) != (k, recipe[0].table) for stage in recipe):
        raise ValueError("arms and table must be the same in all stages of a recipe, because one optimiser serves them all.")
    if not k:
        return
    if not hasattr(task, "graph"):
        raise ValueError(f"arms must be 0 for {task!r}, got {k}: it has no star to draw them from.")
    try:
        path_star_arms(task.graph)
    except ValueError:
        raise ValueError(f"arms must be 0 unless the graph is a path-star, got {k} for {task.graph!r}.") from None
    if not 2 <= k <= len(task.graph.paths):
        raise ValueError(f"arms must lie in 2 to {len(task.graph.paths)}, all the star has, got {k}.")
    if len(task.edges) != 2 * task.graph.n_edges or task.self_edges:
        raise ValueError(f"arms must be 0 unless both directions of all edges are trained and nothing else, got {k}.")
    if model.untied is not None:
        raise ValueError(f"arms must be 0 for an untied model, got {k}: the rows it draws are of one table.")
    if compile:
        raise ValueError(f"compile must be False where a stage draws arms, got {compile!r}.")
