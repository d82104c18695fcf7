"""The claims are the paper's, their criteria stay as fixed, and the page follows from the chapters."""

import hashlib
import html
import json
import statistics

import nbformat
import pytest

from tools import book, cards, claims, pages

# The criteria as they were first fixed, and as they stand. Whoever amends one keeps its old words in book/claims.toml,
# with date and reason, before the new runs; the first digest stays, the second follows.
FIXED = {"claim": "252d1ab547bd8a2b", "own": "af85f357a3ede2ce"}
AMENDED = {"claim": "03357a34068a1ace"}
RECORDED = [(path.stem, *claims.recorded(path)) for path in book.chapters()]


def test_claims_are_complete():
    rows = claims.criteria()["claim"]
    assert [claim["id"] for claim in rows] == [f"C{i}" for i in range(1, len(rows) + 1)] and len(rows) >= 18
    for claim in rows:
        assert claim["statement"] and claim["criterion"] and isinstance(claim["where"], str)
        assert len(set(claims.parts(claim))) == len(claims.parts(claim))


def test_our_own_findings_are_complete():
    own = claims.criteria()["own"]
    assert [finding["id"] for finding in own] == [f"O{i}" for i in range(1, len(own) + 1)]
    assert all(finding["statement"] and finding["criterion"] and finding["short"] for finding in own)


def digest(kind, of):
    """Return a digest of all criteria of a kind, read by the given function."""
    fixed = [(c["id"], *of(c)) for c in claims.criteria()[kind]]
    return hashlib.sha256(json.dumps(fixed).encode()).hexdigest()[:16]


def first(row):
    """Return parts, statement and criterion as they were before any amendment."""
    oldest = {key: value for amendment in reversed(row.get("amended", [])) for key, value in amendment.items()}
    return oldest.get("parts", claims.parts(row)) or [None], row["statement"], oldest.get("was", row["criterion"])


@pytest.mark.parametrize("kind", FIXED)
def test_criteria_stand_as_they_were_first_fixed(kind):
    assert digest(kind, first) == FIXED[kind]


@pytest.mark.parametrize("kind", AMENDED)
def test_criteria_change_only_together_with_this_digest(kind):
    assert digest(kind, lambda row: (claims.parts(row), row["statement"], row["criterion"])) == AMENDED[kind]


def test_every_amendment_says_when_why_and_what_was():
    for row in claims.rows_of(claims.criteria()):
        for amendment in row.get("amended", ()):
            assert amendment["date"] and amendment["why"].endswith(".") and amendment["verdict"] in claims.VERDICTS, row[
                "id"
            ]
            assert amendment["was"] != row["criterion"], row["id"]


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
        assert record["text"] and record["template"].count("{}") == 1
    for claim in claims:
        assert claim["holds"] in (True, False, None)
        assert claim["evidence"], f"{claim['id']} rests on nothing"


def test_claims_page_follows_from_the_chapters():
    pages.main(["--check"])


PARTS = ["a", "b"]


@pytest.mark.parametrize(
    ("words", "row", "verdict"),
    [
        (["holds", "holds"], {}, "reproduced"),
        (["holds", "fails"], {}, "in part"),
        (["holds", "undecided"], {}, "in part"),
        (["holds", "not tested"], {}, "in part"),
        (["fails", "fails"], {}, "not reproduced"),
        (["fails", "not tested"], {}, "not reproduced"),
        (["fails", "undecided"], {}, "undecided"),
        (["undecided", "not tested"], {}, "undecided"),
        (["not tested", "not tested"], {}, "not tested"),
        (["holds", "void"], {}, "reproduced"),
        (["void", "void"], {}, "not tested"),
        (["holds", "void"], {"small": "x"}, "reproduced (small)"),
        (["holds", "holds"], {"small": "x"}, "reproduced (small)"),
        (["holds", "fails"], {"small": "x"}, "in part"),
        (["fails", "fails"], {"small": "x"}, "not reproduced"),
        (["holds", "holds"], {"small": "x", "small_parts": ["a"]}, "reproduced"),  # b is at the paper's size
        (["holds", "not tested"], {"small": "x", "small_parts": ["a"]}, "reproduced (small)"),
        (["holds", "fails"], {"small": "x", "small_parts": ["a"]}, "in part"),
    ],
)
def test_verdict(words, row, verdict):
    found = {("C1", part): ("01", {"word": word}, []) for part, word in zip(PARTS, words, strict=True)}
    assert claims.verdict({"id": "C1", "parts": PARTS} | row, found) == verdict


