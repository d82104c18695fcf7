"""Every picture of the book: a function takes data and an axis, and returns the axis it drew on."""

import functools
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import networkx as nx
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize, to_hex, to_rgba_array
from scipy.linalg import orthogonal_procrustes
from torch import Tensor

from .. import _checks
from ..graphs import Graph, node_table
from ..measures import Measured, match_rows
from ..spectral import EIGENVALUE_TOL, Spectrum
from .fonts import writable
from .statistics import mean_sd, spread
from .studies import load_study

COLORS = {
    "associative": "#7a7a7a",
    "linear": "#e69f00",
    "transformer": "#0072b2",
    "mamba": "#cc79a7",
    "node2vec": "#009e73",
    "geometric": "#009e73",
    "look-up": "#7a7a7a",
    "map": "#009e73",
    "incidence": "#d55e00",
    "null": "#b0b0b0",
}
"""One colour per model throughout the book (Okabe and Ito's set, told apart by colour-blind readers)."""
STYLES = {"associative": "--", "look-up": "--", "incidence": ":"}
"""Dashed or dotted, for curves that often lie on top of another."""
SERIES = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9")
"""Colours of lines that do not stand for a model, in order."""
INK = "#333333"
WIDTH = 9.0
"""Width of a full figure in inches: 900 pixels at the book's 100 dpi."""


def eigenspace_color(rank: int) -> str:
    """Return the colour of an eigenspace by its rank, the same in every chapter: grey for 0, then from dark (slow) to light.

    Args:
        rank: 0 for a trivial eigenspace, 1 for the first non-trivial one, and so on; 7 and above share the lightest colour.

    Source:
        Ours.

    Example:
        >>> eigenspace_color(0), eigenspace_color(1)
        ('#7a7a7a', '#440154')
    """
    rank = _checks.integer("rank", rank, least=0)
    return to_hex(plt.get_cmap("viridis")((min(rank, 7) - 1) / 6.5)) if rank else "#7a7a7a"


def panels(rows: int = 1, columns: int = 1, *, height: float = 2.8, width: float = WIDTH, **kwargs) -> np.ndarray:
    """Return a ``(rows, columns)`` array of clean axes on one white figure.

    Args:
        rows: Rows of panels.
        columns: Columns of panels.
        height: Height of a row, inches.
        width: Width of the figure, inches.
        **kwargs: Handed to ``plt.subplots`` (``sharey=True``, say).
    """
    _, axes = plt.subplots(rows, columns, figsize=(width, rows * height), squeeze=False, layout="constrained", **kwargs)
    for ax in axes.flat:
        ax.spines[["top", "right"]].set_visible(False)
        ax.tick_params(labelsize=9, color=INK, labelcolor=INK)
    return axes


def name(ax: Axes, text: str) -> Axes:
    """Write a small name above a panel."""
    ax.set_title(text, loc="left", fontsize=10, color=INK, parse_math=False)
    return ax


def row_name(ax: Axes, text: str) -> Axes:
    """Write a name upright at the left of a row of panels."""
    ax.text(-0.08, 0.5, text, rotation=90, transform=ax.transAxes, ha="right", va="center", fontsize=10, color=INK,
            parse_math=False)  # fmt: skip
    return ax


@functools.lru_cache(maxsize=64)
def layout(graph: Graph) -> np.ndarray:
    """Return where to draw the nodes, ``(n, 2)``, read-only: springs of hop length, components side by side.

    The largest component has radius 1. A figure asks for places and colours of one graph many times, so they are kept.
    """
    network, places, shift = graph.to_networkx(), np.zeros((graph.n_nodes, 2)), 0.0
    row = {label: number for number, label in enumerate(graph.labels)}
    parts = sorted(nx.connected_components(network), key=lambda part: (-len(part), min(row[x] for x in part)))
    for part in parts:
        part = sorted(part, key=row.__getitem__)
        circle = nx.circular_layout(part)  # type: ignore[arg-type]  # networkx takes any list of nodes, its types say a graph
        spots = nx.kamada_kawai_layout(network.subgraph(part), pos=circle) if len(part) > 2 else circle
        xy = np.array([spots[node] for node in part])
        xy = (xy - xy.mean(0)) / max(np.linalg.norm(xy - xy.mean(0), axis=1).max(), 1e-9)
        scale = 1.0 if part == parts[0] else max(0.35, (len(part) / len(parts[0])) ** 0.5)
        shift += scale if shift else 0.0
        places[[row[node] for node in part]] = xy * scale + [shift, 0.0]
        shift += scale + 0.25
    places.flags.writeable = False
    return places


