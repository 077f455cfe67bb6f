"""Verifying a trial store: damage of every kind of file is named, nothing else is, and nothing is written."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from selfish_core.config import TrialConfig
from selfish_core.errors import InputError, NoStoreError
from selfish_core.files import LocalStorage
from selfish_core.object_storage import ObjectStorage
from selfish_core.records import Provenance, Record, Timing
from selfish_core.store.inventory import WORDS, classify, unit
from selfish_core.store.stalls import Stall
from selfish_core.trial_store import CheckpointRef, StoredTrial, TrialStore


def record(trial: StoredTrial, attempt: int, epoch: int, **changed: Any) -> Record:
    return Record(
        key=trial.key,
        attempt=attempt,
        epoch=epoch,
        outcome="trained",
        metrics={"val_loss_nats": 1.0},
        provenance=Provenance(code_version="c", fingerprint={"torch": "2"}),
        timing=Timing(started_ms=1, finished_ms=2, tokens_per_second=3.0),
        **changed,
    )


def record_epochs(trial: StoredTrial, resumes: CheckpointRef | None, *epochs: int) -> None:
    attempt = trial.claim(resumes, "test")
    for epoch in epochs:
        attempt.write_checkpoint(epoch, b"tensors" * epoch, {"epoch": epoch})
        attempt.write_record(record(trial, attempt.number, epoch))


def put(store: TrialStore, config: TrialConfig) -> StoredTrial:
    return store.put(config.to_dict(), config.key())


def fill_with_everything(place: Path, config: TrialConfig, other: TrialConfig) -> str:
    """Make a trial store with at least one file of each kind; return the key of its first trial."""
    store = TrialStore.open(place)
    trial = put(store, config)
    record_epochs(trial, None, 1, 2)
    record_epochs(trial, CheckpointRef(1, 2), 3)
    trial.stalls.add(Stall(worker="w", timeout_seconds=1.0, stacks=""))
    sealed = put(store, other)
    attempt = sealed.claim(None, "sealed")
    for epoch in (1, 2):
        attempt.write_record(record(sealed, 1, epoch, is_provisional=True))
    attempt.seal()
    sweep = store.sweep("quick")
    for text in (b"name: quick\n", b"name: quick\nepochs: 3\n"):
        sweep.save_spec(text)
    for _ in range(3):
        sweep.decide("told", {})
        sweep.request("stop")
    with sweep.owned():
        pass
    sweep.change_holds("hold", [trial.key])
    store.hold("quick", [trial.key, sealed.key])
    return trial.key


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory, tiny_trial: Any) -> tuple[Path, str]:
    place = tmp_path_factory.mktemp("template") / "store"
    return place, fill_with_everything(place, tiny_trial("set"), tiny_trial("set", seed=2))


@pytest.fixture
def place(template: tuple[Path, str], tmp_path: Path) -> Path:
    return Path(shutil.copytree(template[0], tmp_path / "store"))


def everything(place: Path) -> dict[str, bytes]:
    return {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*") if path.is_file()}


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def test_a_sound_store_has_no_damage_and_every_file_is_counted(place: Path) -> None:
    before = everything(place)
    seen: list[tuple[int, int]] = []
    found = TrialStore.verify(place, lambda done, total: seen.append((done, total)))
    assert (found.damaged, found.leftovers, found.notes) == ({}, {}, {})
    assert set(found.counts) == set(WORDS.values()) - {WORDS["lease"]}
    assert found.num_sound == sum(not name.endswith(".lock") for name in before)
    assert seen[-1] == (len(before), len(before))
    assert everything(place) == before


@pytest.mark.parametrize("spoil", [flip, cut, empty])
def test_a_damaged_file_of_each_kind_is_named_alone(place: Path, spoil: Callable[[Path], None]) -> None:
    kinds = {classify(name).kind: name for name in everything(place)}
    for kind, name in kinds.items():
        if kind not in WORDS:
            continue
        whole = (place / name).read_bytes()
        spoil(place / name)
        found = TrialStore.verify(place)
        assert list(found.damaged) == [name], kind
        assert "\n" not in found.damaged[name]
        assert str(place) not in found.damaged[name]
        (place / name).write_bytes(whole)
    assert TrialStore.verify(place).damaged == {}


def test_damage_of_all_files_is_named_at_once(place: Path) -> None:
    names = {name for name in everything(place) if classify(name).kind in WORDS}
    for name in names:
        flip(place / name)
    found = TrialStore.verify(place)
    unknowable = {name for name in names if classify(name).kind in ("tensors", "spec")}  # their checksum is damaged too
    assert set(found.damaged) == names - unknowable


@pytest.mark.parametrize("kind", sorted(set(WORDS) - {"lease", "manifest", "stall", "owner", "hold", "commit"}))
def test_a_missing_file_that_others_speak_of_is_named(place: Path, kind: str) -> None:
    name = min(name for name in everything(place) if classify(name).kind == kind)
    (place / name).unlink()
    if kind == "sealed":  # its records are gone, and nothing else speaks of them
        assert TrialStore.verify(place).damaged == {}
    else:
        assert TrialStore.verify(place).damaged.keys() == {name}


def test_an_attempt_that_another_goes_on_from_is_missed(place: Path, template: tuple[Path, str]) -> None:
    trial = place / "trials" / template[1]
    shutil.rmtree(trial / "attempts" / "1")
    names = [f"trials/{template[1]}/attempts/1/records/epoch-0000{epoch}.json" for epoch in (1, 2)]
    found = TrialStore.verify(place).damaged
    assert list(found) == names
    assert found[names[0]] == "is missing, though attempt 2 goes on from it"


def test_what_an_interrupted_write_leaves_is_no_damage(place: Path, template: tuple[Path, str]) -> None:
    attempt = place / "trials" / template[1] / "attempts" / "2"
    (attempt / "records" / ".tmp-ab-1-cd").write_bytes(b"half")
    unfinished = attempt / "checkpoints" / "epoch-00004"
    unfinished.mkdir()
    (unfinished / "tensors.safetensors").write_bytes(b"half")
    (attempt / "records" / "epoch-00003.json").unlink()
    (place / "sweeps" / "quick" / "spec-0003.yaml").write_bytes(b"half")
    found = TrialStore.verify(place)
    assert found.damaged == {}
    assert [name.rpartition("/")[2] for name in found.leftovers] == [
        "spec-0003.yaml", "epoch-00003", "tensors.safetensors", ".tmp-ab-1-cd",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["notes.txt", "trials/x y", "trials/ab/epoch-00001.json", "sweeps/quick/a b", "a..b"])
def test_an_extra_file_is_noted_and_is_no_damage(place: Path, name: str) -> None:
    (place / name).parent.mkdir(exist_ok=True)
    (place / name).write_bytes(b"mine")
    found = TrialStore.verify(place)
    assert (found.damaged, found.notes) == ({}, {name: "is no file of a trial store"})


def test_a_config_under_another_key_is_damage(place: Path, tiny_trial: Any) -> None:
    config = tiny_trial("set", seed=9)
    TrialStore.open(place).put(config.to_dict(), "0" * 32)
    assert TrialStore.verify(place).damaged == {
        f"trials/{'0' * 32}/trial.json": f"its config has another key, {config.key()}"
    }


def test_a_config_of_a_newer_version_is_noted(place: Path, tiny_trial: Any) -> None:
    config = tiny_trial("set", seed=9).to_dict()
    TrialStore.open(place).put({**config, "surprise": 1}, "0" * 32)
    found = TrialStore.verify(place)
    assert found.damaged == {}
    assert found.notes[f"trials/{'0' * 32}/trial.json"].startswith("is sound; this version cannot check its key: surp")


def test_a_file_of_another_trial_is_damage(place: Path, template: tuple[Path, str]) -> None:
    first = f"trials/{template[1]}/attempts/1/records/epoch-00001.json"
    second = f"trials/{template[1]}/attempts/1/records/epoch-00002.json"
    shutil.copy(place / first, place / second)
    assert "does not belong there" in TrialStore.verify(place).damaged[second]


@pytest.mark.parametrize("name", ["trials/{key}", "trials/{key}/attempts", "trials/{key}/attempts/1/records", "sweeps"])
def test_a_link_or_file_in_the_place_of_a_folder_is_damage(
    name: str, place: Path, template: tuple[Path, str], tmp_path: Path
) -> None:
    folder = place / name.format(key=template[1])
    shutil.move(folder, tmp_path / "elsewhere")
    folder.symlink_to(tmp_path / "elsewhere")
    assert "is no folder that can be read" in TrialStore.verify(place).damaged[name.format(key=template[1])]
    folder.unlink()
    folder.write_bytes(b"")
    assert "is no folder that can be read" in TrialStore.verify(place).damaged[name.format(key=template[1])]


def test_a_link_in_the_place_of_a_file_is_not_followed(place: Path, template: tuple[Path, str], tmp_path: Path) -> None:
    name = f"trials/{template[1]}/trial.json"
    shutil.move(place / name, tmp_path / "elsewhere")
    (place / name).symlink_to(tmp_path / "elsewhere")
    assert "symbolic link" in TrialStore.verify(place).damaged[name]


def test_what_a_live_sweep_seals_meanwhile_is_no_damage(
    place: Path, template: tuple[Path, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = LocalStorage(place).everything("")
    store = TrialStore.open(place)
    attempt = store.trial(template[1]).claim(CheckpointRef(2, 3), "goes on")
    listed: Any = LocalStorage.everything
    calls = iter([names])
    monkeypatch.setattr(LocalStorage, "everything", lambda self, prefix: next(calls, None) or listed(self, prefix))
    shutil.rmtree(place / "trials" / template[1] / "attempts" / "1" / "checkpoints")
    attempt.seal()
    assert TrialStore.verify(place).damaged == {}


def test_places_that_are_no_trial_store(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"x")
    (tmp_path / "empty").mkdir()
    for name in ("photos", "empty", "nowhere"):
        with pytest.raises(NoStoreError):
            TrialStore.verify(tmp_path / name)
    assert not (tmp_path / "nowhere").exists()
    with pytest.raises(InputError):
        TrialStore.verify("ftp://x/y")


def test_a_store_on_s3_is_verified_alike(s3_url: str, tiny_trial: Any) -> None:
    store = TrialStore.open(s3_url)
    trial = put(store, tiny_trial("set"))
    record_epochs(trial, None, 1)
    store.sweep("quick").save_spec(b"name: quick\n")
    with store.sweep("quick").owned():
        found = TrialStore.verify(s3_url)
    assert (found.damaged, found.notes) == ({}, {})
    assert found.counts["lease"] >= 1
    storage = ObjectStorage.at(s3_url)
    name = f"trials/{trial.key}/attempts/1/records/epoch-00001.json"
    data = storage.read(name)
    storage.delete(name)
    storage.create(name, data[:-9] + b"x" + data[-8:])
    assert list(TrialStore.verify(s3_url).damaged) == [name]


def test_files_are_grouped_by_what_depends_on_one_another() -> None:
    names = ["trials/a/trial.json", "trials/a/attempts/1/attempt.json", "sweeps/q/owner.json", "sweeps/x", "store.json"]
    assert [unit(name) for name in names] == ["trials/a", "trials/a", "sweeps/q", "", ""]
