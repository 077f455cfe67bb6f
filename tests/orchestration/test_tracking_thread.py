"""The projector in the background: outages are told once and leave no trace."""

from __future__ import annotations

import logging
import socket
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from orchestration.tracking import Projector, SweepView
from orchestration.tracking_thread import ProjectorThread
from results.load_records import load_records
from results.reading import read
from selfish_core.trial_store import TrialStore


def wait_for(condition: Any, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def assert_shown(projector: Projector, store: TrialStore, trial: Any) -> None:
    shown = read(projector.tracking_uri, projector.experiment, [trial.key]).frame
    pd.testing.assert_frame_equal(shown, load_records(store, [trial.key]), check_exact=True)


def test_projects_while_a_sweep_runs_and_drains_at_its_end(
    store: TrialStore, tracking_uri: str, make_trial: Any, fill: Any, caplog: pytest.LogCaptureFixture
) -> None:
    trial = make_trial(epochs=3)
    projector = Projector(store, tracking_uri)
    with ProjectorThread(projector, [SweepView("quick", [trial], is_live=True)], every_seconds=0.05) as thread:
        fill(store, trial, 2)
        wait_for(lambda: len(read(tracking_uri, projector.experiment, [trial.key]).frame) == 2)
        fill(store, trial, 3)
        thread.update([SweepView("quick", [trial])])
        assert thread.drain(30)
    assert_shown(projector, store, trial)
    assert lines(caplog) == []


def test_no_server_is_told_once_and_stops_nothing(
    store: TrialStore, make_trial: Any, fill: Any, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    trial = make_trial()
    fill(store, trial, 3)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        projector = Projector(store, f"http://127.0.0.1:{taken.getsockname()[1]}")
        with ProjectorThread(projector, [SweepView("quick", [trial])], every_seconds=0.05) as thread:
            wait_for(lambda: lines(caplog), seconds=60)
            assert not thread.drain(1.5)
    assert len(lines(caplog)) == 1
    assert "127.0.0.1" in lines(caplog)[0]
    assert "\n" not in lines(caplog)[0]
    assert capfd.readouterr().err == ""


def test_server_that_accepts_and_never_answers_is_told_once(
    store: TrialStore, make_trial: Any, fill: Any, caplog: pytest.LogCaptureFixture
) -> None:
    trial = make_trial()
    fill(store, trial, 3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        projector = Projector(store, f"http://127.0.0.1:{silent.getsockname()[1]}")
        with ProjectorThread(projector, [SweepView("quick", [trial])], every_seconds=0.05) as thread:
            wait_for(lambda: projector.waits_since is not None)
            wait_for(lambda: lines(caplog), seconds=4.9)
            started = time.monotonic()
            thread.update([SweepView("quick", [trial])])
            assert not thread.drain(0.2)
            assert time.monotonic() - started < 5
    assert len(lines(caplog)) == 1


def test_what_was_missed_is_written_when_mlflow_is_back(
    store: TrialStore, tracking_uri: str, make_trial: Any, fill: Any, caplog: pytest.LogCaptureFixture
) -> None:
    trial = make_trial()
    folder = Path(tracking_uri.removeprefix("sqlite:///")).parent
    away = folder.with_name("away")
    folder.rename(away)
    folder.write_text("in the way")
    projector = Projector(store, tracking_uri)
    with ProjectorThread(projector, [SweepView("quick", [trial])], every_seconds=0.05) as thread:
        fill(store, trial, 3)
        wait_for(lambda: lines(caplog))
        folder.unlink()
        away.rename(folder)
        assert thread.drain(30)
    assert_shown(projector, store, trial)
    assert len(lines(caplog)) == 2
    assert "is back" in lines(caplog)[1]


def test_locked_database_delays_nothing_but_mlflow(
    store: TrialStore, tracking_uri: str, make_trial: Any, fill: Any, caplog: pytest.LogCaptureFixture
) -> None:
    trial = make_trial()
    projector = Projector(store, tracking_uri)
    fill(store, trial, 3)
    holder = sqlite3.connect(tracking_uri.removeprefix("sqlite:///"), check_same_thread=False)
    holder.execute("begin exclusive")
    release = threading.Timer(5.5, holder.rollback)
    release.start()
    with ProjectorThread(projector, [SweepView("quick", [trial])], every_seconds=0.05) as thread:
        wait_for(lambda: lines(caplog), seconds=5.4)
        assert "has not answered" in lines(caplog)[0]
        assert holder.in_transaction
        assert thread.drain(60)
    release.join()
    assert_shown(projector, store, trial)
    assert len(lines(caplog)) == 2


def test_any_error_of_a_pass_stays_in_the_thread(
    store: TrialStore, tracking_uri: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    projector = Projector(store, tracking_uri)
    monkeypatch.setattr(Projector, "project", lambda self, sweeps: {}["no such key"])
    with ProjectorThread(projector, [], every_seconds=0.02) as thread:
        assert not thread.drain(1.5)
    assert len(lines(caplog)) == 1
