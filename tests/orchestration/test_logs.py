"""The story of a sweep: its order, what concerns one trial, what is new, and that nothing acts on the terminal."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from orchestration.decisions import (
    AnyDecision,
    Asked,
    Broken,
    Canary,
    Ended,
    Failed,
    Left,
    Paused,
    Retried,
    Running,
    Started,
    Stopped,
    Told,
    write,
)
from orchestration.logs import Line, Log, as_lines
from orchestration.telling import told
from orchestration.wanted import load_saved
from selfish_core.storage import encode_json
from selfish_core.store.sweep import StoredSweep
from selfish_core.trial_store import TrialStore

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
seeds: [1, 2]
"""
STARTED = Started(num_requests=0, host="h", pid=7, epochs=3)
KEY = "0123456789abcdef"
LABELS = {KEY: "set, seed 1"}
NAME = "set, seed 1 (01234567)"


@pytest.fixture
def trials(store: TrialStore) -> tuple[Any, ...]:
    store.sweep("tiny").save_spec(SPEC)
    wanted = load_saved(store, "tiny")
    assert wanted is not None
    return wanted.trials


def kinds(lines: list[Line]) -> list[str]:
    return [line.kind for line in lines]


def lost(key: str) -> Failed:
    return Failed(
        trial=key, failure="stalled", message="no step", node="n1", is_final=True, details="File a\n  b()\x1b[2J"
    )


@pytest.mark.parametrize(
    ("decision", "text"),
    [
        (STARTED, "a run began for 3 epochs of each trial: pid 7 on host h"),
        (STARTED.model_copy(update={"job": "j1"}), "a run began for 3 epochs of each trial: pid 7 on host h, job j1"),
        (Ended(reason="done"), "the run ended: done"),
        (Ended(reason="broken", message="6 of 8"), "the run ended: broken: 6 of 8"),
        (Running(trial=KEY), f"{NAME}: runs"),
        (Running(trial=KEY, is_alone=True), f"{NAME}: runs alone on its device"),
        (Left(trial="f" * 16), "ffffffff: left its worker before its end"),
        (lost(KEY), f"{NAME}: failed: stalled on n1: no step"),
        (
            Failed(trial=KEY, failure="node_lost", message="", is_final=False),
            f"{NAME}: failed: node lost; it is tried again",
        ),
        (Retried(request=1), "all that failed: may run again, as asked"),
        (Retried(request=1, trial=KEY), f"{NAME}: may run again, as asked"),
        (Stopped(trials=(KEY,), epoch=4, rule="asha"), f"stopped early at epoch 4 by asha: {NAME}"),
        (Asked(number=2, point={"x": 1}, trials=(KEY,)), "the search chose point 2: 1 trial"),
        (Told(number=2, value=88.123456), "the search was told of point 2: 88.12"),
        (Told(number=2, value=None), "the search was told of point 2: no finite value"),
        (Canary(trial=KEY, architecture="rhn", peak_bytes=0, device_bytes=0), "canary of rhn: works"),
        (
            Canary(trial=KEY, architecture="rhn", peak_bytes=3 * 2**20, device_bytes=2**30),
            "canary of rhn: works, with 3 of 1,024 MiB at most",
        ),
        (
            Canary(trial=KEY, architecture="rhn", peak_bytes=0, device_bytes=0, message="boom"),
            "canary of rhn: failed: boom",
        ),
        (Broken(num_failed=6, num_ended=8, message="too many"), "the circuit breaker stopped the sweep: too many"),
        (Broken(node="n", num_failed=6, num_ended=8, message=""), "the circuit breaker stopped node n"),
        (Paused(message="disk full"), "waits: disk full"),
        (Paused(message="space again", is_over=True), "goes on: space again"),
    ],
)
def test_every_decision_is_one_line(decision: AnyDecision | Left, text: str) -> None:
    assert told(decision, LABELS) == text


