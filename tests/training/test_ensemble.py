import itertools
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import geomem as gm
from geomem.models import CORES
from geomem.training import ensemble

FLOAT64 = 1e-9  # 30 steps of AdamW; its division by the root of a tiny second moment amplifies rounding
FLOAT32 = 1e-5  # the same in float32, and a member alone against the same one in a batch

TINY = [gm.path_star(4, 5), gm.grid(4, 4), gm.cycle(15), gm.irregular()]
tiny = pytest.mark.parametrize("g", TINY, ids=lambda g: g.name)
every_core = pytest.mark.parametrize("core", CORES)
QUICK = dict(width=8, steps=12, seeds=(0, 3), lr=0.02, init_std=0.3, core_std=0.3)


def one_by_one(g, core, seed, *, precision, steps, lr, width=8, directions="both", self_edges=False, tied=True,
               frozen=False, weight_decay=0.0, dropout=0.0, schedule="constant", init_std=0.3, core_std=0.3, layers=1,
               heads=1):  # fmt: skip
    """Train one SequenceModel as a competent user would: torch's AdamW, one row per edge, autograd."""
    n, dtype = g.n_nodes, getattr(torch, precision)
    model = gm.SequenceModel(n + 4, core=core, width=width, layers=layers, heads=heads, context=2, tied=tied, frozen=frozen,
                             init_std=init_std, core_std=core_std, position_std=1.0, dropout=dropout, seed=seed)  # fmt: skip
    model = model.to(dtype)
    examples = gm.edge_examples(g, directions=directions, self_edges=self_edges)
    tokens = examples[:, :2] if core == "transformer" else examples[:, 1:2]
    asked, answers = examples[:, 1], examples[:, 2]
    nodes = torch.arange(n)[:, None]
    nodes = torch.cat([torch.full_like(nodes, gm.Vocabulary(n).EDGE), nodes], dim=1) if core == "transformer" else nodes
    noise = ensemble._noise(model, [{"seed": seed}], nodes, "cpu", dtype)
    optimizer = torch.optim.AdamW(
        [p for p in model.parameters() if p.requires_grad], lr=lr, weight_decay=weight_decay, foreach=False, fused=False
    )
    losses = []
    for step in range(steps + 1):
        with torch.no_grad():
            losses.append(F.cross_entropy(model(tokens, last=1)[:, 0, :n], answers).item())
        if step == steps:
            break
        if schedule == "cosine":  # from lr at the first step to lr / 10 at the last
            optimizer.param_groups[0]["lr"] = lr * (0.55 + 0.45 * math.cos(math.pi * step / (steps - 1)))
        draws = next(noise)[0][:, asked] if dropout else None  # an edge shares its node's draw
        loss = F.cross_entropy(model(tokens, last=1, noise=draws)[:, 0, :n], answers)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model, losses, model(nodes, last=1)[:, 0, :n].detach()


CASES = {
    "linear": ("linear", {}),
    "two linear maps": ("linear", {"layers": 2}),
    "linear, untied": ("linear", {"tied": False}),
    "linear, frozen": ("linear", {"frozen": True}),
    "linear, frozen, untied, decay": ("linear", {"frozen": True, "tied": False, "weight_decay": 0.5}),
    "identity": ("identity", {}),
    "identity, untied, decay": ("identity", {"tied": False, "weight_decay": 0.3}),
    "transformer": ("transformer", {}),
    "transformer, 2 layers, 2 heads, untied": ("transformer", {"tied": False, "layers": 2, "heads": 2}),
    "transformer, frozen, cosine": ("transformer", {"frozen": True, "schedule": "cosine"}),
    "decay": ("linear", {"weight_decay": 0.5}),
    "decay, transformer": ("transformer", {"weight_decay": 0.5}),
    "cosine": ("linear", {"schedule": "cosine"}),
    "dropout": ("linear", {"dropout": 0.25}),
    "dropout, transformer, all at once": ("transformer", {"dropout": 0.4, "schedule": "cosine", "weight_decay": 0.1}),
    "forward": ("linear", {"directions": "forward"}),
    "backward, self edges": ("transformer", {"directions": "backward", "self_edges": True}),
    "self edges": ("identity", {"self_edges": True}),
}


