"""A Sphinx extension that mends what the makers of a page left: roles that ARIA dropped, what no keyboard reaches, what
search engines and previews ask for, and what a page loads without a use for it.

``_config.yml`` names it; the site is always built from the repository's root, where ``tools`` is found.
"""

import html
import re
from pathlib import Path

from docutils import nodes

from tools import book

# docutils writes the first two; ARIA deprecated the one, and its list may hold no link to an entry's own page.
ROLES = (' role="doc-biblioentry"', ""), ('<div role="list" class="citation-list">', '<div class="citation-list">')


# Icons come twice, as fonts and as a script of 1.5 MB; two of the fonts have no icon on any page.
UNUSED = re.compile(
    r"\s*<script[^>]*vendor/fontawesome/[^>]*\.js[^>]*></script>"
    r'|\s*<link[^>]*\brel="(?:preload|modulepreload)"[^>]*(?:fontawesome/[^>]*(?:brands|regular)|fontawesome/[^>]*\.js)[^>]*>'
)
FORMULAS = re.compile(r"\s*<script[^>]*mathjax[^>]*></script>")
LONGEST = 200  # characters of a description: search engines show no more


def mend(app, pagename, templatename, context, doctree):
    """Mend the body of one page."""
    for found, better in ROLES:
        context["body"] = context.get("body", "").replace(found, better)


def described(app, pagename, templatename, context, doctree):
    """Say what a page is about, as search engines and previews of links ask it: its title, and its first paragraph."""
    if pagename == app.config.root_doc:
        context["docstitle"] = ""  # the book's name once is enough
    first = next(iter(doctree.findall(nodes.paragraph)), None) if doctree else None
    text = " ".join(first.astext().split()) if first else app.config.html_title
    text = text if len(text) <= LONGEST else text[:LONGEST].rsplit(" ", 1)[0] + " ..."
    said = {"og:title": context.get("title") or app.config.html_title, "og:description": text, "og:type": "article"}
    said |= {"og:site_name": app.config.html_title, "twitter:card": "summary_large_image"}
    address = book.address()
    if book.is_public(address):  # a picture is found by its whole address only
        owner, name = address.removeprefix("https://github.com/").split("/")
        pages = f"https://{owner.lower()}.github.io/{name}"
        said |= {"og:url": f"{pages}/{pagename}.html", "og:image": f"{pages}/_static/two_memories.png"}
    tags = [f'<meta name="description" content="{html.escape(text)}" />']
    tags += [
        f'<meta property="{key}" content="{html.escape(re.sub("<[^>]*>", "", str(value)))}" />'
        for key, value in said.items()
    ]
    context["metatags"] = context.get("metatags", "") + "\n".join(tags)


def lighten(app, exception):
    """Take out of every page what it loads and never uses: icons as a script, and formulas' script where there are none."""
    for path in Path(app.outdir).rglob("*.html") if exception is None else ():
        text = UNUSED.sub("", path.read_text(encoding="utf8"))
        path.write_text(text if 'class="math' in text else FORMULAS.sub("", text), encoding="utf8")


def titled(app, config):
    """Keep the book's name beside its logo: theme options in _config.yml would replace those of jupyter-book."""
    config.html_theme_options.setdefault("logo", {})["text"] = config.html_title


def linked(app, config):
    """Show the button that leads to the repository as soon as the repository has an address."""
    options = config.html_theme_options
    options["use_repository_button"] = book.is_public(options["repository_url"])


def setup(app):
    app.connect("config-inited", titled)
    app.connect("config-inited", linked)
    app.connect("html-page-context", mend)
    app.connect("html-page-context", described)
    app.connect("build-finished", lighten)
    app.add_js_file("scroll.js", loading_method="defer")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
