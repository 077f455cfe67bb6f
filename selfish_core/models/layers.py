"""Small pieces that models share; every random draw comes from a generator that is passed in."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


def dropout(x: Tensor, rate: float, generator: torch.Generator | None) -> Tensor:
    """Zero each entry with probability `rate` and scale the rest by 1 / (1 - rate).

    Args:
        x: of any shape.
        rate: in [0, 1); 0 returns `x` itself.
        generator: of the draw, on `x`'s device; may be None at rate 0.
    """
    if rate == 0.0:
        return x
    keep = torch.empty_like(x).bernoulli_(1.0 - rate, generator=generator)
    return x * keep.div_(1.0 - rate)


def fill_uniform(parameters: Iterable[Tensor], bound: float, generator: torch.Generator) -> None:
    """Draw every entry from U(-bound, bound), in place.

    The draw is made where the generator lives, so a seed gives the same weights on every device.
    """
    with torch.no_grad():
        for parameter in parameters:
            drawn = torch.empty(parameter.shape, dtype=parameter.dtype, device=generator.device)
            parameter.copy_(drawn.uniform_(-bound, bound, generator=generator))
