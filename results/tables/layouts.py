"""How cells are laid out: `long`, one line each with all of its metrics, or `grid`, rows × columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from results.cells import Cell, Place, Setting, Statistic, setting_order
from results.tables.beside import Beside
from results.tables.metrics import TABLE_METRICS, mean_text
from results.tables.model import Column, Entry
from results.tables.view import View
from results.tables.words import count_text, setting_text, statistic_text, unfinished_text

MIXED = "†"
"""Stands behind the number of a cell whose trials were not all computed by one code, on one machine, from one text."""


@dataclass(frozen=True)
class Grid:
    """Columns and rows, and the rows that begin a new block."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Entry, ...], ...]
    block_starts: tuple[int, ...]


@dataclass(frozen=True)
class Findings:
    """What stands at a cell beside its own numbers.

    Args:
        best: places of the cells that are significantly best.
        beside: published numbers; empty where the table has none.
    """

    best: frozenset[Place] = frozenset()
    beside: Mapping[Place, Beside] = field(default_factory=dict)


def long(cells: Sequence[Cell], view: View, findings: Findings) -> Grid:
    """Lay the cells out one line each: fields, metric, n, the published number, the other metrics."""
    first, *others = view.metrics
    columns = [
        *(Column(name, is_number=name == view.columns) for name in view.fields),
        Column(f"{TABLE_METRICS[first].title} (mean ± std)"),
        Column("n"),
        *([Column("published"), Column("ours − published")] if findings.beside else []),
        *(Column(TABLE_METRICS[name].title) for name in others),
    ]
    return Grid(
        tuple(columns), tuple(_line(cell, view, findings) for cell in cells), _block_starts([c.place for c in cells])
    )


def _line(cell: Cell, view: View, findings: Findings) -> tuple[Entry, ...]:
    published = findings.beside[cell.place].entries() if findings.beside else ()
    others = [Entry(mean_text(name, cell.beside[name]), _value(cell.beside[name].mean)) for name in view.metrics[1:]]
    return (
        *_fields(cell.place, view, has_column=True),
        _number(cell, view.metrics[0], cell.metric, findings),
        Entry(count_text(cell, cell.metric), cell.metric.n),
        *published,
        *others,
    )


def grid(cells: Sequence[Cell], view: View, findings: Findings) -> Grid:
    """Lay the cells out in rows and columns, `mean ± std (n)` in each; a place without trials is empty."""
    values: list[Setting] = sorted({cell.column for cell in cells}, key=setting_order)
    heads = [(value, metric) for value in values for metric in view.metrics]
    columns = [
        *(Column(name, is_number=False) for name in (*view.group_by, view.rows)),
        *(Column(_grid_title(value, metric, view)) for value, metric in heads),
    ]
    found = {cell.place: cell for cell in cells}
    lines = list(dict.fromkeys(Place(cell.place.group, cell.row, None) for cell in cells))
    rows = []
    for line in lines:
        entries = [*_fields(line, view, has_column=False)]
        for value, metric in heads:
            cell = found.get(Place(line.group, line.row, value))
            entries.append(Entry("") if cell is None else _grid_entry(cell, metric, view, findings))
        rows.append(tuple(entries))
    return Grid(tuple(columns), tuple(rows), _block_starts(lines))


def _grid_title(value: Setting, metric: str, view: View) -> str:
    title = TABLE_METRICS[metric].title
    if view.columns is None:
        return title
    where = f"{view.columns.rpartition('.')[2]} {setting_text(value)}"
    return where if len(view.metrics) == 1 else f"{where}: {title}"


def _grid_entry(cell: Cell, metric: str, view: View, findings: Findings) -> Entry:
    is_first = metric == view.metrics[0]
    statistic = cell.metric if is_first else cell.beside[metric]
    entry = _number(cell, metric, statistic, findings)
    count = f" ({count_text(cell, statistic)})" if statistic.n and not unfinished_text(cell) else ""
    return Entry(f"{entry.text}{count}", entry.value, entry.is_best and is_first, entry.mark)


def _number(cell: Cell, metric: str, statistic: Statistic, findings: Findings) -> Entry:
    mark = MIXED if cell.origins.mixed else ""
    return Entry(statistic_text(cell, metric, statistic), _value(statistic.mean), cell.place in findings.best, mark)


def _fields(place: Place, view: View, *, has_column: bool) -> list[Entry]:
    values = [*place.group, place.row]
    if has_column and view.columns is not None:
        values.append(place.column)
    return [Entry(setting_text(value), value) for value in values]


def _value(number: float) -> float | None:
    return number if number == number else None


def _block_starts(places: Sequence[Place]) -> tuple[int, ...]:
    return tuple(index for index in range(1, len(places)) if places[index].group != places[index - 1].group)
