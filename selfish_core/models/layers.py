"""Small pieces that models share; every random draw comes from a generator that is passed in.

Shapes: T time, B batch, H width, V vocabulary, E embedding.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.nn import functional


def dropout(x: Tensor, rate: float, generator: torch.Generator | None) -> Tensor:
    """Zero each entry with probability `rate` and scale the rest by 1 / (1 - rate).

    Args:
        x: of any shape.
        rate: in [0, 1); 0 returns `x` itself.
        generator: of the draw, on `x`'s device; may be None at rate 0, and None switches dropout off.
    """
    if rate == 0.0 or generator is None:
        return x
    return x * dropout_mask(x.shape, rate, x, generator)


def shared_dropout(x_TBH: Tensor, rate: float, generator: torch.Generator | None) -> Tensor:
    """Dropout with one mask for all steps of a segment ('locked', 'variational').

    Source: Gal and Ghahramani, A Theoretically Grounded Application of Dropout in Recurrent Neural Networks, 2016.
    """
    if rate == 0.0 or generator is None:
        return x_TBH
    return x_TBH * dropout_mask(x_TBH.shape[1:], rate, x_TBH, generator)


def dropout_mask(shape: Iterable[int], rate: float, like: Tensor, generator: torch.Generator) -> Tensor:
    """Draw zeros with probability `rate`, else 1 / (1 - rate), with the type and on the device of `like`."""
    keep = torch.empty(tuple(shape), dtype=like.dtype, device=like.device)
    return keep.bernoulli_(1.0 - rate, generator=generator).div_(1.0 - rate)


def embed(words_TB: Tensor, weight_VE: Tensor, rate: float, generator: torch.Generator | None) -> Tensor:
    """Look words up; with probability `rate` a word of the vocabulary is zero in all its places.

    Source: Gal and Ghahramani 2016; Merity et al., Regularizing and Optimizing LSTM Language Models, ICLR 2018.
    """
    found_TBE = functional.embedding(words_TB, weight_VE)
    if rate == 0.0 or generator is None:
        return found_TBE
    keep_V = dropout_mask(weight_VE.shape[:1], rate, weight_VE, generator)
    return found_TBE * keep_V[words_TB].unsqueeze(-1)


def fill_uniform(parameters: Iterable[Tensor], bound: float, generator: torch.Generator) -> None:
    """Draw every entry from U(-bound, bound), in place.

    The draw is made where the generator lives, so a seed gives the same weights on every device.
    """
    with torch.no_grad():
        for parameter in parameters:
            drawn = torch.empty(parameter.shape, dtype=parameter.dtype, device=generator.device)
            parameter.copy_(drawn.uniform_(-bound, bound, generator=generator))
