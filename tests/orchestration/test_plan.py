"""Plans: states, sizes and the estimate of time, over a trial store made by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestration import decisions, plan, prices
from orchestration.cluster import Capacity
from orchestration.plan_text import as_text
from orchestration.verbs import sweep
from orchestration.wanted import Wanted
from selfish_core.accounting import count_parameters, steps_of_epoch, training_flops
from selfish_core.errors import InputError, ResourcesError
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
resources: {{cpu: {cpu}, gpu: {gpu}}}
"""

SEARCH = """\
name: searched
epochs: 3
base:
  corpus: synthetic
  method: static
  sparsity: 0.5
  architecture: {name: stacked_lstm, num_layers: 1, hidden_size: 20, embedding_size: 20}
axes:
  - grid: {optimizer.learning_rate: {low: 0.1, high: 10.0, log: true}}
search: {num_trials: 4}
seeds: [1, 2]
"""


def want(epochs: int = 3, cpu: int = 1, gpu: float = 0, more: str = "") -> Wanted:
    spec = parse((SPEC.format(epochs=epochs, cpu=cpu, gpu=gpu) + more).encode(), Path("small.yaml"))
    return Wanted(spec, expand(spec).trials)


def test_states_and_counts(store: TrialStore, fill: Callable[..., None]) -> None:
    wanted = want()
    for trial, num_epochs, diverges in zip(wanted.trials, (3, 2, 1), (False, False, True), strict=False):
        fill(store, trial, num_epochs, diverges)
    made = plan.make(wanted, store)
    assert [trial.state for trial in made.trials[:4]] == ["answered", "unfinished", "diverged", "to run"]
    assert {state: number for state, number in made.counts().items() if number} == {
        "answered": 1,
        "diverged": 1,
        "unfinished": 1,
        "to run": 5,
        "left out": 2,
    }
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
    assert (planned.size.num_parameters, planned.size.num_active) == (counts.num_parameters, counts.num_active)
    assert planned.training_flops == pytest.approx(2 * training_flops(trial.config, 1))


def test_time_is_measured_where_it_can_be(store: TrialStore, fill: Callable[..., None]) -> None:
    wanted = want()
    fill(store, wanted.trials[0], 3)  # at one token a second
    made = plan.make(wanted, store, Capacity(cpu=2, gpu=0))
    num_tokens = steps_of_epoch(wanted.trials[0].config).num_scored_tokens
    assert made.trials[1].seconds == pytest.approx(3 * num_tokens)
    assert made.num_at_once == 2
    assert made.seconds == pytest.approx(7 * 3 * num_tokens / 2)
    assert made.speed.startswith("measured")


def test_time_is_assumed_where_nothing_was_measured_and_that_is_said() -> None:
    alone, wide = plan.make(want(cpu=1), None), plan.make(want(cpu=2), None, Capacity(cpu=2, gpu=0))
    assert "assuming 10 GFLOP/s" in alone.speed
    assert alone.speed in as_text(alone)
    assert wide.trials[0].seconds == pytest.approx(alone.trials[0].seconds / 2)
    assert wide.num_at_once == 1


def test_a_changed_horizon_is_said(store: TrialStore, fill: Callable[..., None]) -> None:
    before = want(epochs=3)
    for trial in before.trials:
        fill(store, trial, 3)
    made = plan.make(want(epochs=5), store)
    changed = [trial for trial in made.trials if trial.note]
    assert {trial.trial.point["method"] for trial in changed} == {"set"}
    assert {trial.note for trial in changed} == {"horizon 3→5"}
    assert {trial.state for trial in made.trials if not trial.note} == {"unfinished"}
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
    assert data["counts"]["to_run"] == 7
    assert data["counts"]["left_out"] == 2
    assert data["counts"]["unfinished"] == 1
    assert data["trials"][1]["key"] == wanted.trials[1].key
    assert data["estimated_seconds"] == made.seconds
    assert all(trial.key[:8] in text for trial in made.trials)


def test_all_answered_is_said(store: TrialStore, fill: Callable[..., None]) -> None:
    wanted = want(epochs=1)
    for trial in wanted.trials:
        fill(store, trial, 1)
    assert as_text(plan.make(wanted, store)).endswith("nothing is left to run; a run would start nothing")


def test_what_an_earlier_run_decided_and_what_people_asked_for_is_a_state(
    store: TrialStore, fill: Callable[..., None]
) -> None:
    wanted = want()
    fill(store, wanted.trials[0], 1)
    stored, keys = store.sweep("small"), [trial.key for trial in wanted.trials]
    stored.save_spec(wanted.spec.text)
    failure = decisions.Failed(trial=keys[0], failure="out_of_memory", message="too large", is_final=True)
    decisions.write(stored, failure)
    decisions.write(stored, failure.model_copy(update={"trial": keys[1], "is_final": False}))
    decisions.write(stored, decisions.Stopped(trials=(keys[2],), epoch=1, rule="asha"))
    stored.request("cancel", keys[3])
    stored.request("stop", keys[4])
    made = plan.make(wanted, store)
    assert [trial.state for trial in made.trials[:5]] == ["failed", "to run", "stopped early", "cancelled", "to run"]
    assert made.trials[0].note == "out_of_memory: too large"
    assert "out_of_memory: too large" in as_text(made)
    assert not {keys[2], keys[3]} & {trial.key for trial in made.missing}
    assert made.trials[2].seconds == made.trials[3].training_flops == 0


