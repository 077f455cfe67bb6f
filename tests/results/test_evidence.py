"""MLflow is believed where it ends each trial as the trial store does; else the records are read, with one warning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from orchestration.tracking import Projector, SweepView
from results import aggregate, evidence
from results.evidence import gather
from results.load_records import load_records
from results.names import TAG_KEY
from results.tracking_store import connect
from selfish_core.trial_store import StoredTrial, TrialStore
from sweeps import spec

SPEC = spec.load("quickstart")
BEHIND = "made from the records: MLflow at {} is behind them; `selfish sync` brings it up"


def keys_of(trials: list[Any]) -> list[str]:
    return [trial.key for trial in trials]


@pytest.fixture
def no_records(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*asked: Any) -> None:
        raise AssertionError("the records were read")

    monkeypatch.setattr(evidence, "load_records", refuse)
    monkeypatch.setattr(StoredTrial, "records", refuse)


def test_what_mlflow_shows_is_taken_without_reading_the_records(
    shown: Projector, store: TrialStore, trials: list[Any], no_records: None
) -> None:
    found = gather(SPEC, trials, store, shown.tracking_uri)
    assert found.warnings == ()
    assert found.frame["key"].nunique() == 3
    assert found.concluded.set_index("key")["state"].to_dict() == {
        trials[0].key: "unfinished",
        trials[1].key: "diverged",
        trials[2].key: "unfinished",
    }


def test_a_table_needs_few_metrics(projector: Projector, store: TrialStore, trials: list[Any]) -> None:
    few = gather(SPEC, trials, store, projector.tracking_uri, metrics=aggregate.METRICS_NEEDED)
    every = gather(SPEC, trials, store, projector.tracking_uri)
    assert "gradient_norm" in set(every.frame) - set(few.frame)
    needed = few.concluded.columns.difference(aggregate.AT_SELECTED_IF_THERE)
    pd.testing.assert_frame_equal(few.concluded[needed], every.concluded[needed], check_exact=True)


def test_one_more_epoch_in_the_trial_store(
    projector: Projector, store: TrialStore, trials: list[Any], fill: Any
) -> None:
    fill(store, trials[2], 2)
    found = gather(SPEC, trials, store, projector.tracking_uri)
    assert found.warnings == (BEHIND.format(projector.tracking_uri),)
    pd.testing.assert_frame_equal(found.frame, load_records(store, keys_of(trials)), check_exact=True)


def test_a_trial_that_mlflow_does_not_show(
    projector: Projector, store: TrialStore, trials: list[Any], make_trial: Any, fill: Any
) -> None:
    late = make_trial("static", 0.5, 9)
    assert gather(SPEC, [*trials, late], store, projector.tracking_uri).warnings == ()
    fill(store, late, 1)
    assert len(gather(SPEC, [*trials, late], store, projector.tracking_uri).warnings) == 1


def test_a_trial_that_diverged_since(projector: Projector, store: TrialStore, trials: list[Any], fill: Any) -> None:
    fill(store, trials[2], 1, diverges=True)
    found = gather(SPEC, trials, store, projector.tracking_uri)
    assert found.warnings == (BEHIND.format(projector.tracking_uri),)
    assert found.frame["outcome"].tolist().count("diverged") == 2


def test_a_trial_that_is_answered_anew_is_not_taken_from_its_older_run(
    projector: Projector, store: TrialStore, trials: list[Any]
) -> None:
    store.trial(trials[0].key).claim(None, "rerun")
    found = gather(SPEC, trials, store, projector.tracking_uri)
    assert len(found.warnings) == 1
    assert trials[0].key not in set(found.frame["key"])


def test_a_run_that_is_left_out_is_named_behind_the_reason(
    projector: Projector, store: TrialStore, trials: list[Any]
) -> None:
    client = connect(projector.tracking_uri)
    (run,) = client.search_runs([projector.experiment_id], f"tags.`{TAG_KEY}` = '{trials[0].key}'")
    client.delete_run(run.info.run_id)
    found = gather(SPEC, trials, store, projector.tracking_uri)
    assert found.warnings == (
        BEHIND.format(projector.tracking_uri) + ", `selfish sync --rebuild` also where runs were changed in MLflow",
        f"made without MLflow run {run.info.run_id} ('static 0.5 seed 1'): it is deleted",
    )
    pd.testing.assert_frame_equal(found.frame, load_records(store, keys_of(trials)), check_exact=True)


def test_mlflow_that_is_not_there(store: TrialStore, trials: list[Any], fill: Any, tmp_path: Any) -> None:
    fill(store, trials[0], 2)
    found = gather(SPEC, trials, store, f"sqlite:///{tmp_path}/none.db")
    assert found.warnings == (f"made from the records: there is no MLflow database at {tmp_path}/none.db",)
    assert found.frame["epoch"].tolist() == [1, 2]
    assert gather(SPEC, trials, store, None).warnings == ()


def test_sealed_records_count_too(projector: Projector, store: TrialStore, trials: list[Any], make_record: Any) -> None:
    trial = store.trial(trials[2].key)
    attempt = trial.claim(None, "again")
    for epoch in (1, 2, 3):
        attempt.write_record(make_record(trials[2].key, epoch, attempt.number))
    attempt.seal()
    assert trial.glance().num_epochs == 3
    assert len(gather(SPEC, trials, store, projector.tracking_uri).warnings) == 1
    projector.forget()
    projector.project([SweepView("quick", trials)])
    assert gather(SPEC, trials, store, projector.tracking_uri).warnings == ()


@pytest.mark.parametrize("other", ["value", "code_version", "fingerprint"])
def test_what_was_trained_again_is_not_taken_from_before(
    projector: Projector, store: TrialStore, trials: list[Any], make_record: Any, other: str
) -> None:
    key = trials[0].key
    before = store.trial(key).records()
    attempt = store.trial(key).claim(None, "rerun")
    for record in before:
        provenance = record.provenance
        if other == "code_version":
            provenance = provenance.model_copy(update={"code_version": "0" * 12})
        if other == "fingerprint":
            provenance = provenance.model_copy(update={"fingerprint": {**provenance.fingerprint, "torch": "9.9"}})
        metrics = {**record.metrics, "val_perplexity": 1.5} if other == "value" else record.metrics
        again = {"attempt": attempt.number, "is_provisional": True, "provenance": provenance, "metrics": metrics}
        attempt.write_record(record.model_copy(update=again))
    found = gather(SPEC, trials, store, projector.tracking_uri)
    assert len(found.warnings) == 1
    pd.testing.assert_frame_equal(found.frame, load_records(store, keys_of(trials)), check_exact=True)
    projector.forget()
    projector.project([SweepView("quick", trials)])
    assert gather(SPEC, trials, store, projector.tracking_uri).warnings == ()


@pytest.mark.parametrize("is_sealed", [False, True])
def test_damaged_records_are_named(
    store: TrialStore, trials: list[Any], fill: Any, make_record: Any, is_sealed: bool
) -> None:
    key = trials[1].key
    fill(store, trials[0], 2)
    store.put(trials[1].config.to_dict(), key)
    attempt = store.trial(key).claim(None, "new")
    attempt.write_record(make_record(key, 1, attempt.number))
    if is_sealed:
        attempt.seal()
    assert gather(SPEC, trials, store, None).warnings == ()
    folder = Path(store.place) / "trials" / key / "attempts" / "1"
    (path,) = [*folder.glob("records/*.json"), *folder.glob("records*.json")]
    path.write_bytes(path.read_bytes()[:-9])
    found = gather(SPEC, trials, store, None)
    assert len(found.warnings) == 1
    assert found.warnings[0].startswith(f"made without damaged records: {path}")
    assert set(found.frame["key"]) == {trials[0].key}
