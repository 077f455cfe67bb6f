"""How settings, cells and places are written in tables and their notes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from results.cells import Cell, Place, Setting, Statistic
from results.tables.metrics import number_text
from results.tables.model import NOTHING


def printable(text: str) -> str:
    r"""Write control characters as escapes, so that a name cannot steer a terminal.

    >>> printable("a\x1b[31m")
    'a\\x1b[31m'
    """
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def setting_text(value: Setting) -> str:
    """Write the value of a field."""
    return NOTHING if value is None else (repr(value) if isinstance(value, float) else str(value))


def place_text(fields: Sequence[str], values: Sequence[Setting], field: str | None, value: Setting) -> str:
    """Write what some cells share: each field with its value.

    >>> place_text(["epochs"], [8], "sparsity", 0.5)
    'epochs 8, sparsity 0.5'
    """
    pairs = [*zip(fields, values, strict=True), *([(field, value)] if field is not None else [])]
    return ", ".join(f"{name} {setting_text(setting)}" for name, setting in pairs)


def place_name(place: Place) -> str:
    """Write which cell it is, by the values of its fields."""
    values = (*place.group, place.row, *((place.column,) if place.column is not None else ()))
    return ", ".join(map(setting_text, values))


def cell_name(cell: Cell) -> str:
    """Write which cell it is, by the values of its fields."""
    return place_name(cell.place)


def unfinished_text(cell: Cell) -> str:
    """Write what stands in place of a number: nothing where there is one."""
    if cell.is_stopped:
        return "stopped"
    return f"{cell.num_finished}/{cell.of}" if cell.num_finished < cell.of else ""


def statistic_text(cell: Cell, name: str, statistic: Statistic) -> str:
    """Write mean ± std of a finished cell, or what stands in their place."""
    if unfinished_text(cell):
        return unfinished_text(cell)
    if not statistic.n:
        return "diverged" if cell.num_diverged == cell.of else NOTHING
    mean = number_text(name, statistic.mean)
    return mean if math.isnan(statistic.std) else f"{mean} ± {number_text(name, statistic.std)}"


def count_text(cell: Cell, statistic: Statistic) -> str:
    """Write of how many trials a mean is, and how many diverged."""
    diverged = f", {cell.num_diverged} diverged" if cell.num_diverged else ""
    return f"{statistic.n if cell.num_finished == cell.of else NOTHING}{diverged}"


def wrapped(title: str, width: int) -> list[str]:
    """Break a title between its words into lines as short as may be, none of whose words is broken.

    >>> wrapped("sparsity.redistribution magnitude", 16)
    ['sparsity.redistribution', 'magnitude']
    """
    lines: list[str] = []
    for word in title.split(" "):
        if lines and len(lines[-1]) + 1 + len(word) <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines
