"""Axes that suit the numbers on them: their ends and their ticks, computed once for both renderers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from results.figures.model import Axis, Dimension
from results.figures.styles import colour_between

MARGIN = 0.05
"""Share of an axis that is left free at either end."""

MAX_SPANS = 1.5
"""By how much of the values' own spread an axis is longer at either end, for bands to be seen."""

MAX_TICKS, MAX_WHOLE_TICKS = 6, 8

MANTISSAS = ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7), (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8))
"""Where ticks of a logarithmic axis may stand within a decade, from few to many."""

SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def numeric(
    label: str,
    values: Iterable[float],
    *,
    is_log: bool = False,
    ends: Iterable[float] = (),
    room_below: float = 0.0,
    whole: bool = False,
) -> Axis:
    """Return an axis for numbers.

    Args:
        label: what it shows.
        values: what must be seen; what is not finite, or not positive on a logarithmic axis, is passed over.
        is_log: whether equal ratios are equal distances.
        ends: of bands and bars: seen as far as they do not press the values together.
        room_below: share of the axis that is left free under the values, in [0, 1).
        whole: whether ticks stand at whole numbers only.
    """
    low, high = _spread([_scaled(value, is_log) for value in values if _is_shown(value, is_log)], is_log=is_log)
    span = high - low
    seen = [_scaled(end, is_log) for end in ends if _is_shown(end, is_log)]
    low = max(min([low, *seen]), low - MAX_SPANS * span)
    high = min(max([high, *seen]), high + MAX_SPANS * span)
    length = high - low
    low, high = low - MARGIN * length, high + MARGIN * length
    low -= room_below / (1.0 - room_below) * (high - low)
    if not is_log:
        return Axis(label, False, (low, high), ticks(low, high, 1.0 if whole else 0.0))
    limits = (10.0**low, 10.0**high)
    return Axis(label, True, limits, _log_ticks(*limits))


def fraction(label: str) -> Axis:
    """Return an axis for shares: from 0 to 1, and a little room for lines that run along its ends."""
    return Axis(label, False, (-0.03, 1.03), ticks(0.0, 1.0))


def categories(label: str, names: Sequence[str]) -> Axis:
    """Return an axis with names at 0, 1, 2 and so on."""
    return Axis(label, False, (-0.5, len(names) - 0.5), tuple((float(at), name) for at, name in enumerate(names)))


def has_names(axis: Axis) -> bool:
    """Whether the ticks are names of things and no numbers."""
    return any(label != number_text(value) for value, label in axis.ticks)


def share(axis: Axis, value: float) -> float:
    """Return how far along an axis a value is: 0 at its first end, 1 at its last; NaN for one that is not there."""
    low, high = (_scaled(end, axis.is_log) for end in axis.limits)
    return (_scaled(value, axis.is_log) - low) / (high - low) if math.isfinite(value) else math.nan


def value_at(axis: Axis, place: float) -> float:
    """Return the value at a share of an axis's length: undoes `share`."""
    low, high = (_scaled(end, axis.is_log) for end in axis.limits)
    found = low + place * (high - low)
    return float(10.0**found) if axis.is_log else found


def line_colours(dimension: Dimension) -> tuple[str, ...]:
    """Return a colour for each value of a dimension, from the lowest to the highest along its axis."""
    places = [share(dimension.axis, value) for value in dimension.values]
    low, high = min(places), max(places)
    return tuple(colour_between((place - low) / (high - low) if high > low else 0.0) for place in places)


def number_text(value: float) -> str:
    """Write a tick's number short.

    >>> number_text(0.30000000000000004), number_text(150.0), number_text(2e15), number_text(1e-4)
    ('0.3', '150', '2·10¹⁵', '10⁻⁴')
    """
    if value == 0 or 1e-3 <= abs(value) < 1e5:
        return f"{value:.6g}"
    mantissa, exponent = f"{value:.3e}".split("e")
    power = "10" + str(int(exponent)).translate(SUPERSCRIPTS)
    head = f"{float(mantissa):g}"
    return power if head == "1" else f"{head}·{power}"


def _is_shown(value: float, is_log: bool) -> bool:
    return math.isfinite(value) and (value > 0 or not is_log)


def _scaled(value: float, is_log: bool) -> float:
    return math.log10(value) if is_log else value


def _spread(values: Sequence[float], *, is_log: bool) -> tuple[float, float]:
    """Return the ends of the values, a little apart where they are one."""
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    least = 0.01 if is_log else 0.01 * max(abs(low), abs(high), 1e-9)
    return (low, high) if high - low >= least else (low - least, high + least)


def ticks(low: float, high: float, least_step: float = 0.0) -> tuple[tuple[float, str], ...]:
    """Return round places between two ends, with their labels."""
    rough = (high - low) / (MAX_WHOLE_TICKS if least_step else MAX_TICKS)
    power = 10.0 ** math.floor(math.log10(rough))
    step = max(least_step, next(power * mantissa for mantissa in (1, 2, 5, 10) if power * mantissa >= rough))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    places = [float(f"{number * step:.12g}") for number in range(first, last + 1)]
    return tuple((place, number_text(place)) for place in places)


def _log_ticks(low: float, high: float) -> tuple[tuple[float, str], ...]:
    """Return the most ticks that fit; where even the finest are too few, those of a linear axis."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    found: list[float] = []
    for mantissas in MANTISSAS:
        places = [
            float(f"{mantissa}e{decade}")
            for decade in decades
            for mantissa in mantissas
            if low <= mantissa * 10.0**decade <= high
        ]
        if len(found) < len(places) <= MAX_TICKS + 1:
            found = places
    if len(found) >= 3:
        return tuple((place, number_text(place)) for place in found)
    if high / low > 100:
        inside = [float(f"1e{decade}") for decade in decades if low <= 10.0**decade <= high]
        return tuple((place, number_text(place)) for place in inside[:: math.ceil(len(inside) / MAX_TICKS)])
    return tuple((place, text) for place, text in ticks(low, high) if place > 0)
