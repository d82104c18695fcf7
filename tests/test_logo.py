"""The logo is drawn from a learned embedding, the same each time."""

import re

import pytest

from tools import book, logo


def test_a_second_run_gives_the_same_bytes():
    assert logo.draw() == logo.draw()


def test_the_committed_logo_is_what_the_script_draws():
    drawn, kept = logo.draw(), logo.TARGET.read_text(encoding="utf8")
    numbers = re.compile(r"\d+\.\d")
    assert numbers.sub("", drawn) == numbers.sub("", kept)
    places = [[float(number) for number in numbers.findall(text)] for text in (drawn, kept)]
    assert places[0] == pytest.approx(places[1], abs=0.2)  # another machine may round another way
    assert all(logo.EDGE <= place <= logo.SIZE - logo.EDGE for place in places[1])


def test_the_arms_of_the_logo_do_not_touch():
    dots = re.findall(r'cx="([\d.]+)" cy="([\d.]+)" r="(\d+)"', logo.draw())
    dots = [tuple(map(float, dot)) for dot in dots]
    gaps = [((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2) ** 0.5 - a[2] - b[2] for i, a in enumerate(dots) for b in dots[:i]]
    assert len(dots) == 9 and min(gaps) > 0


def test_the_book_shows_it():
    text = (book.ROOT / "_config.yml").read_text(encoding="utf8")
    assert text.count("book/static/logo.svg") == 2 and not (book.ROOT / "book" / "static" / "favicon.svg").exists()
