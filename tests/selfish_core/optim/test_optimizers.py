"""Optimizers against torch's own; masks, learning-rate factors, and averages that begin anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from selfish_core.catalogue.optimizers import AdamConfig, AdamWConfig, NTASGDConfig, SGDConfig, SNTASGDConfig
from selfish_core.optim.base import Optimizer
from selfish_core.optim.build import build

RATE = 0.05
CONFIGS = {
    "sgd": SGDConfig(name="sgd", learning_rate=RATE, weight_decay=0.01),
    "sgd with momentum": SGDConfig(name="sgd", learning_rate=RATE, momentum=0.9, weight_decay=0.01),
    "adam": AdamConfig(name="adam", learning_rate=RATE, weight_decay=0.01),
    "adamw": AdamWConfig(name="adamw", learning_rate=RATE, weight_decay=0.1),
    "nt_asgd": NTASGDConfig(name="nt_asgd", learning_rate=RATE, weight_decay=0.01),
    "snt_asgd": SNTASGDConfig(name="snt_asgd", learning_rate=RATE, weight_decay=0.01),
}
TORCH: dict[str, Callable[[list[Tensor]], torch.optim.Optimizer]] = {
    "sgd": lambda weights: torch.optim.SGD(weights, lr=RATE, weight_decay=0.01),
    "sgd with momentum": lambda weights: torch.optim.SGD(weights, lr=RATE, momentum=0.9, weight_decay=0.01),
    "adam": lambda weights: torch.optim.Adam(weights, lr=RATE, betas=(0.0, 0.999), eps=1e-9, weight_decay=0.01),
    "adamw": lambda weights: torch.optim.AdamW(weights, lr=RATE, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.1),
    "nt_asgd": lambda weights: torch.optim.SGD(weights, lr=RATE, weight_decay=0.01),
    "snt_asgd": lambda weights: torch.optim.SGD(weights, lr=RATE, weight_decay=0.01),
}


def parameters() -> dict[str, torch.nn.Parameter]:
    generator = torch.Generator().manual_seed(1)
    return {
        "weight": torch.nn.Parameter(torch.randn(6, 5, generator=generator)),
        "bias": torch.nn.Parameter(torch.randn(5, generator=generator)),
    }


def start(config: Any, mask: Tensor | None = None) -> tuple[Optimizer, dict[str, torch.nn.Parameter]]:
    weights = parameters()
    return build(config, weights, {"weight": torch.ones(6, 5) if mask is None else mask.float()}), weights


def draw_gradients(weights: dict[str, torch.nn.Parameter], generator: torch.Generator) -> None:
    for weight in weights.values():
        weight.grad = torch.randn(weight.shape, generator=generator)


@pytest.mark.parametrize("name", CONFIGS)
def test_each_steps_as_torchs_own(name: str) -> None:
    optimizer, ours = start(CONFIGS[name])
    theirs = parameters()
    reference = TORCH[name](list(theirs.values()))
    generator = torch.Generator().manual_seed(2)
    for _ in range(20):
        draw_gradients(ours, generator)
        for key, weight in theirs.items():
            weight.grad = ours[key].grad
        optimizer.step()
        reference.step()
    for key, weight in theirs.items():
        torch.testing.assert_close(ours[key], weight, rtol=1e-6, atol=1e-7)


def test_adamw_takes_its_decay_from_the_weight_and_not_from_the_moments() -> None:
    optimizer, weights = start(CONFIGS["adamw"])
    before = {name: weight.detach().clone() for name, weight in weights.items()}
    for weight in weights.values():
        weight.grad = torch.zeros_like(weight)
    optimizer.step()
    for name, weight in weights.items():
        torch.testing.assert_close(weight.detach(), before[name] * (1 - RATE * 0.1))
    momentum = optimizer.momentum("weight")
    assert momentum is not None
    assert not momentum.any()


@pytest.mark.parametrize("name", CONFIGS)
def test_inactive_weights_are_zero_after_every_step_and_the_others_as_ever(name: str) -> None:
    mask = torch.rand(6, 5, generator=torch.Generator().manual_seed(3)) < 0.5
    optimizer, ours = start(CONFIGS[name], mask)
    dense, theirs = start(CONFIGS[name])
    generator = torch.Generator().manual_seed(4)
    for _ in range(5):
        draw_gradients(ours, generator)
        for key, weight in theirs.items():
            weight.grad = ours[key].grad
        optimizer.step()
        dense.step()
        assert not ours["weight"][~mask].any()
        assert torch.equal(ours["weight"][mask], theirs["weight"][mask])
        assert torch.equal(ours["bias"], theirs["bias"])


@pytest.mark.parametrize("name", CONFIGS)
def test_a_factor_scales_the_step_of_all_tensors_once(name: str) -> None:
    optimizer, ours = start(CONFIGS[name])
    slower, theirs = start(CONFIGS[name].model_copy(update={"learning_rate": RATE / 4}))
    draw_gradients(ours, torch.Generator().manual_seed(5))
    for key, weight in theirs.items():
        weight.grad = ours[key].grad
    optimizer.step(0.25)
    slower.step()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    assert optimizer.learning_rate == RATE
    optimizer.step()
    slower.step(4.0)
    for key, weight in theirs.items():
        torch.testing.assert_close(ours[key], weight, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("cls", [NTASGDConfig, SNTASGDConfig])
def test_averages_follow_the_factor_in_every_tensor(cls: Any) -> None:
    name = "nt_asgd" if cls is NTASGDConfig else "snt_asgd"
    optimizer, weights = averaging(cls(name=name, learning_rate=1.0, weight_decay=0.0, non_monotone_window=1))
    # gradient -1: iterates 1, 1.5, 1.75; the average leaves the first out: 1.625
    for factor in (1.0, 0.5, 0.25):
        move(optimizer, weights, -1.0, factor)
    assert averages(optimizer, weights) == {"weight": 1.625, "bias": 1.625}


def averaging(config: Any) -> tuple[Optimizer, dict[str, torch.nn.Parameter]]:
    """One active weight and one bias, both 0, at the moment when averaging starts: after three epochs."""
    weights = {name: torch.nn.Parameter(torch.zeros(1)) for name in ("weight", "bias")}
    optimizer = build(config, weights, {"weight": torch.ones(1)})
    assert [optimizer.end_epoch(loss) for loss in (1.0, 2.0, 3.0)] == [False, False, True]
    return optimizer, weights


def move(optimizer: Optimizer, weights: dict[str, torch.nn.Parameter], gradient: float, factor: float = 1.0) -> None:
    for weight in weights.values():
        weight.grad = torch.full((1,), gradient)
    optimizer.step(factor)


def averages(optimizer: Optimizer, weights: dict[str, torch.nn.Parameter]) -> dict[str, float]:
    with optimizer.evaluation_weights():
        return {name: weight.item() for name, weight in weights.items()}


@pytest.mark.parametrize("cls", [NTASGDConfig, SNTASGDConfig])
def test_averages_begin_anew_every_so_many_epochs(cls: Any) -> None:
    name = "nt_asgd" if cls is NTASGDConfig else "snt_asgd"
    config = cls(name=name, learning_rate=1.0, weight_decay=0.0, non_monotone_window=1, restart_every_epochs=2)
    optimizer, weights = averaging(config)
    for _ in range(3):
        move(optimizer, weights, -1.0)  # 1, 2, 3: average 2.5
    assert averages(optimizer, weights) == {"weight": 2.5, "bias": 2.5}
    assert not optimizer.end_epoch(4.0)  # the fourth epoch: anew
    for _ in range(3):
        move(optimizer, weights, -1.0)  # 4, 5, 6: average 5.5
    assert averages(optimizer, weights) == {"weight": 5.5, "bias": 5.5}
    assert not optimizer.end_epoch(5.0)  # the fifth: on
    move(optimizer, weights, -1.0)  # 7: average of 5, 6, 7
    assert averages(optimizer, weights) == {"weight": 6.0, "bias": 6.0}
    assert optimizer.is_averaging


def test_without_restarts_averages_go_on() -> None:
    optimizer, weights = averaging(
        NTASGDConfig(name="nt_asgd", learning_rate=1.0, weight_decay=0.0, non_monotone_window=1)
    )
    for loss in range(4, 10):
        move(optimizer, weights, -1.0)
        assert not optimizer.end_epoch(float(loss))
    assert averages(optimizer, weights) == {"weight": 4.0, "bias": 4.0}  # of 2 … 6


def test_epochs_before_the_trigger_restart_nothing() -> None:
    weights = {"bias": torch.nn.Parameter(torch.zeros(1))}
    config = NTASGDConfig(
        name="nt_asgd", learning_rate=1.0, weight_decay=0.0, non_monotone_window=5, restart_every_epochs=1
    )
    optimizer = build(config, weights, {})
    for _ in range(4):
        move(optimizer, weights, -1.0)
        assert not optimizer.end_epoch(1.0)
        assert not optimizer.is_averaging
    assert averages(optimizer, weights) == {"bias": 4.0}  # the iterate itself
