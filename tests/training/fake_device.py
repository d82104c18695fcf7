"""Placement without a GPU: fake tensors on a device that is not the CPU. A tensor left on the wrong one ends a test.

No numbers are computed, so what follows from values is not seen: an evaluation's ``tolist``, and the paths of drawn arms and
drawn neighbourhoods, whose number follows from values. Nor are bf16's autocast, kernels that only CUDA has, CUDA graphs,
``torch.compile``, streams, memory and generators: these are the CPU's here. The device is torch's place for backends of
others, under the name "fake".
"""

import types

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode, is_fake, unset_fake_temporarily
from torch.fx.experimental.symbolic_shapes import ShapeEnv
from torch.utils import backend_registration

import geomem as gm
from geomem.training import loop

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
        return torch.empty(x.shape, dtype=x.dtype, device=device)

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
