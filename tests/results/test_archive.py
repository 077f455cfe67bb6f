"""Export and import: the same table elsewhere, and no damaged byte gets in."""

from __future__ import annotations

import hashlib
import io
import json
import random
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from results import archive, archive_check, archive_format
from results.aggregate import conclude, tabulate
from results.load_records import load_records
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


def tables_of(store: TrialStore, trials: list[Any]) -> str:
    """What every table of these trials is made of."""
    frame = load_records(store, [trial.key for trial in trials])
    return repr(tabulate(conclude(frame, trials, 3), "method", "sparsity"))


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


def members_in(path: Path) -> dict[str, bytes]:
    with archive_format.opened(path, archive_format.WITH_CHECKPOINTS) as opened:
        return {name: opened.read(name) for name in opened.names}


def repacked(exported: Path, change: Any) -> Path:
    """A damaged or hostile archive whose checksums all fit."""
    members = members_in(exported)
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


def with_manifest(path: Path, change: Any) -> Path:
    """The same archive with another manifest, whose checksums all fit."""
    with zipfile.ZipFile(path) as opened:
        members = {name: opened.read(name) for name in opened.namelist()}
    manifest = json.loads(members["MANIFEST.json"])
    change(manifest)
    members["MANIFEST.json"] = json.dumps(manifest).encode()
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as written:
        for name, data in members.items():
            written.writestr(name, data)
        written.comment = b"0" * 64
    body = out.getvalue()[:-64]
    again = path.with_name("again.zip")
    again.write_bytes(body + hashlib.sha256(body).hexdigest().encode())
    return again


@pytest.mark.parametrize("name", ["frame.parquet", "models/new-thing.bin"])
def test_newer_format_is_refused_with_what_to_do(name: str, exported: Path) -> None:
    path = with_manifest(exported, lambda manifest: manifest.update(format=archive_format.FORMAT + 1))
    with zipfile.ZipFile(path, "a") as opened:
        comment = opened.comment
        if name not in opened.namelist():
            opened.writestr(name, b"x")
        opened.comment = comment
    body = path.read_bytes()[:-64]
    path.write_bytes(body + hashlib.sha256(body).hexdigest().encode())
    for call in (archive.verify, archive_check.check):
        with pytest.raises(InputError, match="has format 3, this version of Selfish reads up to 2: update Selfish"):
            call(path)


def test_an_export_of_records_alone_has_the_first_format(exported: Path) -> None:
    with zipfile.ZipFile(exported) as opened:
        assert json.loads(opened.read("MANIFEST.json"))["format"] == 1


def test_zip_bomb_is_refused_before_it_is_unpacked(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = repacked(exported, lambda members: members.update({"frame.parquet": b"\0" * 3_000_000}))
    for limits, told in (
        (archive_format.Limits(2**30, 1_000_000, 2**30), "at most 1000000"),
        (archive_format.Limits(2**30, 2**30, 2_000_000), "2000000 bytes"),
    ):
        monkeypatch.setattr(archive, "PLAIN", limits)
        with pytest.raises(CorruptFileError, match=told):
            archive.verify(path)
    monkeypatch.setattr(archive, "PLAIN", archive_format.Limits(100, 2**30, 2**30))
    with pytest.raises(InputError, match="at most 100 are read; --with-checkpoints reads more"):
        archive.verify(path)


def test_a_member_that_unpacks_to_more_than_it_says_is_refused(exported: Path) -> None:
    data = bytearray(exported.read_bytes())
    with zipfile.ZipFile(exported) as opened:
        size = opened.getinfo("frame.parquet").file_size
    number = size.to_bytes(4, "little")
    while (at := bytes(data).find(number)) >= 0:
        data[at : at + 4] = (size - 1).to_bytes(4, "little")
    body = bytes(data[:-64])
    exported.write_bytes(body + hashlib.sha256(body).hexdigest().encode())
    with pytest.raises(CorruptFileError):
        archive.verify(exported)


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


# Checkpoints, pictures, decisions


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny_trial: Any, tiny_corpus: Any) -> tuple[TrialStore, str]:
    """A trial store with one trial, really trained for three epochs."""
    from selfish_core.training.session import TrialSession

    store = TrialStore.open(tmp_path_factory.mktemp("trained") / "store")
    config = tiny_trial("selfish", "snt_asgd")
    stored = store.put(config.to_dict(), config.key())
    session = TrialSession(config, epochs=3, corpus=tiny_corpus, stored=stored)
    while not session.is_finished:
        session.step()
    session.close()
    return store, config.key()


