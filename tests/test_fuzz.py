"""Random graphs, files and parameters: each works or is refused in one sentence. ``make fuzz`` tries many more."""

import contextlib
import gzip
import io
import os
import warnings

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save

import geomem as gm
from geomem import cli, runner
from geomem.measures import match_rows
from geomem.runner import parameters
from geomem.runner.parameters import Parameter

CASES = int(os.environ.get("FUZZ", "100"))
FUZZ = settings(max_examples=CASES, deadline=None, database=None, derandomize=CASES <= 500,
                suppress_health_check=list(HealthCheck))  # fmt: skip
NAMES = ("degree", "share", "core", "deep", "profile")
KNOWN = {
    "degree": Parameter(name="degree", kind="int", default=3, says="arms, at least 2"),
    "share": Parameter(name="share", kind="float", default=0.5, says="above 0, below 1"),
    "core": Parameter(name="core", kind="str", default="", says="linear or transformer"),
    "deep": Parameter(name="deep", kind="bool", default=False),
    "profile": Parameter(name="profile", kind="str", default=""),
}
TEXT = st.text(max_size=30) | st.from_regex(r"[-+]?\d{1,4}([:,.][-+]?\d{0,4}){0,4}", fullmatch=True)
SETTING = st.builds("{}={}".format, st.sampled_from(NAMES) | TEXT, TEXT) | TEXT


