"""Every page of the book, in a real browser: nothing from elsewhere, nothing broken, readable by everyone."""

import pytest

from tools import book

PAGES = ["genindex.html", "search.html"]
PAGES += [str(page.relative_to(book.ROOT).with_suffix(".html")) for page in book.pages()]
CHAPTERS = [str(page.relative_to(book.ROOT).with_suffix(".html")) for page in book.chapters()]
WCAG = {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}
CONTRAST = {"type": "rule", "values": ["color-contrast"]}
ENOUGH = 4.5  # of WCAG AA, for text of any size
COSTS = {row[0]: (int(row[1]), int(row[2])) for row in book.rows((book.ROOT / "benchmarks/pages.md").read_text())}
PHONE = 390
CODE = "body, .highlight pre span, dt.sig span"


def violations(page, rules):
    """List what axe finds, one line per node; the parts of formulas and of code, thousands per page, are measured apart."""
    base = pytest.importorskip("axe_playwright_python.base", reason="axe-playwright-python is not installed")
    page.evaluate(base.AXE_SCRIPT)
    run = "options => axe.run({exclude: [['mjx-container > *'], ['.highlight pre > *'], ['dt.sig > *']]}, options)"
    found = page.evaluate(run, {"runOnly": rules, "resultTypes": ["violations"]})["violations"]
    return [f"{rule['id']}: {node['html'][:200]} {node['failureSummary'][:300]}" for rule in found for node in rule["nodes"]]


def contrast(page, selector):
    """Measure the least contrast of what a selector finds, each element against the first background behind it."""
    return page.evaluate(
        """selector => {
          const pen = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
          const seen = new Map();
          const rgba = (colour) => seen.get(colour) ?? seen.set(colour, paint(colour)).get(colour);
          const paint = (colour) => {
            pen.clearRect(0, 0, 1, 1);
            pen.fillStyle = colour;
            pen.fillRect(0, 0, 1, 1);
            return [...pen.getImageData(0, 0, 1, 1).data];
          };
          const light = (colour) => rgba(colour).slice(0, 3).map((x) => x / 255)
            .map((x) => (x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4))
            .reduce((sum, x, i) => sum + x * [0.2126, 0.7152, 0.0722][i], 0);
          const behind = (node) => {
            for (; node; node = node.parentElement) {
              const colour = getComputedStyle(node).backgroundColor;
              if (rgba(colour)[3] === 255) return colour;
            }
            return "white";
          };
          return Math.min(...[...document.querySelectorAll(selector)].map((node) => {
            const pair = [light(getComputedStyle(node).color), light(behind(node))].sort((a, b) => a - b);
            return (pair[1] + 0.05) / (pair[0] + 0.05);
          }));
        }""",
        selector,
    )


@pytest.mark.parametrize("name", PAGES)
def test_page_asks_no_other_host_complains_of_nothing_and_is_accessible(visit, name):
    page = visit(name)
    assert page.outside == [] and page.errors == []
    assert violations(page, WCAG) == []
    assert contrast(page, CODE) >= ENOUGH


@pytest.mark.parametrize("name", PAGES)
def test_no_link_leads_to_the_placeholder_of_our_address(visit, name):
    assert visit(name, javascript=False).locator(f"[href*='{book.PLACEHOLDER}']").count() == 0


@pytest.mark.parametrize("name", PAGES)
def test_page_is_readable_in_the_dark(visit, name):
    page = visit(name, theme="dark")
    assert page.get_attribute("html", "data-theme") == "dark"
    assert violations(page, CONTRAST) == []
    assert contrast(page, CODE) >= ENOUGH


