"""Plans: states, sizes and the estimate of time, over a trial store made by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from orchestration import plan
from orchestration.plan_text import as_text
from orchestration.wanted import Wanted
from selfish_core.accounting import count_parameters, steps_of_epoch, training_flops
from selfish_core.trial_store import TrialStore
from sweeps.expand import expand
from sweeps.spec import parse

SPEC = """\
name: small
epochs: {epochs}
base:
  corpus: synthetic
  architecture: {{name: stacked_lstm, num_layers: 1, hidden_size: 20, embedding_size: 20}}
  optimizer: {{name: sgd, learning_rate: 1.0}}
axes:
  - grid: {{method: [dense]}}
  - grid: {{method: [static, set], sparsity: [0.5, 0.8]}}
exclude: [{{method: set, sparsity: 0.8}}]
seeds: [1, 2]
resources: {{cpu: {cpu}}}
"""


def want(epochs: int = 3, cpu: int = 1) -> Wanted:
    spec = parse(SPEC.format(epochs=epochs, cpu=cpu).encode(), Path("small.yaml"))
    return Wanted(spec, expand(spec).trials)


def test_states_and_counts(store: TrialStore, fill: Callable[..., None]) -> None:
    wanted = want()
    for trial, num_epochs, diverges in zip(wanted.trials, (3, 2, 1), (False, False, True), strict=False):
        fill(store, trial, num_epochs, diverges)
    made = plan.make(wanted, store)
    assert [trial.state for trial in made.trials[:4]] == ["answered", "unfinished", "diverged", "to run"]
    assert made.counts() == {"answered": 1, "diverged": 1, "unfinished": 1, "to run": 5}
    assert made.num_left_out == 2
    assert [trial.num_answered for trial in made.trials[:4]] == [3, 2, 1, 0]
    assert [trial.key for trial in made.missing] == [
        trial.key for trial in wanted.trials if trial.key not in {wanted.trials[0].key, wanted.trials[2].key}
    ]


def test_more_epochs_than_are_wanted_answer_too(store: TrialStore, fill: Callable[..., None]) -> None:
    wanted = want(epochs=2)
    fill(store, wanted.trials[0], 3)
    first = plan.make(wanted, store).trials[0]
    assert (first.state, first.num_answered) == ("answered", 2)


def test_sizes_and_flops_of_what_is_left(store: TrialStore, fill: Callable[..., None]) -> None:
    wanted = want()
    trial = wanted.trials[2]
    fill(store, trial, 1)
    planned = plan.make(wanted, store).trials[2]
    counts = count_parameters(trial.config)
    assert (planned.num_parameters, planned.num_active) == (counts.num_parameters, counts.num_active)
    assert planned.training_flops == pytest.approx(2 * training_flops(trial.config, 1))


def test_time_is_measured_where_it_can_be(store: TrialStore, fill: Callable[..., None]) -> None:
    wanted = want()
    fill(store, wanted.trials[0], 3)  # at one token a second
    made = plan.make(wanted, store, num_cpus=2)
    num_tokens = steps_of_epoch(wanted.trials[0].config).num_scored_tokens
    assert made.trials[1].seconds == pytest.approx(3 * num_tokens)
    assert made.num_at_once == 2
    assert made.seconds == pytest.approx(7 * 3 * num_tokens / 2)
    assert made.speed.startswith("measured")


def test_time_is_assumed_where_nothing_was_measured_and_that_is_said() -> None:
    alone, wide = plan.make(want(cpu=1), None), plan.make(want(cpu=2), None, num_cpus=2)
    assert "assuming 10 GFLOP/s" in alone.speed
    assert alone.speed in as_text(alone)
    assert wide.trials[0].seconds == pytest.approx(alone.trials[0].seconds / 2)
    assert wide.num_at_once == 1


def test_a_changed_horizon_is_said(store: TrialStore, fill: Callable[..., None]) -> None:
    before = want(epochs=3)
    for trial in before.trials:
        fill(store, trial, 3)
    made = plan.make(want(epochs=5), store)
    changed = [trial for trial in made.trials if trial.rekeyed]
    assert {trial.point["method"] for trial in changed} == {"set"}
    assert {trial.rekeyed for trial in changed} == {"horizon 3→5"}
    assert {trial.state for trial in made.trials if not trial.rekeyed} == {"unfinished"}
    assert "new: horizon 3→5" in as_text(made)


def test_labels_tell_trials_apart() -> None:
    labels = want().labels
    assert list(labels.values())[:3] == ["dense, seed 1", "dense, seed 2", "static, sparsity 0.5, seed 1"]
    assert len(set(labels.values())) == len(labels)


def test_text_and_json_say_the_same(store: TrialStore, fill: Callable[..., None]) -> None:
    wanted = want()
    fill(store, wanted.trials[1], 2)
    made = plan.make(wanted, store)
    text, data = as_text(made), made.to_dict()
    assert text.startswith("small: 8 trials: 1 unfinished, 7 to run; 2 more excluded")
    assert "unfinished at 2/3" in text
    assert data["counts"] == {"answered": 0, "diverged": 0, "unfinished": 1, "to run": 7, "left_out": 2}
    assert data["trials"][1]["key"] == wanted.trials[1].key
    assert data["estimated_seconds"] == made.seconds
    assert all(trial.key[:8] in text for trial in made.trials)


def test_all_answered_is_said(store: TrialStore, fill: Callable[..., None]) -> None:
    wanted = want(epochs=1)
    for trial in wanted.trials:
        fill(store, trial, 1)
    assert as_text(plan.make(wanted, store)).endswith("all are answered; a run would start nothing")
