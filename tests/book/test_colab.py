"""A chapter on Colab: torch, numpy and Jupyter are there, one hidden cell installs geomem and changes neither."""

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools import book

PRESENT = (
    "torch numpy scipy networkx matplotlib safetensors tqdm ipykernel ipywidgets anywidget nbclient nbformat pip".split()
)
RUN = """import nbclient, nbformat, sys
nb = nbformat.read(sys.argv[1], 4)
nbclient.NotebookClient(nb, kernel_name="python3", timeout=600).execute(cwd=".")
nbformat.write(nb, sys.argv[2])"""
# What a notebook on Colab finds; the Python of the environment starts with this line.
STUB = "import sys, types; sys.modules['google.colab'] = types.ModuleType('google.colab')\n"


def needed(names):
    """Return the installed distributions that the named ones need, themselves and the extras that are asked for included."""
    found, seen, queue = {}, set(), [Requirement(name) for name in names]
    while queue:
        wanted = queue.pop()
        name, extras = canonicalize_name(wanted.name), frozenset(wanted.extras)
        if (name, extras) in seen:
            continue
        seen.add((name, extras))
        try:
            found[name] = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        asked = [Requirement(text) for text in found[name].requires or ()]
        queue += [r for r in asked if r.marker is None or any(r.marker.evaluate({"extra": e}) for e in ("", *extras))]
    return found


def link(distributions, site):
    """Put these distributions, and nothing else, into an environment: links, since torch is large."""
    for distribution in distributions.values():
        for top in {file.parts[0] for file in distribution.files or () if file.parts[0] not in ("..", "__pycache__")}:
            source, target = Path(distribution.locate_file(top)), site / top
            if source.exists() and not target.exists():
                target.symlink_to(source)


