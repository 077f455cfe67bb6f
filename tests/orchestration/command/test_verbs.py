"""The verbs that need no Ray, over one small sweep: plan, train, table, list, show, export, import, sync, doctor."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from selfish_core.trial_store import TrialStore

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def trained(selfish: Command, tiny: Path) -> subprocess.CompletedProcess[str]:
    done = selfish("train", "tiny.yaml", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    return done


def test_train_tells_each_epoch_and_starts_nothing_twice(
    selfish: Command, trained: subprocess.CompletedProcess[str]
) -> None:
    assert trained.stdout == ""
    assert trained.stderr.count("val perplexity") == 8
    again = selfish("train", "tiny.yaml")
    assert again.stderr == "all 4 trials are answered; nothing to train\n"
    assert again.returncode == 0


def test_train_only_some(selfish: Command, tiny: Path, tmp_path: Path) -> None:
    keys = [trial["key"] for trial in json.loads(selfish("plan", "tiny.yaml", "--json").stdout)["trials"]]
    assert selfish("train", "tiny.yaml", "--only", keys[2][:10]).returncode == 0
    plan = json.loads(selfish("plan", "tiny.yaml", "--json").stdout)
    assert [trial["state"] for trial in plan["trials"]] == ["to run", "to run", "answered", "to run"]


def test_train_stopped_keeps_whole_epochs_and_goes_on(
    selfish: Command, environment: dict[str, str], tiny: Path, tmp_path: Path
) -> None:
    tiny.write_text(tiny.read_text().replace("epochs: 2", "epochs: 200"))
    words = [sys.executable, "-m", "orchestration.cli", "train", "tiny.yaml", "--device", "cpu"]
    process = subprocess.Popen(words, env=environment, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    first = process.stderr.readline()
    process.send_signal(signal.SIGINT)
    rest = process.stderr.read()
    assert process.wait(timeout=10) == 130
    assert "epoch 1/200" in first
    assert rest.splitlines()[-1] == "stopped; the same command goes on from the last whole epoch"
    store = TrialStore.open(tmp_path / "store")
    assert store.problems() == []
    assert max(store.trial(key).answered_epochs() for key in store.keys()) >= 1  # noqa: SIM118 - a method


def test_the_table_is_the_same_from_the_records_and_from_mlflow(
    selfish: Command, trained: subprocess.CompletedProcess[str]
) -> None:
    before = selfish("table", "tiny.yaml")
    assert "the table is made from the records" in before.stderr
    assert selfish("sync").returncode == 0
    after = selfish("table", "tiny.yaml")
    assert after.stderr == ""
    assert before.stdout == after.stdout
    assert after.stdout.startswith("tiny: two methods, two seeds\n")
    assert json.loads(selfish("table", "tiny.yaml", "--json").stdout)["cells"][0]["n"] == 2


def test_sync_rebuilds(selfish: Command, trained: subprocess.CompletedProcess[str]) -> None:
    assert json.loads(selfish("sync", "--json").stdout)["num_trials"] == 4
    rebuilt = json.loads(selfish("sync", "--rebuild", "--json").stdout)
    assert rebuilt["num_deleted"] == 5
    assert rebuilt["num_epochs"] == 8


def test_an_archive_carries_the_table_to_another_store(
    selfish: Command, trained: subprocess.CompletedProcess[str], tmp_path: Path
) -> None:
    assert "4 trials of 4" in selfish("export", "tiny.yaml", "tiny.zip").stderr
    other = {"SELFISH_STORE": str(tmp_path / "other")}
    assert json.loads(selfish("import", "tiny.zip", "--json", **other).stdout)["conflicting"] == []
    assert "0 trials imported, 4 there already" in selfish("import", "tiny.zip", **other).stderr
    assert selfish("table", "tiny.yaml", **other).stdout == selfish("table", "tiny.yaml").stdout


def test_a_damaged_archive_makes_no_store(selfish: Command, tmp_path: Path) -> None:
    (tmp_path / "bad.zip").write_bytes(b"no zip at all")
    done = selfish("import", "bad.zip")
    assert done.returncode in (1, 2)
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "store").exists()


def test_list_and_show(selfish: Command, trained: subprocess.CompletedProcess[str]) -> None:
    listed = json.loads(selfish("list", "--json").stdout)
    assert listed["sweeps"] == [
        {"name": "tiny", "description": "two methods, two seeds", "num_trials": 4, "num_over": 4, "epochs": 2}
    ]
    key = listed["trials"][0]["key"]
    assert key[:8] in selfish("list").stdout
    shown = json.loads(selfish("show", key[:6], "--json").stdout)
    assert [record["epoch"] for record in shown["records"]] == [1, 2]
    assert shown["config"]["seed"] == listed["trials"][0]["seed"]
    assert shown["problems"] == []
    text = selfish("show", key).stdout
    assert "computed by code" in text
    assert "attempt 1: from the start" in text


def test_doctor_says_where_settings_come_from(selfish: Command, tmp_path: Path) -> None:
    config = tmp_path / "home" / ".config" / "selfish" / "config.yaml"
    config.parent.mkdir(parents=True)
    config.write_text("data: /somewhere\n")
    done = selfish("doctor", "--json", "--store", str(tmp_path / "elsewhere"))
    found = json.loads(done.stdout)
    origins = {name: one["origin"] for name, one in found["settings"].items()}
    assert origins == {
        "store": "--store",
        "data": str(config),
        "tracking_uri": "SELFISH_TRACKING_URI",
        "ray_address": "default",
        "jobs_url": "default",
    }
    assert found["store"]["is_there"] is False
    assert found["versions"]["torch"].startswith("2.")
    assert done.returncode == 0
    assert not (tmp_path / "elsewhere").exists()


def test_doctor_names_a_damaged_file(
    selfish: Command, trained: subprocess.CompletedProcess[str], tmp_path: Path
) -> None:
    sealed = next((tmp_path / "store" / "trials").glob("*/attempts/1/records.sealed.json"))
    sealed.chmod(0o600)
    sealed.write_bytes(sealed.read_bytes().replace(b'"epoch"', b'"epocH"', 1))
    done = selfish("doctor")
    assert done.returncode == 1
    assert f"problem: {sealed}" in done.stdout


def test_doctor_hides_a_password(selfish: Command) -> None:
    done = selfish("doctor", "--tracking-uri", "https://ann:canary@127.0.0.1:9/")
    assert "canary" not in done.stdout + done.stderr
    assert done.returncode == 1


def test_schema_is_json(selfish: Command) -> None:
    assert "axes" in json.loads(selfish("schema").stdout)["properties"]


def test_everything_made_is_for_the_owner_alone(
    selfish: Command, trained: subprocess.CompletedProcess[str], tmp_path: Path
) -> None:
    selfish("sync")
    made = [tmp_path / "mlflow.db", *(tmp_path / "store").rglob("*")]
    assert len(made) > 20
    assert [path for path in made if stat.S_IMODE(path.stat().st_mode) & 0o077] == []


def test_a_reader_that_goes_away_is_no_fault(environment: dict[str, str], tiny: Path, tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    words = [sys.executable, "-m", "orchestration.cli", "plan", "tiny.yaml"]
    done = subprocess.run(words, env=environment, cwd=tmp_path, stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    assert done.stderr == ""


def test_sigterm_ends_with_143(environment: dict[str, str], tiny: Path, tmp_path: Path) -> None:
    tiny.write_text(tiny.read_text().replace("epochs: 2", "epochs: 500"))
    words = [sys.executable, "-m", "orchestration.cli", "train", "tiny.yaml", "--device", "cpu"]
    process = subprocess.Popen(words, env=environment, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    process.stderr.readline()
    time.sleep(0.1)
    process.terminate()
    assert process.wait(timeout=10) == 143
    process.stderr.close()
