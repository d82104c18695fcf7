"""A measure beside its nulls, the verdict that follows from them, and what ``measure`` returns."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from .rows import Matched

ERRORS = 3.0
"""Standard deviations by which a value must exceed its null; it must exceed every draw as well."""
FAINT = 0.1
"""A strict order that exceeds its nulls by less is called faint, however sure it is."""
LABELS = {
    "strict_order": "strict order (3 hops or more)",
    "geometric_order": "geometric order",
    "geometric_contrast": "geometric contrast",
    "near_contrast": "contrast within two hops",
    "edge_recall_cosine": "edge recall by cosine",
    "edge_recall_dot": "edge recall by dot product",
    "fiedler_energy": "Fiedler energy",
    "first_hop_accuracy": "nearest first hop",
    "effective_rank": "effective rank",
}
NEIGHBOURS = ("near_contrast", "geometric_order", "geometric_contrast", "edge_recall_cosine")
"""Measures that neighbours, or neighbours of neighbours, suffice to raise."""
CALLED = {
    "map": "a map",
    "neighbourhoods": "neighbourhoods only",
    "chance": "no better than chance",
    "small": "too small to say",
}


class Null(NamedTuple):
    """Hold a measure's mean, standard deviation and highest value over draws of a null model, and how many were drawn."""

    mean: float
    sd: float
    highest: float
    n: int

    def z(self, value: float) -> float | None:
        """Return how many standard deviations a value lies above the mean; None where all draws are alike."""
        return (value - self.mean) / self.sd if self.sd > 1e-12 else None

    def exceeded(self, value: float) -> bool:
        """Return whether a value lies above every draw, and three standard deviations or more above their mean."""
        z = self.z(value)
        return value > self.highest + 1e-9 and (z is None or z >= ERRORS)

    @property
    def needed(self) -> float:
        """The smallest value that would exceed this null."""
        return max(self.highest, self.mean + ERRORS * self.sd)


class Beside(NamedTuple):
    """Hold a measure's value beside two null models: the table's rows shuffled, and the local table of shuffled rows."""

    value: float
    dealt: Null | None = None
    local: Null | None = None
    chance: float | None = None

    @property
    def nulls(self) -> tuple[Null, ...]:
        """The null models that were drawn."""
        return tuple(null for null in (self.dealt, self.local) if null is not None)


@dataclass(frozen=True, repr=False)
class Measured:
    """Hold what ``measure`` finds; it prints as one line, and ``summary()`` says all.

    Attributes:
        matched: The rows that were measured, their graph, and what is missing on either side.
        values: Each measure beside its nulls, by name.
        silent: Why the others say nothing on this graph, by name.
        hops: Mean cosine of pairs at 1, 2, ... hops, float64 ``(max_hops,)``.
        hops_dealt: The same of every dealt table, ``(null, max_hops)``.
        energy: Cumulative energy over the non-trivial dimensions, ``(K,)``; None for large graphs.
        sampled: Nodes at which the measured pairs begin; all of them up to 707.
        kind: "map", "neighbourhoods", "chance" or "small".
        verdict: The same as a sentence with its numbers.
    """

    matched: Matched
    values: Mapping[str, Beside]
    silent: Mapping[str, str]
    hops: Tensor
    hops_dealt: Tensor
    energy: Tensor | None
    sampled: int
    kind: str
    verdict: str

    def __repr__(self) -> str:
        g, strict = self.matched.graph, self.values.get("strict_order")
        order = "" if strict is None else f", strict order {strict.value:.2f}"
        return f"Measured({g.name!r}, n_nodes={g.n_nodes}, width={self.matched.rows.shape[1]}: {CALLED[self.kind]}{order})"

    def summary(self) -> str:
        """Return what was found, in lines: the verdict, what was matched, every measure beside its nulls, the limits."""
        rows = [("", "value", "dealt rows", "z", "local table", "z")]
        for name, found in self.values.items():
            rows += [
                (LABELS[name], f"{found.value:.3f}", *_shown(found.value, found.dealt), *_shown(found.value, found.local))
            ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [self.verdict, *self._about()]
        lines += ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows]
        curve = "  ".join(f"{k}: {value:.2f}" for k, value in enumerate(self.hops[:12].tolist(), 1))
        lines += [f"mean cosine by hops: {curve}{' ...' if len(self.hops) > 12 else ''}"]
        lines += [f"says nothing here: {LABELS[name]}, because {why}" for name, why in self.silent.items()]
        return "\n".join(lines)

    def _about(self) -> list[str]:
        """Return what was measured on what, and what is missing."""
        found, g = self.matched, self.matched.graph
        draws = len(self.hops_dealt)
        lines = [f"{g.n_nodes:,} nodes, {g.n_edges:,} edges, {found.rows.shape[1]:,} columns; {draws} draws of each null"]
        lines += [f"pairs that begin at {self.sampled:,} sampled nodes"] if self.sampled < g.n_nodes else []
        parts = {
            "nodes without a row": found.no_row,
            "nodes left without an edge": found.no_edge,
            "names that fit but for capitals or underscores": found.loosely,
        }
        lines += [f"{len(names):,} {text}: {_list(names)}" for text, names in parts.items() if names]
        lines += [f"{found.no_node:,} rows without a node: {_list(found.strangers, found.no_node)}"] * bool(found.no_node)
        return lines

    def to_dict(self) -> dict:
        """Return everything but the table as plain data, ready for JSON."""
        m, g = self.matched, self.matched.graph
        values = {
            name: {
                "value": b.value,
                "chance": b.chance,
                "dealt": _plain(b.value, b.dealt),
                "local": _plain(b.value, b.local),
            }
            for name, b in self.values.items()
        }
        return {
            "kind": self.kind, "verdict": self.verdict, "graph": g.name, "nodes": g.n_nodes, "edges": g.n_edges,
            "width": m.rows.shape[1], "sampled_nodes": self.sampled, "measures": values, "silent": dict(self.silent),
            "cosine_by_hops": [None if x != x else x for x in self.hops.tolist()],
            "cumulative_energy": None if self.energy is None else self.energy.tolist(),
            "nodes_without_row": list(m.no_row), "nodes_without_edge": list(m.no_edge), "rows_without_node": m.no_node,
            "matched_loosely": list(m.loosely),
        }  # fmt: skip


