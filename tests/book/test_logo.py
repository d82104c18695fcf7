"""The logo is drawn from a learned embedding, the same each time."""

import math
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


def test_the_arms_of_the_logo_keep_apart():
    arms = [re.findall(r'cx="([\d.]+)" cy="([\d.]+)"', arm) for arm in re.findall("<g .*?</g>", logo.draw())]
    arms = [[(float(x), float(y)) for x, y in arm] for arm in arms]
    assert [len(arm) for arm in arms] == [3] * 4
    apart = [math.dist(u, v) for i, arm in enumerate(arms) for other in arms[:i] for u in arm for v in other]
    assert min(apart) > 3 * logo.RADIUS


def test_the_book_shows_it():
    text = (book.ROOT / "_config.yml").read_text(encoding="utf8")
    assert text.count("book/static/logo.svg") == 2 and not (book.ROOT / "book" / "static" / "favicon.svg").exists()
