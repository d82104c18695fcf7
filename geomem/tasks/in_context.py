"""The in-context version of the path task: every prompt contains a fresh graph."""

from dataclasses import dataclass

import torch
from torch import Tensor

from .. import _checks
from ..graphs import path_star
from .base import Vocabulary


@dataclass(frozen=True)
class PromptVocabulary(Vocabulary):
    """The tokens of the in-context task: one more, DUMMY, stands for every answer token in teacherless training."""

    @property
    def DUMMY(self) -> int:
        """The paper's `$`."""
        return self.n_nodes + 4

    @property
    def n_tokens(self) -> int:
        """Nodes and specials together."""
        return self.n_nodes + 5


def in_context_examples(
    degree: int, length: int, n: int, *, generator: torch.Generator, names: int | None = None, teacherless: bool = False
) -> tuple[Tensor, Tensor]:
    """Draw fresh path-stars, each with its edges in the prompt: ``u v u v ... [PATH] start goal``, then the path.

    Nothing can be memorised, because node names, the order of edges, and the goal are drawn anew for every example.

    Args:
        degree: Arms of each graph.
        length: Nodes of a path, the root included.
        n: How many examples.
        generator: Draws them, on its device.
        names: How many node names there are, at least those of a graph; by default just those.
        teacherless: Replace the answer's tokens in the input by DUMMY, so that none can be read off.

    Returns:
        Inputs, int64 ``(n, 2 * n_edges + 3 + length - 1)``, and targets ``(n, length)``, root to goal: logits at the last
        ``length`` positions answer.

    Raises:
        TypeError: If a size is not an integer.
        ValueError: If a size is out of range, or names are fewer than nodes.

    Source:
        Bachmann & Nagarajan (arXiv 2403.06963); the paper's in-context twin.

    Example:
        >>> inputs, targets = in_context_examples(2, 3, 4, generator=torch.Generator().manual_seed(0))
        >>> inputs.shape, targets.shape, bool((inputs[:, 9] == targets[:, 0]).all())  # the start is given
        (torch.Size([4, 13]), torch.Size([4, 3]), True)
    """
    g = path_star(degree, length)
    names = g.n_nodes if names is None else _checks.integer("names", names, least=g.n_nodes)
    n = _checks.integer("n", n, least=0)
    device, words = generator.device, PromptVocabulary(names)

    def order(k: int, kept: int) -> Tensor:
        return torch.rand(n, k, generator=generator, device=device, dtype=torch.float32).argsort(1)[:, :kept]

    name = order(names, g.n_nodes)
    shown = g.edges.to(device)[order(g.n_edges, g.n_edges)].flatten(1)
    arm = torch.randint(degree, (n,), generator=generator, device=device)
    answer = name.gather(1, g.paths.to(device)[arm])
    tag = answer.new_full((n, 1), words.PATH)
    given = torch.full_like(answer[:, :-1], words.DUMMY) if teacherless else answer[:, :-1]
    return torch.cat([name.gather(1, shown), tag, answer[:, :1], answer[:, -1:], given], dim=1), answer


class InContextTask:
    """The in-context version of the path task: each prompt contains a freshly drawn graph.

    Args:
        degree: Arms of each graph.
        length: Nodes of a path, at least 3.
        names: How many node names there are; by default as many as a graph has nodes.
        teacherless: Train and test without the answer's own tokens in the input.
        n_held: Examples to evaluate on, for validation and test each.
        seed: Draws these.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If an argument is out of range.

    Source:
        Bachmann & Nagarajan (arXiv 2403.06963); the paper's in-context twin.

    Example:
        >>> task = InContextTask(2, 5)
        >>> task.chance, task.vocabulary.n_tokens, {name: len(inputs) for name, (inputs, _) in task.held().items()}
        (0.5, 14, {'validation': 1000, 'test': 1000})
    """

    n_paths = None
    """Unlimited: each is drawn afresh."""

    def __init__(
        self,
        degree: int,
        length: int,
        *,
        names: int | None = None,
        teacherless: bool = False,
        n_held: int = 1000,
        seed: int = 0,
    ):
        self.degree = _checks.integer("degree", degree, least=2, hint="With one arm there is nothing to choose.")
        self.length = _checks.integer("length", length, least=3)
        nodes = degree * (length - 1) + 1
        self.names = nodes if names is None else _checks.integer("names", names, least=nodes)
        self.teacherless = _checks.boolean("teacherless", teacherless)
        self.n_held = _checks.integer("n_held", n_held, least=1)
        self.seed = _checks.seed_of("seed", seed)

    def __repr__(self) -> str:
        return f"InContextTask({self.degree}, {self.length}, names={self.names}, teacherless={self.teacherless})"

    @property
    def n_targets(self) -> int:
        """Tokens of an answer."""
        return self.length

    @property
    def chance(self) -> float:
        """Accuracy of guessing the first hop."""
        return 1 / self.degree

    @property
    def vocabulary(self) -> PromptVocabulary:
        """The tokens."""
        return PromptVocabulary(self.names)

    @property
    def context(self) -> int:
        """Length of the inputs."""
        return 2 * self.degree * (self.length - 1) + self.length + 2

    @property
    def settings(self) -> dict:
        """All that defines the task, for a file."""
        names = ("degree", "length", "names", "teacherless", "n_held", "seed")
        return {"kind": "in-context"} | {name: getattr(self, name) for name in names}

    def tensors(self) -> dict[str, Tensor]:
        """Nothing: there is no graph to keep."""
        return {}

    @classmethod
    def restore(cls, tensors: dict[str, Tensor], settings: dict) -> "InContextTask":
        """Make the task again from its settings."""
        given = {name: value for name, value in settings.items() if name not in ("kind", "degree", "length")}
        return cls(settings["degree"], settings["length"], **given)

    def source(self, generator: torch.Generator) -> "InContextTask.Fresh":
        """Return what draws fresh examples, on the generator's device."""
        return InContextTask.Fresh(self, generator)

    def held(self) -> dict[str, tuple[Tensor, Tensor]]:
        """The examples to evaluate on, by split."""
        generator = torch.Generator().manual_seed(self.seed)
        return {name: self._draw(self.n_held, generator) for name in ("validation", "test")}

    def _draw(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        settings = {"generator": generator, "names": self.names, "teacherless": self.teacherless}
        return in_context_examples(self.degree, self.length, n, **settings)

    class Fresh:
        """Draw examples that were never drawn before."""

        def __init__(self, task: "InContextTask", generator: torch.Generator):
            self.task, self.generator = task, generator

        def draw(self, k: int) -> tuple[Tensor, Tensor]:
            """Return k fresh inputs and targets."""
            return self.task._draw(k, self.generator)

        def state(self) -> None:
            """Nothing to keep: the generator alone decides what comes next."""

        def resume(self, state: Tensor | None) -> None:
            """Nothing to resume."""
