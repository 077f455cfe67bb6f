"""Colours, dashes and markers: safe for colour-blind readers, told apart in grey print, the same method always alike.

Source: Okabe and Ito, Color Universal Design, 2008: the palette, without its yellow, which is hard to see on white.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from selfish_core.catalogue.methods import METHODS

PALETTE = ("#000000", "#56B4E9", "#0072B2", "#E69F00", "#D55E00", "#009E73", "#CC79A7")
NEUTRAL = "#404040"
"""Of what belongs to no series."""

SEQUENCE = (
    "#440154",
    "#482878",
    "#3E4989",
    "#31688E",
    "#26828E",
    "#1F9E89",
    "#35B779",
    "#6ECE58",
    "#B5DE2B",
)
"""From low to high: nine of the ten even steps of matplotlib's viridis, whose last is too light for a line."""

DASHES = ("solid", "dash", "dot", "dashdot")
MARKERS = ("circle", "square", "triangle-up", "diamond", "triangle-down", "x", "cross", "pentagon")

METHOD_ORDER = ("dense", "static", "set", "rigl", "selfish", "snfs", "dsr", "deepr", "small_dense", "selfish_figure")
"""Methods that are most often seen together, so that their colours differ; the others follow as they are listed."""

FIRST_OF_OTHERS = 2
"""Where in the palette the values of other fields begin: black stays with what is compared against."""


@dataclass(frozen=True)
class Style:
    """How a series is told apart, in names that both renderers know.

    Args:
        colour: `#RRGGBB`.
        dash: one of `DASHES`.
        marker: one of `MARKERS`.
    """

    colour: str
    dash: str
    marker: str


def style_at(number: int) -> Style:
    """Return the style of a place in an order: the first 28 differ, neighbours in colour, dash and marker.

    Args:
        number: from 0.
    """
    turn = number + 2 * (number // len(PALETTE))
    return Style(
        PALETTE[number % len(PALETTE)],
        DASHES[turn % len(DASHES)],
        MARKERS[turn % len(MARKERS)],
    )


def style_of_method(name: str) -> Style:
    """Return the style that a method has in every figure."""
    order = (*METHOD_ORDER, *(method for method in METHODS if method not in METHOD_ORDER))
    return style_at(order.index(name))


def variant(style: Style, number: int) -> Style:
    """Return a style of the same colour for another setting of the same kind.

    Args:
        style: of the first.
        number: from 0, which is the style itself.
    """
    return replace(
        style,
        dash=DASHES[(DASHES.index(style.dash) + number) % len(DASHES)],
        marker=MARKERS[(MARKERS.index(style.marker) + number) % len(MARKERS)],
    )


def colour_between(place: float) -> str:
    """Return the colour at a share of the way along `SEQUENCE`, `#RRGGBB`.

    Args:
        place: in [0, 1].

    >>> colour_between(0.0), colour_between(0.9375)
    ('#440154', '#92D642')
    """
    at = min(max(place, 0.0), 1.0) * (len(SEQUENCE) - 1)
    first = min(int(at), len(SEQUENCE) - 2)
    ends = [[int(colour[start : start + 2], 16) for start in (1, 3, 5)] for colour in SEQUENCE[first : first + 2]]
    mixed = (round(low + (at - first) * (high - low)) for low, high in zip(*ends, strict=True))
    return "#" + "".join(f"{part:02X}" for part in mixed)