def node_colors(graph: Graph) -> np.ndarray:
    """Return one colour per node, RGBA ``(n, 4)``: the same rule for all graphs, the angle at which ``layout`` puts it."""
    places, colors = layout(graph), np.zeros((graph.n_nodes, 4))
    components = graph.components().numpy()
    for component in np.unique(components):
        here = components == component
        x, y = (places[here] - places[here].mean(0)).T
        radius = np.hypot(x, y) / max(np.hypot(x, y).max(), 1e-9)
        hue = plt.get_cmap("twilight")((np.arctan2(y, x) / (2 * np.pi) + 0.15) % 1.0)
        strength = np.clip(0.35 + 0.65 * radius, 0, 1)[:, None]
        colors[here] = strength * hue + (1 - strength) * np.array([0.93, 0.93, 0.93, 1.0])
    colors[:, 3] = 1.0
    return colors


def draw_graph(
    graph: Graph, ax: Axes, *, labels: bool | None = None, places=None, size: float | None = None, colors=None
) -> Axes:
    """Draw a graph at ``places`` (by default its layout), with labels where there is room.

    Args:
        graph: The graph.
        ax: Where to draw.
        labels: Whether to write the labels; by default up to 20 nodes with short names.
        places: ``(n, 2)``; by default ``layout(graph)``.
        size: Marker area in points squared.
        colors: One per node, in any form that matplotlib knows; by default ``node_colors``.
    """
    places = layout(graph) if places is None else np.asarray(places)
    size = size or float(np.clip(2400 / graph.n_nodes, 14, 170))
    colors = node_colors(graph) if colors is None else to_rgba_array(colors)
    ends = np.concatenate([places[graph.edges.numpy()], np.full((graph.n_edges, 1, 2), np.nan)], axis=1)
    ax.plot(*ends.reshape(-1, 2).T, color="#9a9a9a", linewidth=1.0, zorder=1)  # one line with gaps: a hundredth of the bytes
    ax.scatter(*places.T, s=size, c=colors, edgecolors=INK, linewidths=0.6, zorder=2, clip_on=False)
    short = graph.n_nodes <= 20 and max(map(len, graph.labels)) <= 3
    if short if labels is None else labels:
        names, family = writable(graph.labels)
        for (x, y), label, color in zip(places, names, colors, strict=True):
            ink = "white" if color[:3] @ [0.299, 0.587, 0.114] < 0.55 else "black"
            how = {"ha": "center", "va": "center", "fontsize": 8.6, "color": ink, "zorder": 3, "family": family}
            ax.text(x, y, label, parse_math=False, **how)
    ax.set_aspect("equal", adjustable="datalim")
    ax.margins(0.06)
    ax.set_axis_off()
    return ax


def plane(E: Tensor, graph: Graph) -> np.ndarray:
    """Return an embedding's two leading principal components, ``(n, 2)``, turned to resemble the graph's layout.

    Args:
        E: One embedding, ``(n, m)``.
        graph: The graph.
    """
    E = _checks.table(E)
    U, scale, _ = torch.linalg.svd(E - E.mean(0), full_matrices=False)
    flat = (U[:, :2] * scale[:2]).numpy()
    flat = np.pad(flat, ((0, 0), (0, 2 - flat.shape[1])))
    target = layout(graph)
    return flat @ orthogonal_procrustes(flat, target - target.mean(0))[0]