@pytest.fixture
def rich(trained: tuple[TrialStore, str], tmp_path: Path) -> Path:
    store, key = trained
    pictures = {"quick.txt": b"a table\n", "quick-perplexity.png": b"\x89PNG"}
    archive.export(store, tmp_path / "rich.zip", [key], extras=archive.Extras(True, pictures=pictures))
    return tmp_path / "rich.zip"


def test_the_best_checkpoint_travels_and_is_the_same(
    rich: Path, trained: tuple[TrialStore, str], tmp_path: Path
) -> None:
    store, key = trained
    best = max(record.epoch for record in store.trial(key).records() if "test_perplexity" in record.metrics)
    contents = archive.verify(rich)
    assert (contents.num_checkpoints, contents.trials[0].checkpoint_epoch) == (1, best)
    fresh = TrialStore.open(tmp_path / "fresh")
    report = archive.import_archive(fresh, rich, with_checkpoints=True)
    assert report.imported == report.checkpoints == (key,)
    (here,) = fresh.trial(key).checkpoints()
    (there,) = [ref for ref in store.trial(key).checkpoints() if ref.epoch == best]
    assert here.epoch == best
    assert fresh.trial(key).load(here) == store.trial(key).load(there)
    assert [record.science() for record in fresh.trial(key).records()] == [
        record.science() for record in store.trial(key).records()
    ]
    assert TrialStore.verify(fresh.place).damaged == {}


def test_checkpoints_stay_in_the_archive_unless_they_are_asked_for(rich: Path, tmp_path: Path) -> None:
    fresh = TrialStore.open(tmp_path / "fresh")
    (key,) = archive.import_archive(fresh, rich).imported
    assert fresh.trial(key).checkpoints() == []
    report = archive.import_archive(fresh, rich, with_checkpoints=True)
    assert (report.imported, report.skipped, report.checkpoints) == ((), (key,), (key,))
    assert len(fresh.trial(key).checkpoints()) == 1
    assert archive.import_archive(fresh, rich, with_checkpoints=True).checkpoints == ()


def test_pictures_are_written_where_one_asks(rich: Path, tmp_path: Path) -> None:
    for _ in range(2):
        written = archive.extract_pictures(rich, tmp_path / "pictures")
        assert [path.name for path in written] == ["quick-perplexity.png", "quick.txt"]
        assert (tmp_path / "pictures" / "quick.txt").read_bytes() == b"a table\n"
    (tmp_path / "pictures" / "quick.txt").write_bytes(b"mine")
    with pytest.raises(InputError, match=r"quick\.txt: is there already"):
        archive.extract_pictures(rich, tmp_path / "pictures")
    assert (tmp_path / "pictures" / "quick.txt").read_bytes() == b"mine"


