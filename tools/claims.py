"""The verdicts: what the chapters judged, and the check that pages, chapters, records and studies agree.

``python -m tools.claims`` (``make claims``) judges every claim anew from the records, and these from the studies.
"""

import argparse
import math
import tomllib

import geomem as gm
from geomem.reporting.records import answer
from tools import book

VERDICTS = ("reproduced", "reproduced (small)", "in part", "not reproduced", "undecided", "not tested")
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
