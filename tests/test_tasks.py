import networkx as nx
import numpy as np
import pytest
import torch

import geomem as gm

TINY = [gm.path_star(4, 5), gm.grid(4, 4), gm.cycle(15), gm.irregular(), gm.Graph.from_networkx(nx.karate_club_graph())]
tiny = pytest.mark.parametrize("g", TINY, ids=lambda g: g.name)


def rows(examples):
    return sorted(map(tuple, examples.tolist()))


@tiny
def test_tokens_are_the_nodes_and_then_four_different_specials(g):
    words = gm.Vocabulary(g.n_nodes)
    specials = [words.PAD, words.EDGE, words.PATH, words.PAUSE]
    assert sorted([*range(g.n_nodes), *specials]) == list(range(words.n_tokens))


@tiny
def test_edge_examples_are_the_directed_facts_behind_the_edge_token(g):
    tag = gm.Vocabulary(g.n_nodes).EDGE
    pairs = g.edges.tolist()
    expected = {
        "forward": sorted((tag, u, v) for u, v in pairs),
        "backward": sorted((tag, v, u) for u, v in pairs),
        "both": sorted((tag, *pair) for u, v in pairs for pair in ((u, v), (v, u))),
    }
    loops = [(tag, u, u) for u in range(g.n_nodes)]
    for directions, wanted in expected.items():
        examples = gm.edge_examples(g, directions=directions)
        assert examples.dtype == torch.int64 and rows(examples) == wanted
        assert rows(gm.edge_examples(g, directions=directions, self_edges=True)) == sorted(wanted + loops)


@tiny
def test_every_fact_is_asked_once_and_agrees_with_the_targets(g):
    for directions in ("both", "forward", "backward"):
        _, u, v = gm.edge_examples(g, directions=directions, self_edges=True).T
        counted = torch.zeros(g.n_nodes, g.n_nodes, dtype=torch.float64).index_put_(
            (u, v), torch.ones(len(u)).double(), True
        )
        assert torch.equal(counted, g.targets(directions=directions, self_edges=True))


def test_renaming_the_nodes_renames_the_examples():
    g = gm.path_star(3, 4)
    order = torch.randperm(g.n_nodes, generator=torch.Generator().manual_seed(1))
    renamed = gm.Graph(n_nodes=g.n_nodes, edges=order[g.edges])
    moved = torch.cat([order, torch.arange(g.n_nodes, g.n_nodes + 4)])[gm.edge_examples(g)]
    assert rows(gm.edge_examples(renamed)) == rows(moved)


def test_the_smallest_graph_has_two_facts():
    g = gm.Graph.from_edges([("a", "b")])
    assert gm.edge_examples(g).tolist() == [[3, 0, 1], [3, 1, 0]]
    assert gm.Vocabulary(2).n_tokens == 6 == gm.Vocabulary(np.int64(2)).n_tokens


@pytest.mark.parametrize(
    "value, kind", [(1, ValueError), (-3, ValueError), (2.0, TypeError), (True, TypeError), ("5", TypeError)]
)
def test_a_wrong_number_of_nodes_is_named(value, kind):
    with pytest.raises(kind, match="n_nodes must be"):
        gm.Vocabulary(value)


def test_an_unknown_direction_is_refused_with_the_nearest_name():
    with pytest.raises(ValueError, match="directions must be one of 'both', .* Did you mean 'backward'"):
        gm.edge_examples(TINY[0], directions="backwards")


STARS = [gm.path_star(8, 3), gm.path_star(20, 5, seed=3), gm.tree_star(6, 4, 2)]
stars = pytest.mark.parametrize("g", STARS, ids=lambda g: g.name)


@stars
@pytest.mark.parametrize("split", ["leaf", "first"])
def test_splits_are_disjoint_cover_all_leaves_and_have_the_asked_sizes(g, split):
    task = gm.PathTask(g, split=split, seed=1)
    parts = list(task.splits.values())
    assert sorted(torch.cat(parts).tolist()) == sorted(g.paths[:, -1].tolist())
    units = len(g.first_hops) if split == "first" else len(g.paths)
    per_unit = len(g.paths) // units
    assert len(task.test_leaves) == (units - round(0.75 * units)) * per_unit
    assert len(task.validation_leaves) == round(0.1 * round(0.75 * units)) * per_unit


@stars
def test_first_split_shares_no_first_hop_and_leaf_split_of_a_tree_does(g):
    def hops(task, leaves):
        return {int(path[1]) for path in g.paths if int(path[-1]) in leaves.tolist()}

    for seed in range(5):
        task = gm.PathTask(g, split="first", seed=seed)
        one, two, three = (hops(task, leaves) for leaves in task.splits.values())
        assert not one & two and not one & three and not two & three
    if g.name.startswith("tree"):
        task = gm.PathTask(g, split="leaf", seed=0)
        assert hops(task, task.train_leaves) & hops(task, task.test_leaves)


