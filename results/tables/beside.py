"""Published numbers beside ours: which number stands beside which cell, and the difference to it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from results.cells import Cell, Place
from results.published import NOT_PUBLISHED, published
from results.tables.definition import Join
from results.tables.model import NOTHING, Entry
from results.tables.view import View
from results.tables.words import place_name

SHOWN = {"test_perplexity": ("test_perplexity", "test_std"), "val_perplexity": ("val_perplexity", "val_std")}
"""Metrics of which numbers are published, and where those stand in a published row."""


@dataclass(frozen=True)
class Beside:
    """What stands beside one cell.

    Args:
        id: row of the published numbers; empty where none belongs to this cell.
        value: the published number; None where there is none.
        std: its standard deviation, where it is published.
        difference: our mean less the published number; None where one of them is missing.
        source: who published it, and where.
        note: what is to be known of it.
    """

    id: str = ""
    value: float | None = None
    std: float | None = None
    difference: float | None = None
    source: str = ""
    note: str = ""

    def entries(self) -> tuple[Entry, Entry]:
        """Return what stands under `published` and under the difference."""
        if self.value is None:
            return Entry(NOTHING), Entry(NOTHING)
        text = f"{self.value:.2f}" + (f" ± {self.std:.2f}" if self.std is not None else "")
        difference = Entry(NOTHING) if self.difference is None else Entry(f"{self.difference:+.2f}", self.difference)
        return Entry(text, self.value), difference

    def text(self) -> str:
        """Return both in words."""
        value, difference = self.entries()
        return f"published {value.text}, ours − published {difference.text}"

    def line(self) -> dict[str, str | float | None]:
        """Return what CSV and JSON say."""
        return {
            "published": NOT_PUBLISHED if self.value is None else self.value,
            "published_std": self.std,
            "difference_to_published": self.difference,
            "published_id": self.id or None,
            "published_source": self.source or None,
        }


def join(cells: Sequence[Cell], view: View, joins: Sequence[Join]) -> dict[Place, Beside]:
    """Find the published number of each cell; nothing at all where none can belong to this table.

    Args:
        cells: of the table.
        view: what it shows.
        joins: of its definition.
    """
    joins = [one for one in joins if set(one.where) <= set(view.fields)]
    if not joins or view.metrics[0] not in SHOWN:
        return {}
    return {cell.place: _beside(cell, view, joins) for cell in cells}


def notes(found: Mapping[Place, Beside], *, has_columns: bool) -> list[str]:
    """Say where the numbers are from, and what a missing one means.

    Args:
        found: from `join`.
        has_columns: whether the numbers stand in columns of the table; else they are told here.
    """
    if not found:
        return []
    rows = {one.id: one for one in found.values() if one.value is not None}
    sources: dict[str, list[str]] = {}
    for one in rows.values():
        sources.setdefault(one.source, []).append(one.id)
    told = [f"Published {', '.join(ids)}: {source}." for source, ids in sources.items()]
    if not has_columns:
        told += [f"{place_name(place)}: {one.text()}." for place, one in found.items() if one.value is not None]
    told += [f"{one.id}: {one.note.rstrip('.')}." for one in rows.values() if one.note]
    if any(one.value is None for one in found.values()):
        missing = f"{NOTHING} under published:" if has_columns else "Every other cell:"
        told.append(f"{missing} {NOT_PUBLISHED}.")
    return told


def _beside(cell: Cell, view: View, joins: Sequence[Join]) -> Beside:
    values = (*cell.place.group, cell.row, *((cell.column,) if view.columns is not None else ()))
    settings = dict(zip(view.fields, values, strict=True))
    row = next((published()[one.id] for one in joins if one.is_of(settings)), None)
    if row is None:
        return Beside()
    value, std = (getattr(row, name) for name in SHOWN[view.metrics[0]])
    mean = cell.metric.mean
    difference = mean - value if value is not None and math.isfinite(mean) else None
    return Beside(row.id, value, std, difference, row.source, row.note)
