"""From one conclusion per trial to cells: trials grouped by fields, each group averaged over its seeds."""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from results.cell import (
    ANSWERED,
    BESIDE,
    DIVERGED,
    MISSING,
    STOPPED,
    UNFINISHED,
    Cell,
    Origins,
    Place,
    Setting,
    Statistic,
    setting_order,
)
from selfish_core.errors import InputError
from selfish_core.resolve import field_path

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "ANSWERED",
    "BESIDE",
    "DIVERGED",
    "EPOCHS",
    "MISSING",
    "STOPPED",
    "UNFINISHED",
    "Cell",
    "Origins",
    "Place",
    "Setting",
    "Statistic",
    "field_column",
    "setting_order",
    "tabulate",
]

EPOCHS = "epochs"
"""The one field that is a sweep's and no trial's: to which epoch it trains, E of the selection rule."""

TOLD = (
    *("key", "state", "code_version", "data_sha256", "fingerprint"),
    *("config.seed", "config.sparsity.initial_level"),
)
"""What a cell looks at of each trial, beside its metrics and the fields in which trials differ."""

Bare = dict[str, Any]


def field_column(name: str) -> str:
    """Return the column of a concluded frame that a field's name means.

    Args:
        name: dotted or short (`method`, `sparsity`, `optimizer.learning_rate`), or `epochs`.

    Raises:
        InputError: when there is no such field.
    """
    return EPOCHS if name == EPOCHS else f"config.{'.'.join(field_path(name))}"


def tabulate(
    concluded: pd.DataFrame,
    rows: str,
    columns: str | None,
    metric: str = "test_perplexity",
    *,
    group_by: Sequence[str] = (),
    beside: Sequence[str] = BESIDE,
    stopped: Collection[str] = (),
) -> list[Cell]:
    """Group the trials by fields and average each group over its seeds.

    Args:
        concluded: from `results.aggregate.conclude`.
        rows: field of the rows (`field_column`).
        columns: field of the columns; None for a table of one column.
        metric: a column of `concluded`.
        group_by: fields that make blocks of rows.
        beside: more columns of `concluded`, to be averaged beside the metric.
        stopped: content keys of trials that early stopping gave up.

    Returns:
        Cells sorted by group, row and column: numbers by size, then words.

    Raises:
        InputError: when there is no such field.
    """
    shown = [field_column(name) for name in (*group_by, rows, *((columns,) if columns is not None else ()))]
    if EPOCHS in shown and EPOCHS not in concluded:
        raise InputError(f"field {EPOCHS!r} is a sweep's: this frame does not say which sweep a trial is of")
    told = concluded.sort_values("key", ignore_index=True)
    needed = {*TOLD, metric, *beside, *shown} & set(told)
    groups: dict[tuple[Setting, ...], list[Bare]] = {}
    for number, trial in enumerate(told[sorted(needed)].to_dict("records")):
        bare = {"number": number, **{str(name): value for name, value in trial.items()}}
        bare["state"] = STOPPED if _is_given_up(bare, stopped) else bare["state"]
        groups.setdefault(tuple(_setting(bare.get(name)) for name in shown), []).append(bare)
    differing = _Differing(told, (*shown, "config.seed"))
    num_groups = len(group_by)
    return [
        _cell(
            Place(where[:num_groups], where[num_groups], where[num_groups + 1] if columns is not None else None),
            groups[where],
            (metric, *beside),
            differing.of([bare["number"] for bare in groups[where]]),
        )
        for where in sorted(groups, key=lambda settings: [setting_order(setting) for setting in settings])
    ]


class _Differing:
    """Which settings differ within a group of trials."""

    def __init__(self, concluded: pd.DataFrame, shown: Collection[str]) -> None:
        names = [name for name in map(str, concluded) if name.startswith("config.") and name not in shown]
        codes = {name: concluded[name].factorize()[0] for name in names}
        self._codes = {name: found for name, found in codes.items() if len(found) and found.min() != found.max()}

    def of(self, rows: Sequence[int]) -> tuple[str, ...]:
        """Return the fields that differ among these rows of the frame."""
        found = {name: codes[rows] for name, codes in self._codes.items()}
        return tuple(name.removeprefix("config.") for name, codes in found.items() if codes.min() != codes.max())


def _is_given_up(trial: Bare, stopped: Collection[str]) -> bool:
    return trial["state"] in (UNFINISHED, MISSING) and trial["key"] in stopped


def _cell(place: Place, trials: list[Bare], metrics: tuple[str, ...], pooled: tuple[str, ...]) -> Cell:
    states = {trial["key"]: trial["state"] for trial in trials}
    is_complete = all(state in (ANSWERED, DIVERGED) for state in states.values())
    counted = [trial for trial in trials if is_complete and trial["state"] == ANSWERED]
    averages = {name: _statistic(trial[name] for trial in counted) for name in metrics}
    seeds = [trial["config.seed"] for trial in trials]
    values = {int(trial["config.seed"]): float(trial[metrics[0]]) for trial in counted}
    return Cell(
        place=place,
        metric=averages[metrics[0]],
        beside={name: averages[name] for name in metrics[1:]},
        values={seed: values[seed] for seed in sorted(values) if not math.isnan(values[seed])}
        if len(set(seeds)) == len(seeds)
        else {},
        states=states,
        origins=Origins(
            _different(trials, "code_version", ","),
            _different(trials, "data_sha256", ","),
            _different(trials, "fingerprint", " | "),
        ),
        pooled=pooled,
        is_pruned=any(_setting(trial.get("config.sparsity.initial_level")) is not None for trial in trials),
    )


def _different(trials: list[Bare], name: str, separator: str) -> tuple[str, ...]:
    """Return the different values of a text that joins one or more of them."""
    return tuple(sorted({one for trial in trials for one in trial.get(name, "").split(separator) if one}))


def _statistic(values: Iterable[float]) -> Statistic:
    """Summarise the values that are numbers; `statistics` is exact, so their order changes no bit."""
    known = [value for value in values if not math.isnan(value)]
    if not known:
        return Statistic(math.nan, math.nan, 0, math.nan, math.nan)
    is_finite = all(map(math.isfinite, known))
    mean = statistics.mean(known) if is_finite else math.inf
    std = statistics.stdev(known) if is_finite and len(known) > 1 else math.nan
    return Statistic(mean, std, len(known), min(known), max(known))


def _setting(value: Any) -> Setting:
    """Take a config's value out of a frame, where a missing one reads as NaN."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    value = value.item() if hasattr(value, "item") else value
    return value if isinstance(value, str | int | float | bool) else str(value)
