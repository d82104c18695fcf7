"""What must hold of a graph's edges, paths and names, and how names become numbers."""

import reprlib
from collections.abc import Hashable, Iterable

import torch
from torch import Tensor

_SHORT = reprlib.Repr()
_SHORT.maxother = _SHORT.maxstring = 80


def shown(value) -> str:
    """Return how a sentence quotes a value: shortened where it is long."""
    return _SHORT.repr(value)


def checked_edges(n_nodes: int, edges) -> Tensor:
    """Return a copy of the edges, int64 ``(n_edges, 2)``, or say which rule they break."""
    try:
        edges = torch.as_tensor(edges).detach().to("cpu", copy=True)
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(f"edges must be pairs of integers, got {type(edges).__name__}.") from None
    if edges.numel() == 0:
        raise ValueError("edges must hold at least one edge, got none: an empty graph has no fact to memorise.")
    whole = not (edges.dtype.is_floating_point or edges.dtype.is_complex or edges.dtype == torch.bool)
    if not whole or edges.ndim != 2 or edges.shape[1] != 2:
        raise TypeError(f"edges must be pairs of integers, shape (n_edges, 2), got {tuple(edges.shape)} {edges.dtype}.")
    edges = edges.to(torch.int64)
    low, high = int(edges.min()), int(edges.max())
    if low < 0 or high >= n_nodes:
        raise ValueError(f"edges must join nodes 0 to {n_nodes - 1}, got node {low if low < 0 else high}.")
    loops = edges[:, 0] == edges[:, 1]
    if loops.any():
        raise ValueError(f"edges must join different nodes, got {int(edges[loops][0, 0])} with itself. Drop self loops; "
                         "train them with self_edges=True.")  # fmt: skip
    if len(_keys(n_nodes, edges).unique()) < len(edges):
        raise ValueError("edges must not repeat, in either direction. Use Graph.from_edges to merge them.")
    isolated = (torch.bincount(edges.flatten(), minlength=n_nodes) == 0).nonzero().flatten().tolist()
    if isolated:
        raise ValueError(f"every node must have an edge, got isolated node {isolated[0]} ({len(isolated)} in all). "
                         "Remove it: no fact names it.")  # fmt: skip
    return edges


def checked_paths(n_nodes: int, edges: Tensor, root: int | None, paths) -> Tensor:
    """Return a copy of the paths, int64 ``(n_paths, length)``, or say which rule they break."""
    if root is None:
        if paths is not None and torch.as_tensor(paths).numel():
            raise ValueError("root must be given with paths, got None: paths begin at the root.")
        return torch.zeros(0, 0, dtype=torch.int64)
    try:
        given = torch.as_tensor([] if paths is None else paths)
        paths = given.detach().to("cpu", torch.int64, copy=True)
    except (TypeError, ValueError, RuntimeError):
        raise TypeError(f"paths must be node ids, all paths of one length, got {type(paths).__name__}.") from None
    if given.dtype.is_floating_point and given.numel():
        raise TypeError(f"paths must be node ids, which are integers, got {given.dtype}.")
    if paths.ndim != 2 or not len(paths) or paths.shape[1] < 2 or (paths[:, 0] != root).any():
        raise ValueError(f"paths must all begin at the root, {root}, shape (n_paths, length), got {tuple(paths.shape)}.")
    if not 0 <= int(paths.min()) <= int(paths.max()) < n_nodes:
        raise ValueError(f"paths must name nodes 0 to {n_nodes - 1}, got {int(paths.min())} to {int(paths.max())}.")
    steps = torch.stack([paths[:, :-1], paths[:, 1:]], dim=-1).flatten(0, 1)
    strange = steps[~torch.isin(_keys(n_nodes, steps), _keys(n_nodes, edges))]
    if len(strange):
        raise ValueError(f"paths must follow edges, got a step from {int(strange[0, 0])} to {int(strange[0, 1])}, "
                         "which is no edge.")  # fmt: skip
    if (paths.sort(dim=1).values.diff(dim=1) == 0).any():
        raise ValueError("paths must not visit a node twice, got one that does.")
    if len(paths[:, -1].unique()) < len(paths):
        raise ValueError("paths must end in different leaves, because a leaf asks for its path, got two to one leaf.")
    return paths


