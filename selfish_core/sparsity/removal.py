"""Removal: which active weights become inactive, by a count, a threshold that adapts, or a change of sign."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from selfish_core.sparsity.pools import Pool, choose_in_pool

Tensors = dict[str, Tensor]


def by_count(pools: Sequence[Pool], counts: Sequence[int], scores: Tensors, active: Tensors) -> Tensors:
    """Remove the lowest scores of each pool.

    Args:
        pools: blocks that compete.
        counts: how many go, for each pool.
        scores: by tensor; higher stays.
        active: by tensor, bool.

    Returns:
        What goes, by tensor, bool.
    """
    removed = {name: torch.zeros_like(mask) for name, mask in active.items()}
    for pool, count in zip(pools, counts, strict=True):
        for block, chosen in zip(pool, choose_in_pool(pool, scores, active, count), strict=True):
            removed[block.tensor][block.rows] |= chosen
    return removed


@dataclass
class Thresholds:
    """One threshold a pool, doubled or halved until it removes about as much as is wanted.

    Args:
        values: by pool.
        tolerance: relative error of the number removed that is accepted.

    Source: Mostafa and Wang, ICML 2019: halved when too many went, doubled when too few did.
    """

    values: list[float]
    tolerance: float

    def counts(self, pools: Sequence[Pool], scores: Tensors, active: Tensors) -> list[int]:
        """Count the active weights of each pool whose score is below its threshold."""
        return [
            sum(
                int((active[block.tensor][block.rows] & (scores[block.tensor][block.rows] < value)).sum())
                for block in pool
            )
            for pool, value in zip(pools, self.values, strict=True)
        ]

    def adapt(self, counts: Sequence[int], wanted: Sequence[float]) -> None:
        """Move each threshold for the next update."""
        for index, (count, want) in enumerate(zip(counts, wanted, strict=True)):
            if count > (1.0 + self.tolerance) * want:
                self.values[index] /= 2.0
            elif count < (1.0 - self.tolerance) * want:
                self.values[index] *= 2.0


class Signs:
    """The sign that each weight had when it became active, and the tiny value with which a new one starts.

    Args:
        weights: masked tensors at the start.
        generator: of the signs of new weights.

    Source: Bellec et al., Deep Rewiring, ICLR 2018: a weight is sign times a parameter that must not fall below zero.
    """

    START = 1e-12

    def __init__(self, weights: Mapping[str, Tensor], generator: torch.Generator) -> None:
        self.is_positive = {name: weight >= 0 for name, weight in weights.items()}
        self._generator = generator

    def changed(self, name: str, weight: Tensor) -> Tensor:
        """Mark the weights on the other side of zero."""
        return torch.where(self.is_positive[name], weight < 0, weight > 0)

    def start_(self, name: str, weight: Tensor, started: Tensor) -> None:
        """Draw signs for new weights, and give them their first value, in place; nothing is drawn where none is new."""
        if not bool(started.any()):
            return
        drawn = torch.rand(started.shape, generator=self._generator, device=self._generator.device) < 0.5
        positive = drawn.to(started.device)
        self.is_positive[name].copy_(torch.where(started, positive, self.is_positive[name]))
        weight.copy_(torch.where(started, (positive.to(weight.dtype) * 2 - 1) * self.START, weight))
