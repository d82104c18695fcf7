"""Write the claims page, the first page's summary and explorable, and the map of the paper's figures.

They follow from the criteria (see tools/claims.py and tools/cards.py), from book/figures.toml, and from what the committed
chapters recorded.

``python -m tools.pages [--check]``
"""

import argparse
import html
import json
import re

import nbformat

from geomem import runner
from geomem.runner.notebooks import of_notebook
from tools import book
from tools.cards import glance, page, plain, shown
from tools.claims import criteria, judged

PLACE = r"(?<=% {0}: written by tools/pages.py\n).*?(?=% end of {0}\n)"
ISLAND = re.compile(r'(?<=data-explorable=")[^"]*')
MAP = """# From the paper to this book

What the paper shows, where it is shown here, which parameters of the chapter make it anew for another case, and what
differs. The paper's figures are named by their content. Where a caption names a study, its seeds are recorded, and the
parameters train one run of it anew. The claims are those of [the claims page](claims.md).

| in the paper | here | parameters | what differs |
|---|---|---|---|
"""


def drawn(chapter):
    """List the names of a chapter's figures, in order."""
    cells = nbformat.read(chapter, as_version=4).cells
    return [cell.metadata.mystnb.figure.name for cell in cells if "figure" in cell.metadata.get("mystnb", {})]


def atlas(root=book.ROOT):
    """Write the map from the paper's figures to ours."""
    home = {name: chapter for chapter in book.chapters(root) for name in drawn(chapter)}
    rows = []
    claims = {claim["id"] for claim in criteria(root)["claim"]}
    for entry in shown(root):
        if unknown := [name for name in entry["claims"] if name not in claims]:
            raise book.UserError(f"book/figures.toml names {unknown[0]!r}, which is not a claim.")
        if lacking := [name for name in entry["ours"] if name not in home]:
            raise book.UserError(f"book/figures.toml names {lacking[0]!r}, which no chapter draws.")
        places = list(dict.fromkeys(home[name] for name in entry["ours"]))
        known = {name for place in places for name in of_notebook(place)}
        if strange := [name for name in entry["parameters"] if name not in known]:
            raise book.UserError(f"book/figures.toml names {strange[0]!r}, which is not a parameter of {places[0].stem}.")
        here = [
            f"[{runner.title(p)}]({p.name}): " + ", ".join(f"{{numref}}`{n}`" for n in entry["ours"] if home[n] == p)
            for p in places
        ]
        tested = f" ({', '.join(entry['claims'])})" if entry["claims"] else ""
        names = ", ".join(f"`{name}`" for name in entry["parameters"])
        cells = [entry["paper"] + tested, "<br>".join(here), names, entry["differs"]]
        rows.append("| " + " | ".join(plain(cell) for cell in cells) + " |")
    return MAP + "\n".join(rows) + "\n"


def island(kind, root=book.ROOT, **values):
    """Take an explorable from the chapter that shows it first, with other values of what a reader may change."""
    cells = [cell for path in book.chapters(root) for cell in nbformat.read(path, as_version=4).cells]
    outputs = [out for cell in cells for out in cell.get("outputs", ())]
    for text in (out.get("data", {}).get("text/html", "") for out in outputs):
        if (found := ISLAND.search(text)) and (own := json.loads(html.unescape(found[0])))["kind"] == kind:
            whole = json.dumps(own | values, separators=(",", ":"), sort_keys=True)
            return text.replace(found[0], html.escape(whole))
    raise book.UserError(f"No chapter shows the explorable {kind!r}.")


def written(root=book.ROOT):
    """Write every page that follows from others: {path: text}."""
    folder = root / "book"
    first = (folder / "intro.md").read_text(encoding="utf8")
    first = _filled(first, "claims", "\n" + glance(criteria(root)["claim"], judged(root)[0]) + "\n")
    first = _filled(first, "explorable", "\n" + island("watch", root, running=True, more=False) + "\n\n")
    text, data = page(root)
    return {
        folder / "claims.md": text,
        folder / "results" / "records.json": data,
        folder / "intro.md": first,
        folder / "map.md": atlas(root),
    }


def _filled(text, name, content):
    """Put what is written here between the two lines that keep its place."""
    place = re.compile(PLACE.format(name), re.DOTALL)
    if not place.search(text):
        raise book.UserError(f"book/intro.md has no place for the {name}: two lines that begin with %.")
    return place.sub(lambda _: content, text)


def main(argv=None, root=book.ROOT):
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a page is stale")
    options = parser.parse_args(argv)
    for path, text in written(root).items():
        book.follow(path, text, check=options.check, remedy="make refresh", root=root)


if __name__ == "__main__":
    book.run(main)
