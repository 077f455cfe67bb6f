"""Names of runs: what a reader looks for, and nothing that goes without saying."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from orchestration.tracking_text import run_name


@pytest.mark.parametrize(
    ("point", "name"),
    [
        ({"method": "static", "sparsity": 0.5}, "static 0.5 seed 1"),
        ({"method": "static", "sparsity.horizon_epochs": 3}, "static 0.5 seed 1"),
        ({"method": "static", "sparsity.horizon_epochs": 9}, "static 0.5 seed 1 horizon_epochs=9"),
        ({"optimizer.learning_rate": 2.0}, "static 0.5 seed 1 learning_rate=2.0"),
    ],
)
def test_run_name(point: dict[str, Any], name: str, make_trial: Any) -> None:
    assert run_name(replace(make_trial("static", 0.5, 1), point=point)) == name
