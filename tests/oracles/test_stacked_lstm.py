"""The stacked LSTM against two independent ones: torch's own two-layer LSTM, and a float64 loop over the equations."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from selfish_core.catalogue.sizes.stacked_lstm import StackedLSTMConfig
from selfish_core.models.stacked_lstm import StackedLSTM

V, E, H, T, B = 13, 5, 7, 11, 3
CONFIG = StackedLSTMConfig(name="stacked_lstm", num_layers=2, hidden_size=H, embedding_size=E, dropout=0.5)


def model_and_words() -> tuple[StackedLSTM, Tensor]:
    generator = torch.Generator().manual_seed(4)
    return StackedLSTM(CONFIG, V, generator), torch.randint(0, V, (T, B), generator=generator)


def test_logits_and_gradients_equal_those_of_torchs_two_layer_lstm() -> None:
    model, words = model_and_words()
    reference = nn.LSTM(E, H, num_layers=2)
    with torch.no_grad():
        for layer in range(2):
            for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                getattr(reference, f"{kind}_l{layer}").copy_(getattr(model.lstm[layer], f"{kind}_l0"))
    logits = model(words, model.initial_state(B)).scores_TBV
    expected = model.decoder(reference(model.embedding(words))[0])
    torch.testing.assert_close(logits, expected)
    loss = logits.square().sum()
    loss.backward()
    ours = [weight.grad.clone() for weight in model.lstm.parameters()]
    expected.square().sum().backward()
    for gradient, weight in zip(ours, reference.parameters(), strict=True):
        torch.testing.assert_close(gradient, weight.grad, rtol=1e-4, atol=1e-6)


def test_logits_and_gradients_equal_a_float64_loop_over_the_equations() -> None:
    model, words = model_and_words()
    logits = model(words, model.initial_state(B)).scores_TBV
    logits.square().sum().backward()
    doubles = {name: weight.detach().double().requires_grad_() for name, weight in model.named_parameters()}
    expected = loop(doubles, words)
    torch.testing.assert_close(logits.double(), expected, rtol=1e-5, atol=1e-6)
    expected.square().sum().backward()
    for name, weight in model.named_parameters():
        torch.testing.assert_close(weight.grad.double(), doubles[name].grad, rtol=1e-3, atol=1e-5)


def loop(weights: dict[str, Tensor], words: Tensor) -> Tensor:
    """One token after the other, one layer after the other; gates input, forget, cell, output."""
    hidden = [torch.zeros(B, H, dtype=torch.float64) for _ in range(2)]
    cell = [torch.zeros(B, H, dtype=torch.float64) for _ in range(2)]
    rows = []
    for row in words:
        x = weights["embedding.weight"][row]
        for layer in range(2):
            stacked = (
                x @ weights[f"lstm.{layer}.weight_ih_l0"].T
                + hidden[layer] @ weights[f"lstm.{layer}.weight_hh_l0"].T
                + weights[f"lstm.{layer}.bias_ih_l0"]
                + weights[f"lstm.{layer}.bias_hh_l0"]
            )
            i, f, g, o = stacked.split(H, dim=1)
            cell[layer] = torch.sigmoid(f) * cell[layer] + torch.sigmoid(i) * torch.tanh(g)
            hidden[layer] = torch.sigmoid(o) * torch.tanh(cell[layer])
            x = hidden[layer]
        rows.append(x @ weights["decoder.weight"].T + weights["decoder.bias"])
    return torch.stack(rows)
