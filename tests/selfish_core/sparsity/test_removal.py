"""Every removal at every granularity against a sort of plain numbers; thresholds and signs by themselves."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from itertools import groupby

import pytest
import torch

from selfish_core.accounting import TensorTarget
from selfish_core.catalogue.parts import SparsityConfig
from selfish_core.catalogue.scores import REMOVAL_SCORES
from selfish_core.catalogue.sizes.shape import ParameterShape
from selfish_core.sparsity.masks import Masks
from selfish_core.sparsity.memory import Memory
from selfish_core.sparsity.pools import pools
from selfish_core.sparsity.removal import Signs, Thresholds, by_count
from selfish_core.sparsity.updater import MaskUpdate, MaskUpdater

SHAPES = (
    ParameterShape(name="table", shape=(6, 5), layer="embedding"),
    ParameterShape(name="ih", shape=(8, 5), layer="lstm0", gates=("input", "forget")),
    ParameterShape(name="hh", shape=(9, 4), layer="lstm0", gates=("master", "input"), gate_rows=(3, 6)),
)
GRANULARITIES = ("tensor", "gate", "layer", "global")
COUNTED = [name for name, row in REMOVAL_SCORES.items() if row.rule == "count"]
RATE = 0.4
THRESHOLD = 0.35

Place = tuple[str, int, int]
"""Tensor, row, column."""


class Setting:
    """Three tensors, half active, with weights and gradients."""

    def __init__(self, removal: str, granularity: str, **parts: object) -> None:
        generator = torch.Generator().manual_seed(11)
        self.weights, self.gradients, masks = {}, {}, {}
        for shape in SHAPES:
            masks[shape.name] = torch.rand(shape.shape, generator=generator) < 0.5
            self.weights[shape.name] = torch.randn(shape.shape, generator=generator) * masks[shape.name]
            self.gradients[shape.name] = torch.randn(shape.shape, generator=generator)
        self.before = {name: mask.clone() for name, mask in masks.items()}
        self.masks = Masks(masks)
        given = {
            "level": 0.5,
            "distribution": "uniform",
            "exact_count": True,
            "removal": removal,
            "granularity": granularity,
            "removal_rate": RATE,
            "schedule": "constant",
            "regrowth": "random",
            "may_return": False,
            "update_every_epochs": 1,
        }
        config = SparsityConfig.model_validate({**given, **parts})
        targets = [TensorTarget(shape, 0.5) for shape in SHAPES]
        self.seed = 23
        draws = torch.Generator().manual_seed(self.seed)
        self.updater = MaskUpdater(config, self.masks, targets, self.weights, window=None, generator=draws)
        self.kept = {name: weight.clone() for name, weight in self.weights.items()}

    def active_places(self) -> list[Place]:
        return [(name, int(row), int(column)) for name, mask in self.before.items() for row, column in mask.nonzero()]

    def update(self) -> MaskUpdate:
        gradients = {name: gradient.clone() for name, gradient in self.gradients.items()}
        return self.updater.update(1, self.weights, gradients, {})

    def removed(self) -> set[Place]:
        """What an update takes; without return, that is what was active before and is not after."""
        left = {name: change.left for name, change in self.update().changes.items()}
        return {place for place in self.active_places() if bool(left[place[0]][place[1], place[2]])}


def group_of(granularity: str) -> Callable[[Place], str]:
    def gate(place: Place) -> str:
        shape = next(shape for shape in SHAPES if shape.name == place[0])
        return place[0] + next(name for name, rows in shape.gate_slices if rows.start <= place[1] < rows.stop)

    return {
        "tensor": lambda place: place[0],
        "gate": gate,
        "layer": lambda place: next(shape.layer for shape in SHAPES if shape.name == place[0]),
        "global": lambda place: "all",
    }[granularity]


def plain_scores(removal: str, setting: Setting) -> dict[Place, float]:
    weights = {place: float(setting.kept[place[0]][place[1:]]) for place in setting.active_places()}
    if removal == "snip":
        return {place: abs(weight * float(setting.gradients[place[0]][place[1:]])) for place, weight in weights.items()}
    if removal == "random":
        generator = torch.Generator().manual_seed(setting.seed)
        draws = {shape.name: torch.rand(shape.shape, generator=generator) for shape in SHAPES}
        return {place: float(draws[place[0]][place[1:]]) for place in weights}
    if removal == "signed_magnitude":
        ranks = {}
        for place, weight in weights.items():
            side = [abs(other) for key, other in weights.items() if key[0] == place[0] and (other < 0) == (weight < 0)]
            ranks[place] = (1 + sum(other < abs(weight) for other in side)) / len(side)
        return ranks
    return {place: abs(weight) for place, weight in weights.items()}


@pytest.mark.parametrize("granularity", GRANULARITIES)
@pytest.mark.parametrize("removal", COUNTED)
def test_the_lowest_share_of_every_group_goes(removal: str, granularity: str) -> None:
    setting = Setting(removal, granularity)
    scores, key = plain_scores(removal, setting), group_of(granularity)
    expected: set[Place] = set()
    for _, members in groupby(sorted(scores, key=key), key):
        ordered = sorted(members, key=lambda place: (round(scores[place], 6), list(scores).index(place)))
        expected |= set(ordered[: math.ceil(RATE * len(ordered))])
    assert setting.removed() == expected


@pytest.mark.parametrize("granularity", GRANULARITIES)
def test_everything_below_its_groups_threshold_goes_and_each_adapts(granularity: str) -> None:
    setting = Setting("threshold", granularity, initial_threshold=THRESHOLD, threshold_tolerance=0.1)
    key, weights = group_of(granularity), plain_scores("threshold", setting)
    assert setting.removed() == {place for place, weight in weights.items() if weight < THRESHOLD}
    adapted = []
    for group in dict.fromkeys(map(key, weights)):  # groups in the order of the tensors
        members = [weight for place, weight in weights.items() if key(place) == group]
        below, wanted = sum(weight < THRESHOLD for weight in members), RATE * len(members)
        adapted.append(THRESHOLD * (0.5 if below > 1.1 * wanted else 2.0 if below < 0.9 * wanted else 1.0))
    assert setting.updater.memory.thresholds is not None
    assert setting.updater.memory.thresholds.values == pytest.approx(adapted)


def test_every_weight_that_crossed_zero_goes() -> None:
    setting = Setting("sign_change", "tensor", removal_rate=None)
    crossing = {place for place in setting.active_places() if sum(place[1:]) % 3 == 0}
    for name, row, column in crossing:
        setting.weights[name][row, column] *= -0.5
    assert setting.removed() == crossing


@pytest.mark.parametrize("granularity", GRANULARITIES)
@pytest.mark.parametrize("removal", [*COUNTED, "threshold"])
def test_a_rate_of_one_takes_all_that_can_return_and_leaves_the_count(removal: str, granularity: str) -> None:
    parts = {"initial_threshold": 1e9, "threshold_tolerance": 0.1} if removal == "threshold" else {}
    setting = Setting(removal, granularity, removal_rate=1.0, may_return=True, returned_value="zero", **parts)
    update = setting.update()
    assert update.removal_rate == 1.0
    assert not any(weight.any() for weight in setting.weights.values())
    assert setting.masks.num_active() == update.num_active


def test_by_count_removes_nothing_where_nothing_is_asked_for() -> None:
    active = {shape.name: torch.ones(shape.shape, dtype=torch.bool) for shape in SHAPES}
    scores = {name: mask.float() for name, mask in active.items()}
    removed = by_count(pools("tensor", SHAPES), [0, 0, 0], scores, active)
    assert not any(mask.any() for mask in removed.values())


@pytest.mark.parametrize(
    ("count", "expected"),
    [(23, 0.5), (22, 1.0), (18, 1.0), (17, 2.0), (0, 2.0)],
    ids=["too many", "as many as tolerated", "as few as tolerated", "too few", "none"],
)
def test_a_threshold_is_halved_or_doubled_outside_a_tenth_of_what_is_wanted(count: int, expected: float) -> None:
    thresholds = Thresholds([1.0, 7.0], 0.1)
    thresholds.adapt([count, 20], [20.0, 20.0])
    assert thresholds.values == [expected, 7.0]


def test_a_threshold_rests_where_nothing_is_wanted_and_nothing_goes() -> None:
    thresholds = Thresholds([1.0], 0.1)
    thresholds.adapt([0], [0.0])
    assert thresholds.values == [1.0]


def signs() -> Signs:
    return Signs({"w": torch.tensor([1.0, -1.0, 0.0])}, torch.Generator().manual_seed(5))


def test_a_weight_at_zero_has_not_crossed() -> None:
    assert signs().changed("w", torch.tensor([0.0, 0.0, 0.0])).tolist() == [False] * 3
    assert signs().changed("w", torch.tensor([-0.1, 0.1, -0.1])).tolist() == [True] * 3


def test_a_new_weight_starts_tiny_with_a_drawn_sign_that_it_must_keep() -> None:
    found = signs()
    weight, started = torch.tensor([1.0, -1.0, 0.0]), torch.tensor([False, True, True])
    found.start_("w", weight, started)
    is_positive = torch.rand(3, generator=torch.Generator().manual_seed(5)) < 0.5
    expected = [1e-12 if positive else -1e-12 for positive in is_positive.tolist()]
    assert weight.tolist() == pytest.approx([1.0, *expected[1:]], rel=1e-6)
    assert found.is_positive["w"].tolist() == [True, *is_positive[1:].tolist()]
    assert not found.changed("w", weight).any()
    assert found.changed("w", -weight).all()


def test_signs_of_new_weights_are_fair() -> None:
    weight = torch.zeros(4000)
    found = Signs({"w": weight}, torch.Generator().manual_seed(6))
    found.start_("w", weight, torch.ones(4000, dtype=torch.bool))
    assert abs(int((weight > 0).sum()) - 2000) < 6 * 1000**0.5


def remembering(removal: str, **more: object) -> Memory:
    parts = Setting(removal, "tensor", **more).updater.parts
    weights = {shape.name: torch.ones(shape.shape) for shape in SHAPES}
    return Memory.of(parts, len(SHAPES), weights, torch.Generator().manual_seed(1))


def test_most_removals_remember_nothing() -> None:
    assert remembering("magnitude").state() == ({}, {"num_gradients": 0})


@pytest.mark.parametrize(
    ("removal", "more"),
    [
        ("threshold", {"initial_threshold": 0.5, "threshold_tolerance": 0.1}),
        ("sign_change", {"removal_rate": None}),
        ("magnitude", {"regrowth": "gradient", "gradient_steps": 2}),
    ],
)
def test_what_is_remembered_is_loaded_again(removal: str, more: dict[str, object]) -> None:
    memory, other = remembering(removal, **more), remembering(removal, **more)
    if memory.thresholds is not None:
        memory.thresholds.values = [0.25, 0.5, 1.0]
    if memory.signs is not None:
        memory.signs.start_("ih", torch.ones(8, 5), torch.ones(8, 5, dtype=torch.bool))
    memory.add_gradients({shape.name: torch.full(shape.shape, 3.0) for shape in SHAPES})
    tensors, values = memory.state()
    assert values != other.state()[1]
    other.load({name: tensor.clone() for name, tensor in tensors.items()}, json.loads(json.dumps(values)))
    again, other_values = other.state()
    assert other_values == values
    assert again.keys() == tensors.keys()
    assert all(torch.equal(again[name], tensor) for name, tensor in tensors.items())


def test_the_mean_gradient_is_over_the_steps_since_it_was_forgotten() -> None:
    memory = remembering("magnitude", regrowth="gradient", gradient_steps=2)
    for value in (1.0, 2.0, 6.0):
        memory.add_gradients({shape.name: torch.full(shape.shape, value) for shape in SHAPES})
    means = memory.mean_gradients()
    assert all(bool((mean == 3.0).all()) for mean in means.values() if mean is not None)
    memory.forget_gradients()
    memory.add_gradients({shape.name: torch.full(shape.shape, 5.0) for shape in SHAPES})
    assert all(bool((mean == 5.0).all()) for mean in memory.mean_gradients().values() if mean is not None)
