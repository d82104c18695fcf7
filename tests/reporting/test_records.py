"""Records and claims: what a chapter says, and that its numbers survive in the notebook."""

import json
import statistics

import nbformat
import pytest
import torch
from nbclient import NotebookClient

import geomem as gm
from geomem import reporting
from geomem.reporting import records

EXACT = 1e-12  # means and deviations of a handful of float64 numbers


def test_record_says_mean_spread_and_n(capsys):
    gm.record("recall", [0.5, 1.0, 0.75], template="Recall: {}.")
    assert capsys.readouterr().out == "Recall: 0.75 ± 0.25 (n = 3).\n"


def test_spread_is_the_sample_standard_deviation():
    values = [0.1, 0.4, 0.35, 0.9]
    mean, sd = records.mean_sd(torch.tensor(values, dtype=torch.float64))
    assert abs(mean - statistics.mean(values)) < EXACT
    assert abs(sd - statistics.stdev(values)) < EXACT


def test_single_value_has_no_spread(capsys):
    gm.record("bits", 65.4, template="Bits: {}.")
    assert capsys.readouterr().out == "Bits: 65.4 (n = 1).\n"


@pytest.mark.parametrize(
    ("mean", "sd", "text"),
    [
        (0.98765, 0.0213, "0.988 ± 0.021 (n = 5)"),
        (123.4, 17.0, "123 ± 17 (n = 5)"),
        (0.91, 0.00032, "0.91000 ± 0.00032 (n = 5)"),
        (0.5, 1e-7, "0.50000000 ± 1.0e-07 (n = 5)"),
        (3e-6, 1e-6, "3.0e-06 ± 1.0e-06 (n = 5)"),
        (1e-8, 3e-6, "0 ± 3.0e-06 (n = 5)"),
        (-2e-4, 9.96e-6, "-2.00e-04 ± 1.0e-05 (n = 5)"),
        (0.3, 0.0996, "0.30 ± 0.10 (n = 5)"),
        (1.0, 0.0, "1 ± 0 (n = 5)"),
    ],
)
def test_number_is_rounded_to_what_is_stable(mean, sd, text):
    assert records.spread(mean, sd, 5) == text


def test_a_spread_that_is_there_never_reads_as_zero():
    for exponent in range(-20, 4):
        for mean in (0.0, 1e-12, -3e-5, 0.7, 41.0):
            sd = 1.7 * 10.0**exponent
            shown = records.spread(mean, sd, 5).partition(" ± ")[2].partition(" ")[0]
            rounding = sd <= 1e-12 * abs(mean)  # of equal values, float64 leaves so much
            assert float(shown) == (0 if rounding else pytest.approx(sd, rel=0.2))


def test_braces_in_a_sentence_are_text(capsys):
    gm.record("x", [1.0], template="over {1, 2}: {}.")
    assert capsys.readouterr().out == "over {1, 2}: 1 (n = 1).\n"


@pytest.mark.parametrize(("digits", "kept"), [(8, [0.33333333, 1.2345679e-09]), (3, [0.333, 1.23e-09])])
def test_a_record_keeps_the_digits_that_are_stable(digits, kept, monkeypatch):
    shown = []
    monkeypatch.setattr(records, "_show", lambda text, data: shown.append(data["record"]))
    gm.record("x", [1 / 3, 1.23456789012e-9], template="{}", digits=digits)
    gm.record("x", [1 / 3 * (1 + 1e-13), 1.23456789012e-9 * (1 - 1e-13)], template="{}", digits=digits)
    assert shown[0]["values"] == kept and shown[0] == shown[1]
    assert all(shown[0][name] == float(f"{shown[0][name]:.{digits}g}") for name in ("mean", "sd"))
    with pytest.raises(ValueError, match="digits must be at most 17, got 18"):
        gm.record("x", [1.0], template="{}", digits=18)


def test_a_profile_that_is_none_is_refused(monkeypatch):
    assert reporting.profile_of() == "laptop" and reporting.profile_of("smoke") == "smoke"
    monkeypatch.setenv("BOOK_PROFILE", "fancy")
    assert reporting.profile_of("smoke") == "smoke"
    with pytest.raises(ValueError, match="BOOK_PROFILE must be one of 'smoke', 'laptop', 'paper', got 'fancy'"):
        gm.claim("C7", holds=True, evidence=["recall"])
    with pytest.raises(ValueError, match="profile must be one of 'smoke', 'laptop', 'paper', got 'fancy'"):
        reporting.by_profile("fancy", 3, smoke=1, laptop=2, paper=3)


