"""Two scores, as pure functions of `ScoreInputs`."""

from __future__ import annotations

import torch
from torch import Tensor

from selfish_core.sparsity.scores import ScoreInputs

TINY = 1e-30
"""Stands in for a gradient of zero, whose logarithm is not finite."""


def movement(inputs: ScoreInputs) -> Tensor:
    """Minus weight times gradient: what the last minibatch moves towards zero scores lowest and goes first."""
    return -inputs.weight * _gradient(inputs)


def sampled_gradient(inputs: ScoreInputs) -> Tensor:
    """log |gradient| plus Gumbel noise.

    The k highest of them are a sample of k positions without replacement, in proportion to their absolute gradients.
    """
    generator = inputs.generator
    uniform = torch.rand(inputs.weight.shape, generator=generator, device=generator.device).to(inputs.weight.device)
    noise = -torch.log(-torch.log(uniform.clamp(TINY, 1 - 1e-7)))
    return _gradient(inputs).abs().clamp_min(TINY).log() + noise


def _gradient(inputs: ScoreInputs) -> Tensor:
    if inputs.gradient is None:
        raise ValueError("this score reads the gradient, and none was passed")
    return inputs.gradient
