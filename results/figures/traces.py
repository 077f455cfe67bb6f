"""What Plotly draws of series over two axes, as plain data.

Each function adds its axes to the layout and yields traces; `results.figures.interactive` puts them together.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from results.figures.axes import has_names, value_at
from results.figures.model import Axis, Panel, Series, rug_step
from results.figures.styles import NEUTRAL

Json = dict[str, Any]

MAX_MARKERS = 30
"""On one line."""

GRID = "#E4E4E4"
BAND_ALPHA = 0.16
SYMBOLS = {"x": "x-thin-open"}
"""Plotly's names where they are not ours."""


@dataclass(frozen=True)
class Place:
    """Where a panel is.

    Args:
        number: from 1.
        x: left and right end, as shares of the figure.
        y: lower and upper end likewise.
        is_first: whether it is the first of its row.
        is_lowest: whether no panel is below it.
    """

    number: int
    x: tuple[float, float]
    y: tuple[float, float]
    is_first: bool
    is_lowest: bool

    @property
    def suffix(self) -> str:
        """What the names of its axes end in."""
        return "" if self.number == 1 else str(self.number)


def panel_traces(panel: Panel, place: Place, layout: Json, seen: set[str]) -> Iterator[Json]:
    """Yield the traces of series, marks and rugs.

    Args:
        panel: what is drawn.
        place: where.
        layout: takes the panel's axes.
        seen: names that have an entry in the legend; takes those of this panel.
    """
    x, y = f"x{place.suffix}", f"y{place.suffix}"
    layout[f"xaxis{place.suffix}"] = {**_axis(panel.x), "domain": list(place.x), "anchor": y}
    layout[f"yaxis{place.suffix}"] = {**_axis(panel.y), "domain": list(place.y), "anchor": x}
    if not place.is_lowest:
        layout[f"xaxis{place.suffix}"].pop("title")
    if not place.is_first:
        layout[f"yaxis{place.suffix}"].pop("title")
    on = {"xaxis": x, "yaxis": y}
    for series in panel.series:
        for trace in _series(series, panel):
            has_entry = trace.pop("is_named", False) and series.name not in seen and bool(series.name)
            seen |= {series.name} if has_entry else set()
            name = plain(series.name)
            yield {**on, **trace, "name": name, "legendgroup": name, "showlegend": has_entry}
    for number, rug in enumerate(panel.rugs):
        height = value_at(panel.y, (number + 0.75) * rug_step(len(panel.rugs)))
        marker = {"symbol": "line-ns-open", "size": 7, "color": rug.style.colour, "line": {"width": 1.5}}
        told = f"{plain(rug.owner)}: {rug.name}, epoch %{{x}}<extra></extra>"
        points = {"x": list(rug.x), "y": [height] * len(rug.x), "marker": marker, "hovertemplate": told}
        yield from ({**on, **trace} for trace in _events(rug.name, points, seen))
    for mark in panel.marks:
        marker = {"symbol": "star", "size": 12, "color": mark.style.colour, "line": {"width": 1.2, "color": "black"}}
        told = "%{text}<br>%{x}, %{y:.5g}<extra></extra>"
        points = {"x": list(mark.x), "y": list(mark.y), "marker": marker, "text": list(mark.texts)}
        yield from ({**on, **trace} for trace in _events(mark.name, {**points, "hovertemplate": told}, seen))


def _events(name: str, points: Json, seen: set[str]) -> Iterator[Json]:
    """Yield the events of one series, and before the first of a name its entry in the legend, of no series' colour."""
    base = {"type": "scatter", "mode": "markers", "name": name, "legendgroup": name}
    if name not in seen:
        seen.add(name)
        yield {**base, "x": [None], "y": [None], "marker": {**points["marker"], "color": NEUTRAL}, "showlegend": True}
    yield {**base, **points, "showlegend": False}


