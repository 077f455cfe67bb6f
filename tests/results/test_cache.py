"""What was read is taken again only while the database is in the same state and no byte of the file has changed."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from orchestration.tracking import Projector
from results import cache, reading
from results.by_sql import SqlSource, sqlite_version
from results.names import TAG_KEY, in_mlflow
from results.shown import Shown
from results.tracking_store import connect


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(cache, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setattr(cache, "MIN_ROWS", 0)
    return tmp_path / "cache" / "tracking"


@pytest.fixture
def num_readings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each time that the database's points are read."""
    told: list[int] = []
    points = SqlSource.points

    def counted(self: SqlSource, runs: Any, metrics: Any) -> Any:
        told.append(len(runs))
        return points(self, runs, metrics)

    monkeypatch.setattr(SqlSource, "points", counted)
    return told


def read(projector: Projector, trials: list[Any], metrics: Any = None) -> Shown:
    return reading.read(projector.tracking_uri, projector.experiment, [trial.key for trial in trials], metrics)


def test_second_reading_is_the_same_and_reads_nothing(
    in_each_database: Projector, trials: list[Any], num_readings: list[int], folder: Path
) -> None:
    client = connect(in_each_database.tracking_uri)
    client.create_run(in_each_database.experiment_id, run_name="foreign")
    first, second = read(in_each_database, trials), read(in_each_database, trials)
    assert num_readings == [3]
    pd.testing.assert_frame_equal(second.frame, first.frame, check_exact=True)
    assert second.frame.to_csv() == first.frame.to_csv()
    assert second.frame.attrs == first.frame.attrs == {}
    assert second.warnings == first.warnings
    assert len(first.warnings) == 1
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [file.stat().st_mode & 0o777 for file in folder.iterdir()] == [0o600]


def test_another_question_is_another_answer(
    in_each_database: Projector, trials: list[Any], num_readings: list[int], folder: Path
) -> None:
    assert len(read(in_each_database, trials).frame) == 6
    assert len(read(in_each_database, trials[:1]).frame) == 3
    assert list(read(in_each_database, trials, ["test_perplexity"]).frame.columns[5:]) == [
        "val_perplexity",
        "test_perplexity",
    ]
    assert num_readings == [3, 1, 3]
    assert len(list(folder.iterdir())) == 3


@pytest.mark.parametrize("change", ["metric", "tag", "deletion"])
def test_any_change_of_the_database_is_seen(
    change: str, in_each_database: Projector, trials: list[Any], num_readings: list[int]
) -> None:
    read(in_each_database, trials)
    client = connect(in_each_database.tracking_uri)
    (run,) = client.search_runs([in_each_database.experiment_id], f"tags.`{TAG_KEY}` = '{trials[0].key}'")
    changes = {
        "metric": lambda: client.log_metric(run.info.run_id, in_mlflow("val_perplexity"), 5.0, step=2),
        "tag": lambda: client.set_tag(run.info.run_id, "epochs", "2"),
        "deletion": lambda: client.delete_run(run.info.run_id),
    }
    changes[change]()
    assert len(read(in_each_database, trials).frame) == (5 if change == "tag" else 3)
    assert len(num_readings) == 2


def test_a_database_that_was_replaced_is_read_anew(
    projector: Projector, trials: list[Any], num_readings: list[int]
) -> None:
    read(projector, trials)
    path = Path(projector.tracking_uri.removeprefix("sqlite:///"))
    stat = path.stat()
    path.with_suffix(".copy").write_bytes(path.read_bytes())
    path.with_suffix(".copy").replace(path)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    read(projector, trials)
    assert len(num_readings) == 2


def test_a_change_in_the_log_of_a_database_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "wal.db"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE t (x)")
    before, file = sqlite_version(path), path.read_bytes()
    connection.execute("INSERT INTO t VALUES (1)")
    assert path.read_bytes() == file
    after = sqlite_version(path)
    assert after != before
    assert connection.execute("SELECT * FROM t").fetchall() == [(1,)]
    assert sqlite_version(path) == after


def flip(data: bytes, place: int) -> bytes:
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[:-1],
        lambda data: flip(data, 3),
        lambda data: flip(data, 20),
        lambda data: flip(data, len(data) // 2),
        lambda data: flip(data, len(data) - 9),
        lambda data: data.replace(b"selfish-cache-1", b"selfish-cache-9"),
        lambda data: b"PAR1 is not what this is",
    ],
)
def test_damaged_or_foreign_file_is_read_anew_and_replaced(
    damage: Any, projector: Projector, trials: list[Any], num_readings: list[int], folder: Path
) -> None:
    first = read(projector, trials)
    (file,) = folder.iterdir()
    data = file.read_bytes()
    file.write_bytes(damage(data))
    pd.testing.assert_frame_equal(read(projector, trials).frame, first.frame, check_exact=True)
    assert len(num_readings) == 2
    assert file.read_bytes() == data
    read(projector, trials)
    assert len(num_readings) == 2


def test_answer_under_another_name_is_not_taken(
    projector: Projector, trials: list[Any], num_readings: list[int], folder: Path
) -> None:
    read(projector, trials[:1])
    (other,) = folder.iterdir()
    data = other.read_bytes()
    read(projector, trials)
    (own,) = set(folder.iterdir()) - {other}
    own.write_bytes(data)
    assert len(read(projector, trials).frame) == 6
    assert len(num_readings) == 3


def test_folder_that_others_may_write_is_not_used(
    projector: Projector, trials: list[Any], num_readings: list[int], folder: Path
) -> None:
    read(projector, trials)
    folder.chmod(0o777)
    read(projector, trials)
    assert len(num_readings) == 2


def test_folder_that_cannot_be_made_does_no_harm(
    projector: Projector, trials: list[Any], num_readings: list[int], folder: Path
) -> None:
    folder.parent.write_bytes(b"a file where the folder should be")
    assert len(read(projector, trials).frame) == len(read(projector, trials).frame) == 6
    assert len(num_readings) == 2


def test_only_a_few_files_are_kept(
    projector: Projector, trials: list[Any], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "MAX_FILES", 2)
    for number in range(4):
        read(projector, trials, ["test_perplexity", f"gate_density.{number}"])
    assert len(list(folder.iterdir())) == 2


def test_small_frames_are_not_kept(
    projector: Projector, trials: list[Any], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "MIN_ROWS", 7)
    read(projector, trials)
    assert not folder.exists()


def test_what_changed_while_it_was_read_is_not_kept(
    projector: Projector, trials: list[Any], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = iter(["before", "after"])
    monkeypatch.setattr(SqlSource, "version", lambda self: next(versions))
    assert len(read(projector, trials).frame) == 6
    assert not folder.exists()
