import inspect
import json
import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch.func import functional_call, stack_module_state, vmap

import geomem as gm
from geomem.models import CORES
from geomem.models.transformer import fused_attention, plain_attention

EXACT = 1e-12  # float64, a handful of products of order-1 numbers
KERNEL = 1e-6  # float32, one attention kernel against another

every_core = pytest.mark.parametrize("core", CORES)


def model_of(core, *, n_tokens=9, width=8, std=0.7, dtype=torch.float64, **options):
    return gm.SequenceModel(n_tokens, core=core, width=width, init_std=std, core_std=std, **options).to(dtype)


def tokens_of(*shape, n_tokens=9, seed=0):
    return torch.randint(n_tokens, shape, generator=torch.Generator().manual_seed(seed))


def explicit_transformer(model, tokens):
    """Write the pre-norm transformer out, with a softmax over the positions that are not masked."""
    x = model.embedding[tokens] + model.position[: tokens.shape[1]]
    length, mean_and_scale = tokens.shape[1], lambda z, norm: F.layer_norm(z, z.shape[-1:], norm.weight, norm.bias)
    for block in model.core.blocks:
        q, k, v = (mean_and_scale(x, block.norm_attention) @ block.qkv.weight + block.qkv.bias).chunk(3, dim=-1)
        heads = []
        for q_h, k_h, v_h in zip(*(part.chunk(block.heads, dim=-1) for part in (q, k, v)), strict=True):
            scores = q_h @ k_h.mT / math.sqrt(q_h.shape[-1])
            future = torch.ones(length, length).triu(1).bool()
            heads.append(torch.softmax(scores.masked_fill(future, -torch.inf), dim=-1) @ v_h)
        x = x + torch.cat(heads, dim=-1) @ block.out.weight + block.out.bias
        up = mean_and_scale(x, block.norm_mlp) @ block.up.weight + block.up.bias
        gelu = up * 0.5 * (1 + torch.erf(up / math.sqrt(2)))
        x = x + gelu @ block.down.weight + block.down.bias
    return mean_and_scale(x, model.core.norm) @ model.unembedding.T


def test_the_identity_core_with_tied_tables_is_node2vec():
    model = model_of("identity")
    logits = model(torch.arange(9)[:, None])[:, 0]
    torch.testing.assert_close(logits, model.embedding @ model.embedding.T, rtol=0, atol=EXACT)
    untied = model_of("identity", tied=False)
    torch.testing.assert_close(
        untied(torch.arange(9)[:, None])[:, 0], untied.embedding @ untied.untied.T, rtol=0, atol=EXACT
    )


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("tied", [True, False])
def test_linear_logits_are_e_times_w_e_plus_b(layers, tied):
    model = model_of("linear", layers=layers, tied=tied)
    read = model.embedding if tied else model.untied
    with torch.no_grad():
        for layer in model.core.maps:
            layer.bias.copy_(torch.linspace(-1, 2, 8))
        for u in range(9):
            hidden = model.embedding[u]
            for layer in model.core.maps:
                hidden = torch.stack([(layer.weight[:, i] * hidden).sum() + layer.bias[i] for i in range(8)])
            expected = torch.stack([(read[v] * hidden).sum() for v in range(9)])
            torch.testing.assert_close(model(torch.tensor([[u]]))[0, 0], expected, rtol=EXACT, atol=EXACT)


@pytest.mark.parametrize("heads, layers, tied", [(1, 1, True), (2, 2, True), (4, 1, False)])
@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, EXACT), (torch.float32, KERNEL)])
def test_the_transformer_equals_an_explicit_softmax_attention(heads, layers, tied, dtype, tolerance):
    model = model_of("transformer", heads=heads, layers=layers, tied=tied, std=0.3, dtype=dtype)
    with torch.no_grad():
        for number, p in enumerate(model.core.parameters()):  # biases and norms away from their start values
            p += 0.1 * torch.randn(p.shape, generator=torch.Generator().manual_seed(number), dtype=dtype)
        tokens = tokens_of(3, 6)
        torch.testing.assert_close(model(tokens), explicit_transformer(model, tokens), rtol=tolerance, atol=10 * tolerance)


