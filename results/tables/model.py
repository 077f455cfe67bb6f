"""A table: columns, rows of what is shown, the notes printed below, and all of its numbers for programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

NOTHING = "–"


@dataclass(frozen=True)
class Column:
    """One column.

    Args:
        title: what stands above it.
        is_number: whether it is aligned to the right.
    """

    title: str
    is_number: bool = True


@dataclass(frozen=True)
class Entry:
    """What stands in one row under one column.

    Args:
        text: as a person reads it.
        value: what rows are sorted by: a number or a text; `None` where there is nothing.
        is_best: whether it is significantly the best of those it is compared with.
        mark: a sign behind the number that a note explains; empty as a rule.
    """

    text: str
    value: str | int | float | bool | None = None
    is_best: bool = False
    mark: str = ""


@dataclass(frozen=True)
class Table:
    """What is rendered.

    Args:
        title: one line.
        columns: from left to right.
        rows: in order; each has one entry a column.
        notes: lines below the table; the selection rule is the first.
        block_starts: numbers of the rows, from 1, that begin a new block of rows; the first row's is left out.
        lines: what CSV says, one flat line for each cell, all with the same names.
        data: what JSON says, without the format's version.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Entry, ...], ...] = field(repr=False)
    notes: tuple[str, ...] = field(repr=False)
    block_starts: tuple[int, ...] = ()
    lines: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    data: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def _repr_html_(self) -> str:
        """Return what a notebook shows where the table stands at the end of a cell."""
        from results.tables.fragment import as_html

        return as_html(self)
