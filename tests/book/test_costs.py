"""The table of what each page costs a reader has every page, and no page has a fault in it."""

from tools import book

ROWS = book.rows((book.ROOT / "benchmarks/pages.md").read_text(encoding="utf8"))


def test_the_table_has_every_page_once():
    assert [row[0] for row in ROWS] == [str(page.relative_to(book.ROOT).with_suffix(".html")) for page in book.pages()]


def test_no_page_breaks_a_rule_of_access_or_is_wider_than_a_phone():
    assert [row[0] for row in ROWS if row[4:] != ["0", "0", "0"]] == []


def test_no_page_weighs_more_than_three_megabytes_and_the_first_a_third_of_what_it_did():
    weights = [float(row[2]) for row in ROWS]
    assert max(weights) < 3000 and weights[0] < 3700 / 3
