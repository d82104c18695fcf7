"""``geomem graph``: what a user learns before anything is trained."""

import json

import networkx as nx
import pytest
import torch

import geomem as gm
from geomem import cli
from geomem.cli import graph as command

K33, TRIANGLES = nx.complete_bipartite_graph(3, 3), nx.disjoint_union(nx.complete_graph(3), nx.complete_graph(3))
SHAPES = {
    "one edge": (nx.path_graph(2), (2, 1, 1, True), {1: 1}, ["first hops", "geometric contrast", "geometric order"]),
    "matching": (nx.Graph([(0, 1), (2, 3), (4, 5)]), (6, 3, 3, True), {1: 3}, ["first hops", "geometric order"]),
    "complete": (nx.complete_graph(5), (5, 10, 1, False), {1: 10}, ["edge recall", "first hops", "geometric contrast"]),
    "star": (nx.star_graph(5), (6, 5, 1, True), {1: 5, 2: 10}, ["first hops", "geometric order", "strict order"]),
    "K3,3": (K33, (6, 9, 1, True), {1: 9, 2: 6}, ["first hops", "geometric order", "strict order"]),
    "two triangles": (TRIANGLES, (6, 6, 2, False), {1: 6}, ["first hops", "geometric order", "strict order"]),
    "path": (nx.path_graph(7), (7, 6, 1, True), {1: 6, 2: 5, 3: 4, 4: 3, 5: 2, 6: 1}, ["first hops"]),
}


def written(folder, graph, name="facts.csv"):
    path = folder / name
    path.write_text("\n".join(f"{u},{v}" for u, v in graph.edges), encoding="utf8")
    return str(path)


def said(capsys, *argv):
    cli.main(["graph", *argv])
    out, err = capsys.readouterr()
    assert err == ""
    return out


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_is_described_and_what_cannot_be_measured_is_named(shape, tmp_path, capsys):
    graph, counts, distances, silent = SHAPES[shape]
    path = written(tmp_path, graph)
    about = json.loads(said(capsys, path, "--no-seconds", "--json"))
    assert (about["nodes"], about["edges"], about["components"], about["bipartite"]) == counts
    assert {int(k): n for k, n in about["distances"].items()} == distances
    assert {name for name, why in about["measures"].items() if why} >= set(silent)
    lines = said(capsys, path, "--no-seconds")
    assert all(f"says nothing here: {name}, because" in lines for name in silent) and "None" not in lines


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_said_of_a_measure_is_what_it_does(shape):
    g = gm.Graph.from_networkx(SHAPES[shape][0])
    table, says = torch.randn(g.n_nodes, 4, generator=torch.Generator().manual_seed(100)), command.look(g)["measures"]
    calls = {
        "geometric contrast": lambda: gm.geometric_contrast(table, g),
        "geometric order": lambda: gm.geometric_order(table, g),
        "strict order": lambda: gm.geometric_order(table, g, min_hops=3, parity="same"),
        "first hops": lambda: gm.first_hop_accuracy(table, g),
    }
    for name, call in calls.items():
        if says[name] is None:
            assert call().isfinite()
        else:
            with pytest.raises(ValueError):
                call()
    assert (says["edge recall"] is not None) == (float(gm.edge_recall(-g.adjacency(), g)) == 1)


def test_names_of_any_script_are_text_in_one_line(tmp_path, capsys):
    G = nx.Graph([("東京", "日本"), ("大阪", "日本"), ("\u202egnik", "日本"), ("日本", "アジア")])
    out = said(capsys, written(tmp_path, G), "--no-seconds")
    assert "best connected: 日本 (4)" in out and "\u202e" not in out and "\\u202e" in out


def test_what_was_dropped_is_said_and_options_of_reading_hold(tmp_path, capsys):
    path = tmp_path / "facts.txt"
    path.write_text("who;how;whom\na;x;b\nb;y;a\nb;z;b\nb;y;c\n")
    out = said(capsys, str(path), "--columns", "who", "whom", "--no-seconds")
    assert "Attention: 1 repeated or reversed edges were merged; 1 self loop dropped" in out
    assert out.startswith(
        "facts.txt: 4 facts read; semicolon-separated; the first row holds titles; names in columns 0 ('who')"
    )
    assert said(capsys, str(path), "--columns", "0", "2", "--header", "--sep", ";", "--no-seconds").count("\n") > 5
    with pytest.raises(SystemExit) as stop:
        cli.main(["graph", str(path)])
    err = capsys.readouterr().err
    assert stop.value.code == 2 and "which two of its 3 columns" in err and err.count("\n") == 1


def test_a_named_graph_has_its_seconds(capsys):
    about = json.loads(said(capsys, "karate", "--json"))
    assert about["seconds"] > 0 and about["nodes"] == 34 and about["hubs"][0] == ["33", 17]
    assert "500 steps of a linear net, width 32: about" in said(capsys, "karate")


def test_a_large_graph_is_looked_at_by_a_sample():
    about = command.look(gm.path_star(1500, 5))
    assert about["nodes"] == 6001 and max(about["distances"]) == 8 and sum(about["distances"].values()) == 200 * 6000
    assert about["measures"]["first hops"] is None and command.seconds_of(gm.path_star(1500, 5)) > 0
