"""Scores against their formulas."""

from __future__ import annotations

import pytest
import torch

from selfish_core.catalogue.rows import ScoreRow
from selfish_core.catalogue.scores import REGROWTH_SCORES, REMOVAL_SCORES
from selfish_core.sparsity import scores
from selfish_core.sparsity.scores import ScoreInputs, score_of

ROWS = [*REMOVAL_SCORES.values(), *REGROWTH_SCORES.values()]


def inputs(weight: list[float], **more: list[float]) -> ScoreInputs:
    tensors = {name: torch.tensor(values) for name, values in more.items()}
    return ScoreInputs(torch.tensor(weight), torch.Generator().manual_seed(0), **tensors)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_row_names_a_function(row: ScoreRow) -> None:
    assert callable(score_of(row))


def test_magnitude_is_the_absolute_weight() -> None:
    assert scores.magnitude(inputs([1.0, -2.0, 0.0])).tolist() == [1, 2, 0]


def test_snip_is_the_absolute_product_of_weight_and_gradient() -> None:
    assert scores.snip(inputs([2.0, -2.0, 0.0], gradient=[-3.0, 0.5, 9.0])).tolist() == [6, 1, 0]


def test_gradient_and_momentum_are_absolute_values() -> None:
    assert scores.gradient(inputs([0.0, 0.0], gradient=[-3.0, 0.5])).tolist() == [3, 0.5]
    assert scores.momentum(inputs([0.0, 0.0], momentum=[-3.0, 0.5])).tolist() == [3, 0.5]


@pytest.mark.parametrize(("score", "what"), [("snip", "gradient"), ("gradient", "gradient"), ("momentum", "momentum")])
def test_a_score_without_what_it_reads_says_so(score: str, what: str) -> None:
    with pytest.raises(ValueError, match=f"reads the {what}, and none was passed"):
        getattr(scores, score)(inputs([1.0]))


def test_random_scores_are_the_next_draws_of_the_generator() -> None:
    given = inputs([1.0, 2.0, 3.0])
    generator = torch.Generator().manual_seed(0)
    assert torch.equal(scores.random(given), torch.rand(3, generator=generator))
    assert torch.equal(scores.random(given), torch.rand(3, generator=generator))


def test_signed_magnitude_ranks_each_sign_by_itself() -> None:
    # positive by magnitude: .5 1 4, so 2/3, 1/3 and 1; negative: .1 7, so 1/2 and 1
    found = scores.signed_magnitude(inputs([1.0, 0.5, 4.0, -0.1, -7.0]))
    assert found.tolist() == pytest.approx([2 / 3, 1 / 3, 1, 1 / 2, 1])


def test_signed_magnitude_leaves_inactive_weights_out_and_counts_an_active_zero_as_positive() -> None:
    given = inputs([0.0, 0.0, 3.0, -1.0], active=[1.0, 0.0, 1.0, 1.0])
    given = ScoreInputs(given.weight, given.generator, active=torch.tensor([True, False, True, True]))
    assert scores.signed_magnitude(given).tolist() == [0.5, 0, 1, 1]


def test_signed_magnitude_ranks_equal_weights_by_position() -> None:
    assert scores.signed_magnitude(inputs([2.0, 2.0, -1.0, -1.0])).tolist() == [0.5, 1, 0.5, 1]


@pytest.mark.parametrize("weight", [[1.0, 2.0], [-1.0, -2.0], [0.0, 0.0]])
def test_signed_magnitude_of_one_sign_alone_is_finite(weight: list[float]) -> None:
    assert scores.signed_magnitude(inputs(weight)).tolist() == [0.5, 1]


def test_removing_by_signed_magnitude_takes_the_same_share_of_both_signs() -> None:
    generator = torch.Generator().manual_seed(3)
    weight = torch.randn(400, generator=generator) + 1.0  # far more positive ones
    lowest = scores.signed_magnitude(ScoreInputs(weight, generator)).argsort()[:100]
    for sign in (weight >= 0, weight < 0):
        share = float(sign[lowest].sum()) / float(sign.sum())
        assert share == pytest.approx(0.25, abs=1 / float(sign.sum()))
