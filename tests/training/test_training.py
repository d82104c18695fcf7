import json
import math
import multiprocessing
import os
import signal
import time

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import geomem as gm
from geomem.tasks import Rows
from geomem.training import Result, Stage, checkpoints, evaluate, load_result, loop, train

FLOAT64 = 1e-9  # some tens of steps of AdamW; its division by the root of a tiny second moment amplifies rounding
FLOAT32 = 1e-5  # the same in float32

STAR = gm.path_star(8, 3)  # 17 nodes, 32 facts; 5 training paths, 1 for validation, 2 held out
STAGES = [
    Stage(7, 0.02, edges=10, warmup=3, weight_decay=0.1),
    Stage(8, 0.01, edges=12, paths=4, path_weight=0.3, schedule="constant", warmup=2, weight_decay=0.0),
    Stage(5, 0.03, edges=0, paths=5),
]


def model_of(task, *, width=8, layers=1, heads=2, std=0.3, seed=1, **options):
    return gm.SequenceModel(
        task.vocabulary.n_tokens, width=width, layers=layers, heads=heads, init_std=std, core_std=std, seed=seed, **options
    )


def trained(task=None, recipe=STAGES, *, model=None, seed=3, device="cpu", **options):
    task = task or gm.PathTask(STAR)
    return train(model or model_of(task), task, recipe, seed=seed, device=device, **options)


def parameters_of(thing):
    return dict((thing.model if isinstance(thing, Result) else thing).named_parameters())


def assert_same(a, b):
    a, b = parameters_of(a), parameters_of(b)
    assert a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def without_seconds(history):
    return [{key: value for key, value in row.items() if key != "seconds"} for row in history]


def plain_loop(model, task, recipe, seed, *, fused=False):
    """Train as a competent user would: all logits, F.cross_entropy, torch's AdamW."""
    generator, piles = torch.Generator().manual_seed(seed), {}

    def take(examples, k):
        inputs, targets = examples
        pile = piles.setdefault(inputs.shape[1], [])
        while len(pile) < k:
            pile += torch.randperm(len(inputs), generator=generator).tolist()
        rows = [pile.pop(0) for _ in range(k)]
        return inputs[rows], targets[rows]

    facts = (task.edges[:, :2], task.edges[:, 2:]) if hasattr(task, "edges") else None
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], fused=fused, foreach=False)
    for stage in recipe:
        for k in range(stage.steps):
            cosine = 0.55 + 0.45 * math.cos(math.pi * k / (stage.steps - 1))  # from 1 to a tenth
            lr = stage.lr * (cosine if stage.schedule == "cosine" else 1) * min(1, (k + 1) / (stage.warmup + 1))
            loss = 0
            for weight, asked, examples in ((1, stage.edges, facts), (stage.path_weight, stage.paths, None)):
                if not asked:
                    continue
                if examples is None and isinstance(task, gm.InContextTask):
                    inputs, targets = gm.in_context_examples(task.degree, task.length, asked, generator=generator)
                else:
                    inputs, targets = take(examples or task.examples(task.train_leaves), asked)
                logits = model(inputs)[:, -targets.shape[1] :]
                loss = loss + weight * F.cross_entropy(logits.flatten(0, 1), targets.flatten())
            for group in optimizer.param_groups:
                group.update(lr=lr, weight_decay=stage.weight_decay)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model


CASES = {
    "transformer": ({}, {}),
    "two layers, untied": ({"layers": 2, "tied": False}, {"target": "first"}),
    "frozen": ({"frozen": True}, {"reverse": True, "pauses": 0}),
    "frozen, untied, no positions": ({"frozen": True, "tied": False, "positions": "none"}, {"directions": 0.5}),
    "sinusoidal": ({"positions": "sinusoidal"}, {"split": "first", "pauses": 3}),
    "mamba": ({"core": "mamba"}, {"self_edges": True}),
}
every_case = pytest.mark.parametrize("shape, asked", CASES.values(), ids=CASES)


@every_case
def test_a_run_is_what_a_plain_loop_trains(shape, asked):
    task = gm.PathTask(STAR, **asked)
    run, start = trained(task, model=model_of(task, **shape).double()), parameters_of(model_of(task, **shape).double())
    expected = parameters_of(plain_loop(model_of(task, **shape).double(), task, STAGES, 3))
    for name, parameter in parameters_of(run).items():
        torch.testing.assert_close(parameter, expected[name], rtol=FLOAT64, atol=FLOAT64, msg=lambda m, n=name: n + m)
        assert torch.equal(parameter, start[name]) != parameter.requires_grad


def test_an_in_context_run_is_what_a_plain_loop_trains():
    task, recipe = gm.InContextTask(2, 3, n_held=4), [Stage(12, 0.01, edges=0, paths=6, warmup=2)]
    run = trained(task, recipe, model=model_of(task).double())
    expected = parameters_of(plain_loop(model_of(task).double(), task, recipe, 3))
    for name, parameter in parameters_of(run).items():
        torch.testing.assert_close(parameter, expected[name], rtol=FLOAT64, atol=FLOAT64)
    assert "edge_recall" not in run.history[-1] and set(run.history[-1]) >= {"validation", "test"}


