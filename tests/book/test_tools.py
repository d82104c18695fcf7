"""The tools do what the make targets promise, and the repository keeps its own rules."""

import base64
import importlib.metadata
import io
import json
import re
import shutil
import subprocess
import sys
import tomllib
from types import SimpleNamespace

import docutils.core
import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
from packaging.requirements import Requirement
from PIL import Image

from tools import book, chapters, environment, mended, notebooks, site, studies

PARAMETERS = 'profile: str = ""  # smoke, laptop or paper\nsteps: int = 3  # how many\nlr: float = 0.1  # rate'


def notebook(path, *sources):
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    cells[0].metadata["tags"] = ["parameters"]
    metadata = {"kernelspec": {"name": "python3", "display_name": "x", "language": "python"}}
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=metadata), path)
    return path


# The book


@pytest.fixture
def root(tmp_path):
    (tmp_path / "book").mkdir()
    files = "{file: book/01_one}, {file: book/02_two}, {file: book/20_three}, {file: book/notes}"
    (tmp_path / "_toc.yml").write_text(f"root: book/intro\nparts: [{{chapters: [{files}]}}]")
    for name in ("01_one", "02_two", "20_three"):
        notebook(tmp_path / "book" / f"{name}.ipynb", PARAMETERS)
    return tmp_path


def test_pages_and_chapters_follow_the_table_of_contents(root):
    assert [page.name for page in book.pages(root)][::4] == ["intro.md", "notes.md"]
    assert [chapter.stem for chapter in book.chapters(root)] == ["01_one", "02_two", "20_three"]


def test_a_unique_beginning_selects_a_chapter(root):
    assert [chapter.stem for chapter in book.select(["20", "01_one.ipynb"], root)] == ["20_three", "01_one"]
    with pytest.raises(book.UserError, match="fits several chapters: choose one of 01_one, 02_two"):
        book.select(["0"], root)
    with pytest.raises(book.UserError, match="'three' fits no chapter"):
        book.select(["three"], root)


def test_no_chapter_is_an_error(root):
    for path in (root / "book").glob("*.ipynb"):
        path.unlink()
    with pytest.raises(book.UserError, match="No chapter"):
        book.select([], root)


def test_setup_cell_installs_or_says_why_not():
    assert book.setup_cell("https://github.com/OWNER/geomem").endswith(f'raise SystemExit("{book.NOT_YET}")')
    lines = book.setup_cell("https://github.com/someone/geomem").splitlines()
    assert '    %pip install -q "geomem @ git+https://github.com/someone/geomem" anywidget' in lines
    assert lines[-1] == "    print(runner.says_device())"


# Running chapters


def test_wrong_parameters_are_refused(monkeypatch):
    monkeypatch.setattr(chapters, "execute", lambda *a: pytest.fail("it ran"))
    with pytest.raises(book.UserError, match="no parameter 'largst'; the nearest is 'largest'"):
        chapters.main(["01", "-p", "largst=20"])


def test_a_chapter_runs_on_a_copy(tmp_path):
    chapter = notebook(tmp_path / "01_a.ipynb", PARAMETERS, "import os\nos.environ['BOOK_PROFILE'], steps, lr")
    before = chapter.read_bytes()
    passed, report = chapters.execute(chapter, {"steps": 7, "lr": 1e-05}, "smoke", tmp_path / "runs")
    assert passed, report
    assert re.search(r"01_a +\d+\.\d s +\d\d+ MB  ok", report)
    ran = nbformat.read(tmp_path / "runs" / "01_a.ipynb", as_version=4)
    assert ran.cells[-1].outputs[0].data["text/plain"] == "('smoke', 7, 1e-05)"
    assert chapter.read_bytes() == before


def test_a_failing_chapter_names_its_cell(tmp_path):
    chapter = notebook(tmp_path / "01_a.ipynb", PARAMETERS, "wrong = 1\nwrong / 0")
    passed, report = chapters.execute(chapter, {}, "smoke", tmp_path / "runs")
    assert not passed
    assert "FAILED\n    In [2]:\n    wrong = 1\n    wrong / 0\n" in report
    assert report.endswith("ZeroDivisionError: division by zero")


