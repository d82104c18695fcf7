"""What outside users rely on: the public names, their docstrings, and an import that does nothing."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import geomem as gm
from geomem.measures import Table, core_survival
from geomem.node2vec import cycle_fixed_point, flow_spectrum
from geomem.reporting.studies import Study
from geomem.tasks import GraphTask, Task

PACKAGE = Path(gm.__file__).parent
ORDER = "graphs models spectral tasks measures memories node2vec training reporting explorables runner cli".split()
GROUND = {"_checks", "_products"}
ALSO = {"__version__"}  # a word of the package itself, which no import of a room can close a circle with
NAMES = sorted(gm.__all__)
RING = gm.cycle(6)
RESULTS = {  # what makes a result, and the sizes that it must name
    "Flow": (
        lambda: gm.gradient_flow(RING, width=7, steps=3, seeds=range(2)),
        ("2 seeds", "n_nodes=6", "width=7", "step 3"),
    ),
    "Ensemble": (
        lambda: gm.train_ensemble(RING, width=7, steps=3, seeds=[4]),
        ("1 members", "n_nodes=6", "width=7", "step 3"),
    ),
    "Result": (lambda: trained(gm.EdgeTask(RING)), ("12 facts", "width=7", "layers=1", "step 3")),
    "Memory": (lambda: gm.associative_memory(RING, width=7), ("n_nodes=6", "width=7", "matrix")),
    "Study": (
        lambda: Study("twelve", "none", [0, 1], 2.5, {"a": [], "b": []}, {}),
        ("2 conditions", "2 seeds", "2.5 hours"),
    ),
    "FlowSpectrum": (lambda: flow_spectrum(torch.zeros(3, 6, 1), RING), ("(3, 4)", "(3, 6)")),
    "CycleFixedPoint": (lambda: cycle_fixed_point(6), ("n_nodes=6", "4 eigenvalues")),
    "CoreSurvival": (lambda: core_survival(torch.eye(6), torch.eye(6), torch.zeros(6), RING), ("1 tables", "full=")),
    "Measured": (lambda: gm.measure(torch.randn(6, 7), RING, null=20), ("n_nodes=6", "width=7", "too small to say")),
    "Table": (lambda: Table(torch.zeros(6, 7), tuple("abcdef")), ("rows=6", "width=7", "'a'")),
    "Rest": (lambda: gm.most_random_walk(RING), ("n_nodes=6", "dims=2")),
    "Spectrum": (lambda: gm.Spectrum(RING), ("cycle", "x2")),
    "Graph": (lambda: RING, ("6",)),
}
NEED_A_FILE = ("read_edges", "load_records", "load_result", "load_study", "load_sweep", "read_table")


def test_every_public_name_is_listed_once_and_exists():
    assert len(set(NAMES)) == len(NAMES)
    assert all(hasattr(gm, name) for name in NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_docstring_gives_arguments_errors_source_and_an_example(name):
    thing = getattr(gm, name)
    if inspect.ismodule(thing):
        pytest.skip("a module: its functions have their own docstrings")
    text = inspect.getdoc(thing)
    assert "Source:" in text and (">>>" in text or name in NEED_A_FILE)
    for parameter in inspect.signature(thing).parameters.values():
        if parameter.name != "self" and parameter.kind is not parameter.VAR_KEYWORD:
            assert f"\n    {parameter.name}: " in text, f"{name} does not describe {parameter.name}"
    if inspect.isfunction(thing) and "raise" in inspect.getsource(thing):
        assert "Raises:" in text


@pytest.mark.parametrize("name", NAMES)
def test_example_is_short(name):
    lines = [line for line in inspect.getdoc(getattr(gm, name)).splitlines() if line.strip().startswith((">>>", "..."))]
    assert len(lines) <= 6


def trained(task):
    model = gm.SequenceModel(task.vocabulary.n_tokens, core="identity", width=7, layers=1)
    return gm.train(model, task, [gm.Stage(3, 0.01, edges=4)], device="cpu")


@pytest.mark.parametrize("name", RESULTS)
def test_a_result_prints_as_one_line_that_names_its_sizes(name):
    make, sizes = RESULTS[name]
    text = repr(make())
    assert text.startswith(f"{name}(") and "\n" not in text and len(text) < 250
    assert all(size in text for size in sizes), text


@pytest.mark.parametrize("name", gm.models.CORES)
def test_every_core_meets_the_protocol(name):
    core = gm.SequenceModel(5, core=name, width=4, layers=1, heads=1).core
    assert isinstance(core, gm.models.Core) and type(core).sequential is core.sequential
    assert not isinstance(torch.nn.Linear(4, 4), gm.models.Core)


@pytest.mark.parametrize("task", [gm.EdgeTask(RING), gm.PathTask(gm.path_star(4, 3)), gm.InContextTask(2, 3)], ids=repr)
def test_every_task_meets_the_protocol_and_only_those_of_a_graph_have_its_edges(task):
    assert isinstance(task, Task) and not isinstance(RING, Task)
    assert isinstance(task, GraphTask) == hasattr(task, "graph") == hasattr(task, "edges")


@pytest.mark.parametrize("name", NAMES)
def test_the_public_surface_is_annotated(name):
    thing = getattr(gm, name)
    if inspect.ismodule(thing):
        functions = [
            function
            for _, function in inspect.getmembers(thing, inspect.isfunction)
            if function.__module__ == thing.__name__
        ]
    elif inspect.isclass(thing):
        functions = [f for key, f in vars(thing).items() if inspect.isfunction(f) and not key.startswith("_")]
    else:
        functions = [thing]
    for function in functions:
        assert function.__name__.startswith("_") or "return" in function.__annotations__, function.__qualname__


def test_the_package_says_that_it_is_typed():
    assert (PACKAGE / "py.typed").is_file()


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*/*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_from_its_room_and_those_before_it(path):
    room = path.parent.name
    allowed = set(ORDER[: ORDER.index(room)]) | GROUND | ALSO
    for node in ast.walk(ast.parse(path.read_text(encoding="utf8"))):
        if isinstance(node, ast.ImportFrom) and node.level == 2:
            used = {node.module.split(".")[0]} if node.module else {alias.name for alias in node.names}
            assert used <= allowed, f"{path.relative_to(PACKAGE)} imports {used - allowed}"
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module] if isinstance(node, ast.ImportFrom) and not node.level else []
        own = [name for name in names if name.split(".")[0] == "geomem"]
        assert not own, f"{path.name} must import {own} by a relative name"


@pytest.mark.parametrize("name", sorted(GROUND))
def test_the_ground_imports_no_room(name):
    tree = ast.parse((PACKAGE / f"{name}.py").read_text(encoding="utf8"))
    assert all(not node.level for node in ast.walk(tree) if isinstance(node, ast.ImportFrom))


def test_import_needs_no_notebook_package_and_touches_no_random_state():
    code = (
        "import random, sys, numpy, torch\n"
        "state = torch.get_rng_state(), numpy.random.get_state()[1].tolist(), random.getstate()\n"
        "threads = torch.get_num_threads()\n"
        "import geomem\n"
        "assert torch.equal(state[0], torch.get_rng_state()) and threads == torch.get_num_threads()\n"
        "assert state[1] == numpy.random.get_state()[1].tolist() and state[2] == random.getstate()\n"
        "heavy = {'IPython', 'ipywidgets', 'papermill', 'nbformat', 'anywidget', 'matplotlib', 'pandas', 'dask'}\n"
        "heavy = (heavy | {'distributed', 'nbconvert', 'yaml', 'psutil'}) & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
