import math

import pytest
import torch
import torch.nn.functional as F

import geomem as gm
from geomem.models.mamba import DT_RANGE, STATE, TAPS, selective_scan
from geomem.training import ensemble

EXACT = 1e-9  # float64, values and gradients of up to a thousand summed products
FLOAT32 = 1e-5  # a member alone against the same one in a batch, in float32
SEEDS = (100, 101, 102)


def model_of(*, n_tokens=9, width=8, std=0.5, dtype=torch.float64, **options):
    return gm.SequenceModel(n_tokens, core="mamba", width=width, init_std=std, core_std=std, **options).to(dtype)


def tokens_of(*shape, n_tokens=9, seed=0):
    return torch.randint(n_tokens, shape, generator=torch.Generator().manual_seed(seed))


def shaken(model):
    """Move every parameter of the core away from its start value."""
    with torch.no_grad():
        for number, p in enumerate(model.core.parameters()):
            p += 0.3 * torch.randn(p.shape, generator=torch.Generator().manual_seed(number), dtype=p.dtype)
    return model


def written_out(block, v):
    """Write one block from the equations: loops over sequences, tokens, channels and states; (batch, length, width)."""
    rows = []
    inner = len(block.skip)
    rank = block.step.weight.shape[0]
    for sequence in v:
        state, seen, outs = [[0.0] * STATE for _ in range(inner)], [], []
        for token in sequence:
            both = token @ block.into.weight + block.into.bias
            seen.append(both[:inner])
            gate = both[inner:]
            u = []
            for channel in range(inner):
                total = block.taps_bias[channel]
                for k in range(TAPS):
                    if k < len(seen):
                        total = total + block.taps[k, channel] * seen[-1 - k][channel]
                u.append(total / (1 + torch.exp(-total)))
            picked = torch.stack(u) @ block.select.weight + block.select.bias
            low, b, c = picked[:rank], picked[rank : rank + STATE], picked[rank + STATE :]
            ys = []
            for channel in range(inner):
                dt = torch.log(1 + torch.exp(low @ block.step.weight[:, channel] + block.step.bias[channel]))
                y = block.skip[channel] * u[channel]
                for n in range(STATE):
                    a = -torch.exp(block.log_rates[channel, n])
                    state[channel][n] = torch.exp(dt * a) * state[channel][n] + dt * b[n] * u[channel]
                    y = y + c[n] * state[channel][n]
                ys.append(y * gate[channel] / (1 + torch.exp(-gate[channel])))
            outs.append(torch.stack(ys) @ block.out.weight + block.out.bias)
        rows.append(torch.stack(outs))
    return torch.stack(rows)


def written_out_model(model, tokens):
    x = model.embedding[tokens] + model.position[: tokens.shape[1]]
    for norm, block in zip(model.core.norms, model.core.blocks, strict=True):
        x = x + written_out(block, F.layer_norm(x, x.shape[-1:], norm.weight, norm.bias))
    return F.layer_norm(x, x.shape[-1:], model.core.norm.weight, model.core.norm.bias) @ model.unembedding.T


