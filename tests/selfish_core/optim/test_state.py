"""What becomes of an optimizer's state of weights that start anew: reset, kept, or reset and warmed up."""

from __future__ import annotations

import json
from typing import Any

import pytest
import torch
from torch import Tensor

from selfish_core.catalogue.optimizers import AdamConfig, AdamWConfig, NTASGDConfig, SGDConfig, SNTASGDConfig
from selfish_core.optim.base import Optimizer, OptimizerState
from selfish_core.optim.build import build
from selfish_core.optim.state import WarmUp

SGD = SGDConfig(name="sgd", learning_rate=1.0, momentum=0.9, weight_decay=0.0)
PLAIN = SGDConfig(name="sgd", learning_rate=1.0, weight_decay=0.0)
ADAM = AdamConfig(name="adam", learning_rate=0.1, beta1=0.9, epsilon=1e-8, weight_decay=0.0)
ADAMW = AdamWConfig(name="adamw", learning_rate=0.1)
NT_ASGD = NTASGDConfig(name="nt_asgd", learning_rate=1.0, weight_decay=0.0, non_monotone_window=1)
SNT_ASGD = SNTASGDConfig(name="snt_asgd", learning_rate=1.0, weight_decay=0.0, non_monotone_window=1)

NEITHER = torch.tensor([False, False, False])
SECOND = torch.tensor([False, True, False])
LAST = torch.tensor([False, False, True])


def start(config: Any, **regrown: Any) -> tuple[Optimizer, Tensor]:
    """Three weights, all active."""
    weight = torch.nn.Parameter(torch.zeros(3))
    return build(config, {"w": weight}, {"w": torch.ones(3)}, **regrown), weight


def step(optimizer: Optimizer, weight: Tensor, gradient: float) -> list[float]:
    """Take a step, and return by how much each weight moved."""
    before = weight.detach().clone()
    weight.grad = torch.full_like(weight, gradient)
    optimizer.step()
    return (weight.detach() - before).tolist()


def test_reset_empties_the_momentum_of_a_new_weight_alone() -> None:
    optimizer, weight = start(SGD)
    step(optimizer, weight, 1.0)
    step(optimizer, weight, 1.0)  # the buffer is now .9 + 1 = 1.9
    optimizer.start_over("w", left=LAST, started=SECOND)
    momentum = optimizer.momentum("w")
    assert momentum is not None
    assert momentum.tolist() == pytest.approx([1.9, 0.0, 1.9])  # that of a weight that left is kept
    assert step(optimizer, weight, 2.0) == pytest.approx([-3.71, -2.0, -3.71])  # .9 · 1.9 + 2, and 2


def test_keep_leaves_the_momentum_of_a_new_weight_alone() -> None:
    optimizer, weight = start(SGD, keeps_state=True)
    step(optimizer, weight, 1.0)
    step(optimizer, weight, 1.0)
    optimizer.start_over("w", left=LAST, started=SECOND)
    assert step(optimizer, weight, 2.0) == pytest.approx([-3.71] * 3)


def adam_moments(gradients: list[float]) -> tuple[float, float]:
    first = second = 0.0
    for gradient in gradients:
        first, second = 0.9 * first + 0.1 * gradient, 0.999 * second + 0.001 * gradient**2
    return first, second


def adam_step(gradients: list[float], num_steps: int) -> float:
    """Adam's formula: the moments are of these gradients, the corrections of all steps so far."""
    first, second = adam_moments(gradients)
    corrected = first / (1 - 0.9**num_steps), second / (1 - 0.999**num_steps)
    return -0.1 * corrected[0] / (corrected[1] ** 0.5 + 1e-8)


@pytest.mark.parametrize("keeps_state", [False, True])
def test_adams_moments_of_a_new_weight(keeps_state: bool) -> None:
    optimizer, weight = start(ADAM, keeps_state=keeps_state)
    step(optimizer, weight, 1.0)
    step(optimizer, weight, 0.5)
    optimizer.start_over("w", left=LAST, started=SECOND)
    old, new = adam_step([1.0, 0.5, 2.0], 3), adam_step([2.0], 3)
    assert step(optimizer, weight, 2.0) == pytest.approx([old, old if keeps_state else new, old], rel=1e-5)


def test_adams_momentum_is_its_first_moment_over_the_root_of_the_second() -> None:
    optimizer, weight = start(ADAM)
    assert optimizer.momentum("w") is None
    step(optimizer, weight, 1.0)
    step(optimizer, weight, -0.5)
    first, second = adam_moments([1.0, -0.5])
    momentum = optimizer.momentum("w")
    assert momentum is not None
    assert momentum.tolist() == pytest.approx([first / (second**0.5 + 1e-8)] * 3, rel=1e-5)


