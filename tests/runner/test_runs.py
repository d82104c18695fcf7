"""One run: everything is checked before it, all of it lands in one folder, and nothing outside."""

import ast
import json
import os
import re
import resource
import shutil
import subprocess
import sys

import nbformat
import pytest
import tiny

import geomem as gm
from geomem import runner
from geomem.runner import identity, parameters
from geomem.runner.notebooks import of_notebook
from tools import book

HERE = {"code": "c", "device": "cpu", "versions": {"torch": "2"}}


@pytest.fixture
def chapter(tmp_path):
    return tiny.chapter(tmp_path)


def test_a_run_leaves_notebook_page_and_record(chapter, tmp_path, capsys):
    evil = '"; import os; os._exit(3) #'
    argv = ["run", chapter, "-p", "degree=5", "-p", "seed=2", "-p", f"what={evil}", "--profile", "smoke"]
    assert tiny.left(*argv, "--out", tmp_path / "out") == 0
    out, err = capsys.readouterr()
    (home,) = (tmp_path / "out").iterdir()
    assert err == "" and f"1 records, 1 verdicts in {home}" in out
    assert sorted(path.name for path in home.iterdir()) == ["01_tiny.html", "01_tiny.ipynb", "record.json"]
    record = json.loads((home / "record.json").read_text())
    assert record["run"] == home.name and record["chapter"] == "01_tiny" and record["profile"] == "smoke"
    assert record["parameters"] == {"degree": 5, "seed": 2, "what": evil, "profile": "smoke"}
    assert record["records"][0]["values"] == [10, 11] and record["records"][0]["says"] == evil
    assert record["claims"] == [{"id": "C7", "part": "half", "holds": True, "profile": "smoke"}]
    assert record["seconds"] > 0 and record["peak_bytes"] > 1e6 and record["device"] == runner.machine()["device"]
    page = (home / "01_tiny.html").read_text()
    assert "A tiny chapter" in page and "product" in page and "require.js" not in page

    (home / "01_tiny.html").unlink()
    argv[-2:] = ["-p", "profile=smoke"]  # the same profile, chosen in another way
    assert tiny.left(*argv, "--out", tmp_path / "out") == 0
    assert "there already" in capsys.readouterr().out and tiny.times(tmp_path) == {"5-2": 1}
    assert (home / "01_tiny.html").exists()


def test_a_cell_that_raises_is_shown_and_leaves_no_record(chapter, tmp_path, capsys):
    assert tiny.left("run", chapter, "-p", "what=raise", "--out", tmp_path / "out") == 1
    err = capsys.readouterr().err
    assert "FAILED with what='raise'" in err and "In [3]:" in err and "1 / 0" in err
    assert err.splitlines()[-1].strip() == "ZeroDivisionError: division by zero"
    (home,) = (tmp_path / "out").iterdir()
    assert sorted(path.name for path in home.iterdir()) == ["01_tiny.ipynb", "failure.json"]
    assert json.loads((home / "failure.json").read_text())["reason"] == "ZeroDivisionError: division by zero"