@pytest.mark.parametrize("width, layers, length", [(3, 1, 6), (2, 2, 5), (18, 1, 2), (3, 1, 1)])
def test_values_and_gradients_are_those_of_the_recurrence_token_by_token(width, layers, length):
    model, tokens = shaken(model_of(width=width, layers=layers, heads=1)), tokens_of(2, length)
    assert model.core.blocks[0].step.weight.shape == (math.ceil(width / 16), 2 * width)
    got, expected = model(tokens), written_out_model(model, tokens)
    torch.testing.assert_close(got, expected, rtol=EXACT, atol=EXACT)
    mixed = torch.randn(got.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    names, parameters = zip(*model.named_parameters(), strict=True)
    pair = ((out * mixed).sum() for out in (got, expected))
    ours, theirs = (torch.autograd.grad(loss, parameters, materialize_grads=True) for loss in pair)
    for name, mine, written in zip(names, ours, theirs, strict=True):
        torch.testing.assert_close(mine, written, rtol=EXACT, atol=EXACT, msg=lambda text, name=name: f"{name}: {text}")


def test_an_impulse_decays_as_the_rates_say():
    one, rates = torch.ones(1, 6, 1, dtype=torch.float64), torch.tensor([[-1.0, -3.0]], dtype=torch.float64)
    pulse, both = torch.zeros_like(one), one.expand(1, 6, 2)
    pulse[0, 0] = 2.0
    y = selective_scan(pulse, 0.1 * one, rates, both, both)[0, :, 0]
    t = 0.1 * torch.arange(6, dtype=torch.float64)
    torch.testing.assert_close(y, 0.2 * (torch.exp(-t) + torch.exp(-3 * t)), rtol=EXACT, atol=EXACT)


def test_the_core_is_causal_and_looks_back_further_than_its_convolution():
    model, tokens = shaken(model_of(layers=1)), tokens_of(2, 9)
    before = model(tokens)
    for place in range(9):
        changed = tokens.clone()
        changed[:, place] = (changed[:, place] + 1) % 9
        after = model(changed)
        assert torch.equal(after[:, :place], before[:, :place])
        assert ((after - before)[:, place:].abs().amax(-1) > 1e-6).all()
    longer = torch.cat([tokens, tokens_of(2, 4, seed=1)], dim=1)
    torch.testing.assert_close(model(longer)[:, :9], before, rtol=EXACT, atol=EXACT)
    torch.testing.assert_close(model(tokens[[1]]), before[[1]], rtol=EXACT, atol=EXACT)  # rows do not talk to one another


def test_start_values_are_those_of_mamba():
    width, std = 128, 0.05
    block = gm.SequenceModel(5, core="mamba", width=width, layers=1, core_std=std, seed=100).core.blocks[0]
    dt = F.softplus(block.step.bias)
    low, high = DT_RANGE
    assert (low, high) == (1e-3, 1e-1) and dt.min() >= low * (1 - 1e-5) and dt.max() <= high * (1 + 1e-5)
    place = (dt / low).log() / math.log(high / low)  # uniform in [0, 1] if dt is log-uniform
    assert abs(place.mean() - 1 / 2) < 5 * math.sqrt(1 / 12 / len(dt))
    assert place.sort().values.sub(torch.linspace(0, 1, len(dt))).abs().max() < 2 / math.sqrt(len(dt))  # Kolmogorov
    rates = -block.log_rates.exp()
    torch.testing.assert_close(rates, -torch.arange(1.0, 17.0).expand(2 * width, 16), rtol=1e-6, atol=0)
    assert block.skip.eq(1).all() and block.taps.shape == (4, 2 * width) and block.into.weight.shape == (width, 4 * width)
    assert 0.45 < block.taps.abs().max() <= 0.5 and abs(block.taps.std() * math.sqrt(12) - 1) < 0.1
    for layer in (block.into, block.select, block.step, block.out):
        assert abs(layer.weight.std() / std - 1) < 5 / math.sqrt(2 * layer.weight.numel())
    assert all(bias.eq(0).all() for bias in (block.into.bias, block.select.bias, block.out.bias, block.taps_bias))


def test_one_token_needs_no_memory():
    model = shaken(model_of(layers=1))
    alone = model(tokens_of(5, 1))
    with torch.no_grad():
        model.core.blocks[0].log_rates += 5.0  # how fast the state forgets plays no part yet
        model.core.blocks[0].taps[1:] += 1.0  # nor do earlier tokens
    assert alone.shape == (5, 1, 9) and torch.equal(model(tokens_of(5, 1)), alone)
    assert not torch.equal(model(tokens_of(5, 2))[:, 1], model_of(layers=1)(tokens_of(5, 2))[:, 1])


@pytest.mark.parametrize("shift", [-30.0, 30.0])
def test_the_scan_stays_finite_for_tiny_and_huge_steps_at_forty_tokens(shift):
    model = model_of(dtype=torch.float32, context=40)
    with torch.no_grad():
        for block in model.core.blocks:
            block.step.bias += shift
    logits = model(tokens_of(3, 40))
    grads = torch.autograd.grad(logits.square().sum(), list(model.parameters()))
    assert logits.isfinite().all() and all(grad.isfinite().all() for grad in grads)


def test_the_seed_alone_decides_and_no_global_generator_is_touched():
    before = torch.get_rng_state()
    a, b, c = (dict(model_of(seed=s).named_parameters()) for s in (105, 105, 106))
    model_of(dropout=0.5)(tokens_of(2, 3), noise=torch.rand(3, 2, 3, 8, generator=torch.Generator(), dtype=torch.float64))
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(a[name], b[name]) for name in a)
    drawn = {name for name in a if not torch.equal(a[name], c[name])}
    ends = ("into.weight", "select.weight", "step.weight", "step.bias", "out.weight", "taps")
    assert drawn == {f"core.blocks.{k}.{end}" for k in (0, 1) for end in ends} | {"embedding", "position"}


