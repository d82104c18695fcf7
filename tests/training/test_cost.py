"""What a step costs is what torch counts, and what the models hold."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import geomem as gm
from geomem.models.transformer import plain_attention
from geomem.tasks import Rows
from geomem.training import Stage, candidates, cost, loop, loss, recipes

SHAPES = {
    "transformer": dict(core="transformer", layers=3, width=24, heads=3),
    "one layer": dict(core="transformer", layers=1, width=16, heads=2, positions="none"),
    "untied": dict(core="transformer", layers=2, width=16, heads=2, tied=False),
    "frozen": dict(core="transformer", layers=2, width=16, heads=2, frozen=True),
    "mamba": dict(core="mamba", layers=3, width=24),
    "narrow mamba": dict(core="mamba", layers=1, width=8, tied=False),
    "identity": dict(core="identity", width=16),
    "linear": dict(core="linear", layers=2, width=16),
    "sinusoidal": dict(core="transformer", layers=1, width=16, heads=2, positions="sinusoidal"),
}
shapes = pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
STAR = gm.path_star(8, 4)


def counted(model, task, stage, monkeypatch):
    """Run one step under torch's counter, with products that it knows: its list has no fused attention of a CPU."""
    monkeypatch.setattr(loss, "add_product", lambda total, a, b: total.add_(a @ b))  # nor a product added in place
    for block in getattr(model.core, "blocks", ()):
        block.kernel = plain_attention
    generator = torch.Generator().manual_seed(0)
    facts, paths = Rows(task.edges[:, :-1], task.edges[:, -1:], generator), task.source(generator)
    with FlopCounterMode(display=False) as counter:
        loop._loss(model.hidden, model, facts.draw(stage.edges), paths.draw(stage.paths), stage).backward()
    return counter.get_total_flops()


@shapes
@pytest.mark.parametrize("target, pauses", [("first", 1), ("full", 2)])
@pytest.mark.parametrize("edges, paths", [(5, 3), (7, 0), (0, 4)])
def test_operations_are_those_that_torch_counts(shape, target, pauses, edges, paths, monkeypatch):
    task, stage = gm.PathTask(STAR, target=target, pauses=pauses), Stage(1, 1e-3, edges=edges, paths=paths)
    model = gm.SequenceModel(task.vocabulary.n_tokens, **shape)
    ours = cost.step_cost(model.settings, task, stage)
    theirs = counted(model, task, stage, monkeypatch)
    assert ours.flops == theirs
    assert ours.parameters == sum(p.numel() for p in model.parameters())
    inside, tables = cost.parameters_of(model.settings)
    assert inside == sum(p.numel() for p in model.core.parameters()) and inside + tables == ours.parameters