def checked_labels(n_nodes: int, labels) -> tuple[str, ...]:
    """Return one different name per node, by default its number."""
    names = tuple(str(label) for label in labels) or tuple(str(node) for node in range(n_nodes))
    if len(names) != n_nodes or len(set(names)) < n_nodes:
        raise ValueError(
            f"labels must be {n_nodes} different names, one per node, got {len(names)} labels, {len(set(names))} different."
        )
    return names


def _keys(n_nodes: int, edges: Tensor) -> Tensor:
    """Return one number per undirected edge."""
    return edges.amin(1) * n_nodes + edges.amax(1)


def is_missing(name) -> bool:
    """Return whether a name stands for none: None, or a value that does not equal itself, as NaN, NaT and pandas.NA."""
    try:
        return name is None or bool(name != name)
    except (TypeError, ValueError):
        return True  # pandas.NA: to compare it is already an error


def numbered(pairs: Iterable) -> tuple[tuple[str, ...], list[tuple[int, int]], int]:
    """Return names in order of appearance, different edges between their numbers, and how many pairs were repeats.

    Args:
        pairs: Two names per edge.

    Raises:
        TypeError: If an item is not a pair.
        ValueError: If there is no pair, a name is missing, or a pair joins a node to itself.
    """
    _refuse_other_shapes(pairs)
    numbers: dict[Hashable, int] = {}
    edges: dict[tuple[int, int], tuple[int, int]] = {}
    total = 0
    for row, pair in enumerate(pairs):
        head, tail = _pair(row, pair)
        ends = numbers.setdefault(head, len(numbers)), numbers.setdefault(tail, len(numbers))
        edges.setdefault((min(ends), max(ends)), ends)
        total += 1
    if not edges:
        raise ValueError("edges must hold at least one pair, got none: an empty graph has no fact to memorise.")
    return tuple(map(str, numbers)), list(edges.values()), total - len(edges)


def _pair(row: int, pair) -> tuple[Hashable, Hashable]:
    """Return the two names of one row."""
    pair = pair.tolist() if hasattr(pair, "tolist") else pair
    if not isinstance(pair, (tuple, list)) or len(pair) != 2 or not all(isinstance(end, Hashable) for end in pair):
        raise TypeError(f"an edge must be a pair of names, got {shown(pair)} in row {row}. Drop weights and other columns "
                        "first.")  # fmt: skip
    head, tail = pair
    if is_missing(head) or is_missing(tail):
        raise ValueError(f"an edge must join two names, got {shown(tuple(pair))} in row {row}, counted from 0: a name is "
                         "missing. Drop the row or fill it in; keep_default_na=False keeps the text NA.")  # fmt: skip
    if head == tail:
        raise ValueError(f"an edge must join two different nodes, got {shown(head)} with itself. Drop self loops; "
                         "train them with self_edges=True.")  # fmt: skip
    return head, tail


def _refuse_other_shapes(pairs) -> None:
    """Refuse an array that does not hold one edge per row, and a data frame, whose rows are not what iterates."""
    if hasattr(pairs, "itertuples"):
        raise TypeError("pairs must be an iterable of pairs, got a data frame. Write "
                        "df[['source', 'target']].itertuples(index=False).")  # fmt: skip
    shape = tuple(getattr(pairs, "shape", ()))
    if shape and (len(shape) != 2 or shape[1] != 2):
        turned = " Write pairs.T for an edge index of shape (2, n_edges)." if len(shape) == 2 and shape[0] == 2 else ""
        raise TypeError(f"pairs must have one edge per row, shape (n_edges, 2), got shape {shape}.{turned}")
