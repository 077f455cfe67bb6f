"""Averages against independent definitions: a float64 loop written from the formula, and torch's own ASGD."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from selfish_core.catalogue.optimizers import NTASGDConfig, SNTASGDConfig
from selfish_core.optim.averaged import AveragedSGD, Averages

NUM_STEPS = 300


class ElementwiseAverage:
    """The definition, one weight at a time, in float64.

    T <- 0 if inactive else T + 1; mu = 1 for T <= 2, else 1 / (T - 1); avg <- w if mu is 1 else avg + mu (w - avg).
    """

    def __init__(self, size: int) -> None:
        self.ages = [0] * size
        self.averages = [0.0] * size

    def take(self, weights: np.ndarray, mask: np.ndarray) -> None:
        for index, (weight, is_active) in enumerate(zip(weights.astype(np.float64), mask, strict=True)):
            self.ages[index] = self.ages[index] + 1 if is_active else 0
            age = self.ages[index]
            if age <= 2:
                self.averages[index] = weight if is_active else 0.0
            else:
                self.averages[index] += (weight - self.averages[index]) / (age - 1)


def biases_and_weights(generator: torch.Generator) -> dict[str, torch.nn.Parameter]:
    return {
        "weight": torch.nn.Parameter(torch.randn(12, generator=generator)),
        "bias": torch.nn.Parameter(torch.randn(5, generator=generator)),
    }


MASKS = {
    # never leave | leave once | leave and come back | come back twice | start inactive
    0: [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0],
    40: [1, 1, 1, 0, 1, 1, 0, 0, 1, 1, 0, 1],
    41: [1, 1, 1, 0, 1, 1, 1, 0, 1, 1, 1, 1],
    42: [1, 1, 1, 0, 0, 1, 1, 1, 1, 1, 1, 0],
    120: [1, 1, 1, 0, 0, 0, 1, 1, 0, 1, 1, 1],
    200: [1, 1, 1, 0, 0, 0, 1, 0, 1, 1, 1, 1],
    201: [1, 1, 1, 0, 0, 0, 1, 1, 1, 0, 1, 1],
}


@pytest.mark.parametrize("evaluate_every", [1, 7, NUM_STEPS])
def test_averages_equal_a_float64_loop_over_the_definition(evaluate_every: int) -> None:
    generator = torch.Generator().manual_seed(3)
    parameters = biases_and_weights(generator)
    mask = torch.tensor(MASKS[0], dtype=torch.bool)
    multipliers = {"weight": mask.float()}
    optimizer = AveragedSGD(
        SNTASGDConfig(name="snt_asgd", learning_rate=0.5, weight_decay=1.2e-6, non_monotone_window=1),
        parameters,
        multipliers,
        forgets=True,
    )
    with torch.no_grad():
        parameters["weight"].mul_(mask)
    assert [optimizer.end_epoch(loss) for loss in (1.0, 2.0, 3.0)] == [False, False, True]
    loops = {"weight": ElementwiseAverage(12), "bias": ElementwiseAverage(5)}
    for step in range(NUM_STEPS):
        if step in MASKS and step > 0:
            new = torch.tensor(MASKS[step], dtype=torch.bool)
            optimizer.start_over("weight", left=mask & ~new, started=new & ~mask)
            mask.copy_(new)
            multipliers["weight"].copy_(new)
            with torch.no_grad():
                parameters["weight"].mul_(new)
        for parameter in parameters.values():
            parameter.grad = torch.randn(parameter.shape, generator=generator) + 0.1 * parameter.detach()
        optimizer.step()
        loops["weight"].take(parameters["weight"].detach().numpy(), mask.numpy())
        loops["bias"].take(parameters["bias"].detach().numpy(), np.ones(5, dtype=bool))
        if (step + 1) % evaluate_every == 0:
            iterates = {name: parameter.detach().clone() for name, parameter in parameters.items()}
            with optimizer.evaluation_weights():
                for name, loop in loops.items():
                    expected = np.array(loop.averages)
                    got = parameters[name].detach().double().numpy()
                    assert np.abs(got - expected).max() <= 1e-6 * np.abs(expected).max(), (name, step)
            assert all(torch.equal(parameters[name], iterates[name]) for name in parameters)


@pytest.mark.parametrize(("config", "forgets"), [(NTASGDConfig, False), (SNTASGDConfig, True)])
def test_with_all_weights_active_the_averages_are_those_of_torch_asgd(config: type, forgets: bool) -> None:
    name = "snt_asgd" if forgets else "nt_asgd"
    ours = biases_and_weights(torch.Generator().manual_seed(5))
    theirs = [torch.nn.Parameter(parameter.detach().clone()) for parameter in ours.values()]
    optimizer = AveragedSGD(
        config(name=name, learning_rate=0.3, weight_decay=1.2e-6, non_monotone_window=1),
        ours,
        {"weight": torch.ones(12)},
        forgets=forgets,
    )
    for loss in (1.0, 2.0, 3.0):
        optimizer.end_epoch(loss)
    reference = torch.optim.ASGD(theirs, lr=0.3, lambd=0.0, t0=0, weight_decay=1.2e-6)
    draws = torch.Generator().manual_seed(6)
    for _ in range(NUM_STEPS):
        for mine, other in zip(ours.values(), theirs, strict=True):
            mine.grad = torch.randn(mine.shape, generator=draws)
            other.grad = mine.grad.clone()
        optimizer.step()
        reference.step()
    with optimizer.evaluation_weights():
        for mine, other in zip(ours.values(), theirs, strict=True):
            expected = reference.state[other]["ax"]
            assert (mine - expected).abs().max() <= 2e-6 * expected.abs().max()


def test_nt_asgd_keeps_the_history_of_a_weight_that_leaves_but_evaluates_it_as_zero() -> None:
    weight = torch.nn.Parameter(torch.tensor([2.0, 2.0]))
    multipliers = {"weight": torch.ones(2)}
    optimizer = AveragedSGD(
        NTASGDConfig(name="nt_asgd", learning_rate=1.0, weight_decay=0.0, non_monotone_window=1),
        {"weight": weight},
        multipliers,
        forgets=False,
    )
    for loss in (1.0, 2.0, 3.0):
        optimizer.end_epoch(loss)
    for gradient in (0.0, -2.0, -2.0):  # iterates 2, 4, 6: their average, the first excluded, is 5
        weight.grad = torch.full((2,), gradient)
        optimizer.step()
    optimizer.start_over("weight", left=torch.tensor([False, True]), started=torch.tensor([False, False]))
    multipliers["weight"].copy_(torch.tensor([1.0, 0.0]))
    with optimizer.evaluation_weights():
        assert weight.tolist() == [5.0, 0.0]
    multipliers["weight"].fill_(1.0)
    with optimizer.evaluation_weights():
        assert weight.tolist() == [5.0, 5.0]


def test_snt_asgd_forgets_a_weight_that_leaves_and_comes_back() -> None:
    weights = {"weight": torch.tensor([2.0, 2.0])}
    averages = Averages(weights, frozenset({"weight"}))
    for value in (2.0, 4.0, 6.0):
        weights["weight"].fill_(value)
        averages.add(weights)
    averages.start_over("weight", left=torch.tensor([False, True]), started=torch.tensor([False, False]))
    averages.start_over("weight", left=torch.tensor([False, False]), started=torch.tensor([False, True]))
    for value in (8.0, 10.0, 12.0):
        weights["weight"].fill_(value)
        averages.add(weights)
    # never left: mean(4, 6, 8, 10, 12); came back: mean(10, 12)
    assert averages.settle()["weight"].tolist() == [8.0, 11.0]
