"""Finding the trial store that the settings name, and the log of a sweep."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestration import settings, wanted
from selfish_core.errors import InputError
from selfish_core.trial_store import TrialStore


@pytest.fixture(autouse=True)
def _user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "user_file", lambda: tmp_path / "config.yaml")
    monkeypatch.setattr(wanted, "user_folder", lambda: tmp_path / "data")


def test_looking_for_a_store_makes_none(tmp_path: Path) -> None:
    named = settings.read({"store": str(tmp_path / "store")}, {})
    assert wanted.find_store(named) is None
    with pytest.raises(InputError, match=rf"there is no trial store at {tmp_path}/store \(--store\)"):
        wanted.require_store(named)
    assert not (tmp_path / "store").exists()
    made = wanted.open_store(named)
    assert wanted.require_store(named).store_id == made.store_id


def test_looking_for_a_store_on_s3_makes_none(s3_url: str) -> None:
    named = settings.read({"store": s3_url}, {})
    assert wanted.find_store(named) is None
    with pytest.raises(InputError, match=rf"there is no trial store at {s3_url} \(--store\)"):
        wanted.require_store(named)
    assert wanted.open_store(named).place == s3_url
    assert wanted.require_store(named).place == s3_url


def test_the_log_of_a_sweep_is_in_a_folder_of_this_machine(store: TrialStore, s3_url: str, tmp_path: Path) -> None:
    assert wanted.log_file(store, "toy") == Path(store.place) / "logs" / "toy.log"
    remote = TrialStore.open(s3_url)
    assert wanted.log_file(remote, "toy") == tmp_path / "data" / "logs" / remote.store_id / "toy.log"
