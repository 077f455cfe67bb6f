"""A figure as plain data: panels of series with bands, marks and labels; it knows no plotting library.

What is drawn is decided here and in the figures' own modules, how it looks in print and on a screen in the renderers.
Every number stands as it is computed, so that a test can compare it with one worked out by hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from results.figures.styles import Style

Numbers = tuple[float, ...]
Form = Literal["line", "dots", "path", "level", "front", "bars"]

RUG_STEP, MOST_RUGS = 0.035, 0.2
"""Share of a panel's height for one row of ticks at its foot, and for all rows at most."""


def rug_step(number: int) -> float:
    """Return the height of one of so many rows of ticks, as a share of the panel's."""
    return min(RUG_STEP, MOST_RUGS / max(number, 1))


@dataclass(frozen=True)
class Axis:
    """One axis of a panel.

    Args:
        label: what it shows, and its unit.
        is_log: whether equal ratios are equal distances.
        limits: its two ends.
        ticks: places and their labels.
    """

    label: str
    is_log: bool
    limits: tuple[float, float]
    ticks: tuple[tuple[float, str], ...]


@dataclass(frozen=True)
class Series:
    """Points that belong together.

    Args:
        name: in the legend; series of one name share its entry.
        style: how they are told apart.
        x: places, increasing where the form is a line.
        y: values; NaN leaves a gap.
        low: lower end of each point's band or bar; empty where there is none, NaN where it cannot be said.
        high: upper end likewise.
        form: `line` with a band, `dots` with error bars, `level` (a horizontal line across the panel with the band of
            its only point), `path` (dots joined by a thin line), `front` (steps between ringed points that nothing is
            better than), `bars` (from 0 to x, at y).
        texts: what an interactive form tells of each point; empty or one for each.
    """

    name: str
    style: Style
    x: Numbers
    y: Numbers
    low: Numbers = ()
    high: Numbers = ()
    form: Form = "line"
    texts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Marks:
    """Events on the curves, as stars.

    Args:
        name: what happened; one entry in the legend for all of a name.
        style: of the curve.
        x: where.
        y: the curve's value there.
        texts: one for each.
    """

    name: str
    style: Style
    x: Numbers
    y: Numbers
    texts: tuple[str, ...]


@dataclass(frozen=True)
class Rug:
    """Places of many small events, as ticks at the foot of a panel, one row for each rug.

    Args:
        name: what happened; one entry in the legend for all of a name.
        owner: whose they are.
        style: of the owner's series.
        x: where.
    """

    name: str
    owner: str
    style: Style
    x: Numbers


@dataclass(frozen=True)
class Panel:
    """Series over two axes.

    Args:
        title: empty where there is nothing to say.
        x: the horizontal axis.
        y: the vertical axis.
        series: in the order in which they are drawn.
        marks: events on the series.
        rugs: events at the foot.
    """

    title: str
    x: Axis
    y: Axis
    series: tuple[Series, ...]
    marks: tuple[Marks, ...] = ()
    rugs: tuple[Rug, ...] = ()


@dataclass(frozen=True)
class Heatmap:
    """A matrix of numbers in colours.

    Args:
        title: empty where there is nothing to say.
        rows: labels, from above.
        columns: labels.
        values: rows of numbers; NaN where there is none.
        label: what the numbers are.
        groups: number of neighbouring rows and columns that belong together, between which lines are drawn.
    """

    title: str
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    values: tuple[Numbers, ...]
    label: str
    groups: tuple[int, ...] = ()


@dataclass(frozen=True)
class Dimension:
    """One axis of parallel coordinates.

    Args:
        axis: label, scale, ends and ticks.
        values: one for each line; NaN where a line does not have it.
    """

    axis: Axis
    values: Numbers


@dataclass(frozen=True)
class Coordinates:
    """Parallel coordinates: a line for each of many things, across axes that stand side by side.

    Args:
        title: empty where there is nothing to say.
        dimensions: the last one gives the colour.
        texts: one for each line.
    """

    title: str
    dimensions: tuple[Dimension, ...]
    texts: tuple[str, ...]


AnyPanel = Panel | Heatmap | Coordinates


@dataclass(frozen=True)
class Figure:
    """What one figure shows.

    Args:
        name: as in the registry.
        title: one line.
        caption: what is seen, how it is computed, and what is left out, in sentences.
        note: the shortest form of how lines and bands are made, drawn with the legend.
        panels: in the order of reading.
        num_columns: panels beside each other.
        is_wide: whether it spans two columns of a paper.
    """

    name: str
    title: str
    caption: str
    note: str
    panels: tuple[AnyPanel, ...]
    num_columns: int = 1
    is_wide: bool = False