@pytest.mark.parametrize("core, paths, node2vec", [("transformer", 9, 0.0), ("transformer", 9, 0.5), ("identity", 0, 0.0)])
def test_a_step_on_arms_costs_what_it_borrows(core, paths, node2vec):
    star = gm.path_star(16, 4)
    task = gm.PathTask(star, target="first") if paths else gm.EdgeTask(star)
    model = gm.SequenceModel(task.vocabulary.n_tokens, core=core, layers=2, width=16, heads=2)
    for block in getattr(model.core, "blocks", ()):
        block.kernel = plain_attention
    stage = Stage(1, 1e-3, arms=4, paths=paths, node2vec=node2vec)
    steps = candidates.ArmSteps(model, task, [stage], torch.Generator().manual_seed(0))
    if paths:
        steps.arms.order = torch.cat(
            [steps.trained.nonzero()[:3, 0], (~steps.trained).nonzero()[:1, 0]]
        )  # as many as average
    with FlopCounterMode(display=False) as counter:
        steps.loss(stage).backward()
    ours = cost.step_cost(model.settings, task, stage)
    assert ours.flops == counter.get_total_flops()
    assert ours.parameters == sum(p.numel() for p in model.parameters())
    whole = cost.step_cost(model.settings, task, Stage(1, 1e-3, edges=13, paths=min(paths, 3), node2vec=node2vec))
    assert ours.bytes == whole.bytes - 32 * 36 * 16 - 20 * (26 + paths // 3 if node2vec else 13 + paths // 3) * 36


def test_in_context_steps_are_counted_too(monkeypatch):
    task, stage = gm.InContextTask(2, 3), Stage(1, 1e-3, edges=0, paths=6)
    model = gm.SequenceModel(task.vocabulary.n_tokens, width=16, layers=2)
    generator = torch.Generator().manual_seed(0)
    for block in model.core.blocks:
        block.kernel = plain_attention
    monkeypatch.setattr(loss, "add_product", lambda total, a, b: total.add_(a @ b))
    nothing = torch.empty(0, 2, dtype=torch.int64), torch.empty(0, 1, dtype=torch.int64)
    with FlopCounterMode(display=False) as counter:
        loop._loss(model.hidden, model, nothing, task.source(generator).draw(6), stage).backward()
    assert cost.step_cost(model.settings, task, stage).flops == counter.get_total_flops()


@shapes
def test_an_evaluation_is_a_forward_pass_over_what_is_held(shape):
    task = gm.PathTask(STAR)
    model = gm.SequenceModel(task.vocabulary.n_tokens, **shape)
    for block in getattr(model.core, "blocks", ()):
        block.kernel = plain_attention
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        for inputs, targets in task.held().values():
            model(inputs, targets.shape[1])
    assert cost.evaluation_flops(model.settings, task) == counter.get_total_flops()


def test_a_run_is_the_sum_of_its_steps():
    task = gm.PathTask(STAR, target="first")
    settings = gm.SequenceModel(task.vocabulary.n_tokens).settings
    recipe = [Stage(3, 1e-3, edges=4), Stage(5, 1e-3, edges=4, paths=2)]
    one, two = (cost.step_cost(settings, task, stage).flops for stage in recipe)
    assert cost.training_flops(settings, task, recipe) == 3 * one + 5 * two and two > one


def test_bytes_and_memory_grow_with_what_they_count():
    task = gm.PathTask(STAR, target="first")
    model = gm.SequenceModel(task.vocabulary.n_tokens, width=16, layers=2)
    one, two = (cost.step_cost(model.settings, task, Stage(1, 1e-3, edges=k)) for k in (4, 8))
    assert one.bytes == 32 * one.parameters + 20 * 4 * task.vocabulary.n_tokens
    assert two.bytes - one.bytes == 20 * 4 * task.vocabulary.n_tokens and two.memory > one.memory > 16 * one.parameters
    frozen = cost.step_cost({**model.settings, "frozen": True}, task, Stage(1, 1e-3, edges=4))
    inside, tables = cost.parameters_of(model.settings)
    words = task.vocabulary.n_tokens * 16  # positions stay trained
    assert tables == words + 32 * 16
    assert one.bytes - frozen.bytes == 32 * words and one.memory - frozen.memory == 16 * words
    small, large = (cost.step_cost(model.settings, task, Stage(1, 1e-3, edges=8), chunk_bytes=size) for size in (64, 2**28))
    assert large.memory - small.memory == 3 * (4 * 8 * task.vocabulary.n_tokens - 64)


@pytest.mark.parametrize(
    "name, peak", [("cuda: NVIDIA H200", 989e12), ("cuda: NVIDIA H100 80GB HBM3", 989e12), ("cpu", None), ("T4", None)]
)
def test_a_rate_is_stated_or_unknown(name, peak):
    assert cost.rate_of(cost.PEAKS, name) == peak and (cost.rate_of(cost.BANDWIDTHS, name) is None) == (peak is None)


def test_the_measured_rate_divides_a_counted_step_by_its_seconds(monkeypatch):
    settings = gm.SequenceModel(30, width=16, layers=5, heads=2).settings
    seen = []

    def train(model, task, recipe, **options):
        seen.append(cost.step_cost(model.settings, task, recipe[0]).flops)
        assert model.settings["layers"] == 1 and model.settings["width"] == 16
        return loop.Result(model, task, [{"seconds": 0.5 / len(seen)}], {})

    monkeypatch.setattr(cost, "train", train)
    assert cost.measured_rate(settings, seconds=0) == 2 * seen[0] and len(seen) == 1
    assert cost.measured_rate(settings, seconds=0.05) == pytest.approx(2 * len(seen) * seen[-1])


def test_the_speed_is_the_median_within_stages():
    recipe = [Stage(4, 1e-3), Stage(6, 1e-3)]
    history = [{"step": s, "seconds": t} for s, t in ((0, 0.0), (2, 9.0), (4, 11.0), (6, 14.0), (10, 18.0))]
    # operations a second: 2 * 10 / 9 with the start-up, then 2 * 10 / 2, 2 * 100 / 3, 4 * 100 / 4
    assert cost.speed_of(history, recipe, [10, 100]) == pytest.approx(200 / 3)
    across = [{"step": 3, "seconds": 1.0}, {"step": 7, "seconds": 2.0}]  # the second pair lies in two stages
    assert cost.speed_of(across, recipe, [10, 100]) == 30
    assert cost.speed_of([{"step": 7, "seconds": 2.0}], recipe, [10, 100]) is None


def test_recipes_at_the_papers_size_fit_and_keep_the_device_busy():
    task = gm.PathTask(gm.path_star(5000, 5), target="first")
    facts, paths = recipes.edges_then_first(task, recipes.PAPER)
    assert facts.edges == recipes.PAPER.edges and paths.paths == recipes.PAPER.paths and paths.lr == facts.lr
    assert facts.steps == round(recipes.PAPER.passes * len(task.edges) / facts.edges) and facts.warmup and not paths.warmup
    small = gm.PathTask(gm.path_star(8, 3), target="first")
    assert [stage.edges for stage in recipes.edges_then_first(small, recipes.PAPER)] == [32, 32]


class Own(torch.nn.Module):
    """A core as a reader may register one: it weighs, then multiplies, and says nothing about operations."""

    sequential, dropout_sites = False, 0

    def __init__(self, width, layers, heads, generator, std):
        super().__init__()
        self.weights = torch.nn.Parameter(torch.randn(layers, width, generator=generator) * std)
        self.map = torch.nn.Parameter(torch.randn(width, width, generator=generator) * std)

    def forward(self, x, drop, last):
        return (x[:, -last:] * self.weights.prod(0)) @ self.map


def test_a_core_that_is_not_ours_is_counted_itself(monkeypatch):
    monkeypatch.setitem(gm.models.CORES, "own", Own)
    task, stage = gm.PathTask(STAR), Stage(1, 1e-3, edges=5, paths=3)
    model = gm.SequenceModel(task.vocabulary.n_tokens, core="own", width=24, layers=3)
    price = cost.step_cost(model.settings, task, stage)
    assert price.parameters == sum(p.numel() for p in model.parameters()) == 24 * (24 + 3 + task.vocabulary.n_tokens)
    assert cost.forward_flops(model.settings, 7, 4, 2) == 2 * 7 * 2 * 24 * 24
    assert price.flops == counted(model, task, stage, monkeypatch)
