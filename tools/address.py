"""Write the public address of ``_config.yml`` into the chapters' openings, pyproject.toml and CITATION.cff.

While it is the placeholder, chapters have no link to Colab and their set-up cell says why it installs nothing.

``python -m tools.address [--check]``
"""

import argparse
import re

import nbformat

from tools import book, notebooks

LINES = {"pyproject.toml": r'(?m)(?<=^Repository = ")[^"]*', "CITATION.cff": r"(?m)(?<=^repository-code: ).*"}


def chapter(path, url):
    """Return a chapter with the Colab link and the set-up cell that follow from the address, and nothing else changed."""
    nb = nbformat.read(path, as_version=4)
    nb.cells[0].source = book.opening(nb.cells[0].source, path.stem, url)
    next(cell for cell in nb.cells if cell.cell_type == "code").source = book.setup_cell(url)
    return notebooks.normalise(nbformat.writes(nb))


def written(root=book.ROOT):
    """Return the text of every file that the address stands in: {path: text}."""
    url = book.address(root)
    found = {path: chapter(path, url) for path in book.chapters(root)}
    for name, place in LINES.items():
        found[root / name] = re.sub(place, lambda _: url, (root / name).read_text(encoding="utf8"))
    return found


def main(argv=None, root=book.ROOT):
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail where another address stands")
    options = parser.parse_args(argv)
    for path, text in written(root).items():
        book.follow(path, text, check=options.check, remedy=".venv/bin/python -m tools.address", root=root)


if __name__ == "__main__":
    book.run(main)
