"""Values that MLflow cannot hold, as the text of a tag."""

from __future__ import annotations

import math
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from results.names import FIRST_CHARTS, decode_inexact, encode_inexact, in_mlflow, is_exact_in_mlflow, recorded
from selfish_core.records import GATE_DENSITY_PREFIX, METRICS

INEXACT = st.sampled_from([math.nan, math.inf, -math.inf, -0.0])


@given(st.dictionaries(st.integers(0, 200), INEXACT))
def test_round_trip(values: dict[int, float]) -> None:
    read = decode_inexact(encode_inexact(values.items()))
    assert {step: struct.pack("d", value) for step, value in read.items()} == {
        step: struct.pack("d", value) for step, value in values.items()
    }


@pytest.mark.parametrize("text", ["x", "nan", "nan@", "nan@x", "+inf@1-999999999999", ",", "1@2@3"])
def test_other_text_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        decode_inexact(text)


@pytest.mark.parametrize(
    ("value", "is_exact"),
    [(0.0, True), (-0.0, False), (math.nan, False), (math.inf, False), (5e-324, True), (1.7976931348623157e308, True)],
)
def test_what_mlflow_keeps(value: float, is_exact: bool) -> None:
    assert is_exact_in_mlflow(value) is is_exact


def test_every_metric_comes_back_under_its_own_name() -> None:
    metrics = [*(row.name for row in METRICS), GATE_DENSITY_PREFIX + "lstm0.input"]
    shown = [in_mlflow(metric) for metric in metrics]
    assert [recorded(name) for name in shown] == metrics
    assert {name.removeprefix("curves/") for name in shown if name.startswith("curves/")} == FIRST_CHARTS
    assert sorted(shown, key=lambda name: ("/" not in name, name))[0].startswith("curves/"), "MLflow shows these first"
