"""Curves over epochs: means and bands by hand, where averaging begins, where masks change, what is missing."""

from __future__ import annotations

import pytest
from support import made_evidence

from results.evidence import Evidence
from results.figures import build
from results.figures.model import Figure, Panel
from results.figures.options import FigureOptions
from selfish_core.errors import InputError


@pytest.fixture(scope="module")
def sweep() -> Evidence:
    return made_evidence.evidence()


def panels_of(figure: Figure) -> dict[str, Panel]:
    return {panel.title: panel for panel in figure.panels if isinstance(panel, Panel)}


def test_there_is_a_panel_for_each_sparsity_and_the_dense_network_is_in_all(sweep: Evidence) -> None:
    panels = panels_of(build("learning-curves", sweep))
    assert list(panels) == ["sparsity 0.5", "sparsity 0.8"]
    for panel in panels.values():
        assert [one.name for one in panel.series][:2] == ["dense", "static"]
        assert len(panel.series) == 6


def test_a_learning_curve_is_the_mean_over_seeds_with_one_standard_deviation_to_each_side(sweep: Evidence) -> None:
    line = panels_of(build("learning-curves", sweep))["sparsity 0.8"].series[1]
    assert line.x == (1.0, 2.0, 3.0, 4.0)
    assert line.y == pytest.approx((150.0, 140.0, 130.0, 120.0))
    assert line.low == pytest.approx((149.0, 139.0, 129.0, 119.0))
    assert line.high == pytest.approx((151.0, 141.0, 131.0, 121.0))
    assert line.texts == ("n = 3",) * 4


def test_averaging_is_marked_on_the_curve_at_its_first_epoch(sweep: Evidence) -> None:
    marks = panels_of(build("learning-curves", sweep))["sparsity 0.5"].marks
    assert len(marks) == 6
    assert marks[1].x == (3.0,)
    assert marks[1].y == pytest.approx((120.0,))
    assert marks[1].texts == ("averaging begins in 3 of 3",)


def test_trials_that_begin_to_average_at_different_epochs_are_marked_each() -> None:
    def later(trial: made_evidence.Trial, epoch: int, metrics: dict[str, float]) -> dict[str, float]:
        return metrics | {"is_averaging": float(epoch >= 1 + trial.config.seed)}

    marks = panels_of(build("learning-curves", made_evidence.evidence(later)))["sparsity 0.5"].marks
    assert marks[0].x == (2.0, 3.0, 4.0)
    assert marks[0].texts[0] == "averaging begins in 1 of 3"


def test_mask_updates_are_ticks_at_the_epochs_where_weights_were_exchanged(sweep: Evidence) -> None:
    rugs = panels_of(build("learning-curves", sweep))["sparsity 0.5"].rugs
    assert {rug.owner for rug in rugs} == {
        f"{method}, removal rate {rate}" for method in ("set", "selfish") for rate in (0.3, 0.5)
    }
    assert {rug.x for rug in rugs} == {(1.0, 2.0, 3.0)}


def test_a_curve_ends_where_the_first_of_its_trials_does() -> None:
    def stop_one(trial: made_evidence.Trial, epoch: int, metrics: dict[str, float]) -> dict[str, float] | None:
        is_short = trial.point["method"] == "static" and trial.config.seed == 2
        return None if is_short and epoch > 2 else metrics

    figure = build("learning-curves", made_evidence.evidence(stop_one))
    line = panels_of(figure)["sparsity 0.5"].series[1]
    assert line.x == (1.0, 2.0)
    assert "static, sparsity 0.5: 2/3 finished" in figure.caption


def test_another_metric_has_a_linear_axis_where_it_is_no_perplexity(sweep: Evidence) -> None:
    panel = panels_of(build("learning-curves", sweep, FigureOptions(metric="turnover_fraction")))["sparsity 0.5"]
    assert panel.y.label == "turnover fraction"
    assert not panel.y.is_log
    assert panels_of(build("learning-curves", sweep))["sparsity 0.5"].y.is_log


def test_the_explored_fraction_grows_with_the_updates(sweep: Evidence) -> None:
    series = {one.name: one for one in panels_of(build("explored-fraction", sweep))["sparsity 0.8"].series}
    assert series["set, removal rate 0.3"].y == pytest.approx((0.25, 0.3, 0.35, 0.4))
    assert series["static"].y == pytest.approx((0.2,) * 4)


def test_topology_distances_have_panels_for_the_first_masks_and_the_epoch_before(sweep: Evidence) -> None:
    figure = build("topology-distance", sweep)
    assert [panel.y.label for panel in figure.panels if isinstance(panel, Panel)] == (
        ["distance to the first masks"] * 2 + ["distance to the epoch before"] * 2
    )
    (moved,) = {one.y for one in figure.panels[0].series if one.name == "set, removal rate 0.3"}  # type: ignore[union-attr]
    assert moved == pytest.approx((0.1, 0.2, 0.3, 0.4))


def test_distances_that_were_not_measured_are_asked_for_by_the_spec_line(sweep: Evidence) -> None:
    def unmeasured(trial: made_evidence.Trial, epoch: int, metrics: dict[str, float]) -> dict[str, float]:
        return {name: value for name, value in metrics.items() if not name.startswith("topology")}

    with pytest.raises(InputError, match="topology_distance: true"):
        build("topology-distance", made_evidence.evidence(unmeasured))