def python(venv, *words, **options):
    done = subprocess.run([venv / "bin" / "python", *words], capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build the wheel from a copy, so that nothing is left in the working tree."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("geomem", "book/results", "book/data"):
        shutil.copytree(book.ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(book.ROOT / name, folder)
    words = ["-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "--no-index", "-w", folder / "dist", folder]
    subprocess.run([sys.executable, *words], check=True, capture_output=True)
    (built,) = (folder / "dist").glob("*.whl")
    return built


def bare(venv, names):
    """Make a clean environment that has the named distributions and what they need, and no geomem; return it."""
    made = subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"no virtual environment can be made here: {made.stderr.strip()[-200:]}")
    (site,) = venv.glob("lib/python*/site-packages")
    link(needed(names), site)
    spec = {"argv": [str(venv / "bin" / "python"), "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            "display_name": "Python 3", "language": "python"}  # fmt: skip
    (venv / "share" / "jupyter" / "kernels" / "python3").mkdir(parents=True)
    (venv / "share" / "jupyter" / "kernels" / "python3" / "kernel.json").write_text(json.dumps(spec))
    return venv, site


@pytest.fixture(scope="module")
def colab(tmp_path_factory):
    """Make a clean environment that has what Colab has."""
    venv, site = bare(tmp_path_factory.mktemp("colab") / "venv", PRESENT)
    (site / "colab.pth").write_text(STUB)
    return venv


@pytest.mark.slow
def test_a_chapter_installs_geomem_and_runs(wheel, colab, tmp_path):
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "MPLBACKEND", "BOOK_PROFILE")}
    env = clean | {"BOOK_PROFILE": "smoke", "JUPYTER_PREFER_ENV_PATH": "1", "PIP_NO_INDEX": "1", "OMP_NUM_THREADS": "1"}
    versions = "from importlib.metadata import *; print(version('torch'), version('numpy'), len(list(distributions())))"
    before = python(colab, "-c", versions, env=env).split()
    absent = subprocess.run([colab / "bin" / "python", "-c", "import geomem"], capture_output=True, env=env, cwd=tmp_path)
    assert b"No module named 'geomem'" in absent.stderr

    name = "04_hardest_token"  # trains a model and reads studies
    url = "https://github.com/someone/geomem"
    opening = book.setup_cell(url)
    assert f"geomem @ git+{url}" in opening
    notebook = json.loads((book.ROOT / "book" / f"{name}.ipynb").read_text(encoding="utf8"))
    first = next(cell for cell in notebook["cells"] if cell["cell_type"] == "code")
    assert "".join(first["source"]) == book.setup_cell(book.address())
    first["source"] = opening.replace(f"geomem @ git+{url}", str(wheel))  # the one thing that is not Colab's
    (tmp_path / f"{name}.ipynb").write_text(json.dumps(notebook))
    python(colab, "-c", RUN, f"{name}.ipynb", "out.ipynb", env=env, cwd=tmp_path)

    ran = json.loads((tmp_path / "out.ipynb").read_text())
    cells = [cell for cell in ran["cells"] if cell["cell_type"] == "code"]
    said = "".join("".join(out.get("text", "")) for out in cells[0]["outputs"])
    assert "everything runs on the CPU" in said or "Large models train on cuda" in said
    assert all(cell["execution_count"] for cell in cells)
    shown = "from geomem.explorables import Watch; print(*sorted(Watch()._repr_mimebundle_()[0]))"
    assert python(colab, "-c", shown, env=env).split() == ["application/vnd.jupyter.widget-view+json", "text/plain"]
    after = python(colab, "-c", versions, env=env).split()
    assert after[:2] == before[:2] and int(after[2]) == int(before[2]) + 1  # geomem came, and nothing else did


@pytest.mark.slow
def test_the_wheel_holds_every_package_and_study_and_no_test(wheel):
    import zipfile

    names = set(zipfile.ZipFile(wheel).namelist())
    modules = {str(path.relative_to(book.ROOT)) for path in (book.ROOT / "geomem").rglob("*.py")}
    studies = {f"geomem/results/{path.name}" for path in (book.ROOT / "book" / "results").glob("*.json")}
    studies |= {"geomem/explorables/explorables.mjs"} | {
        f"geomem/data/{path.name}" for path in (book.ROOT / "book" / "data").glob("*.csv")
    }
    inside = {name for name in names if ".dist-info/" not in name}
    assert modules | studies <= inside and len(studies) > 10 and all(name.startswith("geomem/") for name in inside)


def test_what_a_sweep_needs_is_an_extra_and_pinned():
    project = tomllib.loads((book.ROOT / "pyproject.toml").read_text())["project"]
    pins = {line.partition("==")[0] for line in (book.ROOT / "requirements.txt").read_text().splitlines()}
    extra = {line.partition(">=")[0] for line in project["optional-dependencies"]["sweep"]}
    runner = {"papermill", "ipykernel", "ipywidgets", "anywidget", "nbconvert", "psutil", "PyYAML"}
    assert extra == {"dask", "distributed", "pandas"} | runner
    assert extra | {"dask-jobqueue"} <= pins
    assert not extra & {line.partition(">=")[0] for line in project["dependencies"]}


@pytest.mark.slow
def test_the_extra_for_sweeps_is_enough_to_run_a_chapter_with_explorables_and_to_make_its_page(wheel, tmp_path):
    project = tomllib.loads((book.ROOT / "pyproject.toml").read_text())["project"]
    wanted = project["dependencies"] + project["optional-dependencies"]["sweep"]
    venv, site = bare(tmp_path / "venv", wanted)
    words = ["-m", "pip", "install", "-q", "--no-deps", "--no-index", "--target", site, wheel]
    subprocess.run([sys.executable, *words], check=True, capture_output=True)
    (venv / "share" / "jupyter" / "nbconvert").symlink_to(Path(sys.prefix) / "share" / "jupyter" / "nbconvert")
    chapter = shutil.copy(book.ROOT / "book" / "09_knobs.ipynb", tmp_path)
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "MPLBACKEND", "BOOK_PROFILE")}
    call = "import sys; from geomem.cli import main; sys.exit(main(sys.argv[1:]))"
    env = clean | {"JUPYTER_PREFER_ENV_PATH": "1", "OMP_NUM_THREADS": "1"}
    words = [chapter, "--profile", "smoke", "--out", tmp_path / "runs"]
    python(venv, "-c", call, "run", *words, env=env, cwd=tmp_path)
    python(venv, "-c", "import distributed, geomem; assert not geomem.load_sweep('runs').empty", env=env, cwd=tmp_path)
    (page,) = (tmp_path / "runs").glob("*/*.html")
    assert "data-explorable" in page.read_text(encoding="utf8")
