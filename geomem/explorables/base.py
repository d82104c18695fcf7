"""What every explorable is: traits and data for one JavaScript module, an island for the static page, a poster."""

import base64
import html
import io
import json
import sys
from pathlib import Path

try:
    import anywidget
    import traitlets
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        f"geomem.explorables needs anywidget ({error}). Install it: pip install 'geomem[book]'."
    ) from None
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import to_hex
from PIL import Image

from .. import _checks
from ..graphs import FAMILIES, Graph, named_graph, require_graph
from ..reporting import figures
from ..reporting.statistics import significant

LARGEST = 150_000
"""Bytes of an island: what the page must load for it, its poster included."""


class Explorable(anywidget.AnyWidget):
    """Show an interactive picture with a kernel, in the static page, or as a still image.

    A subclass names its module in ``kind``, puts what never changes into ``data``, and declares what the reader changes as
    traits with ``.tag(sync=True, reader=True)``: they come back to Python where there is a kernel.

    Source:
        Ours, on anywidget.
    """

    _esm = Path(__file__).with_name("explorables.mjs")
    kind = traitlets.Unicode().tag(sync=True)
    data = traitlets.Dict().tag(sync=True)
    alt = ""
    """What the poster shows, in words."""

    def poster(self, figure) -> None:
        """Draw on a matplotlib figure what is seen where no script runs."""
        raise NotImplementedError

    def values(self) -> dict:
        """Return what the module needs: its kind, its data and what the reader may change."""
        return {name: getattr(self, name) for name in ("kind", "data", *sorted(self.traits(reader=True)))}

    def island(self) -> str:
        """Return the HTML that the book's page brings alive: data and a poster, no script.

        Raises:
            ValueError: If it is larger than 150,000 bytes.
        """
        text = json.dumps(_stable(self.values()), separators=(",", ":"), sort_keys=True, allow_nan=False)
        image = f'<img alt="{html.escape(self.alt)}" src="data:image/png;base64,{self._image()}" />'
        whole = f'<div class="explorable" data-explorable="{html.escape(text)}">{image}</div>'
        if len(whole) > LARGEST:
            raise ValueError(f"an explorable may have {LARGEST:,} bytes in the page, got {len(whole):,}. Keep fewer steps.")
        return whole

    def _image(self) -> str:
        figure, buffer = plt.figure(figsize=(7.2, 3.2), layout="constrained"), io.BytesIO()
        try:
            self.poster(figure)
            figure.savefig(buffer, dpi=80)
        finally:
            plt.close(figure)
        small = io.BytesIO()
        Image.open(buffer).convert("RGB").quantize(64, dither=Image.Dither.NONE).save(small, "PNG", optimize=True)
        return base64.b64encode(small.getvalue()).decode()

    def _repr_mimebundle_(self, **kwargs):
        bundle = super()._repr_mimebundle_(**kwargs)
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        data = (data or {}) | {"text/plain": f"{type(self).__name__}: {self.alt}"}
        if "google.colab" not in sys.modules:  # there the widget itself is shown
            data["text/html"] = self.island()
        return data, metadata


def _stable(value):
    """Return plain data with its numbers in eight digits: the page needs no more, and another processor has others."""
    if isinstance(value, dict):
        return {name: _stable(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_stable(part) for part in value]
    return significant(value, 8) if isinstance(value, float) else value


def graph_of(graph: str | Graph) -> Graph:
    """Return a graph that is given by a name in ``FAMILIES`` or as it is; no file is read.

    Raises:
        TypeError: If it is neither.
        ValueError: If no family has the name.

    Source:
        Ours.
    """
    return named_graph(_checks.one_of("graph", graph, FAMILIES)) if isinstance(graph, str) else require_graph(graph)


def graph_data(graph: Graph) -> dict:
    """Return what the page needs of a graph: name, labels, edges, root, and the book's place and colour of each node."""
    return {
        "name": graph.name,
        "labels": list(map(str, graph.labels)),
        "edges": graph.edges.tolist(),
        "root": graph.root,
        "places": np.round(figures.layout(graph), 3).tolist(),
        "colors": [to_hex(color) for color in figures.node_colors(graph)],
    }


def encoded(values, dtype) -> str:
    """Return an array as base64 of its little-endian bytes."""
    return base64.b64encode(np.ascontiguousarray(values, dtype=np.dtype(dtype).newbyteorder("<")).tobytes()).decode()
