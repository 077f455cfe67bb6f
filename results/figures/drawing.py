"""What matplotlib draws of each kind of panel."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from results.figures.axes import has_names, line_colours, share
from results.figures.model import Coordinates, Heatmap, Panel, Series, rug_step
from results.figures.styles import NEUTRAL

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas

DASHES: Mapping[str, Any] = {
    "solid": "-",
    "dash": (0, (4, 1.6)),
    "dot": (0, (1, 1.2)),
    "dashdot": (0, (5, 1.4, 1, 1.4)),
}
MARKERS = {
    "circle": "o",
    "square": "s",
    "triangle-up": "^",
    "diamond": "D",
    "triangle-down": "v",
    "x": "x",
    "cross": "P",
    "pentagon": "p",
}
COLOUR_MAP = "viridis"
BAND_ALPHA, EDGE_ALPHA = 0.13, 0.5
MAX_MARKERS = 8
"""On one line, so that they tell lines apart and hide none."""

TITLE_LETTERS_PER_INCH, TICK_LETTERS_PER_INCH = 16, 17
"""On average, at their sizes."""

MAX_VALUES_IN_CELLS = 10

RING: Mapping[str, Any] = {
    "marker": "o",
    "markersize": 7,
    "markerfacecolor": "none",
    "markeredgecolor": NEUTRAL,
    "markeredgewidth": 0.7,
}
"""Around what nothing is better than."""


def draw_panel(axes: Axes, panel: Panel, width: float, *, has_x_label: bool, has_y_label: bool) -> None:
    """Draw series, marks and rugs.

    Args:
        axes: where.
        panel: what.
        width: of the panel, in inches.
        has_x_label: whether the horizontal axis is named.
        has_y_label: whether the vertical one is.
    """
    axes.set_title(textwrap.fill(panel.title, int(width * TITLE_LETTERS_PER_INCH)))
    num_letters = sum(len(label) + 2 for _, label in panel.x.ticks)
    if has_names(panel.x) and num_letters > width * TICK_LETTERS_PER_INCH:
        axes.tick_params(axis="x", rotation=45, rotation_mode="xtick")
    _set_axes(axes, panel, has_x_label=has_x_label, has_y_label=has_y_label)
    for one in panel.series:
        _draw_series(axes, one)
    for number, rug in enumerate(panel.rugs):
        height = (number + 0.75) * rug_step(len(panel.rugs))
        axes.plot(
            rug.x,
            [height] * len(rug.x),
            transform=axes.get_xaxis_transform(),
            linestyle="none",
            marker="|",
            markersize=3,
            markeredgewidth=0.8,
            color=rug.style.colour,
        )
    for mark in panel.marks:
        axes.plot(
            mark.x,
            mark.y,
            linestyle="none",
            marker="*",
            markersize=7,
            markerfacecolor=mark.style.colour,
            markeredgecolor="black",
            markeredgewidth=0.7,
            zorder=5,
        )


def draw_heatmap(canvas: Canvas, axes: Axes, panel: Heatmap) -> None:
    """Draw a matrix, its colours' scale, and where it is small the numbers themselves."""
    axes.set_title(panel.title)
    image = axes.imshow(panel.values, cmap=COLOUR_MAP, vmin=0.0, vmax=_most(panel), interpolation="nearest")
    axes.set_xticks(range(len(panel.columns)), panel.columns, rotation=90)
    axes.set_yticks(range(len(panel.rows)), panel.rows)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    at = -0.5
    for number in panel.groups[:-1]:
        at += number
        axes.axhline(at, color="white", linewidth=1.0)
        axes.axvline(at, color="white", linewidth=1.0)
    if len(panel.rows) <= MAX_VALUES_IN_CELLS:
        for row, values in enumerate(panel.values):
            for column, value in enumerate(values):
                colour = "white" if value < 0.6 * _most(panel) else "black"
                axes.text(column, row, f"{value:.2f}", ha="center", va="center", color=colour, fontsize=5.5)
    canvas.colorbar(image, ax=axes, label=panel.label, shrink=0.8)