def test_a_value_that_is_given_wins_over_the_profile():
    defaults = {"smoke": 40, "laptop": 500, "paper": 10_000}
    assert {p: reporting.by_profile(p, 0, **defaults) for p in defaults} == defaults
    assert {reporting.by_profile(p, 500, **defaults) for p in defaults} == {500}


@pytest.mark.parametrize(
    ("name", "values", "says", "word"),
    [
        ("Recall", [1.0], "{}", "name"),
        ("a b", [1.0], "{}", "name"),
        ("a", [], "{}", "values"),
        ("a", [float("nan")], "{}", "values"),
        ("a", [float("inf")], "{}", "values"),
        ("a", [1.0], "no place", "template"),
        ("a", [1.0], "{} and {}", "template"),
    ],
)
def test_wrong_record_is_refused(name, values, says, word):
    with pytest.raises(ValueError, match=word):
        gm.record(name, values, template=says)


@pytest.mark.parametrize(("holds", "text"), [(True, "is met"), (False, "is not met"), (None, "not tested")])
def test_claim_is_one_line_without_digits_of_its_own(capsys, holds, text):
    gm.claim("C7", part="expressible", holds=holds, evidence=["recall"])
    said = capsys.readouterr().out
    assert said.count("\n") == 1 and text in said
    assert not any(letter.isdigit() for letter in said.removeprefix("C7"))


def test_smoke_judges_nothing(capsys):
    gm.claim("C7", holds=True, evidence=["recall"], profile="smoke")
    assert "not judged (smoke)" in capsys.readouterr().out


def test_profile_comes_from_the_environment_unless_it_is_given(capsys, monkeypatch):
    monkeypatch.setenv("BOOK_PROFILE", "smoke")
    gm.claim("C7", holds=True, evidence=["recall"])
    gm.claim("C7", holds=True, evidence=["recall"], profile="laptop")
    assert [line.split(": ")[1] for line in capsys.readouterr().out.splitlines()] == [
        "not judged (smoke).",
        "the criterion is met.",
    ]


def test_claim_takes_a_boolean_tensor(capsys):
    gm.claim("C1", holds=torch.tensor(False), evidence=["recall"])
    assert "not met" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("changed", "error", "word"),
    [
        ({"id": "seven"}, ValueError, "id"),
        ({"holds": 1}, TypeError, "holds"),
        ({"holds": "yes"}, TypeError, "holds"),
        ({"evidence": []}, ValueError, "evidence"),
        ({"evidence": "recall"}, ValueError, "evidence"),
    ],
)
def test_wrong_claim_is_refused(changed, error, word):
    claim = {"id": "C7", "holds": True, "evidence": ["recall"]} | changed
    with pytest.raises(error, match=word):
        gm.claim(claim.pop("id"), **claim)


def test_numbers_survive_in_a_notebook_and_show_no_mime_type_of_their_own(tmp_path):
    source = (
        "import geomem as gm\n"
        "gm.record('recall', [0.5, 1.0], template='Recall: {}.')\n"
        "gm.claim('C7', holds=True, evidence=['recall'])\n"
        "gm.claim('C1', holds=True, evidence=['recall'], profile='smoke')"
    )
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    NotebookClient(notebook, timeout=120).execute()
    nbformat.write(notebook, tmp_path / "chapter.ipynb")
    found = gm.load_records(tmp_path / "chapter.ipynb")
    assert found["record"][0]["values"] == [0.5, 1.0]
    assert found["record"][0]["n"] == 2
    assert [claim["holds"] for claim in found["claim"]] == [True, None]
    assert {mime for out in notebook.cells[0].outputs for mime in out.data} == {"text/plain", "text/markdown"}


@pytest.mark.parametrize("text", [None, "", "[1]", json.dumps({"nbformat": 4})])
def test_what_is_no_notebook_is_refused(tmp_path, text):
    path = tmp_path / "x.ipynb"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ValueError, match="notebook"):
        gm.load_records(path)


def test_null_criterion_counts_standard_errors_of_the_difference():
    null = [0.0, 1.0, 0.5, 0.5]
    se = float(gm.standard_error(null, null))
    assert abs(se - (2 * statistics.variance(null) / 4) ** 0.5) < EXACT
    assert gm.exceeds_null([value + 3.01 * se for value in null], null)
    assert not gm.exceeds_null([value + 2.99 * se for value in null], null)


