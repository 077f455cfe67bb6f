"""The removal rate over time: share of active weights removed at the mask update after step t of T."""

from __future__ import annotations

import math
from collections.abc import Callable


def never(progress: float, start: float, end: float) -> float:  # noqa: ARG001 - the family's signature
    """Remove nothing, ever."""
    return 0.0


def constant(progress: float, start: float, end: float) -> float:  # noqa: ARG001 - the family's signature
    """Keep the first rate."""
    return start


def linear(progress: float, start: float, end: float) -> float:
    """Go from `start` to `end` in a straight line, and stay there.

    >>> linear(0.5, 0.8, 0.0), linear(2.0, 0.8, 0.0)
    (0.4, 0.0)
    """
    return start + (end - start) * min(1.0, progress)


def cosine(progress: float, start: float, end: float) -> float:
    """Go from `start` to `end` along half a cosine, and stay there: end + (start - end)(1 + cos(pi t/T)) / 2.

    >>> round(cosine(0.0, 0.8, 0.005), 3), round(cosine(0.5, 0.8, 0.005), 4), cosine(3.0, 0.8, 0.005)
    (0.8, 0.4025, 0.005)

    Source: Dettmers and Zettlemoyer 2019; floor 0.005 in the official code of Liu et al. 2021.
    """
    return end + (start - end) * (1.0 + math.cos(math.pi * min(1.0, progress))) / 2.0


SCHEDULES: dict[str, Callable[[float, float, float], float]] = {
    "never": never,
    "constant": constant,
    "linear": linear,
    "cosine": cosine,
    "cubic": never,
    "rewind": never,
}
"""Name to a function of (t/T, first rate, last rate); pruning has counts to reach and no rate."""
