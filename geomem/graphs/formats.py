"""Graph formats that networkx knows, and Matrix Market: one function per format, from a file's text to a networkx graph."""

import io
import json
import re
import warnings
from collections.abc import Callable

import networkx as nx

from .checks import is_missing, shown


def _gexf(text: str) -> nx.Graph:
    """Read GEXF; networkx knows no version after 1.2, whose nodes and edges are those of 1.3."""
    return nx.read_gexf(
        io.BytesIO(re.sub(r"http://(www\.)?gexf\.net/1\.3(draft)?", "http://www.gexf.net/1.2draft", text).encode())
    )


def _gml(text: str) -> nx.Graph:
    """Read GML, by label where every node has one of its own."""
    try:
        return nx.parse_gml(text.splitlines(), label="label")
    except nx.NetworkXError:
        return nx.parse_gml(text.splitlines(), label="id")


def _node_link(text: str) -> nx.Graph:
    """Read node-link JSON, the edges under "edges" or "links"."""
    data = json.loads(text)
    if not isinstance(data, dict) or "nodes" not in data or not {"edges", "links"} & set(data):
        raise ValueError('an object with "nodes" and "links" is wanted')
    edges = data.get("edges", data.get("links"))
    return nx.node_link_graph(data | {"edges": edges, "links": edges})  # versions of networkx look under one or the other


def _matrix_market(text: str) -> nx.Graph:
    """Read a square Matrix Market file; nodes are named 1, 2, ... as its rows are.

    In plain Python, since some damaged files end the interpreter inside SciPy's parser (1.17).
    """
    lines = text.splitlines()
    head = lines[0].lower().split() if lines else []
    if len(head) != 5 or head[:2] != ["%%matrixmarket", "matrix"] or head[2] not in ("coordinate", "array"):
        raise ValueError("a first line such as %%MatrixMarket matrix coordinate real symmetric is wanted")
    values = {"pattern": 0, "integer": 1, "real": 1, "complex": 2}[head[3]]
    mirror = {"general": False, "symmetric": True, "skew-symmetric": True, "hermitian": True}[head[4]]
    first, *rows = (line.split() for line in lines[1:] if line.strip() and not line.lstrip().startswith("%"))
    height, width, *count = map(int, first)
    if height != width:
        raise ValueError(f"a square matrix is wanted, this one is {height} x {width}")
    if head[2] == "array":  # column by column, of a symmetric matrix from the diagonal down
        skip = int(head[4] == "skew-symmetric")
        places = ((u, v) for v in range(1, width + 1) for u in range(v + skip if mirror else 1, height + 1))
        count, rows = [None], [[u, v, *row] for (u, v), row in zip(places, rows, strict=True)]
    if len(count) != 1 or count[0] not in (None, len(rows)) or any(len(row) != 2 + values for row in rows):
        raise ValueError(f"a row, a column and {values} values are wanted in each of {count} lines, got {len(rows)} lines")
    pairs = {(int(u), int(v)) for u, v, *value in rows if not value or any(float(part) != 0 for part in value)}
    if not all(1 <= node <= height for pair in pairs for node in pair):
        raise ValueError(f"rows and columns from 1 to {height} are wanted")
    pairs |= {(v, u) for u, v in pairs if mirror}
    symmetric = all((v, u) in pairs for u, v in pairs)
    graph = nx.Graph() if symmetric else nx.DiGraph()
    graph.graph["rows"] = height  # a row without an entry is counted and not made: there may be billions
    graph.add_edges_from(sorted(pairs))
    return graph


FORMATS: dict[str, tuple[str, Callable[[str], nx.Graph]]] = {
    ".graphml": ("GraphML", nx.parse_graphml),
    ".gml": ("GML", _gml),
    ".gexf": ("GEXF", _gexf),
    ".net": ("Pajek", lambda text: nx.parse_pajek(text.splitlines())),
    ".paj": ("Pajek", lambda text: nx.parse_pajek(text.splitlines())),
    ".json": ("node-link JSON", _node_link),
    ".adjlist": ("networkx's adjacency list", lambda text: nx.parse_adjlist(text.splitlines())),
    ".mtx": ("Matrix Market", _matrix_market),
}
"""By a file's ending: what the format is called, and what reads its text."""


def pairs_in(text: str, suffix: str, file: str) -> tuple[list, list[str], list[str]]:
    """Return the edges of a file as pairs of names with their places, what to say about it, and what to warn about.

    Args:
        text: The file.
        suffix: A key of ``FORMATS``.
        file: What to call it.

    Raises:
        ValueError: If the library that knows the format cannot read it, or a node has no name.
    """
    kind, read = FORMATS[suffix]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of versions, and of attributes that are not used here
            graph = read(text)
    except Exception as error:  # each parser raises what it likes, and all of it means that the file is not in the format
        reason = " ".join(str(error).split())[:150] or type(error).__name__
        raise ValueError(f"{file} must be a {kind} file, got one that cannot be read: {reason}.") from None
    name, by = _names(graph)
    lacks = next((place for place, node in enumerate(graph) if is_missing(node) or not name[node].strip()), None)
    if lacks is not None:
        raise ValueError(
            f"{file}: every node must have a name, got {shown(list(graph)[lacks])} as node {lacks}, counted from 0."
        )
    pairs = [((name[u], name[v]), f"edge {k}") for k, (u, v) in enumerate(graph.edges())]
    attributes = sorted({str(key) for _, _, data in graph.edges(data=True) for key in data})
    said = [kind, by] if by else [kind]
    said += ["directions ignored"] if graph.is_directed() else []
    said += [f"edge attributes ignored: {', '.join(attributes[:8])}"] if attributes else []
    alone = nx.number_of_isolates(graph) + max(0, graph.graph.get("rows", 0) - len(graph))
    return pairs, said, [f"{alone:,} node{'s' * (alone != 1)} without an edge dropped"] if alone else []


def _names(graph: nx.Graph) -> tuple[dict, str]:
    """Return a name per node: its label or name where all nodes have different ones, else what identifies it."""
    for key in ("label", "name"):
        found = {node: data[key].strip() for node, data in graph.nodes(data=True) if isinstance(data.get(key), str)}
        if len(set(found.values()) - {""}) == len(graph) > 0:
            return found, f"nodes named by {key!r}"
    return {node: str(node) for node in graph}, ""
