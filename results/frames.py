"""The tidy frame behind every table and figure: one row per (key, epoch), the same from MLflow and the trial store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from selfish_core.records import METRICS, is_watched

WATCHED = tuple(row.name for row in METRICS if row.is_watched)
ALWAYS_THERE = tuple(row.name for row in METRICS if row.is_watched and row.is_always_there)


@dataclass(frozen=True)
class EpochRow:
    """One epoch of one trial.

    Args:
        key: the trial's content key.
        epoch: from 1.
        outcome: `trained` or `diverged`.
        metrics: name to value; what is not watched is left out of the frame.
        code_version: versions of the code that computed the trial, joined by commas in order of appearance.
    """

    key: str
    epoch: int
    outcome: str
    metrics: Mapping[str, float]
    code_version: str = ""


def tidy(rows: Iterable[EpochRow]) -> pd.DataFrame:
    """Build the frame: `key`, `epoch`, `outcome`, `code_version`, the watched metrics, the gate densities that occur.

    Rows are sorted by (key, epoch) and columns have a fixed order, so the same rows give the same bytes. A metric that
    an epoch does not have is NaN, and so is one that is not a number.
    """
    ordered = sorted(rows, key=lambda row: (row.key, row.epoch))
    extra = {name for row in ordered for name in row.metrics if is_watched(name)} - set(WATCHED)
    data: dict[str, object] = {
        "key": pd.array([row.key for row in ordered], dtype="str"),
        "epoch": np.array([row.epoch for row in ordered], dtype=np.int64),
        "outcome": pd.array([row.outcome for row in ordered], dtype="str"),
        "code_version": pd.array([row.code_version for row in ordered], dtype="str"),
    }
    for name in (*WATCHED, *sorted(extra)):
        values = np.array([row.metrics.get(name, np.nan) for row in ordered], dtype=np.float64)
        data[name] = np.where(np.isnan(values), np.nan, values)
    return pd.DataFrame(data)
