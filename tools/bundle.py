"""Bundle the explorables' JavaScript: one module for notebooks, one classic script for the book's pages.

``python -m tools.bundle [--check]``; it needs Node.js, and only whoever changes the JavaScript does.
"""

import argparse
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tools import book

ESBUILD = "esbuild@0.28.2"
SOURCES = "geomem/explorables/js"
BUNDLES = {  # entry: format, and where the bundle is kept
    "main.mjs": ("esm", "geomem/explorables/explorables.mjs"),
    "page.mjs": ("iife", "book/static/explorables.js"),
}
HEAD = "/* Made by `python -m tools.bundle` from geomem/explorables/js. */"


def esbuild(root):
    """Return the command that bundles; None where there is neither esbuild nor Node.js."""
    if own := os.environ.get("ESBUILD") or shutil.which("esbuild"):
        return [own]
    return ["npx", "--yes", ESBUILD] if shutil.which("npx") else None


def bundle(command, entry, kind, root=book.ROOT):
    """Return one bundle's text."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "bundle.js"
        words = ["--bundle", "--minify", "--charset=utf8", f"--format={kind}", f"--outfile={out}", f"--banner:js={HEAD}"]
        done = subprocess.run([*command, f"{SOURCES}/{entry}", *words], cwd=root, capture_output=True, text=True)
        if done.returncode:
            raise book.UserError(f"{entry} could not be bundled:\n{done.stderr.strip()}")
        return out.read_text(encoding="utf8")


def main(argv=None, root=book.ROOT):
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a bundle is stale")
    options = parser.parse_args(argv)
    command = esbuild(root)
    if command is None:
        raise book.UserError("Bundling needs esbuild or Node.js, and neither is here. The committed bundles need none.")
    for entry, (kind, place) in BUNDLES.items():
        text = bundle(command, entry, kind, root)
        book.follow(root / place, text, check=options.check, remedy="python -m tools.bundle", root=root)


if __name__ == "__main__":
    book.run(main)
