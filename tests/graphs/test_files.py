"""Files that people really have: each is the right graph, or a sentence that says what to do."""

import bz2
import gzip
import json
import lzma
import warnings
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
import scipy.io
import torch
from scipy.sparse import coo_array

import geomem as gm

DATA = Path(__file__).parents[1] / "data"
CHAIN = [("Ada", "Bert"), ("Bert", "Cleo"), ("Cleo", "Dora")]
CITIES = [("Windhoek", "NA"), ("Walvis Bay", "NA"), ("Lagos", "NG"), ("Abuja", "NG"), ("Tsumeb", "NA")]
SNAP = [("3466", "937"), ("3466", "5233"), ("937", "12")]
DROPPED = "1 repeated or reversed edges were merged; 1 self loop dropped"


def pairs_of(g):
    return [(g.labels[u], g.labels[v]) for u, v in g.edges.tolist()]


def read(path, **options):
    """Return the graph, and the warning or ""."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        g = gm.read_edges(path, **options)
    assert len(caught) <= 1 and all(w.category is UserWarning and w.filename == __file__ for w in caught)
    return g, "".join(str(w.message) for w in caught)


GOOD = {
    "a02_semicolon_decimal_comma.csv": ({}, [("Anna", "Berta"), ("Berta", "Cäsar"), ("Cäsar", "Dora")], "ignored: 2", ""),
    "a03_semicolon_plain.csv": ({}, [("Anna", "Berta"), ("Berta", "Clara")], "semicolon", ""),
    "a05_snap_collab.txt": ({}, SNAP, "3 rows that begin with '#' taken for comments", DROPPED),
    "a05c_snap_collab.txt.gz": ({}, SNAP, "tab-separated", DROPPED),
    "a07d_triples_passes_chapter_11.tsv": ({"columns": (0, 2)}, 18, "1 other column ignored: 1", "5 repeated or reversed"),
    "a07_triples_head_relation_tail.tsv": ({"columns": (0, 2)}, 5, "names in columns 0 and 2", ""),
    "a08_networkx_write_edgelist.edgelist": ({}, [("a", "b"), ("b", "c"), ("c", "d")], "attributes in braces ignored", ""),
    "a09_pandas_to_csv_index.csv": ({}, CHAIN, "names in columns 1 ('source') and 2 ('target')", ""),
    "a10_hashtags.csv": ({}, [("stats", "maths")], "comments=None keeps them", "4 rows that begin with '#'"),
    "a14_nfc_nfd.csv": ({}, [("René", "Zoë"), ("René", "Ada"), ("Ada", "Bert")], "", "1 name merged"),
    "a29_tabs_in_csv_commas_in_names.csv": (
        {}, [("Paris, France", "Europe"), ("Lyon, France", "Europe"), ("Tokyo, Japan", "Asia")], "tab", ""),
    "a32_gephi_id_source_target.csv": ({}, CHAIN, "3 other columns ignored: Id, Type, Weight", ""),
    "b01_namibia.csv": ({}, CITIES, "the first row holds titles", ""),
    "a20_karate.gml": ({}, 78, "GML; edge attributes ignored: weight", ""),
    "a20_karate.graphml": ({}, 78, "GraphML", ""),
    "a20_karate.json": ({}, 78, "node-link JSON", ""),
}  # fmt: skip


@pytest.mark.parametrize("name", GOOD)
def test_a_file_is_the_right_graph_and_says_how_it_was_read(name):
    options, wanted, said, warned = GOOD[name]
    g, warning = read(DATA / name, **options)
    assert len(pairs_of(g)) == wanted if isinstance(wanted, int) else pairs_of(g) == wanted
    assert g.source.startswith(f"{name}: ") and said in g.source
    assert warning.startswith(warned) and bool(warning) == bool(warned)


def test_the_karate_club_is_the_same_in_every_format():
    club = {frozenset((str(u), str(v))) for u, v in nx.karate_club_graph().edges}
    for name in ("a20_karate.gml", "a20_karate.graphml", "a20_karate.json"):
        assert set(map(frozenset, pairs_of(gm.read_edges(DATA / name)))) == club


@pytest.mark.parametrize(
    "name, sentence",
    [
        ("a07_triples_head_relation_tail.tsv", r"which two of its 3 columns .*columns=\(0, 2\) for head, relation, tail"),
        ("a07d_triples_passes_chapter_11.tsv", r"which two of its 3 columns .*columns=\(0, 2\) for head, relation, tail"),
        ("a18_adjacency_matrix.csv", "must have one edge per row, got an adjacency matrix.*from_pandas_adjacency"),
    ],
)
def test_a_file_with_two_readings_is_refused_with_the_way_out(name, sentence):
    with pytest.raises(ValueError, match=sentence):
        gm.read_edges(DATA / name)


def test_hashtags_can_be_kept():
    g, warning = read(DATA / "a10_hashtags.csv", comments=None)
    assert g.labels == ("#ai", "#ml", "#data", "stats", "#stats", "maths") and g.n_edges == 5 and warning == ""


def test_pandas_reads_na_as_missing_and_the_message_says_so():
    pandas = pytest.importorskip("pandas")
    table = pandas.read_csv(DATA / "b01_namibia.csv")
    with pytest.raises(
        ValueError, match="in row 0, counted from 0: a name is missing.*keep_default_na=False keeps the text NA"
    ):
        gm.Graph.from_edges(table.itertuples(index=False))
    with pytest.raises(ValueError, match="every node must have a name, got nan as node 1"):
        gm.Graph.from_networkx(nx.from_pandas_edgelist(table))
    kept = pandas.read_csv(DATA / "b01_namibia.csv", keep_default_na=False)
    assert pairs_of(gm.Graph.from_edges(kept.itertuples(index=False))) == CITIES


def test_an_edge_index_is_refused_in_one_short_sentence():
    with pytest.raises(TypeError) as refused:
        gm.Graph.from_edges(torch.zeros(2, 10556, dtype=torch.int64))
    assert len(str(refused.value)) < 200 and "Write pairs.T" in str(refused.value)


WORKS = nx.Graph([("a b", "c"), ("c", "d")])
WRITERS = {
    "x.graphml": nx.write_graphml, "x.gml": nx.write_gml, "x.gexf": nx.write_gexf, "x.net": nx.write_pajek,
    "x.json": lambda G, path: Path(path).write_text(json.dumps(nx.node_link_data(G))),
    "x.edgelist": lambda G, path: nx.write_edgelist(G, path, delimiter="\t"),
    "x.mtx": lambda G, path: scipy.io.mmwrite(path, coo_array(nx.to_numpy_array(G))),
}  # fmt: skip


@pytest.mark.parametrize("packed", [False, True], ids=["", "gz"])
@pytest.mark.parametrize("name", WRITERS)
def test_what_networkx_writes_is_read(tmp_path, name, packed):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        WRITERS[name](WORKS, str(tmp_path / name))
    path = tmp_path / name
    if packed:
        path = tmp_path / f"{name}.gz"
        path.write_bytes(gzip.compress((tmp_path / name).read_bytes()))
    g, warning = read(path)
    wanted = [("1", "2"), ("2", "3")] if name == "x.mtx" else [("a b", "c"), ("c", "d")]
    assert pairs_of(g) == wanted and warning == "" and g.name == "x"


def test_an_adjacency_list_is_read(tmp_path):
    nx.write_adjlist(nx.cycle_graph(4), tmp_path / "ring.adjlist")
    g = gm.read_edges(tmp_path / "ring.adjlist")
    assert (g.n_nodes, g.n_edges, g.degrees.tolist()) == (4, 4, [2, 2, 2, 2])


def test_directed_weighted_and_multiple_edges_become_plain_ones_and_are_counted(tmp_path):
    G = nx.MultiDiGraph([("a", "b"), ("b", "a"), ("a", "b"), ("b", "c"), ("c", "c")])
    G.add_node("alone")
    nx.write_graphml(G, tmp_path / "x.graphml")
    g, warning = read(tmp_path / "x.graphml")
    assert pairs_of(g) == [("a", "b"), ("b", "c")] and "directions ignored" in g.source
    assert warning.startswith(
        "2 repeated or reversed edges were merged; 1 self loop dropped; 1 node without an edge dropped"
    )


def test_labels_name_the_nodes_where_each_has_its_own(tmp_path):
    G = nx.Graph([(0, 1)])
    nx.set_node_attributes(G, {0: "Ada", 1: "Bert"}, "label")
    nx.write_graphml(G, tmp_path / "x.graphml")
    assert gm.read_edges(tmp_path / "x.graphml").labels == ("Ada", "Bert")


def test_a_one_sided_matrix_is_directed(tmp_path):
    scipy.io.mmwrite(str(tmp_path / "x.mtx"), coo_array(np.array([[0, 2, 0, 0], [0, 0, 3, 0], [0, 0, 0, 0], [0] * 4])))
    g, warning = read(tmp_path / "x.mtx")
    assert warning.startswith("1 node without an edge dropped")
    assert pairs_of(g) == [("1", "2"), ("2", "3")] and "directions ignored" in g.source


@pytest.mark.parametrize("kind", ["general", "symmetric", "skew", "hermitian", "pattern", "dense"])
@pytest.mark.parametrize("seed", range(3))
def test_every_kind_of_matrix_market_that_scipy_writes_is_read(tmp_path, kind, seed):
    rng = np.random.default_rng(seed)
    matrix = (rng.random((6, 6)) < 0.3) * rng.integers(1, 4, (6, 6)).astype(float)
    mirrored = {"symmetric": matrix + matrix.T, "skew": matrix - matrix.T, "hermitian": matrix + 1j * matrix}
    matrix = mirrored.get(kind, matrix)
    matrix = matrix + matrix.conj().T if kind == "hermitian" else matrix
    field = "pattern" if kind == "pattern" else None
    scipy.io.mmwrite(str(tmp_path / "x.mtx"), matrix if kind == "dense" else coo_array(matrix), field=field)
    g, _ = read(tmp_path / "x.mtx")
    wanted = {frozenset((str(u + 1), str(v + 1))) for u, v in zip(*np.nonzero(matrix), strict=True) if u != v}
    assert {frozenset(pair) for pair in pairs_of(g)} == wanted


MATRIX = "%%MatrixMarket matrix coordinate real symmetric\n3 3 2\n"


@pytest.mark.parametrize("rows", ['2 1 1"', "2 1 1.0\n3 2 0 9", "2 1 1.0", "2 1 1.0\n3 4 1.0", "2 1 1\n3 2 1\n3 1 1"])
def test_a_damaged_matrix_is_refused(tmp_path, rows):
    """SciPy 1.17 ends the interpreter on some of these."""
    (tmp_path / "x.mtx").write_text(MATRIX + rows)
    with pytest.raises(ValueError, match="must be a Matrix Market file, got one that cannot be read"):
        gm.read_edges(tmp_path / "x.mtx")


@pytest.mark.parametrize("suffix", ["graphml", "gml", "gexf", "net", "json", "mtx"])
@pytest.mark.parametrize("text", ["", "{", "a,b", "<graphml></graphml>", "graph [ node [", "[[0, 1]]", "null"])
def test_a_file_that_is_not_its_ending_is_refused_in_a_sentence(tmp_path, suffix, text):
    (tmp_path / f"x.{suffix}").write_text(text)
    with pytest.raises(ValueError, match=r"^x\.\w+ must (be a|hold at)"):
        gm.read_edges(tmp_path / f"x.{suffix}")


@pytest.mark.parametrize("a, b", [("Paris", "Раris"), ("a b", "a\u00a0b"), ("ab", "a\u200bb"), ("Ａ", "A")])
def test_names_that_look_alike_stay_two_and_are_named(tmp_path, a, b):
    (tmp_path / "x.csv").write_text(f"{a},{b}\n{b},hub\n", encoding="utf8")
    g, warning = read(tmp_path / "x.csv")
    assert g.n_nodes == 3 and warning.startswith("two names look alike and stay two nodes: ")


def test_titles_that_are_also_names_are_facts(tmp_path):
    (tmp_path / "x.csv").write_text("parent,child\nchild,grandchild\n")
    assert gm.read_edges(tmp_path / "x.csv").n_edges == 2
    assert gm.read_edges(tmp_path / "x.csv", header=True).n_edges == 1


@pytest.mark.parametrize(("name", "data", "match"), [
    ("x.csv.bz2", bz2.compress(b"a,b\nb,c\n"), "packed by bzip2. Unpack it"),
    ("x.csv.xz", lzma.compress(b"a,b\nb,c\n"), "packed by xz"),
    ("x.xlsx", b"PK\x03\x04\0\0\0\0\xff", "a zip archive or an Excel workbook. Unpack it, or export it as CSV"),
    ("x.csv", "Zürich,Köln\n".encode("latin-1"), "Save it as UTF-8"),
    ("x.txt", b"% 3 nodes\n1 2\n2 3\n", "Write comments='%'"),
    ("x.txt", b"// mine\na b\nb c\n", "Write comments='//'"),
    ("x.csv", b"0,1,0\n0,0,1\n1,0,0\n", "got an adjacency matrix"),
    ("x.txt", b"4 3\n1 2\n2 3\n3 4\n", "Write header=True to leave it out, or header=False"),
])  # fmt: skip
def test_what_is_no_file_of_rows_is_named(tmp_path, name, data, match):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ValueError, match=match):
        gm.read_edges(tmp_path / name)


def test_a_row_of_counts_is_taken_as_it_is_said_to_be(tmp_path):
    (tmp_path / "x.txt").write_text("4 3\n1 2\n2 3\n4 1\n")
    assert gm.read_edges(tmp_path / "x.txt", header=True).n_edges == 3
    assert gm.read_edges(tmp_path / "x.txt", header=False).n_edges == 4
    (tmp_path / "y.txt").write_text("4 2\n1 2\n2 3\n4 1\n")  # counts nothing
    assert gm.read_edges(tmp_path / "y.txt").n_edges == 4


def test_the_first_line_by_which_excel_names_its_separator_is_no_fact(tmp_path):
    (tmp_path / "x.csv").write_text("sep=;\na;b\nb;c\n;d\n")
    with pytest.raises(ValueError, match="line 4"):
        gm.read_edges(tmp_path / "x.csv")
    (tmp_path / "x.csv").write_text("sep=;\na;b, c\nb, c;d\n")
    assert gm.read_edges(tmp_path / "x.csv").labels == ("a", "b, c", "d")


def test_a_country_code_is_no_zip_archive(tmp_path):
    (tmp_path / "x.csv").write_text("PK,IN\nIN,CN\n")
    assert gm.read_edges(tmp_path / "x.csv").labels == ("PK", "IN", "CN")
