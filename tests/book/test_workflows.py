"""The workflows of GitHub Actions are well formed, may do little, and run what is run everywhere."""

import re
import shutil
import subprocess
import sys

import pytest
import yaml

from tools import book

FILES = sorted((book.ROOT / ".github" / "workflows").glob("*.yml"))
LOADED = {path.stem: yaml.safe_load(path.read_text(encoding="utf8")) for path in FILES}


def steps(name, job):
    return LOADED[name]["jobs"][job]["steps"]


def lines(name, job):
    return [step["run"] for step in steps(name, job) if "run" in step]


def test_both_follow_the_schema_of_workflows():
    words = ["-m", "check_jsonschema", "--builtin-schema", "vendor.github-workflows", *map(str, FILES)]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True)
    assert sorted(LOADED) == ["ci", "pages"] and done.returncode == 0, done.stdout + done.stderr


def test_actionlint_finds_nothing():
    found = shutil.which("actionlint")
    if not found:
        pytest.skip("actionlint is not installed; its package fetches a program from GitHub, and ci.yml installs it there")
    done = subprocess.run([found, *map(str, FILES)], cwd=book.ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_python_runs_the_script_that_runs_everywhere():
    job = LOADED["ci"]["jobs"]["test"]
    assert job["strategy"] == {"fail-fast": False, "matrix": {"python": ["3.11", "3.12", "3.13"]}}
    assert [step["with"]["python-version"] for step in job["steps"] if "setup-python" in step.get("uses", "")] == [
        "${{ matrix.python }}"
    ]
    assert lines("ci", "test")[-1] == ".ci/run" and (book.ROOT / ".ci" / "run").stat().st_mode & 0o111
    assert lines("ci", "lowest")[-1] == "make lowest"


def test_the_book_that_passed_is_published_from_main_alone():
    job = LOADED["ci"]["jobs"]["publish"]
    assert set(job["needs"]) == set(LOADED["ci"]["jobs"]) - {"publish"}
    assert job["if"] == "github.event_name == 'push' && github.ref == 'refs/heads/main'"
    assert job["uses"] == "./.github/workflows/pages.yml" and "make site" in lines("pages", "build")
    (upload,) = (step for step in steps("pages", "build") if "upload-pages-artifact" in step.get("uses", ""))
    assert upload["with"] == {"path": "_build/html"}


@pytest.mark.parametrize("name", LOADED)
def test_nothing_may_write_but_the_job_that_publishes(name):
    assert LOADED[name]["permissions"] == {"contents": "read"}
    for job, told in LOADED[name]["jobs"].items():
        asked = {what for what, kind in told.get("permissions", {}).items() if kind == "write"}
        assert asked == ({"pages", "id-token"} if job == "publish" else set())
        assert told.get("uses") or told["timeout-minutes"] <= 90
    for step in (step for job in LOADED[name]["jobs"].values() for step in job.get("steps", ())):
        if "checkout" in step.get("uses", ""):
            assert step["with"]["persist-credentials"] is False


def test_pytorch_for_the_cpu_comes_from_where_the_readme_says():
    (line,) = {line for name in LOADED for job in LOADED[name]["jobs"].values() for step in job.get("steps", ())
               if "README.md" in (line := step.get("run", ""))}  # fmt: skip
    assert line.endswith('>> "$GITHUB_ENV"')
    told = subprocess.run(line.partition(" >> ")[0], shell=True, cwd=book.ROOT, capture_output=True, text=True).stdout
    assert re.fullmatch(r"PIP_EXTRA_INDEX_URL=https://\S+/cpu\n", told)
