"""`selfish doctor` of a trial store on S3: found, absent, damaged, or out of reach."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.s3 import S3Server

from orchestration import settings
from orchestration.doctor import examine, examined_text
from selfish_core.object_storage import ObjectStorage
from selfish_core.trial_store import TrialStore


@pytest.fixture
def doctor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], dict[str, Any]]:
    monkeypatch.setattr(settings, "user_file", lambda: tmp_path / "config.yaml")
    monkeypatch.setattr(settings, "user_folder", lambda: tmp_path / "data")
    return lambda store: examine(settings.read({"store": store, "data": str(tmp_path)}, {}))


def test_a_sound_store_is_counted(doctor: Any, s3_url: str, make_trial: Any, fill: Any) -> None:
    fill(TrialStore.open(s3_url), make_trial(), 2)
    found = doctor(s3_url)
    assert found["store"] == {"path": s3_url, "is_there": True, "num_trials": 1, "num_sweeps": 0, "problems": []}
    assert "trial store  sound: 1 trials, 0 sweeps" in examined_text(found)


def test_an_absent_store_is_no_problem_and_stays_absent(doctor: Any, s3_url: str) -> None:
    assert doctor(s3_url)["store"]["is_there"] is False
    assert TrialStore.find(s3_url) is None


def test_a_missing_file_is_named_by_its_url(doctor: Any, s3_url: str, make_trial: Any, fill: Any) -> None:
    trial = make_trial()
    fill(TrialStore.open(s3_url), trial, 2)
    ObjectStorage.at(s3_url).delete(f"trials/{trial.key}/trial.json")
    assert doctor(s3_url)["store"]["problems"] == [f"{s3_url}/trials/{trial.key}/trial.json: is missing"]


def test_a_bucket_that_is_not_there_is_a_problem(doctor: Any, s3_server: S3Server) -> None:
    found = doctor("s3://no-such-lab/x")
    assert found["store"]["problems"] == ["s3://no-such-lab: there is no such bucket; make it first, or name another"]
    assert not found["is_well"]
