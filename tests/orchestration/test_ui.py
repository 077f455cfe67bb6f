"""`selfish ui` with MLflow's own server."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import requests

from orchestration import ui
from orchestration.tracking import Projector, SweepView
from results.load_records import load_records
from results.reading import read
from selfish_core.errors import InputError, TrackingError
from selfish_core.trial_store import TrialStore


def test_serves_the_experiment_until_ctrl_c(store: TrialStore, tracking_uri: str, make_trial: Any, fill: Any) -> None:
    trials = [make_trial("static", 0.5, seed) for seed in (1, 2)]
    for trial in trials:
        fill(store, trial, 3)
    projector = Projector(store, tracking_uri)
    projector.project([SweepView("quick", trials)])
    told: list[str] = []
    seen: dict[str, Any] = {}

    def report(line: str) -> None:
        told.append(line)
        if "Ctrl-C" in line:
            base = told[0].split()[-1].split("/#")[0]
            seen["page"] = requests.get(base, timeout=10).status_code
            seen["foreign"] = requests.get(base, headers={"Host": "evil.example"}, timeout=10).status_code
            seen["frame"] = read(base, projector.experiment, [trial.key for trial in trials]).frame
            Projector(store, base).project([SweepView("quick", trials)])
            threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT)).start()

    assert ui.run_ui(tracking_uri, projector.experiment, report) == 0
    assert (seen["page"], seen["foreign"]) == (200, 403)
    pd.testing.assert_frame_equal(seen["frame"], load_records(store, [trial.key for trial in trials]), check_exact=True)
    assert [line.split(":")[0] for line in told[:3]] == ["Sweeps", "Best trials", "Curves"]
    pages = f"/#/experiments/{projector.experiment_id}/runs?workflowType=machine_learning"
    assert all(pages in line for line in told[:3])
    assert "orderByKey=metrics.%60curves%2Fval_perplexity%60&orderByAsc=true" in told[1]
    port = int(told[0].split("127.0.0.1:")[1].split("/")[0])
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0, "the server outlives its command"


def test_command_is_for_loopback_only() -> None:
    words = ui.server_command("postgresql://db/mlflow", 5123)
    assert words[words.index("--host") + 1] == "127.0.0.1"
    assert words[words.index("--workers") + 1] == "1"
    assert ui.SERVER_ENVIRONMENT["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"


def test_database_that_is_not_there_is_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no MLflow database"):
        ui.run_ui(f"sqlite:///{tmp_path}/none.db", "x", print)


def test_server_that_dies_says_why(tracking_uri: str) -> None:
    command = [sys.executable, "-c", "import sys; sys.exit('the port is cursed')"]
    with pytest.raises(TrackingError, match="the port is cursed"):
        ui.run_ui(tracking_uri, "x", print, command=command)


def test_sigterm_ends_the_server_too(tracking_uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pid_file = tmp_path / "pid"
    script = "import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(600)"
    command = [sys.executable, "-c", script, str(pid_file)]

    def wait_until_up(*_: object) -> None:
        while not pid_file.exists() or not pid_file.read_text():
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(ui, "_wait_until_up", wait_until_up)
    before = signal.getsignal(signal.SIGTERM)
    assert ui.run_ui(tracking_uri, "x", print, command=command) == 0
    assert signal.getsignal(signal.SIGTERM) is before
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), 0)


def test_port_in_use_is_passed_over() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        wanted = taken.getsockname()[1]
        assert ui.free_port(wanted) != wanted
    assert ui.free_port(wanted) == wanted
