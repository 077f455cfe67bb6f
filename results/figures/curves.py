"""Curves over epochs: learning curves with their events, the explored fraction, topology distances along training."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import pandas as pd

from results.aggregate import DIVERGED
from results.evidence import Evidence
from results.figures import axes
from results.figures.layout import Share, named, num_columns, shared
from results.figures.model import Axis, Figure, Marks, Panel, Rug, Series, rug_step
from results.figures.options import FigureOptions
from results.figures.settings import Setting, cut_short, words
from results.figures.summary import Curve, by_epoch, curve, note
from selfish_core.errors import InputError
from selfish_core.records import METRICS

CURVE_METRICS = tuple(row.name for row in METRICS if row.is_watched and row.is_always_there)
"""What a curve over epochs can show: what every epoch of every trial has."""

AVERAGING, UPDATES = "averaging begins", "mask updates"

MAX_COLUMNS = 4
FIRST, PREVIOUS = "topology_distance_to_first", "topology_distance_to_previous"


def learning_curves(evidence: Evidence, options: FigureOptions) -> Figure:
    """Show a metric epoch by epoch, where averaging begins and in which epochs masks are updated.

    Raises:
        InputError: when there is no epoch, no such field or no such trial.
    """
    metric = options.metric or "val_perplexity"
    frame = within(evidence)
    shares = shared(evidence, options)
    curves = _curves(frame, shares, metric, options.band)
    is_log = metric.endswith("perplexity")
    x = axes.numeric("epoch", frame["epoch"].astype(float), whole=True)
    averaging, turnover = by_epoch(frame, "is_averaging"), by_epoch(frame, "turnover_fraction")
    panels = []
    for share in shares:
        marks = tuple(mark for setting in share.settings for mark in _averaging(averaging, setting, curves))
        rugs = tuple(rug for setting in share.settings for rug in _updates(turnover, setting))
        room = rug_step(len(rugs)) * (len(rugs) + 0.5) if rugs else 0.0
        y = _y_axis(words(metric), curves.values(), is_log=is_log, room_below=room)
        panels.append(Panel(share.title, x, y, _series(share, curves), marks, rugs))
    caption = (
        f"{words(metric).capitalize()} after each epoch: {_how(curves.values(), options.band)}. Stars: the "
        "epoch from which the evaluated weights are averages, of each trial. Ticks at the foot: epochs that end "
        f"with a mask update.{cut_short(named(evidence, options))}"
    )
    return _figure("learning-curves", f"Learning curves of {evidence.spec.name}", caption, panels, curves, options)


def explored_fraction(evidence: Evidence, options: FigureOptions) -> Figure:
    """Show how much of the weights was active at any time so far, epoch by epoch.

    Raises:
        InputError: as `learning_curves`.
    """
    frame = within(evidence)
    shares = shared(evidence, options)
    curves = _curves(frame, shares, "explored_fraction", options.band)
    x = axes.numeric("epoch", frame["epoch"].astype(float), whole=True)
    y = axes.fraction("explored fraction")
    panels = [Panel(share.title, x, y, _series(share, curves)) for share in shares]
    caption = (
        "Share of the maskable weights that were active at any time so far (ITOP's R_s): "
        f"{_how(curves.values(), options.band)}."
        f"{cut_short(named(evidence, options))}"
    )
    return _figure("explored-fraction", f"Explored weights of {evidence.spec.name}", caption, panels, curves, options)


def topology_distance(evidence: Evidence, options: FigureOptions) -> Figure:
    """Show how far masks are from the first ones and from those of the epoch before.

    Raises:
        InputError: when no trial has measured it.
    """
    frame = within(evidence)
    if FIRST not in frame or not frame[FIRST].notna().any():
        raise InputError(
            f"no trial of {evidence.spec.name} has measured topology distances: they are recorded where the spec says "
            "base: {training: {topology_distance: true}}, from a trial's first epoch on"
        )
    shares = shared(evidence, options)
    x = axes.numeric("epoch", frame["epoch"].astype(float), whole=True)
    panels: list[Panel] = []
    known: Curves = {}
    for metric, told in ((FIRST, "distance to the first masks"), (PREVIOUS, "distance to the epoch before")):
        curves = _curves(frame, shares, metric, options.band)
        known |= {(metric, *name): found for name, found in curves.items()}
        y = axes.fraction(told)
        panels += [Panel(share.title, x, y, _series(share, curves)) for share in shares]
    caption = (
        "Topology distance (NNSTD) of the masks after each epoch to the first ones and to those of the epoch before: "
        f"{_how(known.values(), options.band)}."
        f"{cut_short(named(evidence, options))}"
    )
    title = f"Topology distances along training of {evidence.spec.name}"
    counts = [found.n for found in known.values() if found.n]
    return Figure(
        "topology-distance",
        title,
        caption,
        note(counts, options.band),
        tuple(panels),
        num_columns(2 * len(shares)),
        True,
    )


def within(evidence: Evidence) -> pd.DataFrame:
    """Return the epochs that the sweep asks for, of all of its trials."""
    keys = [trial.key for trial in evidence.trials]
    frame = evidence.frame
    found = frame[(frame["epoch"] <= evidence.spec.epochs) & frame["key"].isin(keys)]
    if found.empty:
        raise InputError(f"nothing is recorded of {evidence.spec.name} yet: `selfish run` starts its trials")
    return found


def counted(table: pd.DataFrame, setting: Setting) -> list[str]:
    """Return the trials of a setting that a mean is over: those in a table by epoch that have not diverged."""
    return [key for key, state in setting.states.items() if state != DIVERGED and key in table.columns]


Curves = dict[tuple[str, ...], Curve]


def _curves(frame: pd.DataFrame, shares: Iterable[Share], metric: str, band: str) -> Curves:
    """Return the curve of each setting, by its trials."""
    table = by_epoch(frame, metric)
    found: Curves = {}
    for share in shares:
        for setting in share.settings:
            if setting.keys not in found:
                found[setting.keys] = curve(table, counted(table, setting), band)
    return found


def _series(share: Share, curves: Curves) -> tuple[Series, ...]:
    found = []
    for setting in share.settings:
        one = curves[setting.keys]
        if one.n:
            texts = tuple(f"n = {one.n}" for _ in one.epochs)
            name = setting.name()
            found.append(Series(name, setting.style, one.epochs, one.mean, one.low, one.high, "line", texts))
    return tuple(found)


def _averaging(table: pd.DataFrame, setting: Setting, curves: Curves) -> list[Marks]:
    """Mark on a setting's curve where the evaluated weights of each of its trials are averages for the first time."""
    one = curves[setting.keys]
    at = dict(zip(one.epochs, one.mean, strict=True))
    begun = table[counted(table, setting)] == 1
    firsts = [float(epoch) for epoch in begun.loc[:, begun.any()].idxmax()]
    epochs = tuple(sorted({epoch for epoch in firsts if epoch in at}))
    if not epochs:
        return []
    texts = tuple(f"{AVERAGING} in {firsts.count(epoch)} of {len(setting.keys)}" for epoch in epochs)
    return [Marks(AVERAGING, setting.style, epochs, tuple(at[epoch] for epoch in epochs), texts)]


def _updates(table: pd.DataFrame, setting: Setting) -> list[Rug]:
    """Return the epochs in which masks of a setting's trials were changed."""
    has_changed = (table[[key for key in setting.keys if key in table.columns]] > 0).any(axis="columns")
    epochs = tuple(float(epoch) for epoch in table.index[has_changed])
    return [Rug(UPDATES, setting.name(), setting.style, epochs)] if epochs else []


def _y_axis(label: str, curves: Iterable[Curve], *, is_log: bool, room_below: float) -> Axis:
    known = list(curves)
    values = [value for one in known for value in one.mean]
    ends = [value for one in known for value in (*one.low, *one.high) if not math.isnan(value)]
    return axes.numeric(label, values, is_log=is_log, ends=ends, room_below=room_below)


def _how(curves: Iterable[Curve], band: str) -> str:
    return note([found.n for found in curves if found.n], band)


def _figure(
    name: str, title: str, caption: str, panels: Sequence[Panel], curves: Curves, options: FigureOptions
) -> Figure:
    counts = [found.n for found in curves.values() if found.n]
    is_wide = len(panels) > 1
    return Figure(name, title, caption, note(counts, options.band), tuple(panels), num_columns(len(panels)), is_wide)