def test_a_member_alone_is_the_same_member_in_a_batch():
    knobs = dict(lr=[0.01, 0.03], weight_decay=[0.0, 0.2], dropout=[0.0, 0.3])
    asked = dict(core="mamba", graph=gm.grid(3, 3), width=8, steps=15, core_std=0.3, init_std=0.3, snapshots=(0, 5))
    runs = gm.train_ensemble(seeds=SEEDS[:2], **knobs, **asked)
    for b in (0, 7, 15):
        own = {name: float(runs.knobs[name][b]) for name in knobs}
        alone = gm.train_ensemble(seeds=[int(runs.knobs["seed"][b])], **own, **asked)
        torch.testing.assert_close(alone.loss[:, 0], runs.loss[:, b], rtol=FLOAT32, atol=FLOAT32)
        torch.testing.assert_close(alone.embeddings[:, 0], runs.embeddings[:, b], rtol=FLOAT32, atol=FLOAT32)


@pytest.mark.parametrize("options", [{"layers": 1}, {"layers": 2, "tied": False, "dropout": 0.3, "weight_decay": 0.2}])
def test_the_ensemble_is_what_a_plain_loop_with_adamw_trains(options):
    g, n = gm.path_star(3, 3), 7
    shape = dict(width=8, heads=1, init_std=0.3, core_std=0.3) | options
    decay = shape.pop("weight_decay", 0.0)
    model = gm.SequenceModel(n + 4, core="mamba", context=2, seed=101, position_std=1.0, **shape).double()
    tokens, answers = gm.edge_examples(g)[:, :2], gm.edge_examples(g)[:, 2]
    nodes = torch.tensor([[gm.Vocabulary(n).EDGE, u] for u in range(n)])
    noise = ensemble._noise(model, [{"seed": 101}], nodes, "cpu", torch.float64)
    optimizer, losses = torch.optim.AdamW(model.parameters(), lr=0.01, weight_decay=decay), []
    for _ in range(30):
        losses.append(F.cross_entropy(model(tokens, last=1)[:, 0, :n], answers).item())
        draws = next(noise)[0][:, tokens[:, 1]] if "dropout" in options else None
        optimizer.zero_grad()
        F.cross_entropy(model(tokens, last=1, noise=draws)[:, 0, :n], answers).backward()
        optimizer.step()
    asked = dict(steps=30, lr=0.01, weight_decay=decay, schedule="constant", precision="float64", snapshots=range(30))
    runs = gm.train_ensemble(g, core="mamba", seeds=(100, 101), **asked, **shape)
    assert runs.loss[:-1, 1].tolist() == pytest.approx(losses, rel=EXACT)
    torch.testing.assert_close(runs.scores()[1], model(nodes, last=1)[:, 0, :n].detach(), rtol=EXACT, atol=10 * EXACT)
    torch.testing.assert_close(runs.model(1)(nodes, last=1)[:, 0, :n].detach(), runs.scores()[1], rtol=EXACT, atol=EXACT)


