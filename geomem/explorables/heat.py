"""The dial between look-up and map: heat spreads on a graph, and the reader turns the time."""

import traitlets

from .. import _checks
from ..graphs import Graph
from ..measures import cosines, edge_recall
from ..memories import heat_kernel_memory, largest_heat_time
from ..reporting import figures
from .base import Explorable, graph_data, graph_of

NODES = 40
"""The largest graph whose table is drawn in the page."""
LOW, HIGH = 0.1, 20.0
"""Ends of the dial."""


class Heat(Explorable):
    """Turn the time of ``heat_kernel_memory``: all cosines and a node's scores by hops go from look-up to map.

    Args:
        graph: A graph of at most 40 nodes: a name in ``FAMILIES``, or a ``Graph``.
        t: The time at first, 0.1 to 20; by default the largest listed one at which every edge is recalled, else 1.
        node: The node whose scores are shown.

    Raises:
        TypeError: If an argument is of the wrong type.
        ValueError: If an argument is out of range, or the graph is too large.

    Source:
        Ours; the page solves the same eigenproblem, nothing is trained.
    """

    t = traitlets.Float().tag(sync=True, reader=True)
    node = traitlets.Int().tag(sync=True, reader=True)

    def __init__(self, graph: str | Graph = "path_star", *, t: float | None = None, node: int = 0):
        g = graph_of(graph)
        if g.n_nodes > NODES:
            raise ValueError(
                f"graph must have at most {NODES} nodes in the page, got {g!r}. Use heat_kernel_memory for more."
            )
        self._graph, edge = g, _edge(g)
        t = (edge or 1.0) if t is None else _in_range(t)
        if _checks.integer("node", node, least=0) >= g.n_nodes:
            raise ValueError(f"node must be a node, 0 to {g.n_nodes - 1}, got {node}.")
        data = {"graph": graph_data(g), "edge": edge, "low": LOW, "high": HIGH}
        super().__init__(kind="heat", data=data, t=t, node=node)

    @traitlets.validate("t")
    def _is_time(self, proposal):
        return _in_range(proposal["value"])

    @traitlets.validate("node")
    def _is_node(self, proposal):
        if not 0 <= proposal["value"] < self._graph.n_nodes:
            raise traitlets.TraitError(f"node must be a node, 0 to {self._graph.n_nodes - 1}, got {proposal['value']}.")
        return proposal["value"]

    @property
    def _times(self) -> list[float]:
        return sorted({LOW, self.data["edge"] or 1.0, HIGH})

    @property
    def alt(self) -> str:
        """Say what the poster shows."""
        times = ", ".join(f"{t:g}" for t in self._times)
        return f"Cosines of all nodes of {self._graph.name} in the heat kernel's table at the times {times}"

    def poster(self, figure) -> None:
        """Draw the cosines at both ends of the dial, and at the last time with all facts."""
        times = self._times
        for ax, t in zip(figure.subplots(1, len(times), squeeze=False)[0], times, strict=True):
            memory = heat_kernel_memory(self._graph, t)
            figures.heat_map(cosines(memory.embedding), ax, low=0.0, high=1.0, bar=t == times[-1])
            figures.name(ax, f"t = {t:g}, recall {float(edge_recall(memory.scores(), self._graph)):.2f}")


def _edge(graph: Graph) -> float | None:
    try:
        return largest_heat_time(graph)
    except ValueError:  # no listed time recalls every edge
        return None


def _in_range(t) -> float:
    t = _checks.real("t", t, least=LOW)
    if t > HIGH:
        raise ValueError(f"t must be at most {HIGH:g} in the page, got {t:g}. Use heat_kernel_memory for more.")
    return t