@every_case
def test_the_fused_optimiser_finds_gradients_as_it_reads_them(shape, asked, monkeypatch):
    task, layouts = gm.PathTask(STAR, **asked), []

    def look(step, model):
        layouts.extend((p.grad.stride(), p.stride()) for p in model.parameters() if p.requires_grad)

    fused = trained(task, model=model_of(task, **shape).double(), on_step=look)
    assert layouts and all(gradient == parameter for gradient, parameter in layouts)
    adamw, seen = torch.optim.AdamW, []
    slow = lambda *a, **k: seen.append(k["fused"]) or adamw(*a, **k | {"fused": False, "foreach": False})  # noqa: E731
    monkeypatch.setattr(torch.optim, "AdamW", slow)
    expected = parameters_of(trained(task, model=model_of(task, **shape).double()))
    assert seen == [True]
    for name, parameter in parameters_of(fused).items():
        torch.testing.assert_close(parameter, expected[name], rtol=FLOAT64, atol=FLOAT64)


@every_case
def test_the_same_seed_is_bitwise_the_same_run_and_another_is_not(shape, asked):
    task = gm.PathTask(STAR, **asked)
    a, b, c = (trained(task, model=model_of(task, **shape), seed=seed) for seed in (3, 3, 4))
    assert_same(a, b)
    assert without_seconds(a.history) == without_seconds(b.history) and a.settings == b.settings
    assert not torch.equal(a.model.core.norm.weight, c.model.core.norm.weight)


def test_training_touches_no_global_generator_and_not_what_it_was_given():
    before, task, recipe = torch.get_rng_state(), gm.PathTask(STAR), list(STAGES)
    edges = task.edges.clone()
    trained(task, recipe)
    assert torch.equal(torch.get_rng_state(), before) and torch.equal(task.edges, edges) and recipe == STAGES


def test_looking_changes_nothing():
    never, always = trained(snapshots=[]), trained(snapshots=range(21))
    assert_same(never, always)
    assert len(never.history) == 1 and len(always.history) == 21
    assert without_seconds(always.history[-1:]) == without_seconds(never.history)


def spied(monkeypatch, task, recipe=STAGES):
    """Train and return what the model read with gradients on: one list of token rows a length."""
    rows, hidden = {}, gm.SequenceModel.hidden

    def spy(self, tokens, *args):
        if torch.is_grad_enabled():
            rows.setdefault(tokens.shape[1], []).append(tokens.tolist())
        return hidden(self, tokens, *args)

    with monkeypatch.context() as patch:
        patch.setattr(gm.SequenceModel, "hidden", spy)
        run = trained(task, recipe, snapshots=range(1, sum(stage.steps for stage in recipe)))
    return run, rows


@pytest.mark.parametrize("asked", [{}, {"split": "first"}, {"target": "first"}, {"reverse": True}, {"pauses": 0}], ids=str)
def test_all_facts_and_all_training_paths_are_read_and_no_held_out_path(asked, monkeypatch):
    task = gm.PathTask(gm.tree_star(4, 4, 2, seed=1), seed=2, **asked)
    recipe = [Stage(20, 0.01, edges=30), Stage(20, 0.01, edges=30, paths=4)]
    _, read = spied(monkeypatch, task, recipe)
    facts, paths = read.pop(2), read.pop(task.held()["test"][0].shape[1])
    assert not read and len(facts) == 40 and len(paths) == 20
    drawn = [tuple(row) for batch in paths for row in batch]
    wanted = sorted(map(tuple, task.examples(task.train_leaves)[0].tolist()))
    assert sorted(set(drawn)) == wanted
    held_out = set(torch.cat([task.test_leaves, task.validation_leaves]).tolist())
    assert held_out and not held_out & {row[1] for row in drawn}
    assert all(row[0] == task.vocabulary.PATH for row in drawn)
    for pile, one_pass in ((facts, task.edges[:, :2].tolist()), (paths, task.examples(task.train_leaves)[0].tolist())):
        flat, n = [row for batch in pile for row in batch], len(one_pass)
        for start in range(0, len(flat) - n + 1, n):  # each once before any is drawn again
            assert sorted(flat[start : start + n]) == sorted(one_pass)


def test_the_answers_of_held_out_paths_change_no_parameter(monkeypatch):
    task, other = gm.PathTask(STAR), gm.PathTask(STAR)
    held = {name: examples for name, examples in task.held().items()}
    for name in ("validation", "test"):
        inputs, targets = held[name]
        held[name] = (inputs, (targets + 1) % STAR.n_nodes)
    monkeypatch.setattr(other, "held", lambda: held)
    a, b = trained(task, snapshots=range(21)), trained(other, snapshots=range(21))
    assert_same(a, b)
    assert [row["test"] for row in a.history] != [row["test"] for row in b.history]


