"""Settings: which source wins, what is refused, and what is never shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestration import settings
from selfish_core.errors import InputError


@pytest.fixture
def user_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "config.yaml"
    monkeypatch.setattr(settings, "user_file", lambda: path)
    monkeypatch.setattr(settings, "user_folder", lambda: tmp_path / "data")
    return path


def test_flag_before_environment_before_file_before_default(user_file: Path, tmp_path: Path) -> None:
    environment = {"SELFISH_STORE": "/in/environment", "SELFISH_RAY_ADDRESS": ""}
    assert settings.read({}, {}).store == str(tmp_path / "data" / "store")
    user_file.write_text("store: /in/file\nray_address: head:6379\n")
    assert settings.read({}, {}).store == "/in/file"
    assert settings.read({}, environment).store == "/in/environment"
    assert settings.read({"store": "/in/flag"}, environment).store == "/in/flag"
    found = settings.read({"store": None, "data": "corpora"}, environment)
    assert {name: one.origin for name, one in found.origins.items()} == {
        "store": "SELFISH_STORE",
        "data": "--data",
        "tracking_uri": "default",
        "ray_address": str(user_file),
        "jobs_url": "default",
    }


def test_without_any_setting_nothing_is_joined_and_corpora_may_be_downloaded(user_file: Path, tmp_path: Path) -> None:
    found = settings.read({}, {})
    assert found.data is None
    assert found.ray_address is None
    assert found.tracking_uri == f"sqlite:///{tmp_path}/data/mlflow.db"
    assert all(one.is_default for one in found.origins.values())


def test_paths_become_absolute(user_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/ann")
    found = settings.read({"store": "here", "data": "~/corpora", "tracking_uri": "sqlite:///runs.db"}, {})
    assert found.store == str(tmp_path / "here")
    assert found.data == Path("/home/ann/corpora")
    assert found.tracking_uri == f"sqlite:///{tmp_path}/runs.db"


def test_a_store_may_be_a_url(user_file: Path) -> None:
    assert settings.read({"store": "s3://lab/selfish/"}, {}).store == "s3://lab/selfish"
    user_file.write_text("store: s3://lab/other\n")
    assert settings.read({}, {}).store == "s3://lab/other"


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("gs://lab/x", "must be a folder or s3://BUCKET/PREFIX"),
        ("s3://ann:canary@lab/x", "has credentials in it"),
    ],
)
def test_store_urls_that_are_refused(user_file: Path, url: str, told: str) -> None:
    with pytest.raises(InputError, match=rf"^SELFISH_STORE: trial store .*{told}") as caught:
        settings.read({}, {"SELFISH_STORE": url})
    assert "canary" not in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "stor: /x\n",
            "unknown setting 'stor': known are data, jobs_url, ray_address, store, tracking_uri; did you mean 'store'?",
        ),
        ("store: 3\n", "store must be a text"),
        ("- store\n", "mapping"),
        ("store: /x\nstore: /y\n", "store"),
        ("store: *x\n", "alias"),
        ("store: ''\n", "must be a text that is not empty"),
    ],
)
def test_a_wrong_user_file_is_named(user_file: Path, text: str, told: str) -> None:
    user_file.write_text(text)
    with pytest.raises(InputError) as caught:
        settings.read({}, {})
    assert told in str(caught.value)
    assert str(user_file) in str(caught.value)


def test_an_empty_user_file_sets_nothing(user_file: Path) -> None:
    user_file.write_text("")
    assert settings.read({}, {}).origins["store"].is_default


@pytest.mark.parametrize(
    "uri", ["mlruns", "file:///tmp/mlruns", "sqlite://", "sqlite:///", "sqlite:relative.db", "http://example.com:5000"]
)
def test_tracking_uris_that_are_refused(user_file: Path, uri: str) -> None:
    with pytest.raises(InputError, match="--tracking-uri"):
        settings.read({"tracking_uri": uri}, {})


@pytest.mark.parametrize("uri", ["http://127.0.0.1:5000", "http://localhost", "http://[::1]:5", "https://example.com"])
def test_tracking_uris_that_are_taken(user_file: Path, uri: str) -> None:
    assert settings.read({"tracking_uri": uri}, {}).tracking_uri == uri


def test_plain_http_elsewhere_must_be_allowed(user_file: Path) -> None:
    uri = "http://example.com:5000"
    assert settings.read({"tracking_uri": uri}, {}, is_insecure_tracking_allowed=True).tracking_uri == uri


def test_a_password_is_never_told(user_file: Path) -> None:
    with pytest.raises(InputError) as caught:
        settings.read({"tracking_uri": "http://ann:canary@example.com"}, {})
    assert "canary" not in str(caught.value)