def test_refresh_takes_no_other_settings():
    with pytest.raises(book.UserError, match="neither"):
        chapters.main(["--in-place", "--profile", "smoke"])


# Normalising


def messy():
    """Write a notebook as two runners would leave it: once before, once after a re-run."""
    stream, new = nbformat.v4.new_output, nbformat.v4.new_code_cell
    for address, count in (("0x7f3a2b1c9d80", 1), ("0x7f3a2b1c9e00", 2)):
        widget = {notebooks.WIDGET: {"model_id": address}}
        outputs = [
            stream("stream", name="stdout", text="one "),
            stream("stream", name="stdout", text=f"two\n 10%|#  |\r 90%|## | {count} s\n"),
            stream("display_data", widget | {"text/plain": "Widget"}),
            stream("display_data", widget | {"text/html": "<p>island</p>"}),
            stream("display_data", {}, metadata={"geomem": {"record": {"name": "x"}}, "papermill": count}),
            stream("execute_result", {"text/plain": f"<object at {address}>"}, execution_count=40 + count),
        ]
        cell = new("x", outputs=outputs, execution_count=1, metadata={"papermill": {"duration": count}, "tags": []})
        nb = nbformat.v4.new_notebook(cells=[cell], metadata={"papermill": {"start": count}, "widgets": {}})
        raw = json.loads(nbformat.writes(nb))
        del raw["cells"][0]["id"]
        yield json.dumps(raw | {"nbformat_minor": 4})


def test_two_runs_normalise_to_the_same_bytes():
    first, second = (notebooks.normalise(text) for text in messy())
    assert first == second == notebooks.normalise(first)
    assert "papermill" not in first and notebooks.WIDGET not in first and "%|" not in first


def test_normalising_keeps_what_readers_see():
    cell = nbformat.reads(notebooks.normalise(next(messy())), as_version=4).cells[0]
    assert cell.execution_count == cell.outputs[-1].execution_count == 1
    assert cell.outputs[0].text == "one two\n"
    assert cell.outputs[1].data == {"text/html": "<p>island</p>"}
    assert cell.outputs[2].metadata == {"geomem": {"record": {"name": "x"}}}
    assert cell.outputs[3].data["text/plain"] == "<object at 0x0>"


def test_cells_without_ids_get_different_ones():
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("same") for _ in range(3)])
    raw = json.loads(nbformat.writes(nb))
    for cell in raw["cells"]:
        del cell["id"]
    once, twice = notebooks.normalise(json.dumps(raw)), notebooks.normalise(json.dumps(raw))
    assert once == twice
    assert len({cell["id"] for cell in json.loads(once)["cells"]}) == 3


def test_check_names_what_is_wrong(tmp_path):
    path = tmp_path / "01_a.ipynb"
    path.write_text(next(messy()))
    with pytest.raises(book.UserError, match="01_a.ipynb is not normalised"):
        notebooks.main(["--check", str(path)])
    notebooks.main([str(path)])
    notebooks.main(["--check", str(path)])


def test_large_or_foreign_notebooks_are_refused():
    large = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("x" * 1_000_001)])
    injected = nbformat.v4.new_code_cell("steps = 1", metadata={"tags": ["injected-parameters"]})
    foreign = nbformat.v4.new_notebook(cells=[injected])
    assert "more than 1,000,000" in notebooks.problems(notebooks.normalise(nbformat.writes(large)))[0]
    assert "other parameters" in notebooks.problems(notebooks.normalise(nbformat.writes(foreign)))[0]


# The site


def test_missing_and_empty_pages_are_seen(root, tmp_path):
    html = tmp_path / "html"
    for page in ("index", *(page.relative_to(root).with_suffix("") for page in book.pages(root))):
        (html / f"{page}.html").parent.mkdir(parents=True, exist_ok=True)
        (html / f"{page}.html").write_text("<h1>A page</h1>")
    assert site.missing(html, root) == []
    (html / "book" / "02_two.html").write_text("")
    (html / "index.html").unlink()
    assert [str(page) for page in site.missing(html, root)] == ["index.html", "book/02_two.html"]


