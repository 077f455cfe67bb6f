"""What is recorded of a sweep's trials: the one thing that tables, figures and the report are made from."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd

from results import aggregate, names
from results.by_client import Progress
from results.frames import COUNTED, fingerprint_text
from results.load_records import load_records
from results.reading import read
from results.shown import MAX_NAMED
from selfish_core.errors import TrackingError
from selfish_core.places import without_password
from selfish_core.store.reading import Glance
from selfish_core.trial_store import TrialStore
from sweeps.expand import Trial
from sweeps.spec import Spec


@dataclass(frozen=True)
class Evidence:
    """A sweep, its trials, and what is recorded of them so far.

    Args:
        spec: as it was read.
        trials: in the spec's order; of a search those that it has chosen so far.
        frame: tidy, one row per (key, epoch), also of epochs beyond the spec's (`results.frames`).
        warnings: what a reader should know of where the frame came from, one line each, to be put behind `it is`.
    """

    spec: Spec
    trials: Sequence[Trial]
    frame: pd.DataFrame
    warnings: tuple[str, ...] = ()

    @cached_property
    def concluded(self) -> pd.DataFrame:
        """One row per trial: its state and the metrics of its selected epoch (`results.aggregate.conclude`)."""
        return aggregate.conclude(self.frame, self.trials, self.spec.epochs)


def gather(
    spec: Spec,
    trials: Sequence[Trial],
    store: TrialStore,
    tracking_uri: str | None,
    *,
    metrics: Collection[str] | None = None,
    progress: Progress | None = None,
) -> Evidence:
    """Read what is recorded of a sweep's trials: from MLflow where it shows all of it, else from the records.

    Args:
        spec: of the sweep.
        trials: the wanted ones, in the spec's order.
        store: their trial store.
        tracking_uri: of MLflow; None where the records are to be taken.
        metrics: the watched metrics that are needed (`aggregate.METRICS_NEEDED` for a table); None for all.
        progress: is told how far a slow reading is.

    Raises:
        InputError: when the URI is of a kind that MLflow no longer serves.
    """
    keys = [trial.key for trial in trials]
    if tracking_uri is None:
        return _recorded(spec, trials, store, metrics)
    try:
        shown = read(tracking_uri, names.experiment_name(store.store_id), keys, metrics, progress)
    except TrackingError as error:
        return _recorded(spec, trials, store, metrics, f"made from the records: {error}")
    if _shows_all(shown.frame, store, keys):
        return Evidence(spec, trials, shown.frame, shown.warnings)
    behind = f"MLflow at {without_password(tracking_uri)} is behind them; `selfish sync` brings it up"
    if shown.warnings:
        behind += ", `selfish sync --rebuild` also where runs were changed in MLflow"
    return _recorded(spec, trials, store, metrics, f"made from the records: {behind}", *shown.warnings)


def _recorded(
    spec: Spec, trials: Sequence[Trial], store: TrialStore, metrics: Collection[str] | None, *warnings: str
) -> Evidence:
    """Take the records themselves, and name those that are there but damaged."""
    frame = load_records(store, [trial.key for trial in trials], metrics)
    ended = {str(key) for key in frame.loc[frame["outcome"] == "diverged", "key"]}
    ended |= {str(key) for key, last in frame.groupby("key")["epoch"].max().items() if last >= spec.epochs}
    short = (trial.key for trial in trials if trial.key not in ended)
    damaged = [line for key in short for line in store.trial(key).damaged_records()]
    told = [f"made without damaged records: {line}" for line in damaged[:MAX_NAMED]]
    if len(damaged) > len(told):
        told.append(
            f"made without {len(damaged) - len(told)} more damaged files of records: `selfish verify` names all"
        )
    return Evidence(spec, trials, frame, (*warnings, *told))


def _shows_all(frame: pd.DataFrame, store: TrialStore, keys: Iterable[str]) -> bool:
    """Whether a frame ends each trial as the trial store does: at the same epoch, of the same value and code.

    Of the store's files only the last record of each trial is looked at, and its checksum is not. What has been trained
    again and ended otherwise, or by other code or on another machine, is therefore seen.
    """
    last = frame.drop_duplicates("key", keep="last")
    ends: dict[str, Mapping[Any, Any]] = {str(row["key"]): row for row in last.to_dict("records")}
    return all(_is_end(ends.get(key), store.trial(key).glance()) for key in keys)


def _is_end(row: Mapping[Any, Any] | None, seen: Glance) -> bool:
    if row is None:
        return seen.num_epochs == 0
    if row["epoch"] != seen.num_epochs:
        return False
    last = seen.last
    if last is None:
        return True
    shown, recorded = row[COUNTED], last.metrics.get(COUNTED, math.nan)
    return (
        row["outcome"] == last.outcome
        and (shown == recorded or (math.isnan(shown) and math.isnan(recorded)))
        and last.provenance.code_version in row["code_version"].split(",")
        and fingerprint_text([last.provenance.fingerprint]) in row["fingerprint"].split(" | ")
    )
