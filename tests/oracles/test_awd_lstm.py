"""AWD-LSTM against torch's own LSTM layers, a float64 loop over the equations, and the published size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from selfish_core.catalogue.sizes import awd_lstm
from selfish_core.catalogue.sizes.awd_lstm import AWDLSTMConfig
from selfish_core.models.awd_lstm import AWDLSTM

V, E, H, T, B = 13, 5, 7, 11, 3
WIDTHS = (H, H, E)
EMBEDDING, INPUT, HIDDEN, OUTPUT, WEIGHT = 0.2, 0.4, 0.25, 0.5, 0.6
CONFIG = AWDLSTMConfig(
    name="awd_lstm",
    hidden_size=H,
    embedding_size=E,
    embedding_dropout=EMBEDDING,
    input_dropout=INPUT,
    hidden_dropout=HIDDEN,
    output_dropout=OUTPUT,
    recurrent_weight_dropout=WEIGHT,
)
Mask = Callable[[tuple[int, ...], float], Tensor]


def model_and_words(**changed: Any) -> tuple[AWDLSTM, Tensor]:
    generator = torch.Generator().manual_seed(4)
    words = torch.randint(0, V, (T, B), generator=generator)
    return AWDLSTM(CONFIG.model_copy(update=changed), V, generator), words


def test_logits_and_gradients_equal_those_of_torchs_lstm_layers() -> None:
    model, words = model_and_words(is_tied=False)
    reference = nn.LSTM(E, H, num_layers=3)
    with torch.no_grad():
        for layer in range(3):
            for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                getattr(reference, f"{kind}_l{layer}").copy_(getattr(model.lstm[layer], f"{kind}_l0"))
    logits = model(words, model.initial_state(B)).scores_TBV
    expected = model.decoder(reference(model.embedding(words))[0])
    torch.testing.assert_close(logits, expected)
    logits.square().sum().backward()
    ours = [weight.grad.clone() for weight in model.lstm.parameters()]
    expected.square().sum().backward()
    for gradient, weight in zip(ours, reference.parameters(), strict=True):
        torch.testing.assert_close(gradient, weight.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("seed", [None, 8])
def test_logits_and_gradients_equal_a_float64_loop_over_the_equations(seed: int | None) -> None:
    model, words = model_and_words()
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    output = model(words, model.initial_state(B), generator)
    loss(output.scores_TBV, output.raw_TBH, output.dropped_TBH).backward()
    doubles = {name: weight.detach().double().requires_grad_() for name, weight in model.named_parameters()}
    expected = loop(doubles, words, drawing(seed))
    for got, wanted in zip((output.scores_TBV, output.raw_TBH, output.dropped_TBH), expected, strict=True):
        torch.testing.assert_close(got.double(), wanted, rtol=1e-5, atol=1e-6)
    loss(*expected).backward()
    for name, weight in model.named_parameters():
        torch.testing.assert_close(weight.grad.double(), doubles[name].grad, rtol=1e-3, atol=1e-5)


def loss(scores: Tensor, raw: Tensor, dropped: Tensor) -> Tensor:
    """A loss with activation regularisation, temporal and not, so that their paths are tested too."""
    return scores.square().sum() + 2 * dropped.square().mean() + (raw[1:] - raw[:-1]).square().mean()


def drawing(seed: int | None) -> Mask:
    """Draw what dropout multiplies by, from a generator in the state that the model's was in."""
    generator = None if seed is None else torch.Generator().manual_seed(seed)

    def mask(shape: tuple[int, ...], rate: float) -> Tensor:
        kept = torch.ones(shape)
        if generator is not None:
            kept.bernoulli_(1 - rate, generator=generator).div_(1 - rate)
        return kept.double()

    return mask


def loop(weights: dict[str, Tensor], words: Tensor, mask: Mask) -> tuple[Tensor, Tensor, Tensor]:
    """One layer after the other, one token after the other; gates input, forget, cell, output."""
    x = weights["embedding.weight"][words] * mask((V,), EMBEDDING)[words].unsqueeze(-1)
    x = x * mask((B, E), INPUT)
    for layer, width in enumerate(WIDTHS):
        w_ih, b_ih, b_hh = (weights[f"lstm.{layer}.{kind}_l0"] for kind in ("weight_ih", "bias_ih", "bias_hh"))
        w_hh = weights[f"lstm.{layer}.weight_hh_l0"] * mask((4 * width, width), WEIGHT)
        h = c = torch.zeros(B, width, dtype=torch.float64)
        rows = []
        for row in x:
            i, f, g, o = (row @ w_ih.T + b_ih + h @ w_hh.T + b_hh).split(width, dim=1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
            rows.append(h)
        raw = torch.stack(rows)
        x = raw * mask((B, width), OUTPUT if layer == 2 else HIDDEN)
    return x @ weights["embedding.weight"].T + weights["decoder.bias"], raw, x


def test_dropped_weights_have_no_gradient_in_that_segment_and_the_others_are_scaled() -> None:
    model, words = model_and_words(embedding_dropout=0.0, input_dropout=0.0, hidden_dropout=0.0, output_dropout=0.0)
    model(words, model.initial_state(B), torch.Generator().manual_seed(8)).scores_TBV.square().sum().backward()
    mask = drawing(8)
    for lstm, width in zip(model.lstm, WIDTHS, strict=True):
        kept = mask((4 * width, width), WEIGHT)
        assert torch.equal(lstm.weight_hh_l0.grad != 0, kept != 0)
        assert kept.unique().tolist() == pytest.approx([0.0, 1 / (1 - WEIGHT)])


def test_weights_are_read_at_every_call_and_never_replaced() -> None:
    model, words = model_and_words()
    parameters = dict(model.named_parameters())
    places = {name: weight.data_ptr() for name, weight in parameters.items()}
    generator = torch.Generator().manual_seed(8)
    model(words, model.initial_state(B), generator).scores_TBV.sum().backward()
    with torch.no_grad():
        parameters["lstm.1.weight_hh_l0"].zero_()
    changed = model(words, model.initial_state(B), torch.Generator().manual_seed(8)).scores_TBV
    doubles = {name: weight.detach().double() for name, weight in parameters.items()}
    torch.testing.assert_close(changed.double(), loop(doubles, words, drawing(8))[0], rtol=1e-5, atol=1e-6)
    after = dict(model.named_parameters())
    assert all(after[name] is weight and weight.data_ptr() == places[name] for name, weight in parameters.items())


def test_the_published_model_has_24_221_600_parameters() -> None:
    found = awd_lstm.shapes(AWDLSTMConfig(name="awd_lstm"), 10_000)
    assert sum(shape.size for shape in found) == 24_221_600


def test_a_lone_tied_layer_is_as_wide_as_the_embedding() -> None:
    assert awd_lstm.problem(CONFIG) is None
    assert awd_lstm.problem(CONFIG.model_copy(update={"num_layers": 1, "is_tied": False})) is None
    assert awd_lstm.problem(CONFIG.model_copy(update={"num_layers": 1})) == (
        "hidden_size",
        f"hidden_size {H} is no layer's: the only layer of a tied model is as wide as the embedding, {E}",
    )


@pytest.mark.parametrize("is_tied", [False, True])
def test_parameters_are_those_of_the_catalogue_in_its_order(is_tied: bool) -> None:
    model, _ = model_and_words(is_tied=is_tied)
    told = [(shape.name, shape.shape) for shape in awd_lstm.shapes(CONFIG.model_copy(update={"is_tied": is_tied}), V)]
    assert told == [(name, tuple(weight.shape)) for name, weight in model.named_parameters()]
