"""Parameters are typed data: what is wrong is one sentence, and nothing that they say is ever executed."""

import nbformat
import pytest

from geomem import runner
from geomem.runner import parameters
from geomem.runner.facts import READING
from geomem.runner.notebooks import of_notebook
from geomem.runner.parameters import Parameter
from tools import book

CELL = """degree: int = 3  # arms, at least 2
share: float = 1  # of the edges, above 0, at most 1
core: str = "linear"  # linear or transformer; empty: both
file: str = "a.csv"  # edges, one per row
deep: bool = False  # more layers
plain = 7"""


@pytest.fixture
def notebook(tmp_path):
    def write(source=CELL, **more):
        cell = nbformat.v4.new_code_cell(source, metadata={"tags": ["parameters"]})
        nbformat.write(nbformat.v4.new_notebook(cells=[cell], **more), tmp_path / "01_a.ipynb")
        return tmp_path / "01_a.ipynb"

    return write


@pytest.fixture
def known(notebook):
    return of_notebook(notebook())


def test_types_defaults_and_comments_come_from_the_cell(known):
    assert [(p.name, p.kind, p.default) for p in known.values()] == [
        ("degree", "int", 3), ("share", "float", 1.0), ("core", "str", "linear"), ("file", "str", "a.csv"),
        ("deep", "bool", False), ("plain", "int", 7),
    ]  # fmt: skip
    assert known["degree"].says == "arms, at least 2" and known["plain"].says == ""
    shown = parameters.table(known).splitlines()
    assert len(shown) == 6 and shown[0].split() == ["degree", "int", "3", "arms,", "at", "least", "2"]


def test_values_are_read_as_their_types(known):
    settings = ["degree=5", "share=1e-3", "core=transformer", "file=5", "deep=TRUE"]
    assert parameters.values(known, settings) == {
        "degree": 5, "share": 0.001, "core": "transformer", "file": "5", "deep": True,
    }  # fmt: skip
    assert parameters.values(known, []) == {}
    assert parameters.values(known, ["file=a=b,c"]) == {"file": "a=b,c"}


@pytest.mark.parametrize(
    "text", ['"; import os', "$(true)", "__import__('os').abort()", "{{7*7}}", "../../x", "- a\n- b", "'"]
)
def test_a_value_stays_a_string(known, text):
    assert parameters.values(known, [f"file={text}"]) == {"file": text}


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("degre=5", "no parameter 'degre'; the nearest is 'degree'"),
        ("degree", "NAME=VALUE, got 'degree'"),
        ("degree=many", "degree must be of type int, got 'many'"),
        ("degree=2.5", "degree must be of type int"),
        ("degree=1", "degree must be at least 2, got 1"),
        ("share=0", "share must be above 0, got 0.0"),
        ("share=1.5", "share must be at most 1, got 1.5"),
        ("share=nan", "share must be finite"),
        ("share=1e999", "share must be finite"),
        ("share=fast", "share must be of type float, got 'fast'"),
        ("core=mamba", "core must be one of 'linear', 'transformer', got 'mamba'"),
        ("deep=maybe", "deep must be of type bool, got 'maybe'"),
        ("file=\udcff", "file must be of type str"),
    ],
)
def test_what_is_wrong_is_one_sentence(known, setting, message):
    with pytest.raises(ValueError, match=message) as error:
        parameters.values(known, [setting])
    assert "\n" not in str(error.value)


def test_rules_are_read_from_comments():
    def limits(says):
        return [number for number in range(-3, 9) if _fits(Parameter(name="n", kind="int", default=0, says=says), number)]

    assert limits("nodes, up to 4") == list(range(-3, 5)) == limits("at most 4") == limits("below 5; more is slow")
    assert limits("at least 6, at most 7, or so") == [6, 7] and limits("above 7") == [8]
    assert limits("the study has 0 to 4") == list(range(-3, 9)) == limits("least 6")
    assert Parameter(name="n", kind="int", says="up to 1,000 nodes").check(1000) == 1000


def _fits(parameter, value):
    try:
        return parameter.check(value) == value
    except ValueError:
        return False


def test_a_string_is_one_of_what_a_comment_lists():
    listed = Parameter(name="s", kind="str", default="", says="smoke, laptop or paper; empty: as BOOK_PROFILE says")
    assert all(_fits(listed, value) for value in ("", "smoke", "laptop", "paper")) and not _fits(listed, "paperr")
    free = Parameter(name="s", kind="str", default="", says="karate, grid ..., or a file")
    assert _fits(free, "anything")


def test_every_chapter_states_parameters_that_can_be_read():
    for chapter in book.chapters():
        for parameter in of_notebook(chapter).values():
            assert parameter.check(parameter.default) == parameter.default and parameter.says


