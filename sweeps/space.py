"""The space of a searched sweep: axes with choices or ranges, some of which are there only where another one says so.

A point is made axis by axis: whoever searches is asked for one option of each axis that is there. Conditions name axes
without a condition, so these are asked for first.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from sweeps.axes import Point, Setting
from sweeps.scalars import Scalar

MAX_CORNERS = 2000
"""Corner points that are looked at before a search starts."""

NUM_DIGITS = 6
"""Digits that count of a number in a range without steps."""


@dataclass(frozen=True)
class Condition:
    """Where an axis is there: where a field has one of these values.

    Args:
        name: the field as the spec names it.
        field: the field that is meant.
        values: any of which will do.
        line: where it stands in the spec.
    """

    name: str
    field: tuple[str, ...]
    values: tuple[Scalar, ...]
    line: int

    def holds(self, point: Point) -> bool:
        """Whether a point has the field at one of the values."""
        found = [setting.value for setting in point if setting.field == self.field]
        return bool(found) and any(is_same(found[0], value) for value in self.values)


@dataclass(frozen=True)
class Choice:
    """An axis with a few options.

    Args:
        name: its fields.
        options: settings of which one holds; no two of them equal.
        line: where it stands in the spec.
        when: conditions that must all hold.
    """

    name: str
    options: tuple[Point, ...]
    line: int
    when: tuple[Condition, ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """The options in words, each another one."""
        return tuple(", ".join(_label(setting) for setting in option) for option in self.options)

    def corners(self) -> tuple[Point, ...]:
        """Return the options that say whether all will do: every one."""
        return self.options

    def taken(self, point: Mapping[str, Scalar]) -> Point | None:
        """Return the option that a point has; None where it has none of them."""
        fitting = (option for option in self.options if all(_has(point, setting) for setting in option))
        return max(fitting, key=len, default=None)


@dataclass(frozen=True)
class Range:
    """An axis with all numbers between two ends.

    Args:
        name: the field as the spec names it.
        field: the field that is meant.
        low: the smallest, itself allowed.
        high: the largest, itself allowed.
        is_whole: whether only whole numbers count.
        line: where it stands in the spec.
        is_log: whether equal ratios count as equal distances.
        step: between two neighbours, from `low`; None for no grid.
        when: conditions that must all hold.
    """

    name: str
    field: tuple[str, ...]
    low: float
    high: float
    is_whole: bool
    line: int
    is_log: bool = False
    step: float | None = None
    when: tuple[Condition, ...] = ()

    def at(self, number: float) -> Point:
        """Return the setting at a number as people would write it: to six digits, or on the grid of steps."""
        if self.is_whole:
            number = int(number)
        elif self.step is not None:
            low, step = Decimal(repr(self.low)), Decimal(repr(self.step))
            number = float(low + round((Decimal(repr(number)) - low) / step) * step)
        else:
            number = min(max(float(f"{number:.{NUM_DIGITS}g}"), self.low), self.high)
        return (Setting(self.name, self.field, number, self.line),)

    def corners(self) -> tuple[Point, ...]:
        """Return the options that say whether all will do: the ends."""
        return (self.at(self.low), self.at(self.high))

    def taken(self, point: Mapping[str, Scalar]) -> Point | None:
        """Return the number that a point has; None where it has none, or one outside."""
        number = point.get(self.name)
        if isinstance(number, bool) or not isinstance(number, int | float) or not self.low <= number <= self.high:
            return None
        found = self.at(number)
        return found if found[0].value == number else None


Axis = Choice | Range


@dataclass(frozen=True)
class Space:
    """What a search chooses from.

    Args:
        axes: those without a condition first.
        line: where they start in the spec.
    """

    axes: tuple[Axis, ...]
    line: int

    @property
    def has_conditions(self) -> bool:
        """Whether an axis is not always there."""
        return any(axis.when for axis in self.axes)

    @property
    def num_points(self) -> int | None:
        """Number of points, conditions apart; None where there is a range."""
        counts = [len(axis.options) for axis in self.axes if isinstance(axis, Choice)]
        number = 1
        for count in counts:
            number *= count
        return number if len(counts) == len(self.axes) else None

    def make(self, choose: Callable[[Axis], Point]) -> Point:
        """Make a point.

        Args:
            choose: returns an option of an axis; asked once for each axis that is there, in order.
        """
        point: Point = ()
        for axis in self.axes:
            if all(condition.holds(point) for condition in axis.when):
                point += choose(axis)
        return point

    def find(self, values: Mapping[str, Scalar]) -> dict[Axis, Point] | None:
        """Return which option of each axis a point has; None where it is no point of this space.

        Args:
            values: of its fields, as the spec names them.
        """
        taken: dict[Axis, Point] = {}

        def choose(axis: Axis) -> Point:
            taken[axis] = axis.taken(values) or ()
            return taken[axis]

        point = self.make(choose)
        is_whole = all(taken.values()) and {setting.name: setting.value for setting in point} == dict(values)
        return taken if is_whole else None

    def corners(self) -> Iterator[Point]:
        """Yield points that hold every pair of options of any two axes, of a range its ends; at most `MAX_CORNERS`."""
        yield from itertools.islice(self._corners(), MAX_CORNERS)

    def _corners(self) -> Iterator[Point]:
        seen = set()
        for pair in itertools.combinations(self.axes, min(2, len(self.axes))):
            for options in itertools.product(*(axis.corners() for axis in pair)):
                wanted = dict(zip(pair, options, strict=True))
                point = self.make(lambda axis, wanted=wanted: wanted.get(axis) or self._fitting(axis, wanted))  # type: ignore[misc]
                values = tuple((setting.field, setting.value) for setting in point)
                if values not in seen:
                    seen.add(values)
                    yield point

    def _fitting(self, axis: Axis, wanted: Mapping[Axis, Point]) -> Point:
        """Return the first option of an axis at which the wanted ones are there, if it has any such."""
        conditions = [condition for other in wanted for condition in other.when]
        for option in axis.corners():
            fields = {setting.field for setting in option}
            if all(condition.holds(option) for condition in conditions if condition.field in fields):
                return option
        return axis.corners()[0]


def is_same(left: Scalar, right: Scalar) -> bool:
    """Whether two values mean the same: 1 and 1.0 do, 1 and true do not."""
    return isinstance(left, bool) == isinstance(right, bool) and left == right


def distinct(options: Sequence[Point]) -> tuple[Point, ...]:
    """Return options without those that say the same as one before."""
    found: dict[tuple[object, ...], Point] = {}
    for option in options:
        found.setdefault(tuple((s.field, isinstance(s.value, bool), s.value) for s in option), option)
    return tuple(found.values())


def _has(point: Mapping[str, Scalar], setting: Setting) -> bool:
    return setting.name in point and is_same(point[setting.name], setting.value)


def _label(setting: Setting) -> str:
    return f"{setting.name}={setting.value}"
