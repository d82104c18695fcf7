"""What book/extend.md shows to whoever carries the project on runs as it stands, and the tests that it promises hold it."""

import functools
import inspect
import re

import pytest
import torch

import geomem as gm
from geomem import graphs, measures
from geomem.models import CORES
from geomem.tasks import TASKS, GraphTask
from tests.graphs import test_graphs
from tests.measures import test_measures
from tests.models import test_models
from tests.training import test_ensemble
from tools import book

PAGE = (book.ROOT / "book/extend.md").read_text(encoding="utf8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
OF_EVERY_CORE = [
    test
    for module in (test_models, test_ensemble)
    for name, test in inspect.getmembers(module, inspect.isfunction)
    if name.startswith("test_") and "core" in inspect.signature(test).parameters
    and set(inspect.signature(test).parameters) <= {"core", "monkeypatch"}
]  # fmt: skip


TABLES = (graphs.FAMILIES, CORES, TASKS)


@functools.cache
def ran(name):
    """Run the block of a name once, in a namespace of its own; return that, and what it entered into the tables."""
    (block,) = [block for block in BLOCKS if name in block]
    before, namespace = [dict(table) for table in TABLES], {}
    exec(compile(block, "book/extend.md", "exec"), namespace)
    entered = [{key: table[key] for key in table.keys() - old.keys()} for table, old in zip(TABLES, before, strict=True)]
    for table, new in zip(TABLES, entered, strict=True):
        for key in new:
            del table[key]
    return namespace, entered


@pytest.fixture
def run(monkeypatch):
    """Return a function that gives a block's names, and enters what it enters into the tables until the test is over."""

    def shown(name):
        namespace, entered = ran(name)
        for table, new in zip(TABLES, entered, strict=True):
            for key, value in new.items():
                monkeypatch.setitem(table, key, value)
        return namespace

    return shown


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: re.search(r"(?:def|class) (\w+)", block)[1])
def test_an_example_has_at_most_twenty_lines_that_fit(block):
    lines = block.splitlines()
    assert len(lines) <= 20 and max(map(len, lines)) <= 88


def test_there_is_one_example_of_each():
    assert [re.search(r"(?:def|class) (\w+)", block)[1] for block in BLOCKS] == [
        "hypercube",
        "TwoHops",
        "Diagonal",
        "nearest_is_neighbour",
    ]


def test_the_files_and_tables_that_the_page_names_are_there():
    for place, names in re.findall(r"\*\*File:\*\*(.*?)\*\*Line:\*\*(.*)", PAGE):
        for path in re.findall(r"`([\w./]+/[\w.]*)`", place + names):
            assert (book.ROOT / path).exists(), path
    tables = {"FAMILIES": graphs, "CORES": gm.models.sequence, "TASKS": gm.tasks, "MEASURES": test_measures}
    for table, module in tables.items():
        assert f"`{table}`" in PAGE and hasattr(module, table)


def test_the_new_graph_has_the_spectrum_of_a_hypercube(run):
    shown = run("hypercube")
    g = shown["g"]
    assert gm.named_graph("hypercube").name == g.name and (g.n_nodes, g.n_edges) == (16, 32)
    bits = torch.arange(16)[:, None] >> torch.arange(4) & 1
    assert torch.equal(g.hops(), (bits[:, None] != bits).sum(-1))  # Hamming distance
    assert shown["spectrum"].multiplicities.tolist() == [1, 4, 6, 4, 1]
    assert shown["spectrum"].values.tolist() == pytest.approx([2, 1, 0, -1, -2], abs=1e-9)
    assert shown["spectrum"].fiedler_energy(shown["flow"].embeddings[-1]).min() > 0.99
    test_graphs.test_hops_degrees_adjacency_and_components_agree_with_networkx(g)
    test_graphs.test_adjacency_and_targets_are_symmetric_unless_one_direction_is_asked(g)


def test_the_new_task_teaches_another_ring_and_is_read_back_from_a_file(run, tmp_path):
    shown = run("TwoHops")
    result, task = shown["run"], shown["task"]
    assert isinstance(task, GraphTask) and result.history[-1]["edge_recall"] == 1
    curve = gm.cosine_by_hops(result.model.embedding[:15].detach(), task.graph)
    assert curve[2] > 0.5 and curve[1] < 0 and curve.argmin() == 1
    result.save(tmp_path)
    again = gm.load_result(tmp_path)
    assert type(again.task) is type(task) and again.task.edges.tolist() == task.edges.tolist()


def test_the_new_core_recalls_the_ring_and_zigzags(run):
    runs, ring = run("Diagonal")["runs"], gm.Spectrum(gm.cycle(15))
    assert runs.edge_recall[-1].min() == 1 and len(runs.edge_recall[-1]) >= 5
    node2vec = gm.gradient_flow(gm.cycle(15), steps=2000).embeddings[-1]
    assert ring.negative_energy(runs.embeddings[-1]).min() > 0.2 > 0.01 > ring.negative_energy(node2vec).max()
    assert all((model.core.weights.prod(0) < 0).any() for model in (runs.model(b) for b in range(len(runs.final_scores))))


def test_the_tests_of_every_core_are_found():
    assert len(OF_EVERY_CORE) >= 8


@pytest.mark.parametrize("test", OF_EVERY_CORE, ids=lambda test: test.__name__)
def test_the_new_core_is_held_like_the_others(run, test, monkeypatch):
    run("Diagonal")
    test(**{name: {"core": "diagonal", "monkeypatch": monkeypatch}[name] for name in inspect.signature(test).parameters})


def test_the_new_measure_sees_what_recall_does_not(run):
    shown = run("nearest_is_neighbour")
    measure, g = shown["nearest_is_neighbour"], shown["g"]
    flow, net = gm.gradient_flow(g, steps=2000), gm.train_ensemble(g)
    assert gm.edge_recall(flow.scores(), g).min() == net.edge_recall[-1].min() == 1
    assert measure(flow.embeddings[-1], g).min() == 1 and measure(net.embeddings[-1], g).max() < 0.05
    assert gm.cosine_by_hops(net.embeddings[-1], g).mean(0).argsort(descending=True)[1] == 2  # after itself


def test_the_new_measure_is_held_like_the_others(run, monkeypatch):
    shown = run("nearest_is_neighbour")
    name = "nearest_is_neighbour"
    monkeypatch.setattr(measures, name, shown[name], raising=False)
    with pytest.raises(AssertionError):  # it has no line yet
        test_measures.test_every_measure_has_a_row()
    monkeypatch.setitem(test_measures.MEASURES, name, shown["line"])
    test_measures.test_every_measure_has_a_row()
    for g in test_measures.GRAPHS["any"]:
        test_measures.test_a_measure_ignores_what_its_row_says(name, g)
        test_measures.test_random_tables_score_what_the_row_says(name, g)
    test_measures.test_a_measure_ignores_nothing_else(name)
    test_measures.test_a_measure_keeps_batches_reads_numpy_and_is_float64(name)
    test_measures.test_a_measure_refuses_a_table_of_a_run_that_diverged(name)