def test_every_verdict_follows_from_its_records_and_every_record_from_its_study():
    assert claims.disagreements() == []


@pytest.mark.parametrize("kind", ["claims", "own"])
def test_small_parts_are_parts(kind):
    for row in claims.criteria().get(kind.removesuffix("s"), ()):
        assert set(row.get("small_parts", [])) <= set(claims.parts(row)), row["id"]


CRITERIA = """
disclosure = "Some were seen."
terms = "Means."
[[claim]]
id = "C1"
short = "A | short one"
parts = ["a", "b"]
statement = "It | holds"
where = "Fig 1"
criterion = "x >= 1"
[[claim]]
id = "C2"
short = "Two"
statement = "Another"
where = ""
criterion = "y"
"""


FIGURES = """
[[figure]]
paper = "Bars | of it"
claims = ["C1"]
ours = ["fig-a"]
parameters = ["lr"]
differs = "Nothing."
"""
INTRO = """# A book

% explorable: written by tools/pages.py
old
% end of explorable

% claims: written by tools/pages.py
old
% end of claims

More.
"""
ISLAND = '<div data-explorable="{&quot;kind&quot;:&quot;watch&quot;,&quot;name&quot;:&quot;&lt;b&gt;&quot;}"></div>'


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
            "template": "one {}",
            "text": "one 1",
        }
    }


@pytest.fixture
def house(tmp_path):
    """Make a book of one page and, by the returned function, one chapter that shows the given metadata."""
    (tmp_path / "book").mkdir()
    (tmp_path / "book" / "claims.toml").write_text(CRITERIA)
    (tmp_path / "book" / "figures.toml").write_text(FIGURES)
    (tmp_path / "book" / "intro.md").write_text(INTRO)
    (tmp_path / "_toc.yml").write_text("root: book/intro\nparts: [{chapters: [{file: book/01_a}]}]")

    def chapter(*shown):
        outputs = [nbformat.v4.new_output("display_data", {}, metadata={"geomem": item}) for item in shown]
        outputs.append(nbformat.v4.new_output("display_data", {"text/html": ISLAND}))
        figure = {"mystnb": {"figure": {"name": "fig-a", "caption": "A."}}}
        cells = [
            nbformat.v4.new_markdown_cell("# A chapter"),
            nbformat.v4.new_code_cell("lr: float = 0.1  # rate", metadata={"tags": ["parameters"]}),
            nbformat.v4.new_code_cell("1", outputs=outputs, metadata=figure),
        ]
        nb = nbformat.v4.new_notebook(cells=cells)
        nbformat.write(nb, tmp_path / "book" / "01_a.ipynb")
        return tmp_path

    return chapter


def test_page_shows_verdict_numbers_and_parts(house):
    text, data = cards.page(house(record("x"), claim("C1", "a"), claim("C1", "b", holds=False)))
    card = text[text.index("(claim-c1)=") : text.index("(claim-c2)=")]
    assert "### C1. A | short one" in card and "{bdg-warning}`in part` judged in chapter [1](01_a.ipynb)" in card
    assert "**The paper:** It | holds (Fig 1)." in card and "**Ours:** {numref}`fig-a`." in card
    assert "| a | *together* |  |  | **holds** |\n| b | *together* |  |  | **fails** |" in card
    assert "````{dropdown} Further numbers" in card and "| a | one | 1 |" in card
    assert "{bdg-muted}`not tested`" in text[text.index("(claim-c2)=") :]
    assert (
        "Some were seen." in text
        and "0 reproduced, 0 reproduced (small), 1 in part, 0 not reproduced, 0 undecided, 1 not tested" in text
    )
    assert json.loads(data)["records"]["01_a"]["x"]["mean"] == 1.0