def test_an_archive_without_pictures_says_so(exported: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no pictures; `selfish export"):
        archive.extract_pictures(exported, tmp_path / "pictures")
    assert not (tmp_path / "pictures").exists()


@pytest.mark.parametrize("name", ["../x.png", "x.html", "a/b.png", ".x.png", "x.png\n", "x.exe"])
def test_pictures_have_harmless_names(name: str, full: TrialStore, rich: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"must end with \.png"):
        archive.export(full, tmp_path / "x.zip", full.keys(), extras=archive.Extras(pictures={name: b"x"}))
    path = repacked(rich, lambda members: members.update({f"pictures/{name}": b"x"}))
    with pytest.raises(CorruptFileError, match="which no export holds"):
        archive.extract_pictures(path, tmp_path / "pictures")


def pop(members: dict[str, bytes], ending: str) -> None:
    members.pop(next(name for name in members if name.endswith(ending)))


@pytest.mark.parametrize(
    "change",
    [
        lambda members: pop(members, "state.json"),
        lambda members: pop(members, "tensors.safetensors"),
        lambda members: pop(members, "records.json"),
        lambda members: changed_json(members, "state.json", lambda body: body.update(key="0" * 32)),
        lambda members: members.update({f"artifacts/{'0' * 32}/epoch-00001/{leaf}": b"{}" for leaf in
                                        ("state.json", "tensors.safetensors")}),
        lambda members: members.update({name.replace("epoch-0000", "epoch-0009"): data
                                        for name, data in list(members.items()) if name.startswith("artifacts/")}),
    ],
)  # fmt: skip
def test_a_checkpoint_that_is_not_whole_or_not_the_trials_is_refused(change: Any, rich: Path, tmp_path: Path) -> None:
    path = repacked(rich, change)
    fresh = TrialStore.open(tmp_path / "fresh")
    with pytest.raises(CorruptFileError) as caught:
        archive.import_archive(fresh, path, with_checkpoints=True)
    assert "\n" not in str(caught.value)
    assert fresh.keys() == []
    assert archive_check.check(path).damaged


def test_decisions_of_a_search_travel_without_those_of_machines(full: TrialStore, tmp_path: Path) -> None:
    asked = {"number": 0, "point": {"seed": 1}, "trials": full.keys()[:1]}
    full.sweep("quick").decide("started", {"host": "secret", "pid": 1})
    full.sweep("quick").decide("asked", asked)
    full.sweep("quick").decide("told", {"number": 0, "value": 3.5})
    path = tmp_path / "search.zip"
    archive.export(full, path, full.keys(), ["quick"], archive.Extras(has_decisions=True))
    fresh = TrialStore.open(tmp_path / "fresh")
    for _ in range(2):
        archive.import_archive(fresh, path)
        told = [(one.kind, one.body) for one in fresh.sweep("quick").decisions()]
        assert told == [("asked", asked), ("told", {"number": 0, "value": 3.5})]
    assert b"secret" not in b"".join(members_in(path).values())


# Every damage is named


def damage(path: Path, at: int) -> Path:
    data = path.read_bytes()
    damaged = path.with_name("damaged.zip")
    damaged.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    return damaged


@pytest.mark.parametrize(
    "start",
    ["MANIFEST.json", "frame.parquet", "trials/", "artifacts/", "pictures/"],
)
def test_a_flipped_bit_in_each_kind_of_member_is_named(start: str, rich: Path) -> None:
    assert archive_check.check(rich).damaged == {}
    with zipfile.ZipFile(rich) as opened:
        info = next(info for info in opened.infolist() if info.filename.startswith(start))
    found = archive_check.check(damage(rich, info.header_offset + 30 + len(info.filename) + info.compress_size // 2))
    assert list(found.damaged) == [info.filename]
    assert found.num_sound > 0


def test_damage_does_not_end_the_look(exported: Path) -> None:
    with zipfile.ZipFile(exported) as opened:
        infos = [info for info in opened.infolist() if info.filename.endswith("records.json")]
    data = bytearray(exported.read_bytes())
    for info in infos:
        data[info.header_offset + 30 + len(info.filename) + 5] ^= 1
    exported.write_bytes(bytes(data))
    assert set(archive_check.check(exported).damaged) == {info.filename for info in infos}


def test_what_is_missing_or_strange_or_cut_is_named(exported: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(exported, "a") as opened:
        opened.writestr("notes.txt", b"x")
    assert archive_check.check(exported).damaged["notes.txt"] == "is none that an export holds"
    cut = tmp_path / "cut.zip"
    cut.write_bytes(exported.read_bytes()[:-2000])
    assert "is no zip that can be read" in archive_check.check(cut).damaged["cut.zip"]


@pytest.mark.parametrize("name", ["sweeps/x/spec-0001.yaml", "artifacts/x", "trials/", "sweeps/x/decisions.json/y"])
def test_what_the_manifest_alone_has_is_missing_whatever_its_name(name: str, exported: Path) -> None:
    lacking = with_manifest(exported, lambda manifest: manifest["members"].update({name: {}}))
    assert archive_check.check(lacking).damaged == {name: "is missing"}


def test_every_damaged_byte_is_found(exported: Path) -> None:
    data = exported.read_bytes()
    dice = random.Random(7)
    for at in [*range(40), *range(len(data) - 200, len(data)), *dice.sample(range(len(data)), 100)]:
        assert archive_check.check(damage(exported, at)).damaged
