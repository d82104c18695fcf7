"""What every tool must agree on: the pages, the chapters, the one public address."""

import re
from pathlib import Path

import yaml

from geomem import runner
from geomem.training import checkpoints

ROOT = Path(__file__).resolve().parents[1]
COLAB = "https://colab.research.google.com/github/"
COLAB_TEXT = "[Open in Colab]"
ADDRESS = re.compile(r"https://github\.com/[\w.-]+/[\w.-]+(?<!\.git)")
PLACEHOLDER = "/OWNER/"
NOT_YET = "geomem cannot be installed on Colab yet: its public address is not known."


class UserError(Exception):
    """A mistake of whoever called, told in one sentence and without a traceback."""


def pages(root=ROOT):
    """List the files of the table of contents, in order."""
    toc = yaml.safe_load((root / "_toc.yml").read_text(encoding="utf8"))
    names = [toc["root"]] + [entry["file"] for part in toc["parts"] for entry in part["chapters"]]
    return [next((p for p in _spellings(root / n) if p.exists()), root / f"{n}.md") for n in names]


def _spellings(stem):
    return stem.with_name(stem.name + ".ipynb"), stem.with_name(stem.name + ".md")


def chapters(root=ROOT):
    """List the notebooks of the table of contents, in order."""
    return [page for page in pages(root) if page.suffix == ".ipynb"]


def select(prefixes, root=ROOT):
    """Find the chapters that unique prefixes of their names stand for; all of them for no prefix."""
    known = chapters(root)
    if not known:
        raise UserError("No chapter in _toc.yml exists yet.")
    try:
        return [runner.chapter(prefix, known) for prefix in prefixes] if prefixes else known
    except ValueError as error:
        raise UserError(str(error)) from None


def address(root=ROOT):
    """Read the repository's public address."""
    url = yaml.safe_load((root / "_config.yml").read_text(encoding="utf8"))["repository"]["url"]
    if not ADDRESS.fullmatch(url):
        raise UserError(f"The repository url in _config.yml must be https://github.com/OWNER/REPOSITORY, and is {url!r}.")
    return url


def is_public(url):
    """Say whether an address leads anywhere; the placeholder does not."""
    return PLACEHOLDER not in url


def colab_link(chapter, url):
    """Write the Markdown link that opens a chapter on Colab; it leads nowhere while the address is the placeholder."""
    repository = url.removeprefix("https://github.com/")
    return f"{COLAB_TEXT}({COLAB}{repository}/blob/main/book/{chapter}.ipynb)"


def opening(text, chapter, url):
    """Put the Colab link after a chapter's title and answer, or no link while the address is the placeholder."""
    paragraphs = [paragraph for paragraph in text.split("\n\n") if not paragraph.startswith(COLAB_TEXT)]
    if is_public(url):
        paragraphs.insert(2, colab_link(chapter, url))
    return "\n\n".join(paragraphs)


def setup_cell(url):
    """Write the hidden first cell of every chapter: on Colab, it installs geomem and names the device, or says why not."""
    install = (
        f'%pip install -q "geomem @ git+{url}" anywidget\n    from geomem import runner\n\n    print(runner.says_device())'
    )
    action = install if is_public(url) else f'raise SystemExit("{NOT_YET}")'
    return f'import sys\n\nif "google.colab" in sys.modules:\n    {action}'


def rows(text):
    """Return the cells of a Markdown table, row by row, without its head."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in lines[2:]]


def write_whole(path, text):
    """Write a file whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    checkpoints.write_whole(path, text)


def follow(path, text, *, check, remedy, root=ROOT):
    """Write a file that follows from others; with ``check`` write nothing, and fail when it is stale."""
    if not check:
        write_whole(path, text)
    elif not path.exists() or path.read_text(encoding="utf8") != text:
        raise UserError(f"{path.relative_to(root)} is stale: run `{remedy}`.")


def run(main):
    """Call ``main``; tell a user's error in one sentence, and leave with its code."""
    try:
        raise SystemExit(main() or 0)
    except UserError as error:
        raise SystemExit(str(error)) from None
    except KeyboardInterrupt:
        raise SystemExit("Stopped.") from None
