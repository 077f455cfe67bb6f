"""Where a sweep stands, from the trial store alone: every state of a trial, runs, ETA, and what is read again."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from orchestration import status as status_module
from orchestration import status_view
from orchestration.decisions import (
    AnyDecision,
    Asked,
    Ended,
    Failed,
    FailureClass,
    Left,
    Paused,
    Retried,
    Running,
    Started,
    Stopped,
    write,
)
from orchestration.status import FailureCount, SweepStatus, SweepWatch, overview
from orchestration.wanted import load_saved
from selfish_core.errors import InputError, StoreError
from selfish_core.trial_store import StoredSweep, TrialStore

SPEC = b"""\
name: tiny
base:
  corpus: {name: synthetic, train_fraction: 0.1}
  architecture: {name: stacked_lstm, num_layers: 1, hidden_size: 8, embedding_size: 8}
  optimizer: {name: sgd, learning_rate: 5.0}
  training: {batch_size: 10, bptt_length: 20, eval_batch_size: 10}
epochs: 3
axes:
  - list: [{method: set, sparsity: 0.5}]
seeds: [1, 2, 3, 4, 5]
"""
STARTED = Started(num_requests=0, host="h", pid=7, epochs=3)


class Tiny:
    """A stored sweep of five trials of three epochs."""

    def __init__(self, store: TrialStore, fill: Callable[..., None]) -> None:
        self.store = store
        self.sweep: StoredSweep = store.sweep("tiny")
        self.sweep.save_spec(SPEC)
        wanted = load_saved(store, "tiny")
        assert wanted is not None
        self.trials = wanted.trials
        self.keys = [trial.key for trial in wanted.trials]
        self._fill = fill

    def fill(self, place: int, num_epochs: int, diverges: bool = False) -> None:
        self._fill(self.store, self.trials[place], num_epochs, diverges)

    def decide(self, *decisions: AnyDecision | Left) -> None:
        for decision in decisions:
            write(self.sweep, decision)  # type: ignore[arg-type]

    def look(self) -> SweepStatus:
        return SweepWatch(self.store, "tiny").look()

    def states(self) -> list[tuple[str, str]]:
        return [(trial.state, trial.detail) for trial in self.look().trials]


@pytest.fixture
def tiny(store: TrialStore, fill: Callable[..., None]) -> Tiny:
    return Tiny(store, fill)


def failed(key: str, *, is_final: bool, failure: FailureClass = "crashed", node: str = "n1") -> Failed:
    return Failed(trial=key, failure=failure, message="boom", node=node, is_final=is_final)


def test_a_sweep_that_never_ran(tiny: Tiny) -> None:
    status = tiny.look()
    assert (status.run, status.run_text, status.epochs) == ("idle", "does not run", 3)
    assert status.counts == {"waiting": 5}
    assert (status.eta_seconds, status.failures, status.news) == (None, (), ())
    assert [trial.label for trial in status.trials][:2] == ["set, seed 1", "set, seed 2"]


def test_what_trials_of_a_running_sweep_may_be(tiny: Tiny) -> None:
    tiny.fill(0, 3)
    tiny.fill(1, 2, diverges=True)
    tiny.fill(2, 1)
    with tiny.sweep.owned():
        tiny.decide(STARTED, *(Running(trial=key) for key in tiny.keys[:4]))
        tiny.decide(failed(tiny.keys[3], is_final=True, failure="out_of_memory"))
        assert tiny.states() == [
            ("answered", ""),
            ("diverged", ""),
            ("running", ""),
            ("failed", "out_of_memory"),
            ("waiting", ""),
        ]
        running = tiny.look().trials[2]
        assert (running.num_epochs, running.val_perplexity, running.tokens_per_second) == (1, 96.0, 1.0)
        assert running.eta_seconds == pytest.approx(2 * 0.9)


@pytest.mark.parametrize(
    ("after", "state"),
    [
        ([failed("", is_final=False)], ("waiting", "after crashed")),
        ([failed("", is_final=True)], ("failed", "crashed")),
        ([failed("", is_final=True), Retried(request=1)], ("waiting", "")),
        ([failed("", is_final=True), Retried(request=1, trial="")], ("waiting", "")),
        ([failed("", is_final=True), Retried(request=1, trial="other")], ("failed", "crashed")),
        ([failed("", is_final=False), Running(trial="")], ("running", "")),
        ([Stopped(trials=("", "other"), epoch=1, rule="asha")], ("stopped early", "asha")),
        ([Stopped(trials=("",), epoch=1, rule="asha"), STARTED], ("stopped early", "asha")),
        ([failed("", is_final=True), STARTED], ("waiting", "")),
        ([STARTED], ("waiting", "")),
        ([Ended(reason="stopped")], ("waiting", "")),
        ([Left(trial="")], ("waiting", "")),
    ],
)
def test_what_decisions_make_of_a_trial_that_ran(
    tiny: Tiny, after: Sequence[AnyDecision | Left], state: tuple[str, str]
) -> None:
    def named(decision: AnyDecision | Left) -> AnyDecision | Left:
        if isinstance(decision, Stopped):
            return decision.model_copy(update={"trials": (tiny.keys[0], *decision.trials[1:])})
        is_ours = getattr(decision, "trial", None) == ""
        return decision.model_copy(update={"trial": tiny.keys[0]}) if is_ours else decision

    with tiny.sweep.owned():
        tiny.decide(STARTED, Running(trial=tiny.keys[0]), *map(named, after))
        assert tiny.states()[0] == state


def test_requests_show_at_once_and_what_runs_is_on_its_way(tiny: Tiny) -> None:
    with tiny.sweep.owned():
        tiny.decide(STARTED, Running(trial=tiny.keys[0]))
        tiny.sweep.request("pause")
        tiny.sweep.request("stop", tiny.keys[1])
        tiny.sweep.request("cancel", tiny.keys[2])
        tiny.sweep.request("resume", tiny.keys[3])
        expected = [("running", "pausing"), ("stopped", ""), ("cancelled", ""), ("waiting", ""), ("paused", "")]
        assert tiny.states() == expected
        assert tiny.look().run_text.endswith("; paused")
        tiny.decide(Left(trial=tiny.keys[0]))
        assert tiny.states()[0] == ("paused", "")
        tiny.decide(STARTED.model_copy(update={"num_requests": 4}))
        assert [state for state, _ in tiny.states()] == ["waiting", "waiting", "cancelled", "waiting", "waiting"]


def test_trials_of_another_live_sweep_are_held(tiny: Tiny) -> None:
    with tiny.sweep.owned():
        tiny.decide(STARTED)
        tiny.store.hold("tiny", tiny.keys[:1])
        with tiny.store.sweep("other").owned():
            tiny.store.hold("other", tiny.keys[1:3])
            assert tiny.states()[:4] == [("waiting", ""), ("held", "other"), ("held", "other"), ("waiting", "")]
        assert tiny.look().counts == {"waiting": 5}


def test_how_runs_end(tiny: Tiny) -> None:
    with tiny.sweep.owned():
        tiny.decide(STARTED, Running(trial=tiny.keys[0]), Paused(message="the disk is full"))
        status = tiny.look()
        assert status.run == "running"
        assert status.run_text.startswith("runs: pid ")
        assert status.run_text.endswith("; waits: the disk is full")
        tiny.decide(Paused(message="there is space again", is_over=True))
        assert "waits" not in tiny.look().run_text
    killed = tiny.look()
    assert (killed.run, killed.counts) == ("killed", {"waiting": 5})
    tiny.decide(STARTED, Ended(reason="broken", message="6 of 8 failed"))
    assert (tiny.look().run, tiny.look().run_text) == ("ended", "its last run ended: broken: 6 of 8 failed")


def test_failures_of_the_newest_run_by_class_and_node(tiny: Tiny) -> None:
    tiny.decide(STARTED, failed(tiny.keys[0], is_final=True), STARTED)
    tiny.decide(
        failed(tiny.keys[0], is_final=False, failure="preempted", node="n2"),
        failed(tiny.keys[1], is_final=False, failure="preempted", node="n2"),
        failed(tiny.keys[1], is_final=True, failure="crashed", node="n1"),
    )
    status = tiny.look()
    assert status.failures == (FailureCount("crashed", "n1", 1), FailureCount("preempted", "n2", 2))
    assert status.news[-1] == f"set, seed 2 ({tiny.keys[1][:8]}): failed: crashed on n1: boom"
    assert len(status.news) == 5


def test_the_time_left_follows_from_epochs_left_and_trials_at_once(tiny: Tiny) -> None:
    with tiny.sweep.owned():
        tiny.decide(STARTED, Running(trial=tiny.keys[0]), Running(trial=tiny.keys[1]))
        assert tiny.look().eta_seconds is None
        tiny.fill(0, 2)
        tiny.fill(1, 1)
        assert tiny.look().eta_seconds == pytest.approx(0.9 * (1 + 2 + 3 * 3) / 2)
        for place in (2, 3, 4):
            tiny.sweep.request("cancel", tiny.keys[place])
        assert tiny.look().eta_seconds == pytest.approx(0.9 * 2)


def test_only_trials_that_may_have_got_on_are_read_again(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    real = status_module.look_up

    def counted(store: TrialStore, key: str, epochs: int) -> Any:
        read.append(key)
        return real(store, key, epochs)

    monkeypatch.setattr(status_module, "look_up", counted)
    tiny.fill(0, 3)
    with tiny.sweep.owned():
        tiny.decide(STARTED, Running(trial=tiny.keys[0]), Running(trial=tiny.keys[1]))
        watch = SweepWatch(tiny.store, "tiny")
        assert len(watch.look().trials) == 5
        assert sorted(read) == sorted(tiny.keys)
        read.clear()
        tiny.fill(1, 1)
        assert watch.look().trials[1].num_epochs == 1
        assert read == [tiny.keys[1]]
        read.clear()
        tiny.fill(1, 2)
        tiny.decide(Left(trial=tiny.keys[1]), Running(trial=tiny.keys[2]))
        assert watch.look().trials[1].num_epochs == 2
        assert sorted(read) == sorted(tiny.keys[1:3])
        read.clear()
        watch.look()
        assert read == [tiny.keys[2]]


def test_a_decision_file_is_read_once(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    real = tiny.store._storage.read
    monkeypatch.setattr(tiny.store._storage, "read", lambda name, size=None: read.append(name) or real(name, size))
    watch = SweepWatch(tiny.store, "tiny")
    tiny.decide(STARTED, Running(trial=tiny.keys[0]))
    watch.look()
    read.clear()
    tiny.decide(Ended(reason="done"))
    assert watch.look().run == "ended"
    assert [name for name in read if "decisions" in name] == ["sweeps/tiny/decisions/000003.json"]


def test_the_points_of_a_search_are_its_trials(tiny: Tiny) -> None:
    asked = Asked(number=3, point={"optimizer.learning_rate": 0.123456}, trials=("a" * 16, "b" * 16))
    with tiny.sweep.owned():
        tiny.decide(STARTED, asked, Running(trial="a" * 16))
        last = tiny.look().trials[-2:]
    assert [trial.state for trial in last] == ["running", "waiting"]
    assert last[0].label == "point 3 (optimizer.learning_rate 0.1235), seed 1 of 2"


def test_a_sweep_whose_spec_cannot_be_read_is_told_and_keeps_no_other_from_being_shown(tiny: Tiny) -> None:
    tiny.store.sweep("odd").save_spec(b"name: odd\nfrom_the_future: 1\n")
    with pytest.raises(InputError, match="stored spec of sweep 'odd' cannot be read by this version"):
        SweepWatch(tiny.store, "odd")
    text = status_view.overview_text(overview(tiny.store), "here")
    assert "cannot be read" in text
    assert "5 trials: 5 waiting" in text


# What people see


def test_the_text_has_trials_failures_and_decisions(tiny: Tiny) -> None:
    tiny.fill(0, 2)
    with tiny.sweep.owned():
        tiny.decide(STARTED, Running(trial=tiny.keys[0]), failed(tiny.keys[1], is_final=True, node="n\x1b[2J"))
        text = status_view.sweep_text(tiny.look())
    lines = text.splitlines()
    assert lines[0].startswith("tiny: runs: pid ")
    assert lines[1] == "5 trials: 1 running, 1 failed, 3 waiting; about 9 s left"
    row = next(line for line in lines if line.startswith(tiny.keys[0][:8]))
    assert row.split()[-6:] == ["running", "2/3", "87.00", "1", "1", "s"]
    assert "failed (crashed)" in text
    assert "  1× crashed on n\\x1b[2J" in lines
    assert "\x1b" not in text


def test_a_terminal_gets_the_most_urgent_trials_until_the_run_ends(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(status_view, "REFRESH_SECONDS", 0.0)
    monkeypatch.setenv("LINES", "12")
    monkeypatch.setenv("COLUMNS", "120")
    with tiny.sweep.owned():
        tiny.decide(STARTED, Running(trial=tiny.keys[4]))
        looks = [tiny.look()]
    tiny.decide(Ended(reason="done"))
    looks.append(tiny.look())
    left = iter(looks)
    status_view.follow(lambda: next(left))
    shown = stream.getvalue()
    assert shown.index(tiny.keys[4][:8]) > 0
    assert "… and 2 more" in shown
    assert "its last run ended: done" in shown


def test_a_status_is_jsonable(tiny: Tiny) -> None:
    data = status_view.to_dict(tiny.look())
    assert data["counts"] == {"waiting": 5}
    assert data["trials"][0]["key"] == tiny.keys[0]


def test_a_store_that_can_only_be_read_says_what_it_cannot_know(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: StoredSweep) -> bool:
        raise StoreError("read-only")

    tiny.decide(STARTED, Running(trial=tiny.keys[0]))
    tiny.store.hold("other", tiny.keys[1:])
    monkeypatch.setattr(StoredSweep, "is_owned", refuse)
    status = tiny.look()
    assert status.run == "unknown"
    assert status.trials[0].state == "running"