def test_the_front_page_leads_on_and_has_an_icon(tmp_path):
    site.front(tmp_path)
    text = (tmp_path / "index.html").read_text(encoding="utf8")
    assert 'url=book/intro.html"' in text and '<a href="book/intro.html">Geometric memory</a>' in text
    assert '<link rel="icon" href="_static/logo.svg">' in text and (book.ROOT / "book" / "static" / "logo.svg").exists()


def test_server_takes_a_free_port_on_this_machine_only():
    with site.server(0) as first, site.server(first.server_port) as second:
        assert first.server_address[0] == second.server_address[0] == "127.0.0.1"
        assert first.server_port != second.server_port


# Studies

WORKER = """
import json, pathlib, sys
seed, out, text = int(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
pathlib.Path(sys.argv[4], f"ran-{seed}").open("a").write("x")
if seed == 13:
    sys.exit("unlucky")
out.write_text(json.dumps({"settings": {"text": text, "seed": seed}, "curve": [seed] * len(text)}))
"""


@pytest.fixture
def study(tmp_path):
    """Return a function that runs a small study and one that counts how often a seed ran."""
    (tmp_path / "worker.py").write_text(WORKER)

    def run(*options, seeds="[1, 2]", text="abc"):
        command = ["python", str(tmp_path / "worker.py"), "{seed}", "{out}", text, str(tmp_path)]
        table = f'[[study]]\nname = "small"\npurpose = "p"\nminutes = 1\nseeds = {seeds}\ncommand = {command}'
        (tmp_path / "studies.toml").write_text(table)
        studies.main(options, tmp_path / "studies.toml", tmp_path / "runs", tmp_path)
        return tmp_path / "small.json"

    return run, lambda seed: (tmp_path / f"ran-{seed}").read_text().count("x")


def test_a_study_is_merged_with_its_provenance(study):
    run, _ = study
    whole = json.loads(run().read_text())
    assert [r["curve"][0] for r in whole["runs"]] == whole["seeds"] == [1, 2]
    assert whole["settings"] == {"text": "abc"} and len(whole["seconds"]) == 2
    assert set(whole["versions"]) == {"python", "geomem", "torch", "numpy"}
    assert whole["device"] and whole["commit"] and whole["purpose"] == "p"


def test_a_study_goes_on_where_it_stopped(study):
    run, times = study
    run()
    run(seeds="[1, 2, 3]")
    assert [times(seed) for seed in (1, 2, 3)] == [1, 1, 1]
    run(text="abcd")
    assert [times(seed) for seed in (1, 2)] == [2, 2]


def test_a_committed_run_is_not_made_again(study, tmp_path):
    run, times = study
    first = json.loads(run().read_text())
    shutil.rmtree(tmp_path / "runs")
    whole = json.loads(run(seeds="[1, 2, 3]").read_text())
    assert [times(seed) for seed in (1, 2, 3)] == [1, 1, 1] and whole["commit"] == first["commit"]
    assert [r["curve"][0] for r in whole["runs"]] == [1, 2, 3] and whole["seconds"][:2] == first["seconds"]
    shutil.rmtree(tmp_path / "runs")
    (tmp_path / "worker.py").write_text(WORKER + "# changed")
    run()
    assert [times(seed) for seed in (1, 2)] == [2, 2]


def test_seeds_with_different_settings_are_named(study, tmp_path):
    run, _ = study
    run()
    target = tmp_path / "runs/small/1.json"
    made = json.loads(target.read_text())
    target.write_text(json.dumps(made | {"result": made["result"] | {"settings": {"text": "abc", "newer": None}}}))
    run()
    target.write_text(json.dumps(made | {"result": made["result"] | {"settings": {"text": "other", "width": 3}}}))
    with pytest.raises(book.UserError, match="different settings: text, width"):
        run()


