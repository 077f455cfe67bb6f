"""Topology distances between trials: in the sweep's order, settings beside each other."""

from __future__ import annotations

import pytest
from support import made_evidence

from results.evidence import Evidence
from results.figures import build
from results.figures.model import Heatmap
from results.figures.options import Distances, FigureOptions
from selfish_core.errors import InputError


@pytest.fixture(scope="module")
def sweep() -> Evidence:
    return made_evidence.evidence()


def test_rows_stand_in_the_order_of_settings_and_seeds_whatever_the_order_given(sweep: Evidence) -> None:
    options = FigureOptions(where={"method": "static"}, distances=made_evidence.distances(sweep))
    (panel,) = build("topology-matrix", sweep, options).panels
    assert isinstance(panel, Heatmap)
    assert panel.rows == tuple(f"static, sparsity {level}, seed {seed}" for level in (0.5, 0.8) for seed in (1, 2, 3))
    assert panel.groups == (3, 3)
    assert panel.values[0] == pytest.approx((0.0, 0.01, 0.02, 0.03, 0.04, 0.05))


def test_trials_without_masks_have_no_row(sweep: Evidence) -> None:
    (panel,) = build("topology-matrix", sweep, FigureOptions(distances=made_evidence.distances(sweep))).panels
    assert isinstance(panel, Heatmap)
    assert len(panel.rows) == 30
    assert not any(row.startswith("dense") for row in panel.rows)


def test_without_masks_the_reason_is_told(sweep: Evidence) -> None:
    none = Distances((), (), "3 trials without a kept checkpoint: not shown.")
    with pytest.raises(InputError, match="3 trials without a kept checkpoint"):
        build("topology-matrix", sweep, FigureOptions(distances=none))
    with pytest.raises(InputError, match="selfish figure topology-matrix made"):
        build("topology-matrix", sweep)