@pytest.mark.parametrize("name", PAGES)
def test_page_fits_a_phone_and_what_scrolls_there_takes_the_focus(visit, name):
    page = visit(name, width=PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE
    assert violations(page, {"type": "rule", "values": ["scrollable-region-focusable"]}) == []


@pytest.mark.parametrize("name", ["book/intro.html", "book/claims.html", CHAPTERS[0], "search.html"])
def test_page_opened_as_a_file_asks_for_nothing_either(visit, site, name):
    page = visit((book.ROOT / "_build" / "html" / name).as_uri())
    assert page.outside == [] and page.errors == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_captions_and_code_stand_out(visit, theme):
    page = visit(CHAPTERS[1], theme=theme)
    for selector in (".bd-article p", ".bd-article figcaption", ".bd-article .highlight pre", ".bd-article .highlight span"):
        assert page.locator(selector).count() > 3
        assert contrast(page, selector) >= ENOUGH, selector


def test_the_address_of_the_book_leads_to_its_first_page(visit, site):
    page = visit("about:blank")
    page.goto(f"{site}/")
    page.wait_for_url("**/book/intro.html")
    assert page.outside == [] and page.errors == []


@pytest.mark.parametrize("name", ["index.html", *PAGES])
def test_page_has_an_icon_so_that_no_browser_asks_for_another(visit, site, name):
    page = visit("about:blank")
    page.goto(f"{site}/{name}", wait_until="commit")
    icon = page.locator("link[rel~=icon]").first.evaluate("link => link.href")
    assert page.request.get(icon).ok


def test_contrast_is_measured(visit):
    page = visit("data:text/html,<body style='background:black'><p style='color:white'>a</p><i style='color:black'>b</i>")
    assert contrast(page, "p") == pytest.approx(21) and contrast(page, "i") == pytest.approx(1)


def test_axe_would_find_a_violation(visit):
    page = visit("data:text/html,<html lang=en><title>t</title><img src='data:,'><p style='color:silver'>pale</p>")
    found = " ".join(violations(page, WCAG))
    assert "image-alt" in found and "color-contrast" in found


def test_search_finds_what_the_book_is_about(visit):
    page = visit("search.html?q=geometry")
    page.wait_for_selector("#search-results li a")
    assert page.locator("#search-results li a").count() > 3
    assert page.errors == [] and violations(page, WCAG) == []
    page.locator("#search-results li a").first.click()
    page.wait_for_load_state()
    assert "/book/" in page.url and page.locator(".bd-article .highlighted").count() > 0
    assert contrast(page, ".bd-article .highlighted") >= ENOUGH


@pytest.mark.parametrize("name", ["book/intro.html", CHAPTERS[0]])
def test_print_leaves_out_what_paper_cannot_use(visit, name):
    page = visit(name)
    page.emulate_media(media="print")
    for selector in (".bd-sidebar-primary", ".bd-sidebar-secondary", ".bd-header-article", ".prev-next-area"):
        assert not page.locator(selector).first.is_visible(), selector
    assert page.get_by_role("heading", level=1).first.is_visible()


@pytest.mark.parametrize("name", CHAPTERS)
def test_chapter_opens_on_colab_by_a_link_of_text_once_there_is_an_address(visit, name):
    link = visit(name).get_by_role("link", name="Open in Colab", exact=True)
    if not book.is_public(book.address()):
        assert link.count() == 0
        return
    assert link.count() == 1 and link.locator("img").count() == 0
    stem = name.removesuffix(".html")
    assert (
        link.get_attribute("href")
        == book.colab_link(stem.removeprefix("book/"), book.address())[len("[Open in Colab](") : -1]
    )


@pytest.mark.parametrize("name", CHAPTERS)
def test_every_figure_says_what_it_shows(visit, name):
    page = visit(name)
    for picture in page.locator(".bd-article img").all():
        assert len(picture.get_attribute("alt")) > 10
        assert picture.evaluate("node => node.naturalWidth") > 0
    assert page.locator(".bd-article figure").count() == page.locator(".bd-article figcaption").count() > 0


@pytest.mark.parametrize("name", sorted(COSTS))
def test_page_weighs_what_the_table_says(visit, site, name):
    """benchmarks/pages.md is made by hand: a page may grow by a tenth before it has to be made anew."""
    page, sizes = visit("about:blank"), {}
    page.on("response", lambda got: sizes.setdefault(got.url, int(got.headers.get("content-length", 0))))
    page.goto(f"{site}/{name}", wait_until="networkidle")
    requests, kilobytes = COSTS[name]
    assert 0 < len(sizes) <= requests + 2 and sum(sizes.values()) / 1000 <= max(1.1 * kilobytes, kilobytes + 50)
