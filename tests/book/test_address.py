"""The public address is set in one place; while it is a placeholder, nothing that a reader sees leads to it."""

import json
import shutil

import pytest

from tools import address, book

PUBLIC = "https://github.com/someone/maps"
NAMES = ["_config.yml", "_toc.yml", *address.LINES]


@pytest.fixture
def root(tmp_path):
    """Copy what the address stands in, and return the copy's folder."""
    (tmp_path / "book").mkdir()
    for name in [*NAMES, *(str(path.relative_to(book.ROOT)) for path in book.chapters())]:
        shutil.copy(book.ROOT / name, tmp_path / name)
    return tmp_path


def move(root, new):
    """Set another address in the one place, and have it written everywhere."""
    config = root / "_config.yml"
    config.write_text(
        config.read_text(encoding="utf8").replace(f"url: {book.address(root)}\n", f"url: {new}\n"), encoding="utf8"
    )
    address.main([], root)


def cells(path):
    return json.loads(path.read_text(encoding="utf8"))["cells"]


def test_the_committed_files_hold_the_address_of_the_one_place():
    address.main(["--check"])


def test_links_appear_with_the_address_and_go_with_it(root):
    first = {path: path.read_bytes() for path in book.chapters(root)}
    move(root, PUBLIC)
    assert all(book.colab_link(path.stem, PUBLIC) in "".join(cells(path)[0]["source"]) for path in first)
    for name in address.LINES:
        assert PUBLIC in (root / name).read_text(encoding="utf8")
    move(root, "https://github.com/OWNER/geomem")
    assert all(b"Open in Colab" not in path.read_bytes() for path in first)
    move(root, book.address())
    assert {path: path.read_bytes() for path in first} == first


def test_only_the_first_words_and_the_set_up_cell_follow_from_the_address(root):
    move(root, PUBLIC)
    for path in book.chapters():
        before, after = cells(path), cells(root / "book" / path.name)
        changed = [cell["source"] for cell, other in zip(after, before, strict=True) if cell != other]
        allowed = [after[0]["source"], next(cell["source"] for cell in after if cell["cell_type"] == "code")]
        assert all(source in allowed for source in changed)
        assert "".join(allowed[1]) == book.setup_cell(PUBLIC)


def test_an_address_that_is_written_in_one_file_alone_is_stale(root):
    config = root / "_config.yml"
    config.write_text(config.read_text(encoding="utf8").replace(book.address(), PUBLIC), encoding="utf8")
    with pytest.raises(book.UserError, match=r"is stale: run `\.venv/bin/python -m tools\.address`"):
        address.main(["--check"], root)


@pytest.mark.parametrize("wrong", [f"{PUBLIC}/", f"{PUBLIC}.git", "git@github.com:someone/maps", "https://example.org/a/b"])
def test_an_address_that_would_make_dead_links_is_refused(root, wrong):
    with pytest.raises(book.UserError, match="repository url in _config.yml must be https://github.com/OWNER/REPOSITORY"):
        move(root, wrong)