def test_two_cells_of_parameters_are_refused(notebook):
    cells = [nbformat.v4.new_code_cell("a: int = 1", metadata={"tags": ["parameters"]}) for _ in range(2)]
    path = notebook()
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)
    with pytest.raises(ValueError, match="01_a.ipynb must have one cell tagged parameters, got 2"):
        of_notebook(path)


def test_what_a_profile_sets_is_read_from_the_call(tmp_path):
    cells = map(nbformat.v4.new_code_cell, ("seeds: int = 0  # runs, at least 2", "%magic", BY_PROFILE))
    nb = nbformat.v4.new_notebook(cells=list(cells))
    nb.cells[0].metadata["tags"] = ["parameters"]
    nbformat.write(nb, tmp_path / "01_a.ipynb")
    (seeds,) = of_notebook(tmp_path / "01_a.ipynb").values()
    assert [seeds.value_in(profile, 0) for profile in ("smoke", "laptop", "paper")] == [2, 10, 30]
    assert seeds.value_in("smoke", 10) == 10 and seeds.check(0) == 0
    assert "smoke 2, laptop 10, paper 30" in parameters.table({"seeds": seeds})
    with pytest.raises(ValueError, match="seeds must be at least 2, got 1"):
        seeds.check(1)
    with pytest.raises(ValueError, match="seeds must be at least 2, got 0"):  # whoever gives a value gives a real one
        seeds.read("0")


BY_PROFILE = "seeds = gm.reporting.by_profile(profile, seeds, smoke=2, laptop=10, paper=30)"


@pytest.mark.parametrize(
    ("source", "message"),
    [("a: int = 1 +", "must be Python"), ("a = [1]", "must be an int, float, str or bool, not a list"),
     ("a: int = f()", "sets no name to a plain value"), ("import os", "sets no name"), ("a.b = 3", "sets no name"),
     ("a += 1", "sets no name"), ("a = b = 1", "sets no name"), ("a: int", "sets no name")],
)  # fmt: skip
def test_a_cell_that_is_no_list_of_parameters_is_named(notebook, source, message):
    with pytest.raises(ValueError, match=message):
        of_notebook(notebook(source))


def test_a_file_that_is_no_notebook_is_named(tmp_path):
    for text in ("{", "[]", '{"cells": 3}', '{"cells": [{}]}'):
        (tmp_path / "x.ipynb").write_text(text)
        with pytest.raises(ValueError, match="x.ipynb must be a notebook"):
            of_notebook(tmp_path / "x.ipynb")
    with pytest.raises(ValueError, match="must name a file"):
        of_notebook(tmp_path / "y.ipynb")


# A grid


def test_a_grid_is_the_product_last_axis_fastest(known):
    points = parameters.grid(known, ["degree=5,10:14:2", "core=linear,transformer"])
    assert [tuple(point.values()) for point in points] == [
        (5, "linear"), (5, "transformer"), (10, "linear"), (10, "transformer"), (12, "linear"), (12, "transformer"),
    ]  # fmt: skip
    assert parameters.grid(known, ["plain=0:3"]) == [{"plain": 0}, {"plain": 1}, {"plain": 2}]
    assert parameters.grid(known, []) == [{}]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["degree=5,5"], "degree must list different values"),
        (["degree=2:2"], "degree must span 1 to"),
        (["plain=0:1000000000000000000000"], "plain must span 1 to"),
        (["plain=0:400", "degree=2:400"], "at most 100,000 runs, got 159,200"),
        (["degree=1:4"], "degree must be at least 2, got 1"),
        (["degree=2:a"], "from:to or from:to:step"),
        (["degree=2:9:0"], "from:to or from:to:step"),
        (["degree=2,,3"], "degree must be of type int, got ''"),
        (["degree=2", "degree=3"], "degree must be given once"),
    ],
)
def test_a_grid_that_cannot_be_is_refused(known, settings, message):
    with pytest.raises(ValueError, match=message):
        parameters.grid(known, settings)


def test_what_must_be_given_is_asked_for():
    known = {"degree": Parameter(name="degree", kind="int", required=True)}
    with pytest.raises(ValueError, match="degree must be given: write -p degree=VALUE"):
        parameters.values(known, [])
    assert parameters.values(known, ["degree=3"]) == {"degree": 3}


# Files