def embedding(E: Tensor, graph: Graph, ax: Axes, *, labels: bool | None = False, size: float | None = None) -> Axes:
    """Draw an embedding on its two leading principal components, turned to resemble the graph's layout.

    Only rotated or reflected, so that shapes are those of the embedding.

    Args:
        E: One embedding, ``(n, m)``.
        graph: The graph.
        ax: Where to draw.
        labels: As in ``draw_graph``.
        size: As in ``draw_graph``.
    """
    return draw_graph(graph, ax, labels=labels, places=plane(E, graph), size=size)


def heat_map(
    matrix: Tensor,
    ax: Axes,
    *,
    center: float | None = None,
    low: float | None = None,
    high: float | None = None,
    bar: bool = True,
    diagonal: bool = False,
) -> Axes:
    """Draw a node-by-node matrix; the diagonal is left grey, because self pairs drown the rest.

    Args:
        matrix: ``(n, n)``.
        ax: Where to draw.
        center: The value in the middle of a two-sided colour scale; None for one-sided.
        low: Least value of a one-sided scale; by default the least entry off the diagonal.
        high: Largest value of the scale; by default the largest entry off the diagonal.
        bar: Whether to draw the colour bar; one per row is enough where panels share a scale.
        diagonal: Draw the diagonal too, where rows and columns are different things.
    """
    values = _checks.table(matrix).numpy().copy()
    if not diagonal:
        np.fill_diagonal(values, np.nan)
    least = float(np.nanmin(values)) if low is None else low
    most = float(np.nanmax(values)) if high is None else high
    if center is not None:
        reach = max(most - center, center - least, 1e-9)
        norm, colors = Normalize(center - reach, center + reach), "RdBu_r"
    else:
        norm, colors = Normalize(least, most), "viridis"
    colors = plt.get_cmap(colors).with_extremes(bad="#d0d0d0")
    image = ax.imshow(values, cmap=colors, norm=norm, interpolation="nearest")
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(False)
    if bar:
        colour_bar = ax.figure.colorbar(image, ax=ax, shrink=0.8, aspect=18)
        colour_bar.ax.tick_params(labelsize=8)
        colour_bar.outline.set_visible(False)
    return ax


def band(x, values: Tensor, ax: Axes, *, color: str = INK, label: str = "", marker: str = "", style: str = "-") -> Axes:
    """Draw the mean over seeds with its spread: min to max below ten seeds, else the 10th to the 90th percentile.

    Args:
        x: ``(T,)``.
        values: ``(T, S)``, one column per seed.
        ax: Where to draw.
        color: Of the line and, lighter, the band.
        label: For the legend.
        marker: Of the points.
        style: Of the line.
    """
    x, curves = np.asarray(x), np.asarray(_checks.table(values))
    over = 2 if style == "-" else 3  # a dashed line shows on a solid one, not under it
    ax.plot(x, curves.mean(1), style, color=color, label=label, marker=marker, markersize=4, linewidth=1.6, zorder=over)
    if curves.shape[1] > 1:
        ax.fill_between(x, *_spread(curves, axis=1), color=color, alpha=0.18, linewidth=0)
    return ax


def _spread(values: np.ndarray, axis: int = 0) -> np.ndarray:
    """Return the ends of the band: min and max below ten values, else the 10th and the 90th percentile."""
    return np.percentile(values, [0, 100] if values.shape[axis] < 10 else [10, 90], axis=axis)


