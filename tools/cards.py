"""The claims page: a card per claim, with what the paper says, the criterion, our numbers beside it, and the verdict."""

import json
import math
import re
import tomllib

from tools import book
from tools.claims import criteria, judged, parts, verdict, word_of

VERDICTS = ("reproduced", "reproduced (small)", "in part", "not reproduced", "undecided", "not tested")
HEAD = """# Claims

**{count}**

{glance}
Each claim has a card below: what the paper says, the criterion that was fixed beforehand, our numbers beside its thresholds,
and the verdict. A number is a mean ± standard deviation over *n* independent seeds, or a share of pairs of seeds with an
interval by bootstrap over seeds. *Beyond it* counts standard errors (se) by which a number lies on the right side of its
threshold; a minus says that it falls short. The chapter computes numbers and verdict anew whenever it runs, and
`make claims` judges all of them again. All records of all chapters: {{download}}`records.json <results/records.json>`.
[The map](map.md) goes from what the paper shows to our figures.

A claim is *reproduced* when all its parts hold, *in part* when some do, and *not reproduced* when none does. It is
*reproduced (small)* when all its parts hold, but on graphs much smaller than the paper's. *Undecided* is what lies within
one standard error of its threshold, or is a tie; a claim is, when one part is and none holds. *Not tested* is what was not
judged, and a part that failed without its control. A *void* part compares nothing, by its criterion, and does not count.

Most criteria ask for five seeds or more; every number says how many there were, and a verdict on one or two is worth that
much. G(d, l) is the path-star with d arms of l nodes, the root included. v1 to v3 are the paper's versions on arXiv, App its
appendix.
"""
OWN = """## What we found

Findings of this book, not of the paper. Their criteria, too, were committed before their studies ran. What had been seen
beforehand stands on each card, or here: single runs on other seeds of O1, O2, O4 and O5.
"""
RULES = """## How the criteria were fixed

{disclosure}

{terms}
"""
MANY = 8
"""Numbers that a card shows at once; more are folded."""


def shown(root=book.ROOT):
    """Read what the paper shows, and where it is shown here."""
    return tomllib.loads((root / "book" / "figures.toml").read_text(encoding="utf8"))["figure"]


def plain(text):
    """Keep a cell from ending its row."""
    return text.replace("|", "\\|").replace("\n", " ")


def table(head, rows):
    """Write a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(plain(cell) for cell in line) + " |" for line in lines) + "\n"


def glance(claims, found):
    """Write claims as a short table: the verdict, and the number that decides it."""
    rows = []
    for claim in claims:
        judgements = [found.get((claim["id"], part)) for part in parts(claim)]
        name = f"{{ref}}`{claim['id']} <{anchor(claim)}>`"
        rows.append([name, claim["short"], verdict(claim, found), _deciding(judgements), _chapters(judgements)])
    return table(["", "claim", "verdict", "the number that decides", "chapter"], rows)


def anchor(row):
    """Return where a claim's card stands."""
    return f"claim-{row['id'].lower()}"


def _chapters(judgements):
    """Link the chapters that judge something."""
    stems = sorted({judgement[0] for judgement in judgements if judgement})
    return ", ".join(f"[{int(stem.partition('_')[0])}]({stem}.ipynb)" for stem in stems)


def _deciding(judgements):
    """Write the number that decides: of what fails, the one that falls shortest; of what holds, the one nearest to that."""
    parts_of = [(word_of(judgement), judgement[1].get("tests", ())) for judgement in judgements if judgement]
    for word in ("fails", "undecided", "holds"):
        tests = [test for of_part, tests in parts_of if of_part == word for test in tests if test["word"] == word]
        if tests:
            test = min(tests, key=lambda test: math.inf if test["distance"] is None else test["distance"])
            return f"{test['mean']:.3g} ({_asked(test)}{_beyond(test, ', ')})"
    return ""


def _asked(test):
    """Write a threshold: "at least 0.9"."""
    words = {">=": "at least", "<=": "at most", ">": "above", "<": "below"}
    return f"{words[test['sense']]} {test['threshold']:.3g}"


def _beyond(test, before=""):
    """Write a distance in standard errors; beyond 99 the number says nothing more."""
    far = test["distance"]
    if far is None:
        return ""
    shown = f"{far:+.1f}" if abs(far) < 99 else ("more than 99" if far > 0 else "below -99")
    return before + shown.replace("-", "−") + " se"


