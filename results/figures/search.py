"""What a search found: how much each parameter matters, and all of its points side by side."""

from __future__ import annotations

from collections.abc import Sequence

from results.evidence import Evidence
from results.figures import axes
from results.figures.model import Axis, Coordinates, Dimension, Figure, Panel, Series
from results.figures.options import FigureOptions, Parameter, Searched
from results.figures.settings import words
from results.figures.styles import FIRST_OF_OTHERS, style_at
from selfish_core.errors import InputError

LEAST_POINTS = 2


def search_importance(evidence: Evidence, options: FigureOptions) -> Figure:
    """Show how much of the metric's variance each parameter of a search explains.

    Raises:
        InputError: when the sweep has no search, or too few of its points are over.
    """
    searched = _searched(evidence, options)
    known = [one for one in searched.parameters if one.importance is not None]
    if not known:
        raise InputError(
            f"the points of {evidence.spec.name} tell no importance yet: two or more must differ in what they chose "
            "and in what they are worth"
        )
    known.sort(key=lambda one: (one.importance or 0.0, one.name))
    names = [_label(one) for one in known]
    shares = tuple(one.importance or 0.0 for one in known)
    texts = tuple(f"{share:.1%}" for share in shares)
    places = tuple(float(place) for place in range(len(known)))
    bars = Series("", style_at(FIRST_OF_OTHERS), shares, places, form="bars", texts=texts)
    x = Axis("importance", False, (0.0, 1.15 * max(shares) or 1.0), axes.ticks(0.0, 1.15 * max(shares) or 1.0))
    caption = (
        f"Share of the variance of {words(searched.metric)} that each parameter explains, over "
        f"{len(searched.values)} points ({searched.evaluator}).{_unknown(searched)}"
    )
    panel = Panel("", x, axes.categories("", names), (bars,))
    title = f"Importance of the parameters of {evidence.spec.name}"
    return Figure("search-importance", title, caption, f"{len(searched.values)} points", (panel,))


def search_coordinates(evidence: Evidence, options: FigureOptions) -> Figure:
    """Show every point of a search as a line across its parameters, coloured by what it is worth.

    Raises:
        InputError: when the sweep has no search, or too few of its points are over.
    """
    searched = _searched(evidence, options)
    worth = Dimension(axes.numeric(words(searched.metric), searched.values, is_log=True), searched.values)
    dimensions = (*(_dimension(one) for one in searched.parameters), worth)
    texts = tuple(
        f"point {number}: {value:.2f}" for number, value in zip(searched.numbers, searched.values, strict=True)
    )
    caption = (
        f"The {len(searched.values)} points that are over, each a line across what it chose, coloured by "
        f"{words(searched.metric)}, which the search makes small."
    )
    title = f"Points of {evidence.spec.name}"
    return Figure("search-coordinates", title, caption, "", (Coordinates("", dimensions, texts),), 1, True)


def _unknown(searched: Searched) -> str:
    """Name the parameters that only some points have; empty where there are none."""
    names = [_label(one) for one in searched.parameters if one.importance is None]
    return f" Not assessed, since not every point has them: {', '.join(names)}." if names else ""


def _searched(evidence: Evidence, options: FigureOptions) -> Searched:
    if evidence.spec.search is None:
        raise InputError(f"sweep {evidence.spec.name} has no search: this figure shows the points that one has tried")
    found = options.searched
    if found is None or len(found.values) < LEAST_POINTS:
        num_points = 0 if found is None else len(found.values)
        raise InputError(
            f"{num_points} points of the search of {evidence.spec.name} are over, and the figure needs "
            f"{LEAST_POINTS} or more: `selfish run` goes on with it"
        )
    return found


def _dimension(parameter: Parameter) -> Dimension:
    """Put choices at 0, 1, 2, … in the order of their labels, and numbers where they are."""
    numbers = [value for value in parameter.values if isinstance(value, int | float)]
    labels = sorted({value for value in parameter.values if isinstance(value, str)})
    label = _label(parameter)
    axis = axes.categories(label, labels) if labels else axes.numeric(label, numbers, is_log=parameter.is_log)
    return Dimension(axis, tuple(_place(value, labels) for value in parameter.values))


def _place(value: float | str | None, labels: Sequence[str]) -> float:
    if value is None:
        return float("nan")
    return float(labels.index(value)) if isinstance(value, str) else float(value)


def _label(parameter: Parameter) -> str:
    return ", ".join(name.strip().rpartition(".")[2].replace("_", " ") for name in parameter.name.split(","))
