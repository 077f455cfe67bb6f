"""What MLflow shows is the trial store's tidy frame, by SQL and by its client; runs that are not whole are named."""

from __future__ import annotations

import logging
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from orchestration.tracking import Projector, SweepView
from results import by_sql, tracking_store
from results import shown as shown_module
from results.by_client import ClientSource
from results.load_records import load_records
from results.names import TAG_KEY, in_mlflow
from results.reading import read
from results.tracking_store import connect
from selfish_core.errors import TrackingError
from selfish_core.trial_store import TrialStore

ROOT = Path(__file__).parents[2]


def keys_of(trials: list[Any]) -> list[str]:
    return [trial.key for trial in trials]


def frame_of(projector: Projector, trials: list[Any], metrics: Any = None) -> pd.DataFrame:
    return read(projector.tracking_uri, projector.experiment, keys_of(trials), metrics).frame


def test_frames_are_equal_byte_for_byte(shown: Projector, store: TrialStore, trials: list[Any]) -> None:
    frame, stored = frame_of(shown, trials), load_records(store, reversed(keys_of(trials)))
    pd.testing.assert_frame_equal(frame, stored, check_exact=True)
    assert frame.to_csv().encode() == stored.to_csv().encode()
    assert list(frame.columns[:5]) == ["key", "epoch", "outcome", "code_version", "fingerprint"]
    assert list(zip(frame["key"], frame["epoch"], strict=True)) == sorted(
        zip(frame["key"], frame["epoch"], strict=True)
    )
    assert frame.loc[frame["outcome"] == "diverged", ["key", "epoch"]].to_numpy().tolist() == [[trials[1].key, 2]]
    assert set(frame["fingerprint"]) == {"torch=2"}
    assert "gate_density.0.input" in frame.columns
    assert "learning_rate" not in frame.columns


def test_only_the_metrics_that_are_asked_for(shown: Projector, store: TrialStore, trials: list[Any]) -> None:
    asked = ("test_perplexity", "gate_density.0.input")
    frame = frame_of(shown, trials, asked)
    assert list(frame.columns[5:]) == ["val_perplexity", "test_perplexity", "gate_density.0.input"]
    pd.testing.assert_frame_equal(frame, load_records(store, keys_of(trials), asked), check_exact=True)


def test_only_the_wanted_keys(shown: Projector, store: TrialStore, trials: list[Any]) -> None:
    found = read(shown.tracking_uri, shown.experiment, [trials[2].key, "f" * 32])
    pd.testing.assert_frame_equal(found.frame, load_records(store, [trials[2].key]), check_exact=True)
    assert found.warnings == ()
    assert read(shown.tracking_uri, "no such experiment", [trials[2].key]).frame.empty
    pd.testing.assert_frame_equal(read(shown.tracking_uri, shown.experiment, []).frame, load_records(store, ["f" * 32]))


def drop_half_of_an_epoch(client: Any, run_id: str) -> None:
    """Leave an epoch as a writer would that died between two metrics and whose tag went through all the same."""
    engine = tracking_store._store_of(client).engine
    with engine.begin() as connection:
        name = in_mlflow("sparsity")
        connection.exec_driver_sql(f"DELETE FROM metrics WHERE run_uuid = '{run_id}' AND key = '{name}' AND step = 2")


SPOILERS: dict[str, tuple[Callable[[Any, str], Any], str]] = {
    "no key": (lambda client, run_id: client.delete_tag(run_id, TAG_KEY), "has no tag selfish.key"),
    "gap": (lambda client, run_id: client.set_tag(run_id, "epochs", "4"), "lacks train_loss_nats at epoch 4"),
    "half written": (drop_half_of_an_epoch, "lacks sparsity at epoch 2"),
    "words": (lambda client, run_id: client.set_tag(run_id, "epochs", "many"), "is no number: 'many'"),
    "huge": (lambda client, run_id: client.set_tag(run_id, "epochs", "9" * 30), "epochs and holds 3"),
    "far too many": (lambda client, run_id: client.set_tag(run_id, "epochs", "900000"), "900000 epochs and holds 3"),
    "negative": (lambda client, run_id: client.set_tag(run_id, "epochs", "-1"), "is no number: '-1'"),
    "two values": (
        lambda client, run_id: client.log_metric(run_id, in_mlflow("val_perplexity"), 5.0, step=2),
        "has two values of val_perplexity at epoch 2",
    ),
    "two values, one of them no number": (
        lambda client, run_id: client.log_metric(run_id, "gradient_norm", float("nan"), step=2),
        "has two values of gradient_norm at epoch 2",
    ),
    "inexact": (
        lambda client, run_id: client.set_tag(run_id, "nonfinite.val_perplexity", "nonsense"),
        "has a tag nonfinite.val_perplexity that cannot be read",
    ),
    "deleted": (lambda client, run_id: client.delete_run(run_id), "is deleted"),
}


