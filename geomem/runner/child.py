"""A process for one run: a chapter through papermill, or a command; it ends when the process that started it does.

Started by its path with one line of JSON on stdin, so that parameters are data all the way. stdin is then kept open: its
end means that the parent died, even of SIGKILL, and that nobody waits for this run any more.
"""

import json
import os
import runpy
import shutil
import sys
import threading
from pathlib import Path


def _end_with_parent(scratch):
    """Wait for the end of stdin; then leave nothing behind."""
    os.read(0, 1)
    import psutil

    for process in psutil.Process().children(recursive=True):
        process.kill()
    shutil.rmtree(scratch, ignore_errors=True)
    os._exit(1)


def _own_settings(scratch):
    """Keep the user's kernels, start-up files and settings out: a record states what ran, and these would change it."""
    spec = scratch / "jupyter" / "kernels" / "python3" / "kernel.json"
    spec.parent.mkdir(parents=True)
    argv = [sys.executable, str(Path(__file__).with_name("kernel.py")), "-f", "{connection_file}"]
    spec.write_text(json.dumps({"argv": argv, "display_name": "Python 3", "language": "python"}), encoding="utf8")
    (scratch / "matplotlibrc").touch()
    own = {"JUPYTER_PATH": "jupyter", "JUPYTER_DATA_DIR": "data", "JUPYTER_CONFIG_DIR": "config", "IPYTHONDIR": "ipython"}
    own |= {"JUPYTER_RUNTIME_DIR": "runtime", "MATPLOTLIBRC": "matplotlibrc"}
    os.environ.update({name: str(scratch / place) for name, place in own.items()}, JUPYTER_NO_CONFIG="1")


def main():
    """Do what the first line of stdin says."""
    job = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, args=[job["scratch"]], daemon=True).start()
    if "argv" in job:
        sys.argv = ["geomem", *job["argv"]]
        runpy.run_module("geomem", run_name="__main__")
    else:
        _own_settings(Path(job["scratch"]))
        import papermill

        papermill.execute_notebook(**job["papermill"])


if __name__ == "__main__":
    sys.path[0] = os.path.dirname(os.path.dirname(sys.path[0]))  # import geomem, and not its modules by their bare names
    main()
