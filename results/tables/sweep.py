"""The default table of a sweep: row field × column field, test perplexity as mean ± std over seeds, and its cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from results.aggregate import BESIDE, DIVERGED, UNFINISHED, Cell, Setting, Statistic
from results.tables.model import Column, Entry, Table

NOTHING = "–"

UNITS = {"num_active_parameters": "weights", "training_flops": "FLOPs", "averaging_epoch": "epoch"}


def build(cells: Sequence[Cell], *, rows: str, columns: str, metric: str, epochs: int, title: str) -> Table:
    """Lay out the cells, one line each.

    Args:
        cells: from `results.aggregate.tabulate`.
        rows: name of the row field, as in the spec.
        columns: name of the column field, as in the spec.
        metric: what the cells average.
        epochs: E of the selection rule.
        title: one line, e.g. the sweep's name.
    """
    head = (
        Column(rows, (rows,), is_number=False),
        Column(columns, (columns,)),
        Column(f"{metric.replace('_', ' ')} (mean ± std)", (f"{metric}_mean", f"{metric}_std")),
        Column("n", ("n", "num_wanted", "num_finished", "num_diverged")),
        Column("active parameters", ("num_active_parameters",)),
        Column("training FLOPs", ("training_flops",)),
        Column("averaging from epoch", ("averaging_epoch_first", "averaging_epoch_last")),
        Column("best possible perplexity", ("best_possible_test_perplexity",)),
    )
    rule = selection_rule(metric, epochs)
    return Table(
        title=title,
        columns=head,
        rows=tuple(_row(cell) for cell in cells),
        notes=(f"Selection: {rule}.", *_notes(cells)),
        data={
            "title": title,
            "rows": rows,
            "columns": columns,
            "metric": metric,
            "epochs": epochs,
            "selection_rule": rule,
            "cells": [_cell_data(cell) for cell in cells],
        },
    )


def selection_rule(metric: str, epochs: int) -> str:
    """Say in one sentence which number of a trial is taken and how a cell averages them."""
    what = metric.replace("_", " ")
    return f"{what} at the epoch ≤ {epochs} of lowest validation perplexity; mean ± sample std over n seeds"


def _row(cell: Cell) -> tuple[Entry, ...]:
    metric, beside = cell.metric, cell.beside
    averaging = beside["averaging_epoch"]
    active, flops, best = (
        beside[name] for name in ("num_active_parameters", "training_flops", "best_possible_test_perplexity")
    )
    return (
        Entry(_setting_text(cell.row), (cell.row,)),
        Entry(_setting_text(cell.column), (cell.column,)),
        Entry(_metric_text(cell), (_number(metric.mean), _number(metric.std))),
        Entry(_count_text(cell), (metric.n, cell.of, cell.num_finished, cell.num_diverged)),
        Entry(f"{active.mean:,.0f}" if active.n else NOTHING, (_number(active.mean),)),
        Entry(f"{flops.mean:.2e}" if flops.n else NOTHING, (_number(flops.mean),)),
        Entry(_range_text(averaging), (_number(averaging.low), _number(averaging.high))),
        Entry(f"{best.mean:.2f}" if best.n else NOTHING, (_number(best.mean),)),
    )


def _metric_text(cell: Cell) -> str:
    if cell.num_finished < cell.of:
        return f"{cell.num_finished}/{cell.of}"
    if not cell.metric.n:
        return "diverged" if cell.num_diverged == cell.of else NOTHING
    if math.isnan(cell.metric.std):
        return f"{cell.metric.mean:.2f}"
    return f"{cell.metric.mean:.2f} ± {cell.metric.std:.2f}"


def _count_text(cell: Cell) -> str:
    diverged = f", {cell.num_diverged} diverged" if cell.num_diverged else ""
    return f"{cell.metric.n if cell.num_finished == cell.of else NOTHING}{diverged}"


def _range_text(statistic: Statistic) -> str:
    if not statistic.n:
        return NOTHING
    low, high = f"{statistic.low:.0f}", f"{statistic.high:.0f}"
    return low if low == high else f"{low}-{high}"


def _setting_text(value: Setting) -> str:
    return NOTHING if value is None else (repr(value) if isinstance(value, float) else str(value))


def _notes(cells: Sequence[Cell]) -> list[str]:
    """Say what a reader of the numbers must know; nothing where all is as usual."""
    notes = []
    if any(cell.num_finished < cell.of for cell in cells):
        notes.append("k/m: k of m trials have finished; the mean is shown when all have.")
    if any(cell.num_diverged for cell in cells):
        notes.append("Diverged trials count as finished; the mean is over the others.")
    if any(cell.is_pruned for cell in cells):
        notes.append("Of trials that are pruned while they train, only epochs at their final sparsity are selected.")
    for cell in cells:
        where = f"{_setting_text(cell.row)}, {_setting_text(cell.column)}"
        num_valueless = cell.of - cell.metric.n - cell.num_diverged
        if cell.pooled:
            notes.append(f"{where}: trials differ in {', '.join(cell.pooled)} as well as in seed.")
        if len(cell.code_versions) > 1:
            notes.append(f"{where}: computed by several versions of the code: {', '.join(cell.code_versions)}.")
        if cell.num_finished == cell.of and num_valueless:
            notes.append(f"{where}: {num_valueless} finished without a value.")
    return notes


def _cell_data(cell: Cell) -> dict[str, Any]:
    return {
        "row": cell.row,
        "column": cell.column,
        "mean": _number(cell.metric.mean),
        "std": _number(cell.metric.std),
        "n": cell.metric.n,
        "num_wanted": cell.of,
        "num_finished": cell.num_finished,
        "num_diverged": cell.num_diverged,
        "beside": {name: _statistic_data(cell.beside[name]) for name in BESIDE},
        "pooled": list(cell.pooled),
        "code_versions": list(cell.code_versions),
        "trials": dict(cell.states),
        "is_complete": not any(state in (UNFINISHED, "missing") for state in cell.states.values()),
        "has_diverged": any(state == DIVERGED for state in cell.states.values()),
    }


def _statistic_data(statistic: Statistic) -> dict[str, Any]:
    return {name: _number(getattr(statistic, name)) for name in ("mean", "std", "n", "low", "high")}


def _number(value: float) -> float | int | str | None:
    """Turn a number into what JSON and CSV can hold: nothing for NaN, a word for infinity."""
    if math.isnan(value):
        return None
    return value if math.isfinite(value) else ("inf" if value > 0 else "-inf")
