"""Many runs on a real cluster of two workers, and everything that may go wrong there, done for real.

Runs are tiny chapters, so that what is tried is the machinery and not the training.
"""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dask
import matplotlib.pyplot as plt
import numpy as np
import pandas
import psutil
import pytest
import tiny
from distributed import Client, LocalCluster

import geomem as gm
from geomem import cli, figures, runner
from geomem.runner import sweep
from geomem.runner.notebooks import of_notebook
from tools import book

# What Dask warns of when workers are killed on purpose is no fault of a test.
pytestmark = pytest.mark.filterwarnings("default")
PATIENCE = 300  # seconds; nothing here is timed, but nothing may hang for ever either


@pytest.fixture(scope="module")
def scheduler():
    here = dict(host="127.0.0.1", dashboard_address=None, memory_limit=0)
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, **here) as cluster:
        yield cluster.scheduler_address


@pytest.fixture
def chapter(tmp_path):
    return tiny.chapter(tmp_path)


def records(out):
    return [json.loads(path.read_text()) for path in out.glob("*/record.json")]


def leftovers(out):
    return [path.name for path in out.rglob("*") if "part" in path.name]


def wait_for(what, child=None):
    """Wait until something holds; fail at once if the process that should bring it about has ended."""
    start = time.monotonic()
    while not what():
        assert child is None or child.poll() is None, f"the process ended before, with code {child.returncode}"
        assert time.monotonic() - start < PATIENCE, "it took too long"
        time.sleep(0.1)