def test_the_attention_that_vmap_can_batch_equals_the_fused_kernel():
    q, k, v = torch.randn(3, 2, 4, 5, 8, generator=torch.Generator().manual_seed(0))
    fused = F.scaled_dot_product_attention(q, k, v, is_causal=True)
    torch.testing.assert_close(plain_attention(q, k, v), fused, rtol=KERNEL, atol=KERNEL)
    for last in (1, 3, 5):
        for attention in (plain_attention, fused_attention):
            torch.testing.assert_close(attention(q[..., -last:, :], k, v), fused[..., -last:, :], rtol=KERNEL, atol=KERNEL)


def test_the_transformer_is_causal_and_looks_back():
    model, tokens = model_of("transformer"), tokens_of(2, 7)
    before = model(tokens)
    for place in range(7):
        changed = tokens.clone()
        changed[:, place] = (changed[:, place] + 1) % 9
        after = model(changed)
        assert torch.equal(after[:, :place], before[:, :place])
        assert ((after - before)[:, place:].abs().amax(-1) > 1e-6).all()


def test_positions_are_there_only_where_the_core_reads_sequences():
    assert model_of("transformer").position.shape == model_of("mamba").position.shape == (32, 8)
    for positions in ("learned", "sinusoidal"):
        assert all(model_of(core, positions=positions).position is None for core in ("identity", "linear"))
    blind = model_of("transformer", positions="none", layers=1)
    assert blind.position is None
    swapped = tokens_of(4, 3)[:, [1, 0, 2]]
    torch.testing.assert_close(blind(tokens_of(4, 3))[:, -1], blind(swapped)[:, -1], rtol=EXACT, atol=EXACT)
    sighted = model_of("transformer", layers=1)
    assert (sighted(tokens_of(4, 3))[:, -1] - sighted(swapped)[:, -1]).abs().max() > 1e-6


@pytest.mark.parametrize("width, length", [(8, 5), (7, 3), (1, 2)])
def test_sinusoidal_positions_follow_the_formula_and_are_not_trained(width, length):
    model = gm.SequenceModel(9, width=width, heads=1, positions="sinusoidal", context=length)
    for place in range(length):
        for channel in range(width):
            angle = place / 10_000 ** (2 * (channel // 2) / width)
            wave = math.sin(angle) if channel % 2 == 0 else math.cos(angle)
            assert model.position[place, channel].item() == pytest.approx(wave, rel=KERNEL, abs=KERNEL)
    assert not model.position.requires_grad
    swapped = tokens_of(4, 2)[:, [1, 0]]
    if width > 1:  # a norm over one channel leaves nothing
        assert not torch.equal(model(tokens_of(4, 2)), model(swapped))


def kernel_of(model, kernel):
    for block in getattr(model.core, "blocks", []):
        block.kernel = kernel
    return model


@pytest.mark.parametrize("core, kernel", [(core, fused_attention) for core in CORES] + [("transformer", plain_attention)])
@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_the_last_positions_alone_have_the_same_logits_and_gradients(core, kernel, dropout):
    model, tokens = kernel_of(model_of(core, layers=3, dropout=dropout), kernel), tokens_of(3, 5)
    noise = model.draw_noise(tokens, torch.Generator().manual_seed(1)).double() if dropout else None
    logits, trained = model(tokens, noise=noise), [p for p in model.parameters() if p.requires_grad]
    assert logits.shape == (3, 5, 9)
    for last in (1, 2, 4, 5):
        alone = model(tokens, last=last, noise=noise)
        assert alone.shape == (3, last, 9)
        torch.testing.assert_close(alone, logits[:, -last:], rtol=EXACT, atol=EXACT)
        torch.testing.assert_close(model.hidden(tokens, last, noise) @ model.unembedding.T, alone, rtol=EXACT, atol=EXACT)
        mix = torch.randn(alone.shape, generator=torch.Generator().manual_seed(last), dtype=torch.float64)
        pair = ((out * mix).sum() for out in (alone, logits[:, -last:]))
        ours, whole = (torch.autograd.grad(s, trained, retain_graph=True, materialize_grads=True) for s in pair)
        for mine, theirs in zip(ours, whole, strict=True):
            torch.testing.assert_close(mine, theirs, rtol=EXACT, atol=100 * EXACT)
    if not dropout:
        torch.testing.assert_close(model(tokens[[2, 0]]), logits[[2, 0]])  # rows do not talk to one another


@every_core
def test_the_last_positions_are_the_same_for_a_batch_of_models(core):
    models = [kernel_of(model_of(core, dropout=0.3, seed=seed), plain_attention) for seed in (1, 2)]
    stack, _ = stack_module_state(models)
    stack["dropout"] = torch.stack([model.dropout for model in models])
    tokens = tokens_of(3, 4)
    noise = models[0].draw_noise(tokens, torch.Generator().manual_seed(3)).double()
    for last in (None, 1, 3):
        batch = vmap(lambda state, last=last: functional_call(models[0], state, (tokens, last, noise)))(stack)
        for model, logits in zip(models, batch, strict=True):
            torch.testing.assert_close(logits, model(tokens, noise=noise)[:, -(last or 4) :], rtol=EXACT, atol=EXACT)


@every_core
def test_last_must_lie_within_the_tokens(core):
    for last in (0, -1, 5):
        with pytest.raises(ValueError, match=f"last must lie in 1 to 4, the length of tokens, got {last}"):
            model_of(core)(tokens_of(3, 4), last=last)
    with pytest.raises(ValueError, match="tokens must be at least 1 long, got 0"):
        model_of(core)(tokens_of(3, 0))


@every_core
def test_the_settings_make_the_same_model_again_and_go_through_json(core):
    given = dict(core=core, width=8, layers=np.int64(1), dropout=np.float32(0.25), seed=np.int64(4), positions="sinusoidal")
    model = gm.SequenceModel(np.int64(9), tied=False, **given)
    again = gm.SequenceModel(**json.loads(json.dumps(model.settings)))
    assert again.settings == model.settings and set(model.settings) == set(inspect.signature(gm.SequenceModel).parameters)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))


