import inspect
import json
import math

import networkx as nx
import numpy as np
import pytest
import torch

import geomem as gm
from geomem.tasks import TASKS, GraphTask, PromptVocabulary

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
    tokens = length - reverse  # the way back begins at the leaf's parent
    assert inputs.shape == (len(task.test_leaves), 2 + pauses + tokens - 1) and task.n_targets == tokens
    for leaf, read, answer in zip(task.test_leaves.tolist(), inputs.tolist(), targets.tolist(), strict=True):
        path = next(path for path in g.paths.tolist() if path[-1] == leaf)
        path = path[-2::-1] if reverse else path
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
        (TypeError, "directions must be a number, got True", {"directions": True}),
        (TypeError, "directions must be a number, got None", {"directions": None}),
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


def settled(task):
    """Send settings and tensors through JSON and back, as a file does."""
    return type(task).restore(task.tensors(), json.loads(json.dumps(task.settings)))


@stars
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"target": "first", "split": "first", "pauses": 0, "seed": 9},
        {"reverse": True, "directions": "backward", "self_edges": True, "validation_fraction": 0.0},
        {"directions": 0.25, "train_fraction": 0.6, "pauses": 4},
    ],
    ids=str,
)
def test_a_task_is_made_again_from_its_settings_and_tensors(g, options):
    task = gm.PathTask(g, **options)
    again = settled(task)
    assert again.settings == task.settings and repr(again) == repr(task)
    assert torch.equal(again.edges, task.edges) and again.vocabulary == task.vocabulary and again.chance == task.chance
    for name, (inputs, targets) in task.held().items():
        assert torch.equal(again.held()[name][0], inputs) and torch.equal(again.held()[name][1], targets)
    arguments = set(inspect.signature(gm.PathTask).parameters) - {"graph"}
    assert set(task.settings) == arguments | {"kind", "graph"} and TASKS[task.settings["kind"]] is gm.PathTask


def test_every_argument_changes_the_settings():
    task = gm.PathTask(gm.path_star(8, 3))
    for other in (
        {"train_fraction": 0.5},
        {"validation_fraction": 0.2},
        {"split": "first"},
        {"target": "first"},
        {"reverse": True},
        {"pauses": 2},
        {"directions": "forward"},
        {"self_edges": True},
        {"seed": 1},
        {"graph": gm.path_star(8, 3, seed=1)},
        {"graph": gm.path_star(9, 3)},
    ):
        assert gm.PathTask(**{"graph": task.graph} | other).settings != task.settings


def test_held_leaves_validation_out_where_there_is_none():
    assert set(gm.PathTask(gm.path_star(8, 3)).held()) == {"train", "validation", "test"}
    assert set(gm.PathTask(gm.path_star(8, 3), validation_fraction=0.0).held()) == {"train", "test"}


@pytest.mark.parametrize("leaf", [0, 1, -1, 17, 2.5, 10**12])
def test_what_is_no_leaf_has_no_path(leaf):
    task = gm.PathTask(gm.path_star(8, 3))  # leaves are 2, 4, ..., 16
    with pytest.raises(ValueError, match="leaves must be leaves of .*, got node"):
        task.examples(torch.tensor([2, leaf]))
    assert task.examples([2, 16])[1].tolist() == [[0, 1, 2], [0, 15, 16]]
    assert [tuple(part.shape) for part in task.examples([])] == [(0, 5), (0, 3)]


PROMPTS = [(2, 3, None), (2, 5, 30), (5, 3, None), (10, 4, 31)]
prompts = pytest.mark.parametrize("degree, length, names", PROMPTS)


@prompts
@pytest.mark.parametrize("teacherless", [False, True])
def test_a_prompt_shows_a_path_star_and_asks_for_one_of_its_paths(degree, length, names, teacherless):
    generator = torch.Generator().manual_seed(3)
    inputs, targets = gm.in_context_examples(degree, length, 40, generator=generator, names=names, teacherless=teacherless)
    n_nodes, n_edges = degree * (length - 1) + 1, degree * (length - 1)
    words = PromptVocabulary(names or n_nodes)
    assert inputs.dtype == targets.dtype == torch.int64
    assert inputs.shape == (40, 2 * n_edges + 3 + length - 1) and targets.shape == (40, length)
    for row, answer in zip(inputs.tolist(), targets.tolist(), strict=True):
        shown, (tag, start, goal), given = row[: 2 * n_edges], row[2 * n_edges : 2 * n_edges + 3], row[2 * n_edges + 3 :]
        edges = list(zip(shown[::2], shown[1::2], strict=True))
        graph = nx.DiGraph(edges)  # u before v: away from the root
        assert len(graph) == n_nodes and len(graph.edges) == n_edges and max(graph) < words.n_nodes
        assert tag == words.PATH and graph.in_degree(start) == 0 and graph.out_degree(start) == degree
        assert all(graph.out_degree(u) <= 1 and graph.in_degree(u) == 1 for u in graph if u != start)
        assert graph.out_degree(goal) == 0 and nx.shortest_path(graph, start, goal) == answer and len(answer) == length
        assert given == ([words.DUMMY] * (length - 1) if teacherless else answer[:-1])


