"""Means over seeds and what is drawn around them, for single numbers and for curves over epochs."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from results.figures.model import Numbers

BAND_TEXTS = {"interval": "95 % t interval", "std": "± one sample standard deviation"}


@dataclass(frozen=True)
class Summary:
    """A mean over seeds.

    Args:
        mean: NaN where there is no value.
        low: lower end of the band; NaN where it cannot be said, as of a single value.
        high: upper end likewise.
        n: number of values.
    """

    mean: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Curve:
    """A mean over seeds, epoch by epoch.

    Args:
        epochs: those that every counted trial has.
        mean: one for each.
        low: likewise; NaN where it cannot be said.
        high: likewise.
        n: trials that are counted.
    """

    epochs: Numbers
    mean: Numbers
    low: Numbers
    high: Numbers
    n: int


def summarise(values: Iterable[float], band: str) -> Summary:
    """Return the mean of values over seeds with its band.

    Args:
        values: those that are not numbers are left out.
        band: `interval` or `std` (`results.figures.options.BANDS`).
    """
    known = [value for value in values if not math.isnan(value)]
    if not all(map(math.isfinite, known)):
        return Summary(math.inf, math.nan, math.nan, len(known))
    if band == "interval":
        from results.compare import interval

        found = interval(known)
        return Summary(found.mean, found.low, found.high, found.n)
    mean = statistics.fmean(known) if known else math.nan
    std = statistics.stdev(known) if len(known) > 1 else math.nan
    return Summary(mean, mean - std, mean + std, len(known))


def by_epoch(frame: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return a metric as a table: a row for each epoch, a column for each trial.

    Args:
        frame: tidy, cut at the epochs that are to be seen.
        metric: a column of the frame.
    """
    return frame.pivot(index="epoch", columns="key", values=metric).sort_index()


def curve(table: pd.DataFrame, keys: Sequence[str], band: str) -> Curve:
    """Return the mean over trials at every epoch that all of them have a value at.

    A curve ends where its first trial does, so that no two of its points are means over different trials. Trials that
    have no value at all are not counted.

    Args:
        table: from `by_epoch`.
        keys: of the trials, all of them in the table.
        band: as in `summarise`.
    """
    wide = table[list(keys)].dropna(axis="columns", how="all").dropna(axis="index", how="any")
    found = [summarise([float(value) for value in row], band) for row in wide.to_numpy()]
    return Curve(
        epochs=tuple(float(epoch) for epoch in wide.index),
        mean=tuple(one.mean for one in found),
        low=tuple(one.low for one in found),
        high=tuple(one.high for one in found),
        n=wide.shape[1],
    )


def seeds_text(counts: Iterable[int]) -> str:
    """Say over how many seeds means are.

    >>> seeds_text([3, 3]), seeds_text([1]), seeds_text([3, 2, 3])
    ('3 seeds', '1 seed', '2 to 3 seeds')
    """
    known = sorted(set(counts)) or [0]
    most = known[-1]
    return f"{known[0]} to {most} seeds" if len(known) > 1 else f"{most} seed{'' if most == 1 else 's'}"


def note(counts: Iterable[int], band: str, kind: str = "band") -> str:
    """Say how lines and their bands are made.

    Args:
        counts: seeds of each setting.
        band: as in `summarise`.
        kind: what it is drawn as.
    """
    known = list(counts)
    if not any(count > 1 for count in known):
        return f"n = {seeds_text(known)}"
    return f"mean over {seeds_text(known)}; {kind}: {BAND_TEXTS[band]}"
