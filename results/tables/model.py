"""A table: columns, rows of numbers with the text they are shown as, and the notes printed below."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Column:
    """One column.

    Args:
        title: what stands above it in text, Markdown and LaTeX.
        names: the machine names of its values in CSV; a `mean ± std (n)` column has several.
        is_number: whether it is aligned to the right.
    """

    title: str
    names: tuple[str, ...]
    is_number: bool = True


@dataclass(frozen=True)
class Entry:
    """What stands in one row under one column.

    Args:
        text: as a person reads it.
        values: one for each of the column's names; `None` where there is nothing.
    """

    text: str
    values: tuple[Any, ...]


@dataclass(frozen=True)
class Table:
    """What is rendered.

    Args:
        title: one line.
        columns: from left to right.
        rows: in order; each has one entry a column.
        notes: lines below the table; the selection rule is the first.
        data: what JSON says of it, without the format's version.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Entry, ...], ...]
    notes: tuple[str, ...]
    data: Mapping[str, Any] = field(default_factory=dict)
