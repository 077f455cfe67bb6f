"""From the tidy frame to what a table says: one conclusion per trial, then one cell per group of seeds.

The selection rule: a trial's result is the test perplexity at the epoch <= E of lowest validation perplexity, the first
of equals, among the epochs that are as sparse as the trial is to be. Test perplexity selects nothing.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd

from selfish_core.resolve import field_path

ANSWERED, UNFINISHED, DIVERGED, MISSING = "answered", "unfinished", "diverged", "missing"

AT_SELECTED = (
    "val_perplexity",
    "test_perplexity",
    "best_possible_test_perplexity",
    "num_active_parameters",
    "sparsity",
)
"""Metrics that a conclusion takes from the selected epoch."""

BESIDE = ("num_active_parameters", "training_flops", "averaging_epoch", "best_possible_test_perplexity")
"""What a cell shows beside its metric."""

Setting = str | int | float | bool | None
Bare = dict[str, Any]


class TrialConfigLike(Protocol):
    """What a conclusion needs of a config."""

    def flat(self) -> Mapping[str, str | int | float | bool]:
        """Return dotted names and values."""


class TrialLike(Protocol):
    """What a conclusion needs of a trial; `sweeps.expand.Trial` has it."""

    @property
    def key(self) -> str:
        """The content key."""

    @property
    def config(self) -> TrialConfigLike:
        """The resolved config."""


@dataclass(frozen=True)
class Statistic:
    """Mean and sample standard deviation of one quantity over the seeds of a cell.

    Args:
        mean: NaN where there is no value.
        std: with ddof=1; NaN below two values.
        n: how many values.
        low: the smallest value; NaN where there is none.
        high: the largest value; NaN where there is none.
    """

    mean: float
    std: float
    n: int
    low: float
    high: float


@dataclass(frozen=True)
class Cell:
    """One group of trials that differ in their seed.

    Args:
        row: value of the row field.
        column: value of the column field.
        metric: the metric over the trials that finished and did not diverge; n=0 while a trial is unfinished.
        beside: the same for each of `BESIDE`.
        states: content key -> state of each trial, in order of keys.
        pooled: fields other than row, column and seed in which the cell's trials differ; empty as a rule.
        code_versions: of the code that computed the trials, sorted; one as a rule.
        is_pruned: whether trials start dense, so that not all of their epochs may be selected.
    """

    row: Setting
    column: Setting
    metric: Statistic
    beside: Mapping[str, Statistic]
    states: Mapping[str, str]
    pooled: tuple[str, ...]
    code_versions: tuple[str, ...]
    is_pruned: bool = False

    @property
    def of(self) -> int:
        """How many trials were wanted."""
        return len(self.states)

    @property
    def num_finished(self) -> int:
        """How many trials are answered or diverged."""
        return sum(state in (ANSWERED, DIVERGED) for state in self.states.values())

    @property
    def num_diverged(self) -> int:
        """How many trials diverged."""
        return sum(state == DIVERGED for state in self.states.values())


def conclude(frame: pd.DataFrame, trials: Iterable[TrialLike], epochs: int) -> pd.DataFrame:
    """Conclude what each trial shows within its first epochs.

    Args:
        frame: the tidy frame (`results.load` or `results.load_records`), in any order.
        trials: the wanted trials, in any order.
        epochs: E; what lies beyond is not looked at.

    Returns:
        One row per trial, sorted by key: `key`, `state` (answered, unfinished, diverged, missing), `num_epochs` seen,
        `code_version`, `selected_epoch`, the metrics of that epoch, `averaging_epoch` (the first with averages; NaN
        without),
        `training_flops` at the last epoch, and the config's dotted fields as `config.<field>`.
    """
    wanted = {trial.key: trial for trial in trials}
    within = frame[(frame["epoch"] <= epochs) & frame["key"].isin(list(wanted))].sort_values(["key", "epoch"])
    seen = {str(key): rows for key, rows in within.groupby("key", sort=False)}
    flats = {key: dict(wanted[key].config.flat()) for key in sorted(wanted)}
    concluded = pd.DataFrame(
        [{"key": key, **_conclude_one(seen.get(key), epochs)} for key in flats],
        columns=["key", *_conclude_one(None, epochs)],
    )
    settings = {
        f"config.{field}": pd.Series([flat.get(field) for flat in flats.values()], dtype=object)
        for field in sorted({field for flat in flats.values() for field in flat})
    }
    return pd.concat([concluded, pd.DataFrame(settings)], axis=1)


def _conclude_one(rows: pd.DataFrame | None, epochs: int) -> Bare:
    bare: Bare = {"state": MISSING, "num_epochs": 0, "code_version": "", "selected_epoch": math.nan}
    bare |= dict.fromkeys((*AT_SELECTED, "averaging_epoch", "training_flops"), math.nan)
    if rows is None:
        return bare
    has_diverged = rows["outcome"].iloc[-1] == "diverged"
    bare["num_epochs"] = len(rows)
    bare["code_version"] = str(rows["code_version"].iloc[-1])
    bare["state"] = DIVERGED if has_diverged else (ANSWERED if len(rows) >= epochs else UNFINISHED)
    bare["training_flops"] = float(rows["training_flops"].iloc[-1])
    averaging = rows.loc[rows["is_averaging"] == 1, "epoch"]
    if len(averaging):
        bare["averaging_epoch"] = float(averaging.iloc[0])
    rows = rows[rows["is_selectable"] != 0]  # the first records do not say; every epoch of theirs was
    if rows["val_perplexity"].notna().any():
        selected = rows.iloc[int(np.nanargmin(rows["val_perplexity"].to_numpy()))]
        bare["selected_epoch"] = float(selected["epoch"])
        bare |= {name: float(selected[name]) for name in AT_SELECTED}
    return bare


def tabulate(concluded: pd.DataFrame, rows: str, columns: str, metric: str = "test_perplexity") -> list[Cell]:
    """Group the trials by two fields and average each group over its seeds.

    Args:
        concluded: from `conclude`.
        rows: field of the rows, dotted or short (`method`, `sparsity`, `optimizer.learning_rate`).
        columns: field of the columns.
        metric: a column of `concluded`.

    Returns:
        Cells sorted by row, then column: numbers by size, then words.

    Raises:
        InputError: when there is no such field.
    """
    row_field, column_field = (f"config.{'.'.join(field_path(name))}" for name in (rows, columns))
    groups: dict[tuple[Setting, Setting], list[Bare]] = {}
    for trial in concluded.sort_values("key").to_dict("records"):
        bare = {str(name): value for name, value in trial.items()}
        groups.setdefault((_setting(bare.get(row_field)), _setting(bare.get(column_field))), []).append(bare)
    shown = {row_field, column_field, "config.seed"}
    return [
        _cell(where, groups[where], metric, shown)
        for where in sorted(groups, key=lambda pair: (_order(pair[0]), _order(pair[1])))
    ]


def _cell(where: tuple[Setting, Setting], trials: list[Bare], metric: str, shown: Collection[str]) -> Cell:
    states = {trial["key"]: trial["state"] for trial in trials}
    is_complete = all(state in (ANSWERED, DIVERGED) for state in states.values())
    counted = [trial for trial in trials if is_complete and trial["state"] == ANSWERED]
    fields = [name for name in trials[0] if name.startswith("config.") and name not in shown]
    return Cell(
        row=where[0],
        column=where[1],
        metric=_statistic(trial[metric] for trial in counted),
        beside={name: _statistic(trial[name] for trial in counted) for name in BESIDE},
        states=states,
        pooled=tuple(
            name.removeprefix("config.") for name in fields if len({_setting(trial[name]) for trial in trials}) > 1
        ),
        code_versions=tuple(sorted({one for trial in trials for one in trial["code_version"].split(",") if one})),
        is_pruned=any(_setting(trial.get("config.sparsity.initial_level")) is not None for trial in trials),
    )


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


def _order(value: Setting) -> tuple[int, float, str]:
    if value is None:
        return (0, 0.0, "")
    if isinstance(value, str):
        return (2, 0.0, value)
    return (1, float(value), "")
