"""Figures for a screen: a figure as Plotly's JSON, and as a page of its own that needs no network.

The JSON is written by hand, so that nothing but a page needs the plotly package, and the same figure gives the same
bytes. Colours, dashes and markers are those of the paper's form.
"""

from __future__ import annotations

import html
import json
import math
from collections.abc import Iterator

from results.figures import matrix_traces, traces
from results.figures.axes import has_names
from results.figures.model import Coordinates, Figure, Heatmap, Panel
from results.figures.styles import NEUTRAL
from results.figures.traces import Json, Place

PANEL_PIXELS = 300
WIDE_PIXELS, NARROW_PIXELS = 840, 300
"""Of all panels beside each other on a wide screen, and of one on a telephone's; both more or less."""

LETTER_PIXELS = 7.5
HEAT_ROW_PIXELS = 26
MARGIN_PIXELS = 120
LEGEND_ROW_PIXELS = 22
LEGEND_PER_ROW = 5
GAP_X, GAP_Y_PIXELS = 0.09, 70
FONT = {"family": "system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif", "size": 13, "color": "#1A1A1A"}
CONFIG: Json = {"responsive": True, "displaylogo": False}


def to_plotly(figure: Figure, num_columns: int | None = None) -> Json:
    """Return a figure as data and layout of Plotly, ready for JSON.

    Args:
        figure: what to draw.
        num_columns: panels beside each other, 1 for a narrow screen; the figure's own number where it is None.
    """
    columns = num_columns or figure.num_columns
    slanted = _slanted_pixels(figure, NARROW_PIXELS if num_columns == 1 else WIDE_PIXELS / columns)
    height = _height(figure, columns) + slanted * (math.ceil(len(figure.panels) / columns) - 1)
    data: list[Json] = []
    layout: Json = {
        "font": FONT,
        "paper_bgcolor": "white",
        "plot_bgcolor": "white",
        "height": height,
        "margin": {"l": 65, "r": 20, "t": 60, "b": 60, "pad": 0},
        "hovermode": "closest",
        "annotations": [],
        "shapes": [],
    }
    seen: set[str] = set()
    for panel, place in zip(figure.panels, _places(figure, columns, height, slanted), strict=True):
        if isinstance(panel, Panel):
            data += traces.panel_traces(panel, place, layout, seen)
        elif isinstance(panel, Heatmap):
            data += matrix_traces.heatmap_traces(panel, place, layout)
        else:
            data += matrix_traces.coordinates_traces(panel, place, layout)
        if slanted:
            layout[f"xaxis{place.suffix}"]["tickangle"] = -45
        if panel.title:
            layout["annotations"].append(_title(panel.title, place))
    _set_legend(figure, layout, height, slanted)
    return {"data": data, "layout": layout}


def to_html(figure: Figure) -> str:
    """Return a figure as a page of its own, with Plotly's code in it."""
    from plotly.offline import get_plotlyjs

    spec = as_script(to_plotly(figure))
    title, caption = html.escape(figure.title), html.escape(figure.caption)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title}</title>\n"
        "<style>body{font-family:system-ui,sans-serif;max-width:70rem;margin:1rem auto;padding:0 1rem;color:#1a1a1a}"
        "h1{font-size:1.2rem}figure{margin:0}figcaption{max-width:50rem;line-height:1.45}</style>\n"
        f"<script>{get_plotlyjs()}</script>\n</head>\n<body>\n<h1>{title}</h1>\n<figure>\n"
        f'<div id="figure" role="img" aria-label="{title}"></div>\n<figcaption>{caption}</figcaption>\n</figure>\n'
        f"<script>const figure = {spec};\n"
        f"Plotly.newPlot('figure', figure.data, figure.layout, {json.dumps(CONFIG)});</script>\n</body>\n</html>\n"
    )


def to_json(figure: Figure) -> str:
    """Return a figure as one line of JSON, as Plotly reads it."""
    return json.dumps(to_plotly(figure), sort_keys=True, allow_nan=False, ensure_ascii=False)


def as_script(spec: Json) -> str:
    """Return data as JSON that may stand in a script element of a page, whatever the texts in it."""
    text = json.dumps(spec, sort_keys=True, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _slanted_pixels(figure: Figure, width: float) -> float:
    """Return the height that names along horizontal axes need where they do not fit side by side; 0 where they do.

    Args:
        figure: what is drawn.
        width: of a panel, in pixels.
    """
    named = [panel.x.ticks for panel in figure.panels if isinstance(panel, Panel) and has_names(panel.x)]
    if all(sum(len(name) + 1 for _, name in ticks) * LETTER_PIXELS <= width for ticks in named):
        return 0.0
    return 0.7 * LETTER_PIXELS * max(len(name) for ticks in named for _, name in ticks)


def _places(figure: Figure, columns: int, height: float, slanted: float) -> Iterator[Place]:
    number = len(figure.panels)
    rows = math.ceil(number / columns)
    width = (1.0 - GAP_X * (columns - 1)) / columns
    gap = (GAP_Y_PIXELS + slanted) / (height - MARGIN_PIXELS)
    tall = (1.0 - gap * (rows - 1)) / rows
    for at in range(number):
        row, column = divmod(at, columns)
        left, top = column * (width + GAP_X), 1.0 - row * (tall + gap)
        x, y = (left, min(1.0, left + width)), (max(0.0, top - tall), top)
        yield Place(at + 1, x, y, column == 0, at + columns >= number)


def _height(figure: Figure, columns: int) -> float:
    rows = math.ceil(len(figure.panels) / columns)
    first = figure.panels[0]
    if isinstance(first, Heatmap):
        longest = max(map(len, first.columns), default=0)
        return MARGIN_PIXELS + max(PANEL_PIXELS, HEAT_ROW_PIXELS * len(first.rows)) + 7 * longest
    if isinstance(first, Coordinates):
        return MARGIN_PIXELS + PANEL_PIXELS + 40
    if first.series and first.series[0].form == "bars":
        return MARGIN_PIXELS + 50 + 40 * len(first.y.ticks)
    return MARGIN_PIXELS + rows * PANEL_PIXELS + (rows - 1) * GAP_Y_PIXELS


def _title(text: str, place: Place) -> Json:
    return {
        "text": traces.plain(text),
        "x": sum(place.x) / 2,
        "y": place.y[1],
        "xref": "paper",
        "yref": "paper",
        "xanchor": "center",
        "yanchor": "bottom",
        "yshift": 4,
        "showarrow": False,
    }


def _set_legend(figure: Figure, layout: Json, height: float, slanted: float) -> None:
    """Put the legend and the note on how lines are made below the panels."""
    names = {one.name for panel in figure.panels if isinstance(panel, Panel) for one in panel.series if one.name}
    rows = math.ceil(len(names) / LEGEND_PER_ROW) if len(names) > 1 else 0
    layout["showlegend"] = bool(rows)
    below = slanted + LEGEND_ROW_PIXELS * (rows + 2)
    layout["height"] = height + below
    layout["margin"]["b"] += below
    inner = height - MARGIN_PIXELS
    layout["legend"] = {
        "orientation": "h",
        "x": 0.5,
        "xanchor": "center",
        "y": -(52 + slanted) / inner,
        "yanchor": "top",
        "title": {
            "text": traces.plain(figure.note).replace("; ", "<br>"),
            "side": "top center",
            "font": {"size": 12, "color": NEUTRAL},
        },
    }
