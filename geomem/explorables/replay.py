"""Replay a run: the snapshots of a training, frame by frame, with its curves, its paths and its nearest neighbours."""

import html
import json
from collections.abc import Mapping

import numpy as np
import torch
import traitlets
from scipy.linalg import orthogonal_procrustes
from torch import Tensor

from .. import _checks
from ..graphs import Graph, require_graph
from ..measures import COSINE_TIE, cosines, edge_recall, geometric_contrast, geometric_order
from ..node2vec.flow import Flow, _logits
from ..reporting import figures
from .base import LARGEST, Explorable, encoded, graph_data

NODES, FRAMES, NEAREST = 255, 60, 3
ROOM = LARGEST - 60_000
"""Bytes that graph and frames may have: a poster of hundreds of nodes takes the others."""


class Replay(Explorable):
    """Move through the snapshots of one or more runs on one graph.

    A frame shows two or three principal components of that snapshot's own embedding, turned (never stretched) to resemble
    the next frame, the last one the graph's layout. Curves and nearest neighbours are those of the full embedding.

    Args:
        graph: The graph, at most 255 nodes.
        runs: A model's name to what ``gradient_flow`` or ``train_ensemble`` returned, or to a pair ``(steps, E)`` with
            embeddings ``(T, n, m)``. Recall is the model's own; of a pair it is that of the scores ``E E^T``.
        steps: Snapshots to keep of every run, 2 to 60, near-evenly in log time; by default as many as the page has room for.
        member: Which member or seed to show, by position; one number for all runs, or one per name. By default, and for a
            name that is left out, the one of median geometric order at the end: the book's rule for a picture of one run.
        view: "2D" or "3D".

    Raises:
        TypeError: If ``runs`` is not a dict of runs, or a number is not an integer.
        ValueError: If the graph is too large, a run does not fit it or is not finite, or a number is out of range.

    Source:
        Ours. Turning: orthogonal Procrustes, Schoenemann (1966).
    """

    run = traitlets.Unicode().tag(sync=True, reader=True)
    step = traitlets.Int(0).tag(sync=True, reader=True)
    node = traitlets.Int(-1).tag(sync=True, reader=True)
    target = traitlets.Int(0).tag(sync=True, reader=True)
    view = traitlets.Unicode("2D").tag(sync=True, reader=True)

    def __init__(
        self,
        graph: Graph,
        runs: Mapping,
        *,
        steps: int | None = None,
        member: int | Mapping[str, int] | None = None,
        view: str = "2D",
    ):
        n = require_graph(graph).n_nodes
        if n > NODES:
            raise ValueError(f"graph must have at most {NODES} nodes to be replayed, got {n}. Take a part of it, or draw "
                             "single steps with figures.embedding.")  # fmt: skip
        if not isinstance(runs, Mapping):
            raise TypeError(f"runs must be a dict from a model's name to its run, got {type(runs).__name__}. "
                            "Write {'linear': runs}.")  # fmt: skip
        if not runs or not all(isinstance(name, str) and name for name in runs):
            raise ValueError(f"runs must hold one or more named runs, got {list(runs)}. Write {{'linear': runs}}.")
        if steps is not None and _checks.integer("steps", steps, least=2) > FRAMES:
            raise ValueError(f"steps must be at most {FRAMES}, got {steps}. Leave it out to keep what there is room for.")
        members = member if isinstance(member, Mapping) else dict.fromkeys(runs, member)
        for name in members:
            _checks.one_of("member", name, runs)
        _checks.one_of("view", view, ("2D", "3D"))
        taken = {name: _snapshots(graph, name, run, members.get(name)) for name, run in runs.items()}
        drawn = graph_data(graph)
        room = ROOM - len(html.escape(json.dumps(drawn)))
        fits = max(2, int(room / len(runs) / (16 * n + 220)))  # 12 bytes per node and frame, a third more as base64
        most = min(FRAMES, fits) if steps is None else steps
        measurable = (
            graph.hops()[graph.hops() >= 2].unique().numel()
        )  # complete graphs have no contrast, small ones no order
        shown = []
        for name, (at, E, recall, which) in taken.items():
            kept = _even(at, most)
            at, E = at[kept], E[kept]
            own = recall is not None
            curves = {
                "edge recall" if own else "edge recall of E Eᵀ": (recall[kept] if own else edge_recall(E @ E.mT, graph))
            }
            curves |= {"contrast": geometric_contrast(E, graph)} if measurable else {}
            curves |= {"order": geometric_order(E, graph)} if measurable > 1 else {}
            curves = [{"name": measure, "y": np.round(values.numpy(), 4).tolist()} for measure, values in curves.items()]
            shown.append(
                {"name": name, "which": which, "steps": at.tolist(), "curves": curves} | _frames(E, graph) | _nearest(E)
            )
            if len(shown) == 1:
                three = [0, len(at) // 2, len(at) - 1]
                self._three = at[three].tolist(), E[three]
        self._g = graph
        super().__init__(kind="replay", data={"graph": drawn, "runs": shown}, run=shown[0]["name"], view=view,
                         step=len(shown[0]["steps"]) - 1, target=graph.root or 0)  # fmt: skip

    @traitlets.validate("run", "step", "node", "target", "view")
    def _known(self, proposal):
        name, value = proposal["trait"].name, proposal["value"]
        if name == "run":
            _checks.one_of("run", value, [run["name"] for run in self.data["runs"]])
        elif name == "view":
            _checks.one_of("view", value, ("2D", "3D"))
        else:
            frames = max(len(run["steps"]) for run in self.data["runs"])
            low, high = -(name == "node"), (frames if name == "step" else self._g.n_nodes) - 1
            if not low <= value <= high:
                raise ValueError(f"{name} must lie in {low} to {high}, got {value}.")
        return value

    @property
    def alt(self) -> str:
        """Say what the poster shows."""
        first, middle, last = (f"{step:,}" for step in self._three[0])
        name = self.data["runs"][0]["name"]
        return f"The embedding of {name} on {self._g.name} after {first}, {middle} and {last} steps"

    def poster(self, figure) -> None:
        """Draw the first run's first, middle and last frame."""
        for ax, step, table in zip(figure.subplots(1, 3), *self._three, strict=True):
            figures.embedding(table, self._g, ax)
            figures.name(ax, f"step {step:,}")


def _snapshots(graph: Graph, name: str, run, member) -> tuple[Tensor, Tensor, Tensor | None, str]:
    """Return steps ``(T,)``, a member's embeddings ``(T, n, m)``, its own recall ``(T,)`` or None, and which it is."""
    called, recall, which = f"runs[{name!r}]", None, ""
    if member is not None:
        member = _checks.integer("member", member, least=0)
    if hasattr(run, "steps") and hasattr(run, "embeddings"):
        steps, tables = run.steps, run.embeddings
        median = member is None
        member = _median(tables, graph) if median else member
        if member >= tables.shape[1]:
            raise ValueError(f"member must be at most {tables.shape[1] - 1} in {called}, got {member}. It counts "
                             "positions, not seeds.")  # fmt: skip
        if tables.shape[1] > 1:
            which = f"Run {member + 1} of {tables.shape[1]}{', the one of median geometric order' if median else ''}."
        tables = tables[:, member]
    elif isinstance(run, (tuple, list)) and len(run) == 2:
        steps, tables = run[0], _checks.table(run[1])
    else:
        raise TypeError(f"{called} must be what gradient_flow or train_ensemble returned, or a pair (steps, embeddings), "
                        f"got {type(run).__name__}.")  # fmt: skip
    steps, tables = (torch.as_tensor(values).detach().cpu() for values in (steps, tables))
    if tables.ndim != 3 or tables.shape[1] != graph.n_nodes or not tables.shape[2]:
        raise ValueError(f"{called} must have embeddings of shape (T, {graph.n_nodes}, m) for {graph!r}, "
                         f"got {tuple(tables.shape)}. Give the graph that was trained.")  # fmt: skip
    if len(tables) < 2:
        raise ValueError(f"{called} must hold at least 2 snapshots, got {len(tables)}. Train with snapshots=[0, 10, 100].")
    if steps.dtype.is_floating_point or steps.shape != (len(tables),) or steps[0] < 0 or (steps.diff() <= 0).any():
        raise ValueError(f"{called} must have {len(tables)} ascending steps, one per snapshot, got {steps.tolist()}.")
    bad = (~tables.isfinite().flatten(1).all(1)).nonzero().flatten()
    if len(bad):
        raise ValueError(f"{called} must be finite, got a value that is not at step {steps[bad[0]]}. Lower its lr, or give "
                         "the snapshots before it.")  # fmt: skip
    if (own := getattr(run, "edge_recall", None)) is not None:
        recall = torch.as_tensor(own)[:, member].double()
    elif isinstance(run, Flow):
        parts = (None if part is None else part[:, member] for part in (run.unembeddings, run.cores))
        recall = edge_recall(_logits(tables, *parts), graph)
    return steps, tables.double(), recall, which


def _median(tables: Tensor, graph: Graph) -> int:
    """Return the member of median geometric order in the last snapshot; the first where there is no order to measure."""
    if tables.ndim != 4 or tables.shape[1] < 2 or tables.shape[2] != graph.n_nodes or not tables[-1].isfinite().all():
        return 0
    if graph.hops()[graph.hops() >= 2].unique().numel() < 2:
        return 0
    order = geometric_order(tables[-1], graph)
    return int(order.argsort(stable=True)[len(order) // 2])


def _even(steps: Tensor, most: int) -> list[int]:
    """Return which snapshots to keep, evenly in log time: drop the one that leaves the smallest gap, in turn."""
    kept, at = np.arange(len(steps)), np.log1p(steps.numpy())
    while len(kept) > most:
        kept = np.delete(kept, 1 + np.argmin(at[kept[2:]] - at[kept[:-2]]))
    return kept.tolist()


def _frames(E: Tensor, graph: Graph) -> dict:
    """Return three components per frame, int16 with one scale per frame, and the plane in them that the 2D view shows.

    The plane is spanned by the two leading components and turned on its own: what is drawn is what ``figures.embedding``
    draws, up to the turn. ``held`` is the share of the spread about the mean that two and three components hold.
    """
    U, size, _ = torch.linalg.svd(E - E.mean(1, keepdim=True), full_matrices=False)
    total = size.square().sum(1, keepdim=True).clamp(min=1e-300)
    held = (size.square().cumsum(1) / total)[:, [min(k, size.shape[1] - 1) for k in (1, 2)]].numpy()
    parts = np.zeros((*E.shape[:2], 3))
    parts[..., : size.shape[1]] = (U * size[:, None])[..., :3].numpy()
    layout = figures.layout(graph) - figures.layout(graph).mean(0)
    flat, solid, planes, frames = layout, np.pad(layout, ((0, 0), (0, 1))), [], []
    for part in parts[::-1]:
        (turn, _), (inner, _) = orthogonal_procrustes(part, solid), orthogonal_procrustes(part[:, :2], flat)
        flat, solid = part[:, :2] @ inner, part @ turn
        frames.append(solid)
        planes.append((turn.T[:, :2] @ inner).T)
    frames, planes = np.array(frames[::-1]), np.array(planes[::-1])
    scale = np.maximum(np.abs(frames).max((1, 2)), 1e-300) / 32767
    return {
        "xyz": encoded(np.round(frames / scale[:, None, None]), "int16"),
        "scale": [float(f"{value:.6g}") for value in scale],
        "plane": np.round(planes, 5).tolist(),
        "held": np.round(held, 3).tolist(),
    }


def _nearest(E: Tensor) -> dict:
    """Return every node's nearest others by cosine, best first, ties by number, and those cosines in hundredths."""
    n, cosine = E.shape[1], cosines(E)
    grain = (cosine / COSINE_TIE).round()
    grain[:, range(n), range(n)] = -torch.inf
    ids = grain.argsort(dim=-1, descending=True, stable=True)[..., : min(NEAREST, n - 1)]
    return {"near": encoded(ids, "uint8"), "cosine": encoded((100 * cosine.gather(-1, ids)).round(), "int8")}
