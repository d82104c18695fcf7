"""Edit a fact: one edge is replaced in a look-up and in a map, and the page shows which answers change in each."""

import traitlets

from .. import _checks
from ..graphs import Graph
from ..memories import associative_memory
from ..node2vec import gradient_flow
from ..reporting import figures
from .base import Explorable, encoded, graph_data, graph_of

NODES = 40
"""The largest graph whose map a page edits at thirty pictures a second."""
LR, INIT_STD = 0.02, 0.1


class Edit(Explorable):
    """Replace one edge, u no longer with v but with w, in both memories; see who then answers differently.

    The look-up is ``associative_memory`` in an orthonormal basis: an edge is added and removed by rank-one changes of W.
    The map is Node2Vec, trained here and sent as its table; in the page it takes gradient steps on the new edge alone, or on
    all facts of the edited graph, until it recalls them. A node's answers are its k highest scores, k its number of
    neighbours.

    Args:
        graph: A graph of at most 40 nodes: a name in ``FAMILIES``, or a ``Graph``.
        node: u, one end of the edge.
        old: v, the neighbour that it loses; by default its first.
        new: w, the one that it gains; by default the last of the nodes that are farthest from it.
        rehearse: Train all facts of the edited graph in the map, not the new edge alone.
        width: Width of the map's table, at least 2.
        steps: Steps that the map is trained for before, at least 1.
        seed: Draws the look-up's basis and the map's start.

    Raises:
        TypeError: If an argument is of the wrong type.
        ValueError: If an argument is out of range, ``old`` is no neighbour, or ``new`` is one.

    Source:
        Ours.
    """

    node = traitlets.Int().tag(sync=True, reader=True)
    old = traitlets.Int().tag(sync=True, reader=True)
    next = traitlets.Int().tag(sync=True, reader=True)
    rehearse = traitlets.Bool().tag(sync=True, reader=True)

    def __init__(
        self,
        graph: str | Graph = "path_star",
        *,
        node: int = 0,
        old: int | None = None,
        new: int | None = None,
        rehearse: bool = False,
        width: int = 16,
        steps: int = 3000,
        seed: int = 0,
    ):
        g = graph_of(graph)
        if g.n_nodes > NODES:
            raise ValueError(f"graph must have at most {NODES} nodes in the page, got {g!r}. Use edit_facts for more.")
        width, steps = _checks.integer("width", width, least=2), _checks.integer("steps", steps, least=1)
        seed, rehearse = _checks.seed_of("seed", seed), _checks.boolean("rehearse", rehearse)
        node, old, new = _edit(g, node, old, new)
        self._graph = g
        flow = gradient_flow(g, width=width, lr=LR, steps=steps, init_std=INIT_STD, seeds=[seed], snapshots=[])
        self._table = flow.embeddings[-1, 0]
        phi = associative_memory(g, seed=seed).embedding
        data = {
            "graph": graph_data(g),
            "width": g.n_nodes,
            "phi": encoded(phi, "float64"),
            "dim": width,
            "lr": LR,
            "table": encoded(self._table, "float64"),
        }
        super().__init__(kind="edit", data=data, node=node, old=old, next=new, rehearse=rehearse)

    @traitlets.validate("node", "old", "next")
    def _is_node(self, proposal):
        if not 0 <= proposal["value"] < self._graph.n_nodes:
            raise traitlets.TraitError(
                f"{proposal['trait'].name} must be a node, 0 to {self._graph.n_nodes - 1}, got {proposal['value']}."
            )
        return proposal["value"]

    @property
    def alt(self) -> str:
        """Say what the poster shows."""
        u, v, w = (self._graph.labels[k] for k in (self.node, self.old, self.next))
        return f"{self._graph.name} before an edit, {u} with {w} in place of {v}: the graph of the look-up, and the map"

    def poster(self, figure) -> None:
        """Draw the graph and the map before the edit."""
        left, right = figure.subplots(1, 2)
        figures.name(figures.draw_graph(self._graph, left), "the facts in the look-up")
        figures.embedding(self._table, self._graph, right)
        figures.name(right, "the map")


def _edit(graph: Graph, node, old, new) -> tuple[int, int, int]:
    """Return the nodes of an edit, or say why it is none."""
    last, near = graph.n_nodes - 1, graph.adjacency().bool()
    for name, value in (("node", node), ("old", old), ("new", new)):
        if value is not None and _checks.integer(name, value, least=0) > last:
            raise ValueError(f"{name} must be a node, 0 to {last}, got {value}.")
    strangers = ~near[node]
    strangers[node] = False
    if not strangers.any():
        raise ValueError(f"node must have a node that it is not joined to, got {node}. Take another.")
    away = graph.hops([node])[0]
    away[away < 0] = graph.n_nodes
    old = int(near[node].nonzero()[0]) if old is None else old
    new = int((strangers & (away == away[strangers].max())).nonzero()[-1]) if new is None else new
    if not near[node, old]:
        raise ValueError(f"old must be a neighbour of node {node}, got {old}.")
    if not strangers[new]:
        raise ValueError(f"new must be another node that is no neighbour of {node}, got {new}.")
    return node, old, new
