"""Match the rows of a table of embeddings to the nodes of a graph, by name where there are names."""

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..graphs import Graph, require_graph
from ..graphs.checks import shown


class Table(NamedTuple):
    """Hold the rows of a table and, where they are known, their names, as ``read_table`` gives them.

    Args:
        rows: One vector per row, ``(k, m)``.
        names: One name per row, or None where the rows stand in the order of the nodes.
        source: What was read as what, in a sentence.
    """

    rows: Tensor
    names: tuple[str, ...] | None = None
    source: str = ""

    def __repr__(self) -> str:
        named = "without names" if self.names is None else f"{self.names[0]!r}, ..." if self.names else "no name"
        return f"Table(rows={len(self.rows):,}, width={self.rows.shape[-1] if self.rows.ndim > 1 else 0}, {named})"


class Matched(NamedTuple):
    """Hold the rows that belong to nodes, the graph of these nodes, and what is missing on either side.

    Args:
        rows: float64 ``(n, m)``, in the order of the nodes of ``graph``.
        graph: The part of the facts whose both ends have a row.
        no_row: Names of nodes that have no row.
        no_edge: Names of nodes that have a row, but no neighbour with one.
        no_node: How many rows name no node.
        strangers: A few of their names.
        loosely: Names that fit only when capitals, underscores and wide letters are ignored.
    """

    rows: Tensor
    graph: Graph
    no_row: tuple[str, ...] = ()
    no_edge: tuple[str, ...] = ()
    no_node: int = 0
    strangers: tuple[str, ...] = ()
    loosely: tuple[str, ...] = ()


def match_rows(table, graph: Graph) -> Matched:
    """Return the rows of a table in the order of a graph's nodes, and the graph of those that have one.

    Names are brought to one spelling of their accents (NFC). A name that fits no row so is tried again without regard to
    capitals, underscores and wide letters, and taken where exactly one row fits.

    Args:
        table: An array with one row per node in the graph's order, a mapping of names to vectors, a data frame whose index
            holds the names, or a ``Table``.
        graph: The graph.

    Raises:
        TypeError: If the table is none of these.
        ValueError: If its rows do not fit, a node's name stands at two rows, or no fact has a row at both ends.

    Source:
        Ours.

    Example:
        >>> from geomem.graphs import Graph
        >>> g = Graph.from_edges([("a", "b"), ("b", "c")])
        >>> match_rows({"A": [1.0], "b": [2.0], "x": [3.0]}, g)[2:]
        (('c',), (), 1, ('x',), ('a',))
    """
    rows, names, _ = table_of(table)
    if names is None:
        if len(rows) != require_graph(graph).n_nodes:
            raise ValueError(f"table must have one row per node, {graph.n_nodes:,}, or names, got {len(rows):,} rows without"
                             " names. Give a dict or a data frame indexed by name, or a file of names.")  # fmt: skip
        return Matched(_finite(rows, graph.labels), graph)
    at, loosely = _places(names, require_graph(graph).labels)
    there = torch.tensor([place >= 0 for place in at])
    used = {place for place in at if place >= 0}
    others = [name for place, name in enumerate(names) if place not in used]
    kept = graph.edges[there[graph.edges].all(1)]
    if not len(kept):
        raise ValueError(f"table must have rows for both nodes of some edge, got names such as {shown(list(names[:3]))} for "
                         f"nodes such as {shown(list(graph.labels[:3]))}. Check the spelling on both sides.")  # fmt: skip
    nodes = kept.flatten().unique()
    lone = there.clone()
    lone[nodes] = False
    found = _finite(rows[[at[u] for u in nodes.tolist()]], [graph.labels[u] for u in nodes.tolist()])
    return Matched(
        rows=found,
        graph=graph if len(nodes) == graph.n_nodes else _part(graph, nodes, kept),
        no_row=tuple(name for name, has in zip(graph.labels, there.tolist(), strict=True) if not has),
        no_edge=tuple(graph.labels[u] for u in lone.nonzero().flatten().tolist()),
        no_node=len(others),
        strangers=tuple(others[:5]),
        loosely=tuple(loosely),
    )


