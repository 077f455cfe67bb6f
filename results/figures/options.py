"""What a user may choose of a figure, and what some figures are made of besides a sweep's evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

BANDS = ("interval", "std")
"""What is drawn around a mean: its 95 % t interval, or one sample standard deviation to each side."""


@dataclass(frozen=True)
class Distances:
    """How far trials are from each other.

    Args:
        keys: content keys of the trials, in any order.
        values: a row for each, in [0, 1]; symmetric, with zeros on the diagonal.
        note: of which epochs the masks are, and which trials have none; one line.
    """

    keys: tuple[str, ...]
    values: tuple[tuple[float, ...], ...]
    note: str = ""


@dataclass(frozen=True)
class Parameter:
    """What a search chose from along one axis, point by point.

    Args:
        name: the axis's fields.
        values: of each point: a number, or the label of its choice; None where the point does not have the axis.
        is_log: whether it was searched by ratios.
        importance: share of what the values explain of the metric's variance, in [0, 1]; None where it is not known.
    """

    name: str
    values: tuple[float | str | None, ...]
    is_log: bool = False
    importance: float | None = None


@dataclass(frozen=True)
class Searched:
    """The points of a search that are over and worth something.

    Args:
        parameters: the axes.
        metric: what was made small.
        values: of the points, in the order in which they were asked for.
        numbers: of the points, from 0.
        evaluator: how importances were found, in words; empty where they were not.
    """

    parameters: tuple[Parameter, ...]
    metric: str
    values: tuple[float, ...]
    numbers: tuple[int, ...]
    evaluator: str = ""


@dataclass(frozen=True)
class FigureOptions:
    """What a figure is to show.

    Args:
        by: field whose values have a colour each; the rows of the spec's table where it is None.
        metric: what is drawn; the figure's own choice where it is None.
        where: field to value, of the trials to be shown; all where it is empty.
        band: one of `BANDS`; the figure's own choice where it is empty.
        distances: between the trials' masks, for the figure that shows them.
        searched: the points of the sweep's search, for the figures that show them.
    """

    by: str | None = None
    metric: str | None = None
    where: Mapping[str, str] = field(default_factory=dict)
    band: str = ""
    distances: Distances | None = None
    searched: Searched | None = None