def is_alive(process):
    """Return whether a process still runs; one that has ended and that nobody has asked about yet does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def runs_still(pid):
    return psutil.pid_exists(pid) and is_alive(psutil.Process(pid))


@pytest.mark.slow
def test_a_killed_worker_loses_no_run_and_doubles_no_record(scheduler, chapter, tmp_path, capsys, monkeypatch):
    out = tmp_path / "out"
    argv = ["sweep", chapter, "-p", "degree=2,3,7,8", "-p", "seed=0,1", "-p", "what=kill worker", "--profile", "smoke"]
    argv += ["--out", out]
    assert tiny.left(*argv) == 0  # on a local cluster of its own
    assert f"8 runs: 0 were there, 8 done, 0 failed; all in {out}" in capsys.readouterr().out
    assert {(r["parameters"]["degree"], r["parameters"]["seed"]) for r in records(out)} == {
        (degree, seed) for degree in (2, 3, 7, 8) for seed in (0, 1)
    }
    assert len(list(out.iterdir())) == len(records(out)) == 8 and leftovers(out) == []
    began = tiny.times(tmp_path)
    assert began.pop("7-1") == 2 and set(began.values()) == {1}
    wait_for(lambda: not runs_still(int((tmp_path / "kernel").read_text())))  # nobody computes for nobody

    gone = [path.parent for path in out.glob("*/record.json")][:2]
    for home in gone:
        shutil.rmtree(home)
    assert tiny.left(*argv, "--scheduler", scheduler) == 0
    assert "8 runs: 6 were there, 2 done, 0 failed" in capsys.readouterr().out
    assert sum(tiny.times(tmp_path).values()) == 9 + 2 and all(runner.record_of(home) for home in gone)

    monkeypatch.setattr("distributed.LocalCluster.__init__", lambda *a, **k: pytest.fail("a cluster was started"))
    assert tiny.left(*argv) == 0
    assert "8 runs: 8 were there, 0 done, 0 failed" in capsys.readouterr().out

    frame = gm.load_sweep(out)
    assert isinstance(frame, pandas.DataFrame) and len(frame) == 16 and frame.run.nunique() == 8
    assert frame.groupby("degree")["product"].mean().tolist() == [d / 2 + 0.5 for d in (2, 3, 7, 8)]
    assert frame[frame["sample"] == 0].set_index("degree")["C7 half"].eq(True).groupby("degree").all().tolist() == [
        degree > 3 for degree in (2, 3, 7, 8)
    ]


@pytest.mark.slow
def test_a_run_that_kills_its_workers_is_given_up_with_a_reason(chapter, tmp_path, capsys):
    argv = ["sweep", chapter, "-p", "degree=7", "-p", "seed=1", "-p", "what=kill worker", "--profile", "smoke"]
    argv += ["--workers", "1", "--out", tmp_path / "out"]
    with dask.config.set({"distributed.scheduler.allowed-failures": 0}):
        assert tiny.left(*argv) == 1
    printed, err = capsys.readouterr()
    assert "1 runs: 0 were there, 0 done, 1 failed" in printed and records(tmp_path / "out") == []
    assert "FAILED with degree=7, seed=1, what='kill worker'" in err and "Every worker that tried it died" in err
    assert tiny.left(*argv) == 0 and len(records(tmp_path / "out")) == 1


@pytest.mark.slow
def test_machines_with_another_geomem_are_refused(scheduler, chapter, tmp_path):
    shutil.copytree(runner.job.PACKAGE, tmp_path / "geomem", ignore=shutil.ignore_patterns("__pycache__"))
    with (tmp_path / "geomem" / "runner" / "run.py").open("a") as file:
        file.write("# one line more\n")
    argv = ["sweep", chapter, "--scheduler", scheduler, "--profile", "smoke", "--out", tmp_path / "out"]
    other = dict(cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(tmp_path)}, stderr=subprocess.PIPE, text=True)
    done = subprocess.run([sys.executable, "-m", "geomem.cli", *map(str, argv)], **other)
    assert done.returncode == 2 and "workers must have the geomem of this machine, got another" in done.stderr

    words = ["distributed.cli.dask_worker", scheduler, "--nthreads", "1", "--no-nanny", "--no-dashboard"]
    with Client(scheduler, set_as_default=False) as client:
        worker = subprocess.Popen([sys.executable, "-m", *words], **other | {"stderr": subprocess.DEVNULL})
        try:
            client.wait_for_workers(3, timeout=PATIENCE)
            with pytest.raises(ValueError, match="workers must have the same code, got .* and "):
                sweep.common_machine(client)
        finally:
            worker.terminate()
            worker.wait()
            wait_for(lambda: len(client.scheduler_info(n_workers=-1)["workers"]) == 2)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("listens", [True, False])
def test_a_scheduler_that_does_not_answer_is_one_sentence(listens, chapter, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(sweep, "PATIENCE", 2)
    assert "PATIENCE = 15" in Path(sweep.__file__).read_text(encoding="utf8")
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        if listens:
            other.listen()
        address = f"tcp://127.0.0.1:{other.getsockname()[1]}"
        assert tiny.left("sweep", chapter, "--scheduler", address, "--out", tmp_path / "out") == 2
    err = capsys.readouterr().err
    assert f"scheduler must be a Dask scheduler that is running, got '{address}': " in err and err.count("\n") == 1


@pytest.mark.slow
def test_a_scheduler_without_workers_says_that_it_waits():
    with LocalCluster(n_workers=0, host="127.0.0.1", dashboard_address=None) as empty, Client(empty) as client:
        said = []

        def say(text):
            said.append(text)
            empty.scale(1)

        assert sweep.common_machine(client, say)["code"] == runner.code()
    assert said == ["waiting for a worker: the scheduler has none yet."]


def test_each_failure_is_an_entry_with_its_reason_and_the_others_go_on(scheduler, chapter, tmp_path, capsys):
    out = tmp_path / "out"
    blocked = runner.job_of({"chapter": str(chapter), "profile": "smoke"}, of_notebook(chapter), {"what": "blocked"},
                       runner.machine(), folder=out)["about"]["run"]  # fmt: skip
    out.mkdir()
    (out / blocked).write_text("a file where a folder should be")
    argv = [
        "sweep",
        chapter,
        "-p",
        "what=fine,raise,die,die with papermill,blocked",
        "--profile",
        "smoke",
        "--out",
        out,
        "--scheduler",
        scheduler,
    ]
    assert tiny.left(*argv) == 1
    printed, err = capsys.readouterr()
    assert "5 runs: 0 were there, 1 done, 4 failed" in printed and "4 of 5 runs failed" in err
    assert "FAILED with what='raise'" in err and "    1 / 0" in err and "ZeroDivisionError: division by zero" in err
    assert "FAILED with what='die'" in err and "FAILED with what='blocked'" in err and "File exists" in err
    assert [record["parameters"]["what"] for record in records(out)] == ["fine"]
    entries = [json.loads(path.read_text()) for path in out.glob("*/failure.json")]
    reasons = {entry["parameters"]["what"]: entry["reason"] for entry in entries}
    assert reasons["raise"] == "ZeroDivisionError: division by zero" and "Kernel died" in reasons["die"]
    assert reasons["die with papermill"] == "Its process was killed by SIGKILL (too little memory?)."
    assert leftovers(out) == []


@pytest.mark.slow
def test_a_run_that_takes_too_long_is_stopped(scheduler, chapter, tmp_path, capsys):
    argv = ["sweep", chapter, "-p", "what=sleep", "-p", "seed=0,1", "--profile", "smoke", "--scheduler", scheduler]
    for limit in (3, 10, 30, 90):  # until a cell began before it; a busy machine needs longer
        assert tiny.left(*argv, "--out", tmp_path / "out", "--timeout", limit) == 1
        printed, err = capsys.readouterr()
        assert "0 done, 2 failed" in printed and err.count(f"It was stopped after {limit} s, its time limit.") == 2
        if (tmp_path / "ran").exists():
            break
    assert records(tmp_path / "out") == [] and len(list((tmp_path / "out").glob("*/failure.json"))) == 2
    mine = [p for p in psutil.process_iter(["cmdline", "cwd"]) if p.info["cwd"] == str(tmp_path)]
    wait_for(lambda: not any(map(is_alive, mine)))


@pytest.mark.slow
def test_a_full_disk_costs_the_runs_that_found_it_full(scheduler, chapter, tmp_path, capsys):
    out = tmp_path / "small"
    out.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "none", out], capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    try:
        argv = ["sweep", chapter, "-p", "what=fine,much", "--profile", "smoke", "--scheduler", scheduler, "--out", out]
        assert tiny.left(*argv) == 1
        printed, err = capsys.readouterr()
        assert "1 done, 1 failed" in printed and "FAILED with what='much'" in err and "No space left on device" in err
        assert [record["parameters"]["what"] for record in records(out)] == ["fine"] and leftovers(out) == []
        assert len(list(out.glob("*/*.ipynb"))) == 1  # of the other one not even a piece
    finally:
        subprocess.run(["umount", out], check=True)


@pytest.mark.slow
def test_a_killed_driver_leaves_what_finished_and_a_new_call_completes_it(scheduler, chapter, tmp_path, capsys):
    out, hold, scratch = tmp_path / "out", tmp_path / "hold", tmp_path / "scratch"
    argv = ["sweep", chapter, "-p", "what=slow", "-p", "seed=0:4", "--profile", "smoke", "--out", out]
    hold.touch()
    scratch.mkdir()
    env = runner.environment(TMPDIR=str(scratch))
    driver = subprocess.Popen([sys.executable, "-m", "geomem.cli", *map(str, argv)], env=env)
    wait_for(lambda: records(out) and len(tiny.times(tmp_path)) == 3, driver)  # one is done; both workers are in a cell
    assert list(scratch.glob("geomem-*/01_tiny.ipynb"))
    below = psutil.Process(driver.pid).children(recursive=True)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    wait_for(lambda: not any(map(is_alive, below)))
    assert list(scratch.glob("geomem-*")) == []
    assert [record["parameters"]["seed"] for record in records(out)] == [0]
    hold.unlink()
    assert tiny.left(*argv, "--scheduler", scheduler) == 0
    assert "4 runs: 1 were there, 3 done, 0 failed" in capsys.readouterr().out
    assert len(records(out)) == 4 and leftovers(out) == [] and tiny.times(tmp_path)["3-0"] == 1


@pytest.mark.slow
def test_two_sweeps_at_once_into_one_folder_do_no_harm(scheduler, chapter, tmp_path):
    out = tmp_path / "out"
    argv = ["sweep", chapter, "-p", "degree=2:5", "--profile", "smoke", "--scheduler", scheduler, "--out", out]
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(lambda _: tiny.left(*argv), range(2))) == [0, 0]
    assert len(list(out.iterdir())) == len(records(out)) == 3 and leftovers(out) == []
    assert all(1 <= count <= 2 for count in tiny.times(tmp_path).values())


@pytest.mark.slow
def test_trainings_are_swept_without_a_notebook(scheduler, tmp_path, capsys):
    fixed = {"length": 3, "width": 8, "layers": 1, "heads": 2, "steps_scale": 0.02, "device": "cpu", "geometry": True}
    words = [word for name, value in fixed.items() for word in ("-p", f"{name}={value}")]
    argv = ["sweep", "train", "path-star", *words, "-p", "degree=8", "-p", "seed=100,101"]
    assert tiny.left(*argv, "--scheduler", scheduler, "--out", tmp_path) == 0
    capsys.readouterr()
    frame = gm.load_sweep(tmp_path).set_index("seed")
    assert frame.chapter.unique().tolist() == ["train path-star"] and frame.index.tolist() == [100, 101]
    cli.main(["train", "path-star", "--degree=8", *runner.options(fixed), "--seed=101", "--json"])
    one = json.loads(capsys.readouterr().out)
    assert frame.edge_recall[101] == one["edge_recall"] and frame.first_hop_accuracy[101] == one["first_hop_accuracy"]
    shares = frame.loc[101, [f"token_accuracy_{i}" for i in range(3)]].tolist()
    assert shares == one["token_accuracy"] and frame.answer_accuracy[101] == one["answer_accuracy"]
    (record,) = [record for record in records(tmp_path) if record["parameters"]["seed"] == 101]
    assert record["result"]["settings"] == one["settings"]


# A cluster as the book shows it


def page_block(language):
    text = (book.ROOT / "book" / "running.md").read_text(encoding="utf8")
    found = re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
    return next(block for block in found if "SLURMCluster" in block)


SBATCH = '#!/bin/sh\ncp "$1" "$1.kept"\nsetsid sh "$1.kept" >/dev/null 2>&1 &\necho "Submitted batch job $!"\n'


@pytest.mark.slow
def test_what_the_book_shows_for_slurm_runs(chapter, tmp_path, capsys):
    """The page's own program, unchanged but for its number of jobs; `sbatch` starts a process here, not on a cluster."""
    for name, text in (("sbatch", SBATCH), ("scancel", '#!/bin/sh\nkill -- "-$1"\n')):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    program = page_block("python")
    assert "jobs=20" in program
    (tmp_path / "workers.py").write_text(program.replace("jobs=20", "jobs=2"))
    env = runner.environment(PATH=f"{tmp_path}{os.pathsep}{os.environ['PATH']}", TMPDIR=str(tmp_path))
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=tmp_path, env=env)
    with subprocess.Popen([sys.executable, "workers.py"], **pipes) as workers:
        address = workers.stdout.readline().split()[-1]
        try:
            argv = ["sweep", chapter, "-p", "degree=2:6", "--profile", "smoke", "--scheduler", address]
            assert tiny.left(*argv, "--out", tmp_path / "out") == 0
        finally:
            workers.communicate("\n", timeout=PATIENCE)
    assert "4 runs: 0 were there, 4 done, 0 failed" in capsys.readouterr().out
    assert len(records(tmp_path / "out")) == 4
    scripts = [path.read_text() for path in tmp_path.glob("*.kept")]
    assert len(scripts) == 2 and all("#SBATCH" in text and "dask_worker" in text.replace("dask worker", "dask_worker")
                                     for text in scripts)  # fmt: skip


