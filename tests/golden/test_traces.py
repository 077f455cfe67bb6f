"""Every method still does what it did: bit for bit on the recorded fingerprint, else to a relative 1e-4."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
import torch

from selfish_core.training.fingerprint import fingerprint

SPEC = importlib.util.spec_from_file_location("traces", Path(__file__).with_name("traces.py"))
assert SPEC is not None
assert SPEC.loader is not None
traces = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(traces)

GOLDEN = json.loads(traces.FILE.read_text(encoding="utf-8"))


def test_every_method_and_architecture_has_a_trace() -> None:
    assert GOLDEN["traces"].keys() == set(traces.CASES)


@pytest.mark.parametrize("case", traces.CASES)
def test_trace(case: str) -> None:
    expected, found = GOLDEN["traces"][case], traces.trace(case)
    assert 45 <= len(found["train_loss_nats"]) <= 60
    if fingerprint(torch.device("cpu")) == GOLDEN["fingerprint"]:
        assert found == expected
        return
    assert found["train_loss_nats"] == pytest.approx(expected["train_loss_nats"], rel=1e-4)
    for got, wanted in zip(found["epochs"], expected["epochs"], strict=True):
        assert got == pytest.approx(wanted, rel=1e-4)
