import copy
import csv
import gzip
import pickle
import warnings
from collections import Counter
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import geomem as gm
from geomem.graphs import FAMILIES

TINY = [gm.named_graph(name) for name in FAMILIES]
tiny = pytest.mark.parametrize("g", TINY, ids=lambda g: g.name)
sizes = pytest.mark.parametrize("degree, length", [(2, 2), (4, 5), (3, 2), (2, 9), (500, 5)])
NASTY = ["Zoë", "\u202eright to left", "<script>alert('x')</script>", "a,b", "two\nlines", 'say "hi"', "&amp;", "中文 名"]


def pairs_of(g):
    return {frozenset((g.labels[u], g.labels[v])) for u, v in g.edges.tolist()}


def written(tmp_path, content, name="facts.csv"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


@sizes
def test_path_star_counts_follow_the_formula_and_length_counts_the_root(degree, length):
    g = gm.path_star(degree, length)
    assert (g.n_nodes, g.n_edges) == (degree * (length - 1) + 1, degree * (length - 1))
    assert g.paths.shape == (degree, length)
    assert int(g.degrees[g.root]) == degree and len(g.first_hops) == degree
    arms = g.paths[:, 1:].flatten()
    assert len(arms.unique()) == len(arms) == g.n_nodes - 1  # disjoint arms that cover all but the root


def test_a_seed_that_torch_would_take_for_a_smaller_one_is_refused():
    for call in (lambda seed: gm.path_star(3, 3, seed=seed), lambda seed: gm.associative_memory(gm.cycle(5), seed=seed)):
        with pytest.raises(ValueError, match=r"seed must be less than 2\*\*32"):
            call(2**32)


@pytest.mark.parametrize("degree, length, branching", [(2, 2, 2), (3, 4, 2), (2, 5, 3), (4, 5, 1)])
def test_tree_star_counts_follow_the_formula(degree, length, branching):
    g = gm.tree_star(degree, length, branching)
    assert g.n_nodes == 1 + degree * sum(branching**k for k in range(length - 1))
    assert g.n_edges == g.n_nodes - 1 and len(g.components().unique()) == 1
    assert len(g.paths) == degree * branching ** (length - 2) == int((g.degrees == 1).sum())
    assert set(g.degrees.tolist()) <= {1, branching + 1, degree}


def test_the_other_families_have_the_papers_counts():
    irregular = gm.irregular()
    assert (irregular.n_nodes, irregular.n_edges) == (16, 20)
    assert nx.is_isomorphic(irregular.to_networkx().subgraph(map(str, range(12, 16))), nx.complete_graph(4))
    ring = irregular.to_networkx().subgraph(map(str, range(12))).copy()
    ring.remove_edges_from([("1", "3"), ("5", "8")])
    assert nx.is_isomorphic(ring, nx.cycle_graph(12))
    assert nx.is_isomorphic(gm.grid(3, 5).to_networkx(), nx.grid_2d_graph(3, 5))
    assert nx.is_isomorphic(gm.grid(1, 4).to_networkx(), nx.path_graph(4))
    assert nx.is_isomorphic(gm.cycle(7).to_networkx(), nx.cycle_graph(7))


def test_every_family_has_a_name_of_its_own():
    assert len({g.name for g in TINY} - {"graph"}) == len(TINY) == len(FAMILIES)


def rows_of(name):
    """Return the rows of a file of facts that came with the book, read by nothing of ours, and its comments."""
    lines = (Path(__file__).parents[2] / "book" / "data" / f"{name}.csv").read_text(encoding="utf8").splitlines()
    return list(csv.reader(x for x in lines if not x.startswith("#"))), [x for x in lines if x.startswith("#")]


@pytest.mark.parametrize(
    "name, nodes, edges, pieces", [("family", 37, 37, 1), ("places", 64, 58, 6), ("borders", 158, 317, 4)]
)
def test_the_books_files_of_facts_are_well_formed(name, nodes, edges, pieces):
    rows, comments = rows_of(name)
    assert ("MIT licence" if name == "borders" else "Typed by hand") in " ".join(comments)
    assert all(len(row) == 2 and all(x == x.strip() and x.isprintable() and x for x in row) for row in rows)
    assert len({frozenset(row) for row in rows}) == len(rows) == edges  # none twice, in neither direction
    g = gm.named_graph(name)  # a merged row would warn, and a warning is an error here
    assert pairs_of(g) == {frozenset(row) for row in rows}
    assert (g.n_nodes, len(g.components().unique())) == (nodes, pieces)
    assert len({x.lower() for x in g.labels}) == nodes  # one spelling a name


def test_every_place_lies_in_one_other_and_a_city_two_steps_below_a_continent():
    rows, _ = rows_of("places")
    parent = dict(rows)
    assert len(parent) == len(rows)  # nothing lies in two
    continents = set(parent.values()) - set(parent)
    assert continents == {"Africa", "Asia", "Europe", "North America", "South America", "Oceania"}
    countries = {part for part, whole in rows if whole in continents}
    assert {whole for _, whole in rows} == continents | countries  # every country has a city
    assert nx.is_forest(gm.named_graph("places").to_networkx())


def test_the_family_has_one_ring_and_one_child_with_two_parents():
    rows, _ = rows_of("family")
    children = Counter(child for _, child in rows)
    assert {child: k for child, k in children.items() if k > 1} == {"Charles III": 2}
    assert {parent for parent, _ in rows} - set(children) == {"Queen Victoria"}  # all others are someone's child
    assert [len(ring) for ring in nx.cycle_basis(gm.named_graph("family").to_networkx())] == [10]


def test_the_classic_networks_have_their_known_counts():
    counts = {name: (g.n_nodes, g.n_edges) for name in FAMILIES if (g := gm.named_graph(name))}
    assert counts["karate"] == (34, 78) and counts["les_miserables"] == (77, 254)
    assert counts["florentine"] == (15, 20) and counts["davis"] == (18 + 14, 89)


@tiny
def test_hops_degrees_adjacency_and_components_agree_with_networkx(g):
    G = g.to_networkx()
    lengths = dict(nx.all_pairs_shortest_path_length(G))
    expected = torch.tensor([[lengths[a].get(b, -1) for b in g.labels] for a in g.labels])
    assert torch.equal(g.hops(), expected) and g.hops().dtype == torch.int64
    assert g.degrees.tolist() == [G.degree[label] for label in g.labels]
    assert torch.equal(g.adjacency(), torch.as_tensor(nx.to_numpy_array(G, nodelist=g.labels, weight=None)))
    parts = {frozenset(g.labels[i] for i in (g.components() == c).nonzero()) for c in g.components().unique()}
    assert parts == set(map(frozenset, nx.connected_components(G)))


@tiny
def test_adjacency_and_targets_are_symmetric_unless_one_direction_is_asked(g):
    A = g.adjacency()
    assert A.dtype == torch.float64 and torch.equal(A, A.T) and A.diagonal().eq(0).all()
    assert torch.equal(g.adjacency(self_edges=True), A + torch.eye(g.n_nodes))
    forward, backward = g.targets(directions="forward"), g.targets(directions="backward")
    assert torch.equal(forward, backward.T) and torch.equal(forward + backward, A) and torch.equal(g.targets(), A)
    assert torch.equal(g.targets(directions="forward", self_edges=True), forward + torch.eye(g.n_nodes))
    assert len(g.directed_edges()) == 2 * g.n_edges == int(A.sum())
    assert [forward[u, v].item() for u, v in g.edges.tolist()] == [1.0] * g.n_edges


@pytest.mark.parametrize("seed", [None, 0, 7])
@pytest.mark.parametrize("make", [lambda s: gm.path_star(4, 5, seed=s), lambda s: gm.tree_star(3, 4, seed=s)])
def test_edges_point_away_from_the_root_and_paths_follow_them(make, seed):
    g = make(seed)
    from_root = g.hops()[g.root]
    heads, tails = g.edges.T
    assert torch.equal(from_root[tails], from_root[heads] + 1)
    assert torch.equal(from_root[g.paths], torch.arange(g.paths.shape[1]).expand_as(g.paths))
    forward = {tuple(edge) for edge in g.edges.tolist()}
    assert all(step in forward for path in g.paths.tolist() for step in zip(path, path[1:], strict=False))


def test_seed_shuffles_the_numbering_but_the_graph_stays_isomorphic():
    plain, a, again, b = (gm.path_star(4, 5, seed=s) for s in (None, 1, 1, 2))
    assert torch.equal(a.edges, again.edges)
    assert not torch.equal(a.paths, plain.paths) and not torch.equal(a.paths, b.paths)
    assert nx.is_isomorphic(plain.to_networkx(), a.to_networkx())
    assert len({gm.path_star(4, 5, seed=s).root for s in range(20)}) > 5  # the root moves too


@pytest.mark.parametrize("g", [*TINY, gm.path_star(60, 5), gm.named_graph("les_miserables")], ids=repr)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_rewiring_keeps_nodes_and_degrees_and_little_else(g, seed):
    other = gm.graphs.rewired(g, seed=seed)
    assert other.labels == g.labels and torch.equal(other.degrees, g.degrees)  # Graph itself refuses loops and repeats
    assert len(pairs_of(other) & pairs_of(g)) <= g.n_edges / 2 < other.n_edges == g.n_edges
    assert other.root is None and not other.paths.numel() and other.name == f"{g.name}, rewired"


def test_rewiring_depends_on_its_seed_only_and_leaves_the_graph_alone():
    g = gm.grid(4, 4)
    before = g.edges.clone()
    a, again, b = (gm.graphs.rewired(g, seed=s) for s in (1, 1, 2))
    assert torch.equal(a.edges, again.edges) and pairs_of(a) != pairs_of(b)
    assert torch.equal(g.edges, before)


def test_rewiring_never_returns_the_same_edges():
    chain = gm.Graph(n_nodes=4, edges=[(0, 1), (1, 2), (2, 3)])  # few chains have these degrees: chance often comes back
    others = [gm.graphs.rewired(chain, seed=s) for s in range(40)]
    assert all(pairs_of(other) != pairs_of(chain) for other in others)


def test_more_exchanges_forget_more_of_a_large_graph():
    ring = gm.cycle(400)
    kept = [len(pairs_of(gm.graphs.rewired(ring, seed=0, swaps=k)) & pairs_of(ring)) for k in (1, 10)]
    assert kept[0] > 20 and kept[1] < 15  # chance is 2 of 400


def test_from_networkx_keeps_names_and_ignores_weights():
    G = nx.Graph(name="trio")
    G.add_weighted_edges_from([("x", "y", 0.1), ("y", NASTY[2], 9.0)])
    g = gm.Graph.from_networkx(G)
    assert g.name == "trio" and g.labels == ("x", "y", NASTY[2]) and g.degrees.tolist() == [1, 2, 1]
    assert g.adjacency().max() == 1


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(st.lists(st.tuples(*[st.text(min_size=1, max_size=3)] * 2).filter(lambda p: p[0] != p[1]), min_size=1, max_size=12))
def test_random_pair_lists_round_trip_through_networkx(pairs):
    unordered = {frozenset(pair) for pair in pairs}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        g = gm.Graph.from_edges(pairs)
    counts = [int(str(w.message).split()[0]) for w in caught]
    assert counts == [len(pairs) - len(unordered)] * (len(pairs) > len(unordered))
    back = gm.Graph.from_networkx(g.to_networkx())
    assert pairs_of(g) == pairs_of(back) == unordered
    assert g.labels == back.labels == tuple(dict.fromkeys(end for pair in pairs for end in pair))


FILES = {
    "comma": ("a,b\nb,c\n", "x.csv", {}),
    "unknown ending is comma": ("a,b\nb,c\n", "x.txt", {}),
    "tab": ("a\tb\nb\tc\n", "x.tsv", {}),
    "upper case ending": ("a\tb\nb\tc\n", "x.TSV", {}),
    "byte order mark": ("\ufeffa,b\nb,c\n", "x.csv", {}),
    "comments, empty rows, no last newline": ("# from, to\n\n  # more\na,b\n,\nb,c", "x.csv", {}),
    "a comment may hold a quote": ('# a,"b\na,b\nb,c\n', "x.csv", {}),
    "windows lines and spaces": ("a , b\r\nb,c\r\n", "x.csv", {}),
    "header after a comment": ("# of facts\nfrom,to\na,b\nb,c\n", "x.csv", {"header": True}),
    "utf-16": ("a,b\nb,c\n".encode("utf-16"), "x.csv", {}),
    "gzip": (gzip.compress(b"a\tb\nb\tc\n"), "x.txt.gz", {}),
    "a mark inside": ("a,b\n\ufeffb,c\n", "x.csv", {}),
    "white space": ("a b\nb  c\n", "x.edges", {}),
    "bars": ("a|b\nb|c\n", "x.csv", {}),
    "given separator": ("a::b\nb::c\n", "x.csv", {"sep": ":", "columns": (0, 2)}),
    "other comments": ("% note\na,b\nb,c\n", "x.csv", {"comments": "%"}),
    "titles": ("note,To,From\nx,b,a\ny,c,b\n", "x.csv", {}),
    "titles by name": ("x,who,whom\n1,a,b\n2,b,c\n", "x.csv", {"columns": ("who", "whom")}),
    "titles of neo4j": (":START_ID(P),:TYPE,:END_ID(P)\na,knows,b\nb,knows,c\n", "x.csv", {}),
    "triples with titles": ("head\trelation\ttail\na\tr\tb\nb\tr\tc\n", "x.tsv", {}),
    "words above numbers": ("one,two,weight\na,b,1.5\nb,c,2\n", "x.csv", {}),
    "weights": ("a,b,1.5\nb,c,2e-3\n", "x.csv", {}),
    "an empty column": ("a,b,\nb,c,\n", "x.csv", {}),
    "columns": ("1,b,x,a\n2,c,x,b\n", "x.csv", {"columns": (3, 1)}),
}


@pytest.mark.parametrize("content, name, options", FILES.values(), ids=FILES)
def test_read_edges_reads_every_dialect_to_the_same_graph(tmp_path, content, name, options):
    g = gm.read_edges(written(tmp_path, content, name), **options)
    assert g.labels == ("a", "b", "c") and g.edges.tolist() == [[0, 1], [1, 2]] and g.name == "x"


def test_quoted_fields_may_hold_commas_newlines_quotes_and_any_script(tmp_path):
    quoted = "\n".join('"{}",hub'.format(name.replace('"', '""')) for name in NASTY)
    g = gm.read_edges(str(written(tmp_path, quoted)))
    assert pairs_of(g) == {frozenset((name, "hub")) for name in NASTY}


def test_repeated_and_reversed_rows_give_exactly_one_warning_that_counts_them(tmp_path):
    path = written(tmp_path, "a,b\nb,a\nb,c\na,b\n")
    with pytest.warns(UserWarning, match="^2 repeated or reversed") as caught:
        g = gm.read_edges(path)
    assert len(caught) == 1 and g.edges.tolist() == [[0, 1], [1, 2]]


BAD_FILES = {
    "one column": ("a\nb\n", {}, "line 1: a row must have a column 1"),
    "wrong separator": ("a\tb\n", {"sep": ","}, "separator"),
    "two separators": ("a;x,b;y\nc;x,d;y\n", {}, "told its separator, got rows that split at semicolon and comma alike"),
    "a long separator": ("a,b\n", {"sep": "::"}, "sep must be one character, got '::'"),
    "no such title": ("a,b\n", {"columns": ("x", "b")}, "got 'x', and there is none of that title, in \\['a', 'b'\\]"),
    "a title twice": ("a,a\nx,y\n", {"columns": ("a", "b")}, "got 'a', and there is 2 of that title"),
    "one column by two ways": (
        "a,b\nx,y\n",
        {"columns": ("a", 0)},
        "two different columns, got \\('a', 0\\), both column 0",
    ),
    "titles without a header": ("a,b\n", {"columns": ("a", "b"), "header": False}, "header must not be False"),
    "three columns of words": ("a,x,b\nb,y,c\n", {}, "which two of its 3 columns.*columns=\\(0, 2\\)"),
    "an index": ("0,a,b\n1,b,c\n", {}, "column 0 only counts the rows, an index. Write columns=\\(1, 2\\)"),
    "a matrix without names": ("0,1,1\n1,0,0\n1,0,0\n", {}, "got an adjacency matrix"),
    "another word for loops": ("a,b\n", {"self_loops": "keep"}, "self_loops must be one of 'drop', 'error'"),
    "damaged gzip": (b"\x1f\x8b\x08\x00abc", {}, "readable as gzip"),
    "too few in one row": ("a,b\nc\n", {}, "line 2"),
    "self loop": ("a,b\nc,c\n", {"self_loops": "error"}, "line 2.*'c' with itself"),
    "only self loops": ("a,a\nb,b\n", {}, "at least one pair of different names, got 2 self loops only"),
    "empty name": ("a,b\nc, \n", {}, "line 2: both names"),
    "empty": ("", {}, "at least one pair"),
    "only comments": ("# a,b\n", {}, "at least one pair"),
    "only a header": ("a,b\n", {"header": True}, "at least one pair"),
    "not utf-8": (b"caf\xe9,b\n", {}, "must be UTF-8 text, got a byte that is not at 3"),
    "zip archive": (b"PK\x03\x04\x00\x00a,b\n", {}, "zip archive"),
    "binary": (b"\x7fELF\x00\x00a,b\n", {}, "binary"),
    "negative column": ("a,b\n", {"columns": (0, -1)}, "a column must be at least 0"),
    "the same column twice": ("a,b\n", {"columns": (0, 0)}, "columns"),
    "a quote that never closes swallows the rest": ('a,"b\nc,d\ne,f\n', {}, "line"),
}


@pytest.mark.parametrize("content, options, message", BAD_FILES.values(), ids=BAD_FILES)
def test_a_bad_file_is_refused_with_its_reason(tmp_path, content, options, message):
    with pytest.raises(ValueError, match=f"(?s){message}"):
        gm.read_edges(written(tmp_path, content), **options)


def test_a_missing_file_and_wrong_columns_are_named(tmp_path):
    with pytest.raises(ValueError, match="path must name a file.*nowhere.csv"):
        gm.read_edges(tmp_path / "nowhere.csv")
    for columns in (1, "ab", (0, 1, 2), (0, 1.0), (0, True)):
        with pytest.raises(TypeError, match="column"):
            gm.read_edges(written(tmp_path, "a,b\n"), columns=columns)


def path_graph(**options):
    """Return 2 - 1 - 0 - 3 - 4, with whatever else is given."""
    return gm.Graph(n_nodes=5, edges=[(0, 1), (1, 2), (0, 3), (3, 4)], **options)


ISOLATED = nx.Graph([("a", "b")])
ISOLATED.add_node("lonely")
BAD_GRAPHS = {
    "degree": (ValueError, "degree must be at least 2, got 1", lambda: gm.path_star(1, 5)),
    "length": (ValueError, "length must be at least 2, got 1", lambda: gm.path_star(4, 1)),
    "float": (TypeError, "degree must be an integer, got 4.0", lambda: gm.path_star(4.0, 5)),
    "bool": (TypeError, "length must be an integer, got True", lambda: gm.path_star(4, True)),
    "text": (TypeError, "n_nodes must be an integer, got '15'", lambda: gm.cycle("15")),
    "cycle": (ValueError, "n_nodes must be at least 3, got 2", lambda: gm.cycle(2)),
    "grid": (ValueError, "two nodes, got 1 x 1", lambda: gm.grid(1, 1)),
    "rows": (ValueError, "rows must be at least 1, got 0", lambda: gm.grid(0, 4)),
    "branching": (ValueError, "branching must be at least 1", lambda: gm.tree_star(2, 3, 0)),
    "seed": (TypeError, "seed must be an integer", lambda: gm.path_star(2, 2, seed=1.5)),
    "no pairs": (ValueError, "at least one pair", lambda: gm.Graph.from_edges(iter(()))),
    "not a pair": (TypeError, r"pair of names, got \('a', 'b', 3\)", lambda: gm.Graph.from_edges([("a", "b", 3)])),
    "a string is no pair": (TypeError, "pair of names, got 'ab'", lambda: gm.Graph.from_edges(["ab"])),
    "loop": (ValueError, "'a' with itself", lambda: gm.Graph.from_edges([("a", "a")])),
    "same text": (ValueError, "labels must be 2 different", lambda: gm.Graph.from_edges([("1", 1)])),
    "empty graph": (ValueError, "got 0", lambda: gm.Graph.from_networkx(nx.Graph())),
    "no edge": (ValueError, "at least one edge", lambda: gm.Graph.from_networkx(nx.empty_graph(3))),
    "isolated": (ValueError, "isolated node .*lonely", lambda: gm.Graph.from_networkx(ISOLATED)),
    "self loop": (ValueError, "x.* with itself", lambda: gm.Graph.from_networkx(nx.Graph([("x", "x"), ("x", "y")]))),
    "directed": (TypeError, "undirected, got DiGraph", lambda: gm.Graph.from_networkx(nx.DiGraph([(0, 1)]))),
    "multi": (TypeError, "simple .* got MultiGraph", lambda: gm.Graph.from_networkx(nx.MultiGraph([(0, 1)]))),
    "no graph": (TypeError, "networkx.Graph, got list", lambda: gm.Graph.from_networkx([(0, 1)])),
    "out of range": (ValueError, "nodes 0 to 1, got node 2", lambda: gm.Graph(n_nodes=2, edges=[(0, 2)])),
    "repeat": (ValueError, "must not repeat", lambda: gm.Graph(n_nodes=2, edges=[(0, 1), (1, 0)])),
    "floats": (TypeError, "pairs of integers", lambda: gm.Graph(n_nodes=2, edges=[(0.0, 1.0)])),
    "labels": (ValueError, "labels must be 2", lambda: gm.Graph(n_nodes=2, edges=[(0, 1)], labels=("a",))),
    "paths without a root": (ValueError, "root must be given", lambda: path_graph(paths=[[0, 1, 2]])),
    "root without paths": (ValueError, "paths must all begin at the root, 0", lambda: path_graph(root=0)),
    "a path from elsewhere": (ValueError, "begin at the root, 0", lambda: path_graph(root=0, paths=[[1, 2, 3]])),
    "a path along no edge": (ValueError, "step from 0 to 2, which is no", lambda: path_graph(root=0, paths=[[0, 2, 4]])),
    "a path out of range": (ValueError, "nodes 0 to 4, got 0 to 5", lambda: path_graph(root=0, paths=[[0, 1, 5]])),
    "a path that turns back": (ValueError, "visit a node twice", lambda: path_graph(root=0, paths=[[0, 1, 0]])),
    "a path twice": (ValueError, "different leaves", lambda: path_graph(root=0, paths=[[0, 1, 2], [0, 1, 2]])),
    "a path of floats": (TypeError, "integers, got torch.float32", lambda: path_graph(root=0, paths=[[0.0, 1.0]])),
    "ragged paths": (TypeError, "paths must be node ids", lambda: path_graph(root=0, paths=[[0, 1], [0, 3, 4]])),
    "a float as root": (TypeError, "root must be an integer", lambda: path_graph(root=0.0, paths=[[0, 1, 2]])),
    "a root out of range": (ValueError, "root must be at least 0", lambda: path_graph(root=-1, paths=[[-1, 1, 2]])),
    "truth values": (TypeError, "pairs of integers", lambda: gm.Graph(n_nodes=2, edges=[(False, True)])),
    "a cycle has no path": (ValueError, "has no root", lambda: gm.cycle(5).paths_to([0])),
    "a cycle has no leaves": (ValueError, "has no root", lambda: gm.cycle(5).leaves),
    "None": (
        ValueError,
        r"join two names, got \('a', None\) in row 1",
        lambda: gm.Graph.from_edges([("a", "b"), ("a", None)]),
    ),
    "nan": (ValueError, "in row 0.*missing", lambda: gm.Graph.from_edges([(float("nan"), "b")])),
    "nan node": (ValueError, "have a name, got nan as node 1", lambda: gm.Graph.from_networkx(nx.Graph([("a", np.nan)]))),
    "edge index": (TypeError, r"got shape \(2, 9\).*pairs.T", lambda: gm.Graph.from_edges(torch.zeros(2, 9).long())),
    "weights": (TypeError, r"got shape \(9, 3\)\.$", lambda: gm.Graph.from_edges(np.zeros((9, 3)))),
    "long rows": (TypeError, r"got \[0, 1, .*\.\.\.\] in row 0", lambda: gm.Graph.from_edges([list(range(9999))] * 2)),
    "directions": (ValueError, "did you mean 'both'", lambda: gm.cycle(3).directed_edges(directions="bothh")),
    "no root": (ValueError, "has no root", lambda: gm.cycle(3).first_hops),
    "rewired star": (ValueError, "got .*path-star.*another null", lambda: gm.graphs.rewired(gm.path_star(4, 2), seed=0)),
    "rewired triangle": (ValueError, "edges that can exchange ends", lambda: gm.graphs.rewired(gm.cycle(3), seed=0)),
    "swaps": (ValueError, "swaps must be at least 1, got 0", lambda: gm.graphs.rewired(gm.cycle(9), seed=0, swaps=0)),
    "rewiring seed": (TypeError, "seed must be an integer", lambda: gm.graphs.rewired(gm.cycle(9), seed=None)),
    "rewired edges": (TypeError, "graph must be a geomem.Graph", lambda: gm.graphs.rewired([(0, 1)], seed=0)),
}


@pytest.mark.parametrize("kind, message, call", BAD_GRAPHS.values(), ids=BAD_GRAPHS)
def test_a_wrong_argument_is_refused_by_name(kind, message, call):
    with pytest.raises(kind, match=f"(?i){message}"):
        call()


def test_dense_requests_above_5000_nodes_are_refused_and_sparse_ones_are_not():
    large = gm.path_star(500, 11)
    assert large.n_nodes == 5001 and int(large.degrees.max()) == 500 and len(large.components().unique()) == 1
    for ask in (large.adjacency, large.targets, large.hops, lambda: gm.Spectrum(large)):
        with pytest.raises(ValueError, match="5,001 x 5,001; the limit is n = 5,000"):
            ask()


def test_an_edge_list_is_read_without_a_change_to_its_argument():
    pairs = [("a", "b"), ("b", "c")]
    gm.Graph.from_edges(pairs)
    assert pairs == [("a", "b"), ("b", "c")]
    smallest = gm.Graph.from_edges(pairs[:1])
    assert (smallest.n_nodes, smallest.hops().tolist()) == (2, [[0, 1], [1, 0]])


def test_the_path_to_a_leaf_is_the_one_that_ends_there():
    g = gm.tree_star(3, 4, seed=2)
    order = torch.randperm(len(g.paths), generator=torch.Generator().manual_seed(0))
    assert torch.equal(g.paths_to(g.paths[order, -1]), g.paths[order])
    assert g.paths_to([]).shape == (0, 4)
    root = int(g.paths[0, 0])
    with pytest.raises(ValueError, match=f"leaves must be leaves of .*, got node {root}"):
        g.paths_to([int(g.paths[0, -1]), root])


def test_a_graph_cannot_be_changed_from_outside():
    edges, paths = torch.tensor([(0, 1), (1, 2), (0, 3), (3, 4)]), np.array([[0, 1, 2], [0, 3, 4]])
    g = gm.Graph(n_nodes=5, edges=edges, root=0, paths=paths)
    before = g.edges, g.paths, g.adjacency(), g.leaves
    edges[0], paths[0] = torch.tensor([0, 4]), [0, 3, 4]  # what was given
    g.edges[0], g.paths[0], g.leaves[0] = torch.tensor([0, 4]), 4, 4  # what was handed out
    g.edges.numpy()[:] = 0
    assert all(map(torch.equal, before, (g.edges, g.paths, g.adjacency(), g.leaves)))
    for name in ("edges", "paths", "n_nodes", "root", "labels", "name", "fiedler_dims", "source", "other"):
        with pytest.raises(AttributeError, match=f"a graph must stay as it was made, got .*'{name}'"):
            setattr(g, name, 1)
        with pytest.raises(AttributeError, match="a graph must stay as it was made"):
            delattr(g, name)


def test_a_graph_can_be_pickled_and_copied():
    g = gm.path_star(3, 3, seed=1)
    for other in (pickle.loads(pickle.dumps(g)), copy.deepcopy(g), copy.copy(g)):
        assert torch.equal(other.edges, g.edges) and torch.equal(other.paths, g.paths) and repr(other) == repr(g)


def test_hops_from_some_nodes_are_rows_of_all_hops():
    for g in (gm.irregular(), gm.path_star(4, 5, seed=1)):
        assert torch.equal(g.hops([3, 1, 12]), g.hops()[[3, 1, 12]])
    large = gm.path_star(2000, 6)
    assert torch.equal(large.hops([0])[0].bincount(), torch.tensor([1] + [2000] * 5))


def test_pandas_missing_values_are_refused_by_row_and_frames_by_name():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": ["x", "y", pandas.NA], "b": ["y", "z", "x"]})
    with pytest.raises(ValueError, match="in row 2, counted from 0: a name is missing"):
        gm.Graph.from_edges(frame.itertuples(index=False))
    with pytest.raises(TypeError, match="a data frame. Write .*itertuples"):
        gm.Graph.from_edges(frame)
    missing = pandas.DataFrame({"source": ["x", "y"], "target": ["y", float("nan")]})
    with pytest.raises(ValueError, match="every node must have a name, got nan as node 2"):
        gm.Graph.from_networkx(nx.from_pandas_edgelist(missing))
