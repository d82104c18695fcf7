"""Render the book and prove that every page is there.

``python -m tools.site build [--executed] | serve [--port 8000]``
"""

import argparse
import functools
import html
import http.server
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from geomem import runner
from tools import book, notebooks, pages

BUILD = book.ROOT / "_build"
SOURCE, SITE, RUNS = BUILD / "source", BUILD / "html", BUILD / "runs"
FRONT = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<title>{title}</title>
<link rel="icon" href="_static/{icon}">
<meta http-equiv="refresh" content="0; url={first}">
<p><a href="{first}">{title}</a></p>
</html>
"""
IGNORE = shutil.ignore_patterns(".ipynb_checkpoints", "__pycache__", "*.part")


def stage(executed):
    """Copy what Sphinx reads, so that nothing it does touches the checkout."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    SOURCE.mkdir(parents=True)
    for name in ("_config.yml", "_toc.yml"):
        shutil.copy2(book.ROOT / name, SOURCE)
    shutil.copytree(book.ROOT / "book", SOURCE / "book", ignore=IGNORE)
    for chapter in book.chapters() if executed else ():
        ran = RUNS / chapter.name
        if not ran.exists():
            raise book.UserError(f"{chapter.stem} was not run: `make book` runs it first.")
        book.write_whole(SOURCE / "book" / ran.name, notebooks.normalise(ran.read_text(encoding="utf8")))
    for path, text in pages.written(SOURCE).items() if executed else ():  # what follows from these runs, not from others
        book.write_whole(path, text)


def render():
    """Build with every warning an error; show Sphinx's words only when it fails."""
    shutil.rmtree(SITE, ignore_errors=True)
    command = [sys.executable, "-c", "from jupyter_book.cli.main import main; main()", "build", str(SOURCE)]
    done = subprocess.run(
        [*command, "--path-output", str(book.ROOT), "-W", "--keep-going", "--all"],
        cwd=book.ROOT,  # where the extension of tools/ is found
        env=runner.environment(NO_COLOR="1"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    book.write_whole(BUILD / "site.log", done.stdout)
    if done.returncode:
        lines = done.stdout.splitlines()
        print("\n".join([x for x in lines if "WARNING" in x or "ERROR" in x] or lines[-20:]))
        raise book.UserError("The site was not built (_build/site.log has the details).")


def front(site=SITE, root=book.ROOT):
    """Write the page at the site's address, which leads to the book's first page.

    jupyter-book's own has no icon: every browser then asks for favicon.ico, which is not there.
    """
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf8"))
    first = book.pages(root)[0].relative_to(root).with_suffix(".html")
    values = {"title": config["title"], "icon": Path(config["html"]["favicon"]).name, "first": first}
    book.write_whole(site / "index.html", FRONT.format_map({name: html.escape(str(v)) for name, v in values.items()}))


def missing(site=SITE, root=book.ROOT):
    """List the pages of the table of contents that a site lacks or holds empty, or where a table is still its source."""
    wanted = [page.relative_to(root).with_suffix(".html") for page in book.pages(root)]
    absent = [page for page in wanted if not _has_content(site / page, "<h1") or _has_content(site / page, "<p>| ")]
    return absent if _has_content(site / "index.html", "<") else ["index.html", *absent]


def _has_content(path, sign):
    return path.exists() and sign in path.read_text(encoding="utf8")


def build(executed):
    stage(executed)
    render()
    front()
    if absent := missing():
        raise book.UserError(f"The site lacks {', '.join(map(str, absent))}.")
    print(f"The book: {(SITE / 'index.html').as_uri()}")


def server(port):
    """Listen on this machine only; on any free port when the wanted one is taken."""
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(SITE))
    try:
        return http.server.ThreadingHTTPServer(("127.0.0.1", port), handler)
    except OSError:
        return http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)


def serve(port):
    if missing():
        raise book.UserError("There is no complete site yet: `make site` builds one.")
    with server(port) as listening:
        print(f"The book: http://127.0.0.1:{listening.server_port}/ (Ctrl-C ends it)", flush=True)
        listening.serve_forever()


def main(argv=None):
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("action", choices=("build", "serve"))
    parser.add_argument("--executed", action="store_true", help="show the latest runs, not the committed outputs")
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args(argv)
    return serve(options.port) if options.action == "serve" else build(options.executed)


if __name__ == "__main__":
    book.run(main)
