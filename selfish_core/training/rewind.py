"""Lottery tickets: after each round prune by magnitude, and put the surviving weights back to early ones."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from selfish_core.catalogue.parts import SparsityConfig

Parameters = Mapping[str, Tensor]


class Rewinding:
    """Which epochs end a round, and the weights to put back.

    Source: Frankle and Carbin, The Lottery Ticket Hypothesis, ICLR 2019; Frankle et al., Linear Mode Connectivity and
    the Lottery Ticket Hypothesis, ICML 2020, for rewinding to an early epoch instead of the first weights.

    Args:
        rounds: how often is pruned.
        round_epochs: epochs in each.
        to_epoch: epoch whose weights are put back; 0 for the initial ones.
        parameters: initial weights by name.
    """

    def __init__(self, rounds: int, round_epochs: int, to_epoch: int, parameters: Parameters) -> None:
        self.rounds = rounds
        self.round_epochs = round_epochs
        self.to_epoch = to_epoch
        self.weights: dict[str, Tensor] = {}
        self.keep(0, parameters)

    @classmethod
    def of(cls, parts: SparsityConfig, parameters: Parameters) -> Rewinding | None:
        """Make what the parts of a method ask for; None where they do not rewind."""
        if parts.rewind_rounds is None or parts.round_epochs is None or parts.rewind_to_epoch is None:
            return None
        return cls(parts.rewind_rounds, parts.round_epochs, parts.rewind_to_epoch, parameters)

    def keep(self, epoch: int, parameters: Parameters) -> None:
        """Keep the weights, if this is the epoch to go back to."""
        if epoch == self.to_epoch:
            self.weights = {name: weight.detach().clone() for name, weight in parameters.items()}

    def rounds_done(self, epoch: int) -> int | None:
        """How many rounds are over with this epoch (from 1); None where it ends none."""
        done, left = divmod(epoch, self.round_epochs)
        return done if left == 0 and 1 <= done <= self.rounds else None

    def put_back(self, parameters: Parameters) -> None:
        """Copy the kept weights in, in place."""
        with torch.no_grad():
            for name, weight in self.weights.items():
                parameters[name].copy_(weight)
