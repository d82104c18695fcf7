"""Every chapter keeps the form that readers, Colab, papermill and nbval rely on.

A rule is a function from a chapter to its faults. Each is tried on a good chapter and on a broken one.
"""

import ast
import re
import tomllib
from typing import NamedTuple

import nbformat
import pytest

from tools import book, notebooks

URL = book.address()
TAGS = {"remove-cell", "parameters", "hide-cell", "hide-input", "hide-output", "nbval-check-output", "closed-form"}
PROFILE = 'profile = profile or os.environ.get("BOOK_PROFILE", "laptop")'
LINK = re.compile(r"\]\([^)]*\)|https?://\S+|\{[\w:-]+\}`[^`]*`|<[^>]*>")
COLUMN = 690  # pixels of a page's text on a screen of 1,280
NUMBER = re.compile(r"(?<![\w.])(?:\d*\.\d+(?:\s?\\?%)?|\d+\s?\\?%)")


class Chapter(NamedTuple):
    name: str
    nb: nbformat.NotebookNode

    @property
    def code(self):
        return [cell for cell in self.nb.cells if cell.cell_type == "code"]

    @property
    def markdown(self):
        return [cell.source for cell in self.nb.cells if cell.cell_type == "markdown"]


def tags(cell):
    return set(cell.metadata.get("tags", ()))


def outputs(chapter):
    return [out for cell in chapter.code for out in cell.outputs]


def opening(chapter):
    """Title, answer in one sentence, Colab, time and needs; then set-up, imports, parameters, profile."""
    if chapter.nb.cells[0].cell_type != "markdown":
        yield "does not open with Markdown"
        return
    paragraphs = [p.strip() for p in chapter.nb.cells[0].source.split("\n\n")]
    if not re.fullmatch(r"# [^\n]+", paragraphs[0]):
        yield "has no title of its own line"
    if len(paragraphs) < 2 or len(re.findall(r"[.!?](?:\s|$)", paragraphs[1])) != 1:
        yield "does not answer in one sentence, right under the title"
    if book.opening(chapter.nb.cells[0].source, chapter.name, URL) != chapter.nb.cells[0].source:
        yield "has no right link to Colab: run `.venv/bin/python -m tools.address`"
    if "Time and needs" not in chapter.nb.cells[0].source:
        yield "does not say 'Time and needs'"
    first = chapter.code[:4]
    if first[0].source != book.setup_cell(URL) or tags(first[0]) != {"remove-cell"}:
        yield f"has no set-up cell tagged remove-cell with\n{book.setup_cell(URL)}"
    if not re.match(r"(import|from) ", first[1].source):
        yield "does not import in its second code cell"
    if "parameters" not in tags(first[2]):
        yield "does not hold its parameters in its third code cell"
    if PROFILE not in first[3].source.splitlines():
        yield f"does not choose the profile in its fourth code cell: {PROFILE}"


def parameters(chapter):
    """Papermill and readers get typed, commented scalars."""
    cells = [cell for cell in chapter.code if "parameters" in tags(cell)]
    if len(cells) != 1:
        yield f"has {len(cells)} cells tagged parameters"
        return
    source = cells[0].source
    for node in ast.parse(source).body:
        line = source.splitlines()[node.lineno - 1]
        kind = node.annotation.id if isinstance(node, ast.AnnAssign) else None
        if kind not in ("int", "float", "str", "bool") or not _is_scalar(node.value, kind):
            yield f"has the parameter {line!r}, no typed scalar"
        if "  # " not in line:
            yield f"has the parameter {line!r} without a comment"
    if not source.startswith('profile: str = ""') and '\nprofile: str = ""' not in source:
        yield "has no parameter profile"


def _is_scalar(node, kind):
    try:
        value = ast.literal_eval(node)
    except ValueError:
        return False
    return type(value).__name__ in {"float": ("float", "int")}.get(kind, (kind,))


def size(chapter):
    """One question: 10 to 30 code cells of at most 20 lines."""
    if not 10 <= len(chapter.code) <= 30:
        yield f"has {len(chapter.code)} code cells, not 10 to 30"
    for number, cell in enumerate(chapter.code, start=1):
        if len(cell.source.splitlines()) > 20:
            yield f"has {len(cell.source.splitlines())} lines in code cell {number}, more than 20"


def prose(chapter):
    """At least six words a line of code."""
    words = sum(len(re.findall(r"\w+", LINK.sub(" ", text))) for text in chapter.markdown)
    lines = sum(bool(line.strip()) for cell in chapter.code[1:] for line in cell.source.splitlines())
    if words < 6 * lines:
        yield f"has {words} words for {lines} lines of code, fewer than six a line"