def test_each_malformed_run_is_named_in_one_line_and_left_out(
    shown: Projector,
    store: TrialStore,
    trials: list[Any],
    make_trial: Any,
    fill: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shown_module, "MAX_NAMED", 50)
    spoiled = {how: make_trial("static", 0.5, seed) for seed, how in enumerate(SPOILERS, start=10)}
    for trial in spoiled.values():
        fill(store, trial, 3)
    shown.project([SweepView("quick", [*trials, *spoiled.values()])])
    client = connect(shown.tracking_uri)
    runs = {run.data.tags.get(TAG_KEY): run for run in client.search_runs([shown.experiment_id])}
    reasons = {}
    for how, trial in spoiled.items():
        run = runs[trial.key]
        spoil, reason = SPOILERS[how]
        spoil(client, run.info.run_id)
        reasons[f"made without MLflow run {run.info.run_id} ({run.info.run_name!r}): it "] = reason
    foreign = client.create_run(shown.experiment_id, run_name="foreign").info.run_id
    client.log_metric(foreign, in_mlflow("val_perplexity"), 1.0, step=1)
    reasons[f"made without MLflow run {foreign} ('foreign'): it "] = "has no tag selfish.key"
    found = read(shown.tracking_uri, shown.experiment, keys_of([*trials, *spoiled.values()]))
    pd.testing.assert_frame_equal(found.frame, load_records(store, keys_of(trials)), check_exact=True)
    lines = {line.partition("it ")[0] + "it ": line.partition("it ")[2] for line in found.warnings}
    assert lines.keys() == reasons.keys()
    assert {about: line for about, line in lines.items() if reasons[about] not in line} == {}


def test_second_run_of_a_key_is_left_out(shown: Projector, trials: list[Any]) -> None:
    client = connect(shown.tracking_uri)
    second = client.create_run(shown.experiment_id, tags={TAG_KEY: trials[0].key, "epochs": "0"}).info.run_id
    found = read(shown.tracking_uri, shown.experiment, [trials[0].key])
    assert found.frame["epoch"].tolist() == [1, 2, 3]
    (line,) = found.warnings
    assert second in line
    assert line.endswith(f"it is a second run of {trials[0].key}")


def test_deleted_run_beside_an_active_one_is_no_news(shown: Projector, trials: list[Any]) -> None:
    client = connect(shown.tracking_uri)
    second = client.create_run(shown.experiment_id, tags={TAG_KEY: trials[0].key})
    client.delete_run(second.info.run_id)
    assert read(shown.tracking_uri, shown.experiment, [trials[0].key]).warnings == ()
    assert read(shown.tracking_uri, shown.experiment, [trials[0].key, "f" * 32]).warnings == ()


def test_what_is_logged_twice_alike_is_one_value(shown: Projector, store: TrialStore, trials: list[Any]) -> None:
    client = connect(shown.tracking_uri)
    (run,) = client.search_runs([shown.experiment_id], f"tags.`{TAG_KEY}` = '{trials[2].key}'")
    client.log_metric(run.info.run_id, in_mlflow("val_perplexity"), 96.0, step=1)
    client.log_metric(run.info.run_id, "gradient_norm", float("nan"), step=1)
    client.log_metric(run.info.run_id, "gate_density/0.late", 0.5, step=9)
    found = read(shown.tracking_uri, shown.experiment, [trials[2].key])
    assert found.warnings == ()
    pd.testing.assert_frame_equal(found.frame, load_records(store, [trials[2].key]), check_exact=True)


def test_many_lines_are_cut_short(projector: Projector, trials: list[Any]) -> None:
    client = connect(projector.tracking_uri)
    for number in range(shown_module.MAX_NAMED + 3):
        client.create_run(projector.experiment_id, run_name=f"foreign {number}")
    found = read(projector.tracking_uri, projector.experiment, keys_of(trials))
    assert len(found.warnings) == shown_module.MAX_NAMED + 1
    assert found.warnings[-1] == "made without 3 more MLflow runs"


