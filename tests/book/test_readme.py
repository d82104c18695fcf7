"""The commands that README.md shows for a file and a table of one's own do what it says."""

import json

import numpy as np
import pytest

import geomem as gm
from geomem import cli
from tools import book

README = (book.ROOT / "README.md").read_text(encoding="utf8")
(OWN,) = [block.strip().splitlines() for block in README.split("```")[1::2] if "geomem measure" in block]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Write facts.csv, a ring of twenty names, and vectors.npz, a table trained on it."""
    folder = tmp_path_factory.mktemp("own")
    names = [f"stop {k}" for k in range(20)]
    (folder / "facts.csv").write_text("\n".join(f"{a},{b}" for a, b in zip(names, names[1:] + names[:1], strict=True)))
    g = gm.read_edges(folder / "facts.csv")
    table = gm.gradient_flow(g, steps=1500, seeds=[100], snapshots=()).embeddings[-1, 0]
    np.savez(folder / "vectors.npz", names=np.array(g.labels), table=table.numpy())
    return folder


def test_readme_shows_the_three_commands_in_order():
    assert [line.split()[1] for line in OWN] == ["graph", "measure", "run"]


@pytest.mark.parametrize("line", OWN[:2])
def test_graph_and_measure(line, folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    cli.main(line.split()[1:])
    out = capsys.readouterr().out
    assert "20 nodes, 20 edges" in out
    if "measure" in line:
        assert "\nA map: strict order" in out
        assert (folder / "map.html").read_text(encoding="utf8").startswith("<!doctype html>")


@pytest.mark.slow
def test_run(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    cli.main([*OWN[2].split()[1:], "--profile", "smoke"])  # all cells, few steps
    (record,) = [json.loads(path.read_text(encoding="utf8")) for path in (folder / "runs").glob("*/record.json")]
    assert record["parameters"]["graph"].endswith("facts.csv") and record["chapter"] == "11_your_graph"
    assert any(one["name"].startswith("order_node2vec") for one in record["records"])
    assert len(list((folder / "runs").glob("*/11_your_graph.html"))) == 1