def figures(chapter):
    """A picture has a name that the prose refers to, a caption, and words for those who cannot see it."""
    for number, cell in enumerate(chapter.code, start=1):
        images = sum(bool({"image/png", "image/svg+xml"} & set(out.get("data", {}))) for out in cell.outputs)
        if not images:
            continue
        if len(cell.outputs) > 1:
            yield f"has more than the figure in the output of code cell {number}: each would take the figure's name"
        mystnb = cell.metadata.get("mystnb", {})
        figure, alt = mystnb.get("figure", {}), mystnb.get("image", {}).get("alt", "")
        name = figure.get("name", "")
        if images > 1:
            yield f"shows {images} pictures in code cell {number}, under one caption"
        if not re.fullmatch(r"fig-[a-z0-9-]+", name):
            yield f"has no metadata mystnb.figure.name like fig-x in code cell {number}"
        elif not any(f"{{numref}}`{name}`" in text for text in chapter.markdown):
            yield f"never says {{numref}}`{name}`"
        if not figure.get("caption", "").endswith("."):
            yield f"has no caption that ends with a full stop in code cell {number}"
        if len(alt.split()) < 5:
            yield f"has no alt text of five words or more in code cell {number}"


def lettering(chapter):
    """No letter of a figure is smaller than nine pixels where the page is as wide as most screens make it."""
    for number, cell in enumerate(chapter.code, start=1):
        for drawing in (out["data"]["image/svg+xml"] for out in cell.outputs if "image/svg+xml" in out.get("data", {})):
            width = float(re.search(r'viewBox="0 0 ([\d.]+)', drawing)[1])
            smallest = min(map(float, re.findall(r"font: (?:\w+ )*([\d.]+)px", drawing)), default=10.0)
            if (seen := smallest * min(COLUMN / width, 4 / 3)) < 8.9:  # a picture is not stretched: a point is 4/3 pixels
                yield f"has letters of {seen:.1f} pixels on the page in code cell {number}, fewer than 9"


def captions(chapter):
    """A caption says what was found; it sets no riddle."""
    for number, cell in enumerate(chapter.code, start=1):
        caption = cell.metadata.get("mystnb", {}).get("figure", {}).get("caption", "")
        if riddle := re.search(r"\?|\b(Look (whether|for|which|how|at which|where)|Compare|Ask|Guess)\b", caption):
            yield f"sets a riddle in the caption of code cell {number}: {riddle[0]!r}"


def tables(chapter):
    """Many numbers of one cell stand in a table, not line by line."""
    for number, cell in enumerate(chapter.code, start=1):
        lines = sum("record" in out.get("metadata", {}).get("geomem", {}) for out in cell.outputs)
        if lines > 4:
            yield f"shows {lines} numbers line by line in code cell {number}: gm.record_table shows them as one"


def closing(chapter):
    """What was not shown, exercises with collapsed and tested solutions, sources."""
    heads = [line for text in chapter.markdown for line in text.splitlines() if line.startswith("## ")]
    if heads[-3:] != ["## What was not shown", "## Exercises", "## Sources"]:
        yield f"ends with the sections {heads[-3:]}"
        return
    after = [i for i, cell in enumerate(chapter.nb.cells) if "## Exercises" in cell.source.splitlines()][-1]
    solutions = [cell for cell in chapter.nb.cells[after:] if "hide-cell" in tags(cell)]
    if not 2 <= len(solutions) <= 4:
        yield f"has {len(solutions)} solutions in cells tagged hide-cell, not two to four"


def executed(chapter):
    """The committed outputs come from one undisturbed run, in order, in the default profile."""
    counts = [cell.execution_count for cell in chapter.code]
    if counts != list(range(1, len(counts) + 1)):
        yield f"was not run in order: {counts}"
    for out in outputs(chapter):
        if out.output_type == "error":
            yield f"shows an error: {out.evalue}"
        if out.get("name") == "stderr":
            yield f"writes to stderr: {out.text[:60]!r}"
        claim = out.get("metadata", {}).get("geomem", {}).get("claim")
        if claim and claim["profile"] != "laptop":
            yield f"judges {claim['id']} in the profile {claim['profile']!r}"


def tagged(chapter):
    """What nbval compares is a verdict or closed form, and every verdict is compared."""
    for number, cell in enumerate(chapter.code, start=1):
        judges, compared = "gm.claim(" in cell.source, "nbval-check-output" in tags(cell)
        if strange := tags(cell) - TAGS:
            yield f"has the tags {strange} in code cell {number}"
        if judges and not compared:
            yield f"judges in code cell {number} without the tag nbval-check-output"
        if compared and not judges and "closed-form" not in tags(cell):
            yield f"compares code cell {number}, neither a verdict nor tagged closed-form"
        if judges and "gm.record(" in cell.source:
            yield f"records and judges in one code cell, {number}: digits would be compared"


