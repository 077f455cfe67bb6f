"""From what is recorded of one or more sweeps to a table: cells, who is best, published numbers, layout and notes."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import pandas as pd

from results.cells import EPOCHS, Cell, tabulate
from results.evidence import Evidence
from results.tables import beside, contests, exact, layouts, notes
from results.tables.definition import Definition
from results.tables.metrics import selection_rule
from results.tables.model import Table
from results.tables.view import View
from selfish_core.errors import InputError


def assemble(evidence: Sequence[Evidence], view: View, stopped: Collection[str] = ()) -> Table:
    """Build a table.

    Args:
        evidence: what is recorded of its sweeps, at least one.
        view: what to show; a `Definition` brings its title and published numbers.
        stopped: content keys of trials that early stopping gave up.
    """
    cells = cells_of(evidence, view, stopped)
    seeds = tuple(dict.fromkeys(seed for one in evidence for seed in one.spec.seeds))
    held = contests.hold(cells, view)
    published = beside.join(cells, view, view.published if isinstance(view, Definition) else ())
    lay_out = layouts.grid if view.layout == "grid" else layouts.long
    laid = lay_out(cells, view, layouts.Findings(contests.best_places(held), published))
    rule = selection_rule(
        view.metrics if view.layout == "grid" else view.metrics[:1], [one.spec.epochs for one in evidence]
    )
    title = _title(evidence, view)
    return Table(
        title=title,
        columns=laid.columns,
        rows=laid.rows,
        notes=(
            f"Selection: {rule}.",
            *notes.of_cells(cells),
            *contests.notes(held, view, seeds),
            *beside.notes(published, has_columns=view.layout == "long"),
        ),
        block_starts=laid.block_starts,
        lines=exact.lines(cells, view, held, published),
        data={
            "title": title,
            "rows": view.rows,
            "columns": view.columns,
            "group_by": list(view.group_by),
            "metric": view.metrics[0],
            "epochs": max(one.spec.epochs for one in evidence),
            "sweeps": [
                {"name": one.spec.name, "epochs": one.spec.epochs, "seeds": list(one.spec.seeds)} for one in evidence
            ],
            "selection_rule": rule,
            "cells": exact.cells_data(cells, view, held, published),
            "contests": exact.contests_data(held, seeds),
        },
    )


def cells_of(evidence: Sequence[Evidence], view: View, stopped: Collection[str] = ()) -> list[Cell]:
    """Return a table's cells: see `assemble`; a trial that two of the sweeps want counts once.

    Raises:
        InputError: when sweeps want one trial for different numbers of epochs, and the table does not tell these apart.
    """
    concluded = pd.concat([one.concluded.assign(**{EPOCHS: one.spec.epochs}) for one in evidence], ignore_index=True)
    concluded = concluded.drop_duplicates(["key", EPOCHS])
    if EPOCHS not in view.fields and concluded["key"].duplicated().any():
        raise InputError("the sweeps want the same trials for different numbers of epochs: group the table by epochs")
    return tabulate(
        concluded,
        view.rows,
        view.columns,
        view.metrics[0],
        group_by=view.group_by,
        beside=view.metrics[1:],
        stopped=stopped,
    )


def _title(evidence: Sequence[Evidence], view: View) -> str:
    if isinstance(view, Definition):
        return f"{view.name}: {view.title}"
    spec = evidence[0].spec
    return f"{spec.name}: {spec.description}" if spec.description else spec.name
