"""The lowest versions that are allowed can be named, and what is pinned is never lower."""

import tomllib

import pytest
from packaging.requirements import Requirement

from tools import book, lowest

PROJECT = tomllib.loads((book.ROOT / "pyproject.toml").read_text(encoding="utf8"))["project"]
PINS = (book.ROOT / "requirements.txt").read_text(encoding="utf8")


def test_every_dependency_is_named_once_in_its_lowest_version():
    words = lowest.lowest(PROJECT)
    names = [word.partition("==")[0] for word in words]
    assert len(set(names)) == len(names) and {"torch", "papermill", "umap-learn"} <= set(names)
    assert lowest.lowest({"dependencies": ["a>=1.2,<3"], "optional-dependencies": {"x": ["b>=2"]}}) == ["a==1.2", "b==2"]


@pytest.mark.parametrize(
    ("wanted", "message"),
    [(["a"], "must give each dependency a lowest version"), (["a>=1", "a>=2"], "two lowest versions: 1 and 2")],
)
def test_a_dependency_without_one_lowest_version_is_named(wanted, message):
    with pytest.raises(SystemExit, match=message):
        lowest.lowest({"dependencies": wanted, "optional-dependencies": {}})


def test_the_pins_are_allowed_by_the_package():
    pinned = {needed.name: needed for line in PINS.splitlines() if line and line[0] != "#" for needed in [Requirement(line)]}
    wanted = PROJECT["dependencies"] + [text for extra in PROJECT["optional-dependencies"].values() for text in extra]
    for needed in map(Requirement, wanted):
        for exact in pinned[needed.name].specifier if needed.name in pinned else ():
            assert exact.version in needed.specifier, needed
    assert set(lowest.TESTING) <= pinned.keys()


def test_what_is_left_out_there_exists():
    for name in lowest.LEFT_OUT:
        assert (book.ROOT / name).exists() if "/" in name else list((book.ROOT / "tests").rglob(name)), name
