"""Recipes fit the graph they are made for."""

import pytest

import geomem as gm
from geomem.training.recipes import EDGES, PASSES, PATHS, RECIPES


@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("degree", [6, 500])
@pytest.mark.parametrize("target", ["full", "first"])
def test_every_recipe_runs_on_its_task(name, degree, target):
    task = gm.PathTask(gm.path_star(degree, 4), target=target)
    stages = RECIPES[name](task)
    for stage in stages:
        assert stage.edges <= min(EDGES, len(task.edges)) and stage.paths <= min(PATHS, task.n_paths)
    model = gm.SequenceModel(task.vocabulary.n_tokens, width=4, layers=1, heads=1)
    short = [gm.Stage(**{**vars(stage), "steps": 1}) for stage in stages]
    assert gm.train(model, task, short, device="cpu", snapshots=[]).history[-1]["step"] == len(stages)


def test_facts_come_first_and_are_seen_as_often_on_every_large_graph():
    for degree in (500, 2000):
        task = gm.PathTask(gm.path_star(degree, 5))
        for name in ("edges_only", "edges_then_first", "edges_then_paths", "two_phase"):
            facts = RECIPES[name](task)[0]
            assert facts.paths == 0 and facts.edges * facts.steps == pytest.approx(PASSES * len(task.edges), rel=0.03)


def test_only_two_phase_drops_the_facts_and_only_mixed_begins_with_paths():
    task = gm.PathTask(gm.path_star(500, 5))
    for name, recipe in RECIPES.items():
        stages = recipe(task)
        assert (stages[-1].edges == 0) == (name == "two_phase")
        assert (stages[0].paths > 0) == (name == "mixed")
    assert RECIPES["mixed"](task, path_weight=2.0)[0].path_weight == 2.0
