"""Sharing a number out, and what every tensor's share of the regrowth is."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from selfish_core.accounting import TensorTarget
from selfish_core.catalogue.parts import SparsityConfig
from selfish_core.catalogue.sizes.shape import ParameterShape
from selfish_core.sparsity.masks import Masks
from selfish_core.sparsity.redistribution import allot, share
from selfish_core.sparsity.updater import MaskUpdater

ITEMS = st.lists(st.tuples(st.floats(0, 1e6, allow_subnormal=False), st.integers(0, 10_000)), min_size=1, max_size=12)


@settings(deadline=None)
@given(st.integers(0, 200_000), ITEMS)
def test_all_of_it_is_shared_out_and_nobody_has_more_than_fits(total: int, items: list[tuple[float, int]]) -> None:
    shares, capacities = [item[0] for item in items], [item[1] for item in items]
    found = allot(total, shares, capacities)
    assert sum(found) == min(total, sum(capacities))
    assert all(0 <= count <= capacity for count, capacity in zip(found, capacities, strict=True))


@settings(deadline=None)
@given(st.integers(0, 200_000), ITEMS)
def test_those_who_are_not_full_have_one_proportion_to_within_rounding(
    total: int, items: list[tuple[float, int]]
) -> None:
    shares, capacities = [item[0] for item in items], [item[1] for item in items]
    found = allot(total, shares, capacities)
    unfilled = [index for index, count in enumerate(found) if count < capacities[index] - 1]
    sharing = [index for index in unfilled if shares[index] > 0]
    for one in sharing:
        for other in sharing:
            # count = unit · share up to 1 on both sides, so the cross products differ by less than the shares' sum
            difference = abs(found[one] * shares[other] - found[other] * shares[one])
            assert difference <= (shares[one] + shares[other]) * (1 + 1e-6)
    if sharing:
        without = [index for index, value in enumerate(shares) if value == 0]
        assert all(found[index] == 0 for index in without)


@settings(deadline=None)
@given(st.integers(0, 1000), st.lists(st.integers(1, 50), min_size=1, max_size=8), st.sampled_from([0.25, 4.0, 1024.0]))
def test_only_the_proportion_of_shares_matters(total: int, shares: list[int], factor: float) -> None:
    room = [1000] * len(shares)
    assert allot(total, [value * factor for value in shares], room) == allot(total, [float(v) for v in shares], room)


@settings(deadline=None)
@given(st.integers(0, 100), st.integers(1, 12))
def test_equal_shares_differ_by_one_at_most_and_the_first_have_more(total: int, number: int) -> None:
    found = allot(total, [1.0] * number, [100] * number)
    assert found == sorted(found, reverse=True)
    assert found[0] - found[-1] <= 1


@pytest.mark.parametrize(
    ("total", "shares", "capacities", "expected"),
    [
        (7, [3.0, 2.0, 2.0], [9, 9, 9], [3, 2, 2]),
        (10, [3.0, 2.0, 2.0], [9, 9, 9], [4, 3, 3]),  # 4.29, 2.86, 2.86: the two largest remainders
        (6, [100.0, 1.0, 1.0], [2, 9, 9], [2, 2, 2]),  # the first is full; the rest is shared by the others
        (6, [100.0, 0.0, 0.0], [2, 3, 9], [2, 1, 3]),  # those left have no share: room decides
        (99, [1.0, 1.0], [2, 3], [2, 3]),
        (-4, [1.0, 1.0], [2, 3], [0, 0]),
        (3, [1.0], [0], [0]),
    ],
)
def test_shares_by_hand(total: int, shares: list[float], capacities: list[int], expected: list[int]) -> None:
    assert allot(total, shares, capacities) == expected


def test_a_tensors_share_by_hand() -> None:
    weight, momentum = torch.tensor([2.0, -4.0, 9.0]), torch.tensor([-0.5, 1.5, 9.0])
    active = torch.tensor([True, True, False])
    assert share("magnitude", weight, None, active) == 3.0
    assert share("momentum", weight, momentum, active) == 1.0
    assert share("nonzeros", weight, None, active) == 2.0
    assert [share(kind, weight, momentum, ~active & active) for kind in ("magnitude", "momentum", "nonzeros")] == [
        0
    ] * 3


def test_momentum_without_one_says_so() -> None:
    with pytest.raises(ValueError, match="reads the momentum, and none was passed"):
        share("momentum", torch.ones(2), None, torch.ones(2, dtype=torch.bool))


def counts_after(redistribution: str, granularity: str = "tensor", may_return: bool = True) -> list[int]:
    """Let half go from four active weights in each of two tensors, 16 7 2 1 and 6 5 4 3, and regrow by gradient."""
    parts = {
        "level": 0.5,
        "distribution": "uniform",
        "exact_count": True,
        "removal": "magnitude",
        "removal_rate": 0.5,
        "schedule": "constant",
        "regrowth": "gradient",
        "may_return": may_return,
        "returned_value": "keep" if may_return else None,
        "update_every_epochs": 1,
        "redistribution": redistribution,
        "granularity": granularity,
    }
    mask = torch.tensor([1, 1, 1, 1, 0, 0, 0, 0], dtype=torch.bool)
    shapes = [ParameterShape(name=name, shape=(8,), layer=name) for name in "ab"]
    weights = {
        "a": torch.tensor([16.0, 7.0, 2.0, 1.0, 0.0, 0.0, 0.0, 0.0]),
        "b": torch.tensor([6.0, 5.0, 4.0, 3.0, 0.0, 0.0, 0.0, 0.0]),
    }
    masks = Masks({name: mask.clone() for name in "ab"})
    updater = MaskUpdater(
        SparsityConfig.model_validate(parts),
        masks,
        [TensorTarget(shape, 0.5) for shape in shapes],
        weights,
        window=None,
        generator=torch.Generator(),
    )
    # means .75 and 2.25 over what is active at first; 1.5 and 1.5 over what is left
    momenta = {"a": torch.tensor([3.0, 0, 0, 0, 0, 0, 0, 0]), "b": torch.tensor([0.0, 3, 3, 3, 0, 0, 0, 0])}
    updater.update(1, weights, {name: torch.arange(8.0) for name in "ab"}, momenta)
    return [int(masks.tensors[name].sum()) for name in "ab"]


def test_without_redistribution_every_tensor_has_back_what_it_lost() -> None:
    assert counts_after("none") == [4, 4]
    # globally 1 2 3 4 go, two of each; b's 3 and 4 as well as a's 1 and 2
    assert counts_after("none", "global") == [4, 4]


def test_magnitude_shares_by_the_mean_before_the_removal() -> None:
    # 6.5 : 4.5 of four is 2.4 : 1.6; after it, 11.5 : 5.5 would be 2.7 : 1.3
    assert counts_after("magnitude") == [4, 4]


def test_momentum_shares_by_the_mean_before_the_removal() -> None:
    # .75 : 2.25 of four is 1 : 3; after it, 1.5 : 1.5 would be 2 : 2
    assert counts_after("momentum") == [3, 5]


def test_nonzeros_share_by_what_is_left() -> None:
    assert counts_after("nonzeros") == [4, 4]
    # by gate there is one gate each, so the same
    assert counts_after("nonzeros", "gate") == [4, 4]


@pytest.mark.parametrize("redistribution", ["none", "magnitude", "momentum", "nonzeros"])
@pytest.mark.parametrize("granularity", ["tensor", "gate", "layer", "global"])
@pytest.mark.parametrize("may_return", [True, False])
def test_no_weight_is_lost_on_the_way(redistribution: str, granularity: str, may_return: bool) -> None:
    assert sum(counts_after(redistribution, granularity, may_return)) == 8