@pytest.mark.parametrize("g", [gm.cycle(15), gm.path_star(4, 5)], ids=lambda g: g.name)
def test_the_edges_of_tiny_graphs_are_learned(g):
    runs = gm.train_ensemble(g, core="mamba", seeds=SEEDS)  # width 32, lr 0.01, 500 steps
    assert runs.edge_recall[-1].tolist() == [1.0, 1.0, 1.0]
    assert (runs.loss[-1] < 0.6 * runs.loss[0]).all()


def test_every_residual_branch_has_a_dropout_site_of_its_own():
    model, tokens = model_of(dropout=0.5), tokens_of(2, 3)
    keep = torch.ones(3, 2, 3, 8, dtype=torch.float64)
    assert model.draw_noise(tokens, torch.Generator()).shape == keep.shape
    base = model(tokens, noise=keep)
    for site in range(3):
        drop = keep.clone()
        drop[site] = 0.0
        assert not torch.equal(model(tokens, noise=drop), base)
    nothing = torch.zeros_like(keep)
    nothing[0] = 1.0  # both blocks dropped: only the doubled embedding and the last norm are left
    x = 2 * (model.embedding[tokens] + model.position[:3])
    torch.testing.assert_close(model.hidden(tokens, noise=nothing), F.layer_norm(x, (8,)), rtol=EXACT, atol=EXACT)


def test_bf16_trains_and_keeps_the_recurrence_in_float32(monkeypatch):
    asked = dict(core="mamba", graph=gm.cycle(5), width=8, steps=12, seeds=SEEDS, lr=0.02, init_std=0.3, core_std=0.3)
    exact, runs = (gm.train_ensemble(precision=p, dropout=0.1, **asked) for p in ("float32", "bf16"))
    assert runs.embeddings.dtype == torch.float32 and (runs.loss[-1] < runs.loss[0]).all()
    assert 0 < (runs.loss - exact.loss).abs().max() < 0.05 * exact.loss[0].max()  # bfloat16 keeps 8 bits
    seen = []
    record = lambda *parts: seen.extend(part.dtype for part in parts) or selective_scan(*parts)  # noqa: E731
    monkeypatch.setattr("geomem.models.mamba.selective_scan", record)
    with torch.autocast("cpu", torch.bfloat16):
        model_of(dtype=torch.float32)(tokens_of(2, 3))
    model_of().bfloat16()(tokens_of(2, 3))
    assert set(seen) == {torch.float32}


def test_wrong_arguments_are_refused_by_name():
    for kind, message, options in (
        (ValueError, "core must be one of .*'manba'. Did you mean 'mamba'", {"core": "manba"}),
        (ValueError, "width must be at least 1, got 0", {"width": 0}),
        (TypeError, "layers must be an integer, got 1.5", {"layers": 1.5}),
        (ValueError, "heads must be at least 1, got 0", {"heads": 0}),
        (ValueError, "core_std must be finite and greater than 0, got 0", {"core_std": 0}),
    ):
        with pytest.raises(kind, match=message):
            gm.SequenceModel(**{"n_tokens": 9, "core": "mamba", **options})
    with pytest.raises(ValueError, match="tokens must be at most 2 long, got 3. Raise context"):
        model_of(context=2)(tokens_of(1, 3))
    with pytest.raises(ValueError, match="tokens must be at least 1 long, got 0"):
        model_of()(tokens_of(3, 0))
    assert model_of(width=9, heads=4)(tokens_of(1, 3)).shape == (1, 3, 9)  # there are no heads to divide the width
