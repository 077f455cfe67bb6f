"""From MLflow's runs and their points to the tidy frame: the same rules however the tracking store was read.

A run that is malformed, half written, deleted or none of ours is left out and named in one line.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from results import names
from results.frames import ALWAYS_THERE, WATCHED, frame_of

Numbers = NDArray[np.int64]
Values = NDArray[np.float64]

MAX_NAMED = 10
"""Runs that are named one by one; the others are counted."""


@dataclass(frozen=True)
class ShownRun:
    """One run of MLflow.

    Args:
        run_id: MLflow's name of it.
        name: what people see.
        tags: name to value; at least ours.
        last_epoch: the last step of `frames.COUNTED`, 0 without one.
        is_deleted: whether it is among MLflow's deleted runs.
    """

    run_id: str
    name: str
    tags: Mapping[str, str]
    last_epoch: int = 0
    is_deleted: bool = False

    @property
    def key(self) -> str | None:
        """The content key of the trial that it shows."""
        return self.tags.get(names.TAG_KEY)


@dataclass(frozen=True)
class Points:
    """All that runs hold of one metric, in any order.

    Args:
        run: number of the run in the list of runs.
        step: MLflow's step, which is the epoch.
        value: NaN where MLflow says so.
    """

    run: Numbers
    step: Numbers
    value: Values


@dataclass(frozen=True)
class Shown:
    """What a tracking store shows of some trials.

    Args:
        frame: tidy (`results.frames`).
        warnings: one line for each run that is left out.
    """

    frame: pd.DataFrame
    warnings: tuple[str, ...] = ()


@dataclass
class _Layout:
    """Where each epoch of each run stands in the frame, and what is wrong with a run: number -> reason."""

    num_epochs: Numbers
    starts: Numbers
    run_of_row: Numbers
    is_end: NDArray[np.bool_]
    reasons: dict[int, str] = field(default_factory=dict)

    def epoch_of(self, row: int) -> int:
        """Return the epoch that a row is of."""
        return int(row - self.starts[self.run_of_row[row]]) + 1

    def blame(self, row: int, reason: str) -> None:
        """Say what is wrong at a row, unless something is wrong with its run already."""
        self.reasons.setdefault(int(self.run_of_row[row]), f"{reason} at epoch {self.epoch_of(row)}")


def choose(runs: Iterable[ShownRun], wanted: Collection[str]) -> tuple[list[ShownRun], list[str]]:
    """Choose a run for each wanted key.

    Args:
        runs: the oldest first.
        wanted: content keys.

    Returns:
        The runs, and one line for each that is left out.
    """
    chosen: dict[str, ShownRun] = {}
    deleted: dict[str, ShownRun] = {}
    left_out: list[str] = []
    for run in runs:
        key = run.key
        if run.is_deleted:
            if key in wanted:
                deleted[str(key)] = run
        elif key in chosen:
            left_out.append(_line(run, f"is a second run of {key}"))
        elif key in wanted:
            chosen[str(key)] = run
        elif key is None and names.TAG_SWEEP not in run.tags:
            left_out.append(_line(run, f"has no tag {names.TAG_KEY}"))
    left_out += [_line(run, "is deleted") for key, run in deleted.items() if key not in chosen]
    return list(chosen.values()), left_out


def assemble(
    runs: Sequence[ShownRun],
    points: Iterable[tuple[str, Points]],
    left_out: Sequence[str] = (),
    metrics: Collection[str] | None = None,
) -> Shown:
    """Build the tidy frame of the chosen runs.

    Args:
        runs: no two of one key.
        points: recorded names of watched metrics and what the runs hold of each.
        left_out: lines about runs that were not chosen.
        metrics: those that were read; None for all that are watched.
    """
    layout = _lay_out(runs)
    columns: dict[str, Values] = {}
    missing = {name: ~layout.is_end for name in ALWAYS_THERE if metrics is None or name in metrics}
    for name, found in points:
        columns[name], is_there = _column(name, runs, found, layout)
        if name in missing:
            missing[name] &= ~is_there
        elif name not in WATCHED and not is_there.any():
            del columns[name]
    _blame_what_lacks(missing, layout)
    lines = [*left_out, *(_line(runs[number], reason) for number, reason in layout.reasons.items())]
    return Shown(_frame(runs, columns, layout, metrics), _capped(lines))


def _lay_out(runs: Sequence[ShownRun]) -> _Layout:
    """Give each run as many rows as it says that it has epochs, in the order of keys."""
    num_epochs, reasons = np.zeros(len(runs), dtype=np.int64), {}
    for number, run in enumerate(runs):
        try:
            num_epochs[number] = _num_epochs(run)
        except ValueError as error:
            reasons[number] = str(error)
    order = np.array(sorted(range(len(runs)), key=lambda number: str(runs[number].key)), dtype=np.int64)
    starts = np.zeros(len(runs), dtype=np.int64)
    starts[order] = np.cumsum(num_epochs[order]) - num_epochs[order]
    has_diverged = np.array([run.tags.get(names.TAG_STATE) == "diverged" for run in runs], dtype=bool)
    is_end = np.zeros(int(num_epochs.sum()), dtype=bool)
    ended = has_diverged & (num_epochs > 0)
    is_end[starts[ended] + num_epochs[ended] - 1] = True
    return _Layout(num_epochs, starts, np.repeat(order, num_epochs[order]), is_end, reasons)


def _num_epochs(run: ShownRun) -> int:
    """Read how many epochs a run says that it shows; one that says far more than it holds gets no rows at all."""
    text = run.tags.get(names.TAG_EPOCHS, "0")
    if not (text.isascii() and text.isdigit()):
        raise ValueError(f"has a tag {names.TAG_EPOCHS} that is no number: {text[:40]!r}")
    num_epochs = int(text[:20])
    if num_epochs > min(names.MAX_STEP, run.last_epoch + 1):
        raise ValueError(f"says that it shows {num_epochs} epochs and holds {run.last_epoch}")
    return num_epochs


def _column(name: str, runs: Sequence[ShownRun], points: Points, layout: _Layout) -> tuple[Values, NDArray[np.bool_]]:
    """Put the points of one metric where they belong; also return where there is one."""
    is_inside = (points.step >= 1) & (points.step <= layout.num_epochs[points.run])
    rows = layout.starts[points.run[is_inside]] + points.step[is_inside] - 1
    values = points.value[is_inside]
    column, is_there = np.full(len(layout.run_of_row), np.nan), np.zeros(len(layout.run_of_row), dtype=bool)
    column[rows], is_there[rows] = values, True
    is_exact = _restore_inexact(name, runs, layout, column, is_there)
    is_other = (column[rows] != values) & ~(np.isnan(column[rows]) & np.isnan(values)) & ~is_exact[rows]
    for row in np.unique(rows[is_other]):
        layout.blame(row, f"has two values of {name}")
    return np.where(np.isnan(column), np.nan, column), is_there


def _restore_inexact(
    name: str, runs: Sequence[ShownRun], layout: _Layout, column: Values, is_there: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Put in the values that MLflow cannot hold, from the tag that does; return where."""
    is_exact = np.zeros(len(column), dtype=bool)
    for number, run in enumerate(runs):
        text = run.tags.get(names.NONFINITE_PREFIX + name)
        if not text or number in layout.reasons:
            continue
        try:
            exact = names.decode_inexact(text)
        except ValueError:
            layout.reasons[number] = f"has a tag {names.NONFINITE_PREFIX}{name} that cannot be read"
            continue
        for step, value in exact.items():
            row = layout.starts[number] + step - 1
            if 1 <= step <= layout.num_epochs[number] and is_there[row]:
                column[row], is_exact[row] = value, True
    return is_exact


