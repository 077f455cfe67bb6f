"""What becomes of an optimizer's state of weights that start anew: forgotten, kept, or forgotten and warmed up."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

Parameters = Mapping[str, Tensor]
"""Parameters of a model by name; they keep their storage for ever."""


class WarmUp:
    """Let a new weight move in small steps at first: its n-th step is n / `num_steps` of the whole, then the whole.

    Args:
        num_steps: until a new weight moves as every other, ≥ 2.
        multipliers: masks as floats, by the name of the parameter they belong to.
    """

    def __init__(self, num_steps: int, multipliers: Parameters) -> None:
        self.num_steps = num_steps
        self.ages = {
            name: torch.full(mask.shape, num_steps, dtype=torch.int32, device=mask.device)
            for name, mask in multipliers.items()
        }

    def start(self, name: str, started: Tensor) -> None:
        """Note new weights of one parameter."""
        self.ages[name].masked_fill_(started, 0)

    def hold(self, parameters: Parameters) -> dict[str, Tensor]:
        """Copy the parameters that have new weights, before a step."""
        new = [name for name, ages in self.ages.items() if bool((ages < self.num_steps).any())]
        return {name: parameters[name].detach().clone() for name in new}

    def ease_(self, parameters: Parameters, held: Parameters) -> None:
        """Take part of the step back, in place, after it."""
        with torch.no_grad():
            for name, before in held.items():
                ages = self.ages[name].add_(1).clamp_(max=self.num_steps)
                parameters[name].copy_(torch.lerp(before, parameters[name], ages / self.num_steps))
