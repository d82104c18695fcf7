"""Nothing in the library depends on torch's default dtype: each docstring's example does the same under another one."""

import contextlib
import doctest
import importlib
import io
import pkgutil
import re
import sys

import pytest
import torch

import geomem as gm
from geomem import explorables
from geomem.measures import core_survival
from geomem.models import CORES
from geomem.models.sequence import POSITIONS
from geomem.node2vec import blockwise_flow
from geomem.training import cost

APART = {"__main__", "child", "kernel"}  # programs: to import them is to run them
OWN = re.compile(r"torch\.(arange|eye|zeros|ones|tensor|randn?|full)\((?!.*dtype)")  # the reader's own tensor
STAR = gm.path_star(3, 3)
TABLE = [[0.1 * (7 * u + 3 * k) % 1.0 for k in range(3)] for u in range(STAR.n_nodes)]  # lists hold numbers, and no dtype
SCORES = [[sum(a * b for a, b in zip(u, v, strict=True)) for v in TABLE] for u in TABLE]


def examples():
    """Return the examples of all docstrings of geomem by name."""
    found = {}
    for module in pkgutil.walk_packages(gm.__path__, "geomem."):
        if module.name.rpartition(".")[2] not in APART:
            tests = doctest.DocTestFinder().find(importlib.import_module(module.name))
            sources = {test.name: (test.globs, [example.source for example in test.examples]) for test in tests}
            found |= {name: of for name, of in sources.items() if of[1] and not OWN.search("".join(of[1]))}
    return found


EXAMPLES = examples()


@contextlib.contextmanager
def default(dtype):
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def facts(thing, seen=()):
    """Return what a value holds, with every tensor as its dtype and digits."""
    if isinstance(thing, torch.Tensor):
        return str(thing.dtype), thing.detach().numpy().tobytes() if thing.dtype != torch.bfloat16 else thing.tolist()
    if isinstance(thing, torch.nn.Module):
        return {name: facts(tensor) for name, tensor in thing.state_dict().items()}
    if isinstance(thing, dict):
        return {str(key): facts(value, seen) for key, value in thing.items() if key != "seconds"}
    if isinstance(thing, (list, tuple)):
        return [facts(value, seen) for value in thing]
    if type(thing).__module__.startswith("geomem") and id(thing) not in seen and hasattr(thing, "__dict__"):
        return facts(vars(thing), (*seen, id(thing)))
    return repr(thing) if isinstance(thing, (int, float, str, bool)) else type(thing).__name__


def shown(globs, sources, monkeypatch):
    """Run an example's lines, and return what they show and name."""
    values, names = [], dict(globs)
    monkeypatch.setattr(sys, "displayhook", values.append)
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        for source in sources:
            exec(compile(source, "an example", "single"), names)
    return facts([values, {name: value for name, value in names.items() if name not in globs}, printed.getvalue()])


def test_most_examples_are_compared():
    assert len(EXAMPLES) >= 50


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_does_the_same_under_another_default_dtype(name, monkeypatch):
    usual = shown(*EXAMPLES[name], monkeypatch)
    with default(torch.float64):
        assert shown(*EXAMPLES[name], monkeypatch) == usual


def models():
    shapes = [(core, positions, tied) for core in CORES for positions in POSITIONS for tied in (True, False)]
    made = [gm.SequenceModel(9, core=c, positions=p, tied=t, width=8, dropout=0.5) for c, p, t in shapes]
    tokens = torch.arange(6).reshape(2, 3)
    draws = [model.draw_noise(tokens, torch.Generator().manual_seed(1)) for model in made]
    return made, draws, [model(tokens, noise=noise) for model, noise in zip(made, draws, strict=True)]


def trainings():
    graph, recipe = gm.path_star(3, 3), [gm.Stage(3, 0.01, edges=4, paths=2, node2vec=0.1, decay=0.1)]
    tasks = [gm.PathTask(graph), gm.PathTask(graph, target="first", reverse=True), gm.InContextTask(2, 3, n_held=5)]
    recipes = [recipe, [gm.Stage(3, 0.01, arms=2, paths=2)], [gm.Stage(3, 0.01, edges=0, paths=4)]]
    models = [gm.SequenceModel(task.vocabulary.n_tokens, width=8, layers=1, heads=2) for task in tasks]
    done = [gm.train(m, task, r, device="cpu") for m, task, r in zip(models, tasks, recipes, strict=True)]
    return [(result.model, result.history, result.token_accuracy) for result in done]


def ensembles():
    asked = dict(width=6, steps=5, seeds=[100, 101], dropout=[0.0, 0.3], snapshots=[0, 2])
    return [gm.train_ensemble(STAR, core=core, **asked) for core in CORES]


def measures():
    of_a_table = (gm.cosine_by_hops, gm.geometric_contrast, gm.geometric_order, gm.first_hop_accuracy, gm.arm_separation)
    tables = [measure(TABLE, STAR) for measure in of_a_table]
    survival = core_survival(TABLE, torch.eye(3).tolist(), [0.1, 0.2, 0.3], STAR)
    spectrum = gm.Spectrum(STAR)
    shares = [spectrum.energy(TABLE), spectrum.fiedler_energy(TABLE)]
    return tables, gm.edge_recall(SCORES, STAR), gm.geometric_share(TABLE, SCORES, STAR), survival, shares


def flows():
    return [flow(STAR, width=4, steps=5) for flow in (gm.gradient_flow, blockwise_flow)]


def widgets():
    flow, net = (make(STAR, steps=5, snapshots=[0, 1]) for make in (gm.gradient_flow, gm.train_ensemble))
    watch, ask = explorables.Watch(STAR), explorables.Ask(STAR, {"lists": (SCORES, TABLE)})
    return [
        one.data for one in (watch, ask, explorables.Replay(STAR, {"flow": flow, "net": net, "own": ([0, 1], [TABLE] * 2)}))
    ]


def costs():
    settings = gm.SequenceModel(9, width=8).settings
    return [cost.forward_flops(settings | {"core": core}, 2, 3, 1) for core in CORES], gm.cost_in_bits(STAR)


@pytest.mark.parametrize("makes", [models, trainings, ensembles, measures, flows, widgets, costs])
def test_what_is_made_and_measured_is_the_same_under_another_default_dtype(makes):
    usual = facts(makes())
    with default(torch.float64):
        assert facts(makes()) == usual


def test_an_own_core_in_the_default_dtype_becomes_float32(monkeypatch):
    class Own(torch.nn.Module):
        sequential, dropout_sites = False, 0

        def __init__(self, width, layers, heads, generator, std):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(width))

        def forward(self, x, drop, last):
            return x[:, -last:] * self.weight

    monkeypatch.setitem(CORES, "own", Own)
    with default(torch.float64):
        assert gm.train_ensemble(STAR, core="own", width=4, steps=2).embeddings.dtype == torch.float32
        assert cost.forward_flops(gm.SequenceModel(9, core="own", width=8).settings, 1, 2, 1) == 0
