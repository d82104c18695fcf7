"""Normalise notebooks, so that running one twice gives the same bytes.

``python -m tools.notebooks [--check] book/*.ipynb``
"""

import argparse
import base64
import hashlib
import io
import json
import re
from pathlib import Path

import nbformat
from PIL import Image

from tools import book

LARGEST = 1_000_000  # bytes; above it GitHub shows no preview
LARGEST_DRAWING = 120_000  # bytes of a figure in vectors; what has more marks is kept as pixels, at twice the size
PROLOGUE = re.compile(r"^.*?(?=<svg\b)", re.DOTALL)
METADATA = re.compile(r" *<metadata>.*?</metadata>\n?", re.DOTALL)
UNSEEN = re.compile(r'^ +|(?<=<g) id="\w+"|\n *<!--.*?-->', re.MULTILINE)  # indents, names that nothing refers to, comments
PLACES = re.compile(r' (?:d|x|y|points)="[^"]*"| transform="translate\([^)]*')
DIGITS = re.compile(r"-?\d+\.\d{3,}")
ADDRESS = re.compile(r"\b0x[0-9a-f]{6,}\b")
KERNEL_FILE = re.compile(r"/[^\s:\"']*ipykernel_\d+/\d+\.py")
OVERWRITTEN = re.compile(r"[^\n]*\r(?=[^\n])")  # earlier frames of a line that redraws itself
PROGRESS = re.compile(r"^.*\d+%\|.*\n?", re.MULTILINE)
WIDGET = "application/vnd.jupyter.widget-view+json"
NOTEBOOK = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python", "pygments_lexer": "ipython3"},
}
CELL = ("tags", "mystnb")  # all other cell metadata belongs to some editor or runner


def normalise(text):
    """Return a notebook's text without what changes from run to run."""
    nb = nbformat.reads(json.dumps(_with_ids(json.loads(text))), as_version=4)
    nb.metadata = nbformat.from_dict(NOTEBOOK)
    for cell in nb.cells:
        cell.metadata = nbformat.from_dict({k: cell.metadata[k] for k in CELL if cell.metadata.get(k)})
        if cell.cell_type == "code":
            cell.outputs = [out for out in map(_output, _merged(cell.outputs)) if out]
            for out in cell.outputs:
                if out.output_type == "execute_result":
                    out.execution_count = cell.execution_count
    return nbformat.writes(nb).rstrip("\n") + "\n"


def _with_ids(raw):
    """Give each cell without an id one that follows from its text, not from chance."""
    raw["nbformat_minor"] = 5
    used = {cell["id"] for cell in raw["cells"] if "id" in cell}
    for cell in raw["cells"]:
        if "id" not in cell:
            seed = "".join(cell["source"])
            while (name := hashlib.sha256(seed.encode()).hexdigest()[:8]) in used:
                seed += "+"
            cell["id"] = name
            used.add(name)
    return raw


def _merged(outputs):
    """Join neighbouring pieces of one stream: where it was cut is chance."""
    joined = []
    for out in outputs:
        last = joined[-1] if joined else None
        if last and out.output_type == last.output_type == "stream" and out.name == last.name:
            last.text += out.text
        else:
            joined.append(out)
    return joined


def _output(out):
    """Return one output without addresses, kernel paths, progress bars and widget views, or None."""
    if out.output_type == "stream":
        out.text = PROGRESS.sub("", _steady(OVERWRITTEN.sub("", out.text)))
        return out if out.text else None
    if "data" not in out:
        return out
    if WIDGET in out.data and "text/html" not in out.data:
        return None
    out.data.pop(WIDGET, None)
    for kind in ("text/plain", "text/html"):
        if kind in out.data:
            out.data[kind] = _steady(out.data[kind])
    if "image/svg+xml" in out.data:
        out.data["image/svg+xml"] = _plain(out.data["image/svg+xml"])
        if "image/png" in out.data:  # one of the two
            out.data.pop("image/png" if len(out.data["image/svg+xml"]) <= LARGEST_DRAWING else "image/svg+xml")
    if "image/png" in out.data:
        out.data["image/png"] = _palette(out.data["image/png"])
    kept = {k: v for k, v in out.metadata.items() if k == "geomem" or k in out.data}
    out.metadata = nbformat.from_dict(kept)
    return out


def _plain(svg):
    """Keep of a drawing what is drawn, to a hundredth of a point; what is so kept already stays as it is."""
    svg = UNSEEN.sub("", METADATA.sub("", PROLOGUE.sub("", svg)))
    return PLACES.sub(lambda place: DIGITS.sub(lambda number: f"{float(number[0]):.2f}", place[0]), svg)


def _palette(png):
    """Keep a figure in 256 colours: a third of the bytes, and no eye tells; what is so kept already stays as it is."""
    image = Image.open(io.BytesIO(base64.b64decode(png)))
    if image.mode == "P":
        return png
    if image.mode == "RGBA":  # on white: a palette has no use for what shows through
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    few, buffer = image.convert("RGB").quantize(256, dither=Image.Dither.NONE), io.BytesIO()
    few.save(buffer, "PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode() + "\n"


def _steady(text):
    return KERNEL_FILE.sub("IPYKERNEL.py", ADDRESS.sub("0x0", text))


def problems(text):
    """List what makes a notebook unfit to be committed."""
    found = [] if normalise(text) == text else ["is not normalised: run `make refresh`"]
    if len(text.encode()) > LARGEST:
        found.append(f"has {len(text.encode()):,} bytes, more than {LARGEST:,}")
    for cell in nbformat.reads(text, as_version=4).cells:
        if "injected-parameters" in cell.metadata.get("tags", ()):
            found.append("was run with other parameters than its own")
        if any(out.output_type == "error" for out in cell.get("outputs", ())):
            found.append("has an error among its outputs")
    return found


def main(argv=None):
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--check", action="store_true", help="change nothing; fail when something would change")
    options = parser.parse_args(argv)
    bad = []
    for path in options.files:
        text = path.read_text(encoding="utf8")
        if not options.check and (clean := normalise(text)) != text:
            book.write_whole(path, text := clean)
        bad += [f"{path.name} {problem}" for problem in problems(text)]
    if bad:
        raise book.UserError("\n".join(bad))


if __name__ == "__main__":
    book.run(main)
