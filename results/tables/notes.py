"""The lines below a table that say what a reader of its numbers must know; none where all is as usual."""

from __future__ import annotations

from collections.abc import Sequence

from results.cells import Cell
from results.tables.layouts import MIXED
from results.tables.words import cell_name

MAX_CELLS = 4
"""So many cells are named in one line."""


def of_cells(cells: Sequence[Cell]) -> list[str]:
    """Say what is unfinished, diverged, pooled, mixed or without a value."""
    notes = []
    if any(cell.is_awaited for cell in cells):
        notes.append("k/m: k of m trials have finished; the mean is shown when all have.")
    if any(cell.is_stopped for cell in cells):
        notes.append("stopped: early stopping gave the setting up before its last epoch.")
    if any(cell.num_diverged for cell in cells):
        notes.append("Diverged trials count as finished; the mean is over the others.")
    if any(cell.is_pruned for cell in cells):
        notes.append("Of trials that are pruned while they train, only epochs at their final sparsity are selected.")
    notes += _pooled(cells)
    notes += _mixed(cells)
    valueless = [cell for cell in cells if cell.num_finished == cell.of > cell.metric.n + cell.num_diverged]
    if valueless:
        notes.append(f"{_named(valueless)}: finished without a value for some of the trials.")
    return notes


def _pooled(cells: Sequence[Cell]) -> list[str]:
    """Say which fields cells pool, one line for those that pool the same."""
    groups: dict[tuple[str, ...], list[Cell]] = {}
    for cell in cells:
        if cell.pooled:
            groups.setdefault(cell.pooled, []).append(cell)
    return [
        f"{_named(group)}: trials differ in {', '.join(fields)} as well as in seed." for fields, group in groups.items()
    ]


def _mixed(cells: Sequence[Cell]) -> list[str]:
    """Say which cells mix what, one line for each kind."""
    groups: dict[str, list[Cell]] = {}
    for cell in cells:
        for what in cell.origins.mixed:
            groups.setdefault(what, []).append(cell)
    return [f"{MIXED} mixes {what}: {_named(group)}; --format json has them." for what, group in groups.items()]


def _named(cells: Sequence[Cell]) -> str:
    names = "; ".join(cell_name(cell) for cell in cells[:MAX_CELLS])
    return f"{names} and {len(cells) - MAX_CELLS} more" if cells[MAX_CELLS:] else names
