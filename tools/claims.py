"""The verdicts: what the chapters judged, page and summary of it, and the check that all of them agree.

``python -m tools.claims`` (``make claims``) judges every claim anew from the records, and these from the studies.
"""

import argparse
import json
import math
import tomllib

import geomem as gm
from geomem.reporting.records import answer
from tools import book

VERDICTS = ("reproduced", "reproduced (small)", "in part", "not reproduced", "undecided", "not tested")
HEAD = """# Claims

{disclosure}

**{count}**

Each number is a mean ± standard deviation over *n* independent seeds, or a share of pairs of seeds with an interval by
bootstrap over seeds. In brackets stands the threshold it was judged by, and how many standard errors (se) it lies beyond it;
a minus says that it falls short. The chapter behind the arrow computes it, and the verdict, anew whenever it runs;
`make claims` judges all of them again. All records of all chapters: {{download}}`records.json <results/records.json>`.
[The map](map.md) goes from what the paper shows to our figures.
"""
RULE = """
A claim is *reproduced* when all its parts hold, *in part* when some do, and *not reproduced* when none does. It is
*reproduced (small)* when all its parts hold, but on graphs much smaller than the paper's. *Undecided* is what lies within
one standard error of its threshold, or is a tie. *Not tested* is what was not judged, and a part that failed without its
control. A *void* part compares nothing, by its criterion, and does not count.
"""
AMENDED = """## Criteria that were amended

A criterion that turned out to be wrong was amended before the new runs; its old words and the verdict under them stay here.

| | until then | old verdict | now | why |
|---|---|---|---|---|
"""
OWN = """## What we found

Findings of this book, not of the paper. Their criteria, too, were committed before their studies ran; single runs on other
seeds had been seen of O1, O2, O4 and O5.
"""
HOLDS = {True: "holds", False: "fails", None: "not tested"}


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


def verdict(row, found):
    """Sum up a claim from the words of its parts."""
    words = {part: word_of(found.get((row["id"], part))) for part in parts(row)}
    words = {part: word for part, word in words.items() if word != "void"} or {None: "not tested"}
    here = set(words.values())
    small = [part for part in row.get("small_parts", parts(row)) if part in words] if "small" in row else []
    if here == {"holds"} and set(words) - set(small):
        return "reproduced"
    if small and all(words[part] == "holds" for part in small) and not here & {"fails", "undecided"}:
        return "reproduced (small)"
    if "holds" in here:
        return "in part"
    return "undecided" if "undecided" in here else "not reproduced" if "fails" in here else "not tested"


def word_of(judged_part):
    """Return what a chapter says of a part: holds, fails, undecided, void, not tested."""
    if judged_part is None:
        return "not tested"
    return judged_part[1].get("word") or HOLDS[judged_part[1]["holds"]]


def _row(claim, found):
    """Write a claim as one row of the table."""
    numbers = []
    for part in parts(claim):
        chapter, judgement, evidence = found.get((claim["id"], part), (None, {}, []))
        if chapter:
            label = [f"*{part}* {word_of((chapter, judgement))}:"] if part else []
            numbers.append("<br>".join(label + _grouped(evidence, judgement)) + f" [→]({chapter}.ipynb)")
        elif part:
            numbers.append(f"*{part}*: not tested")
    where = f" ({claim['where']})" if claim.get("where") else ""
    word = verdict(claim, found)
    tested = any((claim["id"], part) in found for part in parts(claim))
    shown = ["<br>".join(numbers), f"**{word}**"] if tested else ["", word]
    notes = [claim[key] for key in ("note", "small") if key in claim and (key == "note" or "small" in word)]
    cells = [f"**{claim['id']}**", claim["statement"] + where + "".join(f"<br>*{note}*" for note in notes), *shown]
    return "| " + " | ".join(plain(cell) for cell in cells) + " |", word


def _grouped(evidence, judgement):
    """Join the records that measure one thing in several places: "Recall, grid: 1." and "Recall, ring: 1." share a line."""
    lines = {}
    for record in evidence:
        text = record["text"].rstrip(".").replace(" ± ", "\u00a0±\u00a0").replace("n = ", "n\u00a0=\u00a0")
        tests = [test for key in ("tests", "control") for test in judgement.get(key, ()) if test["record"] == record["name"]]
        text += f" [{'; '.join(map(_asked, tests))}]" if tests else ""
        head, comma, place = text.partition(", ")
        lines.setdefault(head + ": " if comma else head, []).append(place)
    return [head + "; ".join(places) for head, places in lines.items()]


def _asked(test):
    """Write a test's threshold and distance: "≥ 0.9, +4.7 se"."""
    sign = {">=": "≥", "<=": "≤"}.get(test["sense"], test["sense"])
    threshold = f"{test['threshold']:.3g}"
    if "against" in test:
        threshold += f", that of {test['against'].replace('_', ' ')} and {test['errors']} se"
    return f"{sign} {threshold}" + (f", {_far(test['distance'])} se" if test["distance"] is not None else "")


def _far(distance):
    """Write a distance in standard errors; beyond 99 the number says nothing more."""
    return f"{distance:+.1f}" if abs(distance) < 99 else f"{math.copysign(99, distance):+.0f} or more"


def plain(text):
    """Keep a cell from ending its row."""
    return text.replace("|", "\\|").replace("\n", " ")


def glance(table, found):
    """Write the claims as a short table for the first page: the verdict, and the number that is nearest to its threshold."""
    rows = ["| | claim | verdict | nearest to its threshold | chapter |", "|---|---|---|---|---|"]
    for claim in table["claim"]:
        judgements = [found.get((claim["id"], part)) for part in parts(claim)]
        chapters = sorted({judged[0] for judged in judgements if judged})
        links = ", ".join(f"[{int(stem.partition('_')[0])}]({stem}.ipynb)" for stem in chapters)
        cells = [claim["id"], plain(claim["short"]), verdict(claim, found), plain(_nearest(judgements)), links]
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows) + "\n"


def _nearest(judgements):
    """Write the test with the least distance to its threshold, those that fail first."""
    tests = [test for judged in judgements if judged for test in judged[1].get("tests", ())]
    order = {"fails": 0, "undecided": 1, "holds": 2}
    far = [(order[test["word"]], abs(test["distance"] if test["distance"] is not None else math.inf)) for test in tests]
    if not tests:
        return ""
    test = tests[far.index(min(far))]
    return f"{test['mean']:.3g} [{_asked({k: v for k, v in test.items() if k != 'against'})}]"


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
    text += [f"| **{claim['id']}** | {plain(claim['criterion'])} |" for claim in rows_of(table)]
    if amended := [(row, old) for row in rows_of(table) for old in row.get("amended", ())]:
        text += [AMENDED + "\n".join(_amendment(row, old, found) for row, old in amended)]
    verdicts = [{**claim, "chapter": chapter} for chapter, claim, _ in found.values()]
    data = json.dumps({"claims": verdicts, "records": everything}, indent=1, sort_keys=True, allow_nan=False)
    return "\n".join(text) + "\n", data + "\n"


def _amendment(row, old, found):
    """Write one amendment as a row: old words and verdict, new verdict, reason."""
    cells = [f"**{row['id']}**", old.get("was", ""), old["verdict"], verdict(row, found), f"{old['date']}: {old['why']}"]
    return "| " + " | ".join(plain(cell) for cell in cells) + " |"


def disagreements(root=book.ROOT, studies=None):
    """List where a verdict does not follow from its records, or a record not from its study."""
    found, everything = judged(root)
    said = []
    for (identity, part), (chapter, judgement, _) in found.items():
        if "asked" not in judgement or judgement["profile"] == "smoke":
            continue
        word = answer({"void": [], "seeds": 1} | judgement["asked"], everything[chapter])[0]
        if word != judgement["word"]:
            said.append(f"{_name(identity, part)} in {chapter}: its records say {word!r}, it says {judgement['word']!r}.")
    for chapter, records in everything.items():
        for record in records.values():
            if "study" in record and "interval" not in record:
                name, *path = record["study"]
                values = gm.load_study(name, folder=studies).at(*path).tolist()
                if not _same(values, record["values"]):
                    said.append(f"{record['name']} in {chapter}: the study {name} has other values.")
    return said


def _same(a, b):
    return len(a) == len(b) and all(math.isclose(x, y, rel_tol=1e-6, abs_tol=1e-9) for x, y in zip(a, b, strict=True))


def main(argv=None, root=book.ROOT, studies=None):
    argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0]).parse_args(argv)
    from tools import pages  # it reads this module

    if said := disagreements(root, studies):
        raise book.UserError("\n".join(said))
    pages.main(["--check"], root=root)
    table, (found, everything) = criteria(root), judged(root)
    for row in rows_of(table):
        print(f"{row['id']:<4} {verdict(row, found)}")
    known = sum("study" in record for records in everything.values() for record in records.values())
    anew = sum("asked" in claim for _, claim, _ in found.values())
    print(f"Judged anew: {anew} of {len(found)} parts; {known} records compared with their studies.")


if __name__ == "__main__":
    book.run(main)
