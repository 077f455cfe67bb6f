"""Figures of a search: importances sorted, choices and missing values in their places."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from support import made_evidence

from results.figures import build
from results.figures.axes import line_colours
from results.figures.model import Coordinates, Panel
from results.figures.options import FigureOptions, Searched
from selfish_core.errors import InputError

SEARCHED = made_evidence.searched()


def figure(name: str, searched: Searched | None = SEARCHED) -> Panel | Coordinates:
    (panel,) = build(name, made_evidence.search_evidence(), FigureOptions(searched=searched)).panels
    assert isinstance(panel, Panel | Coordinates)
    return panel


def test_the_most_important_parameter_is_the_highest_bar() -> None:
    panel = figure("search-importance")
    assert isinstance(panel, Panel)
    assert panel.series[0].x == (0.25, 0.75)
    assert [label for _, label in panel.y.ticks] == ["method", "learning rate"]


def test_a_parameter_that_not_every_point_has_is_named() -> None:
    options = FigureOptions(searched=SEARCHED)
    assert "removal rate" in build("search-importance", made_evidence.search_evidence(), options).caption


def test_choices_stand_at_places_and_missing_values_leave_gaps() -> None:
    panel = figure("search-coordinates")
    assert isinstance(panel, Coordinates)
    assert [one.axis.label for one in panel.dimensions] == [
        "learning rate",
        "removal rate",
        "method",
        "validation perplexity",
    ]
    assert panel.dimensions[2].values == (1.0, 0.0, 1.0, 0.0)
    assert math.isnan(panel.dimensions[1].values[3])
    assert panel.dimensions[0].axis.is_log
    assert panel.texts[3] == "point 4: 100.00"


def test_the_best_point_has_the_darkest_line() -> None:
    panel = figure("search-coordinates")
    assert isinstance(panel, Coordinates)
    colours = line_colours(panel.dimensions[-1])
    assert colours[1] == "#440154"
    assert colours[0] == "#B5DE2B"


@pytest.mark.parametrize("name", ["search-importance", "search-coordinates"])
def test_too_few_points_are_told(name: str) -> None:
    one = replace(SEARCHED, values=(1.0,), numbers=(0,), parameters=())
    for searched in (None, one):
        with pytest.raises(InputError, match="points of the search of made-search are over"):
            figure(name, searched)


def test_points_that_tell_nothing_have_no_importance() -> None:
    unknown = tuple(replace(one, importance=None) for one in SEARCHED.parameters)
    with pytest.raises(InputError, match="tell no importance"):
        figure("search-importance", replace(SEARCHED, parameters=unknown))


def test_a_sweep_without_a_search_is_told_so() -> None:
    with pytest.raises(InputError, match="made has no search"):
        build("search-importance", made_evidence.evidence())