@pytest.mark.slow
def test_plain_papermill_gives_the_same_numbers(tmp_path):
    chapter = runner.chapter("04")
    words = ["-p", "path_weight", "0.2", "-p", "seed", "103", "-p", "profile", "smoke"]
    words += ["--cwd", str(chapter.parent), "--no-progress-bar"]
    plain = [sys.executable, "-m", "papermill", str(chapter), str(tmp_path / "plain.ipynb"), *words]
    env = runner.environment() | {"OMP_NUM_THREADS": "2"}
    subprocess.run(plain, check=True, capture_output=True, env=env)
    assert (
        tiny.left("run", "04", "-p", "path_weight=0.2", "-p", "seed=103", "--profile", "smoke", "--out", tmp_path / "out")
        == 0
    )
    (home,) = (tmp_path / "out").iterdir()
    record = runner.record_of(home)
    found = gm.load_records(tmp_path / "plain.ipynb")
    assert record["records"] == found["record"] and len(found["record"]) >= 3
    assert record["claims"] == found["claim"] and record["profile"] == "smoke"
    assert record["parameters"]["degree"] == 40 and record["parameters"]["length"] == 4


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["run"], "chapter must be given. --list shows what there is"),
        (["run", "0"], "'0' fits several chapters: choose one of 01_"),
        (["run", "three"], "'three' fits no chapter: choose one of 01_"),
        (["run", "../book"], "fits no chapter"),
        (["run", "14"], "'14' fits no chapter: choose one of 01_"),
        (["run", "nowhere/01_two_memories.ipynb"], "got 'nowhere/01_two_memories.ipynb': there is no such file"),
        (["run", "01_two_memories.ipynb"], "got '01_two_memories.ipynb': there is no such file"),
        (["run", "nowhere/01_two_memories"], "'nowhere/01_two_memories' fits no chapter"),
        (["run", "01", "-p", "degre=5"], "there is no parameter 'degre'; the nearest is 'degree'"),
        (["run", "01", "-p", "degree=many"], "degree must be of type int, got 'many'"),
        (["run", "01", "-p", "degree=1,2"], "degree must be of type int, got '1,2'"),
        (["run", "01", "-p", "largest=101"], "largest must be up to 100, got 101"),
        (
            ["run", "11", "-p", "shown=foo"],
            "shown must be one of 'associative', 'node2vec', 'linear', 'transformer'",
        ),
        (["run", "11", "-p", "steps=0"], "steps must be at least 1, got 0"),
        (["run", "04", "-p", "length=1"], "length must be at least 3, got 1"),
        (["run", "05", "-p", "plane=foo"], "plane must be one of 'pca', 'umap', got 'foo'"),
        (["run", "01", "-f", "no.yaml"], "no.yaml could not be read: No such file"),
        (["run", "01", "-p", "profile=smoke", "--profile", "paper"], "profile must be given once"),
        (["run", "01", "--profile", "quick"], "invalid choice: 'quick'"),
        (["run", "01", "--timeout", "0"], "timeout must be finite and greater than 0, got 0"),
        (["run", "01", "--out", "/proc/geomem"], "folder must be one that can be written to, got '/proc/geomem'"),
        (["run", "01", "--out", ""], "folder must have a name"),
        (["sweep"], "the following arguments are required: CHAPTER"),
        (["sweep", "01", "02"], "a sweep takes one chapter, got '01 02'"),
        (["sweep", "01", "-p", "degree=3,3"], "degree must list different values"),
        (["sweep", "01", "-p", "degre=3"], "the nearest is 'degree'"),
        (["sweep", "01", "--scheduler", "slurm"], "scheduler must be 'local' or tcp://HOST:PORT, got 'slurm'"),
        (["sweep", "01", "--workers", "0"], "workers must be at least 1, got 0"),
        (["sweep", "01", "--out", "/proc/geomem"], "folder must be one that can be written to"),
        (["sweep", "train"], "what follows train must be one of 'path-star', 'tree-star', 'in-context', 'edges', got ''"),
        (["sweep", "train", "path-sta"], "Did you mean 'path-star'?"),
        (["sweep", "train", "path-star", "-p", "degree=4,5"], "length must be given: write -p length=VALUE"),
        (["sweep", "train", "path-star", "-p", "degree=4", "-p", "length=3", "-p", "out=x"], "no parameter 'out'"),
        (["sweep", "train", "path-star", "-p", "degree=4", "-p", "length=3,2"], "paths of length 3 or more"),
        (["sweep", "train", "path-star", "-p", "degree=4", "-p", "length=3", "-p", "heads=2,3"], "heads must divide width"),
        (["sweep", "train", "path-star", "-p", "degree=4", "-p", "length=3", "-p", "seed=-1"], "seed must be at least 0"),
        (["sweep", "train", "path-star", "-p", "target=last"], "target must be one of 'full', 'first', got 'last'"),
        (["sweep", "train", "path-star", "--profile", "smoke"], "profile is of chapters"),
    ],
    ids=lambda value: " ".join(value)[:60] if isinstance(value, list) else "",
)
def test_what_cannot_be_done_is_one_sentence_before_anything_runs(argv, message, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("geomem.cli.run.perform", lambda *a: pytest.fail("it ran"))
    monkeypatch.setattr("distributed.LocalCluster.__init__", lambda *a, **k: pytest.fail("a cluster was started"))
    monkeypatch.chdir(tmp_path)
    assert tiny.left(*argv) == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1
    assert not any((tmp_path / "runs").glob("*"))


@pytest.mark.parametrize(
    ("argv", "missing", "message"),
    [
        (["run", "01"], "papermill", "geomem run needs papermill: pip install 'geomem[sweep]'."),
        (["sweep", "01"], "papermill", "geomem sweep needs papermill: pip install 'geomem[sweep]'."),
        (["sweep", "01"], "distributed", "geomem sweep needs distributed: pip install 'geomem[sweep]'."),
        (["run", "01"], "ipykernel", "geomem run needs ipykernel: pip install 'geomem[sweep]'."),
        (["run", "01", "-f", "p.yaml"], "yaml", "geomem run needs PyYAML: pip install 'geomem[sweep]'."),
        (["sweep", "train", "path-star", "-f", "p.yaml"], "yaml", "geomem sweep needs PyYAML: pip install 'geomem[sweep]'."),
    ],
)
def test_a_missing_package_is_one_sentence(argv, missing, message, capsys, monkeypatch, tmp_path):
    find = runner.job.importlib.util.find_spec
    monkeypatch.setattr(runner.job.importlib.util, "find_spec", lambda name: None if name == missing else find(name))
    assert tiny.left(*argv, "--out", tmp_path / "out") == 2
    assert message in capsys.readouterr().err
    monkeypatch.setattr(runner.job.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="load_sweep needs pandas: pip install"):
        gm.load_sweep(tmp_path)


@pytest.mark.parametrize(
    ("name", "stem"), [("1", "01_two"), ("04", "04_hard"), ("4", "04_hard"), ("11", "11_"), ("05_s", "05_")]
)
def test_a_number_or_a_beginning_stands_for_a_chapter(name, stem):
    assert runner.chapter(name).stem.startswith(stem)


@pytest.mark.parametrize("argv", [["run", "01"], ["sweep", "01"]])
def test_a_profile_that_is_none_is_refused(argv, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("BOOK_PROFILE", "fancy")
    assert tiny.left(*argv, "--out", tmp_path / "out") == 2
    assert "BOOK_PROFILE must be one of 'smoke', 'laptop', 'paper', got 'fancy'" in capsys.readouterr().err


def test_chapters_and_parameters_are_listed(capsys):
    assert tiny.left("run", "--list") == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [path.stem for path in book.chapters()]
    assert tiny.left("run", "02", "--help-parameters") == 0
    assert "runs of every model, at least 2" in capsys.readouterr().out
    assert tiny.left("sweep", "train", "path-star", "--help-parameters") == 0
    out = capsys.readouterr().out
    assert "target" in out and "(one of full, first)" in out and "checkpoint" not in out


def test_an_id_follows_from_what_changes_a_result_and_from_nothing_else(chapter, tmp_path):
    def name(given, profile="smoke", without="", **more):
        known = {name: parameter for name, parameter in of_notebook(chapter).items() if name != without}
        return runner.job_of({"chapter": str(chapter), "profile": profile}, known, given, HERE | more, folder="x")["about"][
            "run"
        ]

    first = name({})
    assert first == name({"degree": 3}) == name({"profile": "smoke"})
    others = [name({"degree": 4}), name({"seed": 3}), name({}, "paper"), name({}, code="d"), name({}, device="cuda: x")]
    others.append(name({}, versions={"torch": "3"}))
    assert first == name({}, versions={"torch": "2", "python": "4"})
    assert name({}, "smoke", "profile") != name({}, "paper", "profile")  # BOOK_PROFILE counts also without a parameter
    text = chapter.read_text()
    chapter.write_text(text.replace("It multiplies.", "It does.").replace("nobody but", "no one but"))
    assert name({}) == first
    chapter.write_text(text.replace("degree * seed", "degree + seed"))
    assert len({first, *others, name({})}) == 8


@pytest.mark.parametrize("run", ["../../outside", "/etc", "..", "0123456789abcdeg", "0123456789abcdef/../../x", ""])
def test_a_run_id_cannot_leave_the_folder(run, chapter, tmp_path):
    known, out = of_notebook(chapter), tmp_path / "out"
    job = runner.job_of({"chapter": str(chapter), "profile": "smoke"}, known, {}, runner.machine(), folder=out)
    job["about"]["run"] = run
    assert "a run id must be 16 hexadecimal digits" in runner.perform(job)["reason"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["01_tiny.ipynb"]


def test_a_link_cannot_lead_out_of_the_folder(chapter, tmp_path):
    known, out = of_notebook(chapter), tmp_path / "out"
    job = runner.job_of({"chapter": str(chapter), "profile": "smoke"}, known, {}, runner.machine(), folder=out)
    (tmp_path / "elsewhere").mkdir()
    out.mkdir()
    (out / job["about"]["run"]).symlink_to(tmp_path / "elsewhere")
    assert "a link that leaves the output folder" in runner.perform(job)["reason"]
    assert os.listdir(tmp_path / "elsewhere") == [] and not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["code", "device", "versions"])
def test_a_run_of_another_machine_is_refused(name, chapter, tmp_path):
    made = runner.machine() | {name: "another"}
    job = runner.job_of({"chapter": str(chapter), "profile": "smoke"}, of_notebook(chapter), {},
                   made | {"versions": {"torch": "9"}} if name == "versions" else made, folder=tmp_path / "out")  # fmt: skip
    assert f"{name} must be" in runner.perform(job)["reason"] and not (tmp_path / "ran").exists()


def test_a_record_that_was_damaged_or_moved_is_no_record(tmp_path):
    home = tmp_path / "0123456789abcdef"
    home.mkdir()
    for text in ("", "{", "[]", "3", '{"run": "x"}', '{"run": "0123456789abcdee"}', "\ufeff"):
        (home / "record.json").write_text(text)
        assert runner.record_of(home) is None
    (home / "record.json").write_text('{"run": "0123456789abcdef"}')
    assert runner.record_of(home)


@pytest.mark.slow
def test_a_record_is_written_whole_or_not_at_all_and_ends_a_failure(tmp_path):
    """No file may be longer than half of the record, which a note makes long; nothing else of the run is."""
    made = runner.machine() | {"note": "x" * 100_000}
    given = {"degree": 4, "length": 3, "width": 8, "layers": 1, "heads": 2, "steps_scale": 0.01, "device": "cpu"}
    job = runner.job_of({"command": ["train", "path-star"]}, {}, given, made, folder=tmp_path)
    home, limits = tmp_path / job["about"]["run"], resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        assert "File too large" in runner.perform(job)["reason"]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert os.listdir(home) == []
    assert "its time limit" in runner.perform(job | {"timeout": 0.01})["reason"] and os.listdir(home) == ["failure.json"]
    assert "reason" not in runner.perform(job) and os.listdir(home) == ["record.json"] and runner.record_of(home)


def test_options_of_a_command_are_words_and_no_shell():
    given = {"train_fraction": 0.5, "reverse": True, "frozen": False, "directions": "; rm -rf x"}
    assert runner.options(given) == ["--train-fraction=0.5", "--reverse", "--directions=; rm -rf x"]


# What decides a result


@pytest.fixture
def package(tmp_path):
    return shutil.copytree(identity.PACKAGE, tmp_path / "geomem", ignore=shutil.ignore_patterns("__pycache__", "*.mjs"))


def append(path, text):
    path.write_text(path.read_text(encoding="utf8") + text, encoding="utf8")


def test_what_only_draws_or_starts_or_explains_changes_no_identity(package):
    first = identity.code(package)
    for name in ("reporting/figures.py", "explorables/watch.py", "cli/run.py", "cli/main.py", "runner/sweep.py"):
        append(package / name, "\nMORE = 1\n")
    append(package / "node2vec" / "flow.py", "\n\n# a comment\n")
    path = package / "graphs" / "graph.py"
    path.write_text(path.read_text(encoding="utf8").replace('"""', '"""Also: ', 1), encoding="utf8")
    assert identity.code(package) == first != identity.source(package)


@pytest.mark.parametrize(
    "name", ["node2vec/flow.py", "_checks.py", "reporting/records.py", "cli/train.py", "runner/child.py"]
)
def test_what_computes_changes_the_identity(name, package):
    first = identity.code(package)
    append(package / name, "\nMORE = 1\n")
    assert identity.code(package) != first


def test_no_module_that_decides_imports_one_that_does_not():
    """But for the public names, which are listed in ``__init__`` files and load nothing else."""
    for path in identity.PACKAGE.rglob("*.py"):
        name = path.relative_to(identity.PACKAGE).as_posix()
        if not identity.decides(name) or path.name == "__init__.py" or name in identity.DECIDES:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
            if isinstance(node, ast.ImportFrom) and node.level:
                words = {*(node.module or "").split("."), *(alias.name for alias in node.names)}
                assert not words & {"cli", "explorables", "figures", "runner"}, f"{name} imports {words}"


READS = '''import geomem as gm
gm.load_study("trees")
names = {"a": "steps"}
"""karate"""'''


def test_a_notebook_s_studies_and_facts_are_known_by_their_names():
    found = identity.shipped_files([READS], {"graph": "places"})
    assert set(found) == {"results/trees.json", "data/places.csv"}
    found = identity.shipped_files([READS + "\ngm.reporting.load_study(names['a'])"], {})
    assert set(found) == {"results/trees.json", "results/steps.json"}
    assert identity.shipped_files(["%pip install x", "x = 'trees'"], {}) == {}


def test_a_study_that_changed_is_another_run(chapter, tmp_path, monkeypatch):
    nb = nbformat.read(chapter, as_version=4)
    nb.cells.append(nbformat.v4.new_code_cell('gm.load_study("one")'))
    nbformat.write(nb, chapter)
    monkeypatch.setattr("geomem._checks.shipped", lambda folder: [tmp_path / folder])
    (tmp_path / "results").mkdir()
    names = []
    for one, two in (("1", "1"), ("1", "2"), ("22", "2")):
        (tmp_path / "results" / "one.json").write_text(one)
        (tmp_path / "results" / "two.json").write_text(two)
        job = runner.job_of({"chapter": str(chapter), "profile": "smoke"}, of_notebook(chapter), {}, HERE, folder="x")
        names.append(job["about"]["run"])
    assert names[0] == names[1] != names[2]


# Files of the user's


def reader(folder):
    """Write a chapter that reads a file."""
    source = 'graph: str = "karate"  # a name, or a file of facts\nprofile: str = ""  # one'
    body = "import geomem as gm\ng = gm.graphs.named_graph(graph)\ngm.record('edges', g.n_edges, template='Edges: {}.')"
    cells = [nbformat.v4.new_markdown_cell("# A reader"), *map(nbformat.v4.new_code_cell, (source, body))]
    cells[1].metadata["tags"] = ["parameters"]
    folder.mkdir()
    nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "01_reader.ipynb")  # it states no language
    return folder / "01_reader.ipynb"


@pytest.mark.slow
def test_a_file_means_the_folder_that_the_user_is_in(tmp_path, monkeypatch, capsys):
    notebook, mine = reader(tmp_path / "book"), tmp_path / "meine Länder"
    (mine / "below").mkdir(parents=True)
    (mine / "große Fakten.csv").write_text("a,b\nb,c\n")
    (mine / "below" / "facts.csv").write_text("a,b\nb,c\nc,d\n")
    (mine / "below" / "p.yaml").write_text("graph: facts.csv\n")
    monkeypatch.chdir(mine)
    assert tiny.left("run", notebook, "-p", "graph=große Fakten.csv", "--out", "out") == 0
    assert tiny.left("run", notebook, "-f", "below/p.yaml", "--out", "out") == 0
    found = {r["parameters"]["graph"]: r["records"][0]["values"] for r in map(runner.record_of, (mine / "out").iterdir())}
    assert found == {str(mine / "große Fakten.csv"): [2], str(mine / "below" / "facts.csv"): [3]}
    capsys.readouterr()
    monkeypatch.chdir(mine / "below")  # the same file, by another name
    assert tiny.left("run", notebook, "-p", "graph=../große Fakten.csv", "--out", "../out") == 0
    assert "there already" in capsys.readouterr().out
    (mine / "große Fakten.csv").write_text("a,b\nb,c\nc,d\nd,e\n")
    assert tiny.left("run", notebook, "-p", f"graph={mine / 'große Fakten.csv'}", "--out", "../out") == 0
    assert "there already" not in capsys.readouterr().out and len(list((mine / "out").iterdir())) == 3
    assert tiny.left("run", notebook, "-p", "graph=nowhere.csv") == 2
    assert "graph must name a file that is there, got 'nowhere.csv'" in capsys.readouterr().err


def test_a_file_that_is_another_one_where_it_runs_is_refused(tmp_path):
    notebook, facts = reader(tmp_path / "book"), tmp_path / "facts.csv"
    facts.write_text("a,b\n")
    what = {"chapter": str(notebook), "profile": "smoke"}
    job = runner.job_of(what, of_notebook(notebook), {"graph": str(facts)}, runner.machine(), folder=tmp_path / "out")
    facts.write_text("a,b\nb,c\n")
    assert "graph must be the file that was given here too" in runner.perform(job)["reason"]


def test_a_known_name_stays_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    known = of_notebook(runner.chapter("11"))
    (tmp_path / "karate").write_text("a,b\n")
    (tmp_path / "facts").write_text("a,b\n")
    assert parameters.values(known, ["graph=karate"]) == {"graph": "karate"}
    assert parameters.values(known, ["graph=facts"]) == {"graph": str(tmp_path / "facts")}
    assert parameters.values(known, ["graph="]) == {"graph": ""}


# A run sees nothing of the user's own settings

STRANGE = """import sys
import matplotlib
import torch
from IPython.display import publish_display_data
import geomem as gm
found = dict(python=sys.executable, usetex=matplotlib.rcParams["text.usetex"],
    size=matplotlib.rcParams["font.size"], backend=matplotlib.get_backend().rpartition("_")[2],
    dtype=str(torch.get_default_dtype()), started="started" in globals(),
    bare="job" in sys.modules or any(path.endswith("runner") for path in sys.path))
gm.record("x", [torch.tensor([1 / 3]).double().item()], template=repr(found) + " {}")"""


@pytest.mark.parametrize("language", [True, False])
def test_a_run_sees_nothing_of_the_user_s_settings(language, tmp_path, monkeypatch):
    folder, home = tmp_path / "book", tmp_path / "home"
    metadata = {"kernelspec": {"name": "r", "display_name": "x", "language": "python"}} if language else {}
    cells = [nbformat.v4.new_markdown_cell("# Strange"), nbformat.v4.new_code_cell(STRANGE)]
    folder.mkdir()
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=metadata), folder / "01_strange.ipynb")
    for place in (folder / "matplotlibrc", home / "mpl" / "matplotlibrc", home / ".config" / "matplotlib" / "matplotlibrc"):
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("text.usetex: True\nfont.size: 33\n")
    start = home / "ipython" / "profile_default" / "startup" / "00.py"
    start.parent.mkdir(parents=True)
    start.write_text("import torch\ntorch.set_default_dtype(torch.float64)\nstarted = True\n")
    spec = home / "jupyter" / "kernels" / "python3" / "kernel.json"
    spec.parent.mkdir(parents=True)
    spec.write_text(json.dumps({"argv": ["/bin/false"], "display_name": "x", "language": "python"}))
    settings = {"HOME": home, "IPYTHONDIR": home / "ipython", "MPLCONFIGDIR": home / "mpl", "PYTHONSTARTUP": start}
    settings |= {"JUPYTER_PATH": home / "jupyter", "MATPLOTLIBRC": home / "mpl", "JUPYTER_DATA_DIR": home / "jupyter"}
    for name, value in settings.items():
        monkeypatch.setenv(name, str(value))
    job = runner.job_of({"chapter": str(folder / "01_strange.ipynb"), "profile": "smoke"}, {}, {}, runner.machine(),
                        folder=tmp_path / "out")  # fmt: skip
    entry = runner.perform(job)
    assert "reason" not in entry, entry
    (record,) = runner.record_of(tmp_path / "out" / entry["run"])["records"]
    found = ast.literal_eval(record["template"].removesuffix(" {}"))
    assert found == {
        "python": sys.executable, "usetex": False, "size": 10.0, "backend": "inline", "dtype": "torch.float32",
        "started": False, "bare": False,
    }  # fmt: skip
    assert record["values"] == [0.33333334]
    assert os.listdir(home / "ipython") == ["profile_default"]  # nothing was written there either