@pytest.mark.parametrize(
    ("shown", "message"),
    [
        ([claim("C2")], "rests on 'x', which is not a record"),
        ([record("x"), claim("C9")], "knows no C9"),
        ([record("x"), claim("C1", "c")], r"knows no C1 \(c\)"),
        ([record("x"), claim("C1")], "knows no C1"),
        ([record("x"), claim("C2"), claim("C2")], "C2 is judged twice"),
        ([record("x"), record("x")], "records 'x' twice"),
    ],
)
def test_page_refuses_what_does_not_fit(house, shown, message):
    with pytest.raises(book.UserError, match=message):
        cards.page(house(*shown))


def judged_claim(mean, **more):
    """Return a record and a claim whose test asks for .9 or more of it."""
    asked = {"tests": [["x", ">=", 0.9]], "at_least": None, "control": [], "void": []}
    test = {"record": "x", "sense": ">=", "threshold": 0.9, "mean": mean, "error": 0.0, "distance": None, "word": "holds"}
    held = claim("C2")
    held["claim"] |= {"word": "holds", "asked": asked, "tests": [test], "control": []}
    kept = record("x")
    kept["record"] |= {"values": [mean], "mean": mean} | more
    return kept, held


def test_page_shows_thresholds_and_the_check_sees_a_verdict_that_does_not_follow(house, tmp_path):
    root = house(*judged_claim(0.95))
    assert claims.disagreements(root) == []
    text, _ = cards.page(root)
    assert "|  | one: 1 | at least 0.9 |  | holds |" in text
    pages.main([], root=root)
    assert (
        "| {ref}`C2 <claim-c2>` | Two | reproduced | 0.95 (at least 0.9) | [1](01_a.ipynb) |"
        in (root / "book" / "intro.md").read_text()
    )
    house(*judged_claim(0.85))
    with pytest.raises(book.UserError, match="C2 in 01_a: its records say 'fails', it says 'holds'"):
        claims.main([], root=root)


def test_the_number_that_decides_falls_shortest_or_lies_nearest():
    def test(mean, word, distance):
        return {"record": "x", "sense": ">=", "threshold": 0.9, "mean": mean, "word": word, "distance": distance}

    def part(word, *tests):
        return "01_a", {"word": word, "tests": list(tests)}, []

    near, far = test(0.91, "holds", 2.0), test(0.99, "holds", 50.0)
    assert cards._deciding([part("holds", far, near)]).startswith("0.91 (at least 0.9, +2.0 se")
    short, shorter = test(0.8, "fails", -3.0), test(0.1, "fails", -200.0)
    assert cards._deciding([part("holds", near), part("fails", short, shorter)]) == "0.1 (at least 0.9, below −99 se)"
    assert cards._deciding([part("void", short), part("holds", near)]).startswith("0.91")
    assert cards._deciding([part("holds", short, near), None]).startswith("0.91")  # where some need not hold


def test_the_check_sees_a_record_that_is_not_its_study_s(house, tmp_path):
    whole = {"name": "s", "purpose": "p", "command": [], "seeds": [0], "versions": {}, "device": "", "commit": ""}
    whole |= {"settings": {}, "seconds": [1], "runs": [{"answer": 0.95}]}
    (tmp_path / "s.json").write_text(json.dumps(whole))
    kept, held = judged_claim(0.95, study=["s", "", "answer"])
    assert claims.disagreements(house(kept, held), studies=tmp_path) == []
    kept, held = judged_claim(0.96, study=["s", "", "answer"])
    assert claims.disagreements(house(kept, held), studies=tmp_path) == ["x in 01_a: the study s has other values."]