def test_a_stage_of_an_older_library_has_newer_fields_at_their_defaults():
    older = {"recipe": [{"steps": 3, "lr": 0.1}]}
    whole = studies._complete(older)["recipe"][0]
    assert whole["steps"] == 3 and whole["nodes"] == 0 and whole["arms"] == 0
    assert studies._complete({"text": "abc"}) == {"text": "abc"} and studies._complete({}) == {}


def test_a_changed_script_makes_its_study_anew(study, tmp_path):
    run, times = study
    run()
    (tmp_path / "worker.py").write_text(WORKER + "# changed")
    run()
    assert [times(seed) for seed in (1, 2)] == [2, 2]


def test_conditions_add_words_to_the_command_and_stand_apart(study, tmp_path):
    run, times = study
    run()  # makes the worker's table, which is replaced by one with conditions
    command = ["python", str(tmp_path / "worker.py"), "{seed}", "{out}"]
    table = f'[[study]]\nname = "both"\npurpose = "p"\nminutes = 1\nseeds = [4, 5]\ncommand = {command}\n'
    table += f'conditions = {{ short = ["ab", "{tmp_path}"], "long one" = ["abcd", "{tmp_path}"] }}'
    (tmp_path / "studies.toml").write_text(table)
    studies.main([], tmp_path / "studies.toml", tmp_path / "runs", tmp_path)
    whole = json.loads((tmp_path / "both.json").read_text())
    assert list(whole["conditions"]) == ["short", "long one"] and whole["seeds"] == [4, 5] and "runs" not in whole
    for name, text in (("short", "ab"), ("long one", "abcd")):
        part = whole["conditions"][name]
        assert part["settings"] == {"text": text} and part["words"] == [text, str(tmp_path)] and len(part["seconds"]) == 2
        assert [r["curve"] for r in part["runs"]] == [[4] * len(text), [5] * len(text)]
    assert [times(seed) for seed in (4, 5)] == [2, 2]


def test_settings_leave_out_seeds_at_any_depth_and_numbers_are_shortened():
    assert studies._without_seeds({"seed": 1, "task": {"seed": 2, "degree": 3}}) == {"task": {"degree": 3}}
    assert studies._short({"a": [0.123456789, 7, "x", None, 123456.7]}) == {"a": [0.12346, 7, "x", None, 123460.0]}


def test_a_failing_seed_leaves_nothing_half_done(study, tmp_path, capsys):
    run, times = study
    with pytest.raises(book.UserError, match="Unfinished: small"):
        run(seeds="[1, 13]")
    assert "unlucky" in capsys.readouterr().out
    assert not (tmp_path / "small.json").exists()
    assert [path.name for path in (tmp_path / "runs" / "small").iterdir()] == ["1.json"]


def test_a_study_that_grows_too_large_is_refused(study):
    with pytest.raises(book.UserError, match="more than 300,000"):
        study[0](text="a" * 60_000)


def test_studies_are_listed_chosen_and_checked(study, tmp_path, capsys):
    run, _ = study
    run("--list")
    assert "small: p (2 seeds, 1 min each)" in capsys.readouterr().out
    assert not run("--seeds", "7").exists()
    with pytest.raises(book.UserError, match="No study is named 'big'"):
        run("--only", "big")
    with pytest.raises(book.UserError, match="small lacks a proper 'seeds'"):
        run(seeds="3")


# Setting up


def test_an_old_python_is_named():
    with pytest.raises(SystemExit, match=r"Python 3\.11 or newer is needed and this is 3\.8\.10"):
        environment.require_python((3, 8, 10))
    environment.require_python(sys.version_info)


def test_a_full_disk_is_named_before_anything_is_installed(monkeypatch, tmp_path):
    monkeypatch.setattr(environment, "PYTHON", tmp_path / "python")
    with pytest.raises(SystemExit, match=r"3 GB of disk space are needed here and 0\.5 GB are free"):
        environment.require_room(5 * 10**8)


@pytest.mark.parametrize(
    ("said", "meaning"),
    [
        ("Temporary failure in name resolution", "cannot be reached"),
        ("OSError: [Errno 28] No space left on device", "disk is full"),
        ("ERROR: No matching distribution found for torch==9", "lacks a version"),
        ("a compiler stumbled", "An installation step failed"),
    ],
)
def test_the_cause_of_a_failed_installation_is_told(said, meaning):
    assert meaning in environment.cause(said)