def judged(values: Mapping[str, Beside], why_no_order: str | None = None, best: float = 1.0) -> tuple[str, str]:
    """Return the verdict that follows from measures beside their nulls: its kind, and a sentence.

    Args:
        values: As ``Measured.values``.
        why_no_order: Why the graph has no strict order, where it has none.
        best: The highest strict order that any table is known to have on the graph.

    Source:
        Ours.
    """
    near = [
        name
        for name in NEIGHBOURS
        if name in values and all(null.exceeded(values[name].value) for null in values[name].nulls[:1])
    ]
    stand_out = " and ".join(f"{LABELS[name]} {values[name].value:.2f}" for name in near)
    aside = f" Neighbours do stand out: {stand_out}." if near else " Neighbours do not stand out either."
    first = values.get("first_hop_accuracy")
    leaves = ""
    if first is not None and all(null.exceeded(first.value) for null in first.nulls):
        leaves = f" Leaves do find their first hop: {first.value:.2f}, chance {first.chance:.2f}."
        aside += leaves
    strict = values.get("strict_order")
    if strict is None:
        return "small", f"Too small to say: {why_no_order}.{aside}"
    nulls, value = strict.nulls, strict.value
    needed = max(null.needed for null in nulls)
    if all(null.exceeded(value) for null in nulls):
        z = ", ".join("-" if null.z(value) is None else f"{null.z(value):.1f}" for null in nulls)
        faint = "A faint map" if value - max(null.mean for null in nulls) < FAINT else "A map"
        return "map", f"{faint}: strict order {value:.2f}, above dealt rows and the local table (z {z}).{leaves}"
    if needed >= best:
        why = f"a strict order must exceed {min(needed, 1):.2f} to stand out here, and the best heat kernel has {best:.2f}"
        return "small", f"Too small to say: {why}.{aside}"
    short = f"strict order {value:.2f}, where more than {needed:.2f} would have been a map"
    if near:
        return "neighbourhoods", f"Neighbourhoods only: {stand_out} above chance, but {short}.{leaves}"
    return "chance", f"No better than chance: {short}, and neighbours do not stand out.{leaves}"


def _shown(value: float, null: Null | None) -> tuple[str, str]:
    """Return a null and how far a value lies above it, for a cell each."""
    if null is None:
        return "", ""
    z = null.z(value)
    return f"{null.mean:.3f} ± {null.sd:.3f}", "" if z is None else f"{z:.1f}"


def _plain(value: float, null: Null | None) -> dict | None:
    """Return a null as plain data."""
    return None if null is None else null._asdict() | {"z": null.z(value), "exceeded": null.exceeded(value)}


def _list(names, total: int = 0) -> str:
    """Return a few names for one line: nothing in them may break or turn it."""
    kept = [name if name.isprintable() else ascii(name) for name in names[:5]]
    return ", ".join(name[:40] for name in kept) + (", ..." if max(total, len(names)) > len(kept) else "")