def test_standard_error_needs_two_samples():
    with pytest.raises(ValueError, match="two samples"):
        gm.standard_error([1.0], [1.0, 2.0])


def test_rows_at_the_papers_size_are_what_lies_there(tmp_path):
    assert gm.reporting.load_rows(tmp_path / "paper") == {} and isinstance(gm.reporting.load_rows(), dict)
    (tmp_path / "paper").mkdir()
    (tmp_path / "paper" / "first_5000_5_0.json").write_text('{"seconds": 3}')
    assert gm.reporting.load_rows(tmp_path / "paper") == {"first_5000_5_0": {"seconds": 3}}


def test_equal_values_have_no_spread_though_their_mean_is_rounded():
    values = torch.full((5,), 0.92055, dtype=torch.float64)
    mean, sd = gm.reporting.mean_sd(values)
    assert (
        gm.reporting.spread(mean, sd, 5) == "0.9205 ± 0 (n = 5)" or gm.reporting.spread(mean, sd, 5) == "0.9206 ± 0 (n = 5)"
    )
    assert gm.reporting.spread(0.9, 1e-9, 5) != "0.9 ± 0 (n = 5)"  # a spread that is there


def test_a_table_keeps_one_record_per_cell_and_shows_a_grid(capsys, monkeypatch):
    shown = []
    monkeypatch.setattr(records, "_show", lambda text, metadata: shown.append((text, metadata)))
    found = {("mamba", "path_star"): [0.5, 1.0], ("mamba", "grid"): [1.0, 1.0], ("linear", "grid"): torch.tensor([0.0, 1.0])}
    gm.record_table("order_{}_{}", found, template="Order of {}, {}: {}.", what="order", words={"grid": "four by four"})
    gm.record_table("seeds_{}", {"plain descent": [3, 3, 3]}, template="Seeds, {}: {}.", what="seeds")
    gm.record("order_mamba_grid_again", [1.0, 1.0], template="Order of mamba, four by four: {}.")
    (table, kept), (short, _), (_, alone) = shown
    assert table.splitlines() == [
        "| order (n = 2) | path-star | four by four |",
        "| --- | ---: | ---: |",
        "| mamba | 0.75 ± 0.35 | 1 ± 0 |",
        "| linear |  | 0.50 ± 0.71 |",
    ]
    assert short.splitlines()[0] == "|  | seeds (n = 3) |" and short.splitlines()[2] == "| plain descent | 3 ± 0 |"
    assert [record["name"] for record in kept["records"]] == [
        "order_mamba_path_star",
        "order_mamba_grid",
        "order_linear_grid",
    ]
    assert kept["records"][1] == alone["record"] | {"name": "order_mamba_grid"}


def test_a_table_of_unequal_numbers_says_each_n_and_its_cells_may_lie_ahead(capsys):
    gm.record_table("x_{}", {"a": [1.0], "b": dict(values=[1.0, 2.0], ahead_of=[0.0, 0.5])}, template="X, {}: {}.", what="x")
    assert capsys.readouterr().out.splitlines()[2:] == ["| a | 1 (n = 1) |", "| b | 1 (95 % interval 1 to 1; n = 2) |"]


@pytest.mark.parametrize(("name", "values", "template"), [
    ("x", {"a": 1.0}, "X {}: {}."), ("x_{}", {"a": 1.0}, "X: {}."), ("x_{}", {("a", "b"): 1.0}, "X {}: {}."),
    ("x_{}", {}, "X {}: {}."), ("x_{}", {"a": 1.0, ("a", "b"): 1.0}, "X {}: {}."),
])  # fmt: skip
def test_a_table_whose_keys_do_not_fit_is_refused(name, values, template):
    with pytest.raises(ValueError, match="values must have a key or a pair of keys each, name one {} per key"):
        gm.record_table(name, values, template=template, what="x")


def test_records_of_a_table_are_read_back(tmp_path):
    item = {"geomem": {"records": [{"name": "a"}, {"name": "b"}]}}
    one = {"geomem": {"record": {"name": "c"}}}
    outputs = [nbformat.v4.new_output("display_data", {}, metadata=metadata) for metadata in (item, one)]
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("", outputs=outputs)]), tmp_path / "x.ipynb")
    assert [record["name"] for record in gm.load_records(tmp_path / "x.ipynb")["record"]] == ["a", "b", "c"]
