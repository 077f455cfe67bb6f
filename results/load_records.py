"""The tidy frame straight from the trial store: no database, no server, no mlflow."""

from __future__ import annotations

from collections.abc import Collection, Iterable

import pandas as pd

from results.frames import EpochRow, fingerprint_text, tidy
from selfish_core.trial_store import TrialStore


def load_records(store: TrialStore, keys: Iterable[str], metrics: Collection[str] | None = None) -> pd.DataFrame:
    """Return the tidy frame of the trials with these keys.

    Args:
        store: the trial store.
        keys: content keys in any order; those that the store does not hold give no rows.
        metrics: the watched metrics to take; None for all.

    Raises:
        CorruptFileError: when a record fails its checksum.
    """
    rows: list[EpochRow] = []
    for key in sorted(set(keys)):
        trial = store.trial(key)
        if trial.exists():
            records = trial.records()
            version = ",".join(dict.fromkeys(record.provenance.code_version for record in records))
            machines = fingerprint_text(record.provenance.fingerprint for record in records)
            rows += [
                EpochRow(key, record.epoch, record.outcome, record.metrics, version, machines) for record in records
            ]
    return tidy(rows, metrics)