@pytest.mark.parametrize("core, options", CASES.values(), ids=CASES)
@pytest.mark.parametrize("precision, tolerance", [("float64", FLOAT64), ("float32", FLOAT32)])
def test_a_member_is_what_a_plain_loop_trains(core, options, precision, tolerance):
    g = gm.path_star(3, 3)
    options = (
        dict(width=8, steps=30, lr=0.01, init_std=0.3, core_std=0.3, precision=precision, schedule="constant") | options
    )
    model, losses, logits = one_by_one(g, core, 3, **options)
    runs = gm.train_ensemble(g, core=core, seeds=(0, 3), snapshots=range(31), **options)
    assert runs.loss[:, 1].tolist() == pytest.approx(losses, rel=tolerance, abs=tolerance)
    torch.testing.assert_close(runs.scores()[1], logits, rtol=tolerance, atol=10 * tolerance)
    torch.testing.assert_close(runs.embeddings[-1, 1], model.embedding[: g.n_nodes].detach(), rtol=tolerance, atol=tolerance)
    assert runs.scores().dtype == runs.embeddings.dtype == getattr(torch, precision)


@every_core
def test_a_member_alone_is_the_same_member_in_a_batch(core):
    knobs = dict(lr=[0.01, 0.03], weight_decay=[0.0, 0.2], init_std=[0.1, 0.5], dropout=[0.0, 0.3])
    asked = dict(core=core, graph=gm.grid(3, 3), width=8, steps=15, core_std=0.3, snapshots=(0, 5))
    runs = gm.train_ensemble(seeds=(7, 2), **knobs, **asked)
    assert runs.loss.shape == (3, 32)
    for b in (0, 1, 13, 31):
        own = {name: float(runs.knobs[name][b]) for name in knobs}
        alone = gm.train_ensemble(seeds=[int(runs.knobs["seed"][b])], **own, **asked)
        torch.testing.assert_close(alone.loss[:, 0], runs.loss[:, b], rtol=FLOAT32, atol=FLOAT32)
        torch.testing.assert_close(alone.embeddings[:, 0], runs.embeddings[:, b], rtol=FLOAT32, atol=FLOAT32)
        torch.testing.assert_close(alone.edge_recall[:, 0], runs.edge_recall[:, b])


def test_the_batch_is_the_grid_of_the_knobs_with_seeds_fastest():
    lrs, decays, stds, rates, seeds = [0.1, 0.2], [0.0, 0.5], [0.02, 1.0], [0.0, 0.75], [5, 1, 3]
    grid = dict(lr=lrs, weight_decay=np.array(decays), init_std=tuple(stds), dropout=torch.tensor(rates).double())
    runs = gm.train_ensemble(gm.cycle(5), width=2, steps=1, seeds=(s for s in seeds), **grid)
    expected = list(itertools.product(lrs, decays, stds, rates, seeds))
    columns = [runs.knobs[name].tolist() for name in ("lr", "weight_decay", "init_std", "dropout", "seed")]
    assert [tuple(map(float, row)) for row in zip(*columns, strict=True)] == [tuple(map(float, row)) for row in expected]


@every_core
def test_members_that_differ_in_a_knob_share_their_random_numbers(core):
    runs = gm.train_ensemble(gm.cycle(5), core=core, **QUICK | {"lr": [0.01, 0.1], "init_std": [0.1, 0.4], "steps": 1})
    start = runs.embeddings[0].unflatten(0, (2, 2, 2))  # lr, init_std, seed
    assert torch.equal(start[0], start[1])
    torch.testing.assert_close(4 * start[:, 0], start[:, 1])
    assert (start[0, 0, 0] - start[0, 0, 1]).abs().max() > 0.01
    drops = gm.train_ensemble(gm.cycle(5), core=core, **QUICK | {"dropout": [0.3, 0.3 + 1e-7], "seeds": [1]})
    torch.testing.assert_close(drops.embeddings[:, 0], drops.embeddings[:, 1], rtol=1e-3, atol=1e-3)  # the same masks


def test_dropout_draws_are_no_copy_of_the_start_values():
    model = gm.SequenceModel(9, core="identity", width=8, seed=3)
    draws = next(ensemble._noise(model, [{"seed": 3}], torch.arange(9)[:, None], "cpu", torch.float32))
    same_stream = torch.rand(draws.numel(), generator=torch.Generator().manual_seed(3))
    assert not torch.equal(draws.flatten(), same_stream)


