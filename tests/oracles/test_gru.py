"""The stacked GRU against two independent ones: torch's own two-layer GRU, and a float64 loop over the equations."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from selfish_core.catalogue.sizes import gru
from selfish_core.catalogue.sizes.gru import GRUConfig
from selfish_core.models.gru import GRU

V, E, H, T, B = 13, 5, 7, 11, 3
CONFIG = GRUConfig(name="gru", num_layers=2, hidden_size=H, embedding_size=E, dropout=0.5)


def model_and_words() -> tuple[GRU, Tensor]:
    generator = torch.Generator().manual_seed(4)
    return GRU(CONFIG, V, generator), torch.randint(0, V, (T, B), generator=generator)


def test_logits_and_gradients_equal_those_of_torchs_two_layer_gru() -> None:
    model, words = model_and_words()
    reference = nn.GRU(E, H, num_layers=2)
    with torch.no_grad():
        for layer in range(2):
            for kind in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
                getattr(reference, f"{kind}_l{layer}").copy_(getattr(model.gru[layer], f"{kind}_l0"))
    logits = model(words, model.initial_state(B)).scores_TBV
    expected = model.decoder(reference(model.embedding(words))[0])
    torch.testing.assert_close(logits, expected)
    logits.square().sum().backward()
    ours = [weight.grad.clone() for weight in model.gru.parameters()]
    expected.square().sum().backward()
    for gradient, weight in zip(ours, reference.parameters(), strict=True):
        torch.testing.assert_close(gradient, weight.grad, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("seed", [None, 8])
def test_logits_and_gradients_equal_a_float64_loop_over_the_equations(seed: int | None) -> None:
    model, words = model_and_words()
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    output = model(words, model.initial_state(B), generator)
    output.scores_TBV.square().sum().backward()
    doubles = {name: weight.detach().double().requires_grad_() for name, weight in model.named_parameters()}
    expected, states = loop(doubles, words, masks(seed))
    torch.testing.assert_close(output.scores_TBV.double(), expected, rtol=1e-5, atol=1e-6)
    for state, last in zip(output.state, states, strict=True):
        torch.testing.assert_close(state[0].double(), last, rtol=1e-5, atol=1e-6)
    expected.square().sum().backward()
    for name, weight in model.named_parameters():
        torch.testing.assert_close(weight.grad.double(), doubles[name].grad, rtol=1e-3, atol=1e-5)


def masks(seed: int | None) -> Iterator[Tensor]:
    """What dropout multiplies the embedding and each layer's output by, in the order in which it is drawn."""
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    for width in (E, H, H):
        kept = torch.ones(T, B, width)
        yield (kept if generator is None else kept.bernoulli_(0.5, generator=generator) * 2).double()


def loop(weights: dict[str, Tensor], words: Tensor, masks: Iterator[Tensor]) -> tuple[Tensor, list[Tensor]]:
    """One layer after the other, one token after the other; gates reset, update, new."""
    x = weights["embedding.weight"][words] * next(masks)
    states = []
    for layer in range(2):
        w_ih, w_hh = weights[f"gru.{layer}.weight_ih_l0"].split(H), weights[f"gru.{layer}.weight_hh_l0"].split(H)
        b_ih, b_hh = weights[f"gru.{layer}.bias_ih_l0"].split(H), weights[f"gru.{layer}.bias_hh_l0"].split(H)
        h = torch.zeros(B, H, dtype=torch.float64)
        rows = []
        for row in x:
            read = [row @ w.T + b for w, b in zip(w_ih, b_ih, strict=True)]
            carried = [h @ w.T + b for w, b in zip(w_hh, b_hh, strict=True)]
            reset, update = torch.sigmoid(read[0] + carried[0]), torch.sigmoid(read[1] + carried[1])
            new = torch.tanh(read[2] + reset * carried[2])
            h = (1 - update) * new + update * h
            rows.append(h)
        states.append(h)
        x = torch.stack(rows) * next(masks)
    return x @ weights["decoder.weight"].T + weights["decoder.bias"], states


def test_gates_are_described_in_the_order_in_which_torch_stacks_them() -> None:
    weight = next(shape for shape in gru.shapes(CONFIG, V) if shape.name == "gru.1.weight_hh_l0")
    assert weight.gate_slices == (("reset", slice(0, H)), ("update", slice(H, 2 * H)), ("new", slice(2 * H, 3 * H)))
    assert (weight.row_units, weight.column_units) == ("gru1", "gru1")


def test_a_tied_gru_needs_equal_widths() -> None:
    assert gru.problem(CONFIG) is None
    field, reason = gru.problem(CONFIG.model_copy(update={"is_tied": True})) or ("", "")
    assert field == "is_tied"
    assert reason == f"is_tied needs embedding_size {E} equal to hidden_size {H}"


@pytest.mark.parametrize("is_tied", [False, True])
def test_parameters_are_those_of_the_catalogue_in_its_order(is_tied: bool) -> None:
    config = GRUConfig(name="gru", num_layers=3, hidden_size=6, embedding_size=6, is_tied=is_tied)
    model = GRU(config, V, torch.Generator().manual_seed(1))
    told = [(shape.name, shape.shape) for shape in gru.shapes(config, V)]
    assert told == [(name, tuple(weight.shape)) for name, weight in model.named_parameters()]
