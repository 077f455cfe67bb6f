"""The recurrent highway network against a float64 loop over the equations, and its sizes against published ones."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from selfish_core.catalogue.distributions import num_active
from selfish_core.catalogue.sizes.rhn import RHNConfig, shapes
from selfish_core.models.rhn import RHN
from selfish_core.models.rhn_scan import highway_scan

V, H, T, B = 13, 6, 7, 3
NO_DROPOUT = {"embedding_dropout": 0.0, "input_dropout": 0.0, "hidden_dropout": 0.0, "output_dropout": 0.0}
CASES = [
    {"depth": 1, "embedding_size": H},
    {"depth": 4, "embedding_size": H, "is_coupled": False},
    {"depth": 3, "embedding_size": 4, "is_tied": False},
    {"depth": 2, "embedding_size": 5, "is_tied": False, "is_coupled": False, "transform_bias": -2.0},
    {"depth": 3, "embedding_size": H, **NO_DROPOUT},
]


@pytest.mark.parametrize("sizes", CASES)
@pytest.mark.parametrize("is_training", [True, False])
def test_scores_states_and_gradients_equal_a_float64_loop_over_the_equations(
    sizes: dict[str, Any], is_training: bool
) -> None:
    config = RHNConfig(name="rhn", hidden_size=H, **sizes)
    model = RHN(config, V, torch.Generator().manual_seed(4)).double()
    words = torch.randint(0, V, (T, B), generator=torch.Generator().manual_seed(5))
    before = torch.randn(B, H, generator=torch.Generator().manual_seed(6), dtype=torch.float64, requires_grad=True)
    ours = model(words, (before,), torch.Generator().manual_seed(7) if is_training else None)
    weights = dict(model.named_parameters())
    scores, last = loop(config, weights, words, before, masks(config) if is_training else None)
    torch.testing.assert_close(ours.scores_TBV, scores, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(ours.state[0], last, rtol=1e-10, atol=1e-10)
    wanted = [*weights.values(), before]
    found = torch.autograd.grad(ours.scores_TBV.square().sum() + ours.state[0].sum(), wanted)
    expected = torch.autograd.grad(scores.square().sum() + last.sum(), wanted)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("num_gates", [2, 3])
@pytest.mark.parametrize("has_mask", [True, False])
def test_gradients_of_the_recurrence_equal_finite_differences(num_gates: int, has_mask: bool) -> None:
    generator = torch.Generator().manual_seed(8)

    def draw(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True)

    rows, mask = num_gates * 3, torch.tensor([[0.0, 2.0, 2.0], [2.0, 0.0, 2.0]], dtype=torch.float64)

    def scan(words: Tensor, state: Tensor, bias: Tensor, *weights: Tensor) -> Tensor:
        return highway_scan(words, state, mask if has_mask else None, bias, weights)

    assert torch.autograd.gradcheck(scan, (draw(3, 2, rows), draw(2, 3), draw(2, rows), draw(rows, 3), draw(rows, 3)))


def test_single_precision_stays_within_1e_6_of_double() -> None:
    config = RHNConfig(name="rhn", depth=5, hidden_size=H, embedding_size=H)
    single = RHN(config, V, torch.Generator().manual_seed(4))
    double = RHN(config, V, torch.Generator().manual_seed(4)).double()
    words = torch.randint(0, V, (T, B), generator=torch.Generator().manual_seed(5))
    for model in (single, double):
        model(words, model.initial_state(B)).raw_TBH.square().mean().backward()
    for one, other in zip(single.parameters(), double.parameters(), strict=True):
        if one.grad is not None and other.grad is not None:
            torch.testing.assert_close(one.grad.double(), other.grad, rtol=1e-4, atol=1e-6)


def test_the_published_size_is_exact_in_the_catalogue_and_in_the_module() -> None:
    config = RHNConfig(name="rhn")
    told = shapes(config, 10_000)
    built = {name: tuple(weight.shape) for name, weight in RHN(config, 10_000, torch.Generator()).named_parameters()}
    assert [(shape.name, shape.shape) for shape in told] == list(built.items())
    assert sum(shape.size for shape in told) == 23_484_060
    assert sum(shape.size for shape in told if not shape.is_maskable) == 28_260 == 11 * 1_660 + 10_000


def test_at_density_0_472_the_published_11_07_million_weights_are_active() -> None:
    maskable = [shape for shape in shapes(RHNConfig(name="rhn"), 10_000) if shape.is_maskable]
    assert sum(num_active(0.472, shape.size) for shape in maskable) == 11 * 650_322 + 3_917_600 == 11_071_142


def test_a_forward_pass_of_20_by_35_words_costs_3_28e10_flops() -> None:
    flops = 20 * 35 * sum(2 * shape.size * shape.num_products for shape in shapes(RHNConfig(name="rhn"), 10_000))
    assert flops == pytest.approx(3.28e10, rel=2e-3)


def masks(config: RHNConfig) -> list[Tensor]:
    """Replay the model's draws: words of the vocabulary, input, hidden, output; all of them shared over time."""
    generator = torch.Generator().manual_seed(7)

    def draw(rate: float, *shape: int) -> Tensor:
        if rate == 0.0:
            return torch.ones(shape, dtype=torch.float64)
        return torch.empty(shape, dtype=torch.float64).bernoulli_(1 - rate, generator=generator) / (1 - rate)

    return [
        draw(config.embedding_dropout, V),
        draw(config.input_dropout, B, config.embedding_size),
        draw(config.hidden_dropout, B, H),
        draw(config.output_dropout, B, H),
    ]


def loop(
    config: RHNConfig, weights: dict[str, Tensor], words: Tensor, s: Tensor, masks: list[Tensor] | None
) -> tuple[Tensor, Tensor]:
    """One word after the other, one depth after the other, one gate after the other."""
    word_mask, input_mask, hidden_mask, output_mask = masks or [torch.ones(V), *([torch.tensor(1.0)] * 3)]
    decoder = weights["embedding.weight" if config.is_tied else "decoder.weight"]
    rows = []
    for row in words:
        x = weights["embedding.weight"][row] * word_mask[row][:, None] * input_mask
        for depth in range(config.depth):

            def gate(index: int, x: Tensor = x, s: Tensor = s, depth: int = depth) -> Tensor:
                part = slice(index * H, (index + 1) * H)
                recurrent = f"recurrent.{depth}"
                found = (s * hidden_mask) @ weights[f"{recurrent}.weight"][part].T + weights[f"{recurrent}.bias"][part]
                if depth == 0:
                    found = found + x @ weights["input.weight"][part].T + weights["input.bias"][part]
                return found

            h, t = torch.tanh(gate(0)), torch.sigmoid(gate(1))
            c = 1 - t if config.is_coupled else torch.sigmoid(gate(2))
            s = h * t + s * c
        rows.append((s * output_mask) @ decoder.T + weights["decoder.bias"])
    return torch.stack(rows), s