def sweep(frame, x: str, y: str, ax: Axes, *, by: str | None = None) -> Axes:
    """Draw a record against a parameter: the mean over all other parameters and values, with its band.

    Args:
        frame: As ``load_sweep`` gives it.
        x: The parameter along the axis; text stands at equal distances.
        y: The record.
        ax: Where to draw.
        by: A parameter with a line for each of its values; by default there is one line.

    Raises:
        ValueError: If the frame has no such column, or no run has both.
    """
    for column in (x, y, *([by] if by else [])):
        _checks.one_of("a column", column, map(str, frame.columns))
    frame = frame.dropna(subset=[x, y])
    if not len(frame):
        raise ValueError(f"frame must hold runs with {x} and {y}, got none.")
    for number, (name, lines) in enumerate(frame.groupby(by) if by else [(None, frame)]):
        groups = [(place, group[y].to_numpy(float)) for place, group in lines.groupby(x)]
        label = "" if by is None else f"{by} {name}"
        color = COLORS.get(str(name), SERIES[number % len(SERIES)])
        places = [place for place, _ in groups]
        ax.plot(places, [values.mean() for _, values in groups], "o-", color=color, label=label, markersize=4, linewidth=1.6)
        ends = np.array([_spread(values) for _, values in groups]).T
        ax.fill_between(places, *ends, color=color, alpha=0.18, linewidth=0)
    ax.set_xlabel(x, fontsize=9)
    ax.set_ylabel(y, fontsize=9)
    return ax


def by_hops(curves: Mapping[str, Tensor], ax: Axes) -> Axes:
    """Draw mean cosine against hop distance, one band per model.

    Args:
        curves: Model name to ``(S, max_hops + 1)``, as ``cosine_by_hops`` gives; 0 hops (self) is left out.
        ax: Where to draw.
    """
    ax.axhline(0, color="#bbbbbb", linewidth=0.8)
    for model, values in curves.items():
        hops = np.arange(1, values.shape[-1])
        band(hops, values.T[1:], ax, color=COLORS.get(model, INK), label=model, marker="o", style=STYLES.get(model, "-"))
    ax.set_xlabel("hops", fontsize=9)
    if _in_first_column(ax) or len(ax.get_shared_y_axes().get_siblings(ax)) == 1:
        ax.set_ylabel("cosine", fontsize=9)
    return ax


def _in_first_column(ax: Axes) -> bool:
    """Return whether no panel of the figure stands to the left of this one."""
    place = ax.get_subplotspec()
    return place is None or place.is_first_col()


def sampled_by_hops(curves: Mapping[str, Sequence], ax: Axes) -> Axes:
    """Draw mean cosine against hop distance from samples of nodes, with a band of two standard errors to both sides.

    Args:
        curves: Name to values and standard errors, ``(max_hops + 1,)`` each, as ``NodeSample.cosine_by_hops`` gives; 0 hops
            (self) is left out.
        ax: Where to draw.
    """
    ax.axhline(0, color="#bbbbbb", linewidth=0.8)
    for number, (model, (values, errors, *_)) in enumerate(curves.items()):
        mean, error = (np.asarray(_checks.table(part))[1:] for part in (values, errors))
        hops, color = np.arange(1, len(mean) + 1), COLORS.get(model, SERIES[number % len(SERIES)])
        ax.plot(hops, mean, color=color, label=model, linewidth=1.6, linestyle=STYLES.get(model, "-"))
        ax.fill_between(hops, mean - 2 * error, mean + 2 * error, color=color, alpha=0.2, linewidth=0)
    ax.set_xlabel("hops", fontsize=9)
    if _in_first_column(ax):
        ax.set_ylabel("cosine", fontsize=9)
    return ax


