"""Redistribution: how many weights every tensor (or gate) may regrow, and the one rule that shares a number out."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor


def share(kind: str, weight: Tensor, momentum: Tensor | None, active: Tensor) -> float:
    """What a block's share of the regrowth is proportional to.

    Args:
        kind: `magnitude` or `momentum`: mean absolute value over the active weights; `nonzeros`: their number.
        weight: the block's weights.
        momentum: the optimizer's momentum of them, where `kind` reads it.
        active: bool; the means are over the weights active before the removal, `nonzeros` counts those after it.

    Source: Dettmers and Zettlemoyer 2019 for momentum and magnitude, which their published code takes before it
    removes; Mostafa and Wang 2019 for nonzeros, the surviving weights.
    """
    count = int(active.sum())
    if kind == "nonzeros" or count == 0:
        return float(count)
    values = weight if kind == "magnitude" else momentum
    if values is None:
        raise ValueError("redistribution reads the momentum, and none was passed")
    return float(values[active].abs().mean())


def allot(total: int, shares: Sequence[float], capacities: Sequence[int]) -> list[int]:
    """Share a number out in proportion, nobody above its capacity; what is over goes to the others, in proportion.

    Whole numbers by the largest remainders, the first of equals. Where all shares that are left are zero, room decides.

    Args:
        total: what is to be shared; capped at the sum of the capacities.
        shares: finite, at least 0.
        capacities: at least 0.

    >>> allot(10, [1.0, 1.0, 3.0], [9, 9, 9]), allot(10, [1.0, 1.0, 3.0], [9, 9, 2]), allot(3, [0.0, 0.0], [4, 2])
    ([2, 2, 6], [4, 4, 2], [2, 1])
    """
    left = float(max(0, min(total, sum(capacities))))
    wanted = [0.0] * len(shares)
    waiting = [index for index, capacity in enumerate(capacities) if capacity > 0]
    while waiting and left > 0:
        weights = {index: shares[index] for index in waiting}
        if not any(weights.values()):
            weights = {index: float(capacities[index]) for index in waiting}
        whole = math.fsum(weights.values())
        parts = {index: left * weight / whole for index, weight in weights.items()}
        full = [index for index in waiting if parts[index] >= capacities[index]]
        for index in full or waiting:
            wanted[index] = float(capacities[index]) if full else parts[index]
        left = left - sum(wanted[index] for index in full) if full else 0.0
        waiting = [index for index in waiting if index not in full]
    return _whole(wanted, max(0, min(total, sum(capacities))), capacities)


def _whole(wanted: Sequence[float], total: int, capacities: Sequence[int]) -> list[int]:
    counts = [math.floor(value + 1e-9) for value in wanted]
    order = sorted(range(len(wanted)), key=lambda index: (counts[index] - wanted[index], index))
    for index in order * 2:
        if sum(counts) < total and counts[index] < capacities[index]:
            counts[index] += 1
    return counts
