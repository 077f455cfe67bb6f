"""The table of a sweep: from MLflow where it shows all that is recorded, else from the records, with one warning."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from orchestration.settings import without_password
from orchestration.wanted import Wanted
from results import aggregate, names
from results.load import load
from results.load_records import load_records
from results.tables import sweep as sweep_table
from results.tables.render import render
from selfish_core.errors import TrackingError
from selfish_core.trial_store import TrialStore

if TYPE_CHECKING:
    import pandas as pd

log = logging.getLogger(__name__)


def render_table(wanted: Wanted, store: TrialStore, tracking_uri: str | None, format_name: str) -> str:
    """Return a sweep's table in one of the formats.

    Args:
        wanted: the sweep.
        store: its trial store.
        tracking_uri: of MLflow; None where the records are to be taken.
        format_name: one of `results.tables.render.FORMATS`.
    """
    spec = wanted.spec
    frame = _frame(wanted, store, tracking_uri)
    concluded = aggregate.conclude(frame, wanted.trials, spec.epochs)
    cells = aggregate.tabulate(concluded, spec.table.rows, spec.table.columns, spec.table.metric)
    table = sweep_table.build(
        cells,
        rows=spec.table.rows,
        columns=spec.table.columns,
        metric=spec.table.metric,
        epochs=spec.epochs,
        title=f"{spec.name}: {spec.description}" if spec.description else spec.name,
    )
    return render(table, format_name)


def _frame(wanted: Wanted, store: TrialStore, tracking_uri: str | None) -> pd.DataFrame:
    keys = [trial.key for trial in wanted.trials]
    recorded = load_records(store, keys)
    if tracking_uri is None:
        return recorded
    uri = without_password(tracking_uri)
    try:
        shown = load(tracking_uri, names.experiment_name(store.store_id), keys)
    except TrackingError as error:
        log.warning("the table is made from the records: %s", error)
        return recorded
    if not shown[["key", "epoch", "outcome"]].equals(recorded[["key", "epoch", "outcome"]]):
        log.warning("the table is made from the records: MLflow at %s is behind them; `selfish sync` brings it up", uri)
        return recorded
    return shown
