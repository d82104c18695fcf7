"""A real browser on the built book; every test here is skipped, with the reason, where one of the two is missing."""

import filecmp
import re
import shutil
import threading
from pathlib import Path

import pytest

from tools import book
from tools import site as builder

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
# Whatever asks for another host fails at once, on every machine alike.
FLAGS.append("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")
HERE = re.compile(r"https?://127\.0\.0\.1[:/]|(?:file|data|blob|about):")
# The theme asks for fonts before it needs them, in a way that no browser allows to a file.
THEIRS = re.compile(r"file:.*/_static/vendor/fontawesome/")
# The theme keeps the reader's choice where a data: page has no storage.
CHOOSE = 'try {{ for (const key of ["mode", "theme"]) localStorage.setItem(key, "{}") }} catch {{}}'


def pytest_collection_modifyitems(items):
    """Mark every test of this folder as slow."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.slow)


def ours(said):
    return not THEIRS.search(said.text + said.location["url"])


def stale():
    """Name the files that the built site does not show as they are now; chapters may be of another run."""
    paths = [book.ROOT / "_config.yml", book.ROOT / "_toc.yml"]
    paths += [*(book.ROOT / "book").glob("*.md"), *(book.ROOT / "book" / "static").glob("*.*")]
    names = [str(path.relative_to(book.ROOT)) for path in paths]
    _, changed, absent = filecmp.cmpfiles(book.ROOT, builder.SOURCE, names, shallow=False)
    return changed + absent


@pytest.fixture(scope="session")
def site():
    """Serve the built book on this machine and return its address."""
    if builder.missing():
        pytest.skip("there is no complete site: `make site` builds one")
    if changed := stale():
        pytest.skip(f"the site is older than {changed[0]}: `make site` builds it anew")
    with builder.server(0) as listening:
        listening.RequestHandlerClass.func.log_message = lambda *words: None
        thread = threading.Thread(target=listening.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()
        thread.join()


@pytest.fixture(scope="module")  # not for the session: while it runs, no other test could start an event loop
def chromium():
    """Start the browser that is installed; none is ever downloaded."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = [path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))]
    if not found:
        pytest.skip("no chromium is installed (Debian: apt-get install chromium)")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found[0], args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(request, chromium):
    """Return a function that opens a page of the book, or any address, in a fresh context.

    The page keeps in ``errors`` what its console and its scripts complained about, and in ``outside`` every request that
    left this machine.
    """
    contexts = []

    def visit(where, *, theme="light", width=1280, javascript=True, reduced_motion=False):
        address = where if re.match(r"[a-z]+:", where) else f"{request.getfixturevalue('site')}/{where.lstrip('/')}"
        context = chromium.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=theme,
            java_script_enabled=javascript,
            reduced_motion="reduce" if reduced_motion else "no-preference",
        )
        contexts.append(context)
        context.add_init_script(CHOOSE.format(theme))
        page = context.new_page()
        page.errors, page.outside = [], []
        page.on("console", lambda said: page.errors.append(said.text) if said.type == "error" and ours(said) else None)
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.on("request", lambda asked: None if HERE.match(asked.url) else page.outside.append(asked.url))
        page.goto(address)
        if javascript:
            page.evaluate("() => window.MathJax?.startup?.promise.then(() => null)")  # formulas change the layout
        return page

    yield visit
    for context in contexts:
        context.close()


@pytest.fixture
def shown(visit, tmp_path):
    """Return a function that opens a page that holds one explorable and the book's script."""

    def shown(explorable, **options):
        script = (book.ROOT / "book" / "static" / "explorables.js").read_text(encoding="utf8")
        (tmp_path / "explorables.js").write_text(script, encoding="utf8")
        text = f'<!DOCTYPE html><html lang="en"><meta charset="utf8"><title>One</title><body>{explorable.island()}'
        (tmp_path / "page.html").write_text(f'{text}<script src="explorables.js"></script></body></html>', encoding="utf8")
        page = visit((tmp_path / "page.html").as_uri(), **options)
        if options.get("javascript", True):
            page.wait_for_selector("[data-alive]")
        return page

    return shown


LIVE = """async ([source, values]) => {
  const heard = {}, place = document.body.appendChild(document.createElement("div"));
  const set = (name, value) => { values[name] = value; heard[`change:${name}`]?.(); };
  window.kernel = { set, get: (name) => values[name], saved: 0 };
  const model = { get: kernel.get, set: (name, value) => { values[name] = value; }, save_changes() { kernel.saved += 1; },
    on(name, act) { heard[name] = act; } };
  const url = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  window.stop = (await import(url)).default.render({ model, el: place });
}"""


@pytest.fixture
def live(visit):
    """Return a function that shows an explorable as a notebook with a kernel does; the page's ``kernel`` sets and gets."""

    def live(explorable):
        page = visit("about:blank")
        source = (book.ROOT / "geomem" / "explorables" / "explorables.mjs").read_text(encoding="utf8")
        page.evaluate(LIVE, [source, explorable.values()])
        return page

    return live
