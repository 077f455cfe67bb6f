"""The projector against a real SQLite tracking store."""

from __future__ import annotations

import math
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from mlflow import MlflowClient

from orchestration.tracking import Projector, SweepView
from orchestration.tracking_content import params_of
from orchestration.tracking_server import TrackingServer
from results import reading
from results.load_records import load_records
from results.names import TAG_KEY, TAG_SWEEP
from results.tracking_store import connect
from selfish_core.errors import InputError, TrackingError
from selfish_core.trial_store import TrialStore


class KilledError(Exception):
    """Stands for the death of the process: nothing after it happens."""


def read(tracking_uri: str, query: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(tracking_uri.removeprefix("sqlite:///")) as database:
        return database.execute(query).fetchall()


def runs_of(projector: Projector, tag: str = TAG_KEY) -> dict[str, Any]:
    client = connect(projector.tracking_uri)
    experiment = client.get_experiment_by_name(projector.experiment)
    runs = client.search_runs([experiment.experiment_id])
    tagged = [run for run in runs if tag in run.data.tags]
    found = {run.data.tags[tag]: run for run in tagged}
    assert len(found) == len(tagged), "two active runs of one key"
    return found


def assert_mlflow_shows(projector: Projector, store: TrialStore, keys: list[str]) -> None:
    shown = reading.read(projector.tracking_uri, projector.experiment, keys).frame
    pd.testing.assert_frame_equal(shown, load_records(store, keys), check_exact=True)
    steps = Counter(read(projector.tracking_uri, "select run_uuid, key, step from metrics"))
    assert set(steps.values()) <= {1}, "a step was written twice"


@pytest.fixture
def projector(store: TrialStore, tracking_uri: str) -> Projector:
    return Projector(store, tracking_uri)


def test_shows_every_trial_of_a_sweep(projector: Projector, store: TrialStore, make_trial: Any, fill: Any) -> None:
    trials = [make_trial("static", 0.5, seed) for seed in (1, 2)]
    for trial in trials:
        fill(store, trial, 3)
    report = projector.project([SweepView("quick", trials, "two seeds")])
    assert (report.num_trials, report.num_created, report.num_epochs) == (2, 3, 6)
    assert_mlflow_shows(projector, store, [trial.key for trial in trials])
    parent = runs_of(projector, TAG_SWEEP)["quick"]
    run = runs_of(projector)[trials[1].key]
    assert run.info.run_name == "static 0.5 seed 2"
    assert "gate_density/0.input" in run.data.metrics, "MLflow groups charts by what stands before a slash"
    assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert (
        run.data.tags.items()
        >= {
            "sweep.quick": "1",
            "method": "static",
            "architecture": "stacked_lstm",
            "corpus": "synthetic",
            "seed": "2",
            "epochs": "3",
            "state": "answered",
            "selfish.code_version": "abc",
        }.items()
    )
    assert "train" in run.data.tags["selfish.data_sha256"]
    assert run.data.params == {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in trials[1].config.flat().items()
    }
    assert (run.info.status, parent.info.status) == ("FINISHED", "FINISHED")
    last = store.trial(trials[1].key).records()[-1]
    assert run.info.end_time == last.timing.finished_ms
    assert "two seeds" in parent.data.tags["mlflow.note.content"]
    times = read(projector.tracking_uri, "select distinct timestamp from metrics where step = 3")
    assert times == [(last.timing.finished_ms,)]


def test_experiment_opens_on_training_curves_with_absolute_artifacts(projector: Projector, store: TrialStore) -> None:
    projector.project([])
    experiment = connect(projector.tracking_uri).get_experiment_by_name(f"selfish/{store.store_id[:8]}")
    assert experiment.tags["mlflow.experimentKind"] == "custom_model_development"
    assert experiment.tags["mlflow.experiment.primaryMetric.name"] == "curves/val_perplexity"
    assert store.place in experiment.tags["mlflow.note.content"]
    assert Path(experiment.artifact_location).is_absolute()
    assert experiment.experiment_id == projector.experiment_id


def test_replay_changes_nothing(projector: Projector, store: TrialStore, make_trial: Any, fill: Any) -> None:
    trial = make_trial()
    fill(store, trial, 3)
    projector.project([SweepView("quick", [trial])])
    tables = ("metrics", "runs", "tags", "params", "latest_metrics")
    before = [read(projector.tracking_uri, f"select * from {table} order by 1, 2, 3") for table in tables]
    projector.project([SweepView("quick", [trial])])
    report = Projector(store, projector.tracking_uri).project([SweepView("quick", [trial])])
    assert (report.num_created, report.num_epochs, report.num_deleted) == (0, 0, 0)
    assert [read(projector.tracking_uri, f"select * from {table} order by 1, 2, 3") for table in tables] == before


def test_more_epochs_are_added_to_the_same_run(
    projector: Projector, store: TrialStore, make_trial: Any, fill: Any
) -> None:
    short, long = make_trial(epochs=2), make_trial(epochs=4)
    fill(store, short, 2)
    projector.project([SweepView("quick", [short])])
    run_id = runs_of(projector)[short.key].info.run_id
    assert short.key == long.key
    fill(store, long, 3)
    report = projector.project([SweepView("quick", [long], is_live=True)])
    assert report.num_epochs == 1
    run = runs_of(projector)[long.key]
    assert (run.info.run_id, run.info.status, run.data.tags["state"]) == (run_id, "RUNNING", "unfinished")
    assert_mlflow_shows(projector, store, [long.key])


@pytest.mark.parametrize("name", ["create", "log", "set_status"])
@pytest.mark.parametrize("is_done", [False, True], ids=["before", "after"])
def test_killed_at_any_call_then_converges(
    name: str,
    is_done: bool,
    store: TrialStore,
    tracking_uri: str,
    make_trial: Any,
    fill: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trial = make_trial()
    fill(store, trial, 3)
    whole: Callable[..., Any] = getattr(TrackingServer, name)
    projector = Projector(store, tracking_uri)
    for nth in (1, 2):
        calls = Counter[str]()

        def killed(*args: Any, nth: int = nth, calls: Counter[str] = calls, **kwargs: Any) -> Any:
            calls[name] += 1
            if calls[name] < nth:
                return whole(*args, **kwargs)
            if is_done:
                whole(*args, **kwargs)
            raise KilledError

        with monkeypatch.context() as patch:
            patch.setattr(TrackingServer, name, killed)
            with pytest.raises(KilledError):
                Projector(store, tracking_uri, experiment=f"nth/{nth}").project([SweepView("quick", [trial])])
                raise KilledError
        projector = Projector(store, tracking_uri, experiment=f"nth/{nth}")
        projector.project([SweepView("quick", [trial])])
        assert_mlflow_shows(projector, store, [trial.key])
        assert runs_of(projector)[trial.key].info.status == "FINISHED"
        assert set(runs_of(projector, TAG_SWEEP)) == {"quick"}


def test_half_a_batch_of_a_dead_attempt_gives_no_second_row(
    projector: Projector, store: TrialStore, make_trial: Any, fill: Any, make_metrics: Any
) -> None:
    trial = make_trial()
    fill(store, trial, 2)
    projector.project([SweepView("quick", [trial], is_live=True)])
    run = runs_of(projector)[trial.key]
    client = connect(projector.tracking_uri)
    client.log_metric(
        run.info.run_id, "curves/val_perplexity", make_metrics(3)["val_perplexity"], timestamp=12345, step=3
    )
    fill(store, trial, 3)
    Projector(store, projector.tracking_uri).project([SweepView("quick", [trial])])
    assert_mlflow_shows(projector, store, [trial.key])


def test_attempt_that_goes_back_writes_no_second_row(
    projector: Projector, store: TrialStore, make_trial: Any, fill: Any
) -> None:
    trial = make_trial()
    for num_epochs in (2, 1, 3):
        fill(store, trial, num_epochs)
        projector.project([SweepView("quick", [trial], is_live=True)])
        assert_mlflow_shows(projector, store, [trial.key])
    fill(store, trial, 2)
    Projector(store, projector.tracking_uri).project([SweepView("quick", [trial], is_live=True)])
    assert_mlflow_shows(projector, store, [trial.key])
    fill(store, trial, 3)
    Projector(store, projector.tracking_uri).project([SweepView("quick", [trial], is_live=True)])
    assert_mlflow_shows(projector, store, [trial.key])


def test_run_of_other_records_is_replaced(projector: Projector, store: TrialStore, make_trial: Any, fill: Any) -> None:
    trial = make_trial()
    fill(store, trial, 3)
    projector.project([SweepView("quick", [trial])])
    fill(store, trial, 3, gradient_norm=77.0)
    report = Projector(store, projector.tracking_uri).project([SweepView("quick", [trial])])
    assert report.num_deleted == 1
    assert_mlflow_shows(projector, store, [trial.key])


def test_second_runs_of_a_key_are_deleted_and_the_oldest_kept(
    projector: Projector, store: TrialStore, make_trial: Any, fill: Any
) -> None:
    trial = make_trial()
    fill(store, trial, 3)
    projector.project([SweepView("quick", [trial])])
    oldest = runs_of(projector)[trial.key].info
    client = connect(projector.tracking_uri)
    for later in (1, 2):
        tags = {TAG_KEY: trial.key, "mlflow.parentRunId": "gone"}
        client.create_run(projector.experiment_id, start_time=oldest.start_time + later, tags=tags)
    client.create_run(projector.experiment_id, tags={TAG_SWEEP: "quick"})
    projector.forget()
    report = projector.project([SweepView("quick", [trial])])
    assert report.num_deleted == 3
    assert runs_of(projector)[trial.key].info.run_id == oldest.run_id
    assert set(runs_of(projector, TAG_SWEEP)) == {"quick"}
    assert_mlflow_shows(projector, store, [trial.key])


def test_run_that_another_writer_made_meanwhile_is_adopted(
    projector: Projector, store: TrialStore, make_trial: Any, fill: Any
) -> None:
    trial = make_trial()
    fill(store, trial, 1)
    projector.project([])
    Projector(store, projector.tracking_uri).project([SweepView("quick", [trial])])
    assert projector.project([SweepView("quick", [trial])]).num_created == 0
    assert set(runs_of(projector)) == {trial.key}


def test_run_deleted_by_hand_comes_back(projector: Projector, store: TrialStore, make_trial: Any, fill: Any) -> None:
    trial = make_trial(epochs=3)
    fill(store, trial, 2)
    projector.project([SweepView("quick", [trial], is_live=True)])
    connect(projector.tracking_uri).delete_run(runs_of(projector)[trial.key].info.run_id)
    fill(store, trial, 3)
    report = projector.project([SweepView("quick", [trial])])
    assert set(report.problems) == {trial.key}
    assert projector.project([SweepView("quick", [trial])]).problems == {}
    assert_mlflow_shows(projector, store, [trial.key])


NONFINITE = [math.nan, math.inf, -math.inf, -0.0, 5e-324, float(2**53 + 1), 1.7976931348623157e308, 0.1, 1e-310]


def test_every_value_comes_back_bit_for_bit(
    projector: Projector, store: TrialStore, make_trial: Any, make_metrics: Any, make_record: Any
) -> None:
    trial = make_trial(epochs=len(NONFINITE))
    attempt = store.put(trial.config.to_dict(), trial.key).claim(None, "test")
    for epoch, value in enumerate(NONFINITE, start=1):
        attempt.write_record(make_record(trial.key, epoch, **make_metrics(epoch, gradient_norm=value)))
    projector.project([SweepView("quick", [trial])])
    frame = reading.read(projector.tracking_uri, projector.experiment, [trial.key]).frame
    assert frame["gradient_norm"].to_numpy().tobytes() == pd.Series(NONFINITE).to_numpy().tobytes()
    run = runs_of(projector)[trial.key]
    assert run.data.tags["nonfinite.gradient_norm"] == "nan@1,+inf@2,-inf@3,-0.0@4"
    stored = read(
        projector.tracking_uri, "select is_nan from metrics where key = 'gradient_norm' order by step limit 4"
    )
    assert stored == [(1,), (1,), (1,), (0,)]


@pytest.mark.parametrize(
    ("num_epochs", "diverges", "is_live", "failure", "status", "state"),
    [
        (3, False, False, "", "FINISHED", "answered"),
        (2, True, False, "", "FINISHED", "diverged"),
        (2, True, True, "", "FINISHED", "diverged"),
        (2, False, False, "", "KILLED", "unfinished"),
        (2, False, True, "", "RUNNING", "unfinished"),
        (2, False, False, "out of memory", "FAILED", "failed"),
        (0, False, True, "no corpus", "FAILED", "failed"),
        (0, False, True, "", "RUNNING", "unfinished"),
    ],
)
def test_status(
    num_epochs: int, diverges: bool, is_live: bool, failure: str, status: str, state: str,
    projector: Projector, store: TrialStore, make_trial: Any, fill: Any,
) -> None:  # fmt: skip
    trial = make_trial(epochs=3)
    fill(store, trial, num_epochs, diverges=diverges)
    failures = {trial.key: failure} if failure else {}
    projector.project([SweepView("quick", [trial], is_live=is_live, failures=failures)])
    run = runs_of(projector)[trial.key]
    assert (run.info.status, run.data.tags["state"]) == (status, state)
    assert (run.info.end_time is None) == (status == "RUNNING")
    if failure or diverges:
        assert (failure or "loss is nan") in run.data.tags["selfish.message"]
    projector.project([SweepView("quick", [trial], failures=failures)])
    statuses = {run.info.status for tag in (TAG_KEY, TAG_SWEEP) for run in runs_of(projector, tag).values()}
    assert "RUNNING" not in statuses


def test_trial_that_has_not_started_has_no_run(projector: Projector, make_trial: Any) -> None:
    report = projector.project([SweepView("quick", [make_trial()], is_live=True)])
    assert (report.num_trials, report.num_created) == (0, 1)


def test_trial_of_two_sweeps_is_nested_under_the_first(
    projector: Projector, store: TrialStore, make_trial: Any, fill: Any
) -> None:
    trial = make_trial()
    fill(store, trial, 3)
    projector.project([SweepView("first", [trial])])
    projector.project([SweepView("second", [trial]), SweepView("first", [trial])])
    run, parents = runs_of(projector)[trial.key], runs_of(projector, TAG_SWEEP)
    assert run.data.tags["mlflow.parentRunId"] == parents["first"].info.run_id
    assert run.data.tags.items() >= {"sweep.first": "1", "sweep.second": "1"}.items()


def test_trial_that_mlflow_refuses_does_not_hide_the_others(
    projector: Projector, store: TrialStore, make_trial: Any, fill: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = [make_trial("static", 0.5, seed) for seed in (1, 2)]
    for trial in trials:
        fill(store, trial, 3)
    refused = trials[0].key
    log = TrackingServer.log

    def picky(server: TrackingServer, run: Any, **what: Any) -> None:
        if run.tags.get(TAG_KEY) == refused:
            client = connect(server.tracking_uri)
            try:
                client.log_param(run.run_id, "(not a name]", "1")
            except Exception as error:
                raise TrackingError("refused") from error
        log(server, run, **what)

    monkeypatch.setattr(TrackingServer, "log", picky)
    report = projector.project([SweepView("quick", trials)])
    assert set(report.problems) == {refused}
    assert_mlflow_shows(projector, store, [trials[1].key])


def test_a_trial_of_few_epochs_is_written_in_one_call(
    projector: Projector, store: TrialStore, make_trial: Any, fill: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = make_trial()
    fill(store, trial, 3)
    projector.project([SweepView("quick", [])])
    calls: list[str] = []
    log_batch = MlflowClient.log_batch

    def counted(client: Any, run_id: str, *args: Any, **what: Any) -> Any:
        calls.append(run_id)
        return log_batch(client, run_id, *args, **what)

    monkeypatch.setattr(MlflowClient, "log_batch", counted)
    projector.project([SweepView("quick", [trial])])
    run = runs_of(projector)[trial.key]
    assert calls.count(run.info.run_id) == 1
    assert set(run.data.params) == set(params_of(trial))


def test_more_params_than_one_call_takes_are_all_written(
    projector: Projector, store: TrialStore, make_trial: Any, fill: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("orchestration.tracking_server.MAX_PARAMS", 7)
    trial = make_trial()
    fill(store, trial, 3)
    projector.project([SweepView("quick", [trial])])
    assert set(runs_of(projector)[trial.key].data.params) == set(params_of(trial))


def test_database_rolled_back_under_us_is_filled_again(
    projector: Projector, store: TrialStore, make_trial: Any, fill: Any, template_database: Path
) -> None:
    trial = make_trial()
    fill(store, trial, 3)
    projector.project([SweepView("quick", [trial])])
    path = Path(projector.tracking_uri.removeprefix("sqlite:///"))
    path.unlink()
    path.write_bytes(template_database.read_bytes())
    report = projector.project([SweepView("quick", [trial])])
    assert (report.num_created, report.num_epochs) == (2, 3)
    assert_mlflow_shows(projector, store, [trial.key])


def test_rebuild_deletes_ours_and_keeps_what_is_not(
    projector: Projector, store: TrialStore, make_trial: Any, fill: Any
) -> None:
    trial = make_trial()
    fill(store, trial, 3)
    projector.project([SweepView("quick", [trial])])
    client = connect(projector.tracking_uri)
    foreign = client.create_run(projector.experiment_id, run_name="mine")
    run_id = runs_of(projector)[trial.key].info.run_id
    client.set_tag(run_id, "method", "spoiled")
    report = projector.rebuild([SweepView("quick", [trial])])
    assert (report.num_deleted, report.num_created, report.num_epochs) == (2, 2, 3)
    assert client.get_run(foreign.info.run_id).info.lifecycle_stage == "active"
    assert client.get_run(run_id).info.lifecycle_stage == "deleted"
    assert runs_of(projector)[trial.key].data.tags["method"] == "static"


def test_deleted_experiment_comes_back(projector: Projector, store: TrialStore, make_trial: Any, fill: Any) -> None:
    trial = make_trial()
    fill(store, trial, 3)
    projector.project([SweepView("quick", [trial])])
    connect(projector.tracking_uri).delete_experiment(projector.experiment_id)
    projector.forget()
    projector.project([SweepView("quick", [trial])])
    assert_mlflow_shows(projector, store, [trial.key])


def test_batches_stay_within_what_a_server_takes(
    projector: Projector, store: TrialStore, make_trial: Any, fill: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = make_trial(epochs=90)
    fill(store, trial, 90)
    sizes: list[tuple[int, int, int]] = []
    log_batch = MlflowClient.log_batch

    def counted(client: Any, run_id: str, *, metrics: Any = (), tags: Any = (), params: Any = ()) -> Any:
        sizes.append((len(metrics), len(tags), len(params)))
        return log_batch(client, run_id, metrics=metrics, tags=tags, params=params)

    monkeypatch.setattr(MlflowClient, "log_batch", counted)
    projector.project([SweepView("quick", [trial])])
    assert max(map(sum, sizes)) <= 1000
    assert all(num_tags <= 100 and num_params <= 100 for _, num_tags, num_params in sizes)
    assert 2 <= sum(num_metrics > 0 for num_metrics, _, _ in sizes) <= 4
    assert_mlflow_shows(projector, store, [trial.key])


@pytest.mark.parametrize("uri", ["sqlite:///relative.db", "file:///tmp/mlruns", "mlruns", "ftp://host"])
def test_uri_that_mlflow_would_misread_is_refused(uri: str, store: TrialStore) -> None:
    with pytest.raises(InputError, match="tracking URI"):
        Projector(store, uri).project([])


def test_four_processes_open_a_new_database_at_once(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path\n"
        "from selfish_core.trial_store import TrialStore\n"
        "from orchestration.tracking import Projector\n"
        "store = TrialStore.open(Path(sys.argv[1]))\n"
        "import results.tracking_store, mlflow\n"
        "print(Projector(store, sys.argv[2]).project([]).num_trials)\n"
    )
    TrialStore.open(tmp_path / "store")
    words = [sys.executable, "-c", script, str(tmp_path / "store"), f"sqlite:///{tmp_path}/new/mlflow.db"]
    root = Path(__file__).parents[2]
    children = [
        subprocess.Popen(words, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(4)
    ]
    outcomes = [(child.communicate(timeout=120), child.returncode) for child in children]
    assert outcomes == [(("0\n", ""), 0)] * 4
    path = tmp_path / "new" / "mlflow.db"
    assert path.stat().st_mode & 0o077 == 0
    with sqlite3.connect(path) as database:
        assert database.execute("select count(*) from experiments where name like 'selfish/%'").fetchone() == (1,)
        assert database.execute("pragma integrity_check").fetchone() == ("ok",)
