"""Scores as pure functions: which active weights to keep, which inactive ones to take first; higher wins."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class ScoreInputs:
    """What a score may look at; all tensors have the weight's shape.

    Args:
        weight: the weights, zero where inactive.
        generator: of random scores.
        gradient: the dense gradient of the last minibatch, where the score needs it.
        momentum: the optimizer's momentum, where the score needs it.
    """

    weight: Tensor
    generator: torch.Generator
    gradient: Tensor | None = None
    momentum: Tensor | None = None


def magnitude(inputs: ScoreInputs) -> Tensor:
    """Absolute weight."""
    return inputs.weight.abs()


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


Score = Callable[[ScoreInputs], Tensor]

REMOVAL: dict[str, Score] = {"magnitude": magnitude}
REGROWTH: dict[str, Score] = {"random": random, "gradient": gradient, "momentum": momentum}


def _given(name: str, tensor: Tensor | None) -> Tensor:
    if tensor is None:
        raise ValueError(f"this score reads the {name}, and none was passed")
    return tensor
