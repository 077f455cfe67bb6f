"""The tidy frame from MLflow is that of the trial store; runs that are not whole are named and ignored."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from orchestration.tracking import Projector, SweepView
from results.load import connect, load
from results.load_records import load_records
from results.names import TAG_KEY
from selfish_core.errors import TrackingError
from selfish_core.trial_store import TrialStore


@pytest.fixture
def trials(make_trial: Any) -> list[Any]:
    return [make_trial("static", 0.5, 1), make_trial("set", 0.8, 2), make_trial("dense", 0.0, 3)]


@pytest.fixture
def projector(store: TrialStore, tracking_uri: str, trials: list[Any], fill: Any) -> Projector:
    fill(store, trials[0], 3)
    fill(store, trials[1], 2, diverges=True)
    fill(store, trials[2], 1)
    projector = Projector(store, tracking_uri)
    projector.project([SweepView("quick", trials)])
    return projector


def test_frames_are_equal_byte_for_byte(projector: Projector, store: TrialStore, trials: list[Any]) -> None:
    keys = [trial.key for trial in trials]
    shown, stored = load(projector.tracking_uri, projector.experiment, keys), load_records(store, reversed(keys))
    pd.testing.assert_frame_equal(shown, stored, check_exact=True)
    assert shown.to_csv().encode() == stored.to_csv().encode()
    assert list(shown.columns[:3]) == ["key", "epoch", "outcome"]
    assert list(zip(shown["key"], shown["epoch"], strict=True)) == sorted(
        zip(shown["key"], shown["epoch"], strict=True)
    )
    assert shown.loc[shown["outcome"] == "diverged", ["key", "epoch"]].to_numpy().tolist() == [[trials[1].key, 2]]
    assert "gate_density.0.input" in shown.columns
    assert "learning_rate" not in shown.columns


def test_only_the_wanted_keys(projector: Projector, store: TrialStore, trials: list[Any]) -> None:
    frame = load(projector.tracking_uri, projector.experiment, [trials[2].key, "f" * 32])
    assert set(frame["key"]) == {trials[2].key}
    assert load(projector.tracking_uri, "no such experiment", [trials[2].key]).empty
    pd.testing.assert_frame_equal(
        load(projector.tracking_uri, projector.experiment, []), load_records(store, ["f" * 32])
    )


def test_falls_back_to_the_client_where_there_is_no_bulk_read(
    projector: Projector, trials: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [trial.key for trial in trials]
    expected = load(projector.tracking_uri, projector.experiment, keys)
    monkeypatch.setattr("results.load._store_of", lambda client: None)
    pd.testing.assert_frame_equal(load(projector.tracking_uri, projector.experiment, keys), expected, check_exact=True)
    monkeypatch.undo()
    monkeypatch.setattr("results.load.BULK_POINTS", 2)
    pd.testing.assert_frame_equal(load(projector.tracking_uri, projector.experiment, keys), expected, check_exact=True)


def spoil(projector: Projector, key: str, how: str) -> None:
    client = connect(projector.tracking_uri)
    (run,) = client.search_runs([projector.experiment_id], f"tags.`{TAG_KEY}` = '{key}'")
    run_id = run.info.run_id
    spoilers = {
        "no key": lambda: client.delete_tag(run_id, TAG_KEY),
        "gap": lambda: client.set_tag(run_id, "epochs", "4"),
        "words": lambda: client.set_tag(run_id, "epochs", "many"),
        "huge": lambda: client.set_tag(run_id, "epochs", "999999999999"),
        "negative": lambda: client.set_tag(run_id, "epochs", "-1"),
        "two values": lambda: client.log_metric(run_id, "val_perplexity", 5.0, step=2),
        "exact": lambda: client.set_tag(run_id, "nonfinite.val_perplexity", "nonsense"),
    }
    spoilers[how]()


@pytest.mark.parametrize("how", ["no key", "gap", "words", "huge", "negative", "two values", "exact"])
def test_malformed_run_is_named_in_one_warning_and_ignored(
    how: str, projector: Projector, trials: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    spoil(projector, trials[0].key, how)
    connect(projector.tracking_uri).create_run(projector.experiment_id, run_name="foreign")
    with caplog.at_level(logging.WARNING):
        frame = load(projector.tracking_uri, projector.experiment, [trial.key for trial in trials])
    assert set(frame["key"]) == {trials[1].key, trials[2].key}
    (record,) = [record for record in caplog.records if record.name == "results.load"]
    assert "ignored 2 MLflow runs" in record.getMessage()
    assert "'static 0.5 seed 1'" in record.getMessage()
    assert "'foreign'" in record.getMessage()


def test_second_run_of_a_key_is_ignored(
    projector: Projector, trials: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    client = connect(projector.tracking_uri)
    client.create_run(projector.experiment_id, tags={TAG_KEY: trials[0].key, "epochs": "0"})
    frame = load(projector.tracking_uri, projector.experiment, [trials[0].key])
    assert frame["epoch"].tolist() == [1, 2, 3]
    assert "a second run" in caplog.text


def test_what_cannot_be_reached_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(TrackingError, match=r"there is no MLflow database at .*none\.db"):
        load(f"sqlite:///{tmp_path}/none.db", "x", [])
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "bad.db").write_bytes(b"no database" * 100)
    with pytest.raises(TrackingError) as caught:
        load(f"sqlite:///{tmp_path}/bad.db", "x", [])
    assert "\n" not in str(caught.value)


def test_reading_the_records_needs_no_mlflow() -> None:
    script = "import sys, results.load_records, results.aggregate, results.archive; sys.exit('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parents[2], timeout=120).returncode == 0
    script = "import sys, results.load, orchestration.tracking, orchestration.ui; sys.exit('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parents[2], timeout=120).returncode == 0
