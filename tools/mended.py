"""A Sphinx extension that mends what the makers of a page left: roles that ARIA dropped, and what no keyboard reaches.

``_config.yml`` names it; the site is always built from the repository's root, where ``tools`` is found.
"""

from tools import book

# docutils writes the first two; ARIA deprecated the one, and its list may hold no link to an entry's own page.
ROLES = (' role="doc-biblioentry"', ""), ('<div role="list" class="citation-list">', '<div class="citation-list">')


def mend(app, pagename, templatename, context, doctree):
    """Mend the body of one page."""
    for found, better in ROLES:
        context["body"] = context.get("body", "").replace(found, better)


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
    app.add_js_file("scroll.js", loading_method="defer")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
