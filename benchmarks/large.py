"""Print how the cost of a large graph grows, from the study ``large``: seconds of the processor, memory, and exponents.

``.venv/bin/python -m tools.studies --only large`` makes the study, ``.venv/bin/python benchmarks/large.py`` the tables.
"""

import math

import geomem as gm

COSTS = {"reading": "reading, s", "pass": "a pass, s", "training": "training, s", "measuring": "measuring, s"}


def rows_of(study, condition: str) -> list[dict]:
    """Return the rows of the first seed, smallest graph first, with the seconds of one pass over the facts."""
    rows = study.runs[condition][0]["rows"]
    return [row | {"pass": row["training"] / row["passes"]} for row in rows]


def exponent(rows: list[dict], what: str) -> float:
    """Return the power of the number of nodes with which something grew between the two largest graphs."""
    small, large = rows[-2:]
    return math.log(large[what] / small[what]) / math.log(large["nodes"] / small["nodes"])


def main() -> None:
    """Print one table of costs and one of recall."""
    study = gm.load_study("large")
    print("| graph, model | nodes | edges | " + " | ".join(COSTS.values()) + " | memory, GB |")
    print("| --- |" + " ---: |" * (len(COSTS) + 3))
    for condition in study.runs:
        rows = rows_of(study, condition)
        for row in rows:
            costs = " | ".join(f"{row[what]:.3g}" for what in COSTS)
            print(f"| {condition} | {row['nodes']:,} | {row['edges']:,} | {costs} | {row['memory'] / 1e9:.2f} |")
        grown = " | ".join("" if what == "training" else f"{exponent(rows, what):.2f}" for what in COSTS)
        print(f"| exponent | | | {grown} | {exponent(rows, 'memory'):.2f} |")
    print("\n| graph, model | nodes | passes | edges recalled | of the smallest graph's |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for condition in study.runs:
        rows = rows_of(study, condition)
        for row in rows:
            value, error = row["edge_recall"]
            share = value / rows[0]["edge_recall"][0]
            print(f"| {condition} | {row['nodes']:,} | {row['passes']} | {value:.3f} ± {error:.3f} | {share:.2f} |")


if __name__ == "__main__":
    main()
