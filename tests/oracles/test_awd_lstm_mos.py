"""AWD-LSTM-MoS against a float64 loop over the equations, its mixture against the plain formula, its sizes against
the published ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from selfish_core.catalogue.sizes import awd_lstm_mos
from selfish_core.catalogue.sizes.awd_lstm_mos import AWDLSTMMoSConfig
from selfish_core.models import mixture
from selfish_core.models.awd_lstm_mos import AWDLSTMMoS
from selfish_core.models.mixture import mixture_of_softmaxes

V, E, H, LAST, K, T, B = 13, 5, 7, 6, 4, 9, 3
WIDTHS = (H, H, LAST)
EMBEDDING, INPUT, HIDDEN, OUTPUT, LATENT, WEIGHT = 0.2, 0.4, 0.25, 0.5, 0.3, 0.6
CONFIG = AWDLSTMMoSConfig(
    name="awd_lstm_mos",
    hidden_size=H,
    last_hidden_size=LAST,
    embedding_size=E,
    num_experts=K,
    embedding_dropout=EMBEDDING,
    input_dropout=INPUT,
    hidden_dropout=HIDDEN,
    output_dropout=OUTPUT,
    latent_dropout=LATENT,
    recurrent_weight_dropout=WEIGHT,
)
Mask = Callable[[tuple[int, ...], float], Tensor]


def model_and_words(**changed: Any) -> tuple[AWDLSTMMoS, Tensor]:
    generator = torch.Generator().manual_seed(4)
    words = torch.randint(0, V, (T, B), generator=generator)
    return AWDLSTMMoS(CONFIG.model_copy(update=changed), V, generator), words


@pytest.mark.parametrize("is_tied", [True, False])
@pytest.mark.parametrize("seed", [None, 8])
def test_scores_and_gradients_equal_a_float64_loop_over_the_equations(seed: int | None, is_tied: bool) -> None:
    model, words = model_and_words(is_tied=is_tied)
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
    """Layers, tokens and experts one after the other; probabilities are added as they are."""
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
    latent = torch.tanh(x @ weights["latent.weight"].T + weights["latent.bias"]) * mask((B, K * E), LATENT)
    prior = (x @ weights["prior.weight"].T).softmax(-1)
    decoder = weights.get("decoder.weight", weights["embedding.weight"])
    p = torch.zeros(T, B, V, dtype=torch.float64)
    for expert in range(K):
        logits = latent[..., expert * E : (expert + 1) * E] @ decoder.T + weights["decoder.bias"]
        p = p + prior[..., expert : expert + 1] * logits.softmax(-1)
    return p.log(), raw, x


def parts_of_a_mixture(positions: int, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    generator = torch.Generator().manual_seed(3)
    shapes = ((positions, K, E), (positions, K), (V, E), (V,))
    latent, prior, weight, bias = (torch.randn(shape, generator=generator, dtype=dtype) for shape in shapes)
    return [part.requires_grad_() for part in (latent, prior.log_softmax(-1), weight, bias)]


def plain_formula(latent: Tensor, log_prior: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return (log_prior.exp().unsqueeze(-1) * functional.linear(latent, weight, bias).softmax(-1)).sum(1).log()


@pytest.mark.parametrize("positions_at_once", [1, 2, 5, 9])
def test_mixture_and_its_gradients_do_not_depend_on_the_chunks(
    positions_at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mixture, "CHUNK_ENTRIES", positions_at_once * K * V)
    parts = parts_of_a_mixture(positions=5)
    found, expected = mixture_of_softmaxes(*parts), plain_formula(*parts)
    torch.testing.assert_close(found, expected)
    slope = torch.randn(found.shape, generator=torch.Generator().manual_seed(1), dtype=found.dtype)
    for got, wanted in zip(
        torch.autograd.grad(found, parts, slope), torch.autograd.grad(expected, parts, slope), strict=True
    ):
        torch.testing.assert_close(got, wanted)


def test_gradients_of_the_mixture_equal_finite_differences(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mixture, "CHUNK_ENTRIES", 2 * K * V)
    assert torch.autograd.gradcheck(mixture_of_softmaxes, parts_of_a_mixture(positions=3))


def test_mixture_stays_finite_where_probabilities_underflow() -> None:
    latent, log_prior, weight, bias = parts_of_a_mixture(positions=3, dtype=torch.float32)
    parts = [latent.detach() * 100, log_prior.detach() * 50, weight.detach() * 2, bias.detach()]
    doubles = [part.double().requires_grad_() for part in parts]
    singles = [part.requires_grad_() for part in parts]
    targets = torch.tensor([0, 5, 9])
    assert (plain_formula(*singles) == -torch.inf).any()
    found, expected = (functional.nll_loss(mixture_of_softmaxes(*one), targets) for one in (singles, doubles))
    torch.testing.assert_close(found.double(), expected)
    wanted = torch.autograd.grad(expected, doubles)
    for got, want in zip(torch.autograd.grad(found, singles), wanted, strict=True):
        assert (got.double() - want).abs().max() <= 1e-4 * want.abs().max()


def test_scores_are_logarithms_of_probabilities_that_sum_to_one() -> None:
    model, words = model_and_words()
    scores = model(words, model.initial_state(B), torch.Generator().manual_seed(2)).scores_TBV
    torch.testing.assert_close(scores.exp().sum(-1), torch.ones(T, B))


def test_the_published_models_have_the_published_numbers_of_parameters() -> None:
    wikitext = awd_lstm_mos.shapes(AWDLSTMMoSConfig(name="awd_lstm_mos"), 33_278)
    weights = sum(shape.size for shape in wikitext if shape.is_maskable)
    assert weights == 34_848_150
    assert sum(shape.size for shape in wikitext) - weights == 61_378
    assert weights * 0.45 == pytest.approx(15.68e6, abs=5e3)
    penn = AWDLSTMMoSConfig(name="awd_lstm_mos", embedding_size=280, hidden_size=960, last_hidden_size=620)
    assert sum(shape.size for shape in awd_lstm_mos.shapes(penn, 10_000)) == 21_500_620


@pytest.mark.parametrize(("is_tied", "products"), [(True, {"embedding": K}), (False, {"embedding": 0, "decoder": K})])
def test_a_token_is_multiplied_by_the_decoder_once_for_each_expert(is_tied: bool, products: dict[str, int]) -> None:
    found = {shape.name: shape for shape in awd_lstm_mos.shapes(CONFIG.model_copy(update={"is_tied": is_tied}), V)}
    assert {layer: found[f"{layer}.weight"].num_products for layer in products} == products
    assert found["decoder.bias"].num_products == 0
    assert found["latent.weight"].num_products == found["prior.weight"].num_products == 1


def test_a_lone_layer_has_one_width() -> None:
    assert awd_lstm_mos.problem(CONFIG) is None
    assert awd_lstm_mos.problem(CONFIG.model_copy(update={"num_layers": 1})) == (
        "hidden_size",
        f"hidden_size {H} is no layer's: the only layer is last_hidden_size {LAST} wide",
    )


@pytest.mark.parametrize("is_tied", [False, True])
def test_parameters_are_those_of_the_catalogue_in_its_order(is_tied: bool) -> None:
    model, _ = model_and_words(is_tied=is_tied)
    config = CONFIG.model_copy(update={"is_tied": is_tied})
    told = [(shape.name, shape.shape) for shape in awd_lstm_mos.shapes(config, V)]
    assert told == [(name, tuple(weight.shape)) for name, weight in model.named_parameters()]
