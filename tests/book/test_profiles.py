"""A profile sets defaults: what was given is what a chapter uses, and what a record says."""

import ast
import functools
import json
import math
import os

import pytest
import torch

import geomem as gm
from geomem import figures, runner
from geomem.reporting import PROFILES
from geomem.runner.notebooks import cells_of, of_notebook, source_of, tagged
from tools import book

CHAPTERS = {path.stem: path for path in book.chapters()}
SET = {(stem, name) for stem, path in CHAPTERS.items() for name, p in of_notebook(path).items() if p.profiles}
LOADED = functools.cache(gm.load_study)  # one chapter loads its studies where its parameters are
FINE = {  # the profile says how many seeds, of which no parameter speaks, and where what was asked for goes
    "first_seed + (2 if smoke else 10)",
    "['--checkpoint', str(folder / f'checkpoint_{row}')] if paper else []",
    "folder / f'checkpoint_{row}'",
    "folder / f'{row}.json'",
}
OWN_SCOPE = (ast.FunctionDef, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


def code(path):
    """Return the sources of the cells from that of the parameters on."""
    cells = [cell for cell in cells_of(path) if cell["cell_type"] == "code"]
    return [source_of(cell) for cell in cells[[*map(tagged, cells)].index(True) :]]


def opened(path, monkeypatch, profile, given):
    """Return the names after a chapter's first cells, as papermill would run them with these values."""
    monkeypatch.setenv("BOOK_PROFILE", profile)
    monkeypatch.setattr(gm, "load_study", LOADED)
    names = {"os": os, "gm": gm, "torch": torch, "figures": figures, "math": math}
    first, second = code(path)[:2]
    threads = torch.get_num_threads()
    try:
        exec(first, names)
        names |= given
        exec(second, names)
    finally:
        torch.set_num_threads(threads)
    return names


def test_profiles_set_parameters():
    assert {("04_hardest_token", "degree"), ("07_node2vec", "steps"), ("11_your_graph", "seeds")} <= SET and len(SET) >= 14


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("stem", CHAPTERS)
def test_what_was_given_is_what_the_chapter_uses_and_the_record_says(stem, profile, monkeypatch):
    path, known, here = CHAPTERS[stem], of_notebook(CHAPTERS[stem]), runner.machine()

    def recorded(given):
        what = {"chapter": str(path), "profile": profile}
        return runner.job_of(what, known, given, here, folder="runs")["about"]["parameters"]

    used = opened(path, monkeypatch, profile, {})
    assert {name: used[name] for name in known} == recorded({})
    for name, parameter in known.items():
        if name == "profile":
            continue
        others = {parameter.default, *parameter.profiles.values()} - {0} if parameter.profiles else {parameter.default}
        others |= {7} if parameter.kind == "int" else {0.25} if parameter.kind == "float" else set()
        for value in others:
            value = parameter.check(value)
            used = opened(path, monkeypatch, profile, {name: value})
            assert used[name] == value == recorded({name: value})[name]
        for value in parameter.profiles.values():
            assert parameter.check(value) == value


@pytest.mark.parametrize("stem", CHAPTERS)
def test_after_its_first_cells_no_chapter_changes_a_parameter_or_lets_the_profile_do_so(stem):
    assert list(faults(CHAPTERS[stem])) == []


@pytest.mark.parametrize(
    "source",
    [
        "degree, length = (40, 4) if smoke else (degree, length)",
        "runs = range(2 if profile == 'smoke' else degree)",
        "long = degree // speed",
        "for degree in (1, 2): pass",
        "degree = 3",
        "degree: int = 3",
        "degree += 1",
        "degree = gm.reporting.by_profile(profile, length, smoke=1, laptop=2, paper=3)",
    ],
)
def test_a_chapter_that_does_is_found(source, tmp_path):
    path = tmp_path / "01_a.ipynb"
    first = 'degree: int = 0  # arms\nlength: int = 0  # nodes\nprofile: str = ""  # one'
    second = 'profile = profile or "laptop"\nsmoke = profile == "smoke"\nspeed = 50 if smoke else 1\n'
    second += "degree = by_profile(profile, degree, smoke=1, laptop=2, paper=3)\n"
    for more in ("", source):
        cells = [{"cell_type": "code", "metadata": {"tags": ["parameters"]}, "source": first}]
        cells += [{"cell_type": "code", "metadata": {}, "source": text} for text in (second, more)]
        path.write_text(json.dumps({"cells": cells}))
        assert bool(list(faults(path))) == bool(more)


def faults(path):
    """Find where a chapter sets a parameter, or computes something of one and of what its profile says."""
    known, by_profile = set(of_notebook(path)) - {"profile"}, {"profile"}
    for source in code(path)[1:]:
        for node in top(ast.parse(source)):
            stored = {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
            if isinstance(node, ast.Assign) and ast.unparse(node.value).split("(")[0].endswith("by_profile"):
                if isinstance(node.value, ast.Call) and ast.unparse(node.value.args[1]) != ast.unparse(node.targets[0]):
                    yield f"{ast.unparse(node)} sets another parameter"
                continue
            if isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign, ast.For, ast.With)):
                targets = stored - {n.id for part in scopes(node) for n in ast.walk(part) if isinstance(n, ast.Name)}
                if bad := targets & known:
                    yield f"{ast.unparse(node)[:80]} sets {bad}"
            if isinstance(node, ast.Assign) and names(node.value) & by_profile and not names(node.value) & known:
                by_profile |= stored if isinstance(node.value, (ast.IfExp, ast.Compare, ast.BinOp, ast.Tuple)) else set()
        for part in ast.walk(ast.parse(source)):
            if isinstance(part, (ast.BinOp, ast.IfExp)) and names(part) & known and names(part) & by_profile:
                if ast.unparse(part) not in FINE:
                    yield f"{ast.unparse(part)} depends on the profile"


def top(tree):
    """List the statements that run in the chapter's own scope, also inside loops."""
    for node in tree.body:
        yield node
        if isinstance(node, (ast.For, ast.With, ast.If)):
            yield from top(node)


def scopes(node):
    return [part for part in ast.walk(node) if isinstance(part, OWN_SCOPE)]


def names(node):
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
