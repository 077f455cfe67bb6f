"""What a report says first: which setting is best, over all and within each column of the table, and how sure it is."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from results.cell import Cell, Setting
from results.cells import tabulate
from results.compare import Comparison, Verdict, interval, judge
from results.evidence import Evidence
from results.tables.model import NOTHING, Column, Entry, Table

TEST = "Compared by t tests of the logarithm, paired by seed and Holm-corrected."
LEAST_P = 0.001

Samples = Mapping[str, Mapping[int, float]]


@dataclass(frozen=True)
class Best:
    """The setting of lowest mean among those that are compared.

    Args:
        setting: as people know it, e.g. `selfish, sparsity 0.8`.
        value: its mean, as people read it.
        spread: over how many seeds, and the 95 % interval.
        verdict: whether it is better than the others beyond chance, in one clause.
        nearest: the open comparison with the nearest mean; empty where none is open.
        mean: the number.
    """

    setting: str
    value: str
    spread: str
    verdict: str
    nearest: str
    mean: float


@dataclass(frozen=True)
class Headline:
    """What the summary says.

    Args:
        metric: in words.
        best: over all settings; None while none has all its answers.
        by_column: the best of each column of the table.
        num_open: settings that are not compared, since trials of theirs have no answer yet.
        num_pooled: settings that are not compared, since their trials differ in more than their seed.
        test: how they are compared.
    """

    metric: str
    best: Best | None
    by_column: Table
    num_open: int
    num_pooled: int
    test: str = TEST


def make(evidence: Evidence, stopped: Collection[str] = ()) -> Headline:
    """Judge the settings of a sweep's table: all of them, and those of each column.

    Args:
        evidence: what is recorded of the sweep.
        stopped: content keys of trials that early stopping gave up.
    """
    shown = evidence.spec.table
    cells = tabulate(evidence.concluded, shown.rows, shown.columns, shown.metric, stopped=stopped)
    compared = [cell for cell in cells if _sample(cell) and not cell.pooled]
    awaited = [cell for cell in cells if cell.is_awaited]
    named = {
        f"{_named(shown.rows, cell.row)}, {_named(shown.columns, cell.column)}": _sample(cell) for cell in compared
    }
    columns = {
        column: _best(
            {_named(shown.rows, cell.row): _sample(cell) for cell in compared if cell.column == column},
            is_awaited=any(cell.column == column for cell in awaited),
        )
        for column in dict.fromkeys(cell.column for cell in compared)
    }
    return Headline(
        metric=shown.metric.replace("_", " "),
        best=_best(named, is_awaited=bool(awaited)),
        by_column=_by_column(shown.columns, columns),
        num_open=len(awaited),
        num_pooled=sum(bool(cell.metric.n and cell.pooled) for cell in cells),
    )


def _sample(cell: Cell) -> Mapping[int, float]:
    """Return a cell's values by seed; none where one of them has no logarithm."""
    return cell.values if all(0 < value < math.inf for value in cell.values.values()) else {}


def _named(field: str, value: Setting) -> str:
    """Name a value; a method needs no more than its name."""
    text = "–" if value is None else str(value)
    return text if field == "method" else f"{field} {text}"


def _best(samples: Samples, *, is_awaited: bool) -> Best | None:
    """Compare some settings; `is_awaited` says whether one that has not finished may still be better."""
    verdict = judge(samples)
    if verdict.best is None:
        return None
    found = interval(samples[verdict.best].values())
    ends = "" if math.isnan(found.low) else f"; 95 % interval {found.low:.2f} to {found.high:.2f}"
    seeds = "1 seed" if found.n == 1 else f"{found.n} seeds"
    still_open = [comparison for comparison in verdict.comparisons if not comparison.is_significant]
    nearest = min(still_open, key=_distance, default=None)
    return Best(
        setting=verdict.best,
        value=f"{found.mean:.2f}",
        spread=f"Mean of {seeds}{ends}.",
        verdict=_verdict_text(verdict, len(still_open), is_awaited=is_awaited),
        nearest=_open_text(nearest) if nearest is not None else "",
        mean=found.mean,
    )


def _distance(one: Comparison) -> tuple[float, str]:
    """How far from the best another is, those last that have no seed in common with it."""
    return (abs(math.log(one.difference)) if one.num_pairs else math.inf, one.other)


def _verdict_text(verdict: Verdict, num_open: int, *, is_awaited: bool) -> str:
    num_all = len(verdict.comparisons)
    if not num_all:
        return "nothing to compare with"
    if verdict.is_significant:
        p = "below 0.001" if verdict.p_holm < LEAST_P else f"at most {verdict.p_holm:.3f}"
        return f"significantly best{' of those that have finished' if is_awaited else ''}: p {p}"
    which = "its one comparison is" if num_all == 1 else f"{num_open} of {num_all} comparisons are"
    return f"not significantly best: {which} open at α = {verdict.alpha:g}"


def _open_text(one: Comparison) -> str:
    if one.trouble:
        return f"Nearest is {one.other}: {one.trouble}."
    p = "p below 0.001" if one.p_holm < LEAST_P else f"p = {one.p_holm:.3f}"
    return f"Nearest is {one.other}: ratio {one.difference:.3f}, {p}."


def _by_column(field: str, columns: Mapping[Setting, Best | None]) -> Table:
    head = (
        Column(field),
        Column("best", is_number=False),
        Column("mean"),
        Column("verdict", is_number=False),
    )
    rows = [
        (
            Entry(NOTHING if value is None else str(value), value),
            Entry(best.setting, best.setting),
            Entry(f"{best.mean:.2f}", best.mean),
            Entry(best.verdict, best.verdict),
        )
        for value, best in columns.items()
        if best is not None
    ]
    return Table(f"Best for each {field}", head, tuple(rows), ())