def works_or_says(call, *args, **kwargs):
    """Return what comes out, or None after a refusal in a sentence or two; any other error is ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        try:
            return call(*args, **kwargs)
        except (ValueError, TypeError) as error:
            text = str(error)
            assert " must " in text or "there is no parameter" in text or "is written" in text or "readable" in text, text
            assert type(error) in (ValueError, TypeError) and len(text) < 5000
            return None


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


def is_a_graph(g):
    assert g is None or (g.n_edges >= 1 and len(set(g.labels)) == g.n_nodes >= 2 and int(g.edges.max()) < g.n_nodes)


FIELD = st.sampled_from(["a", "b", "", " ", '"', '""', '"a,b"', "#", "\t", "\ufeff", "é", "\x00", "0", "a\rb"]) | st.text(
    max_size=5
)
SEPARATOR = st.sampled_from([",", ";", "\t", "|", " ", ", ", ":", "  "])
TITLES = st.sampled_from(
    ["Source,Target", "Id;Source;Target", "head\trelation\ttail", ":START_ID(P)|:END_ID(P)", ",0,1", "# a,b"]
)
CODING = st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32", "latin-1"])


@st.composite
def lines(draw):
    """Return the bytes of a file of random rows: one separator or several, titles or not, any line end and encoding."""
    one, mixed, end = draw(SEPARATOR), draw(st.booleans()), draw(st.sampled_from(["\n", "\r\n", "\r"]))
    rows = draw(st.lists(st.lists(FIELD | st.sampled_from(["1", "0", "2.5", "3,5"]), max_size=4), max_size=6))
    text = [(draw(SEPARATOR) if mixed else one).join(row) for row in rows]
    text = end.join(draw(st.lists(TITLES, max_size=1)) + text + draw(st.lists(st.just("a b {'weight': 1}"), max_size=1)))
    coding = draw(CODING)
    data = text.encode(coding, "replace" if coding == "latin-1" else "surrogatepass")
    return gzip.compress(data) if draw(st.booleans()) else data


COLUMN = st.integers(-1, 3) | st.sampled_from(["Source", "target", "", "a"])
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "columns": st.none() | st.tuples(COLUMN, COLUMN),
        "header": st.none() | st.booleans(),
        "sep": st.none() | st.sampled_from([*",;\t| :", "", "\n", '"', "ab", "é"]),
        "comments": st.none() | st.sampled_from(["#", "", "%", "//"]),
        "self_loops": st.sampled_from(["drop", "error", "keep"]),
    },
)


@FUZZ
@given(
    content=lines() | st.binary(max_size=40),
    suffix=st.sampled_from([".csv", ".tsv", "", ".txt", ".edges", ".csv.gz"]),
    options=OPTIONS,
)
def test_read_edges(folder, content, suffix, options):
    path = folder / f"facts{suffix}"
    path.write_bytes(content)
    g = works_or_says(gm.read_edges, path, **options)
    is_a_graph(g)
    assert g is None or (g.source.startswith(path.name) and "\n" not in g.source.replace("\\n", ""))


GRAPH = gm.Graph.from_edges([("a", "b"), ("b", "c c")])
PLAIN = nx.Graph([("a", "b"), ("b", "c c"), ("c c", "é")])
WHOLE = {
    ".graphml": "\n".join(nx.generate_graphml(PLAIN)),
    ".gml": "\n".join(nx.generate_gml(PLAIN)),
    ".gexf": "\n".join(nx.generate_gexf(PLAIN)),
    ".net": "\n".join(nx.generate_pajek(PLAIN)),
    ".adjlist": "\n".join(nx.generate_adjlist(PLAIN)),
    ".json": '{"nodes": [{"id": "a"}, {"id": "b"}], "links": [{"source": "a", "target": "b"}]}',
    ".mtx": "%%MatrixMarket matrix coordinate real symmetric\n3 3 2\n2 1 1.0\n3 2 1.0\n",
}


@FUZZ
@given(
    suffix=st.sampled_from(list(WHOLE)),
    cut=st.tuples(st.integers(0, 2000), st.integers(0, 40)),
    put=st.sampled_from(["", "null", '"', "<", "-1", "9" * 30, "\n", "{", "nan"]) | st.text(max_size=4),
    other=st.lists(FIELD, max_size=8).map(" ".join) | st.none(),
)
def test_damaged_files_of_other_formats(folder, suffix, cut, put, other):
    whole = WHOLE[suffix]
    start = cut[0] % len(whole)
    text = whole[:start] + put + whole[start + cut[1] :] if other is None else other
    path = folder / f"facts{suffix}"
    path.write_bytes(text.encode("utf8", "surrogatepass"))
    is_a_graph(works_or_says(gm.read_edges, path))


ROWS = torch.eye(3).double()
STATE, ARRAYS, ARRAY, TENSORS = io.BytesIO(), io.BytesIO(), io.BytesIO(), save({"table": ROWS, "bias": ROWS[0].clone()})
torch.save({"table": ROWS, "bias": ROWS[0]}, STATE)
np.savez(ARRAYS, table=ROWS.numpy(), names=np.array(["a", "b", "c c"]))
np.save(ARRAY, ROWS.numpy())
TABLES = {
    ".npy": ARRAY.getvalue(),
    ".npz": ARRAYS.getvalue(),
    ".safetensors": TENSORS,
    ".pt": STATE.getvalue(),
    ".bin": b"3 2\na \0\0\0\0\0\0\x80?\nb \0\0\0\0\0\0\x80?\nc \0\0\0\0\0\0\x80?\n",
    ".vec": b"3 2\na 1 2\nb 3 4.5\nc c 5 6e3\n",
    ".txt": b"a 1 2\nb 3 4.5\nc 5 6e3\n",
    ".csv": b"name,x,y\na,1,2\nb,3,4.5\nc,5,6e3\n",
    ".tsv": b"name\tx\ty\na\t1\t2\n",
    ".json": b'{"a": [1, 2], "b": [3, 4]}',
}
VALUE = st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=2) | st.none() | st.lists(st.floats(), max_size=3)


def is_a_table(table):
    assert table is None or (table.rows.ndim == 2 and table.rows.numel() > 0)
    assert table is None or table.names is None or len(table.names) == len(table.rows)


@FUZZ
@given(
    suffix=st.sampled_from(list(TABLES)),
    cut=st.tuples(st.integers(0, 4000), st.integers(0, 40)),
    put=st.binary(max_size=6) | st.sampled_from([b"nan", b"9" * 40, b"\n", b" ", b'"', b";"]),
    other=st.binary(max_size=40) | lines() | st.none(),
    tensor=st.none() | st.sampled_from(["table", "bias", "names", ""]),
    names=st.none() | st.lists(st.text(max_size=3), max_size=4),
)
def test_damaged_tables(folder, suffix, cut, put, other, tensor, names):
    whole = TABLES[suffix]
    start = cut[0] % (len(whole) + 1)
    path = folder / f"table{suffix}"
    path.write_bytes(whole[:start] + put + whole[start + cut[1] :] if other is None else other)
    is_a_table(works_or_says(gm.read_table, path, tensor=tensor, names=names))


@FUZZ
@given(
    table=st.dictionaries(st.sampled_from(["a", "B", "c c", "C_C", "x", 1]), st.lists(VALUE, max_size=2) | VALUE, max_size=5)
    | st.lists(st.lists(VALUE, max_size=2), max_size=4)
    | VALUE,
)
def test_tables_in_python(table):
    """Only matching is fuzzed ten thousand times: nulls take a second each."""
    found = works_or_says(match_rows, table, GRAPH)
    assert found is None or (found.rows.isfinite().all() and len(found.rows) == found.graph.n_nodes)


NODE = st.integers(-3, 5) | st.text(max_size=2) | st.none() | st.tuples(st.integers(0, 2)) | st.floats() | st.booleans()


@FUZZ
@given(st.lists(st.tuples(NODE, NODE) | st.lists(NODE, max_size=3) | NODE, max_size=8))
def test_from_edges(pairs):
    is_a_graph(works_or_says(gm.Graph.from_edges, pairs))


@FUZZ
@given(
    kind=st.sampled_from([nx.Graph, nx.Graph, nx.DiGraph, nx.MultiGraph]),
    nodes=st.lists(NODE.filter(lambda node: node is not None), max_size=4),
    pairs=st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=8),
)
def test_from_networkx(kind, nodes, pairs):
    graph = kind()
    graph.add_nodes_from(nodes)
    graph.add_edges_from(pairs)
    is_a_graph(works_or_says(gm.Graph.from_networkx, graph))


@FUZZ
@given(st.lists(SETTING, max_size=4))
def test_parameters_of_a_run(texts):
    found = works_or_says(parameters.values, KNOWN, texts)
    for name, value in (found or {}).items():
        assert KNOWN[name].check(value) == value
        assert type(value) is not str or f"{name}={value}" in texts
    if found is not None:
        job = runner.job_of(
            {"command": ["x"]}, KNOWN, found, {"code": "", "versions": {"torch": ""}, "device": ""}, folder="."
        )
        assert runner.job.RUN_ID.fullmatch(job["about"]["run"])


@FUZZ
@given(st.lists(SETTING, max_size=4))
def test_parameters_of_a_sweep(texts):
    found = works_or_says(parameters.grid, KNOWN, texts)
    assert found is None or 1 <= len(found) <= parameters.MOST_RUNS
    assert found is None or len({tuple(point.values()) for point in found}) == len(found)


SCALAR = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
TREE = st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=8), SCALAR | st.lists(SCALAR, max_size=3), max_size=3)
YAML = st.text(max_size=60).map(lambda text: text.encode("utf8", "surrogatepass")) | st.binary(max_size=40)


@FUZZ
@given(st.one_of(YAML, TREE), st.booleans())
def test_files_of_parameters(folder, content, many):
    import yaml

    path = folder / "p.yaml"
    path.write_bytes(content if isinstance(content, bytes) else yaml.safe_dump(content).encode("utf8", "surrogatepass"))
    works_or_says(parameters.grid if many else parameters.values, KNOWN, [], path)


@FUZZ
@given(
    st.lists(TEXT.filter(lambda text: text not in ("-h", "--help", "--list")), max_size=3), st.sampled_from(["run", "sweep"])
)
def test_the_command_line_refuses_in_one_sentence(folder, words, command):
    """Nothing here names a chapter or a graph, so nothing may run, and nothing may be written."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), pytest.raises(SystemExit) as stop:
        cli.main([command, "no such chapter", *words, "--out", str(folder / "never")])
    assert stop.value.code == 2 and said.getvalue().startswith("geomem") and "Traceback" not in said.getvalue()
    assert said.getvalue().count("\n") == 1 and not (folder / "never").exists()
