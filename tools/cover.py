"""Draw the picture of the landing page and the README from trained embeddings: ``python -m tools.cover``."""

import matplotlib

matplotlib.use("Agg")

import geomem as gm
from geomem import figures
from tools import book

TARGET = book.ROOT / "book" / "static" / "two_memories.png"


def median_run(tables, g):
    """Return the table with the median geometric order: the book's rule for a picture of one run."""
    order = gm.geometric_order(tables, g)
    return tables[order.argsort()[len(order) // 2]]


def main():
    star = gm.path_star(4, 5)
    frozen = gm.train_ensemble(star, frozen=True, init_std=32**-0.5, seeds=range(11))
    if frozen.edge_recall[-1].min() < 1:
        raise SystemExit("The frozen memory does not recall every edge: the caption would be wrong.")
    flow = gm.gradient_flow(star, seeds=range(11))
    axes = figures.panels(1, 3, height=3.0)[0]
    figures.name(figures.draw_graph(star, axes[0]), "the graph")
    figures.name(figures.embedding(median_run(frozen.embeddings[-1], star), star, axes[1]), "a look-up")
    figures.name(figures.embedding(median_run(flow.embeddings[-1], star), star, axes[2]), "a map")
    axes[0].figure.savefig(TARGET, dpi=100, metadata={"Software": None})
    print(TARGET.relative_to(book.ROOT))


if __name__ == "__main__":
    main()
