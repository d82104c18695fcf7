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


def _end_with_parent(scratch):
    """Wait for the end of stdin; then leave nothing behind."""
    os.read(0, 1)
    import psutil

    for process in psutil.Process().children(recursive=True):
        process.kill()
    shutil.rmtree(scratch, ignore_errors=True)
    os._exit(1)


def main():
    """Do what the first line of stdin says."""
    job = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, args=[job["scratch"]], daemon=True).start()
    if "argv" in job:
        sys.argv = ["geomem", *job["argv"]]
        runpy.run_module("geomem", run_name="__main__")
    else:
        import papermill

        papermill.execute_notebook(**job["papermill"])


if __name__ == "__main__":
    sys.path[0] = os.path.dirname(os.path.dirname(sys.path[0]))  # import geomem, and not its modules by their bare names
    main()
