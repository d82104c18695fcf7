"""Placement without a GPU: fake tensors on a device that is not the CPU. A tensor left on the wrong one ends a test.

No numbers are computed, so what follows from values is not seen: an evaluation's ``tolist`` and edge recall, and the paths
of drawn arms and drawn neighbourhoods, whose number follows from values. Measures compute on the CPU; that they bring their
table there is seen, and no more. Nor are bf16's autocast, kernels that only CUDA has, CUDA graphs, ``torch.compile``,
streams, memory and generators: these are the CPU's here. The device is torch's place for backends of others, under the
name "fake".
"""

import types

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode, is_fake, unset_fake_temporarily
from torch.fx.experimental.symbolic_shapes import ShapeEnv
from torch.utils import backend_registration
from tqdm import tqdm

import geomem as gm
from geomem import _checks
from geomem.measures import sampled
from geomem.node2vec import blockwise
from geomem.training import ensemble, loop

CORES = ("transformer", "mamba", "linear", "identity")
STAGES = {
    "facts": dict(edges=8),
    "facts and a term": dict(edges=8, node2vec=1.0, decay=0.1),
    "paths": dict(edges=8, paths=3),
    "arms": dict(arms=4),
    "arms and a term": dict(arms=4, node2vec=1.0, table="rms"),
}
"""What a stage may draw."""


BACKEND = types.SimpleNamespace(get_amp_supported_dtype=lambda: [torch.bfloat16], is_available=lambda: True)
TASK = gm.PathTask(gm.path_star(8, 4), target="first")


@pytest.fixture(scope="module")
def device():
    """Register the device once per process."""
    setup = getattr(backend_registration, "_setup_privateuseone_for_python_backend", None)
    if setup is None:
        pytest.skip("this version of torch has no devices in Python")
    setup("fake", backend_module=BACKEND)
    return torch.device("fake:0")


@pytest.fixture
def fake(device, monkeypatch):
    """Make every new tensor a fake one, and every real one where it is moved to the device."""
    env = ShapeEnv(allow_dynamic_output_shape_ops=True, allow_scalar_outputs=True)
    to = torch.Tensor.to

    def moved_to(x, *where, **options):
        if is_fake(x) or device not in (*where, *options.values()):
            return to(x, *where, **options)
        return torch.empty_like(to(x, *(given for given in where if given != device)), device=device)

    monkeypatch.setattr(torch.Tensor, "to", moved_to)
    monkeypatch.setattr(gm.PathTask, "settings", {})  # they hash the graph's numbers
    shapes = [part.shape[1:] for part in TASK.examples(TASK.train_leaves)]  # and examples follow paths by their numbers

    def examples(task, leaves):
        return [torch.empty(len(leaves), *shape, dtype=torch.int64) for shape in shapes]

    monkeypatch.setattr(gm.PathTask, "examples", examples)
    with FakeTensorMode(allow_non_fake_inputs=True, shape_env=env) as mode:
        yield mode


def on_device(model, device):
    """Give a model fake tensors on the device in place of its own."""
    for module in model.modules():
        for name, p in list(module.named_parameters(recurse=False)):
            there = torch.empty(p.shape, dtype=p.dtype, device=device)
            setattr(module, name, torch.nn.Parameter(there, requires_grad=p.requires_grad))
        for name, b in list(module.named_buffers(recurse=False)):
            setattr(module, name, torch.empty(b.shape, dtype=b.dtype, device=device))
    return model


def test_the_fake_device_tells_a_tensor_that_was_left_behind(fake, device):
    with pytest.raises(RuntimeError, match="two devices"):
        torch.ones(3, device=device) + torch.ones(3)


@pytest.mark.parametrize("name", STAGES)
@pytest.mark.parametrize("core", CORES)
def test_a_step_of_train_stays_on_its_device(core, name, fake, device):
    asked = STAGES[name]
    if asked.get("paths") and not gm.models.CORES[core].sequential:
        pytest.skip("this core reads one token")
    with unset_fake_temporarily():
        real = gm.SequenceModel(TASK.vocabulary.n_tokens, core=core, width=8, layers=1, heads=1)
    model = on_device(real, device)
    stage = gm.Stage(2, 1e-3, **asked)
    state = loop._State(model, TASK, torch.Generator(), {}, [stage])
    rows = state.paths  # they lie where the generator is, here the CPU
    state.paths = type(rows)(rows.inputs.to(device), rows.targets.to(device), rows.generator)
    for _ in range(2):
        state.optimizer.zero_grad()
        drawn = state.facts.draw(stage.edges), state.paths.draw(stage.paths)
        loss = state.arms.loss(stage) if state.arms else loop._loss(model.hidden, model, *drawn, stage)
        loss.backward()
        state.update()
    state.sync()
    assert all(p.device == device for p in model.parameters()) and loss.device == device
    assert all(p.grad.device == device for p in state.moving if p.grad is not None)


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_an_ensemble_stays_on_its_device(core, precision, dropout, fake, device, monkeypatch):
    def real_model(**settings):
        with unset_fake_temporarily():
            return gm.SequenceModel(**settings)

    monkeypatch.setattr(ensemble, "SequenceModel", real_model)
    monkeypatch.setattr(ensemble, "_second_stream", lambda seed: torch.Generator().manual_seed(seed))  # it reads a value
    settings = dict(n_tokens=12, core=core, width=16, layers=1, heads=1, context=2, position_std=1.0)
    members = [{"lr": 0.1, "weight_decay": 0.0, "init_std": 0.1, "dropout": dropout, "seed": seed} for seed in (0, 1)]
    tokens = torch.zeros(8, 1 + gm.models.CORES[core].sequential, dtype=torch.int64)
    rest = 2, ensemble.SCHEDULES["cosine"], (0, 2), precision, device, tqdm(disable=True)
    *tables, parameters = ensemble._train_chunk(settings, members, tokens, torch.ones(8, 8), *rest)
    assert all(x.device.type == "cpu" for x in (*tables, *parameters.values()))


@pytest.mark.parametrize("precision", blockwise.PRECISIONS)
@pytest.mark.parametrize("self_edges", [False, True])
def test_the_flow_by_blocks_stays_on_its_device(precision, self_edges, fake, device):
    dtype = blockwise.PRECISIONS[precision]
    low = torch.bfloat16 if precision == "bf16" else dtype
    walk, V = blockwise._Walk(TASK.graph, self_edges, device, dtype), torch.ones(25, 4, dtype=dtype, device=device)
    V.add_(walk.velocity(V, 10, low), alpha=0.1)
    assert V.device == walk.loss(V, 10, low).device == device


@pytest.mark.parametrize("core", ("transformer", "mamba"))
def test_an_evaluation_and_the_measures_bring_to_the_cpu_what_they_read(core, fake, device, monkeypatch):
    monkeypatch.setattr(sampled, "path_star", lambda *size: size)  # it reads values
    with unset_fake_temporarily():
        real = gm.SequenceModel(TASK.vocabulary.n_tokens, core=core, width=8, layers=1, heads=1)
        arms = TASK.graph.paths[:3, 1:]
    model = on_device(real, device)
    inputs, targets = TASK.examples(TASK.train_leaves)
    table, _ = sampled.sub_star(model.embedding, TASK.graph, arms)
    for read in (loop._hits(model, inputs, targets), table, _checks.table(model.embedding)):
        assert read.device.type == "cpu"