def test_the_loss_is_that_of_each_answer_at_its_own_place():
    task = gm.PathTask(gm.path_star(4, 3), pauses=2)
    model, stage = model_of(task).double(), Stage(1, 0.1, edges=4, paths=2, path_weight=0.25)
    leaves = task.train_leaves[:2]
    (root, hop, leaf), (_, other_hop, other_leaf) = (next(p for p in task.graph.paths.tolist() if p[2] == x) for x in leaves)
    words, total = task.vocabulary, 0.0
    path = {leaf: (root, hop, leaf), other_leaf: (root, other_hop, other_leaf)}
    for asked, nodes in path.items():
        row = [words.PATH, asked, words.PAUSE, words.PAUSE, *nodes]
        for place in (4, 5, 6):  # the token at a place is answered from all before it
            logits = model(torch.tensor([row[:place]]))[0, -1]
            total -= 0.25 / 6 * logits.log_softmax(-1)[row[place]]
    facts = task.edges[[0, 3, 5, 7]]
    for tag, u, v in facts.tolist():
        total -= 1 / 4 * model(torch.tensor([[tag, u]]))[0, -1].log_softmax(-1)[v]
    ours = loop._loss(model.hidden, model, (facts[:, :2], facts[:, 2:]), task.examples(leaves), stage)
    torch.testing.assert_close(ours, total, rtol=FLOAT64, atol=FLOAT64)


def test_rows_are_drawn_once_before_any_is_drawn_again_and_go_on_where_they_were():
    inputs = torch.arange(10)[:, None]
    rows = Rows(inputs, inputs + 100, torch.Generator().manual_seed(0))
    drawn = []
    for k in (3, 4, 0, 6, 25, 2):
        given, answers = rows.draw(k)
        assert len(given) == k and torch.equal(answers, given + 100)
        drawn += given.flatten().tolist()
    assert all(sorted(drawn[a : a + 10]) == list(range(10)) for a in range(0, 40, 10))
    assert drawn[:10] != drawn[10:20] != drawn[20:30]
    later = Rows(inputs, inputs + 100, torch.Generator())
    later.order = rows.order.clone()
    later.generator.set_state(rows.generator.get_state())
    for k in (5, 12, 1):
        assert torch.equal(rows.draw(k)[0], later.draw(k)[0])
    with pytest.raises(ValueError, match="k must be 0 where there are no rows to draw, got 2"):
        Rows(inputs[:0], inputs[:0], rows.generator).draw(2)


@pytest.mark.parametrize("directions", ["both", "forward", "backward", 0.0, 0.25])
@pytest.mark.parametrize("self_edges", [False, True])
def test_recall_is_that_of_the_facts_that_were_trained(directions, self_edges):
    task = gm.PathTask(STAR, directions=directions, self_edges=self_edges, seed=1)
    model, answers = gm.SequenceModel(21, width=8, layers=1, init_std=1.0, core_std=0.01, seed=5), {}
    for _, u, v in task.edges.tolist():
        answers.setdefault(u, set()).add(v)
    shares, itself = [], 0
    for u, wanted in answers.items():
        logits = model(torch.tensor([[task.vocabulary.EDGE, u]]))[0, -1, : STAR.n_nodes].detach()
        order = [v for v in logits.argsort(descending=True).tolist() if v != u or self_edges]
        itself += int(logits.argmax()) == u
        shares.append(len(wanted & set(order[: len(wanted)])) / len(wanted))
    assert itself > len(answers) / 2  # what a node says of itself counts only if it was trained
    assert 0 < sum(shares) < len(shares) and evaluate(model, task)["edge_recall"] == pytest.approx(sum(shares) / len(shares))


def test_recall_of_a_large_graph_is_that_of_a_sample_drawn_by_the_seed(monkeypatch):
    monkeypatch.setattr(loop, "RECALL_NODES", 5)
    tasks = [gm.PathTask(STAR, seed=seed) for seed in (1, 1, 2)]
    a, b, c = (evaluate(model_of(task, seed=5), task)["edge_recall"] for task in tasks)
    whole = torch.tensor([[task.vocabulary.EDGE, u] for task in tasks[:1] for u in range(STAR.n_nodes)])
    scores = model_of(tasks[0], seed=5)(whole, 1)[:, 0, : STAR.n_nodes].detach()
    order = torch.randperm(STAR.n_nodes, generator=torch.Generator().manual_seed(1))
    assert a == b != c and a == float(gm.edge_recall(scores[order[:5]], STAR, nodes=order[:5]))


def greedy(model, inputs, n_targets):
    """Answer token by token, each from the model's own answers before it."""
    tokens = inputs[:, : inputs.shape[1] - n_targets + 1]
    for _ in range(n_targets):
        tokens = torch.cat([tokens, model(tokens)[:, -1].argmax(-1, keepdim=True)], dim=1)
    return tokens[:, -n_targets:]


@pytest.mark.parametrize("task", [gm.PathTask(STAR), gm.InContextTask(2, 3, n_held=50)], ids=repr)
def test_answers_are_right_where_greedy_decoding_is(task):
    shares = set()

    @torch.no_grad()
    def look(step, model):
        if step % 10:
            return
        row = evaluate(model, task)
        for name, (inputs, targets) in task.held().items():
            share = (greedy(model, inputs, task.n_targets) == targets).all(1).double().mean().item()
            assert row[name]["answer_accuracy"] == pytest.approx(share)
            shares.add(share)
            given = model(inputs).argmax(-1)[:, -task.n_targets :]
            assert row[name]["token_accuracy"] == pytest.approx((given == targets).double().mean(0).tolist())

    if isinstance(task, gm.PathTask):
        trained(task, [Stage(120, 0.02, edges=32, paths=5)], on_step=look, snapshots=[])
    else:
        trained(task, [Stage(150, 0.01, edges=0, paths=32)], model=model_of(task, width=16), on_step=look, snapshots=[])
    assert any(0 < share < 1 for share in shares)


