"""Export and import: the same table elsewhere, and no damaged byte gets in."""

from __future__ import annotations

import io
import json
import random
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from results import archive, archive_format
from results.aggregate import conclude, tabulate
from results.load_records import load_records
from results.tables.render import FORMATS, render
from results.tables.sweep import build
from selfish_core.errors import CorruptFileError, InputError
from selfish_core.trial_store import TrialStore


@pytest.fixture
def trials(make_trial: Any) -> list[Any]:
    return [make_trial(method, 0.5, seed) for method in ("static", "set") for seed in (1, 2)]


@pytest.fixture
def full(store: TrialStore, trials: list[Any], fill: Any) -> TrialStore:
    for trial in trials[:-1]:
        fill(store, trial, 3)
    fill(store, trials[-1], 2, diverges=True)
    store.sweep("quick").save_spec(b"name: quick\nepochs: 2\n")
    store.sweep("quick").save_spec(b"name: quick\nepochs: 3\n")
    return store


@pytest.fixture
def exported(full: TrialStore, trials: list[Any], tmp_path: Path) -> Path:
    path = tmp_path / "trials.zip"
    archive.export(full, path, [trial.key for trial in trials], ["quick"])
    return path


def tables_of(store: TrialStore, trials: list[Any]) -> list[str]:
    frame = load_records(store, [trial.key for trial in trials])
    cells = tabulate(conclude(frame, trials, 3), "method", "sparsity")
    table = build(cells, rows="method", columns="sparsity", metric="test_perplexity", epochs=3, title="quick")
    return [render(table, name) for name in FORMATS]


def test_same_table_in_a_fresh_store(exported: Path, full: TrialStore, trials: list[Any], tmp_path: Path) -> None:
    fresh = TrialStore.open(tmp_path / "fresh")
    report = archive.import_archive(fresh, exported)
    assert sorted(report.imported) == sorted(trial.key for trial in trials)
    assert (report.skipped, report.conflicting, report.sweeps) == ((), (), ("quick",))
    assert tables_of(fresh, trials) == tables_of(full, trials)
    for trial in trials:
        here, there = fresh.trial(trial.key), full.trial(trial.key)
        assert [record.science() for record in here.records()] == [record.science() for record in there.records()]
        assert [record.timing for record in here.records()] == [record.timing for record in there.records()]
        assert here.config() == there.config()
        assert [attempt.reason for attempt in here.attempts()] == ["import"]
    assert [spec.text for spec in fresh.sweep("quick").specs()] == [spec.text for spec in full.sweep("quick").specs()]
    assert fresh.problems() == []


def test_second_import_changes_nothing(exported: Path, trials: list[Any], tmp_path: Path) -> None:
    fresh = TrialStore.open(tmp_path / "fresh")
    archive.import_archive(fresh, exported)
    before = sorted(path.relative_to(Path(fresh.place)) for path in Path(fresh.place).rglob("*"))
    report = archive.import_archive(fresh, exported)
    assert (report.imported, report.sweeps) == ((), ())
    assert sorted(report.skipped) == sorted(trial.key for trial in trials)
    assert sorted(path.relative_to(Path(fresh.place)) for path in Path(fresh.place).rglob("*")) == before


def test_import_completes_what_is_there(exported: Path, trials: list[Any], tmp_path: Path, fill: Any) -> None:
    other = TrialStore.open(tmp_path / "other")
    fill(other, trials[0], 1)
    fill(other, trials[1], 3, gradient_norm=5.0)
    report = archive.import_archive(other, exported)
    assert report.conflicting == (trials[1].key,)
    assert other.trial(trials[0].key).answered_epochs() == 3
    assert other.trial(trials[1].key).records()[0].metrics["gradient_norm"] == 5.0


def test_import_keeps_other_versions_of_a_spec(exported: Path, tmp_path: Path) -> None:
    other = TrialStore.open(tmp_path / "other")
    other.sweep("quick").save_spec(b"name: quick\nepochs: 99\n")
    assert archive.import_archive(other, exported).sweeps == ()
    assert [spec.text for spec in other.sweep("quick").specs()] == [b"name: quick\nepochs: 99\n"]


def test_same_trials_give_the_same_bytes(exported: Path, full: TrialStore, trials: list[Any], tmp_path: Path) -> None:
    again = tmp_path / "again.zip"
    archive.export(full, again, [trial.key for trial in reversed(trials)], ["quick", "quick"])
    assert again.read_bytes() == exported.read_bytes()


def test_is_a_zip_for_everyone(exported: Path, full: TrialStore, trials: list[Any]) -> None:
    with zipfile.ZipFile(exported) as opened:
        assert opened.testzip() is None
        frame = pd.read_parquet(io.BytesIO(opened.read("frame.parquet")))
        manifest = json.loads(opened.read("MANIFEST.json"))
        assert set(manifest["members"]) | {"MANIFEST.json"} == set(opened.namelist())
        assert not any("checkpoint" in name for name in opened.namelist())
    pd.testing.assert_frame_equal(frame, load_records(full, [trial.key for trial in trials]))
    contents = archive.verify(exported)
    assert [trial.key for trial in contents.trials] == sorted(trial.key for trial in trials)
    assert contents.num_bytes == exported.stat().st_size