# Frames and figures, without a cluster


def home(folder, number, parameters, found, claims=(), **more):
    name = f"{number:016x}"
    (folder / name).mkdir()
    about = {"run": name, "chapter": "01_x", "profile": "smoke", "device": "cpu", "code": "c", "seconds": 1.0}
    listed = [{"name": key, "values": values} for key, values in found.items()]
    whole = about | {"parameters": parameters, "records": listed, "claims": list(claims)} | more
    (folder / name / "record.json").write_text(json.dumps(whole))


def test_a_frame_has_a_row_a_value_and_means_come_out_right(tmp_path):
    claim = {"id": "C1", "part": None, "holds": None}
    home(tmp_path, 1, {"degree": 30, "profile": "smoke", "sample": 4}, {"a": [1.0, 3.0], "b": [5.0]}, [claim])
    home(tmp_path, 2, {"degree": 4, "profile": "smoke", "sample": 4}, {"a": [2.0], "degree": [7.0]})
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "record.json").write_text("not ours")
    frame = gm.load_sweep(tmp_path)
    assert frame.degree.tolist() == [4, 30, 30] and frame.groupby("degree")["a"].mean().tolist() == [2.0, 2.0]
    assert frame["b"].mean() == 5.0 and frame["degree_measured"].dropna().tolist() == [7.0]
    assert "C1" in frame and frame.profile.unique().tolist() == ["smoke"]


