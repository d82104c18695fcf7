"""Write the claims page, the first page's summary and explorable, and the map of the paper's figures.

They follow from the criteria, from book/figures.toml, and from what the committed chapters recorded.

``python -m tools.pages [--check]``
"""

import argparse
import html
import json
import re
import tomllib

import nbformat

import geomem as gm
from geomem import runner
from geomem.runner.notebooks import of_notebook
from tools import book

VERDICTS = ("reproduced", "in part", "not reproduced", "not tested")
HEAD = """# Claims

{disclosure}

**{count}**

Each number is a mean ± standard deviation over *n* seeds, or over what it names instead; the chapter behind its arrow
computes it, and the verdict, anew whenever it runs. All records of all chapters:
{{download}}`records.json <results/records.json>`. [The map](map.md) goes from what the paper shows to our figures.
"""
PLACE = r"(?<=% {0}: written by tools/pages.py\n).*?(?=% end of {0}\n)"
ISLAND = re.compile(r'(?<=data-explorable=")[^"]*')
MAP = """# From the paper to this book

What the paper shows, where it is shown here, which parameters of the chapter make it anew for another case, and what
differs. The paper's figures are named by their content. Where a caption names a study, its seeds are recorded, and the
parameters train one run of it anew. The claims are those of [the claims page](claims.md).

| in the paper | here | parameters | what differs |
|---|---|---|---|
"""
RULE = """
A claim is *reproduced* when all its parts hold, *in part* when some do, *not reproduced* when none does, and
*not tested* while none is judged. A part that failed without its control counts as not tested.
"""
OWN = """## What we found

Findings of this book, not of the paper. Their criteria, too, were committed before their studies ran; single runs on other
seeds had been seen of O1, O2, O4 and O5.
"""


def criteria(root=book.ROOT):
    """Read the claims and the criteria fixed beforehand."""
    return tomllib.loads((root / "book" / "claims.toml").read_text(encoding="utf8"))


def recorded(chapter):
    """Collect one chapter's records by name, and its claims in order."""
    found = gm.load_records(chapter)
    names = [record["name"] for record in found["record"]]
    if twice := {name for name in names if names.count(name) > 1}:
        raise book.UserError(f"{chapter.stem} records {sorted(twice)[0]!r} twice.")
    return dict(zip(names, found["record"], strict=True)), found["claim"]


def judged(root=book.ROOT):
    """Gather {(id, part): (chapter, claim, records of its evidence)}, and all records by chapter."""
    found, everything = {}, {}
    for chapter in book.chapters(root):
        records, claims = recorded(chapter)
        everything[chapter.stem] = records
        for claim in claims:
            key = claim["id"], claim["part"]
            if key in found:
                raise book.UserError(f"{_name(*key)} is judged twice, in {found[key][0]} and {chapter.stem}.")
            if lacking := [name for name in claim["evidence"] if name not in records]:
                raise book.UserError(f"{_name(*key)} in {chapter.stem} rests on {lacking[0]!r}, which is not a record.")
            found[key] = chapter.stem, claim, [records[name] for name in claim["evidence"]]
    known = {(row["id"], part) for row in rows_of(criteria(root)) for part in parts(row)}
    if strange := found.keys() - known:
        raise book.UserError(f"book/claims.toml knows no {_name(*sorted(strange, key=str)[0])}.")
    return found, everything


def rows_of(table):
    """List the paper's claims and our own findings."""
    return [*table["claim"], *table.get("own", ())]


def parts(row):
    """List a claim's parts; a claim without any is its own only part."""
    return row.get("parts") or [None]


def _name(identity, part):
    return identity if part is None else f"{identity} ({part})"


def verdict(holds):
    """Sum up whether each declared part holds: True, False, or None where it was not judged."""
    if all(holds):
        return "reproduced"
    if any(holds):
        return "in part"
    return "not reproduced" if False in holds else "not tested"