def test_dropout_draws_are_new_at_every_step_and_another_for_every_seed():
    model = gm.SequenceModel(9, core="transformer", width=8)
    stream = ensemble._noise(
        model, [{"seed": s} for s in (4, 5, 4)], torch.zeros(5, 2, dtype=torch.int64), "cpu", torch.float32
    )
    first, second = next(stream), next(stream)
    assert first.shape == (3, 5, 5, 2, 8)
    assert torch.equal(first[0], first[2]) and not torch.equal(first[0], first[1]) and not torch.equal(first, second)


@every_core
def test_chunks_give_the_same_numbers(core, monkeypatch):
    asked = dict(
        core=core, graph=gm.cycle(6), **QUICK | {"dropout": [0.0, 0.2], "weight_decay": [0.0, 0.1]}, snapshots=(0, 4)
    )
    whole = gm.train_ensemble(**asked)
    sizes, train = [], ensemble._train_chunk
    monkeypatch.setattr(ensemble, "_train_chunk", lambda *a: (sizes.append(len(a[1])), train(*a))[1])
    for chunk_bytes in (1, 3 * 16 * sum(p.numel() for p in whole.model(0).parameters())):
        monkeypatch.setattr(ensemble, "CHUNK_BYTES", chunk_bytes)
        parts = gm.train_ensemble(**asked)
        for name in ("loss", "embeddings", "edge_recall"):
            torch.testing.assert_close(getattr(parts, name), getattr(whole, name), rtol=FLOAT32, atol=FLOAT32)
        torch.testing.assert_close(parts.scores(), whole.scores(), rtol=FLOAT32, atol=FLOAT32)
        torch.testing.assert_close(parts.model(5).embedding, whole.model(5).embedding, rtol=FLOAT32, atol=FLOAT32)
    assert sizes == [1] * 8 + [3, 3, 2]


def same(a, b):
    return all(
        torch.equal(getattr(a, name), getattr(b, name)) for name in ("embeddings", "loss", "edge_recall", "final_scores")
    )


@pytest.mark.parametrize("core, width", [("identity", 16), ("linear", 16), ("transformer", 16), ("linear", 5)])
def test_neither_chunks_nor_workers_change_a_bit(core, width, monkeypatch):
    asked = dict(core=core, graph=gm.cycle(7), **QUICK | {"width": width, "weight_decay": [0.0, 0.1], "dropout": [0.0, 0.2]})
    whole = gm.train_ensemble(**asked, snapshots=(0, 5))
    assert same(gm.train_ensemble(**asked, snapshots=(0, 5), workers=3), whole)
    size = 16 * sum(p.numel() for p in whole.model(0).parameters())
    for members, workers in ((2, 1), (3, 2), (5, 1), (1, 1))[: 4 if width == 16 else 3]:
        monkeypatch.setattr(ensemble, "CHUNK_BYTES", members * size)
        parts = gm.train_ensemble(**asked, snapshots=(0, 5), workers=workers)
        assert same(parts, whole)
        assert all(torch.equal(parts.parameters[name], stack) for name, stack in whole.parameters.items())


def chunk_sizes(monkeypatch, **asked):
    sizes, chunks = [], ensemble._chunks
    monkeypatch.setattr(ensemble, "_chunks", lambda *a: (chunks(*a), sizes.extend(map(len, chunks(*a))))[0])
    gm.train_ensemble(gm.cycle(6), width=8, steps=1, seeds=range(12), snapshots=(), **asked)
    return sizes


def test_memory_and_workers_set_the_size_of_a_chunk(monkeypatch):
    assert chunk_sizes(monkeypatch) == [12]
    assert chunk_sizes(monkeypatch, workers=5) == [3, 3, 3, 3]
    small = chunk_sizes(monkeypatch, memory=6e-05)
    assert sum(small) == 12 and 1 < len(small) <= 12
    assert max(chunk_sizes(monkeypatch, memory=6e-05, workers=2)) <= max(small) / 2
    assert max(chunk_sizes(monkeypatch, memory=6e-05, precision="float64")) < max(small)
    for more in ({"core": "transformer"}, {"seeds": range(400)}, {"snapshots": range(100), "steps": 100}):
        with pytest.raises(ValueError, match=r"memory must hold the runs and one member .* GiB, got 6e-05. Raise it, keep"):
            gm.train_ensemble(**dict(graph=gm.cycle(6), width=8, steps=1, seeds=range(12), memory=6e-05) | more)


