"""The command ``geomem measure``: is a table of embeddings a map of these facts?"""

import base64
import html
import io
import json
from pathlib import Path

from ..graphs import Graph
from ..measures import Measured, Table, measure, read_table
from ..training import checkpoints
from .graph import add_reading, graph_of

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<style>body{{font:16px/1.5 sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#333}}img{{max-width:100%}}
pre{{overflow-x:auto;background:#f6f6f6;padding:1rem}}</style></head>
<body><h1>{title}</h1><p><strong>{verdict}</strong></p>
<img alt="{alt}" src="data:image/png;base64,{image}">
<p>{caption}</p><pre>{summary}</pre><p>{sources}</p><h2>What this does not say</h2><p>{limits}</p></body></html>
"""
ALT = (
    "The graph, the table in two components, mean cosine by hop distance, and cumulative energy, as far as each can be drawn"
)
CAPTION = (
    "A map falls from near to far, and leaves the grey band, which is what the same rows score when they are dealt to other "
    "nodes; its energy rises above the dotted chance line at the left. The table is drawn on its two leading principal "
    "components, turned to resemble the graph."
)
LIMITS = (
    "A map here means that pairs three or more hops apart are ordered by their distance; a table that only mixes neighbours "
    "of neighbours twice has some of that too. Nodes that differ in nothing but their number of neighbours, or in how "
    "often their names occur in a text, can look ordered. The verdict is about this table and these facts: other facts that "
    "the model knows, and how it uses the table, are not seen."
)


def add_measure(commands) -> None:
    """Add ``measure``."""
    p = commands.add_parser("measure", help="ask whether a table of embeddings is a map of a file of facts")
    p.set_defaults(run=_measure)
    p.add_argument("table", metavar="TABLE", help=".npy, .npz, .safetensors, .pt, .csv, .json, word2vec or GloVe text")
    p.add_argument("--graph", dest="file", required=True, metavar="FACTS", help="a file of facts, or a graph's name")
    p.add_argument(
        "--names", metavar="FILE",
        help="names of the rows, one per line; 'order' if they stand in the order of the facts' nodes, 'number' if the"
        " nodes are numbers and row 0 is node 0",
    )  # fmt: skip
    p.add_argument("--tensor", metavar="NAME", help="which tensor or array is the table, where the file has several")
    p.add_argument("--null", type=int, default=100, metavar="N", help="draws of each null [%(default)s]")
    p.add_argument("--seed", type=int, default=0, metavar="N", help="draws them [%(default)s]")
    p.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    p.add_argument("--page", metavar="OUT.html", help="write a page with a figure, which needs no network")
    add_reading(p)


def _measure(args) -> None:
    """Read both, measure, and say what was found."""
    if args.page is not None and not Path(args.page).absolute().parent.is_dir():
        raise ValueError(f"page must lie in a folder that is there, got {args.page!r}. Make the folder first.")
    graph, warned = graph_of(args)
    named = {"names": args.names} if args.names not in (None, "order", "number") else {}
    table = read_table(args.table, tensor=args.tensor, **named)
    table = _in_order(table, graph, args.names)
    found = measure(table, graph, null=args.null, seed=args.seed)
    if args.page is not None:
        checkpoints.write_whole(Path(args.page), page(found, [table.source, graph.source, *warned]).encode())
    if args.json:
        about = {"table": table.source, "facts": graph.source, "warnings": warned}
        print(json.dumps(about | found.to_dict(), allow_nan=False))
    else:
        said = [table.source, graph.source or repr(graph), *(f"Attention: {text}" for text in warned)]
        print("\n".join([*said, "", found.summary()]))


def _in_order(table: Table, graph: Graph, names: str | None) -> Table:
    """Return the table with names where it brings none; numbered nodes in another order are not guessed at."""
    if names == "number":
        return table._replace(names=tuple(map(str, range(len(table.rows)))))
    if names == "order":
        return table._replace(names=None)
    if table.names is None and all(label.isdecimal() for label in graph.labels):
        numbers = [int(label) for label in graph.labels]
        if numbers != list(range(graph.n_nodes)):
            raise ValueError(f"names must be given: the nodes are numbers, in the order {numbers[:4]} of the facts. Write "
                             "--names number if row 0 is that of node 0, --names order if it is that of the facts' first "
                             "node, or --names FILE.")  # fmt: skip
    return table


def page(found: Measured, sources: list[str]) -> str:
    """Return a result as one HTML page that asks no host for anything; whatever a name holds, it is text.

    Args:
        found: The result of ``measure``.
        sources: Sentences about the files.

    Source:
        Ours.
    """
    import matplotlib.pyplot as plt

    from ..reporting import figures

    axes = figures.measured(found)
    picture = io.BytesIO()
    axes[0, 0].figure.savefig(picture, format="png", dpi=120)
    plt.close(axes[0, 0].figure)
    texts = {
        "title": f"Is this table a map of {found.matched.graph.name}?", "verdict": found.verdict, "alt": ALT,
        "caption": CAPTION, "summary": found.summary(), "sources": " ".join(filter(None, sources)), "limits": LIMITS,
    }  # fmt: skip
    shown = {key: html.escape("".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text))
             for key, text in texts.items()}  # fmt: skip
    return PAGE.format(image=base64.b64encode(picture.getvalue()).decode(), **shown)
