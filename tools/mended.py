"""A Sphinx extension that mends what the page's makers left: roles that ARIA has dropped, what a keyboard cannot reach.

``_config.yml`` names it; the site is always built from the repository's root, where ``tools`` is found.
"""

# docutils writes the first two; ARIA deprecated the one, and its list may hold no link to an entry's own page.
ROLES = (' role="doc-biblioentry"', ""), ('<div role="list" class="citation-list">', '<div class="citation-list">')


def mend(app, pagename, templatename, context, doctree):
    """Mend the body of one page."""
    for found, better in ROLES:
        context["body"] = context.get("body", "").replace(found, better)


def setup(app):
    app.connect("html-page-context", mend)
    app.add_js_file("scroll.js", loading_method="defer")
    return {"parallel_read_safe": True, "parallel_write_safe": True}