def _series(series: Series, panel: Panel) -> Iterator[Json]:
    """Yield the traces of a series: its band, then itself."""
    style = series.style
    told = f"<b>{plain(series.name)}</b><br>%{{x:.5g}}, %{{y:.5g}}<br>%{{text}}<extra></extra>"
    texts = list(map(plain, series.texts)) or [""] * len(series.x)
    marker = {"symbol": SYMBOLS.get(style.marker, style.marker), "color": style.colour, "size": 7}
    line = {"color": style.colour, "dash": style.dash, "width": 2}
    base = {"type": "scatter", "text": texts, "hovertemplate": told, "is_named": True}
    if series.form == "bars":
        yield {
            "type": "bar",
            "orientation": "h",
            "x": list(series.x),
            "y": list(series.y),
            "width": 0.6,
            "marker": {"color": style.colour},
            "text": texts,
            "textposition": "outside",
            "cliponaxis": False,
            "hovertemplate": "%{text}<extra></extra>",
        }
        return
    xs, ys, lows, highs = series.x, series.y, series.low, series.high
    if series.form == "level":
        xs, ys, lows, highs = panel.x.limits, (ys[0],) * 2, lows[:1] * 2, highs[:1] * 2
        told = f"<b>{plain(series.name)}</b><br>%{{y:.5g}}<br>%{{text}}<extra></extra>"
        base |= {"text": texts * 2, "hovertemplate": told}
    base |= {"x": list(xs), "y": numbers(ys)}
    if series.form in ("line", "level"):
        yield from _band(xs, lows, highs, style.colour)
        mode = "lines+markers" if series.form == "line" and len(xs) <= MAX_MARKERS else "lines"
        yield {**base, "mode": mode, "line": line, "marker": marker}
    elif series.form == "front":
        ring = {"symbol": "circle-open", "color": NEUTRAL, "size": 16, "line": {"width": 1.2}}
        shape = {"color": style.colour, "width": 1.5, "shape": "hv"}
        yield {**base, "mode": "lines+markers", "line": shape, "marker": ring, "hoverinfo": "skip", "hovertemplate": ""}
    else:
        mode = "lines+markers" if series.form == "path" else "markers"
        yield {**base, "mode": mode, "line": {**line, "width": 1}, "marker": {**marker, "size": 9}, **_bars(series)}


def _band(xs: Sequence[float], lows: Sequence[float], highs: Sequence[float], colour: str) -> Iterator[Json]:
    """Yield a band as one closed shape, of the points where it can be said."""
    known = [at for at in range(len(lows)) if math.isfinite(lows[at]) and math.isfinite(highs[at])]
    if len(known) < 2:
        return
    there, back = known, known[::-1]
    yield {
        "type": "scatter",
        "mode": "lines",
        "x": [xs[at] for at in there] + [xs[at] for at in back],
        "y": [highs[at] for at in there] + [lows[at] for at in back],
        "fill": "toself",
        "fillcolor": _faded(colour),
        "line": {"width": 0, "color": colour},
        "hoverinfo": "skip",
    }


def _bars(series: Series) -> Json:
    """Return the error bars of dots; none where they cannot be said."""
    if not any(math.isfinite(low) for low in series.low):
        return {}
    ends = list(zip(series.y, series.low, series.high, strict=True))
    up = [high - y if math.isfinite(high) else 0.0 for y, _, high in ends]
    down = [y - low if math.isfinite(low) else 0.0 for y, low, _ in ends]
    return {
        "error_y": {
            "type": "data",
            "symmetric": False,
            "array": up,
            "arrayminus": down,
            "color": series.style.colour,
            "thickness": 1.5,
            "width": 0,
        }
    }


def _axis(axis: Axis) -> Json:
    """Return an axis; Plotly places the ticks of a linear one, so that they follow whoever zooms in."""
    low, high = (_scaled(axis, end) for end in axis.limits)
    places = {
        "tickmode": "array",
        "tickvals": [value for value, _ in axis.ticks],
        "ticktext": [plain(label) for _, label in axis.ticks],
    }
    return {
        "title": {"text": axis.label, "standoff": 8},
        "type": "log" if axis.is_log else "linear",
        "range": [low, high],
        **(places if axis.is_log or has_names(axis) else {"tickmode": "auto", "nticks": 8}),
        "gridcolor": GRID,
        "linecolor": NEUTRAL,
        "showline": True,
        "ticks": "outside",
        "zeroline": False,
        "automargin": True,
    }


def _scaled(axis: Axis, value: float) -> float:
    return math.log10(value) if axis.is_log else value


def plain(text: str) -> str:
    """Write a text so that Plotly, which reads some of HTML in texts, shows it as it is."""
    return html.escape(text, quote=False)


def numbers(values: Sequence[float]) -> list[float | None]:
    """Return numbers as JSON has them: nothing for what is not finite."""
    return [value if math.isfinite(value) else None for value in values]


def _faded(colour: str) -> str:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},{BAND_ALPHA})"