def test_makefile_explains_every_target():
    text = (book.ROOT / "Makefile").read_text()
    told = subprocess.run(["make", "help"], cwd=book.ROOT, capture_output=True, text=True, check=True).stdout
    for target in "book site serve test check coverage lowest browser refresh studies smoke clean help".split():
        assert re.search(rf"^{target}:", text, re.MULTILINE) and f"make {target} " in told


# The repository


def listed():
    """List the repository's text files, committed or about to be, without what others wrote."""
    words = ["git", "ls-files", "-co", "--exclude-standard", "-z"]
    names = subprocess.run(words, cwd=book.ROOT, capture_output=True, text=True, check=True).stdout
    paths = [book.ROOT / name for name in names.split("\0") if name and "static/mathjax" not in name]
    texts = {}
    for path in (path for path in paths if path.is_file()):
        try:
            texts[str(path.relative_to(book.ROOT))] = path.read_text(encoding="utf8")
        except UnicodeDecodeError:
            continue  # a picture or a font
    assert "Makefile" in texts and "_config.yml" in texts
    return texts


def hits(pattern, allowed=lambda name, found: False):
    found = [(name, hit) for name, text in listed().items() for hit in re.findall(pattern, text)]
    return [(name, hit) for name, hit in found if not allowed(name, hit)]


def test_every_link_to_the_repository_derives_from_its_one_address():
    url = book.address()
    slug = url.removeprefix("https://github.com/")
    other = {"test_tools.py", "test_chapters.py", "test_colab.py", "test_address.py"}
    free = lambda name, hit: hit == slug or name.rpartition("/")[2] in other  # noqa: E731
    assert hits(r"github\.com/([\w.-]+/geomem)\b", free) == []
    assert hits(r"colab\.research\.google\.com/github/([\w.-]+/[\w.-]+)", free) == []
    project = tomllib.loads((book.ROOT / "pyproject.toml").read_text())["project"]
    assert project["urls"]["Repository"] == url


def test_nothing_names_a_machine():
    in_tests = lambda name, hit: hit.endswith("tmp") and name.startswith("tests/")  # noqa: E731
    assert hits(r"(?<![\w.~{}\"'/-])/(?:work|root|home|Users|tmp)(?=/)", in_tests) == []
    readme = lambda name, hit: name == "README.md" and hit.startswith("download")  # noqa: E731
    assert hits(r"pypi\.org|pythonhosted\.org|registry\.npmjs|download\.pytorch\.org", readme) == []


def pins():
    lines = (book.ROOT / "requirements.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_what_is_required_is_installed():
    for needed in map(Requirement, pins()):
        assert importlib.metadata.version(needed.name) in needed.specifier, needed


def test_the_package_itself_asks_for_little():
    project = tomllib.loads((book.ROOT / "pyproject.toml").read_text())["project"]
    names = [Requirement(line).name for line in project["dependencies"]]
    assert names == ["torch", "numpy", "scipy", "networkx", "matplotlib", "safetensors", "tqdm"]
    assert {line.partition(">=")[0] for line in project["optional-dependencies"]["book"]} <= {
        pin.partition("==")[0] for pin in pins()
    }


def test_figures_are_kept_in_few_colours_once_and_look_the_same():
    import base64
    import io

    from PIL import Image

    values = np.linspace(0, 1, 300 * 200).reshape(200, 300)
    image = Image.fromarray((plt.get_cmap("viridis")(values)[..., :3] * 255).astype(np.uint8))
    image.save(buffer := io.BytesIO(), "PNG")
    once = notebooks._palette(base64.b64encode(buffer.getvalue()).decode())
    kept = Image.open(io.BytesIO(base64.b64decode(once)))
    assert kept.mode == "P" and notebooks._palette(once) == once
    assert np.abs(np.asarray(kept.convert("RGB")).astype(int) - np.asarray(image)).max() <= 6  # of 255


# Figures and pages


DRAWING = """<?xml version="1.0"?>
<!DOCTYPE svg>
<svg width="10pt" viewBox="0 0 10 10">
 <metadata>
  <date>today</date>
 </metadata>
 <g id="figure_1">
  <path d="M 1.23456 2.5 L 3.00049 4" clip-path="url(#p1)" style="opacity: 0.123456"/>
  <!-- a title -->
  <use x="7.123456" y="8" xlink:href="#m1"/>
  <g transform="translate(1.98765 2) scale(0.015625)"/>
 </g>
</svg>
"""


def drawn(svg, png):
    output = nbformat.v4.new_output(
        "display_data", {"image/svg+xml": svg, "image/png": png}, metadata={"image/png": {"width": 1}}
    )
    nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("", outputs=[output])])
    text = notebooks.normalise(nbformat.writes(nb))
    assert notebooks.normalise(text) == text
    (kept,) = nbformat.reads(text, as_version=4).cells[0].outputs
    return kept