def draw_coordinates(axes: Axes, panel: Coordinates) -> None:
    """Draw a line for each thing across vertical axes; the colour is that of the last, the lowest drawn last."""
    axes.set_title(panel.title)
    colours = line_colours(panel.dimensions[-1])
    heights = [[share(one.axis, value) for value in one.values] for one in panel.dimensions]
    for line in sorted(range(len(colours)), key=lambda line: -heights[-1][line]):
        ys = [dimension[line] for dimension in heights]
        axes.plot(range(len(ys)), ys, color=colours[line], linewidth=1.0, marker="o", markersize=2)
    for place, one in enumerate(panel.dimensions):
        axes.axvline(place, color=NEUTRAL, linewidth=0.6, zorder=0)
        for value, label in one.axis.ticks:
            height = share(one.axis, value)
            axes.plot([place - 0.015, place], [height, height], color=NEUTRAL, linewidth=0.6, zorder=0)
            box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.6}
            axes.text(place - 0.03, height, label, ha="right", va="center", fontsize=6, bbox=box, zorder=4)
    axes.set_xticks(range(len(panel.dimensions)), [one.axis.label for one in panel.dimensions])
    axes.tick_params(axis="x", length=0)
    axes.set_yticks([])
    axes.spines[:].set_visible(False)
    axes.set_xlim(-0.35, len(panel.dimensions) - 0.9)
    axes.set_ylim(-0.02, 1.02)


def _set_axes(axes: Axes, panel: Panel, *, has_x_label: bool, has_y_label: bool) -> None:
    if panel.x.is_log:
        axes.set_xscale("log")
    if panel.y.is_log:
        axes.set_yscale("log")
    axes.set_xlim(panel.x.limits)
    axes.set_ylim(panel.y.limits)
    axes.set_xticks([place for place, _ in panel.x.ticks], [label for _, label in panel.x.ticks])
    axes.set_yticks([place for place, _ in panel.y.ticks], [label for _, label in panel.y.ticks])
    axes.minorticks_off()
    axes.grid(visible=True, color="#E4E4E4", linewidth=0.5)
    axes.set_axisbelow(True)
    if has_x_label:
        axes.set_xlabel(panel.x.label)
    if has_y_label:
        axes.set_ylabel(panel.y.label)


def _draw_series(axes: Axes, series: Series) -> None:
    style = series.style
    if series.form == "bars":
        axes.barh(series.y, series.x, height=0.6, color=style.colour)
        for value, height, text in zip(series.x, series.y, series.texts, strict=True):
            axes.text(value, height, f" {text}", va="center", fontsize=6.5)
        return
    if series.form == "level":
        axes.axhline(series.y[0], color=style.colour, linestyle=DASHES[style.dash], linewidth=1.0)
        if series.low and not math.isnan(series.low[0]):
            axes.axhspan(series.low[0], series.high[0], color=style.colour, alpha=BAND_ALPHA, linewidth=0)
        return
    if series.form == "front":
        axes.plot(series.x, series.y, color=style.colour, linewidth=0.8, drawstyle="steps-post", zorder=1)
        axes.plot(series.x, series.y, linestyle="none", **RING, zorder=4)
        return
    if series.form in ("dots", "path"):
        _draw_dots(axes, series)
        return
    if series.low:
        axes.fill_between(series.x, series.low, series.high, color=style.colour, alpha=BAND_ALPHA, linewidth=0)
        for ends in (series.low, series.high):
            axes.plot(series.x, ends, color=style.colour, alpha=EDGE_ALPHA, linewidth=0.4)
    axes.plot(
        series.x,
        series.y,
        color=style.colour,
        linestyle=DASHES[style.dash],
        marker=MARKERS[style.marker],
        markevery=math.ceil(len(series.x) / MAX_MARKERS),
        markersize=3,
    )


def _draw_dots(axes: Axes, series: Series) -> None:
    style = series.style
    if series.form == "path":
        axes.plot(series.x, series.y, color=style.colour, linestyle=DASHES[style.dash], linewidth=0.6, zorder=2)
    for x, y, low, high in zip(series.x, series.y, series.low, series.high, strict=True):
        if not math.isnan(low):
            axes.plot([x, x], [low, high], color=style.colour, linewidth=0.8)
        axes.plot(x, y, color=style.colour, marker=MARKERS[style.marker], markersize=4, linestyle="none", zorder=3)


def _most(panel: Heatmap) -> float:
    """Return the upper end of the colours: the largest number there is."""
    return max((value for row in panel.values for value in row if not math.isnan(value)), default=1.0) or 1.0
