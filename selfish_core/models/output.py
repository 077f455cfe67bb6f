"""What every model returns, and what training asks of a model.

Shapes: T time, B batch, V vocabulary, H width of the last layer.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

State = tuple[Tensor, ...]
"""What a model carries from one segment to the next."""


class Output(NamedTuple):
    """One segment's output.

    Args:
        scores_TBV: their softmax over V is the prediction of the next word; logits, or log-probabilities.
        state: after the segment.
        raw_TBH: the last layer's output before its dropout; temporal activation regularisation reads it.
        dropped_TBH: the same after its dropout; activation regularisation reads it.
    """

    scores_TBV: Tensor
    state: State
    raw_TBH: Tensor
    dropped_TBH: Tensor


class LanguageModel(nn.Module, ABC):
    """What training asks of a model; `forward` is what a call runs."""

    __call__: Callable[..., Output]

    @abstractmethod
    def initial_state(self, batch_size: int) -> State:
        """Return the state before the first word."""

    @abstractmethod
    def forward(self, words_TB: Tensor, state: State, generator: torch.Generator | None = None) -> Output:
        """Run one segment.

        Args:
            words_TB: word indices.
            state: as returned for the segment before, detached where no gradient is to cross.
            generator: of every dropout; None switches all of them off, as in evaluation.
        """