def _row(claim, found):
    """Write a claim as one row of the table."""
    holds, numbers = [], []
    for part in parts(claim):
        chapter, judgement, evidence = found.get((claim["id"], part), (None, {"holds": None}, []))
        holds.append(judgement["holds"])
        if chapter:
            label = [f"*{part}* {_word(judgement['holds'])}:"] if part else []
            numbers.append("<br>".join(label + _grouped(evidence)) + f" [→]({chapter}.ipynb)")
        elif part:
            numbers.append(f"*{part}*: not tested")
    where = f" ({claim['where']})" if claim.get("where") else ""
    word = verdict(holds)
    tested = word != "not tested"
    shown = ["<br>".join(numbers), f"**{word}**"] if tested else ["", word]
    note = f"<br>*{claim['note']}*" if "note" in claim else ""
    cells = [f"**{claim['id']}**", claim["statement"] + where + note, *shown]
    return "| " + " | ".join(_plain(cell) for cell in cells) + " |", word


def _grouped(evidence):
    """Join the records that measure one thing in several places: "Recall, grid: 1." and "Recall, ring: 1." share a line."""
    lines = {}
    for record in evidence:
        text = record["text"].rstrip(".").replace(" ± ", "\u00a0±\u00a0").replace("n = ", "n\u00a0=\u00a0")
        head, comma, place = text.partition(", ")
        lines.setdefault(head + ": " if comma else head, []).append(place)
    return [head + "; ".join(places) for head, places in lines.items()]


def _word(holds):
    return {True: "holds", False: "fails", None: "not tested"}[holds]


def _plain(text):
    """Keep a cell from ending its row."""
    return text.replace("|", "\\|").replace("\n", " ")


def glance(table, found):
    """Write the claims as a short table for the first page."""
    rows = ["| | claim | verdict | chapter |", "|---|---|---|---|"]
    for claim in table["claim"]:
        judgements = [found.get((claim["id"], part)) for part in parts(claim)]
        word = verdict([judged and judged[1]["holds"] for judged in judgements])
        chapters = sorted({judged[0] for judged in judgements if judged})
        links = ", ".join(f"[{int(stem.partition('_')[0])}]({stem}.ipynb)" for stem in chapters)
        rows.append(f"| {claim['id']} | {_plain(claim['short'])} | {word} | {links} |")
    return "\n".join(rows) + "\n"


def shown(root=book.ROOT):
    """Read what the paper shows, and where it is shown here."""
    return tomllib.loads((root / "book" / "figures.toml").read_text(encoding="utf8"))["figure"]


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
        rows.append("| " + " | ".join(_plain(cell) for cell in cells) + " |")
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


def page(root=book.ROOT):
    """Write the page, and the JSON of all records."""
    table, (found, everything) = criteria(root), judged(root)
    rows, words = zip(*(_row(claim, found) for claim in table["claim"]), strict=True)
    count = ", ".join(f"{words.count(word)} {word}" for word in VERDICTS)
    text = [HEAD.format(disclosure=table["disclosure"].strip(), count=f"Of {len(rows)} claims: {count}.")]
    text += ["| | claim (where in the paper) | our numbers | verdict |", "|---|---|---|---|", *rows, RULE]
    if own := table.get("own"):
        text += [
            OWN,
            "| | finding | our numbers | verdict |",
            "|---|---|---|---|",
            *(_row(row, found)[0] for row in own),
            "",
        ]
    text += ["## Criteria, fixed beforehand", "", table["terms"].strip(), "", "| | criterion |", "|---|---|"]
    text += [f"| **{claim['id']}** | {_plain(claim['criterion'])} |" for claim in rows_of(table)]
    verdicts = [{**claim, "chapter": chapter} for chapter, claim, _ in found.values()]
    data = json.dumps({"claims": verdicts, "records": everything}, indent=1, sort_keys=True, allow_nan=False)
    return "\n".join(text) + "\n", data + "\n"


def written(root=book.ROOT):
    """Write every page that follows from others: {path: text}."""
    folder = root / "book"
    first = (folder / "intro.md").read_text(encoding="utf8")
    first = _filled(first, "claims", "\n" + glance(criteria(root), judged(root)[0]) + "\n")
    first = _filled(first, "explorable", "\n" + island("watch", root, running=True) + "\n\n")
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
