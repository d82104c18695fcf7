"""Swap two leaves on the map: their Fiedler components are exchanged, bit by bit, and the models' answers are read."""

from collections.abc import Mapping
from itertools import combinations

import torch
import traitlets

from .. import _checks
from ..measures.interventions import fiedler_components, first_hop_scores
from ..models import SequenceModel
from ..reporting import figures
from ..tasks import PathTask
from .base import Explorable, encoded, graph_data

NODES, LEAVES, LEVELS = 80, 12, 21
"""Of the largest star, of the leaves that can be paired, and of the shares of an exchange, from none to all of it."""


class Swap(Explorable):
    """Exchange the Fiedler components of two leaves, a part or all of them, and see which first hop each model answers.

    Every answer is a real one: for each pair of leaves and each share of the exchange the models are asked beforehand, with
    the changed table; the page only looks them up. The picture is the plane that the two components span, in which the
    exchange happens.

    Args:
        task: A ``PathTask`` with target "first", on a path-star of at most 80 nodes.
        models: One to three trained ``SequenceModel`` by name, all for this task: one that learned its table, and beside it
            one whose table is frozen, say.
        leaves: Leaf node ids that can be paired, 2 to 12; by default the first of those whose paths were trained.
        pair: The two leaves chosen first; by default the first two.

    Raises:
        TypeError: If ``task`` or ``models`` is of another kind.
        ValueError: If the task is another one, the star is too large, or ``leaves`` or ``pair`` are no such leaves.

    Source:
        Ours, as ``swap_fiedler``; there the whole component is exchanged.
    """

    one = traitlets.Int().tag(sync=True, reader=True)
    other = traitlets.Int().tag(sync=True, reader=True)
    level = traitlets.Int(0).tag(sync=True, reader=True)

    def __init__(self, task: PathTask, models: Mapping, *, leaves=None, pair=None):
        if not isinstance(task, PathTask):
            raise TypeError(f"task must be a PathTask, got {type(task).__name__}.")
        if task.target != "first":
            raise ValueError(f"task must have the target 'first', got {task.target!r}.")
        if not isinstance(models, Mapping) or not all(isinstance(model, SequenceModel) for model in models.values()):
            raise TypeError(f"models must be a dict of SequenceModel by name, got {models!r:.80}.")
        if not 1 <= len(models) <= 3:
            raise ValueError(f"models must hold one to three models, got {len(models)}.")
        g = task.graph
        if g.n_nodes > NODES:
            raise ValueError(f"task must have a star of at most {NODES} nodes in the page, got {g!r}. Take a smaller star.")
        leaves = task.train_leaves[:LEAVES].tolist() if leaves is None else _leaves(g, leaves)
        pair = leaves[:2] if pair is None else [_checks.integer("pair", leaf, least=0) for leaf in pair]
        if len(set(pair)) != 2 or not set(pair) <= set(leaves):
            raise ValueError(f"pair must be two different leaves of {leaves}, got {list(pair)}.")
        self._graph, self._pairs = g, list(combinations(range(len(leaves)), 2))
        own = g.paths_to(torch.tensor(leaves))[:, 1].contiguous()
        own = torch.searchsorted(g.first_hops, own)
        self._went, shown = {}, []
        for name, model in models.items():
            E = model.embedding[: g.n_nodes].detach().double()
            part, found = fiedler_components(E, g), self._asked(model, task, E, leaves)
            answers = found.argmax(-1)
            theirs = own[torch.tensor(self._pairs)][:, None].flip(-1)
            self._went[str(name)] = (answers == theirs).double().mean((0, 2))
            shown.append(
                {
                    "name": str(name),
                    "answers": encoded(answers, "uint8"),
                    "chances": encoded((255 * found.softmax(-1)).round(), "uint8"),
                    "table": encoded(E - E.mean(0), "float32"),
                    "parts": encoded(part[leaves], "float32"),
                }
            )
        data = {
            "graph": graph_data(g),
            "leaves": leaves,
            "hops": g.first_hops.tolist(),
            "own": own.tolist(),
            "models": shown,
        }
        super().__init__(kind="swap", data=data | {"levels": LEVELS}, one=leaves.index(pair[0]), other=leaves.index(pair[1]))

    def _asked(self, model, task, E, leaves):
        """Return the logits of all first hops, (pairs, levels, 2, d), with a growing share of each pair exchanged."""
        part, found = fiedler_components(E, task.graph), []
        for share in torch.linspace(0, 1, LEVELS, dtype=torch.float64):
            for pair in self._pairs:
                ids = torch.tensor([leaves[k] for k in pair])
                moved = E.index_add(0, ids, share * (part[ids.flip(0)] - part[ids]))
                found.append(first_hop_scores(model, task, ids, moved))
        return torch.stack(found).unflatten(0, (LEVELS, len(self._pairs))).transpose(0, 1).double()

    @traitlets.validate("one", "other", "level")
    def _in_range(self, proposal):
        name, value = proposal["trait"].name, proposal["value"]
        last = LEVELS - 1 if name == "level" else len(self.data["leaves"]) - 1
        if not 0 <= value <= last:
            raise traitlets.TraitError(f"{name} must lie in 0 to {last}, got {value}.")
        return value

    @property
    def alt(self) -> str:
        """Say what the poster shows."""
        ends = ", ".join(f"{name} {float(went[-1]):.0%}" for name, went in self._went.items())
        return (
            f"Share of answers that are the other leaf's first hop, over the share of the Fiedler components that is "
            f"exchanged, on {self._graph.name}; with all of it: {ends}"
        )

    def poster(self, figure) -> None:
        """Draw how many answers go with the exchange, over all pairs."""
        axes = figure.subplots(1, len(self._went), sharey=True, squeeze=False)[0]
        for ax, (name, went) in zip(axes, self._went.items(), strict=True):
            ax.plot(torch.linspace(0, 100, LEVELS), 100 * went, color=figures.COLORS["map"])
            ax.set_ylim(-4, 104)
            ax.spines[["top", "right"]].set_visible(False)
            ax.set_xlabel("exchanged, %", fontsize=8)
            figures.name(ax, name)
        figure.axes[0].set_ylabel("answers that are the other leaf's, %", fontsize=8)


def _leaves(graph, leaves) -> list[int]:
    found, ends = (
        [_checks.integer("leaves", leaf, least=0) for leaf in torch.as_tensor(leaves).tolist()],
        graph.leaves.tolist(),
    )
    if not 2 <= len(set(found)) == len(found) <= LEAVES or not set(found) <= set(ends):
        raise ValueError(f"leaves must be 2 to {LEAVES} different leaves of {graph!r}, got {found}.")
    return found
