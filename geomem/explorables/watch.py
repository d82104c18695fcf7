"""Watch geometry form: Node2Vec trained in the page, the same flow as ``gradient_flow``."""

import torch
import traitlets

from .. import _checks
from ..graphs import FAMILIES, Graph, named_graph
from ..node2vec import gradient_flow
from ..reporting import figures
from .base import Explorable, encoded, graph_data

GRAPHS = ("cycle", "path_star", "grid", "karate")
DIMS, NODES = (2, 64), 60
"""What a page trains at thirty pictures a second."""


class Watch(Explorable):
    """Train Node2Vec where the reader sees it, on one of some graphs or on edges that the reader types.

    Args:
        graph: The first graph: a name in ``FAMILIES``, or a ``Graph``.
        lr: Learning rate on the loss summed over nodes, in [0.001, 1].
        init_std: Standard deviation of the start values, in [0.001, 3].
        self_edges: Train ``u -> u`` too.
        dim: Width of the embedding, 2 to 64.
        seed: Of the start values.
        running: Start at once, unless the reader's system asks for little motion.
        others: Further graphs to pick from.

    Raises:
        ValueError: If an argument is out of range, or the graph is too large for a page.

    Source:
        Paper, section on Node2Vec. From the given graph, dim and seed the page starts at the very matrix that
        ``gradient_flow`` starts at, and takes the same steps; from others it draws its own.
    """

    graph = traitlets.Unicode().tag(sync=True, reader=True)
    edges = traitlets.Unicode("").tag(sync=True, reader=True)
    lr = traitlets.Float().tag(sync=True, reader=True)
    init_std = traitlets.Float().tag(sync=True, reader=True)
    self_edges = traitlets.Bool().tag(sync=True, reader=True)
    dim = traitlets.Int().tag(sync=True, reader=True)
    seed = traitlets.Int().tag(sync=True, reader=True)
    running = traitlets.Bool().tag(sync=True, reader=True)
    step = traitlets.Int(0).tag(sync=True)
    loss = traitlets.Float(allow_none=True, default_value=None).tag(sync=True)

    def __init__(
        self,
        graph: str | Graph = "cycle",
        *,
        lr: float = 0.05,
        init_std: float = 0.1,
        self_edges: bool = False,
        dim: int = 32,
        seed: int = 0,
        running: bool = False,
        others=GRAPHS,
    ):
        lr = _checks.real("lr", lr, least=0.001)
        init_std = _checks.real("init_std", init_std, least=0.001)
        dim = _checks.integer("dim", dim, least=DIMS[0])
        if dim > DIMS[1]:
            raise ValueError(f"dim must be at most {DIMS[1]} in the page, got {dim}. Use gradient_flow for more.")
        seed = _checks.seed_of("seed", seed)
        self._first = named_graph(_checks.one_of("graph", graph, FAMILIES)) if isinstance(graph, str) else graph
        if self._first.n_nodes > NODES:
            raise ValueError(
                f"graph must have at most {NODES} nodes in the page, got {self._first!r}. Use gradient_flow for more."
            )
        more = [named_graph(_checks.one_of("others", name, FAMILIES)) for name in others]
        shown = [self._first, *(g for g in more if g.name != self._first.name)]
        start = torch.randn(self._first.n_nodes, dim, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
        data = {
            "graphs": [graph_data(g) for g in shown],
            "start": {"graph": self._first.name, "dim": dim, "seed": seed, "noise": encoded(start, "float64")},
        }
        super().__init__(
            kind="watch", data=data, graph=self._first.name, lr=lr, init_std=init_std, dim=dim, seed=seed, running=running,
            self_edges=_checks.boolean("self_edges", self_edges),
        )  # fmt: skip

    @property
    def alt(self) -> str:
        """Say what the poster shows."""
        return f"Node2Vec on {self._first.name}: the embedding at the start, after 100 steps and after 1,000"

    def poster(self, figure) -> None:
        """Draw the embedding at three steps."""
        options = dict(lr=self.lr, init_std=self.init_std, width=self.dim, seeds=[self.seed], self_edges=self.self_edges)
        flow = gradient_flow(self._first, steps=1000, snapshots=[0, 100], **options)
        for ax, step, table in zip(figure.subplots(1, 3), flow.steps.tolist(), flow.embeddings[:, 0], strict=True):
            figures.embedding(table, self._first, ax)
            figures.name(ax, f"step {step:,}")
