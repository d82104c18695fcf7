"""Graphs whose edges are the facts to memorise: the paper's families, networkx graphs, and files of names."""

from .families import FAMILIES, cycle, grid, irregular, named_graph, path_star, rewired, tree_star
from .files import read_edges, reading
from .graph import Graph, node_table, require_graph

__all__ = [
    "Graph",
    "node_table",
    "require_graph",
    "read_edges",
    "reading",
    "FAMILIES",
    "cycle",
    "grid",
    "irregular",
    "named_graph",
    "path_star",
    "rewired",
    "tree_star",
]
