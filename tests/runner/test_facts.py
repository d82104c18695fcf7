"""Facts are looked at before a kernel starts: one sentence, and no training for nothing."""

import networkx as nx
import pytest

from geomem import cli, runner
from geomem.graphs import reading
from geomem.runner.facts import check_facts
from geomem.runner.notebooks import of_notebook

ELEVEN = runner.chapter("11")
SHAPES = {
    "single edge": nx.path_graph(2),
    "matching": nx.Graph([(0, 1), (2, 3), (4, 5)]),
    "complete": nx.complete_graph(5),
    "star": nx.star_graph(5),
    "K3,3": nx.complete_bipartite_graph(3, 3),
    "two triangles": nx.disjoint_union(nx.complete_graph(3), nx.complete_graph(3)),
    "wheel": nx.wheel_graph(6),
    "several stars": nx.disjoint_union(nx.star_graph(3), nx.star_graph(4)),
    "many components of two sizes": nx.disjoint_union(nx.complete_graph(4), nx.path_graph(2)),
    "too large": nx.path_graph(201),
}


@pytest.fixture
def no_kernel(monkeypatch):
    """Fail at once where a run would start."""

    def started(*args, **kwargs):
        raise AssertionError("a run started")

    monkeypatch.setattr("geomem.cli.run.perform", started)
    monkeypatch.setattr("geomem.cli.sweep.sweep.sweep", started)
    monkeypatch.setattr("geomem.cli.sweep.sweep.cluster", started)


def refused(capsys, *argv):
    with pytest.raises(SystemExit) as stop:
        cli.main(list(argv))
    err = capsys.readouterr().err
    assert stop.value.code == 2 and err.count("\n") == 1
    return err


@pytest.mark.parametrize("command", ["run", "sweep"])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_that_cannot_be_measured_is_refused_before_a_kernel_starts(command, shape, tmp_path, capsys, no_kernel):
    path = tmp_path / "facts.csv"
    path.write_text("\n".join(f"n{u},n{v}" for u, v in SHAPES[shape].edges))
    said = refused(capsys, command, "11", "-p", f"graph={path}", "--out", str(tmp_path / "runs"))
    assert ("at most 200 nodes" if shape == "too large" else "two different distances") in said
    assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs").iterdir())


@pytest.mark.parametrize(("settings", "says"), [
    (["graph=FILE"], "which two of its 3 columns"),
    (["graph=FILE", "columns=0"], "columns must be two columns"),
    (["graph=FILE", "columns=who,nobody"], "columns must name a column"),
    (["graph=FILE", "sep=ab"], "sep must be one character"),
    (["graph=FILE", "header=maybe"], "header must be one of 'yes', 'no'"),
    (["graph=karate", "header=yes"], "header must be left out for 'karate'"),
    (["sep=tab"], "sep must go with graph"),
    (["graph=karat"], "Did you mean 'karate'"),
    (["graph=nowhere.csv"], "must name a file that is there"),
])  # fmt: skip
def test_how_a_file_is_read_is_checked_before_a_kernel_starts(settings, says, tmp_path, capsys, no_kernel):
    path = tmp_path / "facts.txt"
    path.write_text("who;how;whom\n" + "\n".join(f"a{k};x{k};a{k + 1}" for k in range(9)))
    words = [word for text in settings for word in ("-p", text.replace("FILE", str(path)))]
    assert says in refused(capsys, "run", "11", *words)


def test_what_can_be_read_and_measured_passes(tmp_path):
    path = tmp_path / "facts.txt"
    path.write_text("who;how;whom\n" + "\n".join(f"a{k};x{k};a{k + 1}" for k in range(9)))
    known = of_notebook(ELEVEN)
    check_facts(known, {"graph": str(path), "columns": "who,whom", "sep": ";", "header": "yes"})
    check_facts(known, {"graph": str(path), "columns": "0,2"})
    check_facts(known, {"graph": "karate"})
    check_facts(known, {})


def test_text_becomes_options():
    assert reading() == {} and reading(sep=" ") == {"sep": " "}
    assert reading("tab", "0, head", "no") == {"sep": "\t", "columns": (0, "head"), "header": False}
