"""What each page of the built book costs a reader: requests, bytes, first paint, faults that axe finds, width on a phone.

``make site; .venv/bin/python -m benchmarks.pages`` writes benchmarks/pages.md. Bytes are those that a plain server sends,
unpacked; first paint is the median of three visits with an empty cache, on the machine that serves the page.
"""

import shutil
import statistics
import threading

from axe_playwright_python.base import AXE_SCRIPT
from playwright.sync_api import sync_playwright

from tools import book, site

TABLE = book.ROOT / "benchmarks" / "pages.md"
HEAD = f"""# What a page costs

{(__doc__ or "").partition(chr(10) * 2)[2].strip()}
axe looks for breaches of WCAG 2.1, levels A and AA, in light and dark. *Wider* is by how many pixels a page is wider than a
phone of 390.

| page | requests | kB | first paint, ms | axe, light | axe, dark | wider, pixels |
| --- | ---: | ---: | ---: | ---: | ---: | ---: |
"""
VISITS = 3
PHONE = 390
CHOOSE = 'try {{ for (const key of ["mode", "theme"]) localStorage.setItem(key, "{}") }} catch {{}}'
PAINT = "() => performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? NaN"
RULES = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]}}
AXE = "options => axe.run({exclude: [['mjx-container > *'], ['.highlight pre > *'], ['dt.sig > *']]}, options)"


def visit(browser, address, theme="light", width=1280):
    """Open a page with an empty cache; return it with the sizes of all that it asked for."""
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme)
    context.add_init_script(CHOOSE.format(theme))
    page, sizes = context.new_page(), {}
    page.on("response", lambda got: sizes.setdefault(got.url, int(got.headers.get("content-length", 0))))
    page.goto(address, wait_until="networkidle")
    return page, sizes


def faults(page):
    """Count the parts of a page that break a rule."""
    page.evaluate(AXE_SCRIPT)
    return sum(len(rule["nodes"]) for rule in page.evaluate(AXE, RULES)["violations"])


def row(browser, address):
    """Measure one page."""
    paints, found = [], []
    for _ in range(VISITS):
        page, sizes = visit(browser, address)
        paints.append(page.evaluate(PAINT))
        page.context.close()
    for theme in ("light", "dark"):
        page, _ = visit(browser, address, theme)
        found.append(faults(page))
        page.context.close()
    page, _ = visit(browser, address, width=PHONE)
    wider = page.evaluate("document.documentElement.scrollWidth") - PHONE
    page.context.close()
    return [len(sizes), round(sum(sizes.values()) / 1000), round(statistics.median(paints)), *found, max(0, wider)]


def main():
    lines = []
    with site.server(0) as listening, sync_playwright() as playwright:
        listening.RequestHandlerClass.func.log_message = lambda *words: None
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        for path in book.pages():
            name = path.relative_to(book.ROOT).with_suffix(".html")
            lines.append([str(name), *row(browser, f"http://127.0.0.1:{listening.server_port}/{name}")])
            print(*lines[-1], flush=True)
        listening.shutdown()
    book.write_whole(TABLE, HEAD + "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines))


if __name__ == "__main__":
    book.run(main)