def test_one_bar_counts_the_steps_of_all_chunks(monkeypatch, capsys):
    asked = dict(graph=gm.cycle(5), width=2, steps=7, seeds=range(4))
    gm.train_ensemble(**asked)
    assert capsys.readouterr().err == ""
    gm.train_ensemble(**asked, progress=True, workers=2)
    shown = capsys.readouterr().err
    assert "14/14" in shown and "100%" in shown


TABLES = list(itertools.product(CORES, (True, False), (True, False)))


@pytest.mark.parametrize("core, tied, frozen", [case for case in TABLES if (case[0], case[2]) != ("identity", True)])
def test_a_members_model_reproduces_its_scores(core, tied, frozen):
    g = gm.grid(3, 3)
    runs = gm.train_ensemble(g, core=core, tied=tied, frozen=frozen, dropout=0.2, **QUICK)
    nodes = torch.arange(9)[:, None]
    tokens = torch.cat([torch.full_like(nodes, gm.Vocabulary(9).EDGE), nodes], 1) if CORES[core].sequential else nodes
    for b in (0, 1, -1):
        model = runs.model(b)
        torch.testing.assert_close(model(tokens, last=1)[:, 0, :9], runs.scores()[b], rtol=FLOAT32, atol=FLOAT32)
        assert torch.equal(model.embedding[:9], runs.embeddings[-1, b])
    with pytest.raises(IndexError):
        runs.model(2)


@tiny
@pytest.mark.parametrize("directions, self_edges", [("both", False), ("forward", False), ("backward", True)])
def test_loss_and_recall_are_those_of_the_trained_facts(g, directions, self_edges):
    asked = dict(directions=directions, self_edges=self_edges)
    runs = gm.train_ensemble(g, **QUICK | {"steps": 5}, **asked)
    _, u, v = gm.edge_examples(g, **asked).T
    for b in range(2):
        assert runs.loss[-1, b] == pytest.approx(F.cross_entropy(runs.scores()[b, u], v).item(), rel=FLOAT32)
    assert torch.equal(runs.edge_recall[-1], gm.edge_recall(runs.scores(), g, **asked))
    assert runs.edge_recall.dtype == torch.float64 and (runs.loss[-1] < runs.loss[0]).all()


@pytest.mark.parametrize("core", ["linear", "transformer"])
@pytest.mark.parametrize("tied", [True, False])
def test_frozen_embeddings_are_bitwise_unchanged_and_still_learn(core, tied):
    runs = gm.train_ensemble(
        core=core, graph=gm.cycle(6), frozen=True, tied=tied, weight_decay=0.5, **QUICK, snapshots=(0, 3)
    )
    assert all(torch.equal(later, runs.embeddings[0]) for later in runs.embeddings)
    start = gm.SequenceModel(
        10, core=core, width=8, heads=1, layers=1, context=2, init_std=0.3, core_std=0.3, tied=tied, seed=3
    )
    assert torch.equal(runs.model(1).embedding, start.embedding) and torch.equal(
        runs.model(1).unembedding, start.unembedding
    )
    assert (runs.loss[-1] < runs.loss[0]).all()


def test_snapshots_are_states_of_one_run_and_the_last_is_always_kept():
    asked = dict(graph=gm.cycle(6), **QUICK | {"schedule": "constant"})
    runs = gm.train_ensemble(snapshots=[7, 0, 7], **asked)
    assert runs.steps.tolist() == [0, 7, 12] and runs.loss.shape == runs.edge_recall.shape == (3, 2)
    short = gm.train_ensemble(snapshots=(), **asked | {"steps": 7})
    assert short.steps.tolist() == [7]
    torch.testing.assert_close(short.embeddings[0], runs.embeddings[1], rtol=FLOAT32, atol=FLOAT32)
    again = gm.train_ensemble(snapshots=[7, 0, 7], **asked)
    assert torch.equal(again.embeddings, runs.embeddings) and torch.equal(again.scores(), runs.scores())


