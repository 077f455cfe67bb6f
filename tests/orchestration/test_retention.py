"""Which checkpoints go: every policy, several sweeps, and what is never touched."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestration import decisions, retention
from orchestration.registry import register
from selfish_core.trial_store import Attempt, TrialStore
from sweeps.expand import Trial, expand
from sweeps.sections import Keep
from sweeps.spec import parse

SPEC = """\
name: {name}
epochs: {epochs}
base:
  corpus: synthetic
  method: static
  sparsity: 0.5
  architecture: {{name: stacked_lstm, num_layers: 1, hidden_size: 20, embedding_size: 20}}
  optimizer: {{name: sgd, learning_rate: 1.0}}
seeds: [1, 2]
keep: {keep}
"""
BEST_EPOCH = 3
"""Of every trial here: validation falls until then."""

Record = Callable[..., Any]


def want(store: TrialStore, name: str = "one", epochs: int = 5, keep: str = "{}") -> tuple[Trial, ...]:
    """Register a sweep of two trials; seed 1 has the lower validation perplexity."""
    spec = parse(SPEC.format(name=name, epochs=epochs, keep=keep).encode(), Path("x.yaml"))
    trials = expand(spec).trials
    register(spec, trials, store)
    return trials


@pytest.fixture
def train(store: TrialStore, make_record: Record, make_metrics: Record) -> Callable[..., Attempt]:
    """Record epochs with a checkpoint of 100 bytes each."""

    def train(trial: Trial, epochs: int, outcome: str = "trained") -> Attempt:
        attempt = store.trial(trial.key).claim(None, "test")
        for epoch in range(1, epochs + 1):
            attempt.write_checkpoint(epoch, b"x" * 100, {})
            metrics = make_metrics(epoch, trial.config.seed)
            attempt.write_record(make_record(trial.key, epoch, attempt.number, **metrics))
        if outcome == "diverged":
            attempt.write_record(make_record(trial.key, epochs + 1, attempt.number, outcome, **make_metrics(1)))
        return attempt

    return train


def leaving(store: TrialStore, **changed: Any) -> dict[str, list[int]]:
    """Return the epochs whose checkpoints go, by the trial's label."""
    policies = retention.policies(store, lambda _, keep: keep.model_copy(update=changed))
    found = retention.Keeper(store, policies).leaving(store.sweep_names(), retention.Free(store, policies))
    return {one.label: [checkpoint.ref.epoch for checkpoint in one.checkpoints] for one in found}


def kept(store: TrialStore, trial: Trial) -> list[int]:
    return sorted(ref.epoch for ref in store.trial(trial.key).checkpoints())


@pytest.mark.parametrize(
    ("keep", "first", "second"),
    [
        (Keep(last=1), [1, 2, 4], [1, 2, 4]),
        (Keep(last=1, best_of_trial=False), [1, 2, 3, 4], [1, 2, 3, 4]),
        (Keep(finished="best_of_trial"), [1, 2, 4], [1, 2, 4]),
        (Keep(finished="best_of_sweep"), [1, 2, 4], [1, 2, 3, 4]),
        (Keep(finished="none"), [1, 2, 3, 4, 5], [1, 2, 3, 4, 5]),
    ],
)
def test_every_policy_of_answered_trials(
    store: TrialStore, train: Callable[..., Attempt], keep: Keep, first: list[int], second: list[int]
) -> None:
    for trial in want(store):
        train(trial, 5)
    assert leaving(store, **keep.model_dump()) == {"seed 1": first, "seed 2": second}


def test_a_trial_that_has_epochs_to_go_keeps_every_checkpoint(store: TrialStore, train: Callable[..., Attempt]) -> None:
    train(want(store, epochs=9)[0], 5)
    assert leaving(store, finished="none") == {}


def test_a_trial_that_was_stopped_early_counts_as_finished(store: TrialStore, train: Callable[..., Attempt]) -> None:
    trial = want(store, epochs=9)[0]
    train(trial, 5)
    decisions.write(store.sweep("one"), decisions.Stopped(trials=(trial.key,), epoch=5, rule="asha"))
    assert leaving(store, finished="none") == {"seed 1": [1, 2, 3, 4, 5]}


def test_a_diverged_trial_has_nothing_to_go_on_from(store: TrialStore, train: Callable[..., Attempt]) -> None:
    train(want(store, epochs=9)[0], 5, "diverged")
    assert leaving(store, finished="best_of_trial") == {"seed 1": [1, 2, 4, 5]}


def test_what_any_sweep_keeps_stays(store: TrialStore, train: Callable[..., Attempt]) -> None:
    for trial in want(store, "sparing", keep="{last: 1, finished: none}"):
        train(trial, 5)
    want(store, "careful", epochs=4, keep="{last: 2, best_of_trial: true}")
    assert leaving(store) == {"seed 1": [1, 2], "seed 2": [1, 2]}
    want(store, "longer", epochs=6, keep="{finished: none}")
    assert leaving(store) == {}


def test_the_newest_version_of_a_spec_decides(store: TrialStore, train: Callable[..., Attempt]) -> None:
    train(want(store, keep="{finished: none}")[0], 5)
    want(store, keep="{finished: all, last: 9}")
    assert leaving(store) == {}
    want(store, keep="{finished: none}")
    assert leaving(store) == {"seed 1": [1, 2, 3, 4, 5]}