# Its page


def test_a_page_asks_no_host_and_brings_an_explorable_alive(tmp_path):
    from geomem.explorables import Ask

    g = gm.path_star(3, 3)
    data, _ = Ask(g, {"store": gm.incidence_memory(g)}, source=0, target=1)._repr_mimebundle_()
    strange = '<script src="https://example.org/x.js"></script><b>kept</b>'
    outputs = [nbformat.v4.new_output("display_data", one) for one in (dict(data), {"text/html": strange})]
    cells = [nbformat.v4.new_markdown_cell("# A page\n\n$x^2$"), nbformat.v4.new_code_cell("1", outputs=outputs)]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "01_page.ipynb")
    text = runner.page(tmp_path / "01_page.ipynb").decode()
    assert "data-explorable=" in text and "boot();" in text and "data:image/png;base64" in text
    assert "<b>kept</b>" in text and "example.org" not in text and "Content-Security-Policy" in text
    for script in re.findall(r"<script\b.*?</script>", text, re.DOTALL):
        assert "https://" not in script


def test_a_page_that_fails_costs_a_warning_and_not_the_record(chapter, tmp_path, monkeypatch):
    def broken(notebook):
        raise TypeError("no template")

    monkeypatch.setattr("geomem.runner.run.page", broken)
    what = {"chapter": str(chapter), "profile": "smoke"}
    job = runner.job_of(what, of_notebook(chapter), {}, runner.machine(), folder=tmp_path / "out", page=True)
    with pytest.warns(UserWarning, match="01_tiny: its page was not made .TypeError: no template."):
        entry = runner.perform(job)
    assert "reason" not in entry and runner.record_of(tmp_path / "out" / entry["run"])