def test_few_runs_of_many_are_looked_up_one_by_one(
    projector: Projector, store: TrialStore, trials: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(by_sql, "FEW", 0.0)
    from_end_to_end = frame_of(projector, trials[:2])
    monkeypatch.setattr(by_sql, "FEW", 2.0)
    pd.testing.assert_frame_equal(frame_of(projector, trials[:2]), from_end_to_end, check_exact=True)
    pd.testing.assert_frame_equal(from_end_to_end, load_records(store, keys_of(trials[:2])), check_exact=True)


def test_installed_mlflow_has_a_known_schema(projector: Projector) -> None:
    source = by_sql.open_source(projector.tracking_uri)
    assert source is not None
    with source:
        assert source.schema() in by_sql.KNOWN_SCHEMAS


def test_unknown_schema_is_left_to_the_client(
    projector: Projector,
    store: TrialStore,
    trials: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("results.reading.KNOWN_SCHEMAS", frozenset({"another"}))
    with caplog.at_level(logging.WARNING):
        pd.testing.assert_frame_equal(frame_of(projector, trials), load_records(store, keys_of(trials)))
    (record,) = caplog.records
    assert "unknown schema" in record.getMessage()


def test_reading_writes_nothing(projector: Projector, trials: list[Any]) -> None:
    path = Path(projector.tracking_uri.removeprefix("sqlite:///"))
    before = path.read_bytes(), sorted(path.parent.iterdir())
    frame_of(projector, trials)
    assert (path.read_bytes(), sorted(path.parent.iterdir())) == before
    source = by_sql.open_source(projector.tracking_uri)
    assert source is not None
    with source, pytest.raises(sqlite3.OperationalError, match="readonly"):
        source._connection.connection.driver_connection.execute("DELETE FROM runs")  # type: ignore[union-attr]


def test_client_reads_run_by_run_where_there_is_no_bulk_read(
    projector: Projector, store: TrialStore, trials: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("results.reading.open_source", lambda tracking_uri: None)
    expected = load_records(store, keys_of(trials))
    monkeypatch.setattr(tracking_store, "_store_of", lambda client: None)
    pd.testing.assert_frame_equal(frame_of(projector, trials), expected, check_exact=True)
    monkeypatch.undo()
    monkeypatch.setattr("results.reading.open_source", lambda tracking_uri: None)
    monkeypatch.setattr(tracking_store, "BULK_POINTS", 2)
    pd.testing.assert_frame_equal(frame_of(projector, trials), expected, check_exact=True)


def test_parts_of_time_cover_all_runs_once_and_progress_is_told(projector: Projector, trials: list[Any]) -> None:
    """A server is paged by parts of time; the client of a database takes the same questions."""
    told: list[tuple[str, int, int]] = []
    source = ClientSource(projector.tracking_uri, lambda *progress: told.append(progress))
    alone = source.runs(projector.experiment)
    source._is_remote = True
    in_parts = source.runs(projector.experiment)
    assert in_parts == alone
    assert len(in_parts) == 4
    assert told[0] == ("runs", 1, 1)
    assert told[-1][0] == "runs"
    assert told[-1][1] == told[-1][2] > 1


def test_what_cannot_be_reached_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(TrackingError, match=r"there is no MLflow database at .*none\.db"):
        read(f"sqlite:///{tmp_path}/none.db", "x", [])
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "bad.db").write_bytes(b"no database" * 100)
    with pytest.raises(TrackingError) as caught:
        read(f"sqlite:///{tmp_path}/bad.db", "x", [])
    assert "\n" not in str(caught.value)
    with pytest.raises(TrackingError) as refused:
        read("postgresql://ann:secret@127.0.0.1:1/mlflow", "x", [])
    assert "secret" not in str(refused.value)


def test_reading_the_records_needs_no_mlflow() -> None:
    script = "import sys, results.load_records, results.aggregate, results.archive; sys.exit('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, timeout=120).returncode == 0
    script = "import sys, results.evidence, orchestration.tracking, orchestration.ui; sys.exit('mlflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], cwd=ROOT, timeout=120).returncode == 0


def test_reading_a_known_database_needs_no_mlflow(projector: Projector, trials: list[Any]) -> None:
    script = (
        "import sys\nfrom results.reading import read\n"
        "assert len(read(*sys.argv[1:3], sys.argv[3:]).frame) == 6\nsys.exit('mlflow' in sys.modules)"
    )
    command = [sys.executable, "-c", script, projector.tracking_uri, projector.experiment, *keys_of(trials)]
    assert subprocess.run(command, cwd=ROOT, timeout=120).returncode == 0
