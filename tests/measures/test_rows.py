"""Rows are matched to nodes by name, and what is missing on either side is said."""

import pandas
import pytest
import torch

import geomem as gm
from geomem.measures import Table, match_rows

FACTS = gm.Graph.from_edges([("Paris", "France"), ("Lyon", "France"), ("Zürich", "Schweiz"), ("New York", "USA")])


def vectors(names):
    return {name: [float(k), 1.0] for k, name in enumerate(names)}


def test_rows_are_taken_by_name_and_not_by_place():
    names = ["USA", "New York", "Zürich", "Schweiz", "France", "Lyon", "Paris"]
    frame = pandas.DataFrame(list(vectors(names).values()), index=names)
    table = Table(torch.tensor(list(vectors(names).values())), tuple(names))
    for given in (vectors(names), frame, table, {name: torch.tensor(v) for name, v in vectors(names).items()}):
        found = match_rows(given, FACTS)
        assert [names[int(row[0])] for row in found.rows] == list(FACTS.labels) and found.graph is FACTS
        assert found[2:] == ((), (), 0, (), ())


def test_what_is_missing_on_either_side_is_said():
    found = match_rows(vectors(["Paris", "France", "Zürich", "Oslo"]), FACTS)
    assert found.graph.labels == ("Paris", "France") and found.graph.n_edges == 1
    assert found.no_row == ("Lyon", "Schweiz", "New York", "USA")
    assert found.no_edge == ("Zürich",) and (found.no_node, found.strangers) == (1, ("Oslo",))


def test_capitals_underscores_and_accents_do_not_part_a_name_from_itself():
    decomposed = "Zu\u0308rich"
    found = match_rows(vectors(["paris", "FRANCE", "lyon", decomposed, "schweiz", "new_york", "ＵＳＡ"]), FACTS)
    assert found.no_row == () and found.graph is FACTS
    assert found.loosely == ("Paris", "France", "Lyon", "Schweiz", "New York", "USA")  # not Zürich: it is the same name
    twice = match_rows(vectors(["paris", "PARIS", "France", "Lyon"]), FACTS)
    assert "Paris" in twice.no_row  # two rows could be meant


def test_two_nodes_do_not_share_a_row():
    g = gm.Graph.from_edges([("US", "us"), ("US", "them"), ("them", "we")])
    assert match_rows(vectors(["US", "them", "we"]), g).no_row == ("us",)
    assert match_rows(vectors(["Us", "them", "we"]), g).no_row == ("US", "us")


def test_the_part_with_rows_keeps_its_root_only_if_its_paths_are_whole():
    g = gm.path_star(3, 3)
    whole = dict(zip(g.labels, torch.eye(7), strict=True))
    assert match_rows(whole, g).graph.root == g.root
    part = {name: row for name, row in whole.items() if name != g.labels[int(g.leaves[0])]}
    assert match_rows(part, g).graph.root is None and match_rows(part, g).graph.n_edges == 5
    extra = gm.Graph(n_nodes=4, edges=[(0, 1), (0, 2), (2, 3)], root=0, paths=[[0, 1], [0, 2]])
    assert match_rows({k: v for k, v in zip("012", torch.eye(3), strict=True)}, extra).graph.root == 0


@pytest.mark.parametrize(("table", "match"), [
    ({"Oslo": [1.0], "Rome": [2.0]}, "both nodes of some edge"),
    ({"Paris": [1.0], "France": [1.0, 2.0]}, "one length"),
    ({"Paris": 1.0, "France": 2.0}, "one length"),
    ({}, "one length"),
    (Table(torch.ones(3, 2), ("Paris", "France", "Paris")), "one row per name"),
    (Table(torch.ones(3, 2), ("Paris",)), "as many"),
    ({"Paris": ["x"], "France": ["y"]}, "array of numbers"),
    ({"Paris": [1.0], "France": [float("nan")]}, "row of 'France'"),
    (pandas.DataFrame({"city": ["Paris", "France"], "x": [1.0, 2.0]}), "set_index"),
    ([[1.0, 2.0], [3.0]], "table must"),
])  # fmt: skip
def test_tables_that_do_not_fit_are_refused(table, match):
    with pytest.raises((ValueError, TypeError), match=match):
        match_rows(table, FACTS)


def test_a_frame_with_pandas_own_numbers_has_no_names():
    g = gm.cycle(4)
    assert match_rows(pandas.DataFrame(torch.eye(4).numpy()), g).rows.tolist() == torch.eye(4).tolist()
