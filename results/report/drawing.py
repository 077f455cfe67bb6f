"""The figures of a report: each that the sweep's records allow, as Plotly's data and as the numbers in a table."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from results.evidence import Evidence
from results.figures.model import AnyPanel, Coordinates, Figure, Heatmap, Panel
from results.figures.options import FigureOptions
from results.tables.model import NOTHING, Column, Entry, Table
from selfish_core.errors import InputError

MAX_ROWS = 2000
"""Rows of one panel's numbers that are shown."""


@dataclass(frozen=True)
class Drawn:
    """One figure of a report.

    Args:
        name: of its kind, fit for an id.
        title: one line.
        caption: what is seen, in sentences.
        plotly: `data` and `layout`, JSON-able, and `narrow`: the layout for a phone, no panel beside another.
        numbers: what is drawn, a table for each panel.
    """

    name: str
    title: str
    caption: str
    plotly: Mapping[str, Any]
    numbers: tuple[Table, ...]


@dataclass(frozen=True)
class Drawings:
    """All figures of a report.

    Args:
        drawn: in the order of the registry.
        left_out: (title, why) of those that the records do not allow.
    """

    drawn: tuple[Drawn, ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()


def draw(evidence: Evidence, given: Mapping[str, FigureOptions] | None = None) -> Drawings:
    """Make every figure that a sweep's records allow.

    Args:
        evidence: what is recorded of the sweep.
        given: name of a figure -> what it is made of besides.
    """
    from results.figures.interactive import to_plotly
    from results.figures.registry import FIGURES, build

    drawn: list[Drawn] = []
    left_out: list[tuple[str, str]] = []
    for name, kind in FIGURES.items():
        try:
            figure = build(name, evidence, (given or {}).get(name))
        except InputError as error:
            left_out.append((kind.title, str(error)))
        else:
            spec = {**to_plotly(figure), "narrow": to_plotly(figure, num_columns=1)["layout"]}
            drawn.append(Drawn(name, figure.title, figure.caption, spec, numbers(figure)))
    return Drawings(tuple(drawn), tuple(left_out))


def numbers(figure: Figure) -> tuple[Table, ...]:
    """Write down what a figure shows, a table for each panel."""
    return tuple(_table(figure, panel) for panel in figure.panels)


def _table(figure: Figure, panel: AnyPanel) -> Table:
    if isinstance(panel, Heatmap):
        head, rows = _of_heatmap(panel)
    elif isinstance(panel, Coordinates):
        head, rows = _of_coordinates(panel)
    else:
        head, rows = _of_panel(panel)
    every = tuple(rows)
    notes = (f"The first {MAX_ROWS:,} of {len(every):,} rows; the records have all.",) if len(every) > MAX_ROWS else ()
    return Table(panel.title or figure.title, head, every[:MAX_ROWS], notes)


def _of_panel(panel: Panel) -> tuple[tuple[Column, ...], Iterator[tuple[Entry, ...]]]:
    head = (
        Column("series", is_number=False),
        Column(panel.x.label),
        Column(panel.y.label),
        Column("low"),
        Column("high"),
    )
    return head, _points(panel)


def _points(panel: Panel) -> Iterator[tuple[Entry, ...]]:
    for one in panel.series:
        nothing = (math.nan,) * len(one.x)
        for values in zip(one.x, one.y, one.low or nothing, one.high or nothing, strict=True):
            yield Entry(one.name, one.name), *map(_number, values)
    for mark in panel.marks:
        for x, y in zip(mark.x, mark.y, strict=True):
            yield Entry(mark.name, mark.name), *map(_number, (x, y, math.nan, math.nan))
    for rug in panel.rugs:
        name = f"{rug.name}: {rug.owner}"
        for x in rug.x:
            yield Entry(name, name), *map(_number, (x, math.nan, math.nan, math.nan))


def _of_heatmap(panel: Heatmap) -> tuple[tuple[Column, ...], Iterator[tuple[Entry, ...]]]:
    head = (Column(panel.label, is_number=False), *(Column(name) for name in panel.columns))
    rows = zip(panel.rows, panel.values, strict=True)
    return head, ((Entry(name, name), *map(_number, values)) for name, values in rows)


def _of_coordinates(panel: Coordinates) -> tuple[tuple[Column, ...], Iterator[tuple[Entry, ...]]]:
    head = (
        Column("line", is_number=False),
        *(Column(one.axis.label) for one in panel.dimensions),
    )
    lines = zip(panel.texts, *(one.values for one in panel.dimensions), strict=True)
    return head, ((Entry(text, text), *map(_number, values)) for text, *values in lines)


def _number(value: float) -> Entry:
    if math.isnan(value):
        return Entry(NOTHING)
    return Entry(f"{value:.6g}", value)