class Lookup(gm.SequenceModel):
    """Answer every row of a table at its own place, and something wrong everywhere else."""

    def learn(self, inputs, targets, shift=0):
        self.answers = {}
        for row, answer in zip(inputs.tolist(), targets.tolist(), strict=True):
            for k, token in enumerate(answer):
                self.answers[tuple(row[: len(row) - len(answer) + 1 + k])] = (token + shift) % len(self.embedding)
        return self

    def forward(self, tokens, last=None, noise=None):
        logits = torch.zeros(*tokens.shape, len(self.embedding))
        for i, row in enumerate(tokens.tolist()):
            for k in range(len(row)):
                logits[i, k, self.answers.get(tuple(row[: k + 1]), -1)] = 1.0
        return logits[:, -(last or tokens.shape[1]) :]


@pytest.mark.parametrize("asked", [{}, {"target": "first"}, {"reverse": True}, {"pauses": 0}], ids=str)
def test_only_the_right_token_at_the_right_place_counts(asked, monkeypatch):
    task = gm.PathTask(gm.path_star(20, 4), **asked)
    model = Lookup(task.vocabulary.n_tokens, width=4, layers=1)
    inputs, targets = task.held()["test"]
    first_row_alone = [1 / len(inputs)] * task.n_targets
    for shift, rows, wanted in ((0, len(inputs), [1.0] * task.n_targets), (1, len(inputs), [0.0] * task.n_targets),
                                (0, 1, first_row_alone)):  # fmt: skip
        for size in (1, 2**26):  # whatever is evaluated at once
            monkeypatch.setattr(loop, "EVALUATION_BYTES", size)
            row = evaluate(model.learn(inputs[:rows], targets[:rows], shift), task)["test"]
            if rows == 1 and task.target == "full" and not task.reverse:  # all paths begin at the root, but only one answers
                assert row["answer_accuracy"] == pytest.approx(1 / len(inputs))
            assert row["token_accuracy"] == pytest.approx(wanted)
            assert row["answer_accuracy"] == pytest.approx(wanted[0])


def test_one_wrong_token_makes_the_answer_wrong_and_no_other_token():
    task = gm.PathTask(gm.path_star(20, 4))
    inputs, targets = task.held()["test"]
    wrong = targets.clone()
    wrong[0, 2] = (wrong[0, 2] + 1) % task.graph.n_nodes
    row = evaluate(Lookup(task.vocabulary.n_tokens, width=4, layers=1).learn(inputs, wrong), task)["test"]
    assert row["token_accuracy"] == pytest.approx([1, 1, 0.8, 1]) and row["answer_accuracy"] == pytest.approx(0.8)


def test_history_holds_the_listed_steps_and_the_last_and_curves_read_it():
    run = trained(snapshots=[4, 0, 4, np.int64(9)])
    assert [row["step"] for row in run.history] == [0, 4, 9, 20] == run.settings["snapshots"]
    seconds = [row["seconds"] for row in run.history]
    assert seconds == sorted(seconds) and seconds[0] == 0 < seconds[-1]
    assert set(run.history[0]) == {"step", "seconds", "edge_recall", "train", "validation", "test"}
    steps, accuracy = run.curve()
    assert steps.tolist() == [0, 4, 9, 20] and accuracy.dtype == torch.float64
    assert accuracy.tolist() == [row["test"]["answer_accuracy"] for row in run.history]
    assert run.curve("train", token=2)[1].tolist() == [row["train"]["token_accuracy"][2] for row in run.history]
    assert run.token_accuracy.tolist() == run.history[-1]["test"]["token_accuracy"]
    assert evaluate(run.model, run.task) == {key: value for key, value in run.history[-1].items() if key in run.history[-1]
                                             and key not in ("step", "seconds")}  # fmt: skip
    for kind, message, asked in (
        (ValueError, "split must be one of 'train', 'validation', 'test', got 'held'", {"split": "held"}),
        (ValueError, "token must lie in 0 to 2, the tokens of an answer, got 3", {"token": 3}),
        (ValueError, "token must be at least 0, got -1", {"token": -1}),
        (TypeError, "token must be an integer", {"token": 0.5}),
    ):
        with pytest.raises(kind, match=message):
            run.curve(**asked)
    none_to_validate = trained(gm.PathTask(STAR, validation_fraction=0.0))
    with pytest.raises(ValueError, match="split must be one of 'train', 'test', got 'validation'"):
        none_to_validate.curve("validation")


def test_twenty_evaluations_are_the_default():
    run = trained(recipe=[Stage(40, 0.01, edges=8)])
    assert [row["step"] for row in run.history] == list(range(2, 41, 2))


def test_one_stage_or_a_generator_of_stages_is_a_recipe():
    stage = Stage(3, 0.01, edges=8)
    assert_same(trained(recipe=stage), trained(recipe=(one for one in [stage])))
    assert trained(recipe=stage).history[-1]["step"] == 3


def test_on_step_sees_every_step_once_after_it_was_taken():
    seen, task = [], gm.PathTask(STAR)
    run = trained(task, on_step=lambda step, model: seen.append((step, model.embedding.detach().clone())))
    assert [step for step, _ in seen] == list(range(1, 21)) and torch.equal(seen[-1][1], run.model.embedding)
    assert torch.equal(seen[6][1], trained(task, STAGES[:1]).model.embedding)


