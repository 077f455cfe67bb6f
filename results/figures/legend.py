"""The legend of a figure for paper: which entries there are, how they are laid out, and how high that is."""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from results.figures.drawing import DASHES, MARKERS, RING
from results.figures.model import Figure, Panel, Series
from results.figures.styles import NEUTRAL

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure as Canvas

MAX_LEGEND = 20
"""Entries, beyond which a legend takes more room than the figure."""

LETTERS_PER_INCH = 20
"""Of a legend, on average."""

HANDLE_LETTERS = 6
"""Room of a legend's line and the gap after it, in letters."""


@dataclass(frozen=True)
class Legend:
    """The legend of a figure, below its panels.

    Args:
        note: drawn above the entries, in lines that fit.
        handles: what stands for each entry.
        names: of the entries.
        num_columns: entries beside each other.
    """

    note: str
    handles: tuple[Artist, ...]
    names: tuple[str, ...]
    num_columns: int

    @classmethod
    def of(cls, figure: Figure, width: float) -> Legend:
        """Collect the entries of all panels.

        Args:
            figure: what is drawn.
            width: of the figure, in inches.
        """
        found: dict[str, Artist] = {}
        events: dict[str, Artist] = {}
        for panel in figure.panels:
            if isinstance(panel, Panel):
                found |= {one.name: _handle(one) for one in panel.series if one.name and one.name not in found}
                events |= {one.name: _event_handle("*", 7) for one in panel.marks}
                events |= {one.name: _event_handle("|", 4.5) for one in panel.rugs}
        if len(found) > MAX_LEGEND:
            found = {}
        found |= events
        letters = width * LETTERS_PER_INCH
        longest = max((len(name) for name in found), default=0) + HANDLE_LETTERS
        fitting = max(1, min(len(found), int(letters // longest)))
        num_rows = math.ceil(len(found) / fitting)
        balanced = math.ceil(len(found) / num_rows) if num_rows else 1
        note = "\n".join(textwrap.wrap(figure.note, int(letters)))
        return cls(note, tuple(found.values()), tuple(found), balanced)

    @property
    def num_rows(self) -> int:
        """How many rows it takes, its note's too."""
        return math.ceil(len(self.names) / self.num_columns) + len(self.note.splitlines())

    def draw(self, canvas: Canvas) -> None:
        """Put it below the panels."""
        if not self.names and not self.note:
            return
        if not self.names:
            canvas.supxlabel(self.note, fontsize=6.5, color=NEUTRAL)
            return
        legend = canvas.legend(
            self.handles,
            self.names,
            loc="outside lower center",
            ncols=self.num_columns,
            frameon=False,
            title=self.note or None,
            handlelength=2.6,
            columnspacing=1.2,
            borderaxespad=0.2,
        )
        legend.get_title().set_color(NEUTRAL)


def _handle(series: Series) -> Artist:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    style = series.style
    if series.form == "bars":
        return Patch(color=style.colour)
    if series.form == "front":
        return Line2D([], [], color=style.colour, linewidth=0.8, **RING)
    marker = "" if series.form == "level" else MARKERS[style.marker]
    dash: Any = "none" if series.form == "dots" else DASHES[style.dash]
    return Line2D([], [], color=style.colour, linestyle=dash, marker=marker, markersize=3.5)


def _event_handle(marker: str, size: float) -> Artist:
    from matplotlib.lines import Line2D

    return Line2D(
        [],
        [],
        linestyle="none",
        marker=marker,
        markersize=size,
        markerfacecolor="white",
        markeredgecolor="black",
        markeredgewidth=0.8,
    )
