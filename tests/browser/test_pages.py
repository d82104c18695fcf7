"""Every page of the book, in a real browser: nothing from elsewhere, nothing broken, readable by everyone."""

import pytest

from tools import book

PAGES = ["index.html", "genindex.html", "search.html"]
PAGES += [str(page.relative_to(book.ROOT).with_suffix(".html")) for page in book.pages()]


@pytest.mark.parametrize("name", PAGES)
def test_page_asks_no_other_host_and_complains_of_nothing(visit, name):
    page = visit(name)
    assert page.outside == [] and page.errors == []