def card(row, found, drawn):
    """Write one claim."""
    word = verdict(row, found)
    judgements = {part: found.get((row["id"], part)) for part in parts(row)}
    colour = {"r": "success", "i": "warning", "u": "warning"}.get(word[0], "danger" if word.startswith("not r") else "muted")
    links = _chapters(judgements.values())
    lines = [
        f"({anchor(row)})=",
        f"### {row['id']}. {row['short']}",
        "",
        "`````{card}",
        f":class-card: verdict verdict-{colour}",
    ]
    lines += ["", f"{{bdg-{colour}}}`{word}`" + (f" judged in chapter {links}" if links else ""), ""]
    where = f" ({row['where']})" if row.get("where") else ""
    said = "The paper" if row["id"].startswith("C") else "Finding"
    lines += [f"**{said}:** {_sentence(row['statement'] + where)}", ""]
    if figures := [entry for entry in drawn if row["id"] in entry["claims"]]:
        ours = list(dict.fromkeys(name for entry in figures for name in entry["ours"]))
        lines += [f"**The paper's figure:** {'; '.join(entry['paper'] for entry in figures)}. **Ours:** "
                  + ", ".join(f"{{numref}}`{name}`" for name in ours) + ".", ""]  # fmt: skip
    lines += [f"**Criterion:** {_sentence(row['criterion'])}", "", _numbers(judgements)]
    notes = [row[key] for key in ("note", "small") if key in row and (key == "note" or "small" in word)]
    lines += [f"*{note}*\n" for note in notes]
    for old in row.get("amended", ()):
        was = f" Until then the criterion was: {_sentence(old['was'])}" if old.get("was") else ""
        lines += [
            f"````{{dropdown}} Amended on {old['date']}; until then: {old['verdict']}",
            f"{old['why']}{was}",
            "````",
            "",
        ]
    return "\n".join([*lines, "`````", ""])


def _sentence(text):
    """Begin with a capital, unless the name of a part comes first, and end with a full stop."""
    text = text.strip().rstrip(";")
    for typed, set_ in (("10^4", "10⁴"), ("^2", "²"), (">=", "≥"), ("<=", "≤"), ("+-", "±")):
        text = text.replace(typed, set_)
    if re.match(r"[^ ]+( [^ ]+)?:", text):
        return text + ("" if text.endswith(".") else ".")
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def _numbers(judgements):
    """Write what was asked of each part and what was found, and fold the numbers that stand beside it."""
    asked, beside = [], []
    for part, judgement in judgements.items():
        name = part or ""
        if judgement is None:
            asked.append([name, "", "", "", "not tested"])
            continue
        _, claim, evidence = judgement
        records = {record["name"]: record for record in evidence}
        tests = [(test, note) for key, note in (("tests", ""), ("control", " (control)")) for test in claim.get(key) or ()]
        for test, note in tests:
            record = records[test["record"]]
            limit = _asked(test)
            if test.get("against") in records:
                limit += f": {_label(records[test['against']])} and {test['errors']} se"
            asked.append([name, f"{_label(record)}{note}: {_value(record)}", limit, _beyond(test), test["word"]])
        if [test["word"] for test, note in tests if not note] != [word_of(judgement)]:
            asked.append([name, "*together*", "", "", f"**{word_of(judgement)}**"])
        named = {test[key] for test, _ in tests for key in ("record", "against") if key in test}
        beside += [[name, _label(record), _value(record)] for record in evidence if record["name"] not in named]
    head = ["part", "our number", "threshold", "beyond it", "verdict"]
    lines = table(head, asked)
    if len(asked) > MANY:
        lines = _folded("The numbers and their thresholds", lines)
    return lines + ("\n" + _folded("Further numbers", table(["part", "number", ""], beside)) if beside else "")


def _folded(title, content):
    return f"````{{dropdown}} {title}\n{content}````\n"


def _label(record):
    """Write what a record measures: its sentence without the number."""
    return re.sub(r"[:,]?\s*\{\}", "", record["template"]).rstrip(".").strip()


def _value(record):
    """Write a record's number with its spread, which no line may break."""
    before, _, after = record["template"].partition("{}")
    number = record["text"].removeprefix(before).removesuffix(after)
    return re.sub(r"(?<=±) | (?=±)|(?<=n) (?==)|(?<==) ", "\u00a0", number)


def page(root=book.ROOT):
    """Write the page, and the JSON of all records."""
    whole, (found, everything), drawn = criteria(root), judged(root), shown(root)
    words = [verdict(claim, found) for claim in whole["claim"]]
    count = f"Of {len(words)} claims: {', '.join(f'{words.count(word)} {word}' for word in VERDICTS)}."
    text = [HEAD.format(count=count, glance=glance(whole["claim"], found)), "## The paper's claims", ""]
    text += [card(claim, found, drawn) for claim in whole["claim"]]
    if own := whole.get("own"):
        text += [OWN, glance(own, found), *(card(row, found, drawn) for row in own)]
    text += [RULES.format(disclosure=whole["disclosure"].strip(), terms=whole["terms"].strip())]
    verdicts = [{**claim, "chapter": chapter} for chapter, claim, _ in found.values()]
    data = json.dumps({"claims": verdicts, "records": everything}, indent=1, sort_keys=True, allow_nan=False)
    return "\n".join(text), data + "\n"