def numbers(chapter):
    """Measured numbers live in outputs, quoted ones in constants.toml."""
    return [f"says {number!r}, which book/constants.toml lacks" for number in unfounded(chapter.markdown)]


def unfounded(texts):
    found = [n for text in texts for n in NUMBER.findall(LINK.sub(" ", text))]
    return [number for number in found if _value(number) not in constants()]


def constants():
    """Collect the numbers in book/constants.toml, also those inside its strings; 75 % is 0.75."""
    tables = [tomllib.loads((book.ROOT / "book" / "constants.toml").read_text(encoding="utf8"))]
    values = set()
    for entry in tables:  # grows while it is walked: tables and lists give up their entries
        if isinstance(entry, (dict, list)):
            tables.extend(entry.values() if isinstance(entry, dict) else entry)
        elif isinstance(entry, str):
            values |= {_value(number) for number in NUMBER.findall(entry)}
        elif isinstance(entry, (int, float)):
            values.add(round(float(entry), 12))
    return values


def _value(number):
    digits = number.rstrip("% \\")
    return round(float(digits) / (1 if digits == number else 100), 12)


def normalised(chapter):
    return notebooks.problems(nbformat.writes(chapter.nb) + "\n")


RULES = [
    opening,
    parameters,
    size,
    prose,
    figures,
    lettering,
    captions,
    tables,
    closing,
    executed,
    tagged,
    numbers,
    normalised,
]
CHAPTERS = [Chapter(path.stem, nbformat.read(path, as_version=4)) for path in book.chapters()]


def test_there_are_chapters_and_all_are_in_the_table_of_contents():
    assert CHAPTERS, "no chapter exists: every test below is empty"
    assert sorted(book.chapters()) == sorted((book.ROOT / "book").glob("*.ipynb"))


@pytest.mark.parametrize("page", book.pages(), ids=lambda page: page.stem)
def test_every_page_of_the_table_of_contents_exists(page):
    assert page.exists()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda chapter: chapter.name)
def test_chapter(chapter, rule):
    assert list(rule(chapter)) == []


@pytest.mark.parametrize("path", book.chapters(), ids=lambda path: path.stem)
def test_chapter_file_is_normalised(path):
    assert notebooks.problems(path.read_text(encoding="utf8")) == []


def test_figures_have_names_of_their_own():
    cells = [cell for chapter in CHAPTERS for cell in chapter.code]
    names = [cell.metadata.mystnb.figure.name for cell in cells if "figure" in cell.metadata.get("mystnb", {})]
    assert len(names) == len(set(names))


def test_prose_pages_quote_only_constants():
    written = {"claims", "api", "bibliography"}
    pages = [page for page in (book.ROOT / "book").glob("*.md") if page.stem not in written]
    texts = {page.name: re.sub(r"(?s)% (\w+): written by .*?% end of \1", "", page.read_text("utf8")) for page in pages}
    assert {name: found for name, text in texts.items() if (found := unfounded([text]))} == {}


# The rules themselves: a good chapter passes all, and each break is seen by its rule.


def code(source, *marks, images=0, **metadata):
    pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABAQMAAAAl21bKAAAAA1BMVEUAAACnej3aAAAACk"
    pixel += "lEQVR42mNgAAAAAgAB5Sfe/AAAAABJRU5ErkJggg==\n"
    picture = {"image/png": pixel}  # one pixel, of a palette
    shown = [nbformat.v4.new_output("display_data", picture) for _ in range(images)]
    return nbformat.v4.new_code_cell(source, outputs=shown, metadata={"tags": list(marks)} | metadata)


def good():
    """Write the shortest chapter that keeps every rule."""
    text = nbformat.v4.new_markdown_cell
    figure = {"figure": {"name": "fig-x", "caption": "A line."}, "image": {"alt": "A line that rises to one"}}
    cells = [
        text(book.opening("# Good\n\nYes, it is.\n\n**Time and needs:** a second. See {numref}`fig-x`.", "09_good", URL)),
        code(book.setup_cell(URL), "remove-cell"),
        code("import os"),
        code('profile: str = ""  # smoke, laptop or paper\nlr: float = 1  # step', "parameters"),
        code(PROFILE),
        code("plot()", images=1, mystnb=figure),
        *[code("1 + 1") for _ in range(3)],
        code('gm.claim("C1", holds=True, evidence=[])', "nbval-check-output"),
        text("word " * 80 + "\n\n## What was not shown\n\nMuch.\n\n## Exercises\n\nTry."),
        code("2 + 2", "hide-cell"),
        code("3 + 3", "hide-cell"),
        text("## Sources\n\nNone."),
    ]
    for count, cell in enumerate((cell for cell in cells if cell.cell_type == "code"), start=1):
        cell.execution_count = count
    raw = nbformat.writes(nbformat.v4.new_notebook(cells=cells))
    return Chapter("09_good", nbformat.reads(notebooks.normalise(raw), as_version=4))