def test_the_hardest_token_is_learned_for_paths_that_were_held_out():
    task = gm.PathTask(gm.path_star(40, 3), target="first", seed=100)
    recipe = [Stage(150, 5e-3, edges=128, schedule="constant"), Stage(80, 5e-3, edges=128, paths=16, path_weight=0.1)]
    model = gm.SequenceModel(task.vocabulary.n_tokens, width=32, layers=2, heads=4, seed=100)
    run = train(model, task, recipe, seed=100, device="cpu", snapshots=[150])
    before, after = run.history
    assert before["edge_recall"] == 1 and before["test"]["answer_accuracy"] <= 0.2
    assert after["edge_recall"] >= 0.95 and after["test"]["answer_accuracy"] >= 0.8 and task.chance == 1 / 40


def test_a_frozen_model_recalls_the_edges_and_its_tables_stay():
    task = gm.PathTask(STAR)
    start = gm.SequenceModel(task.vocabulary.n_tokens, width=64, frozen=True, tied=False, init_std=0.3, seed=100)
    model = gm.SequenceModel(**start.settings)
    run = train(model, task, [Stage(100, 1e-2, edges=32)], device="cpu", snapshots=[0])
    assert [row["edge_recall"] > 0.99 for row in run.history] == [False, True]
    assert torch.equal(model.embedding, start.embedding) and torch.equal(model.untied, start.untied)


def test_bf16_trains_float32_parameters_to_nearly_the_same():
    exact, low = trained(), trained(precision="bf16")
    assert (exact.settings["precision"], low.settings["precision"]) == ("float32", "bf16")
    for parameter in low.model.parameters():
        assert parameter.dtype == torch.float32 and parameter.isfinite().all()
    moved = (exact.model.embedding - model_of(exact.task).embedding).norm()
    assert 0 < (exact.model.embedding - low.model.embedding).norm() < 0.1 * moved


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # torch's compiler warns of its own ways
def test_a_compiled_run_ends_where_the_plain_one_does(compiler):
    task, stages = gm.PathTask(STAR, target="first"), [Stage(3, 0.01, edges=10), Stage(3, 0.01, edges=10, paths=4)]
    plain, compiled = (trained(task, stages, compile=how) for how in (False, True))
    inputs, _ = task.examples(task.graph.paths[:, -1])  # not parameters: AdamW makes steps of a key bias's rounding
    torch.testing.assert_close(compiled.model(inputs), plain.model(inputs), rtol=1e-4, atol=1e-4)
    assert without_seconds(compiled.history)[-1]["test"] == without_seconds(plain.history)[-1]["test"]


@pytest.mark.filterwarnings("ignore")
def test_a_run_of_graphs_ends_where_the_plain_one_does():
    """Without CUDA nothing is captured, but the core is traced as it would be."""
    task, stages = gm.PathTask(STAR, target="first"), [Stage(2, 0.01, edges=10), Stage(2, 0.01, edges=10, paths=4)]
    plain, graphs = (trained(task, stages, compile=how) for how in (False, "graphs"))
    inputs, _ = task.examples(task.graph.paths[:, -1])
    torch.testing.assert_close(graphs.model(inputs), plain.model(inputs), rtol=1e-4, atol=1e-4)


def test_compiling_reaches_core_and_loss_and_leaves_no_shape_open(monkeypatch):
    asked, losses, entropy = [], [], loop.cross_entropy
    monkeypatch.setattr(torch, "compile", lambda thing, **how: asked.append((thing.__name__, how)) or thing)
    monkeypatch.setattr(loop, "cross_entropy", lambda *a, compiled: losses.append(compiled) or entropy(*a))
    monkeypatch.setattr(torch.compiler, "cudagraph_mark_step_begin", lambda: pytest.fail("no graphs on a CPU"))
    plain, compiled, graphs = (trained(compile=how) for how in (False, True, "graphs"))
    assert asked == [("hidden", {"dynamic": False} | how) for how in ({"mode": "default"}, {"backend": "cudagraphs"})]
    assert losses == [False] * 20 + [True] * 20 + [False] * 20
    assert_same(plain, compiled)
    assert_same(plain, graphs)


def test_what_is_measured_joins_the_history_and_the_checkpoint(tmp_path):
    seen = []

    def norm(model):
        seen.append(1)
        return {"norm": float(model.embedding.detach().norm())}

    run = trained(measure=norm, snapshots=[0, 9, 20], checkpoint=tmp_path)
    assert len(seen) == 3 and [row["step"] for row in run.history] == [0, 9, 20]
    assert run.history[-1]["norm"] == float(run.model.embedding.detach().norm()) != run.history[0]["norm"]
    assert load_result(tmp_path).history == run.history


def test_nothing_in_the_loop_reads_a_number_back_from_the_device(monkeypatch):
    """On CUDA each of these waits for all that was asked before; between evaluations none may be called."""
    calls, evaluating = [], loop.evaluate
    for name in ("item", "tolist", "__bool__", "__float__", "__int__", "cpu", "numpy", "nonzero"):
        plain = getattr(torch.Tensor, name)
        monkeypatch.setattr(
            torch.Tensor, name, lambda self, *a, _n=name, _p=plain, **k: calls.append(_n) or _p(self, *a, **k)
        )
    seen = {}

    def on_step(step, model):
        seen[step] = list(calls)
        calls.clear()

    monkeypatch.setattr(loop, "evaluate", lambda *a: evaluating(*a))
    trained(on_step=on_step, snapshots=[])
    assert len(seen) == 20 and all(seen[step] == [] for step in range(2, 20))