def test_every_damaged_byte_is_refused(exported: Path, tmp_path: Path) -> None:
    data = exported.read_bytes()
    dice = random.Random(5)
    ends = [*range(64), *range(len(data) - 400, len(data))]
    damaged = tmp_path / "damaged.zip"
    fresh = TrialStore.open(tmp_path / "fresh")
    for at in [*ends, *dice.sample(range(len(data)), 300)]:
        damaged.write_bytes(data[:at] + bytes([data[at] ^ (1 << dice.randrange(8))]) + data[at + 1 :])
        with pytest.raises(CorruptFileError) as caught:
            archive.import_archive(fresh, damaged)
        assert "\n" not in str(caught.value)
    for length in [0, 1, 63, 64, 65, *dice.sample(range(len(data)), 60)]:
        damaged.write_bytes(data[:length])
        with pytest.raises(CorruptFileError):
            archive.verify(damaged)
    damaged.write_bytes(data + b"x")
    with pytest.raises(CorruptFileError):
        archive.verify(damaged)
    assert fresh.keys() == []


def repacked(exported: Path, change: Any) -> Path:
    """A damaged or hostile archive whose checksums all fit."""
    members = archive_format.unpack(exported.read_bytes(), "x")
    change(members)
    path = exported.with_name("repacked.zip")
    path.write_bytes(archive_format.pack(members))
    return path


@pytest.mark.parametrize(
    "name",
    ["../evil", "/etc/passwd", "trials/../../evil/trial.json", "trials/a/b/trial.json", "trials/a\\b/trial.json",
     "sweeps/q..x/spec-0001.yaml", "sweeps/quick/spec-1.yaml", "trials/.x/trial.json", "trials/a/checkpoint.bin",
     "trials/" + "a" * 200 + "/trial.json", "store.json", "trials/a\n/trial.json"],
)  # fmt: skip
def test_member_with_another_name_is_refused(name: str, exported: Path, tmp_path: Path) -> None:
    path = repacked(exported, lambda members: members.update({name: b"x"}))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(CorruptFileError, match="which no export holds"):
        archive.verify(path)
    assert sorted(tmp_path.rglob("*")) == before


def changed_json(members: dict[str, bytes], ending: str, change: Any) -> None:
    name = next(name for name in sorted(members) if name.endswith(ending))
    body = json.loads(members[name])
    change(body)
    members[name] = json.dumps(body).encode()


@pytest.mark.parametrize(
    ("ending", "change"),
    [
        ("trial.json", lambda body: body["config"].update(seed=77)),
        ("trial.json", lambda body: body["config"].update(surprise=1)),
        ("trial.json", lambda body: body.pop("config")),
        ("records.json", lambda body: body.pop(0)),
        ("records.json", lambda body: body[0].update(key="0" * 32)),
        ("records.json", lambda body: body[0].update(outcome="diverged")),
        ("records.json", lambda body: body[0].update(format=2)),
        ("records.json", lambda body: body.clear() or body.append("x")),
    ],
)
def test_trial_that_is_not_what_it_says_is_refused(ending: str, change: Any, exported: Path) -> None:
    path = repacked(exported, lambda members: changed_json(members, ending, change))
    with pytest.raises(CorruptFileError) as caught:
        archive.verify(path)
    assert "\n" not in str(caught.value)


def test_newer_format_is_refused_with_what_to_do(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(archive_format, "FORMAT", 2)
        path = repacked(exported, lambda members: None)
    with pytest.raises(InputError, match="has format 2, this version of Selfish reads up to 1: update Selfish"):
        archive.verify(path)


def test_zip_bomb_is_refused_before_it_is_unpacked(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = repacked(exported, lambda members: members.update({"frame.parquet": b"\0" * 3_000_000}))
    monkeypatch.setattr(archive_format, "MAX_MEMBER_BYTES", 1_000_000)
    with pytest.raises(CorruptFileError, match="at most 1000000"):
        archive.verify(path)
    monkeypatch.setattr(archive_format, "MAX_TOTAL_BYTES", 2_000_000)
    with pytest.raises(CorruptFileError, match="2000000 bytes"):
        archive.verify(path)
    monkeypatch.setattr(archive, "MAX_FILE_BYTES", 100)
    with pytest.raises(InputError, match="at most 100"):
        archive.verify(path)


def test_refusals_before_anything_is_written(full: TrialStore, exported: Path, make_trial: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such file"):
        archive.verify(tmp_path / "none.zip")
    with pytest.raises(InputError, match="there is no such file"):
        archive.verify(tmp_path)
    with pytest.raises(InputError, match="is there already"):
        archive.export(full, exported, full.keys())
    with pytest.raises(InputError, match="is not in the trial store"):
        archive.export(full, tmp_path / "x.zip", [make_trial(seed=99).key])
    with pytest.raises(InputError, match="nothing to export"):
        archive.export(full, tmp_path / "x.zip", [])
    assert not (tmp_path / "x.zip").exists()