def test_epochs_stand_among_decisions_by_time_but_each_keeps_its_own_order(
    store: TrialStore, trials: tuple[Any, ...], fill: Callable[..., None]
) -> None:
    fill(store, trials[0], 2)
    sweep = store.sweep("tiny")
    write(sweep, STARTED)
    write(sweep, Running(trial=trials[0].key))
    write(sweep, Ended(reason="stopped"))
    fill(store, trials[1], 1)
    lines = Log(store, "tiny").read_on()
    # records of the fixture are of 2023, decisions of now
    assert kinds(lines) == ["epoch", "epoch", "epoch", "started", "running", "ended"]
    of_first = [line.text for line in lines if line.trial == trials[0].key]
    assert of_first[0] == f"set, seed 1 ({trials[0].key[:8]}): epoch 1/3: val perplexity 94.00, 1 tokens/s"
    assert "epoch 2/3" in of_first[1]


def test_a_clock_that_was_set_back_turns_nothing_round(store: TrialStore, trials: tuple[Any, ...]) -> None:
    for number, told_ms in ((1, 9_000), (2, 1_000)):
        kept = {"format": 1, "kind": "paused", "body": {"message": str(number)}, "told_ms": told_ms}
        store._storage.create(f"sweeps/tiny/decisions/{number:06d}.json", encode_json(kept))
    assert [line.text for line in Log(store, "tiny").read_on()] == ["waits: 1", "waits: 2"]


def test_only_what_is_new_comes_the_next_time(
    store: TrialStore, trials: tuple[Any, ...], make_record: Callable[..., Any]
) -> None:
    sweep: StoredSweep = store.sweep("tiny")
    log = Log(store, "tiny")
    write(sweep, STARTED)
    write(sweep, Running(trial=trials[0].key))
    assert kinds(log.read_on()) == ["started", "running"]
    attempt = store.put(trials[0].config.to_dict(), trials[0].key).claim(None, "test")
    attempt.write_record(make_record(trials[0].key, 1))
    assert [line.text.partition(": ")[2][:9] for line in log.read_on()] == ["epoch 1/3"]
    assert log.read_on() == []
    attempt.write_record(make_record(trials[0].key, 2, outcome="diverged"))
    write(sweep, Ended(reason="done"))
    lines = log.read_on()
    assert sorted(kinds(lines)) == ["ended", "epoch"]
    assert "epoch 2/3: diverged: step 3: loss is nan" in lines[0].text
    assert log.read_on() == []


def test_the_log_of_a_trial_has_what_concerns_it(
    store: TrialStore, trials: tuple[Any, ...], fill: Callable[..., None]
) -> None:
    mine, other = trials[0].key, trials[1].key
    for key in (mine, other):
        fill(store, next(trial for trial in trials if trial.key == key), 1)
    for decision in (
        STARTED,
        Running(trial=mine),
        Running(trial=other),
        lost(other),
        lost(mine),
        Retried(request=1),
        Stopped(trials=(mine, other), epoch=1, rule="median"),
        Asked(number=0, point={}, trials=(other,)),
        Told(number=0, value=None),
    ):
        write(store.sweep("tiny"), decision)
    lines = Log(store, "tiny", mine).read_on()
    assert kinds(lines) == ["epoch", "started", "running", "failed", "retried", "stopped"]


def test_details_are_indented_and_nothing_acts_on_the_terminal(store: TrialStore, trials: tuple[Any, ...]) -> None:
    write(store.sweep("tiny"), lost(trials[0].key))
    lines = Log(store, "tiny").read_on()
    text = as_lines(lines, is_json=False, has_details=True)
    assert text.splitlines()[1:] == ["    File a", "      b()\\x1b[2J"]
    assert len(as_lines(lines, is_json=False, has_details=False).splitlines()) == 1
    data = json.loads(as_lines(lines, is_json=True, has_details=False))
    assert (data["kind"], data["trial"], data["details"]) == ("failed", trials[0].key, "File a\n  b()\x1b[2J")


def test_a_decision_without_a_time_still_has_its_line() -> None:
    assert Line(0, "ended", "the run ended: done").as_text(has_details=True).endswith("–  the run ended: done")
