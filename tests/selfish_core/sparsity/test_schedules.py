"""The removal rate over time against the values of the official code's formula."""

from __future__ import annotations

import pytest
import torch

from selfish_core.accounting import steps_of_epoch, update_window
from selfish_core.resolve import resolve
from selfish_core.sparsity.masks import Masks
from selfish_core.sparsity.updater import MaskUpdater

PAPER = {
    1: 0.7998,
    10: 0.7805,
    20: 0.724,
    30: 0.636,
    40: 0.525,
    50: 0.4025,
    60: 0.280,
    70: 0.169,
    80: 0.081,
    90: 0.024,
    99: 0.0052,
}


def updater(**sparsity: object) -> tuple[MaskUpdater, int]:
    raw = {
        "method": "selfish",
        "corpus": "ptb",
        "architecture": "stacked_lstm",
        "sparsity": {"level": 0.67, **sparsity},
        "optimizer": {"learning_rate": 40},
        "seed": 1,
    }
    config = resolve(raw, epochs=100)
    made = MaskUpdater(config.sparsity, Masks({}), [], {}, window=update_window(config), generator=torch.Generator())
    return made, steps_of_epoch(config).num_steps


def test_steps_are_those_of_the_official_code() -> None:
    made, steps = updater()
    assert steps == 1328
    assert made.removal_rate(132_797) == pytest.approx(0.005)


@pytest.mark.parametrize(("epoch", "rate"), PAPER.items())
def test_cosine_at_the_paper_setting(epoch: int, rate: float) -> None:
    made, steps = updater()
    assert made.removal_rate(epoch * steps) == pytest.approx(rate, abs=6e-4)


def test_past_its_horizon_the_rate_stays_at_its_floor() -> None:
    made, steps = updater(horizon_epochs=10)
    assert made.removal_rate(11 * steps) == made.removal_rate(500 * steps) == 0.005


def test_updates_end_where_the_fraction_says_and_the_schedule_with_them() -> None:
    made, steps = updater(update_end_fraction=0.5)
    assert made.is_due_after_epoch(49, 49 * steps)
    assert not made.is_due_after_epoch(50, 50 * steps)
    assert made.removal_rate(25 * steps) == pytest.approx(0.4025, abs=1e-3)
