"""What stands behind one cell of a table: its trials, what computed them, and how its mean comes about."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestration import wanted
from orchestration.repeating import repeat_command
from orchestration.tables import stopped_early
from results.cells import EPOCHS, Cell, Setting
from results.evidence import Evidence, gather
from results.tables import definition
from results.tables.assemble import cells_of
from results.tables.metrics import TABLE_METRICS, number_text, selection_rule
from results.tables.view import View, of_spec
from results.tables.words import cell_name, setting_text, statistic_text
from selfish_core.errors import InputError, unknown_name
from selfish_core.trial_store import TrialStore

NONE_WORDS = frozenset({"–", "-", "none", "null", ""})
"""What a user may write for a field that has no value."""


@dataclass(frozen=True)
class Sources:
    """What a table is made of.

    Args:
        name: of the table: a definition, or a spec.
        view: what it shows.
        evidence: of each of its sweeps.
        specs: sweep name -> how a command names its spec.
        stopped: content keys of trials that early stopping gave up.
    """

    name: str
    view: View
    evidence: Sequence[Evidence]
    specs: Mapping[str, str]
    stopped: frozenset[str]

    @classmethod
    def read(cls, table: str, store: TrialStore) -> Sources:
        """Read a table's sweeps from the records.

        Args:
            table: name of a definition, name of a shipped sweep, or a spec's file.
            store: the trial store.

        Raises:
            InputError: when there is none of this name.
        """
        defined, names = definition.found(table)
        sweeps = [wanted.chosen(wanted.load(name), store) for name in names]
        return cls(
            name=table,
            view=of_spec(sweeps[0].spec) if defined is None else defined,
            evidence=[gather(sweep.spec, sweep.trials, store, None) for sweep in sweeps],
            specs={sweep.spec.name: shlex.quote(name) for sweep, name in zip(sweeps, names, strict=True)},
            stopped=frozenset(key for sweep in sweeps for key in stopped_early(sweep, store)),
        )


@dataclass(frozen=True)
class Where:
    """Which cell a user asks for, as it is written.

    Args:
        row: value of the row field.
        column: value of the column field; None for a table without columns.
        group: values of the fields that the table is grouped by.
    """

    row: str
    column: str | None
    group: tuple[str, ...] = ()


def explain(sources: Sources, where: Where) -> dict[str, Any]:
    """Return all that is known of a cell, JSON-able.

    Raises:
        InputError: when the table has no such cell; lists what it has.
    """
    view, metric = sources.view, sources.view.metrics[0]
    cell = find_cell(sources, where)
    trials = _trials(sources, cell, metric)
    return {
        "table": sources.name,
        "cell": cell_name(cell),
        "group": dict(zip(view.group_by, cell.place.group, strict=True)),
        "rows": view.rows,
        "row": cell.row,
        "columns": view.columns,
        "column": cell.column,
        "metric": metric,
        "mean": _finite(cell.metric.mean),
        "std": _finite(cell.metric.std),
        "n": cell.metric.n,
        "num_wanted": cell.of,
        "text": statistic_text(cell, metric, cell.metric),
        "selection_rule": selection_rule([metric], [one.spec.epochs for one in sources.evidence]),
        "pooled": list(cell.pooled),
        "mixed": list(cell.origins.mixed),
        "trials": trials,
    }


def find_cell(sources: Sources, where: Where) -> Cell:
    """Return the cell of a table that a user names: see `explain`."""
    cells, view = cells_of(sources.evidence, sources.view, sources.stopped), sources.view
    table = f"table {sources.name}"
    for place, name in enumerate(view.group_by):
        cells = _of(cells, _group_at(place), where.group[place : place + 1], f"--group, {name}", table)
    if len(where.group) > len(view.group_by):
        raise InputError(f"{table} is grouped by {len(view.group_by)} fields, got {len(where.group)} of --group")
    cells = _of(cells, lambda cell: cell.row, (where.row,), f"ROW, {view.rows}", table)
    if view.columns is None:
        if where.column is not None:
            raise InputError(f"{table} has no columns: leave out {where.column!r}")
    else:
        given = () if where.column is None else (where.column,)
        row = f"{view.rows} {setting_text(cells[0].row)} in {table}"
        cells = _of(cells, lambda cell: cell.column, given, f"COLUMN, {view.columns}", row)
    return cells[0]


def _group_at(place: int) -> Callable[[Cell], Setting]:
    return lambda cell: cell.place.group[place]


def _of(
    cells: Sequence[Cell], setting_of: Callable[[Cell], Setting], given: Sequence[str], what: str, of: str
) -> list[Cell]:
    """Keep the cells whose setting is the given one; where all have the same, none need be given.

    Raises:
        InputError: when none has it; lists those that there are.
    """
    known = list(dict.fromkeys(setting_text(setting_of(cell)) for cell in cells))
    if not given:
        if len(known) == 1:
            return list(cells)
        raise InputError(f"{of} has several cells there: name one by {what}: {', '.join(known)}")
    found = [cell for cell in cells if is_meant(given[0], setting_of(cell))]
    if not found:
        raise InputError(unknown_name(what, given[0], known, of=of))
    return found


def is_meant(text: str, setting: Setting) -> bool:
    """Whether a user's text means a setting; numbers compare as numbers.

    >>> is_meant("0.80", 0.8), is_meant("true", True), is_meant("1", True), is_meant("none", None)
    (True, True, False, True)
    """
    text = text.strip()
    if setting is None:
        return text.lower() in NONE_WORDS
    if isinstance(setting, bool):
        return text.lower() == str(setting).lower()
    if isinstance(setting, str):
        return text == setting
    try:
        return float(text) == setting
    except ValueError:
        return False


def _trials(sources: Sources, cell: Cell, metric: str) -> list[dict[str, Any]]:
    """Return the trials of a cell, by seed."""
    found: dict[str, dict[str, Any]] = {}
    settings = dict(zip(sources.view.fields, (*cell.place.group, cell.row, cell.column), strict=False))
    for one in sources.evidence:
        if settings.get(EPOCHS, one.spec.epochs) != one.spec.epochs:
            continue  # another block of the table shows its trials
        of_cell = one.concluded[one.concluded["key"].isin(list(cell.states))]
        argument = sources.specs[one.spec.name]
        for row in of_cell.to_dict("records"):
            key = str(row["key"])
            is_counted = cell.states[key] == "answered" and cell.metric.n > 0
            found.setdefault(
                key,
                {
                    "key": key,
                    "seed": row["config.seed"],
                    "state": cell.states[key],
                    "value": _finite(float(row[metric])),
                    "is_counted": is_counted and not math.isnan(float(row[metric])),
                    "num_epochs": int(row["num_epochs"]),
                    "epochs": one.spec.epochs,
                    "selected_epoch": _whole(row["selected_epoch"]),
                    "code_version": row["code_version"],
                    "data_sha256": row["data_sha256"],
                    "corpus": row["config.corpus.name"],
                    "fingerprint": row["fingerprint"],
                    "sweep": one.spec.name,
                    "repeat": repeat_command(argument, key, is_searched=one.spec.search is not None),
                },
            )
    return sorted(found.values(), key=lambda trial: (trial["seed"], trial["key"]))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _whole(value: float) -> int | None:
    return None if math.isnan(value) else int(value)


def number(metric: str, value: float | None) -> str:
    """Write a value of a metric; a dash where there is none."""
    return "–" if value is None else number_text(metric, value)


def title(metric: str) -> str:
    """Return what people call a metric."""
    return TABLE_METRICS[metric].title
