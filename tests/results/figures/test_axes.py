"""Axes: everything in sight, few round ticks, bands that do not press the curves together; styles that differ."""

from __future__ import annotations

import itertools
import math

import pytest

from results.figures import axes
from results.figures.styles import METHOD_ORDER, colour_between, style_at, style_of_method, variant
from selfish_core.catalogue.methods import METHODS


@pytest.mark.parametrize(
    ("low", "high"), [(60, 150), (199, 1042), (3e12, 8.6e12), (0.001, 1e7), (95.2, 95.9), (1, 1), (3e-7, 4e-7)]
)
@pytest.mark.parametrize("is_log", [False, True])
def test_values_are_in_sight_with_two_to_ten_ticks_among_them(low: float, high: float, is_log: bool) -> None:
    axis = axes.numeric("x", [low, high], is_log=is_log)
    assert axis.limits[0] < low <= high < axis.limits[1]
    assert 2 <= len(axis.ticks) <= 10
    assert all(axis.limits[0] <= place <= axis.limits[1] for place, _ in axis.ticks)
    assert len({label for _, label in axis.ticks}) == len(axis.ticks)


def test_a_wide_band_is_cut_where_the_values_would_be_pressed_together() -> None:
    axis = axes.numeric("x", [100.0, 110.0], ends=[-1000.0, 112.0])
    assert 80.0 < axis.limits[0] < 100.0
    assert axis.limits[1] > 112.0


def test_values_that_are_not_numbers_decide_nothing() -> None:
    assert axes.numeric("x", [1.0, 2.0, math.nan, math.inf]) == axes.numeric("x", [1.0, 2.0])
    assert axes.numeric("x", [1.0, 10.0, 0.0, -3.0], is_log=True) == axes.numeric("x", [1.0, 10.0], is_log=True)


def test_room_below_is_a_share_of_the_whole_axis() -> None:
    axis = axes.numeric("x", [0.0, 1.0], room_below=0.2)
    assert axes.share(axis, axes.numeric("x", [0.0, 1.0]).limits[0]) == pytest.approx(0.2)


def test_whole_ticks_stand_at_whole_numbers() -> None:
    places = [place for place, _ in axes.numeric("epoch", [1.0, 2.0, 3.0], whole=True).ticks]
    assert places == [1.0, 2.0, 3.0]


def test_a_share_of_an_axis_and_the_value_there_undo_each_other() -> None:
    for is_log in (False, True):
        axis = axes.numeric("x", [1.0, 1000.0], is_log=is_log)
        assert axes.value_at(axis, axes.share(axis, 30.0)) == pytest.approx(30.0)
    assert math.isnan(axes.share(axis, math.nan))


def test_numbers_are_written_short() -> None:
    assert [axes.number_text(value) for value in (0.30000000000000004, 150.0, 2e15, 1e-4, 0.0)] == [
        "0.3",
        "150",
        "2·10¹⁵",
        "10⁻⁴",
        "0",
    ]


def test_twenty_eight_styles_differ_and_neighbours_differ_in_everything() -> None:
    styles = [style_at(number) for number in range(28)]
    assert len(set(styles)) == 28
    for first, second in itertools.pairwise(styles):
        assert first.colour != second.colour
        assert first.dash != second.dash
        assert first.marker != second.marker


def test_every_method_has_a_style_of_its_own() -> None:
    assert set(METHOD_ORDER) <= set(METHODS)
    assert len({style_of_method(name) for name in METHODS}) == len(METHODS)


def test_a_variant_keeps_the_colour_and_nothing_else() -> None:
    style = style_of_method("set")
    assert variant(style, 0) == style
    assert variant(style, 1).colour == style.colour
    assert variant(style, 1).dash != style.dash


def test_colours_of_a_sequence_run_from_dark_to_light() -> None:
    def lightness(colour: str) -> int:
        return sum(int(colour[at : at + 2], 16) for at in (1, 3, 5))

    shades = [lightness(colour_between(place / 10)) for place in range(11)]
    assert shades == sorted(shades)
    assert colour_between(-1.0) == colour_between(0.0)