def _blame_what_lacks(missing: Mapping[str, NDArray[np.bool_]], layout: _Layout) -> None:
    """Name the first epoch of a run that lacks a metric, and the metric."""
    firsts: list[tuple[int, int, str]] = []
    for place, (name, is_missing) in enumerate(missing.items()):
        rows = np.flatnonzero(is_missing)
        _, first = np.unique(layout.run_of_row[rows], return_index=True)
        firsts += [(int(row), place, name) for row in rows[first]]
    for row, _, name in sorted(firsts):
        layout.blame(row, f"lacks {name}")


def _frame(
    runs: Sequence[ShownRun], columns: Mapping[str, Values], layout: _Layout, metrics: Collection[str] | None
) -> pd.DataFrame:
    is_kept = ~np.isin(layout.run_of_row, list(layout.reasons))
    run = layout.run_of_row[is_kept]
    epochs = np.arange(len(layout.run_of_row), dtype=np.int64) - layout.starts[layout.run_of_row] + 1
    told: dict[str, Any] = {
        "key": _texts([str(run.key) for run in runs], run),
        "epoch": epochs[is_kept],
        "outcome": _texts(["trained", "diverged"], layout.is_end[is_kept].astype(np.int64)),
        "code_version": _texts([run.tags.get(names.TAG_CODE_VERSION, "") for run in runs], run),
        "fingerprint": _texts([run.tags.get(names.TAG_FINGERPRINT, "") for run in runs], run),
    }
    return frame_of(told, {name: column[is_kept] for name, column in columns.items()}, metrics)


def _texts(texts: Sequence[str], numbers: Numbers) -> Any:
    return pd.array(list(texts), dtype="str").take(numbers)


def _line(run: ShownRun, reason: str) -> str:
    return f"made without MLflow run {run.run_id} ({run.name!r}): it {reason}"


def _capped(lines: Sequence[str]) -> tuple[str, ...]:
    ordered = sorted(lines)
    if len(ordered) <= MAX_NAMED:
        return tuple(ordered)
    return (*ordered[:MAX_NAMED], f"made without {len(ordered) - MAX_NAMED} more MLflow runs")
