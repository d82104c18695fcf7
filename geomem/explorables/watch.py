"""Watch geometry form: Node2Vec trained in the page, the same flow as ``gradient_flow``, with decay on its table."""

from typing import Any

import torch
import traitlets

from .. import _checks
from ..graphs import FAMILIES, Graph, named_graph, path_star, require_graph
from ..node2vec import gradient_flow
from ..reporting import figures
from .base import Explorable, encoded, graph_data

GRAPHS = ("cycle", "path_star", path_star(3, 9), "grid", "karate")
"""What a reader may choose. The star of three long arms fits into a plane, where one sees its arms bend and straighten."""
NODES = 60
"""The largest graph that a page trains at thirty pictures a second."""
OWN = "your own edges"
RANGES = {"lr": (0.001, 1.0), "decay": (0.0, 2.4), "init_std": (0.001, 3.0), "width": (2, 64)}
"""Ranges of the sliders. At a decay of 2.4 the table of every graph of the book shrinks to zero; on the ring from 1.83."""


class Watch(Explorable):
    """Train Node2Vec where the reader sees it, on one of some graphs or on edges that the reader types.

    A step is ``V <- V + lr (C V - decay V)``, with ``C`` as in ``flow_matrix``. The reader can drag a node: its row of the
    table moves in the plane that is drawn, and training goes on from there.

    Args:
        graph: The first graph, at most 60 nodes: a name in ``FAMILIES``, or a ``Graph``.
        lr: Learning rate on the loss summed over nodes, in [0.001, 1]. At 0.01 the loss never rises in the first 5,000
            steps on the graphs offered by default.
        decay: L2 decay of the table, in [0, 2.4].
        init_std: Standard deviation of the start values, in [0.001, 3].
        self_edges: Train ``u -> u`` too.
        width: Width of the embedding, 2 to 64.
        seed: Of the start values.
        running: Play on loading, in a loop, unless the reader's system asks for reduced motion.
        more: Unfold all controls at once.
        others: Further graphs to pick from, at most 60 nodes each: names in ``FAMILIES``, or ``Graph`` objects.

    Raises:
        TypeError: If an argument is of the wrong type.
        ValueError: If an argument is out of range, or a graph is too large for a page.

    Source:
        Paper, section on Node2Vec; the decay is ours. From the given graph, width and seed the page starts at the very
        matrix that ``gradient_flow`` starts at, and takes the same steps; from others it draws its own.
    """

    graph = traitlets.Unicode().tag(sync=True, reader=True)
    edges = traitlets.Unicode("").tag(sync=True, reader=True)
    lr = traitlets.Float().tag(sync=True, reader=True)
    decay = traitlets.Float().tag(sync=True, reader=True)
    init_std = traitlets.Float().tag(sync=True, reader=True)
    self_edges = traitlets.Bool().tag(sync=True, reader=True)
    width = traitlets.Int().tag(sync=True, reader=True)
    seed = traitlets.Int().tag(sync=True, reader=True)
    running = traitlets.Bool().tag(sync=True, reader=True)
    more = traitlets.Bool().tag(sync=True, reader=True)
    step = traitlets.Int(0).tag(sync=True)
    loss = traitlets.Float(allow_none=True, default_value=None).tag(sync=True)

    def __init__(
        self,
        graph: str | Graph = "cycle",
        *,
        lr: float = 0.01,
        decay: float = 0.0,
        init_std: float = 0.1,
        self_edges: bool = False,
        width: int = 32,
        seed: int = 0,
        running: bool = False,
        more: bool = False,
        others=GRAPHS,
    ):
        numbers = {"lr": lr, "decay": decay, "init_std": init_std, "width": width}
        numbers = {name: _in_range(name, value) for name, value in numbers.items()} | {"seed": _checks.seed_of("seed", seed)}
        flags = {"self_edges": self_edges, "running": running, "more": more}
        flags = {name: _checks.boolean(name, value) for name, value in flags.items()}
        self._first = _small("graph", graph)
        further = [_small("others", other) for other in others]
        shown = list({g.name: g for g in (*further, self._first)}.values())  # a name is shown once, and the first graph wins
        shown.sort(key=lambda g: g is not self._first)
        data = {
            "graphs": [graph_data(g) for g in shown],
            "start": {
                "graph": self._first.name,
                "width": width,
                "seed": seed,
                "noise": encoded(self._noise(width, seed), "float64"),
            },
        }
        super().__init__(kind="watch", data=data, graph=self._first.name, **numbers, **flags)

    @traitlets.validate(*RANGES)
    def _in_its_range(self, proposal):
        return _in_range(proposal["trait"].name, proposal["value"])

    @traitlets.validate("seed")
    def _is_seed(self, proposal):
        return _checks.seed_of("seed", proposal["value"])

    @traitlets.validate("graph")
    def _is_shown(self, proposal):
        return _checks.one_of("graph", proposal["value"], [*(graph["name"] for graph in self.data["graphs"]), OWN])

    @property
    def alt(self) -> str:
        """Say what the poster shows."""
        decayed = f" with decay {self.decay:g}" if self.decay else ""
        return f"Node2Vec{decayed} on {self._first.name}: the embedding at the start, after 100 steps and after 1,000"

    def poster(self, figure) -> None:
        """Draw the embedding at three steps."""
        options: dict[str, Any] = dict(
            lr=self.lr,
            init_std=self.init_std,
            decay=self.decay,
            width=self.width,
            seeds=[self.seed],
            self_edges=self.self_edges,
        )
        flow = gradient_flow(self._first, steps=1000, snapshots=[0, 100], **options)
        for ax, step, table in zip(figure.subplots(1, 3), flow.steps.tolist(), flow.embeddings[:, 0], strict=True):
            figures.embedding(table, self._first, ax)
            figures.name(ax, f"step {step:,}")

    def _noise(self, width: int, seed: int) -> torch.Tensor:
        """Return the start values of ``gradient_flow`` before they are scaled."""
        return torch.randn(self._first.n_nodes, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _in_range(name: str, value):
    """Return a number within the range of the page's slider."""
    least, most = RANGES[name]
    value = _checks.integer(name, value, least=least) if name == "width" else _checks.real(name, value, least=least)
    if value > most:
        raise ValueError(f"{name} must be at most {most:g} in the page, got {value:g}. Use gradient_flow for more.")
    return value


def _small(name: str, graph) -> Graph:
    """Return a graph, given as itself or by its name, that is small enough for a page."""
    g = named_graph(_checks.one_of(name, graph, FAMILIES)) if isinstance(graph, str) else require_graph(graph)
    if g.n_nodes > NODES:
        raise ValueError(f"{name} must have at most {NODES} nodes in the page, got {g!r}. Use gradient_flow for more.")
    return g