def png_of(image):
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def test_a_drawing_keeps_what_is_seen_and_takes_the_place_of_its_pixels():
    kept = drawn(DRAWING, png_of(Image.new("RGBA", (2, 2), (0, 0, 0, 0))))
    assert set(kept.data) == {"image/svg+xml"} and kept.metadata == {}
    svg = kept.data["image/svg+xml"]
    assert svg.startswith("<svg") and "today" not in svg and "figure_1" not in svg and "a title" not in svg
    assert 'd="M 1.23 2.5 L 3.00 4"' in svg and 'x="7.12"' in svg and "opacity: 0.123456" in svg
    assert 'transform="translate(1.99 2) scale(0.015625)"' in svg


def test_a_drawing_of_too_many_marks_is_kept_as_pixels_on_white():
    many = DRAWING.replace("<use", "<use/>" * notebooks.LARGEST_DRAWING + "<use")
    kept = drawn(many, png_of(Image.new("RGBA", (2, 2), (0, 0, 0, 0))))
    assert set(kept.data) == {"image/png"}
    pixels = Image.open(io.BytesIO(base64.b64decode(kept.data["image/png"])))
    assert pixels.convert("RGB").getpixel((0, 0)) == (255, 255, 255)


def test_a_page_loads_no_script_without_a_use_for_it(tmp_path):
    head = '<head>\n<script src="_static/vendor/fontawesome/6/js/all.min.js?x"></script>\n<link rel="preload" as="font" '
    head += 'href="_static/vendor/fontawesome/6/webfonts/fa-brands-400.woff2" />\n<link rel="preload" as="font" '
    head += (
        'href="_static/vendor/fontawesome/6/webfonts/fa-solid-900.woff2" />\n<script src="mathjax/tex.js"></script></head>'
    )
    (tmp_path / "plain.html").write_text(head)
    (tmp_path / "formulas.html").write_text(head + '<span class="math">x</span>')
    mended.lighten(SimpleNamespace(outdir=tmp_path), None)
    plain, formulas = ((tmp_path / name).read_text() for name in ("plain.html", "formulas.html"))
    assert "all.min.js" not in plain + formulas and "brands" not in plain + formulas and "solid" in plain
    assert "mathjax" not in plain and "mathjax" in formulas


def test_a_page_says_what_it_is_about():
    page = docutils.core.publish_doctree(
        'Title\n=====\n\nFirst *words*, "quoted" & long: ' + "and more " * 50 + "\n\nSecond.\n"
    )
    app = SimpleNamespace(config=SimpleNamespace(root_doc="first", html_title="Book"))
    context = {"title": "A <em>page</em>", "docstitle": "Book"}
    mended.described(app, "other", "", context, page)
    assert '<meta name="description" content="First words, &quot;quoted&quot; &amp; long: and' in context["metatags"]
    assert '<meta property="og:title" content="A page" />' in context["metatags"] and context["docstitle"] == "Book"
    assert len(re.search('name="description" content="([^"]*)"', context["metatags"])[1]) < 230
    mended.described(app, "first", "", context, page)
    assert context["docstitle"] == ""