def test_a_folder_without_records_or_with_a_damaged_one_is_named(tmp_path):
    with pytest.raises(ValueError, match="folder must hold runs, got .*: there is no record in it"):
        gm.load_sweep(tmp_path / "nowhere")
    home(tmp_path, 1, {"degree": 3}, {"a": [1.0]})
    (tmp_path / f"{2:016x}").mkdir()
    (tmp_path / f"{2:016x}" / "record.json").write_text("{")
    with pytest.raises(ValueError, match="record.json is damaged, or is the record of another run"):
        gm.load_sweep(tmp_path)


def test_a_sweep_is_drawn_as_mean_and_band(tmp_path):
    for number, (degree, core, values) in enumerate(
        [(4, "linear", [1.0, 3.0]), (8, "linear", [2.0]), (4, "mamba", [5.0, 9.0, 7.0]), (8, "mamba", list(range(20)))]
    ):
        home(tmp_path, number, {"degree": degree, "core": core}, {"a": values})
    frame = gm.load_sweep(tmp_path)
    ax = figures.sweep(frame, "degree", "a", plt.figure().add_subplot(), by="core")
    lines = {line.get_label(): line for line in ax.lines}
    assert list(lines) == ["core linear", "core mamba"] and lines["core mamba"].get_color() == figures.COLORS["mamba"]
    assert lines["core linear"].get_xdata().tolist() == [4, 8]
    assert lines["core linear"].get_ydata().tolist() == [2.0, 2.0] and lines["core mamba"].get_ydata().tolist() == [7.0, 9.5]
    ends = [np.unique(band.get_paths()[0].vertices[:, 1]).round(3).tolist() for band in ax.collections]
    assert ends == [[1.0, 2.0, 3.0], [1.9, 5.0, 9.0, 17.1]]  # min and max below ten values, else 10 to 90 %
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("degree", "a")
    text = figures.sweep(frame, "core", "a", plt.figure().add_subplot())
    assert [tick.get_text() for tick in text.get_xticklabels()] == ["linear", "mamba"] and len(text.lines) == 1
    with pytest.raises(ValueError, match="a column must be one of .*, got 'degre'. Did you mean 'degree'"):
        figures.sweep(frame, "degre", "a", ax)
    plt.close("all")