def test_stale_page_is_seen(house):
    root = house(record("x"), claim("C2"))
    pages.main([], root=root)
    pages.main(["--check"], root=root)
    house(record("x"), claim("C2", holds=False))
    with pytest.raises(book.UserError, match="stale"):
        pages.main(["--check"], root=root)


@pytest.mark.parametrize("name", ["claims.md", "map.md", "intro.md", "results/records.json"])
def test_each_page_that_follows_is_checked(house, name):
    root = house(record("x"), claim("C2"))
    pages.main([], root=root)
    path = root / "book" / name
    path.write_text(path.read_text().replace("C2", "C3").replace("Nothing.", "All."))
    with pytest.raises(book.UserError, match=rf"{name} is stale"):
        pages.main(["--check"], root=root)


def test_first_page_has_the_claims_at_a_glance_and_keeps_its_words(house):
    root = house(record("x"), claim("C1", "a"), claim("C1", "b", holds=False))
    pages.main([], root=root)
    pages.main([], root=root)
    text = (root / "book" / "intro.md").read_text()
    assert text.startswith("# A book\n") and text.endswith("% end of claims\n\nMore.\n") and "\nold\n" not in text
    assert "| {ref}`C1 <claim-c1>` | A \\| short one | in part |  | [1](01_a.ipynb) |" in text
    assert "| {ref}`C2 <claim-c2>` | Two | not tested |  |  |" in text


def test_first_page_has_a_chapter_s_explorable_which_runs_at_once(house):
    root = house(record("x"))
    pages.main([], root=root)
    lines = (root / "book" / "intro.md").read_text().splitlines()
    shown = [line for line in lines if "data-explorable" in line]
    assert len(shown) == 1 and lines[lines.index(shown[0]) - 1] == ""  # a block of HTML
    values = json.loads(html.unescape(pages.ISLAND.search(shown[0])[0]))
    assert values == {"kind": "watch", "more": False, "name": "<b>", "running": True} and "<b>" not in shown[0]
    with pytest.raises(book.UserError, match="No chapter shows the explorable 'phase'"):
        pages.island("phase", root)


@pytest.mark.parametrize("name", ["claims", "explorable"])
def test_first_page_without_a_place_is_refused(house, name):
    root = house(record("x"))
    path = root / "book" / "intro.md"
    path.write_text(path.read_text().replace(f"% end of {name}", ""))
    with pytest.raises(book.UserError, match=f"no place for the {name}"):
        pages.main([], root=root)


def test_map_leads_from_the_paper_to_figures_and_parameters(house):
    row = pages.atlas(house(record("x"))).splitlines()[-1]
    assert row == "| Bars \\| of it (C1) | [A chapter](01_a.ipynb): {numref}`fig-a` | `lr` | Nothing. |"


@pytest.mark.parametrize(
    ("was", "becomes", "message"),
    [
        ('"fig-a"', '"fig-b"', "'fig-b', which no chapter draws"),
        ('"lr"', '"rate"', "'rate', which is not a parameter"),
        ('"C1"', '"C7"', "'C7', which is not a claim"),
    ],
)
def test_map_refuses_what_does_not_exist(house, was, becomes, message):
    root = house(record("x"))
    (root / "book" / "figures.toml").write_text(FIGURES.replace(was, becomes))
    with pytest.raises(book.UserError, match=message):
        pages.atlas(root)


def test_map_has_every_chapter_every_claim_and_every_figure_once():
    entries = pages.shown()
    ours = [name for entry in entries for name in entry["ours"]]
    drawn = {path.stem: pages.drawn(path) for path in book.chapters()}
    assert [stem for stem, names in drawn.items() if not set(names) & set(ours)] == []
    assert {name for entry in entries for name in entry["claims"]} == {claim["id"] for claim in claims.criteria()["claim"]}
    assert len(ours) == len(set(ours))