def test_training_touches_no_global_state_and_bf16_trains():
    before = torch.get_rng_state(), torch.get_default_dtype()
    runs = gm.train_ensemble(gm.cycle(5), core="transformer", precision="bf16", dropout=0.1, **QUICK)
    assert torch.equal(torch.get_rng_state(), before[0]) and torch.get_default_dtype() == before[1]
    assert runs.embeddings.dtype == torch.float32 and (runs.loss[-1] < runs.loss[0]).all()
    exact = gm.train_ensemble(gm.cycle(5), core="transformer", dropout=0.1, **QUICK)
    assert 0 < (runs.loss - exact.loss).abs().max() < 0.05 * exact.loss[0].max()  # bfloat16 keeps 8 bits


@pytest.mark.parametrize(
    "value", [0.01, np.float64(0.01), np.float32(0.01), np.array(0.01), torch.tensor(0.01), [0.01]], ids=repr
)
def test_a_knob_may_be_any_kind_of_number(value):
    runs = gm.train_ensemble(gm.cycle(5), width=2, steps=1, seeds=[0], lr=value)
    assert runs.knobs["lr"].tolist() == pytest.approx([0.01], rel=1e-6)


def test_a_diverged_member_has_no_recall_rather_than_chance():
    runs = gm.train_ensemble(gm.cycle(5), width=4, steps=5, seeds=[0], lr=[0.01, 1e30])
    assert runs.loss[-1].isnan().tolist() == [False, True]
    assert runs.edge_recall[-1].isnan().tolist() == [False, True]


def test_wrong_arguments_are_refused_by_name():
    for kind, message, options in (
        (ValueError, "core must be one of .* 'liner'. Did you mean 'linear'", {"core": "liner"}),
        (ValueError, "steps must be at least 1, got 0", {"steps": 0}),
        (ValueError, "steps must be at least 1, got -5", {"steps": -5}),
        (TypeError, "steps must be an integer, got 1.5", {"steps": 1.5}),
        (TypeError, "width must be an integer", {"width": "8"}),
        (ValueError, "heads must divide width", {"core": "transformer", "heads": 3}),
        (ValueError, "lr must be finite and greater than 0, got 0", {"lr": [0.1, 0]}),
        (ValueError, "lr must be finite.*got nan", {"lr": math.nan}),
        (ValueError, "lr must hold at least one value", {"lr": []}),
        (TypeError, "lr must be a number", {"lr": "0.1"}),
        (TypeError, "lr must be a number, got True", {"lr": [True]}),
        (ValueError, "weight_decay must be finite and at least 0", {"weight_decay": -0.1}),
        (ValueError, "init_std must be finite and greater than 0", {"init_std": 0}),
        (ValueError, "core_std must be finite and greater than 0", {"core_std": -1.0}),
        (ValueError, "dropout must be finite and at least 0 and less than 1, got 1", {"dropout": [0.0, 1]}),
        (ValueError, "dropout must be", {"dropout": math.nan}),
        (ValueError, "seeds must hold at least one seed", {"seeds": []}),
        (ValueError, "seeds must differ", {"seeds": [1, 1]}),
        (TypeError, "seeds must be a sequence of integers, got 4", {"seeds": 4}),
        (TypeError, "a seed must be an integer, got '1'", {"seeds": "12"}),
        (ValueError, "snapshots must not lie after the last step, 2, got 3", {"snapshots": [3]}),
        (TypeError, "snapshots must be", {"snapshots": 1}),
        (ValueError, "schedule must be one of .*Did you mean 'cosine'", {"schedule": "cosin"}),
        (ValueError, "directions must be one of", {"directions": "up"}),
        (ValueError, "precision must be one of", {"precision": "float16"}),
        (ValueError, "device must be one of", {"device": "gpu0"}),
        (ValueError, "frozen must leave something to train", {"core": "identity", "frozen": True}),
        (TypeError, "graph must be", {"graph": "cycle"}),
        (ValueError, "memory must be finite and greater than 0, got 0", {"memory": 0}),
        (ValueError, "workers must be at least 1, got 0", {"workers": 0}),
        (TypeError, "progress must be True or False, got 1", {"progress": 1}),
    ):
        with pytest.raises(kind, match=message):
            gm.train_ensemble(**{"graph": gm.cycle(5), "steps": 2, "seeds": [0], "width": 4, "snapshots": (), **options})