def test_a_trial_that_failed_is_to_run_again_once_a_new_run_began(store: TrialStore) -> None:
    wanted = want()
    stored = store.sweep("small")
    decisions.write(stored, decisions.Failed(trial=wanted.trials[0].key, failure="data", message="gone", is_final=True))
    decisions.write(stored, decisions.Started(num_requests=0, host="here", pid=1, epochs=3))
    assert plan.make(wanted, store).trials[0].state == "to run"


def test_gpu_hours_are_of_the_share_that_a_trial_has_and_measured_on_gpus_alone(
    store: TrialStore, fill: Callable[..., None]
) -> None:
    wanted = want(gpu=0.25)
    fill(store, wanted.trials[0], 3)  # on a CPU
    made = plan.make(wanted, store, Capacity(cpu=16, gpu=2))
    assert "2000 GFLOP/s a GPU" in made.speed
    assert made.num_at_once == 8
    assert made.gpu_hours == pytest.approx(sum(trial.seconds for trial in made.trials) * 0.25 / 3600)
    assert "GPU-hours" in as_text(made)
    whole = plan.make(want(gpu=1), store, Capacity(cpu=16, gpu=2))
    assert whole.trials[1].seconds == pytest.approx(made.trials[1].seconds / 4)
    assert (whole.num_at_once, plan.make(want(gpu=2), store, Capacity(cpu=16, gpu=5)).num_at_once) == (2, 2)


def test_too_small_a_machine_is_said() -> None:
    made = plan.make(want(gpu=1), None, Capacity(cpu=2, gpu=0))
    assert "one after another; a trial needs 1 CPUs and 1 GPUs, there are 2 CPUs and 0 GPUs" in as_text(made)


def test_a_price_is_told_where_one_is_named() -> None:
    made = plan.make(want(gpu=1), None)
    assert prices.price_of(made, 3.0) == pytest.approx(3 * made.gpu_hours)
    assert "at 3 a GPU-hour" in as_text(made, 3.0)
    assert "price" not in as_text(made)


def test_more_gpu_hours_than_are_allowed_are_refused_with_both_numbers() -> None:
    made = plan.make(want(gpu=1), None)
    prices.refuse_beyond(made, made.gpu_hours)
    with pytest.raises(ResourcesError, match=r"asks for .* GPU-hours .*allows 1e-09.*nothing was started"):
        prices.refuse_beyond(made, 1e-9)


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_an_amount_that_is_none_is_refused(value: float) -> None:
    with pytest.raises(InputError, match="--cpus must be a number of at least 0"):
        prices.check_amount("--cpus", value)


def test_the_policy_decides_what_checkpoints_are_predicted(store: TrialStore, fill: Callable[..., None]) -> None:
    everything = plan.make(want(epochs=5), None).volume
    assert everything.kept == everything.running
    sparing = plan.make(want(epochs=5, more="keep: {last: 1, finished: none}\n"), None).volume
    assert sparing.running == everything.running * 2 // 3
    assert sparing.kept == 0
    wanted = want()
    for trial in wanted.trials:
        fill(store, trial, 3)
    assert plan.make(wanted, store).volume.running == 0


def test_the_points_that_a_search_has_not_chosen_yet_count_as_large_as_its_corners(store: TrialStore) -> None:
    spec = parse(SEARCH.encode(), Path("searched.yaml"))
    wanted = Wanted(spec, expand(spec).trials)
    before = plan.make(wanted, store)
    assert (before.trials, len(before.missing)) == ((), 8)
    assert "8 to be chosen by the search" in as_text(before)
    stored = store.sweep("searched")
    decisions.write(stored, decisions.Asked(number=0, point={"optimizer.learning_rate": 2.0}, trials=("a", "b")))
    after = plan.make(wanted, store)
    assert [trial.trial.point["optimizer.learning_rate"] for trial in after.trials] == [2.0, 2.0]
    assert (len(after.to_choose), len(after.missing)) == (6, 8)
    assert after.seconds == pytest.approx(before.seconds)


def test_a_long_list_of_trials_is_cut_and_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestration.plan_text.MAX_ROWS", 3)
    made = plan.make(want(), None)
    text = as_text(made)
    assert "… 5 more: --json lists all" in text
    assert sum(trial.key[:8] in text for trial in made.trials) == 3
    assert len(made.to_dict()["trials"]) == 8


def call(tmp_path: Path, spec: str, **options: Any) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(spec)
    sweep.plan(str(path), store=str(tmp_path / "none"), data=str(tmp_path), **options)


def test_a_missing_corpus_is_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec = SPEC.format(epochs=3, cpu=1, gpu=0).replace("corpus: synthetic", "corpus: ptb")
    call(tmp_path, spec)
    call(tmp_path, spec, as_json=True)
    out, err = capsys.readouterr()
    assert err.count("warning: corpus ptb: train.txt, valid.txt, test.txt not in") == 2
    assert json.loads(out[out.index("\n{") :])["warnings"] == [err.splitlines()[0].removeprefix("warning: ")]


def test_the_command_takes_a_clusters_size_a_price_and_a_limit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = SPEC.format(epochs=3, cpu=2, gpu=0.5)
    call(tmp_path, spec, cpus=8, gpus=1, price_per_gpu_hour=2.0, as_json=True)
    told = json.loads(capsys.readouterr().out)
    assert (told["cpus"], told["gpus"], told["trials_at_once"]) == (8, 1, 2)
    assert told["price"] == pytest.approx(2 * told["gpu_hours"])
    with pytest.raises(ResourcesError, match="--max-gpu-hours allows 0:"):
        call(tmp_path, spec, max_gpu_hours=0.0)
    assert "to run: 8 trials" in capsys.readouterr().out
    with pytest.raises(InputError, match="--gpus must be a number"):
        call(tmp_path, spec, gpus=-1.0)