def test_a_run_that_diverges_says_so_and_answers_nothing_right(tmp_path):
    with pytest.warns(RuntimeWarning, match="the loss is not finite: the run has diverged, and .* wrong. Lower lr."):
        run = trained(recipe=[Stage(10, 1e30, edges=8, paths=2)], snapshots=[0, 5], checkpoint=tmp_path)
    assert [row["step"] for row in run.history] == [0, 5, 10]
    for row in run.history[1:]:
        assert row["edge_recall"] == 0
        assert all(row[split] == {"token_accuracy": [0, 0, 0], "answer_accuracy": 0} for split in run.task.splits)
    json.dumps(run.history, allow_nan=False)
    assert load_result(tmp_path).history == run.history


# --- files and kills


class Stop(Exception):
    """What ends a run in the middle."""


def stop_at(k):
    def on_step(step, model):
        if step == k:
            raise Stop

    return on_step


RESUMED = {
    "transformer": (gm.PathTask(STAR, target="first"), {}, STAGES),
    "mamba, untied": (gm.PathTask(STAR, directions=0.5), {"core": "mamba", "tied": False}, STAGES),
    "frozen": (gm.PathTask(gm.tree_star(4, 3, seed=1)), {"frozen": True, "positions": "sinusoidal"}, STAGES),
    "in context": (gm.InContextTask(2, 3, n_held=5), {}, [Stage(9, 0.01, edges=0, paths=k) for k in (3, 4)]),
    "arms": (gm.PathTask(STAR, seed=1), {}, [Stage(9, 0.01, arms=3, paths=k, decay=0.5, node2vec=k) for k in (0, 2)]),
    "arms, rms": (gm.PathTask(STAR, target="first"), {"core": "mamba"}, [Stage(18, 0.01, arms=4, paths=4, table="rms")]),
}


@pytest.mark.parametrize("task, shape, recipe", RESUMED.values(), ids=RESUMED)
def test_a_run_taken_up_at_any_step_ends_bitwise_where_it_would_have(task, shape, recipe, tmp_path):
    asked = dict(task=task, recipe=recipe, snapshots=[0, 3, 7, 8, 16], checkpoint_seconds=1e-9)
    whole = trained(**asked, model=model_of(task, **shape), checkpoint=tmp_path / "whole")
    wanted, told = checkpoints.read(tmp_path / "whole")
    for k in (1, 7, 8, 17, told["step"]):
        folder, other, steps = tmp_path / str(k), model_of(task, **shape), []
        with pytest.raises(Stop):
            trained(**asked, model=model_of(task, **shape), checkpoint=folder, on_step=stop_at(k))
        _, info = checkpoints.read(folder)
        looked = [step for step in told["settings"]["snapshots"] if step <= k]
        assert info["step"] == k and [row["step"] for row in info["history"]] == looked
        with torch.no_grad():
            for p in other.parameters():
                p.zero_()  # nothing is left of how it was made
        run = trained(**asked, model=other, checkpoint=folder, on_step=lambda step, model, steps=steps: steps.append(step))
        assert steps == list(range(k + 1, told["step"] + 1))
        assert_same(run, whole)
        assert without_seconds(run.history) == without_seconds(whole.history)
        found, _ = checkpoints.read(folder)
        assert found.keys() == wanted.keys() and all(torch.equal(found[name], wanted[name]) for name in wanted)


def test_a_checkpoint_is_written_as_often_as_asked_and_at_the_end(tmp_path, monkeypatch):
    written, write = [], checkpoints.write
    monkeypatch.setattr(checkpoints, "write", lambda folder, t, info: (written.append(info["step"]), write(folder, t, info)))
    trained(checkpoint=tmp_path / "a")
    assert written == [20]
    monkeypatch.setattr(time, "perf_counter", iter(range(10_000)).__next__)  # a second passes whenever someone looks
    written.clear()
    trained(checkpoint=tmp_path / "b", checkpoint_seconds=6.5, snapshots=[])
    assert len(written) == 4 and written[-1] == 20


def test_a_saved_run_is_loaded_as_it_was(tmp_path):
    for number, (task, shape, recipe) in enumerate(RESUMED.values()):
        run = trained(task, recipe, model=model_of(task, **shape))
        run.save(tmp_path / str(number))
        loaded = load_result(tmp_path / str(number))
        assert_same(run, loaded)
        assert loaded.history == run.history and loaded.settings == json.loads(json.dumps(run.settings)) == run.settings
        assert loaded.task.settings == task.settings and torch.equal(loaded.token_accuracy, run.token_accuracy)
        assert evaluate(loaded.model, loaded.task) == evaluate(run.model, task)
    double = trained(model=model_of(gm.PathTask(STAR)).double())
    double.save(tmp_path / "double")
    assert_same(double, load_result(tmp_path / "double"))
    with pytest.raises(ValueError, match="checkpoint must be of this run, but .* has no step to go on from"):
        trained(checkpoint=tmp_path / "double", model=model_of(gm.PathTask(STAR)).double())