@pytest.mark.parametrize("config", [PLAIN, NT_ASGD, SNT_ASGD])
def test_what_has_no_momentum_says_so(config: Any) -> None:
    optimizer, weight = start(config)
    step(optimizer, weight, 1.0)
    assert optimizer.momentum("w") is None


@pytest.mark.parametrize("config", [PLAIN, NT_ASGD, SNT_ASGD])
def test_a_new_weight_warms_up_in_equal_parts(config: Any) -> None:
    optimizer, weight = start(config, warm_up_steps=4)
    assert step(optimizer, weight, -1.0) == [1.0, 1.0, 1.0]
    optimizer.start_over("w", left=LAST, started=SECOND)
    moved = [step(optimizer, weight, -1.0) for _ in range(6)]
    assert [row[1] for row in moved] == [0.25, 0.5, 0.75, 1.0, 1.0, 1.0]
    assert all(row[0] == row[2] == 1.0 for row in moved)


def test_a_warm_up_begins_with_empty_moments() -> None:
    optimizer, weight = start(SGD, warm_up_steps=2)
    step(optimizer, weight, 1.0)
    optimizer.start_over("w", left=NEITHER, started=SECOND)
    assert step(optimizer, weight, 1.0) == pytest.approx([-1.9, -0.5, -1.9])  # half of 1
    assert step(optimizer, weight, 1.0) == pytest.approx([-2.71, -1.9, -2.71])  # all of .9 + 1


def test_a_weight_that_starts_again_warms_up_again() -> None:
    optimizer, weight = start(PLAIN, warm_up_steps=2)
    optimizer.start_over("w", left=NEITHER, started=SECOND)
    assert step(optimizer, weight, -1.0)[1] == 0.5
    optimizer.start_over("w", left=NEITHER, started=SECOND)
    assert [step(optimizer, weight, -1.0)[1] for _ in range(3)] == [0.5, 1.0, 1.0]


def test_warm_ups_touch_no_weight_of_full_age() -> None:
    """Not even by a rounding."""
    weights = {"w": torch.nn.Parameter(torch.randn(1000, generator=torch.Generator().manual_seed(1)))}
    warm_up = WarmUp(3, {"w": torch.ones(1000)})
    assert warm_up.hold(weights) == {}
    started = torch.zeros(1000, dtype=torch.bool)
    started[0] = True
    warm_up.start("w", started)
    held = warm_up.hold(weights)
    stepped = weights["w"].detach() * 1.7
    with torch.no_grad():
        weights["w"].copy_(stepped)
    warm_up.ease_(weights, held)
    assert torch.equal(weights["w"][1:], stepped[1:])
    expected = torch.lerp(held["w"][0], stepped[0], 1 / 3)
    torch.testing.assert_close(weights["w"][0].detach(), expected)


REGROWN = [{}, {"keeps_state": True}, {"warm_up_steps": 5}]


@pytest.mark.parametrize("config", [PLAIN, SGD, ADAM, ADAMW, NT_ASGD, SNT_ASGD], ids=str)
@pytest.mark.parametrize("regrown", REGROWN, ids=str)
def test_a_loaded_state_goes_on_with_the_same_bits(config: Any, regrown: dict[str, Any]) -> None:
    optimizer, weight = start(config, **regrown)
    for loss in (1.0, 2.0, 3.0):  # averaging starts, where there is any
        step(optimizer, weight, 0.3 * loss)
        optimizer.end_epoch(loss)
    step(optimizer, weight, -0.7)
    optimizer.start_over("w", left=LAST, started=SECOND)
    step(optimizer, weight, 0.2)
    state = optimizer.state()
    other, other_weight = start(config, **regrown)
    with torch.no_grad():
        other_weight.copy_(weight)
    tensors = {name: tensor.clone() for name, tensor in state.tensors.items()}
    other.load(OptimizerState(tensors, json.loads(json.dumps(state.scalars))))
    assert other.is_averaging == optimizer.is_averaging
    for epoch in range(4):
        for gradient in (0.1, -0.4, 0.3):
            step(optimizer, weight, gradient)
            step(other, other_weight, gradient)
        assert torch.equal(weight, other_weight)
        with optimizer.evaluation_weights(), other.evaluation_weights():
            assert torch.equal(weight, other_weight)
        for one in (optimizer, other):
            one.end_epoch(float(epoch))
            one.start_over("w", left=SECOND, started=LAST)
