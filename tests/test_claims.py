"""The claims are the paper's, their criteria stay as fixed, and the page follows from the chapters."""

import hashlib
import json
import statistics

import nbformat
import pytest

from tools import book, pages

# The criteria as they were fixed. Whoever changes one says why in CHANGELOG.md, and then here.
FIXED = "252d1ab547bd8a2b"
RECORDED = [(path.stem, *pages.recorded(path)) for path in book.chapters()]


def test_claims_are_complete():
    claims = pages.criteria()["claim"]
    assert [claim["id"] for claim in claims] == [f"C{i}" for i in range(1, len(claims) + 1)] and len(claims) >= 18
    for claim in claims:
        assert claim["statement"] and claim["criterion"] and isinstance(claim["where"], str)
        assert len(set(pages.parts(claim))) == len(pages.parts(claim))


def test_criteria_stand_as_they_were_fixed():
    fixed = [(c["id"], pages.parts(c), c["statement"], c["criterion"]) for c in pages.criteria()["claim"]]
    assert hashlib.sha256(json.dumps(fixed).encode()).hexdigest()[:16] == FIXED


def test_chapters_record_something():
    assert any(records for _, records, _ in RECORDED), "no chapter has a record: the page would be empty"
    assert any(claims for _, _, claims in RECORDED), "no chapter judges a claim"


@pytest.mark.parametrize(("name", "records", "claims"), RECORDED, ids=[name for name, *_ in RECORDED])
def test_records_say_what_their_values_say(name, records, claims):
    for record in records.values():
        values = record["values"]
        assert record["n"] == len(values) > 0
        assert record["mean"] == pytest.approx(statistics.fmean(values), rel=1e-6, abs=1e-12)
        spread = statistics.stdev(values) if len(values) > 1 else None
        assert record["sd"] == (spread if spread is None else pytest.approx(spread, rel=1e-6, abs=1e-9))
        assert record["text"] and record["says"].count("{}") == 1
    for claim in claims:
        assert claim["holds"] in (True, False, None)
        assert claim["evidence"], f"{claim['id']} rests on nothing"


def test_claims_page_follows_from_the_chapters():
    pages.main(["--check"])


@pytest.mark.parametrize(
    ("holds", "word"),
    [
        ([True], "reproduced"),
        ([True, True], "reproduced"),
        ([True, False], "in part"),
        ([True, None], "in part"),
        ([False], "not reproduced"),
        ([False, None], "not reproduced"),
        ([None], "not tested"),
        ([None, None], "not tested"),
    ],
)
def test_verdict(holds, word):
    assert pages.verdict(holds) == word


CRITERIA = """
disclosure = "Some were seen."
terms = "Means."
[[claim]]
id = "C1"
parts = ["a", "b"]
statement = "It | holds"
where = "Fig 1"
criterion = "x >= 1"
[[claim]]
id = "C2"
statement = "Another"
where = ""
criterion = "y"
"""


def claim(identity, part=None, holds=True, evidence=("x",)):
    return {
        "claim": {
            "id": identity,
            "part": part,
            "holds": holds,
            "evidence": list(evidence),
            "profile": "laptop",
        }
    }


def record(name):
    return {
        "record": {
            "name": name,
            "values": [1.0],
            "mean": 1.0,
            "sd": None,
            "n": 1,
            "says": "{}",
            "text": "one 1",
        }
    }


@pytest.fixture
def house(tmp_path):
    """Make a book of one page and, by the returned function, one chapter that shows the given metadata."""
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "claims.toml").write_text(CRITERIA)
    (tmp_path / "_toc.yml").write_text("root: book/intro\nparts: [{chapters: [{file: book/01_a}]}]")

    def chapter(*shown):
        outputs = [nbformat.v4.new_output("display_data", {}, metadata={"geomem": item}) for item in shown]
        nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1", outputs=outputs)])
        nbformat.write(nb, tmp_path / "book" / "01_a.ipynb")
        return tmp_path

    return chapter


def test_page_shows_verdict_numbers_and_parts(house):
    text, data = pages.page(house(record("x"), claim("C1", "a"), claim("C1", "b", holds=False)))
    row = next(line for line in text.splitlines() if line.startswith("| **C1**"))
    assert "It \\| holds (Fig 1)" in row and row.endswith("| **in part** |")
    assert "*a* holds:<br>one 1 [→](01_a.ipynb)<br>*b* fails" in row
    assert "Some were seen." in text and "0 reproduced, 1 in part, 0 not reproduced, 1 not tested" in text
    assert json.loads(data)["records"]["01_a"]["x"]["mean"] == 1.0


@pytest.mark.parametrize(
    ("shown", "message"),
    [
        ([claim("C2")], "rests on 'x', which is no record"),
        ([record("x"), claim("C9")], "knows no C9"),
        ([record("x"), claim("C1", "c")], r"knows no C1 \(c\)"),
        ([record("x"), claim("C1")], "knows no C1"),
        ([record("x"), claim("C2"), claim("C2")], "C2 is judged twice"),
        ([record("x"), record("x")], "records 'x' twice"),
    ],
)
def test_page_refuses_what_does_not_fit(house, shown, message):
    with pytest.raises(book.UserError, match=message):
        pages.page(house(*shown))


def test_stale_page_is_seen(house):
    root = house(record("x"), claim("C2"))
    pages.main([], root=root)
    pages.main(["--check"], root=root)
    house(record("x"), claim("C2", holds=False))
    with pytest.raises(book.UserError, match="stale"):
        pages.main(["--check"], root=root)
