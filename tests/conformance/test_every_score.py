"""Every removal and regrowth score: known on both sides, pure, and safe on odd tensors."""

from __future__ import annotations

import pytest
import torch

from selfish_core.catalogue.scores import REGROWTH_SCORES, REMOVAL_SCORES
from selfish_core.sparsity.choose import choose_lowest
from selfish_core.sparsity.scores import ScoreInputs, score_of

ROWS = [*REMOVAL_SCORES.items(), *REGROWTH_SCORES.items()]
SCORES = [(name, score_of(row)) for name, row in ROWS]
ODD_TENSORS = {
    "all equal": torch.full((3, 4), 0.5),
    "all zero": torch.zeros(3, 4),
    "one element": torch.tensor([[2.0]]),
    "one row": torch.randn(1, 7, generator=torch.Generator().manual_seed(1)),
}


def inputs(weight: torch.Tensor, seed: int = 0) -> ScoreInputs:
    return ScoreInputs(weight, torch.Generator().manual_seed(seed), gradient=weight * 2, momentum=weight * 3)


def test_every_row_has_a_source_and_a_description() -> None:
    for row in (*REMOVAL_SCORES.values(), *REGROWTH_SCORES.values()):
        assert row.source
        assert row.description


@pytest.mark.parametrize(("name", "score"), SCORES)
@pytest.mark.parametrize("case", ODD_TENSORS)
def test_scores_keep_shape_are_finite_and_change_nothing(name: str, score, case: str) -> None:
    weight = ODD_TENSORS[case].clone()
    found = score(inputs(weight))
    assert found.shape == weight.shape
    assert found.dtype == weight.dtype
    assert found.isfinite().all()
    assert torch.equal(weight, ODD_TENSORS[case])


@pytest.mark.parametrize(("name", "score"), SCORES)
def test_same_generator_same_score(name: str, score) -> None:
    weight = ODD_TENSORS["one row"]
    assert torch.equal(score(inputs(weight, 5)), score(inputs(weight, 5)))


@pytest.mark.parametrize(("name", "row"), ROWS)
def test_a_score_says_what_it_needs(name: str, row) -> None:
    bare = ScoreInputs(torch.ones(2), torch.Generator())
    if row.needs:
        with pytest.raises(ValueError, match=next(iter(row.needs))):
            score_of(row)(bare)
    else:
        score_of(row)(bare)


@pytest.mark.parametrize("count", [0, 1, 5, 12])
def test_choosing_gives_exactly_the_count_and_ties_by_position(count: int) -> None:
    chosen = choose_lowest(torch.full((3, 4), 0.5), torch.ones(3, 4, dtype=torch.bool), count)
    assert chosen.flatten().tolist() == [True] * count + [False] * (12 - count)
