"""What is recorded of a sweep's trials: the one thing that tables, figures and the report are made from."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from results import aggregate, names
from results.by_client import Progress
from results.load_records import load_records
from results.reading import read
from selfish_core.errors import TrackingError
from selfish_core.places import without_password
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
        return Evidence(spec, trials, load_records(store, keys, metrics))
    try:
        shown = read(tracking_uri, names.experiment_name(store.store_id), keys, metrics, progress)
    except TrackingError as error:
        return Evidence(spec, trials, load_records(store, keys, metrics), (f"made from the records: {error}",))
    if _shows_all(shown.frame, store, keys):
        return Evidence(spec, trials, shown.frame, shown.warnings)
    behind = f"MLflow at {without_password(tracking_uri)} is behind them; `selfish sync` brings it up"
    warnings = (f"made from the records: {behind}", *shown.warnings)
    return Evidence(spec, trials, load_records(store, keys, metrics), warnings)


def _shows_all(frame: pd.DataFrame, store: TrialStore, keys: Iterable[str]) -> bool:
    """Whether a frame ends each trial where the trial store does; the store's files are not read for it, only seen."""
    last = frame.drop_duplicates("key", keep="last")
    ends = dict(zip(last["key"], zip(last["epoch"], last["outcome"] == "diverged", strict=True), strict=True))
    return all(store.trial(key).glance() == ends.get(key, (0, False)) for key in keys)
