"""The tidy frame behind every table and figure: one row per (key, epoch), the same from MLflow and the trial store."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from selfish_core.records import METRICS, is_watched

WATCHED = tuple(row.name for row in METRICS if row.is_watched)
ALWAYS_THERE = tuple(row.name for row in METRICS if row.is_watched and row.is_always_there)

COUNTED = "val_perplexity"
"""The metric by which epochs are counted; it is read whatever else is."""


@dataclass(frozen=True)
class EpochRow:
    """One epoch of one trial.

    Args:
        key: the trial's content key.
        epoch: from 1.
        outcome: `trained` or `diverged`.
        metrics: name to value; what is not watched is left out of the frame.
        code_version: versions of the code that computed the trial, joined by commas in order of appearance.
        fingerprint: what the machines were that computed the trial (`fingerprint_text`).
    """

    key: str
    epoch: int
    outcome: str
    metrics: Mapping[str, float]
    code_version: str = ""
    fingerprint: str = ""


def fingerprint_text(fingerprints: Iterable[Mapping[str, str]]) -> str:
    """Return fingerprints as one text, the different ones in order of appearance.

    >>> fingerprint_text([{"torch": "2.13", "device": "cpu"}, {"device": "cpu", "torch": "2.13"}, {"device": "cuda"}])
    'device=cpu;torch=2.13 | device=cuda'
    """
    texts = (";".join(f"{name}={value}" for name, value in sorted(one.items())) for one in fingerprints)
    return " | ".join(text for text in dict.fromkeys(texts) if text)


def tidy(rows: Iterable[EpochRow], metrics: Collection[str] | None = None) -> pd.DataFrame:
    """Build the frame of `frame_of` from rows in any order.

    Args:
        rows: no two of one (key, epoch).
        metrics: the watched metrics to take, and `COUNTED`; None for all.
    """
    ordered = sorted(rows, key=lambda row: (row.key, row.epoch))
    found = {name for row in ordered for name in row.metrics if is_watched(name)}
    told: dict[str, Any] = {
        "key": pd.array([row.key for row in ordered], dtype="str"),
        "epoch": np.array([row.epoch for row in ordered], dtype=np.int64),
        "outcome": pd.array([row.outcome for row in ordered], dtype="str"),
        "code_version": pd.array([row.code_version for row in ordered], dtype="str"),
        "fingerprint": pd.array([row.fingerprint for row in ordered], dtype="str"),
    }
    values = {}
    for name in found:
        column = np.array([row.metrics.get(name, np.nan) for row in ordered], dtype=np.float64)
        values[name] = np.where(np.isnan(column), np.nan, column)
    return frame_of(told, values, metrics)


def frame_of(
    told: Mapping[str, Any], values: Mapping[str, NDArray[np.float64]], metrics: Collection[str] | None = None
) -> pd.DataFrame:
    """Join the columns of a frame in their fixed order, so that the same rows give the same bytes.

    First come `key`, `epoch`, `outcome`, `code_version` and `fingerprint`, then the watched metrics, then the gate
    densities that occur. A metric that an epoch does not have is NaN, and so is one that is not a number.

    Args:
        told: the first columns, sorted by (key, epoch).
        values: of each metric that occurs, in the same order.
        metrics: the watched metrics to take, and `COUNTED`; None for all.
    """
    absent = np.full(len(told["epoch"]), np.nan)
    wanted = [*WATCHED, *sorted(set(values) - set(WATCHED))]
    taken = [name for name in wanted if metrics is None or name in metrics or name == COUNTED]
    return pd.DataFrame({**told, **{name: values.get(name, absent) for name in taken}})