def crowd(E: Tensor, graph: Graph, ax: Axes, *, edges: int = 300, seed: int = 0) -> Axes:
    """Draw an embedding of any size on its two leading principal components: how many nodes lie where, and some edges.

    Args:
        E: One embedding, ``(n, m)``, m at least 2.
        graph: The graph.
        ax: Where to draw.
        edges: How many edges to draw, at least 0; all where there are fewer.
        seed: Draws the edges.

    Raises:
        ValueError: If E does not fit, or ``edges`` is out of range.
    """
    E = node_table("E", E, graph)
    edges = _checks.integer("edges", edges, least=0)
    if E.ndim != 2 or E.shape[1] < 2:
        raise ValueError(f"E must be one table of two or more columns, got shape {tuple(E.shape)}.")
    E = E - E.mean(0)
    flat = (E @ torch.linalg.eigh(E.T @ E).eigenvectors[:, -2:].flip(1)).numpy()
    cells = max(15, min(90, int(graph.n_nodes**0.5)))
    ax.hexbin(*flat.T, gridsize=cells, bins="log", mincnt=1, cmap="Greys", linewidths=0.1, zorder=1)
    order = torch.randperm(graph.n_edges, generator=torch.Generator().manual_seed(_checks.seed_of("seed", seed)))
    ends = flat[graph.edges[order[:edges]].numpy()]
    ax.add_collection(LineCollection(list(ends), colors=COLORS["transformer"], linewidths=0.6, alpha=0.5, zorder=2))
    ax.set_aspect("equal", adjustable="datalim")
    ax.set_axis_off()
    return ax


def cumulative(curves: Mapping[str, Tensor], ax: Axes, *, dims: int | None = None, total: int | None = None) -> Axes:
    """Draw cumulative energy over non-trivial dimensions with its chance line, one band per model.

    Args:
        curves: Model name to ``(S, K)``, as ``Spectrum.cumulative_energy`` gives.
        ax: Where to draw.
        dims: How many leading dimensions count as Fiedler-like: a thin line there.
        total: How many non-trivial dimensions there are, where the curves hold the leading ones alone.
    """
    k = next(iter(curves.values())).shape[-1]
    for model, values in curves.items():
        whole = torch.cat([torch.zeros(len(values), 1, dtype=values.dtype), values], dim=1)
        band(np.arange(k + 1), whole.T, ax, color=COLORS.get(model, INK), label=model, style=STYLES.get(model, "-"))
    ax.plot([0, k], [0, k / (total or k)], ":", color=INK, linewidth=1, label="chance")
    if dims is not None:
        ax.axvline(dims, color="#bbbbbb", linewidth=0.8)
    ax.set_xlabel("non-trivial dimensions", fontsize=9)
    if _in_first_column(ax):
        ax.set_ylabel("share of energy", fontsize=9)
    return ax


DRAWN = 500
"""Nodes up to which a graph is drawn beside its table: more would be a blot, and take minutes to lay out."""


def measured(found: Measured) -> np.ndarray:
    """Draw what ``measure`` found: the graph, its table in two components, the cosine by hops and the cumulative energy.

    The grey band is what dealt rows score, from the lowest of the draws to the highest. Of a graph in pieces the largest is
    drawn; a graph of more than 500 nodes is not drawn, and one of more than 1,500 has no energy.

    Args:
        found: The result of ``measure``.

    Returns:
        The axes, ``(1, panels)``.
    """
    graph, rows = found.matched.graph, found.matched.rows
    pieces = graph.components()
    largest = (pieces == pieces.mode().values).nonzero().flatten().tolist()
    rows, graph = match_rows({graph.labels[u]: rows[u] for u in largest}, graph)[:2]
    kept = ["graph", "table"] * (graph.n_nodes <= DRAWN) + ["cosine by hops"] + ["energy"] * (found.energy is not None)
    axes = panels(1, len(kept), height=2.6)
    for ax, what in zip(axes[0], kept, strict=True):
        name(ax, what)
        if what == "graph":
            draw_graph(graph, ax, size=18 if graph.n_nodes > 20 else None)
        elif what == "table":
            embedding(rows, graph, ax, size=18 if graph.n_nodes > 20 else None, labels=None)
        elif what == "energy" and found.energy is not None:
            cumulative({"geometric": found.energy[None]}, ax)
        else:
            reach = np.arange(1, len(found.hops) + 1)
            low, high = np.nanmin(found.hops_dealt.numpy(), axis=0), np.nanmax(found.hops_dealt.numpy(), axis=0)
            ax.fill_between(reach, low, high, color=COLORS["null"], alpha=0.5, linewidth=0)
            ax.axhline(0, color="#bbbbbb", linewidth=0.8)
            ax.plot(reach, found.hops.numpy(), "o-", color=COLORS["geometric"], markersize=4, linewidth=1.6)
            ax.set_xlabel("hops", fontsize=9)
            ax.xaxis.get_major_locator().set_params(integer=True)
    return axes


