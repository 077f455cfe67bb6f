"""What Plotly draws of matrices and of parallel coordinates, as plain data: see `results.figures.traces`."""

from __future__ import annotations

from collections.abc import Iterator

from results.figures.axes import has_names, line_colours, share
from results.figures.model import Coordinates, Heatmap
from results.figures.styles import NEUTRAL
from results.figures.traces import Json, Place, numbers, plain


def heatmap_traces(panel: Heatmap, place: Place, layout: Json) -> Iterator[Json]:
    """Yield a matrix; its axes, and the lines between its groups, go into the layout."""
    common = {"showgrid": False, "ticks": "", "tickmode": "array", "automargin": True, "zeroline": False}
    for letter, labels, domain in (("x", panel.columns, place.x), ("y", panel.rows, place.y)):
        other = "y" if letter == "x" else "x"
        layout[f"{letter}axis{place.suffix}"] = {
            **common,
            "tickvals": list(range(len(labels))),
            "ticktext": list(map(plain, labels)),
            "domain": list(domain),
            "anchor": f"{other}{place.suffix}",
        }
    layout[f"xaxis{place.suffix}"]["tickangle"] = -90
    layout[f"yaxis{place.suffix}"]["autorange"] = "reversed"
    at = -0.5
    for number in panel.groups[:-1]:
        at += number
        line = {"type": "line", "line": {"color": "white", "width": 2}}
        ends = {"low": -0.5, "high": len(panel.rows) - 0.5}
        layout["shapes"] += [
            {**line, "x0": at, "x1": at, "y0": ends["low"], "y1": ends["high"]},
            {**line, "y0": at, "y1": at, "x0": ends["low"], "x1": ends["high"]},
        ]
    told = [[f"{plain(row)}<br>{plain(column)}" for column in panel.columns] for row in panel.rows]
    yield {
        "type": "heatmap",
        "xaxis": f"x{place.suffix}",
        "yaxis": f"y{place.suffix}",
        "z": [numbers(row) for row in panel.values],
        "text": told,
        "hovertemplate": "%{text}<br><b>%{z:.3f}</b><extra></extra>",
        "colorscale": "Viridis",
        "zmin": 0,
        "colorbar": {"title": {"text": panel.label, "side": "right"}, "thickness": 14},
    }


def coordinates_traces(panel: Coordinates, place: Place, layout: Json) -> Iterator[Json]:
    """Yield a trace for each line; the axes that it crosses go into the layout, as lines with labels."""
    x, y = f"x{place.suffix}", f"y{place.suffix}"
    num_axes = len(panel.dimensions)
    bare = {"showgrid": False, "zeroline": False, "fixedrange": True}
    layout[f"xaxis{place.suffix}"] = {
        **bare,
        "domain": list(place.x),
        "anchor": y,
        "range": [-0.35, num_axes - 0.75],
        "ticklabeloverflow": "allow",
        "tickmode": "array",
        "tickvals": list(range(num_axes)),
        "ticktext": [plain(one.axis.label) for one in panel.dimensions],
    }
    layout[f"yaxis{place.suffix}"] = {
        **bare,
        "domain": list(place.y),
        "anchor": x,
        "range": [-0.02, 1.02],
        "visible": False,
    }
    on = {"xref": x, "yref": y}
    for at, one in enumerate(panel.dimensions):
        line = {"color": NEUTRAL, "width": 1}
        layout["shapes"].append({**on, "type": "line", "x0": at, "x1": at, "y0": 0, "y1": 1, "line": line})
        for value, label in one.axis.ticks:
            label_at = {"x": at, "y": share(one.axis, value), "xanchor": "right", "xshift": -5, "showarrow": False}
            layout["annotations"].append({**on, **label_at, "text": plain(label), "bgcolor": "rgba(255,255,255,0.75)"})
    colours = line_colours(panel.dimensions[-1])
    heights = [numbers([share(one.axis, value) for value in one.values]) for one in panel.dimensions]
    for number in sorted(range(len(colours)), key=lambda number: -(heights[-1][number] or 0.0)):
        yield {
            "type": "scatter",
            "mode": "lines+markers",
            "xaxis": x,
            "yaxis": y,
            "x": list(range(num_axes)),
            "y": [dimension[number] for dimension in heights],
            "line": {"color": colours[number], "width": 1.5},
            "marker": {"size": 5},
            "text": _told(panel, number),
            "hovertemplate": f"<b>{plain(panel.texts[number])}</b><br>%{{text}}<extra></extra>",
            "showlegend": False,
        }


def _told(panel: Coordinates, line: int) -> list[str]:
    """Say what a line has at each dimension: the label of a choice, or the number."""
    told = []
    for one in panel.dimensions:
        value = one.values[line]
        names = dict(one.axis.ticks) if has_names(one.axis) else {}
        told.append(f"{plain(one.axis.label)}: {plain(names.get(value, '')) or f'{value:.5g}'}")
    return told
