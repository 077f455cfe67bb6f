"""How a global sparsity is split over tensors, and the only rule that rounds a density to a count.

Torch-free, because parameter and FLOPs counts are made of it before any model exists.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from math import prod

from selfish_core.catalogue.sizes.shape import ParameterShape


def num_active(density: float, size: int) -> int:
    """Round a density to a number of active weights: nearest, halves up, never more than there are.

    >>> num_active(0.33, 10), num_active(0.25, 2)
    (3, 1)
    """
    return min(size, math.floor(density * size + 0.5))


def num_removed(removal_rate: float, active: int) -> int:
    """Round a removal rate to a number of weights: up, as the official code does.

    >>> num_removed(0.5, 5), num_removed(0.0, 5)
    (3, 0)
    """
    return min(active, math.ceil(removal_rate * active))


def dense(level: float, shapes: Sequence[ParameterShape]) -> tuple[float, ...]:  # noqa: ARG001 - the family's signature
    """Density 1 everywhere."""
    return (1.0,) * len(shapes)


def uniform(level: float, shapes: Sequence[ParameterShape]) -> tuple[float, ...]:
    """Give every tensor the same density."""
    return (1.0 - level,) * len(shapes)


def er(level: float, shapes: Sequence[ParameterShape]) -> tuple[float, ...]:
    """Erdős–Rényi: density of a (rows, columns) tensor proportional to (rows + columns) / (rows · columns).

    The factor is solved in closed form over the tensors that are not full; a tensor whose density would pass 1 is full,
    and the rest make up for it (the official code searches, without a cap).

    Source: Mocanu et al., SET, Nature Communications 2018.
    """
    return _in_proportion(
        level, shapes, [sum(shape.shape[:2]) * shape.size // prod(shape.shape[:2]) for shape in shapes]
    )


def erk(level: float, shapes: Sequence[ParameterShape]) -> tuple[float, ...]:
    """Erdős–Rényi-Kernel: as `er`, with every dimension of a tensor; for matrices the two are the same.

    Source: Evci et al., Rigging the Lottery, ICML 2020.
    """
    return _in_proportion(level, shapes, [sum(shape.shape) for shape in shapes])


def _in_proportion(level: float, shapes: Sequence[ParameterShape], sides: Sequence[int]) -> tuple[float, ...]:
    sizes = [shape.size for shape in shapes]
    wanted = (1.0 - level) * sum(sizes)
    full: set[int] = set()
    while True:
        free = [index for index in range(len(sizes)) if index not in full]
        if not free:
            return (1.0,) * len(sizes)
        epsilon = (wanted - sum(sizes[index] for index in full)) / sum(sides[index] for index in free)
        over = {index for index in free if epsilon * sides[index] > sizes[index]}
        if not over:
            break
        full |= over
    return tuple(1.0 if index in full else epsilon * sides[index] / sizes[index] for index in range(len(sizes)))


DISTRIBUTIONS: dict[str, Callable[[float, Sequence[ParameterShape]], tuple[float, ...]]] = {
    "dense": dense,
    "small_dense": dense,
    "uniform": uniform,
    "er": er,
    "erk": erk,
}
