"""Write the claims page from the criteria and what the committed chapters recorded.

``python -m tools.pages [--check]``
"""

import argparse
import json
import tomllib

import geomem as gm
from tools import book

VERDICTS = ("reproduced", "in part", "not reproduced", "not tested")
HEAD = """# Claims

{disclosure}

**{count}**

Each number is a mean ± standard deviation over *n* seeds, or over what it names instead; the chapter behind its arrow
computes it, and the verdict, anew whenever it runs. All records of all chapters:
{{download}}`records.json <results/records.json>`.
"""
RULE = """
A claim is *reproduced* when all its parts hold, *in part* when some do, *not reproduced* when none does, and
*not tested* while none is judged. A part that failed without its control counts as not tested.
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
                raise book.UserError(f"{_name(*key)} in {chapter.stem} rests on {lacking[0]!r}, which is no record.")
            found[key] = chapter.stem, claim, [records[name] for name in claim["evidence"]]
    known = {(row["id"], part) for row in criteria(root)["claim"] for part in parts(row)}
    if strange := found.keys() - known:
        raise book.UserError(f"book/claims.toml knows no {_name(*sorted(strange, key=str)[0])}.")
    return found, everything


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
    where = f" ({claim['where']})" if claim["where"] else ""
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
        head, comma, place = record["text"].rstrip(".").partition(", ")
        lines.setdefault(head + ": " if comma else head, []).append(place)
    return [head + "; ".join(places) for head, places in lines.items()]


def _word(holds):
    return {True: "holds", False: "fails", None: "not tested"}[holds]


def _plain(text):
    """Keep a cell from ending its row."""
    return text.replace("|", "\\|").replace("\n", " ")


def page(root=book.ROOT):
    """Write the page, and the JSON of all records."""
    table, (found, everything) = criteria(root), judged(root)
    rows, words = zip(*(_row(claim, found) for claim in table["claim"]), strict=True)
    count = ", ".join(f"{words.count(word)} {word}" for word in VERDICTS)
    text = [HEAD.format(disclosure=table["disclosure"].strip(), count=f"Of {len(rows)} claims: {count}.")]
    text += ["| | claim (where in the paper) | our numbers | verdict |", "|---|---|---|---|", *rows, RULE]
    text += ["## Criteria, fixed beforehand", "", table["terms"].strip(), "", "| | criterion |", "|---|---|"]
    text += [f"| **{claim['id']}** | {_plain(claim['criterion'])} |" for claim in table["claim"]]
    verdicts = [{**claim, "chapter": chapter} for chapter, claim, _ in found.values()]
    data = json.dumps({"claims": verdicts, "records": everything}, indent=1, sort_keys=True, allow_nan=False)
    return "\n".join(text) + "\n", data + "\n"


def main(argv=None, root=book.ROOT):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a page is stale")
    options = parser.parse_args(argv)
    paths = root / "book" / "claims.md", root / "book" / "results" / "records.json"
    for path, text in zip(paths, page(root), strict=True):
        if options.check and (not path.exists() or path.read_text(encoding="utf8") != text):
            raise book.UserError(f"{path.relative_to(root)} is stale: run `make refresh`.")
        if not options.check:
            book.write_whole(path, text)


if __name__ == "__main__":
    book.run(main)