def by_eigenspace(E: Tensor, spectrum: Spectrum, ax: Axes, *, color: str = INK) -> Axes:
    """Draw the non-trivial energy of every eigenspace as a bar of its multiplicity's width: its area is the share.

    The slowest is at the left, negative eigenvalues are hatched, a line spans the 10th to 90th percentile over seeds (below
    ten seeds all of them), and the dotted line is chance.

    Args:
        E: Embeddings, one per seed, ``(S, n, m)``.
        spectrum: Of the graph they are measured against.
        ax: Where to draw.
        color: Of the bars.
    """
    kept = ~spectrum.trivial
    energy, width = spectrum.energy(E)[:, kept], spectrum.multiplicities[kept]
    height = (energy / energy.sum(1, keepdim=True) / width).numpy()
    dims, left = int(width.sum()), (width.cumsum(0) - width).numpy()
    bars = ax.bar(left, height.mean(0), width.numpy(), align="edge", color=color, edgecolor="white", linewidth=0.8)
    for bar, value in zip(bars, spectrum.values[kept].tolist(), strict=True):
        if value < -EIGENVALUE_TOL:
            bar.set(hatch="////", alpha=0.6)
    low, high = (0, 100) if len(height) < 10 else (10, 90)
    ax.vlines(left + width.numpy() / 2, *np.percentile(height, [low, high], axis=0), color=INK, linewidth=1)
    ax.axhline(1 / dims, color=INK, linestyle=":", linewidth=1)
    ax.set_xlim(0, dims)
    return ax


def legend(axes: np.ndarray, *, columns: int | None = None) -> None:
    """Put one legend for all panels below the figure."""
    entries = {text: handle for ax in np.ravel(axes) for handle, text in zip(*ax.get_legend_handles_labels(), strict=True)}
    figure = np.ravel(axes)[0].figure
    figure.legend(entries.values(), entries.keys(), loc="outside lower center", ncols=columns or len(entries),
                  frameon=False, fontsize=9)  # fmt: skip


def table(rows: Sequence[Sequence], header: Sequence[str]) -> str:
    """Return a Markdown table: text to the left, numbers to the right.

    Args:
        rows: Cells; floats are shown with three significant digits, tensors of one value per seed as mean ± sd.
        header: Column names.

    Example:
        >>> print(table([["grid", 0.12345, torch.tensor([0.5, 1.0])]], ["graph", "share", "recall"]))
        | graph | share | recall |
        | --- | ---: | ---: |
        | grid | 0.123 | 0.75 ± 0.35 |
    """

    def shown(cell) -> str:
        if isinstance(cell, Tensor):
            mean, sd = mean_sd(cell)
            return spread(mean, sd, len(cell)).partition(" (n")[0]
        return f"{cell:.3g}" if isinstance(cell, float) else str(cell)

    rule = ["---:" if isinstance(cell, int | float | Tensor) else "---" for cell in rows[0]]
    return "\n".join(
        "| " + " | ".join(cells) + " |" for cells in [list(header), rule, *([shown(c) for c in row] for row in rows)]
    )


def studies(names: Sequence[str]) -> str:
    """Return a Markdown table of studies: what each is for, its seeds, and the hours of all its runs on one core.

    Args:
        names: As in ``book/studies.toml``.
    """
    rows = [[study.name, study.purpose, len(study.seeds), round(study.hours, 2)] for study in map(load_study, names)]
    return table(rows, ["study", "purpose", "seeds", "hours"])