def test_numbers_of_numpy_go_into_a_file(tmp_path):
    star = gm.Graph(n_nodes=np.int64(17), edges=STAR.edges, root=np.int64(0), paths=STAR.paths)
    task = gm.PathTask(star, directions=np.float32(0.5), pauses=np.int64(2), seed=np.int64(1))
    recipe = [Stage(np.int64(2), np.float32(0.01), edges=np.int64(4), paths=np.int32(2), path_weight=np.float32(0.5))]
    run = trained(task, recipe, model=model_of(task, seed=np.int64(4)), seed=np.int64(5), snapshots=np.array([1]))
    run.save(tmp_path)
    assert load_result(tmp_path).settings == run.settings


LONG = [Stage(15, 0.02, edges=10, warmup=3), Stage(30, 0.01, edges=12, paths=4, path_weight=0.3)]


def be_killed(folder, how, count):
    """Train with a checkpoint at every step; die as told, at the count-th chance. Ensemble in a process of its own."""
    replace, calls = os.replace, 0

    def dying(part, name):
        nonlocal calls
        calls += 1
        if (how, count) == ("before the new file has its name", calls):
            os.kill(os.getpid(), signal.SIGKILL)
        replace(part, name)
        if (how, count) == ("after", calls):
            os.kill(os.getpid(), signal.SIGKILL)

    def on_step(step, model):
        if (how, count) == ("at a step", step):
            os.kill(os.getpid(), signal.SIGKILL)
        if how == "from outside":  # the last step waits: the kill comes at any step, and never too late
            time.sleep(600 if step == 45 else 0.01)

    os.replace = dying
    trained(recipe=LONG, checkpoint=folder, checkpoint_seconds=1e-9, on_step=on_step, snapshots=range(0, 45, 4))


@pytest.mark.slow
def test_a_run_that_is_killed_again_and_again_ends_bitwise_where_it_would_have(tmp_path):
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["geomem", "torch._dynamo"])  # what torch.optim imports at first use
    early = "before the new file has its name"
    deaths = [(early, 1), ("at a step", 7), (early, 4), ("after", 3)]
    deaths += [("from outside", 0.1), ("not at all", 0)]
    for number, (how, count) in enumerate(deaths):
        child = server.Process(target=be_killed, args=(tmp_path, how, count))
        child.start()
        if how == "from outside":
            before = (tmp_path / checkpoints.NAME).stat().st_ino
            while child.is_alive() and (tmp_path / checkpoints.NAME).stat().st_ino == before:
                time.sleep(0.002)
            time.sleep(count)
            child.kill()
        child.join(60)
        assert child.exitcode == (0 if how == "not at all" else -signal.SIGKILL), (number, how)
        child.close()
        if number:
            load_result(tmp_path)
        else:
            assert not (tmp_path / checkpoints.NAME).exists()
    whole = trained(recipe=LONG, checkpoint=tmp_path / "whole", snapshots=range(0, 45, 4))
    (found, info), (wanted, told) = checkpoints.read(tmp_path), checkpoints.read(tmp_path / "whole")
    assert found.keys() == wanted.keys() and all(torch.equal(found[name], wanted[name]) for name in wanted)
    assert without_seconds(info["history"]) == without_seconds(told["history"]) and info["settings"] == told["settings"]
    assert_same(load_result(tmp_path), whole)


def test_a_checkpoint_of_another_run_is_refused_and_kept(tmp_path):
    task = gm.PathTask(STAR)
    trained(task, checkpoint=tmp_path)
    kept = (tmp_path / checkpoints.NAME).read_bytes()
    small = gm.PathTask(gm.path_star(8, 3, seed=1))
    for what, asked in {
        "task": dict(task=gm.PathTask(STAR, seed=1)),
        "task ": dict(task=gm.PathTask(STAR, pauses=2)),
        "task  ": dict(task=small, model=model_of(small)),
        "model": dict(task=task, model=model_of(task, seed=2)),
        "model ": dict(task=task, model=model_of(task, width=16)),
        "recipe": dict(task=task, recipe=STAGES[:2]),
        "seed": dict(task=task, seed=4),
        "snapshots": dict(task=task, snapshots=[1]),
        "precision": dict(task=task, precision="bf16"),
    }.items():
        model = asked.setdefault("model", model_of(task))
        before = model.embedding.clone()
        with pytest.raises(
            ValueError, match=rf"checkpoint must be of this run, but .*run.safetensors has another {what.strip()}"
        ):
            trained(checkpoint=tmp_path, **asked)
        assert torch.equal(model.embedding, before) and (tmp_path / checkpoints.NAME).read_bytes() == kept