@every_core
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("frozen", [True, False])
def test_frozen_tables_take_no_gradient_and_tied_ones_are_one_table(core, tied, frozen):
    model = model_of(core, tied=tied, frozen=frozen)
    tables = {"embedding"} if tied else {"embedding", "untied"}
    still = {name for name, p in model.named_parameters() if not p.requires_grad}
    assert still == (tables if frozen else set())
    assert (model.unembedding is model.embedding) == tied
    if not tied:
        assert not torch.equal(model.unembedding, model.embedding)
    trained = [p for p in model.parameters() if p.requires_grad]
    if trained:
        loss = F.cross_entropy(model(tokens_of(9, 2), last=1)[:, 0], torch.arange(9))
        assert all(grad.abs().sum() > 0 for grad in torch.autograd.grad(loss, trained))


@every_core
def test_the_same_seed_is_bitwise_the_same_model_and_another_is_not(core):
    a, b, c = (dict(model_of(core, tied=False, seed=s).named_parameters()) for s in (5, 5, 6))
    assert all(torch.equal(a[name], b[name]) for name in a)
    drawn = [name for name in a if a[name].std() > 0 and a[name].ndim == 2 and "log_rates" not in name]  # Mamba's A is given
    assert {"embedding", "untied"} <= set(drawn) and not any(torch.equal(a[name], c[name]) for name in drawn)


@every_core
def test_nothing_touches_the_global_generator(core):
    before = torch.get_rng_state()
    model = model_of(core, dropout=0.5)
    model(tokens_of(2, 3), noise=model.draw_noise(tokens_of(2, 3), torch.Generator().manual_seed(1)))
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("stds", [{}, dict(init_std=1.0, core_std=0.1, position_std=0.5), dict(position_std=1.0)])
def test_start_values_have_the_spread_that_is_asked(stds):
    model = gm.SequenceModel(200, width=64, tied=False, seed=3, **stds)
    block = model.core.blocks[0]
    tables = {"init_std": [model.embedding, model.untied], "position_std": [model.position]}
    tables["core_std"] = [layer.weight for layer in (block.qkv, block.out, block.up, block.down)]
    for name, drawn in tables.items():
        std = stds.get(name, 0.02)
        for table in drawn:
            n = table.numel()
            assert abs(table.std() / std - 1) < 5 / math.sqrt(2 * n)  # standard error of a standard deviation
            assert abs(table.mean()) < 5 * std / math.sqrt(n)
    assert all(layer.bias.eq(0).all() for layer in (block.qkv, block.out, block.up, block.down))
    assert gm.SequenceModel(5, core="linear", core_std=0.5).core.maps[0].bias.eq(0).all()


