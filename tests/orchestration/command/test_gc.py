"""`selfish gc` as people call it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestration.registry import register
from orchestration.verbs import keeping
from selfish_core.errors import InputError
from selfish_core.trial_store import TrialStore
from sweeps.expand import Trial, expand
from sweeps.spec import parse

SPEC = b"""\
name: tiny
epochs: 3
base:
  corpus: synthetic
  method: static
  sparsity: 0.5
  architecture: {name: stacked_lstm, num_layers: 1, hidden_size: 20, embedding_size: 20}
  optimizer: {name: sgd, learning_rate: 1.0}
seeds: [1, 2]
"""


@pytest.fixture
def trials(store: TrialStore, make_record: Callable[..., Any], make_metrics: Callable[..., Any]) -> tuple[Trial, ...]:
    """Two answered trials with a checkpoint of each epoch; seed 1 is the better one, its third epoch the best."""
    spec = parse(SPEC, Path("tiny.yaml"))
    trials = expand(spec).trials
    register(spec, trials, store)
    for trial in trials:
        attempt = store.trial(trial.key).claim(None, "test")
        for epoch in (1, 2, 3):
            attempt.write_checkpoint(epoch, b"x" * 1000, {})
            attempt.write_record(make_record(trial.key, epoch, **make_metrics(epoch, trial.config.seed)))
    return trials


def kept(store: TrialStore, trials: tuple[Trial, ...]) -> list[list[int]]:
    return [sorted(ref.epoch for ref in store.trial(trial.key).checkpoints()) for trial in trials]


@pytest.mark.parametrize("flags", [{}, {"dry_run": True}])
def test_nothing_is_removed_unless_it_is_asked_for(
    store: TrialStore, trials: tuple[Trial, ...], capsys: pytest.CaptureFixture[str], flags: dict[str, bool]
) -> None:
    keeping.gc("tiny", keep=["last=1"], store=store.place, **flags)
    out, err = capsys.readouterr()
    assert kept(store, trials) == [[1, 2, 3]] * 2
    assert "epoch 1, 2" in out
    assert out.splitlines()[-1].startswith("to remove: 4 checkpoints of 2 trials, 5.")
    assert "nothing was removed" in err


def test_yes_removes_and_a_second_time_finds_nothing(
    store: TrialStore, trials: tuple[Trial, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    keeping.gc(None, keep=["finished=none"], yes=True, store=store.place)
    assert capsys.readouterr().out.splitlines()[-1].startswith("removed: 6 checkpoints of 2 trials")
    assert kept(store, trials) == [[], []]
    assert [store.trial(trial.key).answered_epochs() for trial in trials] == [3, 3]
    keeping.gc(None, keep=["finished=none"], yes=True, store=store.place)
    assert "nothing goes" in capsys.readouterr().out
    assert store.holders() == {}


def test_json_says_what_went_of_each_trial(
    store: TrialStore, trials: tuple[Trial, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    keeping.gc("tiny", keep=["last=1", "finished=best_of_trial"], yes=True, store=store.place, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert told["is_removed"] is True
    assert told["bytes"] == sum(trial["bytes"] for trial in told["trials"]) > 4000
    assert [[one["epoch"] for one in trial["checkpoints"]] for trial in told["trials"]] == [[1, 2], [1, 2]]
    assert {trial["key"] for trial in told["trials"]} == {trial.key for trial in trials}


def test_a_running_sweep_is_left_alone_and_that_is_said(
    store: TrialStore, trials: tuple[Trial, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with store.sweep("tiny").owned():
        for flags in ({"yes": True}, {"dry_run": True}):
            keeping.gc("tiny", keep=["finished=none"], store=store.place, **flags)
            out, err = capsys.readouterr()
            assert "nothing goes" in out
            assert "left alone" in err
    assert kept(store, trials) == [[1, 2, 3]] * 2


def test_trials_that_another_live_sweep_holds_are_left_alone(store: TrialStore, trials: tuple[Trial, ...]) -> None:
    with store.sweep("other").owned():
        store.hold("other", [trials[0].key])
        keeping.gc("tiny", keep=["finished=none"], yes=True, store=store.place)
    assert kept(store, trials) == [[1, 2, 3], []]


@pytest.mark.parametrize(
    ("sweep", "flags", "message"),
    [
        ("tin", {}, "unknown sweep 'tin'.*did you mean 'tiny'"),
        ("tiny", {"yes": True, "dry_run": True}, "exclude each other"),
        ("tiny", {"keep": ["finish=all"]}, "unknown key 'finish'.*did you mean 'finished'"),
        ("tiny", {"keep": ["finished=most"]}, "--keep finished must be one of .*got 'most'"),
        ("tiny", {"keep": ["last=0"]}, "--keep last must be .*got '0'"),
        ("tiny", {"keep": ["best_of_trial=1"]}, "--keep best_of_trial must be .*got '1'"),
    ],
)
def test_wrong_input_is_refused_and_nothing_is_removed(
    store: TrialStore, trials: tuple[Trial, ...], sweep: str, flags: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        keeping.gc(sweep, **{"yes": "dry_run" not in flags, "store": store.place, **flags})
    assert kept(store, trials) == [[1, 2, 3]] * 2