def test_trials_that_only_an_earlier_version_wanted_follow_the_newest(
    store: TrialStore, train: Callable[..., Attempt]
) -> None:
    trial = want(store, keep="{finished: none}")[1]
    train(trial, 5)
    text = SPEC.format(name="one", epochs=5, keep="{finished: none}").replace("[1, 2]", "[1]")
    spec = parse(text.encode(), Path("x.yaml"))
    register(spec, expand(spec), store)
    assert leaving(store) == {trial.key[:8]: [1, 2, 3, 4, 5]}


def test_a_spec_that_cannot_be_read_keeps_everything(store: TrialStore, train: Callable[..., Attempt]) -> None:
    for trial in want(store, "sparing", keep="{finished: none}"):
        train(trial, 5)
    want(store, "other")
    store.sweep("other").save_spec(b"name: [")
    assert leaving(store) == {}


def test_the_trials_of_a_live_sweep_are_left_alone(store: TrialStore, train: Callable[..., Attempt]) -> None:
    for trial in want(store, "sparing", keep="{finished: none}"):
        train(trial, 5)
    want(store, "live", keep="{finished: none}")
    with store.sweep("live").owned():
        assert leaving(store) == {}
    assert len(leaving(store)) == 2


def test_what_interrupted_writes_left_goes_even_of_unfinished_trials(
    store: TrialStore, train: Callable[..., Attempt]
) -> None:
    trial = want(store, epochs=9)[0]
    train(trial, 5)
    folder = Path(store.place) / f"trials/{trial.key}/attempts/1/checkpoints"
    (folder / "epoch-00002" / "manifest.json").unlink()
    policies = retention.policies(store)
    (found,) = retention.Keeper(store, policies).leaving(["one"], retention.Free(store, policies))
    (checkpoint,) = found.checkpoints
    assert (checkpoint.ref.epoch, checkpoint.is_whole) == (2, False)
    assert found.num_bytes >= 100
    retention.remove(store, found)
    assert kept(store, trial) == [1, 3, 4, 5]
    assert not (folder / "epoch-00002").exists()


def test_bytes_are_those_of_the_files(store: TrialStore, train: Callable[..., Attempt]) -> None:
    trial = want(store, keep="{finished: none}")[0]
    train(trial, 5)
    folder = Path(store.place) / f"trials/{trial.key}/attempts/1/checkpoints"
    policies = retention.policies(store)
    (found,) = retention.Keeper(store, policies).leaving(["one"], retention.Free(store, policies))
    assert found.num_bytes == sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_removal_leaves_records_and_what_is_kept(store: TrialStore, train: Callable[..., Attempt]) -> None:
    trial = want(store, keep="{last: 1}")[0]
    train(trial, 5).seal()
    before = [record.to_json() for record in store.trial(trial.key).records()]
    policies = retention.policies(store)
    for found in retention.Keeper(store, policies).leaving(["one"], retention.Free(store, policies)):
        retention.remove(store, found)
    assert [record.to_json() for record in store.trial(trial.key).records()] == before
    assert kept(store, trial) == [BEST_EPOCH, 5]
    assert store.trial(trial.key).problems() == []
    assert leaving(store) == {}


def test_single_records_that_a_sealed_file_repeats_go_and_others_stay(
    store: TrialStore, train: Callable[..., Attempt], tmp_path: Path
) -> None:
    trial = want(store)[0]
    attempt = train(trial, 5)
    folder = Path(store.place) / f"trials/{trial.key}/attempts/1/records"
    shutil.copytree(folder, tmp_path / "records")
    assert store.trial(trial.key).retention.repeated_records() == []
    attempt.seal()
    shutil.copytree(tmp_path / "records", folder)  # as where the removal was interrupted
    policies = retention.policies(store)
    (found,) = retention.Keeper(store, policies).leaving(["one"], retention.Free(store, policies))
    assert found.repeated_records == (1,)
    retention.remove(store, found)
    assert not folder.exists()
    assert store.trial(trial.key).answered_epochs() == 5


def test_a_single_record_that_differs_from_the_sealed_one_is_not_touched(
    store: TrialStore, train: Callable[..., Attempt]
) -> None:
    trial = want(store)[0]
    attempt = train(trial, 5)
    folder = Path(store.place) / f"trials/{trial.key}/attempts/1/records"
    data = (folder / "epoch-00005.json").read_bytes()
    attempt.seal()
    folder.mkdir()
    (folder / "epoch-00005.json").write_bytes(data.replace(b"trained", b"tr4ined"))
    trial_files = store.trial(trial.key).retention
    assert trial_files.repeated_records() == []
    trial_files.remove_repeated_records(1)
    assert folder.exists()


def test_object_storage_is_freed_alike(s3_url: str, make_record: Record, make_metrics: Record) -> None:
    store = TrialStore.open(s3_url)
    trial = want(store, epochs=2, keep="{last: 1, best_of_trial: false}")[0]
    attempt = store.trial(trial.key).claim(None, "test")
    for epoch in (1, 2):
        attempt.write_checkpoint(epoch, b"x" * 100, {})
        attempt.write_record(make_record(trial.key, epoch, **make_metrics(epoch)))
    policies = retention.policies(store)
    (found,) = retention.Keeper(store, policies).leaving(["one"], retention.Free(store, policies))
    assert found.num_bytes > 100
    retention.remove(store, found)
    assert kept(store, trial) == [2]
    assert store.trial(trial.key).answered_epochs() == 2
