"""The non-monotone trigger, worked by hand."""

from __future__ import annotations

import pytest

from selfish_core.optim.trigger import NonMonotoneTrigger


@pytest.mark.parametrize(
    ("window", "losses", "fires_at"),
    [
        (5, [9, 8, 7, 6, 5, 4, 3, 2, 1], None),  # never worse
        (5, [5, 6, 6, 6, 6, 6, 6], 7),  # six epochs before it, so one lies before the window of five
        (1, [5, 4, 4.5, 4.4], 4),  # epoch 3 is compared with 5, epoch 4 with min(5, 4)
        (2, [3, 2, 4, 4, 4], 4),  # epoch 4 is compared with 3
        (2, [3, 2, 2.5, 2.9, 2.1], 5),  # epoch 4 is compared with 3, epoch 5 with min(3, 2)
        (1, [3, 3, 3], None),  # equal is not worse
    ],
)
def test_fires_when_worse_than_the_best_before_the_window(
    window: int, losses: list[float], fires_at: int | None
) -> None:
    trigger = NonMonotoneTrigger(window)
    assert next((epoch for epoch, loss in enumerate(losses, start=1) if trigger.fires(loss)), None) == fires_at