@prompts
def test_prompts_are_fresh_in_every_way_and_the_same_from_the_same_generator(degree, length, names):
    asked = dict(names=names)
    one, same = torch.Generator().manual_seed(5), torch.Generator().manual_seed(5)
    first = gm.in_context_examples(degree, length, 200, generator=one, **asked)
    assert all(map(torch.equal, first, gm.in_context_examples(degree, length, 200, generator=same, **asked)))
    second = gm.in_context_examples(degree, length, 200, generator=one, **asked)
    assert not torch.equal(first[0], second[0])
    rows = [tuple(row) for row in first[0].tolist()]
    assert len(set(rows)) > 190
    hidden = gm.in_context_examples(degree, length, 200, generator=same, teacherless=True, **asked)
    assert torch.equal(hidden[1], second[1])  # teacherless hides tokens and draws the same graphs


def test_goal_order_and_names_are_drawn_evenly():
    n = 4000
    inputs, targets = gm.in_context_examples(2, 3, n, generator=torch.Generator().manual_seed(7), names=6)
    five = 5 / math.sqrt(n)  # five standard errors of a share, at most
    counts = torch.bincount(targets[:, 0], minlength=6) / n
    assert counts.sub(1 / 6).abs().max() < five
    goal_edge_place = (inputs[:, 1:8:2] == targets[:, -1:]).double().argmax(1)
    assert torch.bincount(goal_edge_place, minlength=4).div(n).sub(1 / 4).abs().max() < five
    first_shown = inputs[:, :8].unflatten(1, (4, 2))
    pairs = zip(first_shown.tolist(), targets[:, 0].tolist(), strict=True)
    hops = [[v for u, v in edges if u == start] for edges, start in pairs]
    right_is_first = [hop[0] == answer for hop, answer in zip(hops, targets[:, 1].tolist(), strict=True)]
    assert abs(sum(right_is_first) / n - 1 / 2) < five  # no order gives the first hop away


@prompts
def test_the_in_context_task_holds_fixed_examples_and_draws_fresh_ones(degree, length, names):
    task = gm.InContextTask(degree, length, names=names, n_held=30, seed=2)
    again = settled(task)
    assert again.settings == task.settings and repr(again) == repr(task) and task.tensors() == {}
    assert set(task.settings) == set(inspect.signature(gm.InContextTask).parameters) | {"kind"}
    assert set(task.held()) == {"validation", "test"} and TASKS[task.settings["kind"]] is gm.InContextTask
    for name, (inputs, targets) in task.held().items():
        assert inputs.shape == (30, task.context) and targets.shape == (30, task.n_targets)
        assert torch.equal(again.held()[name][0], inputs)
    assert not torch.equal(task.held()["test"][0], task.held()["validation"][0])
    other = gm.InContextTask(degree, length, names=names, n_held=30, seed=3)
    assert not torch.equal(other.held()["test"][0], task.held()["test"][0])
    source = task.source(torch.Generator().manual_seed(1))
    (a, _), (b, _) = source.draw(5), source.draw(5)
    assert a.shape == (5, task.context) and not torch.equal(a, b)
    expected = gm.in_context_examples(degree, length, 5, generator=torch.Generator().manual_seed(1), names=names)
    assert torch.equal(a, expected[0])
    words = task.vocabulary
    assert int(torch.cat([a, b]).max()) < words.n_tokens == words.n_nodes + 5 and words.DUMMY == words.n_tokens - 1
    assert task.chance == 1 / degree and task.n_paths is None and not isinstance(task, GraphTask)
    assert len(source.draw(0)[0]) == 0


@pytest.mark.parametrize(
    "kind, message, options",
    [
        (ValueError, "degree must be at least 2, got 1. With one arm there is nothing to choose", {"degree": 1}),
        (ValueError, "length must be at least 3, got 2", {"length": 2}),
        (TypeError, "length must be an integer", {"length": 4.0}),
        (ValueError, "names must be at least 7, got 6", {"names": 6}),
        (TypeError, "teacherless must be True or False", {"teacherless": 1}),
        (ValueError, "n_held must be at least 1", {"n_held": 0}),
        (ValueError, "seed must be at least 0", {"seed": -1}),
    ],
)
def test_a_wrong_in_context_task_is_refused_by_name(kind, message, options):
    with pytest.raises(kind, match=message):
        gm.InContextTask(**{"degree": 2, "length": 4, **options})


def test_wrong_prompts_are_refused_by_name():
    generator = torch.Generator()
    for kind, message, sizes, options in (
        (ValueError, "names must be at least 7, got 6", (2, 4, 1), {"names": 6}),
        (ValueError, "n must be at least 0, got -1", (2, 4, -1), {}),
        (ValueError, "degree must be at least 2", (1, 4, 1), {}),
    ):
        with pytest.raises(kind, match=message):
            gm.in_context_examples(*sizes, generator=generator, **options)
    assert [len(part) for part in gm.in_context_examples(2, 4, 0, generator=generator)] == [0, 0]


@pytest.mark.parametrize("options", [{}, {"target": "first", "pauses": 0}, {"pauses": 3, "reverse": True}])
def test_context_is_the_length_of_the_inputs(options):
    task = gm.PathTask(gm.path_star(8, 4), **options)
    assert task.examples(task.test_leaves)[0].shape[1] == task.context


@pytest.mark.parametrize("make", [gm.EdgeTask, gm.PathTask], ids=lambda make: make.__name__)
def test_a_task_comes_back_from_a_file_with_the_whole_graph(make):
    star = gm.path_star(4, 3, seed=1)
    g = gm.Graph(n_nodes=9, edges=star.edges, root=star.root, paths=star.paths, name="mine", fiedler_dims=2)
    task = make(g)
    back = make.restore(task.tensors(), task.settings).graph
    assert torch.equal(back.edges, g.edges) and torch.equal(back.paths, g.paths)
    assert (back.n_nodes, back.root, back.name, back.fiedler_dims) == (9, star.root, "mine", 2)
