"""What outside users rely on: the public names, their docstrings, and an import that does nothing."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import geomem as gm

PACKAGE = Path(gm.__file__).parent
ORDER = "graphs models spectral tasks measures memories node2vec training reporting explorables runner cli".split()
GROUND = {"_checks", "_products"}
ALSO = {"__version__"}  # a word of the package itself, which no import of a room can close a circle with
NAMES = sorted(gm.__all__)
NEED_A_FILE = ("read_edges", "load_records", "load_result", "load_study", "load_sweep")


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
