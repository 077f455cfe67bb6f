"""The ordered-neurons LSTM against a loop over single units, autograd of a plain loop, and its published size."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from selfish_core.catalogue.distributions import num_active
from selfish_core.catalogue.sizes.on_lstm import ONLSTMConfig, problem, shapes, with_width
from selfish_core.models.on_lstm import ONLSTM
from selfish_core.models.on_lstm_scan import BLOCK_STEPS, scan

V, E, H, C, T, B = 11, 6, 8, 2, 5, 3
SIZES: dict[str, Any] = {"name": "on_lstm", "num_layers": 2, "hidden_size": H, "embedding_size": E, "chunk_size": C}
RATES = ("embedding_dropout", "input_dropout", "hidden_dropout", "output_dropout", "recurrent_weight_dropout")
NO_DROPOUT = dict.fromkeys(RATES, 0.0)
PAPER = ONLSTMConfig(name="on_lstm")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Tensors this small only lose by sharing them out."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def build(**fields: Any) -> tuple[ONLSTM, Tensor]:
    generator = torch.Generator().manual_seed(4)
    config = ONLSTMConfig(**{**SIZES, **fields})
    return ONLSTM(config, V, generator), torch.randint(0, V, (T, B), generator=generator)


def run(model: ONLSTM, words: Tensor, seed: int | None = None) -> Any:
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    return model(words, model.initial_state(words.shape[1]), generator)


def unit_by_unit(model: ONLSTM, words: Tensor, weights: dict[str, Tensor], hh_factor: float) -> Tensor:
    """Scores of every word by the definition: one stream, one word, one layer, one unit after the other."""
    decoder = weights.get("decoder.weight", weights["embedding.weight"])
    streams = []
    for stream in range(B):
        h = [torch.zeros(width, dtype=torch.float64) for width in model.config.layer_widths]
        c = [part.clone() for part in h]
        scores = []
        for word in words[:, stream]:
            x = weights["embedding.weight"][word]
            for layer, width in enumerate(model.config.layer_widths):
                part = {
                    kind: weights[f"on_lstm.{layer}.{kind}"]
                    for kind in ("ih.weight", "ih.bias", "hh.weight", "hh.bias")
                }
                row = [
                    (part["ih.weight"][r] * x).sum() + part["ih.bias"][r]
                    + (hh_factor * part["hh.weight"][r] * h[layer]).sum() + part["hh.bias"][r]
                    for r in range(len(part["ih.bias"]))
                ]  # fmt: skip
                chunks = width // C
                input_total = sum(row[k].exp() for k in range(chunks))
                forget_total = sum(row[chunks + k].exp() for k in range(chunks))
                new_h, new_c = [], []
                for unit in range(width):
                    chunk = unit // C
                    master_in = 1 - sum(row[k].exp() for k in range(chunk + 1)) / input_total
                    master_forget = sum(row[chunks + k].exp() for k in range(chunk + 1)) / forget_total
                    gates = [row[2 * chunks + gate * width + unit] for gate in range(4)]
                    o, g, i, f = (1 / (1 + (-gates[n]).exp()) if n != 1 else gates[n].tanh() for n in range(4))
                    overlap = master_in * master_forget
                    f = f * overlap + (master_forget - overlap)
                    i = i * overlap + (master_in - overlap)
                    new_c.append(f * c[layer][unit] + i * g)
                    new_h.append(o * new_c[-1].tanh())
                h[layer], c[layer] = torch.stack(new_h), torch.stack(new_c)
                x = h[layer]
            scores.append(decoder @ x + weights["decoder.bias"])
        streams.append(torch.stack(scores))
    return torch.stack(streams, dim=1)


@pytest.mark.parametrize("is_tied", [True, False])
@pytest.mark.parametrize("weight_dropout", [0.0, 0.25])
def test_scores_and_gradients_equal_a_float64_loop_over_units(is_tied: bool, weight_dropout: float) -> None:
    model, words = build(is_tied=is_tied, recurrent_weight_dropout=weight_dropout)
    scores = run(model, words).scores_TBV
    scores.square().sum().backward()
    doubles = {name: weight.detach().double().requires_grad_() for name, weight in model.named_parameters()}
    expected = unit_by_unit(model, words, doubles, 1 - weight_dropout)
    torch.testing.assert_close(scores.double(), expected, rtol=1e-5, atol=1e-6)
    expected.square().sum().backward()
    for name, weight in model.named_parameters():
        torch.testing.assert_close(weight.grad.double(), doubles[name].grad, rtol=1e-4, atol=1e-6)


def plain_scan(pre_TBG: Tensor, h: Tensor, c: Tensor, weight_GH: Tensor, chunk_size: int) -> tuple[Tensor, Tensor]:
    """The same recurrence as a graph of single operations."""
    hidden = h.shape[1]
    chunks = hidden // chunk_size
    rows = []
    for pre_BG in pre_TBG:
        stacked = pre_BG + h @ weight_GH.T
        m_in, m_f, o, g, i, f = stacked.split([chunks, chunks, hidden, hidden, hidden, hidden], dim=1)
        m_in = (1 - functional.softmax(m_in, 1).cumsum(1)).repeat_interleave(chunk_size, 1)
        m_f = functional.softmax(m_f, 1).cumsum(1).repeat_interleave(chunk_size, 1)
        w = m_in * m_f
        c = (torch.sigmoid(f) * w + (m_f - w)) * c + (torch.sigmoid(i) * w + (m_in - w)) * torch.tanh(g)
        h = torch.sigmoid(o) * torch.tanh(c)
        rows.append(h)
    return torch.stack(rows), c


def scan_inputs(steps: int, chunks: int = 3, chunk_size: int = C) -> list[Tensor]:
    generator = torch.Generator().manual_seed(8)
    hidden = chunks * chunk_size
    sizes = ((steps, B, 2 * chunks + 4 * hidden), (B, hidden), (B, hidden), (2 * chunks + 4 * hidden, hidden))
    return [torch.randn(size, generator=generator, dtype=torch.float64).requires_grad_() for size in sizes]


@pytest.mark.parametrize(("chunks", "chunk_size"), [(3, 2), (5, 1), (1, 4)])
@pytest.mark.parametrize("steps", [1, BLOCK_STEPS, 2 * BLOCK_STEPS + 1])
def test_the_scan_and_its_gradients_equal_autograd_of_a_plain_loop(steps: int, chunks: int, chunk_size: int) -> None:
    inputs = scan_inputs(steps, chunks, chunk_size)
    ours, plain = scan(*inputs, chunk_size), plain_scan(*inputs, chunk_size)
    torch.testing.assert_close(ours, plain, rtol=0, atol=1e-12)
    outer = [torch.randn_like(part) for part in ours]
    gradients = torch.autograd.grad(ours, inputs, outer)
    torch.testing.assert_close(gradients, torch.autograd.grad(plain, inputs, outer), rtol=1e-10, atol=1e-10)


def test_the_scans_gradients_equal_finite_differences() -> None:
    inputs = scan_inputs(steps=3)
    assert torch.autograd.gradcheck(lambda *tensors: scan(*tensors, C), inputs)


def test_float32_gradients_are_within_1e_6_of_the_plain_loops() -> None:
    inputs = [tensor.detach().float().mul(0.3).requires_grad_() for tensor in scan_inputs(steps=20)]
    ours = torch.autograd.grad(scan(*inputs, C)[0].square().mean(), inputs)
    plain = torch.autograd.grad(plain_scan(*inputs, C)[0].square().mean(), inputs)
    torch.testing.assert_close(ours, plain, rtol=0, atol=1e-6)


def test_a_second_backward_through_the_same_graph_gives_the_same_gradients() -> None:
    inputs = scan_inputs(steps=4)
    loss = scan(*inputs, C)[0].sum()
    first = torch.autograd.grad(loss, inputs, retain_graph=True)
    assert all(torch.equal(a, b) for a, b in zip(first, torch.autograd.grad(loss, inputs), strict=True))


def test_gradients_cross_from_one_segment_to_the_one_before() -> None:
    model, words = build(**NO_DROPOUT)
    parameters = list(model.parameters())
    whole = torch.autograd.grad(run(model, words).scores_TBV[-1].sum(), parameters)
    first = run(model, words[:2])
    cut = torch.autograd.grad(model(words[2:], first.state).scores_TBV[-1].sum(), parameters)
    torch.testing.assert_close(cut, whole)


def test_scores_without_gradients_are_the_same() -> None:
    model, words = build()
    with torch.no_grad():
        without = run(model, words).scores_TBV
    assert not without.requires_grad
    assert torch.equal(without, run(model, words).scores_TBV)


def test_recurrent_weights_are_dropped_unscaled_in_training_and_scaled_in_evaluation() -> None:
    model, _ = build(hidden_size=60, recurrent_weight_dropout=0.45)
    layer = model.on_lstm[0]
    weight, dropped = layer.hh.weight, layer.recurrent_weight(torch.Generator().manual_seed(1))
    kept = dropped != 0
    assert torch.equal(dropped[kept], weight[kept])
    deviation = math.sqrt(0.45 * 0.55 / weight.numel())
    assert abs(1 - kept.float().mean().item() - 0.45) < 6 * deviation
    assert torch.equal(layer.recurrent_weight(None), weight * (1 - 0.45))


def test_a_dropped_recurrent_weight_gets_no_gradient_in_that_segment() -> None:
    model, words = build(**{**NO_DROPOUT, "recurrent_weight_dropout": 0.5})
    run(model, words, seed=3).scores_TBV.square().sum().backward()
    weight = model.on_lstm[0].hh.weight
    dropped = model.on_lstm[0].recurrent_weight(torch.Generator().manual_seed(3)) == 0
    assert not weight.grad[dropped].any()
    assert (weight.grad[:, :-C] != 0).sum() > 0.9 * (~dropped[:, :-C]).sum()


def test_the_last_chunk_of_a_layer_stays_at_zero_from_a_zero_state() -> None:
    model, words = build(**NO_DROPOUT)
    raw_TBH = run(model, words).raw_TBH
    assert raw_TBH[..., -C:].abs().max() < 1e-6
    assert raw_TBH[..., :-C].abs().min() > 1e-6


def test_every_rate_but_the_output_s_changes_the_last_layer_and_zero_rates_change_nothing() -> None:
    model, words = build(**NO_DROPOUT)
    plain = run(model, words)
    assert torch.equal(plain.scores_TBV, run(model, words, seed=1).scores_TBV)
    for rate in RATES:
        dropping, _ = build(**{**NO_DROPOUT, rate: 0.5})
        raw_differs = not torch.equal(run(dropping, words, seed=1).raw_TBH, plain.raw_TBH)
        assert raw_differs == (rate != "output_dropout"), rate


def test_output_dropout_has_one_mask_for_all_steps() -> None:
    model, words = build(**{**NO_DROPOUT, "output_dropout": 0.5})
    output = run(model, words, seed=2)
    factors = (output.dropped_TBH / output.raw_TBH)[..., :-C]
    torch.testing.assert_close(factors, factors[:1].expand_as(factors))
    assert set(factors[0].round(decimals=3).unique().tolist()) == {0.0, 2.0}
    torch.testing.assert_close(output.scores_TBV, model.decoder(output.dropped_TBH))


@pytest.mark.parametrize("is_tied", [True, False])
def test_parameters_are_those_of_the_catalogue_in_its_order(is_tied: bool) -> None:
    model, _ = build(is_tied=is_tied)
    told = shapes(model.config, V)
    assert [(shape.name, shape.shape) for shape in told] == [
        (name, tuple(weight.shape)) for name, weight in model.named_parameters()
    ]
    rows = {shape.name: shape.gate_slices for shape in told if shape.gates != ("all",)}
    assert rows["on_lstm.0.hh.weight"] == rows["on_lstm.0.ih.weight"]
    assert [(name, part.start, part.stop) for name, part in rows["on_lstm.0.ih.weight"]] == [
        ("master_input", 0, 4),
        ("master_forget", 4, 8),
        ("output", 8, 16),
        ("cell", 16, 24),
        ("input", 24, 32),
        ("forget", 32, 40),
    ]


def test_the_paper_s_model_has_its_published_size() -> None:
    model = ONLSTM(PAPER, 10_000, torch.Generator().manual_seed(1))
    assert sum(weight.numel() for weight in model.parameters()) == 25_232_180
    told = shapes(PAPER, 10_000)
    assert sum(shape.size for shape in told) == 25_232_180
    maskable = [shape.size for shape in told if shape.is_maskable]
    assert sum(maskable) == 25_199_500
    assert sum(num_active(0.45, size) for size in maskable) == 11_339_775


def test_initial_values_are_uniform_in_the_published_bounds() -> None:
    model, _ = build(is_tied=False, hidden_size=60, embedding_size=40)
    bounds = {"embedding.weight": 0.1, "decoder.weight": 0.1, "decoder.bias": 0.0}
    bounds |= {f"on_lstm.{layer}.hh.{kind}": 60**-0.5 for layer in range(2) for kind in ("weight", "bias")}
    bounds |= {f"on_lstm.1.ih.{kind}": 60**-0.5 for kind in ("weight", "bias")}
    bounds |= {f"on_lstm.0.ih.{kind}": 40**-0.5 for kind in ("weight", "bias")}
    for name, weight in model.named_parameters():
        assert 0.95 * bounds[name] <= weight.abs().max().item() <= bounds[name], name


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"hidden_size": 9}, "hidden_size"),
        ({"embedding_size": 5}, "embedding_size"),
        ({"embedding_size": 5, "is_tied": False}, None),
        ({}, None),
    ],
)
def test_widths_that_are_not_whole_chunks_are_refused_by_name(fields: dict[str, Any], named: str | None) -> None:
    found = problem(ONLSTMConfig(**{**SIZES, **fields}))
    assert (found and found[0]) == named
    if found:
        assert f"{found[0]} {fields[found[0]]}" in found[1]
        assert f"not a multiple of chunk_size {C}" in found[1]


@pytest.mark.parametrize(
    ("width", "sizes"), [(1150, (1150, 400)), (573, (570, 200)), (4, (10, 10)), (2300, (2300, 800))]
)
def test_another_width_keeps_whole_chunks_and_the_embedding_in_proportion(width: int, sizes: tuple[int, int]) -> None:
    changed = with_width(PAPER, width)
    assert (changed.hidden_size, changed.embedding_size) == sizes
    assert problem(changed) is None
    assert changed.layer_widths == (sizes[0], sizes[0], sizes[1])