@every_core
def test_no_noise_means_no_dropout(core):
    plain, dropping = model_of(core), model_of(core, dropout=0.6)
    tokens = tokens_of(3, 2)
    assert torch.equal(plain(tokens), dropping(tokens)) and torch.equal(dropping.train()(tokens), dropping.eval()(tokens))
    noise = dropping.draw_noise(tokens, torch.Generator().manual_seed(0))
    assert noise.shape == (1 + dropping.core.dropout_sites, 3, 2, 8)
    assert torch.equal(plain(tokens, noise=noise.double()), plain(tokens))  # rate 0 keeps everything
    assert not torch.equal(dropping(tokens, noise=noise.double()), dropping(tokens))


@every_core
def test_a_core_drops_as_often_as_it_says_and_reads_earlier_tokens_if_it_says_so(core):
    model, calls, x = (
        model_of(core, layers=3),
        [],
        torch.randn(2, 4, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64),
    )
    out = model.core(x, lambda part: (calls.append(part.shape), part)[1], 2)
    assert len(calls) == model.core.dropout_sites and out.shape == (2, 2, 8)
    other = model.core(torch.cat([-x[:, :2], x[:, 2:]], dim=1), lambda part: part, 2)
    assert torch.equal(other, out) != model.core.sequential


def test_dropout_zeroes_its_share_and_keeps_the_expectation():
    model = model_of("identity", width=64, dropout=0.3)
    tokens = tokens_of(4000, 1)
    noise = model.draw_noise(tokens, torch.Generator().manual_seed(2)).double()
    kept = model.hidden(tokens, noise=noise) / model.embedding[tokens]
    assert set(kept.round(decimals=6).unique().tolist()) == {0.0, round(1 / 0.7, 6)}
    error = math.sqrt(0.3 / 0.7 / kept.numel())
    assert abs(kept.mean() - 1) < 5 * error
    assert torch.equal(kept == 0, noise[0] < 0.3)


def test_every_residual_branch_has_a_dropout_site_of_its_own():
    model, tokens = model_of("transformer", dropout=0.5, layers=2), tokens_of(2, 3)
    keep = torch.ones(5, 2, 3, 8, dtype=torch.float64)
    base = model(tokens, noise=keep)
    for site in range(5):
        drop = keep.clone()
        drop[site] = 0.0
        assert not torch.equal(model(tokens, noise=drop), base)
    nothing = torch.zeros_like(keep)
    nothing[0] = 1.0  # both branches of every block dropped: only the doubled embedding and the last norm are left
    x = 2 * (model.embedding[tokens] + model.position[:3])
    torch.testing.assert_close(model.hidden(tokens, noise=nothing), F.layer_norm(x, (8,)), rtol=EXACT, atol=EXACT)


def test_wrong_arguments_are_refused_by_name():
    for kind, message, options in (
        (ValueError, "n_tokens must be at least 2, got 1", {"n_tokens": 1}),
        (TypeError, "n_tokens must be an integer, got 7.0", {"n_tokens": 7.0}),
        (ValueError, "core must be one of .*'transfromer'. Did you mean 'transformer'", {"core": "transfromer"}),
        (ValueError, "core must be one of", {"core": None}),
        (ValueError, "width must be at least 1, got 0", {"width": 0}),
        (TypeError, "layers must be an integer, got True", {"layers": True}),
        (ValueError, "heads must divide width, got heads=3, width=64", {"heads": 3}),
        (ValueError, "positions must be one of 'learned', 'sinusoidal', 'none'", {"positions": "rotary"}),
        (ValueError, "init_std must be finite and greater than 0, got 0", {"init_std": 0}),
        (ValueError, "core_std must be finite", {"core_std": float("nan")}),
        (ValueError, "position_std must be finite and greater than 0, got 0", {"position_std": 0}),
        (TypeError, "init_std must be a number, got '1'", {"init_std": "1"}),
        (ValueError, "dropout must be finite and at least 0 and less than 1, got 1", {"dropout": 1.0}),
        (ValueError, "dropout must be", {"dropout": -0.1}),
        (ValueError, "seed must be at least 0, got -1", {"seed": -1}),
    ):
        with pytest.raises(kind, match=message):
            gm.SequenceModel(**{"n_tokens": 9, **options})
    with pytest.raises(ValueError, match="tokens must be at most 2 long, got 3. Raise context"):
        model_of("transformer", context=2)(tokens_of(1, 3))
