"""The phase diagram: a map over training's knobs, the embedding of every cell, and the call that trains it again."""

import inspect
from collections.abc import Mapping

import numpy as np
import torch
import traitlets
from matplotlib.colors import to_hex

from .. import _checks
from ..graphs import FAMILIES, Graph, named_graph, require_graph
from ..measures import geometric_contrast, geometric_order, geometric_share
from ..reporting import figures
from ..spectral import Spectrum
from ..training.ensemble import KNOBS, Ensemble, train_ensemble
from .base import Explorable, encoded, graph_data

NAMES = {"lr": "learning rate", "weight_decay": "weight decay", "init_std": "start scale", "dropout": "dropout"}
KNOWN = 0.99
"""Cells of a lower mean edge recall have not memorised: the level of the book's criteria."""
WRITTEN = ("core", "width", "steps", *KNOBS)
"""What the copied call says even where it is the default."""


class Phase(Explorable):
    """Show a measure over two knobs, or three; each cell has its embedding, its numbers and the call that made it.

    A cell holds one member per seed: numbers are their mean (and standard deviation), the embedding is the first seed's. A
    member whose values are not finite, or whose table is all zero, is lost: it is left out of the means and counted.

    Args:
        runs: What ``train_ensemble`` returned for a grid of knobs; every knob that is not an axis must have a single value.
        graph: The graph that it was trained on.
        x: The knob on the horizontal axis: "lr", "weight_decay", "init_std" or "dropout".
        y: The knob on the vertical axis.
        by: The knob chosen in a menu; None if only two knobs vary.
        measures: One value per member, ``(B,)``, by name; by default edge recall, geometric order, contrast, Fiedler energy
            and the geometric and the associative share.

    Raises:
        TypeError: If ``runs`` or ``measures`` is of another kind.
        ValueError: If the knobs do not form a full grid, a measure does not fit, or all members are lost.

    Source:
        Ours; the paper says that these knobs decide.
    """

    cell = traitlets.List(traitlets.Int()).tag(sync=True, reader=True)
    measure = traitlets.Unicode().tag(sync=True, reader=True)

    def __init__(
        self,
        runs: Ensemble,
        graph: Graph,
        *,
        x: str = "lr",
        y: str = "init_std",
        by: str | None = "weight_decay",
        measures: Mapping | None = None,
    ):
        if not isinstance(runs, Ensemble):
            raise TypeError(f"runs must be what train_ensemble returned, got {type(runs).__name__}.")
        if runs.embeddings.shape[2] != require_graph(graph).n_nodes:
            raise ValueError(f"graph must be the graph of the runs, {runs.embeddings.shape[2]} nodes, got {graph!r}.")
        for axis, knob in (("x", x), ("y", y), *([] if by is None else [("by", by)])):
            _checks.one_of(axis, knob, KNOBS)
        self._graph, self._knobs = graph, [x, y, by]
        self._axes, self._seeds, members = _grid(runs, self._knobs)
        end, scores = runs.embeddings[-1].double(), runs.scores().double()
        alive = end.isfinite().flatten(1).all(1) & scores.isfinite().flatten(1).all(1) & (end.abs().amax((1, 2)) > 0)
        if not alive.any():
            raise ValueError("runs must hold a member that has not diverged, got none. Lower lr.")
        measures = _measured(runs, graph, end, scores, alive) if measures is None else _given(measures, len(alive))
        self._members, self._alive, self._end = members, alive, end
        self._parts = _call(runs, graph, self._knobs, self._axes, self._seeds)
        self._means = {name: self._over_seeds(values)[0] for name, values in measures.items()}
        places = [self._places(member) for member in members[..., 0].flatten()]
        data = {
            "graph": graph_data(graph),
            "axes": [
                {"name": "" if knob is None else NAMES[knob], "values": [f"{value!r}" for value in values]}
                for knob, values in zip(self._knobs, self._axes, strict=True)
            ],
            "call": self._parts,
            "seeds": len(self._seeds),
            "measures": [self._shown(name, values) for name, values in measures.items()],
            "places": encoded(places, "int16"),
            "lost": encoded((~alive)[members].sum(-1), "uint8"),
            "forgot": encoded(self._over_seeds(runs.edge_recall[-1])[0] < KNOWN, "uint8"),
            "known": KNOWN,
        }
        middle = [len(self._axes[0]) // 2, len(self._axes[1]) // 2, 0]
        super().__init__(kind="phase", data=data, cell=middle, measure=next(iter(measures)))

    def call(self, cell=None) -> str:
        """Return the Python that trains a cell's members again.

        Args:
            cell: Its column, row and panel; by default the chosen one.
        """
        at = self.cell if cell is None else self._checked(cell)
        return "".join(part if isinstance(part, str) else repr(self._axes[part][at[part]]) for part in self._parts)

    @traitlets.validate("cell")
    def _is_cell(self, proposal):
        return self._checked(proposal["value"])

    @traitlets.validate("measure")
    def _is_measure(self, proposal):
        return _checks.one_of("measure", proposal["value"], self._means)

    def _checked(self, cell) -> list[int]:
        sizes = [len(values) for values in self._axes]
        if len(cell) != 3 or not all(0 <= at < size for at, size in zip(cell, sizes, strict=True)):
            raise ValueError(f"cell must be column, row and panel of a map of {sizes}, got {list(cell)}.")
        return list(cell)

    @property
    def alt(self) -> str:
        """Say what the poster shows."""
        across, up = (NAMES[knob] for knob in self._knobs[:2])
        return f"A map of {self.measure} over {across} and {up} on {self._graph.name}, and the embedding of the chosen cell"

    def poster(self, figure) -> None:
        """Draw the map and the embedding of the chosen cell."""
        column, row, panel = self.cell
        left, right = figure.subplots(1, 2)
        values = self._means[self.measure][panel]
        figures.heat_map(values, left, diagonal=True, **_scale(self._means[self.measure]))
        for ticks, values, every in ((left.set_xticks, self._axes[0], 2), (left.set_yticks, self._axes[1], 1)):
            ticks(range(0, len(values), every), [f"{value:g}" for value in values[::every]], fontsize=7)
        left.set_aspect("auto")
        left.invert_yaxis()
        left.set(xlabel=NAMES[self._knobs[0]], ylabel=NAMES[self._knobs[1]])
        left.plot([column], [row], "s", markersize=9, markerfacecolor="none", markeredgecolor="white")
        figures.name(left, self.measure)
        member = self._members[panel, row, column, 0]
        if self._alive[member]:
            figures.embedding(self._end[member], self._graph, right)
        figures.name(right, "its embedding" if self._alive[member] else "the training diverged")

    def _over_seeds(self, values):
        """Return means and standard deviations, (panels, rows, columns), over the members that are not lost."""
        values = torch.where(self._alive, _checks.table(values), torch.nan)[self._members]
        mean = values.nanmean(-1)
        count = values.isfinite().sum(-1)
        square = (values - mean[..., None]).square().nansum(-1)
        return mean, torch.where(count > 1, (square / (count - 1).clamp(min=1)).sqrt(), torch.nan)

    def _shown(self, name: str, values) -> dict:
        """Return what the page needs of a measure."""
        mean, sd = self._over_seeds(values)
        scale = _scale(mean)
        two_sided = "center" in scale
        palette = figures.plt.get_cmap("RdBu_r" if two_sided else "viridis")
        return {
            "name": name,
            "low": -scale["high"] if two_sided else scale["low"],
            "high": scale["high"],
            "colors": [to_hex(palette(k / 8)) for k in range(9)],
            "values": encoded(mean, "float32"),
        } | ({"sd": encoded(sd, "float32")} if len(self._seeds) > 1 else {})

    def _places(self, member) -> np.ndarray:
        """Return a member's principal plane as whole numbers, the farthest node at 32,767."""
        if not self._alive[member]:
            return np.zeros((self._graph.n_nodes, 2), dtype=np.int16)
        flat = figures.plane(self._end[member], self._graph)
        return np.round(flat / max(np.abs(flat).max(), 1e-300) * 32767).astype(np.int16)


def _grid(runs: Ensemble, knobs: list):
    """Return the values of three axes, the seeds, and the members of every cell, (panels, rows, columns, seeds)."""
    if len(set(knobs)) < len(knobs):
        raise ValueError(f"x, y and by must be different knobs, got {', '.join(map(str, knobs))}.")
    for knob in KNOBS:
        if knob not in knobs and len(runs.knobs[knob].unique()) > 1:
            raise ValueError(
                f"{knob} must have one value, got {len(runs.knobs[knob].unique())}: it is not an axis. Make it one."
            )
    axes = [[0.0] if knob is None else runs.knobs[knob].unique().tolist() for knob in knobs]
    seeds = list(dict.fromkeys(runs.knobs["seed"].tolist()))
    none = torch.zeros(len(runs.knobs["seed"])).long()
    places = [none if k is None else torch.searchsorted(runs.knobs[k].unique(), runs.knobs[k]) for k in knobs]
    order = torch.tensor([seeds.index(seed) for seed in runs.knobs["seed"].tolist()])
    shape = (*(len(values) for values in reversed(axes)), len(seeds))
    members = torch.full(shape, -1)
    members[places[2], places[1], places[0], order] = torch.arange(len(order))
    if members.numel() != len(order) or (members < 0).any():
        raise ValueError(f"runs must be a full grid with every member once, {members.numel()} for these knobs and seeds, "
                         f"got {len(order)}. List no value twice.")  # fmt: skip
    return axes, seeds, members


def _measured(runs: Ensemble, graph: Graph, end, scores, alive) -> dict:
    """Return the measures of every member that is not lost."""
    geometric, associative = geometric_share(end[alive], scores[alive], graph)
    found = {
        "geometric order": geometric_order(end[alive], graph),
        "edge recall": runs.edge_recall[-1][alive],
        "contrast": geometric_contrast(end[alive], graph),
        "Fiedler energy": Spectrum(graph).fiedler_energy(end[alive]),
        "geometric share": geometric,
        "associative share": associative,
    }
    whole = torch.full((len(alive),), torch.nan, dtype=torch.float64)
    return {name: whole.masked_scatter(alive, values.double()) for name, values in found.items()}


def _given(measures, members: int) -> dict:
    if not isinstance(measures, Mapping) or not measures:
        raise TypeError(f"measures must be a dict of at least one measure by name, got {measures!r:.80}.")
    found = {str(name): _checks.table(values) for name, values in measures.items()}
    for name, values in found.items():
        if values.shape != (members,):
            raise ValueError(
                f"the measure {name!r} must have one value per member, shape ({members},), got {tuple(values.shape)}."
            )
    return found


def _scale(values) -> dict:
    """Return the ends of a colour scale, two-sided around zero when much of it lies below."""
    finite = values[values.isfinite()]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    reach = max(abs(low), abs(high)) or 1.0
    if low < -0.25 * high:
        return {"center": 0.0, "low": -reach, "high": reach}
    return {"low": min(low, 0.0), "high": max(high, low + 1e-9) if high else 1.0}


def _call(runs: Ensemble, graph: Graph, knobs, axes, seeds) -> list:
    """Return the call in parts: strings, and between them the numbers of the axes whose values are filled in."""
    defaults = {name: parameter.default for name, parameter in inspect.signature(train_ensemble).parameters.items()}
    fixed = {knob: float(runs.knobs[knob][0]) for knob in KNOBS}
    same = runs.settings | runs.training | {"steps": int(runs.steps[-1])} | fixed
    parts = [f"gm.train_ensemble({_graph_text(graph)}, core={same['core']!r}"]
    for name, default in defaults.items():
        if name not in same or name == "core" or (name not in WRITTEN and same[name] == default):
            continue
        parts += [f", {name}=", knobs.index(name)] if name in knobs else [f", {name}={same[name]!r}"]
    return [*parts, f", seeds={seeds})"]


def _graph_text(graph: Graph) -> str:
    """Return Python for the facts of a graph: the name of one that has a name, or its edges."""
    for name in FAMILIES:
        if (other := named_graph(name)).n_nodes == graph.n_nodes and torch.equal(other.edges, graph.edges):
            return f"gm.named_graph({name!r})"
    return f"gm.Graph(n_nodes={graph.n_nodes}, edges={graph.edges.tolist()})"
