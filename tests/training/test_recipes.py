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
        assert (stages[-1].edges == stages[-1].arms == stages[-1].nodes == 0) == (name == "two_phase")
        assert (stages[0].paths > 0) == (name == "mixed")
    assert RECIPES["mixed"](task, path_weight=2.0)[0].path_weight == 2.0


def test_few_arms_draws_every_arm_as_often_at_every_size_and_slower_where_it_draws_less():
    rates = {}
    for degree in (20, 5000, 20_000):
        task = gm.PathTask(gm.path_star(degree, 3), target="first")
        facts, paths = gm.recipes.few_arms(task)
        assert facts.arms == paths.arms == min(128, degree) and facts.paths == 0 < paths.paths
        assert facts.arms * facts.steps == pytest.approx(20 * degree, rel=0.01)
        assert paths.arms * paths.steps == pytest.approx(25 * degree, rel=0.01)
        rates[degree] = facts.lr
    assert rates[20] == gm.recipes.LR and rates[5000] == pytest.approx(2 * rates[20_000]) == pytest.approx(3e-3)


def test_node2vec_decays_as_much_a_draw_at_every_size():
    for degree in (640, 2560):
        (stage,) = gm.recipes.node2vec_by_arms(gm.EdgeTask(gm.path_star(degree, 3)))
        assert stage.decay * degree / stage.arms == pytest.approx(4)
        assert stage.steps * stage.arms == pytest.approx(64 * degree)


def test_the_map_comes_before_the_paths_and_the_term_stands_in_both_stages():
    for degree in (20, 5000):
        task = gm.PathTask(gm.path_star(degree, 4), target="first")
        facts, paths = gm.recipes.map_then_paths(task)
        assert facts.node2vec == paths.node2vec == gm.recipes.TERM and facts.decay == paths.decay == 0.0
        assert facts.paths == 0 < paths.paths <= facts.arms == min(128, degree)
        assert facts.steps == max(200, -(-24 * degree // facts.arms))
