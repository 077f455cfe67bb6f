"""Figures for paper: matplotlib, without a screen; PDF, SVG or PNG, the same bytes from the same figure.

Fonts are embedded as TrueType, as publishers ask for; sizes are those of one or two columns of a paper; no file has a
date in it. Nothing global of matplotlib's is used or changed.
"""

from __future__ import annotations

import math
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from results.figures import drawing
from results.figures.legend import Legend
from results.figures.model import Coordinates, Figure, Heatmap, Panel
from selfish_core.errors import InputError, unknown_name

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Canvas

FORMATS = ("pdf", "png", "svg")
DPI = 200
COLUMN_INCHES, WIDE_INCHES = 3.25, 6.75
PANEL_INCHES = 2.0
COORDINATES_INCHES = 2.6
BAR_INCHES = 0.3
LEGEND_ROW_INCHES = 0.155
LABEL_INCHES = 0.14
"""Height of a row's label in a matrix, at the least."""

STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 7.5,
    "axes.titlesize": 7.5,
    "axes.labelsize": 7.5,
    "xtick.labelsize": 6.5,
    "ytick.labelsize": 6.5,
    "legend.fontsize": 6.5,
    "legend.title_fontsize": 6.5,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.1,
    "lines.markersize": 3.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.formatter.use_mathtext": False,
    "text.usetex": False,
    "text.parse_math": False,
    "pdf.fonttype": 42,
    "ps.fonttype": 42,
    "svg.fonttype": "path",
    "svg.hashsalt": "selfish",
    "path.simplify": True,
}
"""What is set while a figure is drawn, over matplotlib's own defaults and not a user's."""


def save(figure: Figure, path: Path) -> None:
    """Write a figure to a file, in the format of its suffix.

    Raises:
        InputError: when the suffix is none of `FORMATS`.
    """
    format_name = path.suffix.removeprefix(".").lower()
    path.write_bytes(render(figure, format_name))


def render(figure: Figure, format_name: str, dpi: int = DPI) -> bytes:
    """Return the bytes of a figure's file.

    Args:
        figure: what to draw.
        format_name: one of `FORMATS`.
        dpi: dots per inch of a PNG.

    Raises:
        InputError: when the format is unknown.
    """
    if format_name not in FORMATS:
        raise InputError(unknown_name("picture format", format_name, FORMATS))
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(STYLE)
        canvas = _canvas(figure)
        written = BytesIO()
        canvas.savefig(written, format=format_name, dpi=dpi, metadata=_metadata(figure, format_name))
    return written.getvalue()


def _canvas(figure: Figure) -> Canvas:
    from matplotlib.figure import Figure as Canvas

    width = WIDE_INCHES if figure.is_wide else COLUMN_INCHES
    num_rows = math.ceil(len(figure.panels) / figure.num_columns)
    legend = Legend.of(figure, width)
    height = num_rows * _panel_inches(figure, width) + LEGEND_ROW_INCHES * legend.num_rows
    canvas = Canvas(figsize=(width, height), layout="constrained")
    for place, panel in enumerate(figure.panels):
        axes = canvas.add_subplot(num_rows, figure.num_columns, place + 1)
        if isinstance(panel, Panel):
            has_y_label = place % figure.num_columns == 0 or _y_label(figure, place) != _y_label(figure, place - 1)
            is_lowest = place + figure.num_columns >= len(figure.panels)
            drawing.draw_panel(axes, panel, width / figure.num_columns, has_x_label=is_lowest, has_y_label=has_y_label)
        elif isinstance(panel, Heatmap):
            drawing.draw_heatmap(canvas, axes, panel)
        else:
            drawing.draw_coordinates(axes, panel)
    legend.draw(canvas)
    return canvas


def _y_label(figure: Figure, place: int) -> str:
    panel = figure.panels[place]
    return panel.y.label if isinstance(panel, Panel) else ""


def _panel_inches(figure: Figure, width: float) -> float:
    first = figure.panels[0]
    if isinstance(first, Heatmap):
        return max(0.8 * width, LABEL_INCHES * len(first.rows) + 1.0)
    if isinstance(first, Coordinates):
        return COORDINATES_INCHES
    if first.series and first.series[0].form == "bars":
        return 0.5 + BAR_INCHES * len(first.y.ticks)
    return PANEL_INCHES if figure.num_columns > 1 or len(figure.panels) > 1 else PANEL_INCHES + 0.2


def _metadata(figure: Figure, format_name: str) -> dict[str, str | None]:
    """Say what the figure shows where the format has a place for it, and leave out dates and versions."""
    if format_name == "png":
        return {"Software": None, "Title": figure.title, "Description": figure.caption}
    if format_name == "svg":
        return {"Date": None, "Creator": None, "Title": figure.title, "Description": figure.caption}
    return {
        "CreationDate": None,
        "Creator": None,
        "Producer": None,
        "Title": figure.title,
        "Subject": figure.caption,
    }