def replace(old, new):
    def change(chapter):
        changed = [cell for cell in chapter.nb.cells if old in cell.source]
        assert changed, f"nothing to break: {old!r}"
        for cell in changed:
            cell.source = cell.source.replace(old, new)

    return change


def untag(tag):
    return lambda chapter: [cell.metadata.pop("tags") for cell in chapter.code if tag in tags(cell)]


def set_figure(change):
    return lambda chapter: change(chapter.code[4])


SMALL = '<svg viewBox="0 0 656.1 200"><text style="font: 8px sans-serif">x</text></svg>'
RECORD = {"geomem": {"record": {"name": "x"}}}
BREAKS = [
    (opening, replace("# Good", "Good")),
    (opening, replace("Yes, it is.", "Yes. It is.")),
    (opening, replace("Yes, it is.", f"Yes, it is.\n\n{book.colab_link('09_other', URL)}")),
    (opening, replace("Time and needs", "Needs")),
    (opening, replace("sys.modules", "sys.path")),
    (opening, untag("remove-cell")),
    (opening, replace("import os", "x = 1")),
    (opening, replace("laptop", "paper")),
    (parameters, untag("parameters")),
    (parameters, replace("lr: float = 1", "lr = 1")),
    (parameters, replace("lr: float = 1", "lr: float = 1 / 3")),
    (parameters, replace("lr: float = 1", "lr: int = 1.5")),
    (parameters, replace("  # step", "")),
    (parameters, replace("profile: str", "profil: str")),
    (size, replace("2 + 2", "2\n" * 21)),
    (size, lambda chapter: chapter.nb.cells.extend([code("1")] * 20)),
    (size, lambda chapter: chapter.nb.cells.pop(-2) and chapter.nb.cells.pop(-2)),
    (prose, replace("word ", "")),
    (figures, set_figure(lambda cell: cell.metadata.pop("mystnb"))),
    (figures, set_figure(lambda cell: cell.metadata.mystnb.figure.update(name="x"))),
    (figures, set_figure(lambda cell: cell.metadata.mystnb.figure.update(caption=""))),
    (figures, set_figure(lambda cell: cell.metadata.mystnb.image.update(alt="a plot"))),
    (figures, set_figure(lambda cell: cell.outputs.append(cell.outputs[0]))),
    (figures, replace("{numref}`fig-x`", "the figure")),
    (lettering, set_figure(lambda cell: cell.outputs[0].data.update({"image/svg+xml": SMALL}))),
    (captions, set_figure(lambda cell: cell.metadata.mystnb.figure.update(caption="Look whether it rises."))),
    (tables, set_figure(lambda cell: cell.outputs.extend([nbformat.v4.new_output("display_data", metadata=RECORD)] * 5))),
    (closing, replace("## What was not shown", "## Rest")),
    (closing, replace("## Sources", "### Sources")),
    (closing, untag("hide-cell")),
    (executed, lambda chapter: chapter.code[0].update(execution_count=None)),
    (executed, lambda chapter: chapter.code[-1].update(execution_count=99)),
    (executed, lambda c: c.code[3].outputs.append(nbformat.v4.new_output("error", ename="E", evalue="no"))),
    (
        executed,
        lambda c: c.code[3].outputs.append(nbformat.v4.new_output("stream", name="stderr", text="hm")),
    ),
    (tagged, untag("nbval-check-output")),
    (tagged, lambda chapter: chapter.code[5].metadata.update(tags=["nbval-check-output"])),
    (tagged, lambda chapter: chapter.code[5].metadata.update(tags=["nbval-skip"])),
    (tagged, replace("gm.claim(", 'gm.record("x", 1)\ngm.claim(')),
    (numbers, replace("Much.", "It reaches 0.1234567.")),
    (numbers, replace("Much.", "It reaches 61.73 %.")),
    (numbers, replace("Much.", "It reaches .1234567 at the end.")),
    (normalised, lambda chapter: chapter.code[0].metadata.update(papermill={})),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_rule_lets_a_good_chapter_pass(rule):
    assert list(rule(good())) == []


@pytest.mark.parametrize(("rule", "change"), BREAKS)
def test_rule_sees_a_break(rule, change):
    chapter = good()
    change(chapter)
    assert list(rule(chapter)) != []


def test_smoke_outputs_are_not_committed():
    chapter = good()
    claim = {"geomem": {"claim": {"id": "C1", "part": None, "holds": None, "evidence": [], "profile": "smoke"}}}
    chapter.code[0].outputs.append(nbformat.v4.new_output("display_data", {}, metadata=claim))
    assert list(executed(chapter)) == ["judges C1 in the profile 'smoke'"]
