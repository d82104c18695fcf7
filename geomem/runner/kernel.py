"""The kernel of a run: that of this Python, with matplotlib's own settings, wherever the notebook lies."""

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

    kernelapp.launch_new_instance()


if __name__ == "__main__":
    main()
