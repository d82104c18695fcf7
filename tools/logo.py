"""Draw the logo, which is also the favicon, from a learned embedding: ``python -m tools.logo``."""

import numpy as np
from matplotlib.colors import to_hex

import geomem as gm
from geomem import figures
from tools import book

TARGET = book.ROOT / "book" / "static" / "logo.svg"
SIZE, EDGE = 64, 7  # of the picture, and around it
GREY = "#808080"  # stands out from white and from the dark page alike


def places(g):
    """Lay out a graph as Node2Vec does: its table, seen from where it resembles the graph's drawing most."""
    table = gm.gradient_flow(g, seeds=range(1)).embeddings[-1, 0].double().numpy()
    table -= table.mean(0)
    target = figures.layout(g) - figures.layout(g).mean(0)
    left, _, right = np.linalg.svd(table.T @ target, full_matrices=False)
    flat = table @ left @ right
    return SIZE / 2 + flat * (SIZE / 2 - EDGE) / np.abs(flat).max()


def draw():
    """Write the picture as SVG; its numbers are rounded to what every machine agrees on."""
    g = gm.path_star(4, 3)
    spots = places(g).round(1) + 0.0
    colors = [GREY if node == g.root else to_hex(color) for node, color in enumerate(figures.node_colors(g))]
    lines = [f'<path d="M{spots[u][0]} {spots[u][1]}L{spots[v][0]} {spots[v][1]}"/>' for u, v in g.edges.tolist()]
    dots = [f'<circle cx="{x}" cy="{y}" r="6" fill="{color}"/>' for (x, y), color in zip(spots, colors, strict=True)]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIZE} {SIZE}">'
    edges = f'<g stroke="{GREY}" stroke-width="4" stroke-linecap="round">{"".join(lines)}</g>'
    return "\n".join([head, "<title>A star of four arms, as Node2Vec lays it out</title>", edges, *dots, "</svg>"]) + "\n"


def main():
    book.write_whole(TARGET, draw())
    print(TARGET.relative_to(book.ROOT))


if __name__ == "__main__":
    main()
