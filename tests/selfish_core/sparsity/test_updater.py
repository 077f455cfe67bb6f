"""Mask updates worked by hand on eight weights, method by method."""

from __future__ import annotations

import torch
from torch import Tensor

from selfish_core.accounting import TensorTarget
from selfish_core.catalogue.parts import SparsityConfig
from selfish_core.catalogue.sizes.shape import ParameterShape
from selfish_core.sparsity.masks import Masks
from selfish_core.sparsity.updater import MaskUpdate, MaskUpdater

PARTS = {
    "level": 0.5,
    "distribution": "uniform",
    "removal": "magnitude",
    "removal_rate": 0.5,
    "schedule": "constant",
    "regrowth": "gradient",
    "exact_count": True,
    "update_every_epochs": 1,
}


def one_tensor(parts: dict[str, object], masks: Masks, weight: Tensor, generator: torch.Generator) -> MaskUpdater:
    mask = masks.tensors["w"]
    shape = ParameterShape(name="w", shape=tuple(mask.shape), layer="layer")
    target = TensorTarget(shape, float(mask.float().mean()))
    config = SparsityConfig.model_validate(parts)
    return MaskUpdater(config, masks, [target], {"w": weight}, window=None, generator=generator)


def updated(
    weight: list[float], mask: list[int], gradient: list[float], **parts: object
) -> tuple[Tensor, Tensor, MaskUpdate]:
    tensor = torch.tensor(weight, dtype=torch.float32)
    masks = Masks({"w": torch.tensor(mask, dtype=torch.bool)})
    updater = one_tensor({**PARTS, **parts}, masks, tensor, torch.Generator().manual_seed(0))
    update = updater.update(1, {"w": tensor}, {"w": torch.tensor(gradient, dtype=torch.float32)}, {"w": None})
    return tensor, masks.tensors["w"].int(), update


def test_rigl_removes_the_smallest_and_regrows_by_gradient() -> None:
    # active: 4, -1, 2, -3 at 0..3; half of four are removed: -1 and 2.
    # Free with return: 1, 2, 4..7; largest gradients: 5, 2.
    weight, mask, update = updated(
        [4, -1, 2, -3, 0, 0, 0, 0],
        [1, 1, 1, 1, 0, 0, 0, 0],
        [9, 0.1, 0.7, 9, 0.2, -0.8, 0.3, 0.4],
        may_return=True,
        returned_value="keep",
    )
    assert mask.tolist() == [1, 0, 1, 1, 0, 1, 0, 0]
    assert weight.tolist() == [4, 0, 2, -3, 0, 0, 0, 0]
    assert update.changes["w"].left.tolist() == [False, True, False, False, False, False, False, False]
    assert update.changes["w"].started.tolist() == [False, False, False, False, False, True, False, False]
    assert (update.num_exchanged, update.num_active) == (1, 4)


def test_a_weight_that_returns_at_zero_starts_anew() -> None:
    weight, mask, update = updated(
        [4, -1, 2, -3, 0, 0, 0, 0],
        [1, 1, 1, 1, 0, 0, 0, 0],
        [9, 0.1, 0.7, 9, 0.2, -0.8, 0.3, 0.4],
        may_return=True,
        returned_value="zero",
    )
    assert mask.tolist() == [1, 0, 1, 1, 0, 1, 0, 0]
    assert weight.tolist() == [4, 0, 0, -3, 0, 0, 0, 0]
    assert update.changes["w"].started.tolist() == [False, False, True, False, False, True, False, False]


def test_without_return_a_removed_weight_waits() -> None:
    weight, mask, _ = updated(
        [4, -1, 2, -3, 0, 0, 0, 0],
        [1, 1, 1, 1, 0, 0, 0, 0],
        [9, 0.1, 0.7, 9, 0.2, -0.8, 0.3, 0.4],
        may_return=False,
    )
    assert mask.tolist() == [1, 0, 0, 1, 0, 1, 0, 1]
    assert weight.tolist() == [4, 0, 0, -3, 0, 0, 0, 0]


def test_without_return_no_more_is_removed_than_can_be_regrown() -> None:
    # six active, 0.5 of them are three, but only two positions are free
    _, mask, _ = updated([6, 5, 4, 3, 2, 1, 0, 0], [1, 1, 1, 1, 1, 1, 0, 0], [0] * 6 + [1, 2], may_return=False)
    assert mask.tolist() == [1, 1, 1, 1, 0, 0, 1, 1]


def test_counts_are_rounded_up_and_ties_go_by_position() -> None:
    # three active, half is 1.5, two are removed; all magnitudes are equal, so the first two; gradients tie too
    _, mask, _ = updated([1, -1, 1, 0, 0, 0, 0, 0], [1, 1, 1, 0, 0, 0, 0, 0], [1] * 8, may_return=False)
    assert mask.tolist() == [0, 0, 1, 1, 1, 0, 0, 0]


def test_set_keeps_the_count_and_never_returns_at_once() -> None:
    before = torch.tensor([1, 1, 1, 1, 0, 0, 0, 0], dtype=torch.bool)
    weight, mask, update = updated(
        [4, -1, 2, -3, 0, 0, 0, 0], before.int().tolist(), [0] * 8, regrowth="random", may_return=False
    )
    assert mask[:4].tolist() == [1, 0, 0, 1]
    assert int(mask.sum()) == 4
    assert weight[mask.bool() & ~before].tolist() == [0.0, 0.0]
    assert update.num_exchanged == 2


def test_selfish_regrows_by_coins_with_the_first_count_as_its_mean() -> None:
    size, runs = 1000, 40
    counts = []
    for seed in range(runs):
        generator = torch.Generator().manual_seed(seed)
        masks = Masks({"w": torch.rand(size, generator=generator) < 0.33})
        weight = torch.randn(size, generator=generator) * masks.tensors["w"]
        first = int(masks.tensors["w"].sum())
        parts = {
            **PARTS,
            "removal_rate": 0.8,
            "regrowth": "random",
            "exact_count": False,
            "may_return": True,
            "returned_value": "keep",
        }
        updater = one_tensor(parts, masks, weight, generator)
        updater.update(1, {"w": weight}, {}, {})
        counts.append(int(masks.tensors["w"].sum()) - first)
    # Bernoulli: variance n p (1 - p) with p = .264 / .934, n = 934
    probability = 0.264 / 0.934
    sigma = (934 * probability * (1 - probability)) ** 0.5
    assert abs(sum(counts) / runs) < 6 * sigma / runs**0.5
    assert len(set(counts)) > 5
    assert max(abs(count) for count in counts) < 6 * sigma


def test_selfish_really_exchanges_less_than_it_removes() -> None:
    """At sparsity .67 and rate .8 a removed weight returns with p = .283, so .574 of the active ones are exchanged."""
    generator = torch.Generator().manual_seed(1)
    size = 200_000
    masks = Masks({"w": torch.rand(size, generator=generator) < 0.33})
    weight = torch.randn(size, generator=generator) * masks.tensors["w"]
    parts = {
        **PARTS,
        "removal_rate": 0.8,
        "regrowth": "random",
        "exact_count": False,
        "may_return": True,
        "returned_value": "keep",
    }
    update = one_tensor(parts, masks, weight, generator).update(1, {"w": weight}, {}, {})
    assert abs(update.num_exchanged / update.num_active - 0.574) < 0.01
