"""Perplexity against sparsity, removal rate and FLOPs: the numbers drawn are those worked out by hand."""

from __future__ import annotations

import pytest
from support import made_evidence
from support.made_evidence import HALF_INTERVAL

from results.evidence import Evidence
from results.figures import build
from results.figures.model import Panel, Series
from results.figures.options import FigureOptions
from results.figures.styles import style_of_method
from selfish_core.errors import InputError


@pytest.fixture(scope="module")
def sweep() -> Evidence:
    return made_evidence.evidence()


def series_of(name: str, sweep: Evidence, **options: object) -> dict[str, Series]:
    (panel,) = build(name, sweep, FigureOptions(**options)).panels  # type: ignore[arg-type]
    assert isinstance(panel, Panel)
    return {one.name: one for one in panel.series}


def test_a_line_of_a_method_has_means_and_t_intervals_at_each_sparsity(sweep: Evidence) -> None:
    line = series_of("perplexity-sparsity", sweep)["static"]
    assert line.form == "line"
    assert line.x == (0.5, 0.8)
    assert line.y == pytest.approx((110.0, 120.0))
    assert line.low == pytest.approx((110 - HALF_INTERVAL, 120 - HALF_INTERVAL))
    assert line.high == pytest.approx((110 + HALF_INTERVAL, 120 + HALF_INTERVAL))


def test_a_band_of_standard_deviations_is_one_to_each_side(sweep: Evidence) -> None:
    line = series_of("perplexity-sparsity", sweep, band="std")["static"]
    assert line.low == pytest.approx((109.0, 119.0))
    assert line.high == pytest.approx((111.0, 121.0))


def test_the_dense_network_is_a_level_across_all_sparsities(sweep: Evidence) -> None:
    level = series_of("perplexity-sparsity", sweep)["dense"]
    assert level.form == "level"
    assert level.y == pytest.approx((80.0,))


def test_settings_that_differ_in_more_than_the_sparsity_are_lines_of_their_own(sweep: Evidence) -> None:
    lines = series_of("perplexity-sparsity", sweep)
    assert lines["set, removal rate 0.3"].y == pytest.approx((100.0, 110.0))
    assert lines["set, removal rate 0.5"].y == pytest.approx((102.0, 112.0))
    assert lines["set, removal rate 0.3"].style.colour == lines["set, removal rate 0.5"].style.colour
    assert lines["set, removal rate 0.3"].style.dash != lines["set, removal rate 0.5"].style.dash


def test_a_line_of_removal_rates_has_one_for_each_sparsity(sweep: Evidence) -> None:
    lines = series_of("perplexity-removal-rate", sweep)
    assert lines["selfish, sparsity 0.8"].x == (0.3, 0.5)
    assert lines["selfish, sparsity 0.8"].y == pytest.approx((100.0, 102.0))
    assert {name for name, one in lines.items() if one.form == "level"} == {
        "dense",
        "static, sparsity 0.5",
        "static, sparsity 0.8",
    }


def test_colours_follow_the_field_that_was_asked_for(sweep: Evidence) -> None:
    lines = series_of("perplexity-removal-rate", sweep, by="sparsity", where={"method": "set"})
    assert {one.name: one.y for one in lines.values()} == {
        "sparsity 0.5": pytest.approx((100.0, 102.0)),
        "sparsity 0.8": pytest.approx((110.0, 112.0)),
    }


def test_the_front_joins_what_no_other_setting_beats_in_both(sweep: Evidence) -> None:
    front = series_of("perplexity-flops", sweep)["Pareto front"]
    assert front.form == "front"
    assert front.x == pytest.approx((0.8e12, 0.88e12, 2.2e12, 4e12))
    assert front.y == pytest.approx((110.0, 100.0, 90.0, 80.0))


def test_a_method_looks_the_same_in_every_figure(sweep: Evidence) -> None:
    panels = [panel for panel in build("learning-curves", sweep).panels if isinstance(panel, Panel)]
    styles = {one.style for panel in panels for one in panel.series if one.name == "static"}
    assert styles == {style_of_method("static")}
    assert series_of("perplexity-sparsity", sweep)["static"].style == style_of_method("static")


def test_an_unfinished_setting_has_no_point_and_is_named() -> None:
    def stop_one(trial: made_evidence.Trial, epoch: int, metrics: dict[str, float]) -> dict[str, float] | None:
        is_short = trial.point["method"] == "static" and trial.point["sparsity"] == 0.8 and trial.config.seed == 3
        return None if is_short and epoch == 4 else metrics

    figure = build("perplexity-sparsity", made_evidence.evidence(stop_one))
    (panel,) = figure.panels
    assert isinstance(panel, Panel)
    assert next(one for one in panel.series if one.name == "static").x == (0.5,)
    assert "static, sparsity 0.8: 2/3 finished" in figure.caption


def test_a_sweep_with_one_sparsity_is_told_what_the_figure_needs(sweep: Evidence) -> None:
    with pytest.raises(InputError, match=r"differ in sparsity alone.*give sparsity more values"):
        build("perplexity-sparsity", sweep, FigureOptions(where={"sparsity": "0.5"}))


def test_the_axis_cannot_give_the_colours_too(sweep: Evidence) -> None:
    with pytest.raises(InputError, match="has sparsity along its axis"):
        build("perplexity-sparsity", sweep, FigureOptions(by="sparsity"))


def test_fields_that_change_along_a_line_with_the_axis_are_named() -> None:
    assert "Along a line" not in build("perplexity-sparsity", made_evidence.evidence()).caption
    changed = made_evidence.SPEC.replace(
        "grid: {method: [static], sparsity: [0.5, 0.8]}",
        "list: [{method: static, sparsity: 0.5, optimizer.clip_norm: 1.0}, "
        "{method: static, sparsity: 0.8, optimizer.clip_norm: 2.0}]",
    )
    figure = build("perplexity-sparsity", made_evidence.evidence(text=changed))
    assert "Along a line, clip norm changes too." in figure.caption
