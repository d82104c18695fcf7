"""A sample of a large star's arms is a small star, measured as any other."""

import json

import pytest
import torch

import geomem as gm
from geomem import measures, spectral
from geomem.measures import sampled


def ideal(g, noise=0.0):
    """The star's ideal table, with noise where it is asked for."""
    E = gm.memories.path_star_memory(g).embedding
    return E + noise * torch.randn(E.shape, generator=torch.Generator().manual_seed(0), dtype=E.dtype)


def test_the_sample_is_held_out_distinct_and_drawn_by_the_seed():
    task = gm.PathTask(gm.path_star(40, 4, seed=3), seed=1)
    arms = sampled.sample_arms(task, 6)
    assert arms.shape == (6, 3) and len(arms[:, -1].unique()) == 6 and torch.isin(arms[:, -1], task.test_leaves).all()
    assert all(row in task.graph.paths[:, 1:].tolist() for row in arms.tolist())
    assert torch.equal(arms, sampled.sample_arms(task, 6)) and len(sampled.sample_arms(task)) == 10
    drawn = []
    for seed in range(5):
        other = gm.PathTask(task.graph, seed=seed)
        other.test_leaves = task.test_leaves  # the same arms are held out
        drawn.append(tuple(sampled.sample_arms(other, 6)[:, -1].tolist()))
    assert len(set(drawn)) == 5


def test_measures_of_all_arms_are_those_of_the_whole_star():
    g = gm.path_star(12, 4, seed=2)
    task = gm.PathTask(g, train_fraction=0.2, validation_fraction=0)
    task.test_leaves = g.paths[:, -1]
    E = ideal(g, 0.1)
    table, star = sampled.sub_star(E, g, sampled.sample_arms(task))
    measured = sampled.star_measures(table, star)
    assert measured["first_hop_accuracy"] == pytest.approx(float(gm.first_hop_accuracy(E, g)), abs=1e-12)
    assert measured["arm_separation"] == pytest.approx(float(gm.arm_separation(E, g)), abs=1e-12)
    assert measured["silhouette"] == pytest.approx(float(measures.silhouette(E, g)), abs=1e-12)
    assert measured["fiedler_energy"] == pytest.approx(float(spectral.path_star_fiedler_energy(E, g)), abs=1e-12)


def test_a_portrait_tells_a_map_from_noise_and_fits_into_a_file():
    task = gm.PathTask(gm.path_star(60, 5), target="first")
    found = sampled.portrait(ideal(task.graph, 0.02), task)
    assert found["sample"]["first_hop_accuracy"] == 1 and found["first_hop_of_all"] == 1
    assert found["sample"]["arm_separation"] > 0.8 > 0.1 > abs(found["null"]["arm_separation"])
    cosine, plane = torch.tensor(found["cosine"]), torch.tensor(found["plane"])
    assert cosine.shape == (12, 12) and bool((cosine.argmax(1) == torch.arange(12)).all())
    assert plane.shape[:2] == (15, 4) and plane.shape[2] == 8 and plane.mean(0).abs().max() < 1e-2
    assert len(json.dumps(found)) < 60_000


def test_the_first_hop_of_all_is_sought_among_all():
    task = gm.PathTask(gm.path_star(60, 4), target="first")
    E = ideal(task.graph)
    arms = sampled.sample_arms(task)
    trained = task.graph.paths_to(task.train_leaves[:1])[0]
    E[trained[1]] = E[arms[0, -1]]  # an arm outside the sample comes nearer than the leaf's own
    found = sampled.portrait(E, task)
    assert found["sample"]["first_hop_accuracy"] == 1 and found["first_hop_of_all"] < 1


def test_a_diverged_table_has_no_geometry():
    task = gm.PathTask(gm.path_star(8, 3))
    E = torch.full((21, 4), torch.nan)
    assert sampled.geometry(E, task) is None and sampled.portrait(E, task) is None


def test_a_tree_is_refused():
    with pytest.raises(ValueError, match="must be a path-star"):
        sampled.sample_arms(gm.PathTask(gm.tree_star(4, 4)))


def test_the_nearest_of_all_is_asked_of_held_out_leaves_alone():
    task = gm.PathTask(gm.path_star(40, 4), target="first")
    g = task.graph
    E = torch.randn(g.n_nodes, 200, generator=torch.Generator().manual_seed(0))
    way = g.paths_to(task.test_leaves)
    E[way[:, -1]] = E[way[:, 1]]  # only held-out leaves lie on their first hop
    seen = sampled.portrait(E, task)["first_hop_of_all"]
    assert seen == 1.0 and float(gm.first_hop_accuracy(E, g)) < 0.5