@stars
@pytest.mark.parametrize("pauses", [0, 1, 3])
@pytest.mark.parametrize("reverse", [False, True])
def test_full_examples_read_the_leaf_and_answer_with_the_path(g, pauses, reverse):
    task = gm.PathTask(g, pauses=pauses, reverse=reverse)
    inputs, targets = task.examples(task.test_leaves)
    words, length = task.vocabulary, g.paths.shape[1]
    assert inputs.shape == (len(task.test_leaves), 2 + pauses + length - 1) and task.n_targets == length
    for leaf, read, answer in zip(task.test_leaves.tolist(), inputs.tolist(), targets.tolist(), strict=True):
        path = next(path for path in g.paths.tolist() if path[-1] == leaf)
        path = path[::-1] if reverse else path
        assert answer == path
        assert read == [words.PATH, leaf] + [words.PAUSE] * pauses + path[:-1]


@stars
def test_hardest_token_is_the_node_after_the_root_and_reads_nothing_of_the_answer(g):
    task = gm.PathTask(g, target="first", pauses=2)
    inputs, targets = task.examples(task.train_leaves)
    hop = {int(path[-1]): int(path[1]) for path in g.paths}
    assert targets.flatten().tolist() == [hop[leaf] for leaf in task.train_leaves.tolist()]
    assert inputs.shape[1] == 4 and (inputs[:, 1] == task.train_leaves).all()
    assert task.chance == 1 / len(g.first_hops)


def test_first_target_in_reverse_is_the_parent_of_the_leaf():
    g = gm.path_star(8, 4)
    task = gm.PathTask(g, target="first", reverse=True)
    parent = {int(path[-1]): int(path[-2]) for path in g.paths}
    assert task.examples(task.test_leaves)[1].flatten().tolist() == [parent[leaf] for leaf in task.test_leaves.tolist()]


@stars
@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_share_of_reverse_edges_is_that_share_and_all_forward_edges_stay(g, share):
    task = gm.PathTask(g, directions=share, seed=2)
    facts = {(u, v) for _, u, v in task.edges.tolist()}
    forward = set(map(tuple, g.edges.tolist()))
    assert forward <= facts and len(facts) == len(task.edges) == g.n_edges + round(share * g.n_edges)
    assert {(v, u) for u, v in facts - forward} <= forward


@stars
def test_edges_are_all_trained_whatever_the_split(g):
    for seed in (0, 1):
        task = gm.PathTask(g, seed=seed)
        assert torch.equal(task.edges, gm.edge_examples(g))
    assert len(gm.PathTask(g, self_edges=True).edges) == 2 * g.n_edges + g.n_nodes


def test_same_seed_gives_the_same_task_and_another_seed_another():
    a, b, c = (gm.PathTask(gm.path_star(50, 3), seed=seed) for seed in (4, 4, 5))
    assert torch.equal(a.test_leaves, b.test_leaves) and not torch.equal(a.test_leaves, c.test_leaves)


@pytest.mark.parametrize(
    "kind, message, options",
    [
        (ValueError, "train_fraction must be finite and greater than 0 and less than 1, got 1", {"train_fraction": 1}),
        (ValueError, "train_fraction must be finite", {"train_fraction": 0.0}),
        (ValueError, "must leave a test path, got 0.99 of 8 paths", {"train_fraction": 0.99}),
        (ValueError, "must leave a training path, got 0.01 of 8 paths", {"train_fraction": 0.01}),
        (ValueError, "validation_fraction must be finite", {"validation_fraction": 1.0}),
        (ValueError, "split must be one of .* Did you mean 'leaf'", {"split": "leaves"}),
        (ValueError, "target must be one of", {"target": "last"}),
        (ValueError, "pauses must be at least 0, got -1", {"pauses": -1}),
        (TypeError, "pauses must be an integer", {"pauses": 1.5}),
        (ValueError, "directions must be one of", {"directions": "up"}),
        (ValueError, "directions must be a share of at most 1", {"directions": 1.5}),
        (ValueError, "directions must be finite", {"directions": -0.5}),
        (TypeError, "reverse must be True or False", {"reverse": "no"}),
        (ValueError, "seed must be less than", {"seed": 2**32}),
    ],
)
def test_wrong_task_is_refused_by_name(kind, message, options):
    with pytest.raises(kind, match=message):
        gm.PathTask(gm.path_star(8, 3), **options)


def test_graph_without_paths_or_with_short_ones_is_refused():
    for g in (gm.cycle(5), gm.path_star(8, 2)):
        with pytest.raises(ValueError, match="graph must have paths of length 3"):
            gm.PathTask(g)
    task = gm.PathTask(gm.path_star(8, 3))
    with pytest.raises(ValueError, match="leaves must be leaves"):
        task.examples(torch.tensor([0]))


def test_large_task_is_made_in_linear_memory():
    task = gm.PathTask(gm.path_star(5000, 5))
    inputs, targets = task.examples(task.train_leaves)
    assert len(task.edges) == 40_000 and inputs.shape[0] == targets.shape[0] == len(task.train_leaves)