def test_a_damaged_checkpoint_is_refused_and_kept(tmp_path):
    trained(checkpoint=tmp_path)
    whole = (tmp_path / checkpoints.NAME).read_bytes()
    for damage in (whole[: len(whole) // 2], b"", whole[:-4] + b"1234"):
        (tmp_path / checkpoints.NAME).write_bytes(damage)
        for use in (lambda: trained(checkpoint=tmp_path), lambda: load_result(tmp_path)):
            with pytest.raises(ValueError, match="run.safetensors is damaged"):
                use()
        assert (tmp_path / checkpoints.NAME).read_bytes() == damage
    with pytest.raises(ValueError, match="folder must hold run.safetensors, got .*: there is none"):
        load_result(tmp_path / "nowhere")


def test_wrong_arguments_are_refused_before_any_step(tmp_path):
    file = tmp_path / "file"
    file.write_text("")
    short, linear, dropping = (gm.SequenceModel(21, **o) for o in ({"context": 4}, {"core": "linear"}, {"dropout": 0.5}))
    for kind, message, options in (
        (
            ValueError,
            "edges must be at most the 32 there are to train on, got 33. Lower",
            {"recipe": [Stage(1, 1, edges=33)]},
        ),
        (
            ValueError,
            "paths must be at most the 5 there are",
            {"recipe": [Stage(1, 1, edges=1), Stage(1, 1, edges=1, paths=6)]},
        ),
        (TypeError, "recipe must be a list of one or more Stage, got .*. See geomem.recipes", {"recipe": []}),
        (TypeError, "recipe must be a list of one or more Stage", {"recipe": [{"steps": 3}]}),
        (TypeError, "recipe must be a list of one or more Stage", {"recipe": None}),
        (TypeError, "train takes a SequenceModel and a task, got Linear and PathTask", {"model": torch.nn.Linear(2, 2)}),
        (TypeError, "train takes a SequenceModel and a task, got SequenceModel and Graph", {"task": STAR}),
        (ValueError, "model must have the task's vocabulary of 21 tokens, got 9", {"model": gm.SequenceModel(9)}),
        (ValueError, "model must read sequences to learn paths, got a core that reads one token", {"model": linear}),
        (ValueError, "tokens must be at most 4 long, got 5. Raise context", {"model": short}),
        (ValueError, "dropout must be 0, because this loop applies none, got 0.5", {"model": dropping}),
        (ValueError, "seed must be at least 0, got -1", {"seed": -1}),
        (ValueError, "snapshots must not lie after the last step, 20, got 21", {"snapshots": [21]}),
        (ValueError, "device must be one of 'auto', 'cpu', 'cuda', got 'tpu'", {"device": "tpu"}),
        (ValueError, "precision must be one of", {"precision": "fp16"}),
        (TypeError, "compile must be True, False or 'graphs', got 'no'", {"compile": "no"}),
        (ValueError, "folder must have a name, got ''", {"checkpoint": ""}),
        (ValueError, "checkpoint_seconds must be finite and greater than 0, got 0", {"checkpoint_seconds": 0}),
        (ValueError, f"folder must be one that can be written to, got '{file}'", {"checkpoint": file}),
        (ValueError, f"folder must be one that can be written to, got '{file}/in'", {"checkpoint": file / "in"}),
        (ValueError, "folder must be one that can be written to, got '/proc/geomem'", {"checkpoint": "/proc/geomem"}),
    ):
        start = model_of(gm.PathTask(STAR))
        asked = {"model": start, "task": gm.PathTask(STAR)} | options
        with pytest.raises(kind, match=message):
            trained(**asked, on_step=lambda step, model: pytest.fail("it trained"))
        assert_same(start, model_of(gm.PathTask(STAR)))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is CUDA here")
def test_cuda_where_there_is_none_is_refused():
    with pytest.raises(ValueError, match="device must be one this machine has, got 'cuda': there is no CUDA here"):
        trained(device="cuda")


@pytest.mark.parametrize(
    "kind, message, options",
    [
        (ValueError, "steps must be at least 1, got 0", {"steps": 0}),
        (TypeError, "steps must be an integer, got 2.0", {"steps": 2.0}),
        (ValueError, "lr must be finite and greater than 0, got 0", {"lr": 0}),
        (ValueError, "lr must be finite", {"lr": math.nan}),
        (ValueError, "edges must be at least 0, got -1", {"edges": -1}),
        (ValueError, "paths must be at least 0", {"paths": -1}),
        (ValueError, "a stage must train on edges or paths, got neither", {"edges": 0}),
        (ValueError, "path_weight must be finite and greater than 0, got 0", {"path_weight": 0}),
        (ValueError, "schedule must be one of .*Did you mean 'cosine'", {"schedule": "cosin"}),
        (ValueError, "warmup must be at least 0", {"warmup": -1}),
        (ValueError, "weight_decay must be finite and at least 0", {"weight_decay": -0.1}),
        (ValueError, "arms must be at least 0, got -1", {"arms": -1}),
        (ValueError, "table must be one of 'adam', 'rms', got 'sgd'", {"arms": 2, "table": "sgd"}),
        (ValueError, "table must be 'adam' in a stage without arms and nodes, got 'rms'", {"table": "rms"}),
    ],
)
def test_a_wrong_stage_is_refused_by_name(kind, message, options):
    with pytest.raises(kind, match=message):
        Stage(**{"steps": 3, "lr": 0.1, "edges": 4, **options})


def test_the_rate_rises_and_then_falls_to_a_tenth():
    stage = Stage(101, 2.0, warmup=9)
    assert stage.rate(0) == pytest.approx(0.2, rel=1e-3) and stage.rate(100) == pytest.approx(0.2)
    assert stage.rate(50) == pytest.approx(1.1) and max(map(stage.rate, range(101))) < 2
    assert [Stage(5, 2.0, schedule="constant", warmup=3).rate(k) for k in range(5)] == [0.5, 1.0, 1.5, 2.0, 2.0]
    assert Stage(1, 2.0).rate(0) == 2.0