def table_of(table) -> Table:
    """Return any table as its rows and names."""
    if isinstance(table, Table):
        return table._replace(rows=_tensor(table.rows, table.names))
    if isinstance(table, Mapping):
        sizes = {_shape(vector) for vector in table.values()}
        if len(sizes) != 1 or len(next(iter(sizes))) != 1:
            raise ValueError(f"table must give every name a vector of one length, got shapes {shown(sorted(sizes)[:3])}.")
        names = tuple(map(str, table))
        return Table(_tensor([_plain(vector) for vector in table.values()], names), names)
    if hasattr(table, "columns") and hasattr(table, "index") and hasattr(table, "dtypes"):
        text = [str(name) for name, kind in zip(table.columns, table.dtypes, strict=True) if kind.kind not in "iufb"]
        if text:
            raise TypeError(f"table must hold numbers, got a data frame with the column {text[0]!r}. Write "
                            f"table.set_index({text[0]!r}) if it holds the names, or drop it.")  # fmt: skip
        counted = list(table.index) == list(range(len(table)))  # pandas' own numbers are no names
        names = None if counted else tuple(map(str, table.index))
        return Table(_tensor(table.to_numpy(), names), names)
    return Table(_tensor(table, None))


def _shape(vector) -> tuple[int, ...]:
    """Return the shape of a vector; lists of different lengths have none that fits."""
    try:
        return tuple(np.shape(vector))
    except ValueError:
        return ()


def _plain(vector):
    """Return a vector as numbers on the CPU."""
    return vector.detach().cpu().tolist() if isinstance(vector, Tensor) else vector


def _tensor(rows, names: Sequence[str] | None) -> Tensor:
    """Return rows as a tensor of real numbers, ``(k, m)``, one per name."""
    try:
        rows = rows if isinstance(rows, Tensor) else torch.from_numpy(np.array(rows))
    except (TypeError, ValueError):
        raise TypeError(f"table must be an array of numbers, a mapping of names to vectors, or a data frame indexed by "
                        f"name, got {type(rows).__name__}.") from None  # fmt: skip
    if rows.is_complex() or rows.dtype == torch.bool:
        raise TypeError(f"table must hold real numbers, got {rows.dtype}.")
    if rows.ndim != 2 or not rows.numel():
        batch = " Measure one table at a time." if rows.ndim > 2 else ""
        raise ValueError(f"table must have shape (rows, width), got {tuple(rows.shape)}.{batch}")
    if names is not None and len(names) != len(rows):
        raise ValueError(f"names must be as many as the table's {len(rows):,} rows, got {len(names):,}.")
    return rows.detach().cpu()


def _finite(rows: Tensor, labels: Sequence[str]) -> Tensor:
    """Return rows in float64; say whose row is not finite."""
    rows = rows.to(torch.float64)
    broken = (~rows.isfinite().all(1)).nonzero().flatten().tolist()
    if broken:
        raise ValueError(f"table must be finite, got NaN or infinity in the row of {shown(labels[broken[0]])}.")
    return rows


def _places(names: Sequence[str], labels: Sequence[str]) -> tuple[list[int], list[str]]:
    """Return the row of each label, -1 where there is none, and the labels that fit only loosely."""
    exact = _by_key(names, lambda name: unicodedata.normalize("NFC", name))
    loose, at, loosely = None, [], []
    for label in labels:
        rows = exact.get(unicodedata.normalize("NFC", label), [])
        if len(rows) > 1:
            raise ValueError(f"table must have one row per name, got {len(rows)} for {shown(label)}. Drop all but one.")
        if not rows:
            loose = _by_key(names, _loose) if loose is None else loose
            rows = loose.get(_loose(label), [])
            rows = rows if len(rows) == 1 else []
            loosely += [label] * len(rows)
        at.append(rows[0] if rows else -1)
    uses, loosely = Counter(at), set(loosely)
    at = [-1 if label in loosely and uses[place] > 1 else place for label, place in zip(labels, at, strict=True)]
    return at, [label for label, place in zip(labels, at, strict=True) if label in loosely and place >= 0]


def _loose(name: str) -> str:
    """Return a name without capitals, underscores, wide letters and doubled spaces."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().replace("_", " ").split())


def _by_key(names: Sequence[str], key) -> dict[str, list[int]]:
    """Return the rows of each key."""
    found: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        found.setdefault(key(name), []).append(place)
    return found


def _part(graph: Graph, nodes: Tensor, edges: Tensor) -> Graph:
    """Return the graph of some nodes; it keeps its root where every path is still whole."""
    place = torch.full((graph.n_nodes,), -1)
    place[nodes] = torch.arange(len(nodes))
    whole = graph.root is not None and bool((place[graph.paths] >= 0).all()) and bool(place[graph.root] >= 0)
    rooted = {"root": int(place[graph.root]), "paths": place[graph.paths]} if whole else {}
    labels = [graph.labels[u] for u in nodes.tolist()]
    return Graph(n_nodes=len(nodes), edges=place[edges], labels=labels, name=graph.name, source=graph.source, **rooted)