def test_a_file_gives_values_and_settings_win(known, tmp_path):
    file = tmp_path / "p.yaml"
    file.write_text('degree: 4\nshare: 1e-3\ncore: transformer\nfile: "; import os"\ndeep: yes\n')
    whole = {"degree": 4, "share": 0.001, "core": "transformer", "file": "; import os", "deep": True}
    assert parameters.values(known, [], file) == whole
    assert parameters.values(known, ["degree=9"], file) == whole | {"degree": 9}
    file.write_text("degree: 1_000\nshare: .5\n")
    assert parameters.values(known, [], file) == {"degree": 1000, "share": 0.5}
    file.write_text("degree: [2, 3]\nfile: ['a,b', c]")
    points = parameters.grid(known, [], file)
    assert points[1] == {"degree": 2, "file": "c"} and points[2] == {"degree": 3, "file": "a,b"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("degre: 4", "nearest is 'degree'"),
        ("degree: 1", "at least 2"),
        ("degree: 2.0", "degree must be of type int, got a float"),
        ("degree: yes", "degree must be of type int, got a bool"),
        ("degree: 5:10", "degree must be a plain number, got '5:10', which YAML takes for 310"),
        ("degree: 010", "degree must be a plain number, got '010', which YAML takes for 8"),
        ("degree: 0x10", "degree must be a plain number, got '0x10', which YAML takes for 16"),
        ("share: 0:0:30", "share must be "),
        ("degree: 3\ndegree: 4", "degree must be given once, p.yaml gives it twice"),
        ("degree: [3]", "one value, got a list"),
        ("degree: {a: 1}", "got a dict"),
        ("file: 5", "file must be of type str, got a int. Put it in quotes"),
        ("file: 2020-01-01", "got a date"),
        ("file: !!python/object/apply:os.system ['true']", "must be plain YAML"),
        ("degree: [", "must be plain YAML"),
        ("a: &a [b]\nb: *c", "must be plain YAML"),
        ("[" * 800, "must be plain YAML"),
        ("- degree", "must hold lines of NAME: VALUE, got a list"),
        ("", "must hold lines of NAME: VALUE, got a NoneType"),
        ("3: 4", "must hold lines"),
        ("degree: \x01", "must be plain YAML"),
    ],
)
def test_a_file_that_is_wrong_is_one_sentence(known, tmp_path, text, message):
    (tmp_path / "p.yaml").write_text(text)
    with pytest.raises(ValueError, match=message) as error:
        parameters.values(known, [], tmp_path / "p.yaml")
    assert len(str(error.value)) < 300
    with pytest.raises(ValueError, match="q.yaml could not be read: No such file"):
        parameters.values(known, [], tmp_path / "q.yaml")


# Words whose allowed values are known


def test_a_word_that_a_chapter_does_not_know_is_refused_before_anything_runs():
    """Every str parameter of the book is a choice, a key, or a graph by name or file, or says how facts are written."""
    for path in runner.chapters():
        for name, parameter in of_notebook(path).items():
            if parameter.kind == "str" and name not in READING:
                with pytest.raises(ValueError, match="must be one of"):
                    parameters.values({name: parameter}, [f"{name}=nonesuch"])
    eleven = of_notebook(runner.chapter("11"))
    assert not any(eleven[name].is_file for name in READING)  # sep=/ is no path
    assert parameters.values(eleven, ["sep=/", "columns=a.1,b.2"]) == {"sep": "/", "columns": "a.1,b.2"}


def test_the_keys_of_a_dictionary_of_the_chapter_are_the_options():
    row = of_notebook(runner.chapter("10"))["row"]
    assert row.options[:2] == ("first_5000_5", "first_10000_6") and len(row.options) == 7
    with pytest.raises(ValueError, match="row must be one of .* got 'first_500_5'. Did you mean 'first_5000_5'"):
        row.read("first_500_5")


@pytest.mark.parametrize("body", ["", "ROWS = dict(a=1)", "ROWS, B = {}, 1", "%magic\nROWS = {'a': 1}"])
def test_keys_that_no_code_writes_out_are_an_error(body, tmp_path):
    cells = [nbformat.v4.new_code_cell('row: str = "a"  # a key of ROWS'), nbformat.v4.new_code_cell(body)]
    cells[0].metadata["tags"] = ["parameters"]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "01_a.ipynb")
    with pytest.raises(ValueError, match="ROWS must be a dictionary that the notebook's code writes out"):
        of_notebook(tmp_path / "01_a.ipynb")


def test_a_graph_that_is_neither_a_name_nor_a_file_is_refused_with_the_nearest_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    known = of_notebook(runner.chapter("2"))
    with pytest.raises(ValueError, match="graph, where no file has that name, must be one of .* Did you mean 'karate'"):
        parameters.values(known, ["graph=karat"])
    (tmp_path / "karat").write_text("a,b\n")
    assert parameters.values(known, ["graph=karat"]) == {"graph": str(tmp_path / "karat")}
