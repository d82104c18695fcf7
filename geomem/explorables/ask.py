"""Ask the memory: pick two nodes and see how every memory scores the pair."""

from collections.abc import Mapping

import numpy as np
import torch
import traitlets
from matplotlib.ticker import MaxNLocator
from scipy.stats import rankdata

from .. import _checks
from ..graphs import Graph, node_table, require_graph
from ..measures import COSINE_TIE, ROUNDING, cosines
from ..memories import Memory
from ..reporting import figures
from .base import Explorable, encoded, graph_data

MOST = 60
"""Nodes of the largest graph: its pairs are all in the page."""
COLORS = figures.COLORS | dict.fromkeys(("heat kernel", "path-star", "Fiedler"), figures.COLORS["map"])
"""By a memory's name here, or by the name it was made with."""
LOGIT, SIMILARITY, COSINE = "logit E_u W E_v", "similarity E_u · E_v", "cosine of E_u and E_v"


class Ask(Explorable):
    """Pick two nodes; see how each memory scores the pair, and how it ranks the second among all answers to the first.

    Args:
        graph: The graph, at most 60 nodes.
        memories: By name: a ``Memory``, or a pair of a trained model's logits ``(n, n)`` and its embedding ``(n, m)``.
        source: The node whose neighbours are asked for.
        target: The node it is paired with; by default the farthest one that can be reached.

    Raises:
        TypeError: If a memory is neither.
        ValueError: If the graph is too large, a memory does not fit it, or the nodes are the same.

    Source:
        Ours. Ranks are 1 for the highest score, the node itself left out, ties by expectation.
    """

    source = traitlets.Int().tag(sync=True, reader=True)
    target = traitlets.Int().tag(sync=True, reader=True)

    def __init__(self, graph: Graph, memories: Mapping, *, source: int = 0, target: int | None = None):
        require_graph(graph)
        if graph.n_nodes > MOST:
            raise ValueError(f"graph must have at most {MOST} nodes in the page, got {graph.n_nodes}. Take a smaller graph.")
        if not isinstance(memories, Mapping) or not memories:
            raise TypeError(f"memories must be a dict of at least one memory by name, got {memories!r:.80}.")
        hops = graph.hops()
        source = _node("source", source, graph)
        target = _node("target", int(hops[source].argmax()) if target is None else target, graph)
        if source == target:
            raise ValueError(f"source and target must differ, got {source} for both. A pair has two nodes.")
        self._graph, self._rows = (
            graph,
            [row for name, memory in memories.items() for row in _rows(str(name), memory, graph)],
        )
        away = torch.where(hops < 0, graph.n_nodes, hops).double()
        data = {
            "graph": graph_data(graph),
            "hops": encoded(hops, "int8"),
            "hop_ranks": encoded(2 * ranks(-away, 0.5), "uint8"),
            "memories": [
                {"name": name, "what": what, "scores": encoded(scores, "float32"), "ranks": encoded(2 * order, "uint8")}
                | {"color": COLORS.get(name) or COLORS.get(kind) or figures.SERIES[0]}
                for name, what, scores, order, kind in self._rows
            ],
        }
        super().__init__(kind="ask", data=data, source=source, target=target)

    @traitlets.validate("source", "target")
    def _is_node(self, proposal):
        n = len(self.data["graph"]["labels"])
        if not 0 <= proposal["value"] < n:
            raise traitlets.TraitError(f"{proposal['trait'].name} must be a node, 0 to {n - 1}, got {proposal['value']}.")
        return proposal["value"]

    @property
    def alt(self) -> str:
        """Say what the poster shows."""
        names = ", ".join(dict.fromkeys(row[0] for row in self._rows))
        return f"Scores of all nodes of {self._graph.name} for one of them, by hop distance, in these memories: {names}"

    def poster(self, figure) -> None:
        """Draw the scores of all other nodes, sorted by hop distance."""
        g, source = self._graph, self.source
        hops = g.hops()[source]
        order = sorted((v for v in range(g.n_nodes) if v != source), key=lambda v: (int(hops[v]) % (g.n_nodes + 1), v))
        axes = figure.subplots(1, len(self._rows) + 1)
        figures.name(figures.draw_graph(g, axes[0]), g.name)
        for ax, (name, what, scores, *_), entry in zip(axes[1:], self._rows, self.data["memories"], strict=True):
            ax.bar(range(len(order)), scores[source, order].numpy(), color=entry["color"])
            ax.set_xlabel(f"other nodes, near to far from {g.labels[source]}", fontsize=8, parse_math=False)
            ax.spines[["top", "right"]].set_visible(False)
            ax.xaxis.set_major_locator(MaxNLocator(4, integer=True))
            figures.name(ax, f"{name}, cosine" if what == COSINE else name)


def ranks(scores, tie: float):
    """Return the rank of v among all other nodes for u at ``[u, v]``, 1 the highest, ties by expectation; itself 0.

    Args:
        scores: ``(n, n)``.
        tie: Scores that agree when they are rounded to whole multiples of it are tied.
    """
    steps, n = np.round(np.asarray(scores, dtype=float) / tie), len(scores)
    order = np.zeros((n, n))
    for u in range(n):
        others = np.arange(n) != u
        order[u, others] = rankdata(-steps[u, others], method="average")
    return order


def _rows(name: str, memory, graph: Graph):
    """Yield what is shown of one memory: its name, what its score is, scores, ranks, and its kind."""
    if isinstance(memory, Memory):
        scores = node_table(f"the scores of {name!r}", memory.scores(), graph, columns=graph.n_nodes)
        yield name, SIMILARITY if memory.core is None else LOGIT, scores, _ranked(scores), memory.name
        return
    if not isinstance(memory, tuple | list) or len(memory) != 2:
        raise TypeError(f"the memory {name!r} must be a Memory, or a pair (logits, embedding), got {type(memory).__name__}.")
    scores = node_table(f"the scores of {name!r}", memory[0], graph, columns=graph.n_nodes)
    yield name, "logit", scores, _ranked(scores), name
    cosine = cosines(node_table(f"the embedding of {name!r}", memory[1], graph))
    yield name, COSINE, cosine, ranks(cosine, COSINE_TIE), name


def _ranked(scores):
    """Return ranks of scores that are tied when they differ by rounding."""
    return ranks(scores, ROUNDING * (float(scores.abs().max()) or 1.0))


def _node(name: str, node, graph: Graph) -> int:
    node = _checks.integer(name, node, least=0)
    if node >= graph.n_nodes:
        raise ValueError(f"{name} must be a node, 0 to {graph.n_nodes - 1}, got {node}.")
    return node
