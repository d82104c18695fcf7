"""Paste your own edges: Node2Vec trains on them in the page, and every fact shows how far the map holds it."""

import torch
import traitlets

from .. import _checks
from ..graphs import Graph
from ..measures import edge_recall
from ..node2vec import gradient_flow
from ..reporting import figures
from .base import Explorable, encoded, graph_data, graph_of

NODES, LETTERS = 60, 20_000
"""Of the largest graph, and of the longest text, that the page takes."""
LR, INIT_STD, STEPS = 0.02, 0.1, 3000


class Facts(Explorable):
    """Type edges, one a line, and see fact by fact what Node2Vec's map holds of them.

    A fact "u has the neighbour v" is on the map as far as v is among the k highest scores of u, k its number of neighbours,
    beyond chance: 0 is chance, 1 is always. Node2Vec has nothing but its table, so its own scores are what the map says.

    Args:
        graph: The facts at first, at most 60 nodes: a name in ``FAMILIES``, or a ``Graph``. Its labels must have neither
            commas nor line breaks, since they stand in the text box.
        width: Width of the table, 2 to 64.
        seed: Of the start values of these facts; others start from the page's own.

    Raises:
        TypeError: If an argument is of the wrong type.
        ValueError: If an argument is out of range, or the graph is too large, has too few nodes or other labels.

    Source:
        Ours: ``recalled_facts`` of the flow's scores, less chance.
    """

    edges = traitlets.Unicode().tag(sync=True, reader=True)

    def __init__(self, graph: str | Graph = "davis", *, width: int = 16, seed: int = 0):
        g = graph_of(graph)
        if not 3 <= g.n_nodes <= NODES:
            raise ValueError(f"graph must have 3 to {NODES} nodes in the page, got {g!r}. Use gradient_flow for more.")
        for label in map(str, g.labels):
            if not label.strip() or "," in label or "\n" in label or label.startswith("#"):
                raise ValueError(
                    f"graph must have labels without commas and line breaks, and none that begins with #, got {label!r}."
                )
        if _checks.integer("width", width, least=2) > 64:
            raise ValueError(f"width must be at most 64 in the page, got {width}. Use gradient_flow for more.")
        text = "\n".join(f"{g.labels[u]}, {g.labels[v]}" for u, v in g.edges.tolist())
        if len(text) > LETTERS:
            raise ValueError(f"graph must have edges of at most {LETTERS:,} letters in the page, got {len(text):,}.")
        generator = torch.Generator().manual_seed(_checks.seed_of("seed", seed))
        noise = torch.randn(g.n_nodes, width, generator=generator, dtype=torch.float64)
        self._graph, self._width, self._seed = g, width, seed
        data = {"graph": graph_data(g), "width": width, "start": encoded(noise, "float64")}
        super().__init__(kind="facts", data=data, edges=text)

    @property
    def alt(self) -> str:
        """Say what the poster shows."""
        return f"The map that Node2Vec makes of the facts of {self._graph.name} in {STEPS:,} steps"

    def poster(self, figure) -> None:
        """Draw the map at the end."""
        options: dict = dict(width=self._width, lr=LR, init_std=INIT_STD, seeds=[self._seed], steps=STEPS, snapshots=[])
        table = gradient_flow(self._graph, **options).embeddings[-1, 0]
        ax = figures.embedding(table, self._graph, figure.subplots())
        figures.name(
            ax, f"the map after {STEPS:,} steps, which recalls {float(edge_recall(table @ table.T, self._graph)):.0%}"
        )
