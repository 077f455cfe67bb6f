"""Scores as pure functions: which active weights to keep, which inactive ones to take first; higher wins."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from selfish_core.catalogue.rows import ScoreRow


@dataclass(frozen=True)
class ScoreInputs:
    """What a score may look at; all tensors have the weight's shape.

    Args:
        weight: the weights, zero where inactive.
        generator: of random scores.
        gradient: the dense gradient of the last minibatch, or the mean of the last few, where the score needs it.
        momentum: the optimizer's momentum, where the score needs it.
        active: bool, the mask before the update; None where every weight is active.
    """

    weight: Tensor
    generator: torch.Generator
    gradient: Tensor | None = None
    momentum: Tensor | None = None
    active: Tensor | None = None


Score = Callable[[ScoreInputs], Tensor]


def score_of(row: ScoreRow) -> Score:
    """Return the function that a row of the catalogue names."""
    module, _, name = row.function.partition(":")
    score: Score = getattr(importlib.import_module(module), name)
    return score


def magnitude(inputs: ScoreInputs) -> Tensor:
    """Absolute weight."""
    return inputs.weight.abs()


def signed_magnitude(inputs: ScoreInputs) -> Tensor:
    """Rank of the absolute weight among the active weights of its sign, as a share of them, in (0, 1].

    So the lowest scores are the same share of the positive and of the negative weights. A zero counts as positive;
    equal magnitudes rank by position.

    >>> weight = torch.tensor([0.1, 4.0, -0.2, -0.3, -0.4, -5.0])
    >>> signed_magnitude(ScoreInputs(weight, torch.Generator())).tolist()
    [0.5, 1.0, 0.25, 0.5, 0.75, 1.0]

    Source: Mocanu et al. 2018: the smallest positive and the largest negative weights are removed.
    """
    weight = inputs.weight
    active = torch.ones_like(weight, dtype=torch.bool) if inputs.active is None else inputs.active
    ranks = torch.zeros_like(weight)
    for side in (active & (weight >= 0), active & (weight < 0)):
        values = weight[side].abs()
        order = values.argsort(stable=True)
        places = torch.empty_like(values)
        places[order] = torch.arange(1, len(values) + 1, dtype=values.dtype, device=values.device)
        ranks[side] = places / max(1, len(values))
    return ranks


def snip(inputs: ScoreInputs) -> Tensor:
    """Absolute product of weight and gradient."""
    return (inputs.weight * _given("gradient", inputs.gradient)).abs()


def gradient(inputs: ScoreInputs) -> Tensor:
    """Absolute gradient."""
    return _given("gradient", inputs.gradient).abs()


def momentum(inputs: ScoreInputs) -> Tensor:
    """Absolute momentum."""
    return _given("momentum", inputs.momentum).abs()


def random(inputs: ScoreInputs) -> Tensor:
    """Uniform in [0, 1)."""
    generator = inputs.generator
    return torch.rand(inputs.weight.shape, generator=generator, device=generator.device).to(inputs.weight.device)


def _given(name: str, tensor: Tensor | None) -> Tensor:
    if tensor is None:
        raise ValueError(f"this score reads the {name}, and none was passed")
    return tensor
