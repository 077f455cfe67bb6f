"""Progress: what is read from the trial store, and how it is shown."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import pytest

from orchestration import monitor
from orchestration.monitor import Monitor, SweepProgress
from selfish_core.trial_store import TrialStore


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def progress(store: TrialStore, fill: Callable[..., None], make_trial: Callable[..., Any]) -> SweepProgress:
    trials = [make_trial(seed=seed) for seed in (1, 2, 3, 4)]
    fill(store, trials[0], 3)
    fill(store, trials[1], 2)
    fill(store, trials[2], 2, True)
    return SweepProgress(store, {trial.key: f"seed {trial.config.seed}" for trial in trials}, 3)


def test_what_is_over_and_what_is_missing(progress: SweepProgress) -> None:
    assert [progress.labels[key] for key in progress.missing()] == ["seed 2", "seed 4"]
    assert progress.num_epochs() == 7


def test_a_trial_that_is_over_is_not_read_again(progress: SweepProgress, monkeypatch: pytest.MonkeyPatch) -> None:
    progress.look()
    looked: list[str] = []
    monkeypatch.setattr(
        monitor, "look_up", lambda store, key, epochs: looked.append(progress.labels[key]) or monitor.Standing()
    )
    progress.look()
    assert looked == ["seed 2", "seed 4"]


def test_plain_lines_where_there_is_no_terminal(progress: SweepProgress) -> None:
    stream = io.StringIO()
    with Monitor(progress, stream) as shown:
        for _ in range(3):
            shown.tick()
        shown.say("a word")
    lines = stream.getvalue().splitlines()
    assert lines[0] == "[0 s] 2/4 trials; seed 2: epoch 2/3 val ppl 88.00"
    assert lines[1:] == ["a word"]


def test_bars_on_a_terminal(progress: SweepProgress) -> None:
    stream = Terminal()
    with Monitor(progress, stream) as shown:
        shown.tick()
        shown.say("a word\x1b[2J")
    assert "all epochs" in stream.getvalue()
    assert "seed 2" in stream.getvalue()
    assert "a word\\x1b[2J" in stream.getvalue()
