"""The kernel of a run: that of this Python, with matplotlib's own settings, wherever the notebook lies.

Figures come as SVG, with their text as text, and as PNG at twice the size; both see-through and the same in every run.
"""

import os
import sys


def main():
    """Become a kernel; the arguments are ipykernel's."""
    del sys.path[0]  # geomem's modules by their bare names
    os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
    there = os.getcwd()
    os.chdir(os.path.dirname(os.path.abspath(__file__)))  # before MATPLOTLIBRC, matplotlib looks into the folder it is in
    import matplotlib  # noqa: F401

    os.chdir(there)
    from ipykernel import kernelapp
    from traitlets.config import Config

    figures = {
        "figure_formats": {"svg", "retina"},
        "print_figure_kwargs": {"bbox_inches": "tight", "facecolor": "none", "metadata": {"Date": None}},
        "rc": {"axes.facecolor": "none", "legend.framealpha": 0, "svg.fonttype": "none", "svg.hashsalt": "geomem"},
    }
    kernelapp.launch_new_instance(config=Config(InlineBackend=figures))


if __name__ == "__main__":
    main()
