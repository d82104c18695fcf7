"""Draw the logo, which is also the favicon, from a learned embedding: ``python -m tools.logo``."""

import numpy as np
from scipy.linalg import orthogonal_procrustes

import geomem as gm
from geomem import figures
from tools import book

TARGET = book.ROOT / "book" / "static" / "logo.svg"
SIZE, EDGE = 64, 7  # of the picture, and around it
RADIUS = 4
GREY = "#808080"  # like the others, it stands out from white and from the dark page alike
COLORS = ("#0072b2", "#d55e00", "#009e73", "#b5639a")


def places(g):
    """Lay out a graph as Node2Vec does: its table, seen from where it resembles the graph's drawing most."""
    table = gm.gradient_flow(g, seeds=range(1)).embeddings[-1, 0].double().numpy()
    table -= table.mean(0)
    target = figures.layout(g) - figures.layout(g).mean(0)
    solid = np.pad(target, ((0, 0), (0, table.shape[1] - 2)))
    flat = (table @ orthogonal_procrustes(table, solid)[0])[:, :2]
    return SIZE / 2 + flat * (SIZE / 2 - EDGE) / np.abs(flat).max()


def draw():
    """Write the picture as SVG; its numbers are rounded to what every machine agrees on."""
    g = gm.path_star(4, 4)
    spots = places(g).round(1) + 0.0
    arms = []
    for path, color in zip(g.paths.tolist(), COLORS, strict=True):
        line = "L".join(f"{x} {y}" for x, y in spots[path])
        dots = "".join(f'<circle cx="{x}" cy="{y}" r="{RADIUS}"/>' for x, y in spots[path[1:]])
        arms.append(f'<g fill="{color}" stroke="{color}"><path d="M{line}" fill="none" stroke-width="4"/>{dots}</g>')
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIZE} {SIZE}">'
    x, y = spots[g.root]
    root = f'<circle cx="{x}" cy="{y}" r="5" fill="{GREY}"/>'
    return "\n".join([head, "<title>A star of four arms, as Node2Vec lays it out</title>", *arms, root, "</svg>"]) + "\n"


def main():
    book.write_whole(TARGET, draw())
    print(TARGET.relative_to(book.ROOT))


if __name__ == "__main__":
    main()
