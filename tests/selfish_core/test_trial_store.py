"""The trial store: chains of attempts, fencing, checkpoints that are committed last, sweeps and their owners."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from selfish_core.errors import (
    CorruptFileError,
    FencedError,
    InputError,
    OwnedElsewhereError,
    StorageFullError,
    StoreError,
)
from selfish_core.files import LocalStorage, SystemCalls, encode_json
from selfish_core.records import Provenance, Record, Timing
from selfish_core.store.reading import Glance
from selfish_core.trial_store import Attempt, CheckpointRef, StoredTrial, TrialStore

KEY = "0123456789abcdef"


class Unsynced(SystemCalls):
    """Does everything but wait for the disk."""

    def sync(self, descriptor: int) -> None:
        pass


@pytest.fixture
def store(tmp_path: Path) -> TrialStore:
    return TrialStore.open_in(LocalStorage(tmp_path / "store", Unsynced()))


@pytest.fixture
def trial(store: TrialStore) -> StoredTrial:
    return store.put({"seed": 1}, KEY)


def make_record(attempt: int, epoch: int, value: float = 1.0, **changes: Any) -> Record:
    fields: dict[str, Any] = {
        "key": KEY,
        "attempt": attempt,
        "epoch": epoch,
        "outcome": "trained",
        "metrics": {"val_loss_nats": value},
        "provenance": Provenance(code_version="c", fingerprint={"torch": "2"}),
        "timing": Timing(started_ms=1, finished_ms=2, tokens_per_second=3.0),
    }
    return Record(**(fields | changes))


def train(attempt: Attempt, epochs: range, value: float = 1.0) -> list[CheckpointRef]:
    refs = []
    for epoch in epochs:
        refs.append(attempt.write_checkpoint(epoch, b"t%d" % epoch, {"epoch": epoch}))
        attempt.write_record(make_record(attempt.number, epoch, value))
    return refs


def seen(trial: StoredTrial) -> list[tuple[int, int]]:
    return [(record.attempt, record.epoch) for record in trial.records()]


def folder(store: TrialStore, *parts: str) -> Path:
    return Path(store.place).joinpath("trials", KEY, *parts)


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


# Opening


def test_opening_again_keeps_the_id(tmp_path: Path) -> None:
    first = TrialStore.open(tmp_path / "a" / "store")
    again = TrialStore.open(tmp_path / "a" / "store")
    other = TrialStore.open(tmp_path / "b")
    assert first.store_id == again.store_id != other.store_id
    assert first.place == str(tmp_path / "a" / "store")
    assert (first.keys(), first.sweep_names(), first.problems()) == ([], [], [])


def test_unknown_format_is_refused(store: TrialStore) -> None:
    (Path(store.place) / "store.json").write_bytes(encode_json({"format": 2, "store_id": "x"}))
    with pytest.raises(StoreError, match="has format 2; this version of Selfish reads format 1"):
        TrialStore.open(store.place)


def test_damaged_store_file_is_refused(store: TrialStore) -> None:
    damage(Path(store.place) / "store.json")
    with pytest.raises(CorruptFileError, match=r"store\.json"):
        TrialStore.open(store.place)


def test_a_folder_of_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_bytes(b"")
    with pytest.raises(StoreError, match=r"is no trial store: it has no store\.json but holds thesis\.tex"):
        TrialStore.open(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_store_that_lost_its_store_file_is_refused(store: TrialStore, trial: StoredTrial) -> None:
    (Path(store.place) / "store.json").unlink()
    with pytest.raises(StoreError, match="holds trials"):
        TrialStore.open(store.place)


def test_the_store_is_torch_free() -> None:
    code = (
        "import sys, selfish_core.trial_store; print({'torch', 'ray', 'mlflow', 'pandas', 'numpy'} & set(sys.modules))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "set()"


# Trials


def test_put_is_idempotent(store: TrialStore) -> None:
    assert not store.trial(KEY).exists()
    store.put({"seed": 1, "nested": {"a": [1, 2.5]}}, KEY)
    before = folder(store, "trial.json").stat().st_mtime_ns
    trial = store.put({"seed": 1, "nested": {"a": [1, 2.5]}, "new_field": None}, KEY)
    assert trial.config() == {"seed": 1, "nested": {"a": [1, 2.5]}}
    assert folder(store, "trial.json").stat().st_mtime_ns == before
    assert store.keys() == [KEY]


def test_put_replaces_a_damaged_config(store: TrialStore, trial: StoredTrial) -> None:
    damage(folder(store, "trial.json"))
    with pytest.raises(CorruptFileError):
        trial.config()
    store.put({"seed": 1}, KEY)
    assert trial.config() == {"seed": 1}
    assert trial.problems() == []


def test_config_of_another_trial_is_refused(store: TrialStore, trial: StoredTrial) -> None:
    shutil.copytree(folder(store), Path(store.place) / "trials" / "other")
    with pytest.raises(CorruptFileError, match=f"belongs to trial '{KEY}'"):
        store.trial("other").config()


@pytest.mark.parametrize("name", ["..", "../x", "a/b", "", "a\x00", ".x", "x" * 129])
def test_bad_keys_and_sweep_names_are_refused(store: TrialStore, name: str) -> None:
    for call in (store.trial, store.sweep, lambda key: store.put({}, key)):
        with pytest.raises(InputError):
            call(name)


def test_strangers_in_the_folder_are_passed_over(store: TrialStore, trial: StoredTrial, tmp_path: Path) -> None:
    train(trial.claim(None, "first"), range(1, 3))
    (Path(store.place) / "trials" / ".DS_Store").write_bytes(b"")
    (Path(store.place) / "trials" / "notes.txt").write_bytes(b"")
    (Path(store.place) / "trials" / "empty").mkdir()
    (Path(store.place) / "trials" / "link").symlink_to(tmp_path)
    folder(store, "attempts", "seven").mkdir()
    folder(store, "attempts", "01").mkdir()
    folder(store, "attempts", "1", "records", "epoch-1.json").write_bytes(b"")
    folder(store, "attempts", "1", "records", "epoch-00000.json").write_bytes(b"")
    folder(store, "attempts", "1", "checkpoints", "epoch-00003.bak").mkdir()
    assert store.keys() == [KEY]
    assert seen(trial) == [(1, 1), (1, 2)]
    assert store.problems() == [
        f"{Path(store.place)}/trials/{name}/trial.json: is missing" for name in ("empty", "notes.txt")
    ]


# Attempts and chains


def test_a_trial_without_attempts(trial: StoredTrial) -> None:
    assert trial.records() == trial.attempts() == trial.checkpoints() == trial.problems() == []
    assert trial.answered_epochs() == 0
    assert not trial.is_diverged()
    assert trial.superseded(1) is None


def test_records_come_back_as_they_were_written(trial: StoredTrial) -> None:
    attempt = trial.claim(None, "first")
    record = make_record(1, 1, float("inf"), is_provisional=True, events=("one", "two"))
    attempt.write_record(record)
    assert trial.records() == [record]


def test_header_says_who_and_why(trial: StoredTrial) -> None:
    train(trial.claim(None, "first"), range(1, 3))
    trial.claim(trial.checkpoints()[1], "again")
    first, second = trial.attempts()
    assert (first.attempt, first.goes_on_from, first.reason, first.pid) == (1, None, "first", os.getpid())
    assert (second.attempt, second.goes_on_from, second.reason) == (2, CheckpointRef(1, 1), "again")


def test_chain_reads_each_epoch_from_the_attempt_that_provides_it(trial: StoredTrial) -> None:
    train(trial.claim(None, "1"), range(1, 6), value=1.0)
    train(trial.claim(CheckpointRef(1, 3), "2"), range(4, 8), value=2.0)
    train(trial.claim(CheckpointRef(2, 5), "3"), range(6, 7), value=3.0)
    assert seen(trial) == [(1, 1), (1, 2), (1, 3), (2, 4), (2, 5), (3, 6)]
    assert trial.answered_epochs() == 6
    assert [(ref.attempt, ref.epoch) for ref in trial.checkpoints()] == [(3, 6), (2, 5), (2, 4), (1, 3), (1, 2), (1, 1)]
    trial.claim(CheckpointRef(1, 2), "4")
    assert seen(trial) == [(1, 1), (1, 2)]
    trial.claim(None, "anew")
    assert seen(trial) == []


def test_a_glance_sees_how_far_the_chain_goes(store: TrialStore, trial: StoredTrial) -> None:
    def agrees() -> bool:
        seen, records = trial.glance(), trial.records()
        return seen.num_epochs == len(records) and seen.last in (None, *records[-1:])

    assert agrees()
    first = trial.claim(None, "1")
    assert agrees()
    train(first, range(1, 6))
    assert trial.glance() == Glance(5, trial.records()[-1])
    first.seal()
    assert agrees()
    folder(store, "attempts", "2").mkdir()
    assert agrees()
    second = trial.claim(CheckpointRef(1, 3), "goes on")
    assert trial.glance() == Glance(3)
    assert agrees()
    second.write_record(make_record(second.number, 4, is_provisional=True, outcome="diverged"))
    assert trial.glance() == Glance(4, trial.records()[-1])
    assert agrees()
    second.seal()
    assert trial.glance() == Glance(4, trial.records()[-1])
    trial.claim(None, "anew")
    assert trial.glance() == Glance()
    assert agrees()


def test_chain_does_not_need_the_headers_of_older_attempts(store: TrialStore, trial: StoredTrial) -> None:
    train(trial.claim(None, "1"), range(1, 3))
    train(trial.claim(CheckpointRef(1, 2), "2"), range(3, 5))
    train(trial.claim(CheckpointRef(2, 4), "3"), range(5, 6))
    damage(folder(store, "attempts", "2", "attempt.json"))
    assert seen(trial) == [(1, 1), (1, 2), (2, 3), (2, 4), (3, 5)]
    assert len(trial.problems()) == 1


def test_superseded_is_the_newest_record_that_the_chain_left_behind(trial: StoredTrial) -> None:
    train(trial.claim(None, "1"), range(1, 5), value=1.0)
    train(trial.claim(CheckpointRef(1, 2), "2"), range(3, 5), value=2.0)
    assert trial.superseded(2) is None
    assert trial.superseded(3) == make_record(1, 3, 1.0)
    trial.claim(CheckpointRef(2, 3), "3")
    assert trial.superseded(3) == make_record(1, 3, 1.0)
    assert trial.superseded(4) == make_record(2, 4, 2.0)
    assert trial.superseded(5) is None


def test_claim_without_a_config_is_refused(store: TrialStore) -> None:
    with pytest.raises(StoreError, match="its config is not stored"):
        store.trial(KEY).claim(None, "x")
    assert store.keys() == []


@pytest.mark.parametrize("ref", [CheckpointRef(1, 3), CheckpointRef(2, 2), CheckpointRef(1, 0), CheckpointRef(9, 9)])
def test_going_on_from_what_is_not_on_the_chain_is_refused(trial: StoredTrial, ref: CheckpointRef) -> None:
    train(trial.claim(None, "1"), range(1, 5))
    train(trial.claim(CheckpointRef(1, 2), "2"), range(3, 4))
    with pytest.raises(StoreError, match="not on the trial's chain"):
        trial.claim(ref, "x")
    assert len(trial.attempts()) == 2


def test_a_checkpoint_without_its_record_is_not_offered(trial: StoredTrial) -> None:
    attempt = trial.claim(None, "1")
    train(attempt, range(1, 2))
    attempt.write_checkpoint(2, b"t", {})
    assert trial.checkpoints() == [CheckpointRef(1, 1)]
    assert len(trial.problems()) == 1


def test_an_empty_attempt_folder_blocks_nobody(store: TrialStore, trial: StoredTrial) -> None:
    train(trial.claim(None, "1"), range(1, 3))
    folder(store, "attempts", "2").mkdir()
    folder(store, "attempts", "5").mkdir()
    assert seen(trial) == [(1, 1), (1, 2)]
    assert trial.problems() == []
    assert trial.claim(CheckpointRef(1, 2), "2").number == 2


def test_a_damaged_newest_header_is_passed_over(store: TrialStore, trial: StoredTrial) -> None:
    train(trial.claim(None, "1"), range(1, 4))
    train(trial.claim(CheckpointRef(1, 2), "2"), range(3, 6))
    damage(folder(store, "attempts", "2", "attempt.json"))
    assert seen(trial) == [(1, 1), (1, 2), (1, 3)]
    assert any("attempts/2/attempt.json" in line for line in trial.problems())
    attempt = trial.claim(trial.checkpoints()[0], "3")
    assert attempt.number == 3
    train(attempt, range(4, 5))
    assert trial.answered_epochs() == 4


@pytest.mark.parametrize("chain", [[(2, 2)], [(1, 2), (1, 3)], [(1, 3), (2, 2)], [(1, 0)], [(0, 1)]])
def test_headers_whose_chain_makes_no_sense_are_passed_over(
    store: TrialStore, trial: StoredTrial, chain: list[tuple[int, int]]
) -> None:
    train(trial.claim(None, "1"), range(1, 4))
    links = [{"attempt": attempt, "epoch": epoch} for attempt, epoch in chain]
    body = {"format": 1, "key": KEY, "attempt": 2, "chain": links, "host": "h", "pid": 1, "reason": ""}
    folder(store, "attempts", "2").mkdir()
    folder(store, "attempts", "2", "attempt.json").write_bytes(encode_json(body))
    assert seen(trial) == [(1, 1), (1, 2), (1, 3)]


# Damage


def test_a_damaged_record_ends_the_chain_there_and_the_trial_goes_on(store: TrialStore, trial: StoredTrial) -> None:
    train(trial.claim(None, "1"), range(1, 6))
    damage(folder(store, "attempts", "1", "records", "epoch-00004.json"))
    assert trial.answered_epochs() == 3
    assert trial.checkpoints()[0] == CheckpointRef(1, 3)
    assert [line for line in trial.problems() if "epoch-00004.json: its checksum does not fit" in line]
    train(trial.claim(CheckpointRef(1, 3), "2"), range(4, 6))
    assert seen(trial) == [(1, 1), (1, 2), (1, 3), (2, 4), (2, 5)]


@pytest.mark.parametrize("name", ["epoch-00001.json", "epoch-00004.json"])
def test_a_record_at_another_place_is_refused(store: TrialStore, trial: StoredTrial, name: str) -> None:
    train(trial.claim(None, "1"), range(1, 4))
    records = folder(store, "attempts", "1", "records")
    shutil.copy(records / "epoch-00002.json", records / name)
    assert trial.answered_epochs() == int(name[6:11]) - 1
    assert any("does not belong there" in line for line in trial.problems())


@pytest.mark.parametrize("leaf", ["tensors.safetensors", "state.json", "manifest.json"])
@pytest.mark.parametrize("fault", ["damage", "cut", "grow", "remove", "link"])
def test_a_damaged_checkpoint_is_refused(store: TrialStore, trial: StoredTrial, leaf: str, fault: str) -> None:
    ref = train(trial.claim(None, "1"), range(1, 2))[0]
    assert trial.load(ref) == (b"t1", {"epoch": 1})
    path = folder(store, "attempts", "1", "checkpoints", "epoch-00001", leaf)
    data = path.read_bytes()
    path.unlink()
    if fault == "link":
        (Path(store.place) / "elsewhere").write_bytes(data)
        path.symlink_to(Path(store.place) / "elsewhere")
    elif fault != "remove":
        changed = {"damage": bytes([data[0] ^ 1]) + data[1:], "cut": data[:-1], "grow": data + b"\0"}[fault]
        path.write_bytes(changed)
    with pytest.raises(CorruptFileError, match=rf"epoch-00001/{leaf}: "):
        trial.load(ref)
    assert len(trial.problems()) == 1


def test_a_checkpoint_of_another_epoch_is_refused(store: TrialStore, trial: StoredTrial) -> None:
    refs = train(trial.claim(None, "1"), range(1, 3))
    checkpoints = folder(store, "attempts", "1", "checkpoints")
    shutil.rmtree(checkpoints / "epoch-00001")
    shutil.copytree(checkpoints / "epoch-00002", checkpoints / "epoch-00001")
    with pytest.raises(CorruptFileError, match="is not the manifest of"):
        trial.load(refs[0])


def test_a_manifest_that_names_other_files_is_refused(store: TrialStore, trial: StoredTrial) -> None:
    ref = train(trial.claim(None, "1"), range(1, 2))[0]
    path = folder(store, "attempts", "1", "checkpoints", "epoch-00001", "manifest.json")
    body = json.loads(path.read_bytes())["body"]
    body["files"]["../../../../../store.json"] = body["files"].pop("state.json")
    path.write_bytes(encode_json(body))
    with pytest.raises(CorruptFileError):
        trial.load(ref)


def test_an_absent_checkpoint_is_refused(trial: StoredTrial) -> None:
    with pytest.raises(CorruptFileError, match="is missing"):
        trial.load(CheckpointRef(3, 7))


def test_removing_any_one_file_shows(store: TrialStore, trial: StoredTrial) -> None:
    train(trial.claim(None, "1"), range(1, 4))
    last = trial.claim(CheckpointRef(1, 2), "2")
    train(last, range(3, 5))
    last.seal()
    store.sweep("s").save_spec(b"a: 1")
    assert store.problems() == []
    names = [path.relative_to(Path(store.place)) for path in Path(store.place).rglob("*") if path.is_file()]
    names = [name for name in names if name.name not in ("store.lock", "store.json", "spec-0001.json")]
    assert len(names) == 2 + 1 + 1 + 3 + 1 + 5 * 3
    for name in names:
        copy = Path(store.place).parent / "copy"
        shutil.copytree(Path(store.place), copy)
        (copy / name).unlink()
        assert TrialStore.open(copy).problems() != [], name
        shutil.rmtree(copy)


# Writing


def test_records_come_in_turn(trial: StoredTrial) -> None:
    attempt = trial.claim(None, "1")
    attempt.write_record(make_record(1, 1, is_provisional=True))
    for wrong in (1, 3):
        with pytest.raises(StoreError, match=f"got the record of epoch {wrong}, the next is 2"):
            attempt.write_record(make_record(1, wrong, is_provisional=True))
    with pytest.raises(StoreError, match="got the record of attempt 2"):
        attempt.write_record(make_record(2, 2, is_provisional=True))
    with pytest.raises(StoreError, match="of trial other"):
        attempt.write_record(make_record(1, 2, is_provisional=True, key="other"))
    assert seen(trial) == [(1, 1)]


def test_a_record_follows_its_checkpoint_or_is_provisional(trial: StoredTrial) -> None:
    attempt = trial.claim(None, "1")
    with pytest.raises(StoreError, match="epoch 1 has no checkpoint, and its record is not provisional"):
        attempt.write_record(make_record(1, 1))
    attempt.write_record(make_record(1, 1, is_provisional=True))
    assert trial.checkpoints() == []
    assert attempt.write_checkpoint(1, b"late", {}) == CheckpointRef(1, 1)
    assert trial.checkpoints() == [CheckpointRef(1, 1)]


@pytest.mark.parametrize("epoch", [0, 2, 4])
def test_a_checkpoint_out_of_turn_is_refused(trial: StoredTrial, epoch: int) -> None:
    train(trial.claim(None, "1"), range(1, 3))
    attempt = trial.claim(CheckpointRef(1, 2), "2")
    with pytest.raises(StoreError, match="out of turn: allowed are epochs 3 to 3"):
        attempt.write_checkpoint(epoch, b"", {})


def test_the_same_checkpoint_may_be_written_again_another_not(trial: StoredTrial) -> None:
    attempt = trial.claim(None, "1")
    ref = attempt.write_checkpoint(1, b"a", {"x": 1})
    assert attempt.write_checkpoint(1, b"a", {"x": 1}) == ref
    with pytest.raises(StoreError, match="has another checkpoint already"):
        attempt.write_checkpoint(1, b"b", {"x": 1})
    assert trial._folder.load(ref) == (b"a", {"x": 1})


def test_nothing_follows_a_diverged_record(trial: StoredTrial) -> None:
    attempt = trial.claim(None, "1")
    train(attempt, range(1, 2))
    assert not trial.is_diverged()
    attempt.write_record(make_record(1, 2, outcome="diverged", is_provisional=True))
    assert trial.is_diverged()
    assert trial.answered_epochs() == 2
    with pytest.raises(StoreError, match="has ended"):
        attempt.write_record(make_record(1, 3, is_provisional=True))


def test_retain_deletes_the_others_on_all_attempts(store: TrialStore, trial: StoredTrial) -> None:
    train(trial.claim(None, "1"), range(1, 5))
    attempt = trial.claim(CheckpointRef(1, 3), "2")
    train(attempt, range(4, 6))
    shutil.copytree(
        folder(store, "attempts", "1", "checkpoints", "epoch-00001"),
        folder(store, "attempts", "1", "checkpoints", "epoch-00009"),
    )
    folder(store, "attempts", "1", "checkpoints", "epoch-00009", "manifest.json").unlink()
    attempt.retain([CheckpointRef(1, 2), CheckpointRef(2, 5), CheckpointRef(7, 7)])
    assert trial.checkpoints() == [CheckpointRef(2, 5), CheckpointRef(1, 2)]
    left = sorted(path.parent.name for path in folder(store).rglob("tensors.safetensors"))
    assert left == ["epoch-00002", "epoch-00005"]
    assert trial.problems() == []


def test_retain_uncommits_before_it_deletes(tmp_path: Path, trial: StoredTrial) -> None:
    gone: list[str] = []

    class Watched(SystemCalls):
        def unlink(self, name: str, folder: int) -> None:
            gone.append(name)
            super().unlink(name, folder)

    store = TrialStore.open_in(LocalStorage(tmp_path / "store", Watched()))
    attempt = store.trial(KEY).claim(None, "1")
    train(attempt, range(1, 2))
    gone.clear()
    attempt.retain([])
    assert gone == ["manifest.json", "state.json", "tensors.safetensors"]


@pytest.mark.parametrize("is_crashed", [False, True])
def test_seal_keeps_every_record_in_one_file(store: TrialStore, trial: StoredTrial, is_crashed: bool) -> None:
    attempt = trial.claim(None, "1")
    train(attempt, range(1, 4), value=float("nan"))
    before = [record.to_json() for record in trial.records()]
    singles = folder(store, "attempts", "1", "records")
    shutil.copytree(singles, Path(store.place) / "copy")
    attempt.seal()
    assert not singles.exists()
    if is_crashed:
        shutil.copytree(Path(store.place) / "copy", singles)
        (singles / "epoch-00002.json").unlink()
    shutil.rmtree(Path(store.place) / "copy")
    assert [record.to_json() for record in trial.records()] == before
    assert trial.problems() == []
    attempt.seal()
    assert not singles.exists()
    with pytest.raises(StoreError, match="has ended"):
        attempt.write_record(make_record(1, 4, is_provisional=True))
    train(trial.claim(CheckpointRef(1, 3), "2"), range(4, 5))
    assert trial.answered_epochs() == 4


def test_seal_without_records(store: TrialStore, trial: StoredTrial) -> None:
    trial.claim(None, "1").seal()
    assert not folder(store, "attempts", "1", "records.sealed.json").exists()


def test_seal_of_damaged_records_removes_nothing(store: TrialStore, trial: StoredTrial) -> None:
    attempt = trial.claim(None, "1")
    train(attempt, range(1, 4))
    damage(folder(store, "attempts", "1", "records", "epoch-00002.json"))
    with pytest.raises(CorruptFileError):
        attempt.seal()
    assert len(list(folder(store, "attempts", "1", "records").iterdir())) == 3


def test_a_damaged_sealed_file_falls_back_to_what_singles_are_left(store: TrialStore, trial: StoredTrial) -> None:
    attempt = trial.claim(None, "1")
    train(attempt, range(1, 4))
    shutil.copytree(folder(store, "attempts", "1", "records"), Path(store.place) / "copy")
    attempt.seal()
    sealed = folder(store, "attempts", "1", "records.sealed.json")
    damage(sealed)
    assert trial.answered_epochs() == 0
    shutil.copytree(Path(store.place) / "copy", folder(store, "attempts", "1", "records"))
    assert trial.answered_epochs() == 3
    assert any(str(sealed) in line for line in trial.problems())


def test_a_full_disk_leaves_the_old_checkpoint_and_the_attempt_goes_on(tmp_path: Path, trial: StoredTrial) -> None:
    class Full(SystemCalls):
        is_full = False

        def write(self, descriptor: int, data: memoryview) -> int:
            if self.is_full:
                raise OSError(28, "No space left on device")
            return super().write(descriptor, data)

    calls = Full()
    full = TrialStore.open_in(LocalStorage(tmp_path / "store", calls)).trial(KEY)
    attempt = full.claim(None, "1")
    train(attempt, range(1, 2))
    calls.is_full = True
    for _ in range(2):
        with pytest.raises(StorageFullError, match=r"tensors\.safetensors: no space .* bytes needed, \d+ free"):
            attempt.write_checkpoint(2, b"t2", {"epoch": 2})
    assert trial.load(trial.checkpoints()[0]) == (b"t1", {"epoch": 1})
    calls.is_full = False
    train(attempt, range(2, 4))
    assert seen(trial) == [(1, 1), (1, 2), (1, 3)]
    assert trial.problems() == []


@pytest.mark.parametrize("num_writes", range(3))
def test_a_checkpoint_that_was_cut_off_may_be_written_anew(tmp_path: Path, trial: StoredTrial, num_writes: int) -> None:
    class Filling(Unsynced):
        left = 10**9

        def write(self, descriptor: int, data: memoryview) -> int:
            self.left -= 1
            if self.left < 0:
                raise OSError(28, "No space left on device")
            return super().write(descriptor, data)

    calls = Filling()
    attempt = TrialStore.open_in(LocalStorage(tmp_path / "store", calls)).trial(KEY).claim(None, "1")
    calls.left = num_writes
    with pytest.raises(StorageFullError):
        attempt.write_checkpoint(1, b"cut off", {"epoch": 0})
    calls.left = 10**9
    train(attempt, range(1, 2))
    assert trial.load(CheckpointRef(1, 1)) == (b"t1", {"epoch": 1})
    assert trial.problems() == []


@pytest.mark.parametrize("leaf", ["tensors.safetensors", "state.json"])
def test_a_checkpoint_file_of_another_size_is_not_even_read(store: TrialStore, trial: StoredTrial, leaf: str) -> None:
    ref = train(trial.claim(None, "1"), range(1, 2))[0]
    with folder(store, "attempts", "1", "checkpoints", "epoch-00001", leaf).open("ab") as file:
        file.truncate(2**42)
    with pytest.raises(CorruptFileError, match=rf"{leaf}: has {2**42} bytes, its manifest says \d+$"):
        trial.load(ref)


def test_what_dead_processes_left_is_gone_at_the_next_start(store: TrialStore, trial: StoredTrial) -> None:
    class Dying(Unsynced):
        def link(self, source: str, name: str, folder: int) -> None:
            os._exit(0)

    def die_at(act: Callable[[TrialStore], object], calls: SystemCalls) -> None:
        child = os.fork()
        if child == 0:
            act(TrialStore.open_in(LocalStorage(Path(store.place), calls)))
            os._exit(1)
        assert os.waitpid(child, 0)[1] == 0

    first = trial.claim(None, "1")
    first._folder.storage._calls = Dying()  # type: ignore[attr-defined]  # the same attempt, in a process that dies
    for act in (
        lambda dying: dying.sweep("one").save_spec(b"a: 1"),
        lambda dying: dying.sweep("one").decide("x", {}),
        lambda dying: dying.sweep("one").request("stop"),
        lambda dying: dying.trial(KEY).claim(None, "x"),
        lambda dying: dying.put({}, "other"),
        lambda _: first.write_checkpoint(1, b"", {}),
        lambda _: first.write_record(make_record(1, 1, is_provisional=True)),
    ):
        die_at(act, Dying())
    (Path(store.place) / "store.json").rename(Path(store.place) / "kept")
    shutil.move(Path(store.place) / "trials", Path(store.place).parent / "trials")
    shutil.move(Path(store.place) / "sweeps", Path(store.place).parent / "sweeps")
    (Path(store.place) / "kept").rename(Path(store.place).parent / "store.json")
    die_at(lambda _: None, Dying())
    for name in ("trials", "sweeps", "store.json"):
        shutil.move(Path(store.place).parent / name, Path(store.place) / name)
    assert len(list(Path(store.place).rglob(".tmp-*"))) == 8

    again = TrialStore.open_in(LocalStorage(Path(store.place), Unsynced()))
    with again.sweep("one").owned():
        again.put({}, "other").claim(None, "1")
        again.trial(KEY).claim(None, "2")
    assert list(Path(store.place).rglob(".*")) == []


# Fencing


def test_a_checkpoint_is_not_committed_once_a_higher_attempt_exists(tmp_path: Path, trial: StoredTrial) -> None:
    class Overtaken(Unsynced):
        is_slow = False

        def link(self, source: str, name: str, folder: int) -> None:
            super().link(source, name, folder)
            if self.is_slow and name == "state.json":
                trial.claim(None, "2")

    calls = Overtaken()
    attempt = TrialStore.open_in(LocalStorage(tmp_path / "store", calls)).trial(KEY).claim(None, "1")
    calls.is_slow = True
    with pytest.raises(FencedError):
        attempt.write_checkpoint(1, b"", {})
    assert trial._folder.committed(1) == []


def test_a_claim_that_is_overtaken_is_fenced(tmp_path: Path, trial: StoredTrial) -> None:
    class Overtaken(Unsynced):
        def link(self, source: str, name: str, folder: int) -> None:
            trial.claim(None, "wins")
            trial.claim(None, "cleans up")
            super().link(source, name, folder)

    slow = TrialStore.open_in(LocalStorage(tmp_path / "store", Overtaken())).trial(KEY)
    with pytest.raises(FencedError):
        slow.claim(None, "loses")
    assert [header.reason for header in trial.attempts()] == ["wins", "cleans up"]


def test_a_fenced_attempt_can_write_nothing(store: TrialStore, trial: StoredTrial) -> None:
    old = trial.claim(None, "1")
    refs = train(old, range(1, 3))
    new = trial.claim(refs[0], "2")
    before = sorted(folder(store).rglob("*"))
    for write in (
        lambda: old.write_checkpoint(3, b"", {}),
        lambda: old.write_record(make_record(1, 3, is_provisional=True)),
        lambda: old.retain([]),
        old.seal,
        old.check_fence,
    ):
        with pytest.raises(FencedError, match=f"attempt 1 of trial {KEY}: attempt 2 has taken over"):
            write()
    assert sorted(folder(store).rglob("*")) == before
    train(new, range(2, 3))
    new.check_fence()


def test_a_fence_holds_even_where_the_newer_header_is_damaged(store: TrialStore, trial: StoredTrial) -> None:
    old = trial.claim(None, "1")
    trial.claim(None, "2")
    damage(folder(store, "attempts", "2", "attempt.json"))
    with pytest.raises(FencedError):
        old.write_record(make_record(1, 1, is_provisional=True))


def test_of_two_claims_at_the_same_time_one_wins(tmp_path: Path, trial: StoredTrial) -> None:
    meeting = threading.Barrier(2)

    class Meeting(SystemCalls):
        def link(self, source: str, name: str, folder: int) -> None:
            meeting.wait(timeout=30)
            super().link(source, name, folder)

    outcomes: list[str] = []

    def race() -> None:
        racing = TrialStore.open_in(LocalStorage(tmp_path / "store", Meeting())).trial(KEY)
        try:
            outcomes.append(f"attempt {racing.claim(None, 'race').number}")
        except FencedError:
            outcomes.append("fenced")

    for number in range(1, 11):
        outcomes.clear()
        threads = [threading.Thread(target=race) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(outcomes) == [f"attempt {number}", "fenced"]
    assert len(trial.attempts()) == 10


def test_a_late_write_that_slips_through_the_fence_is_invisible(tmp_path: Path, trial: StoredTrial) -> None:
    class Late(SystemCalls):
        is_late = False

        def link(self, source: str, name: str, folder: int) -> None:
            super().link(source, name, folder)
            if self.is_late:
                self.is_late = False
                trial.claim(CheckpointRef(1, 1), "2")

    calls = Late()
    zombie = TrialStore.open_in(LocalStorage(tmp_path / "store", calls)).trial(KEY).claim(None, "1")
    train(zombie, range(1, 2))
    zombie.write_checkpoint(2, b"t2", {})
    calls.is_late = True
    zombie.write_record(make_record(1, 2, 9.0))
    assert seen(trial) == [(1, 1)]
    assert trial.checkpoints() == [CheckpointRef(1, 1)]
    assert trial.superseded(2) == make_record(1, 2, 9.0)


# Sweeps


def test_spec_versions(store: TrialStore) -> None:
    sweep = store.sweep("one")
    assert sweep.specs() == []
    assert [sweep.save_spec(text) for text in (b"a: 1\n", b"a: 1\n", b"a: 2\n", b"a: 1\n")] == [1, 1, 2, 3]
    assert sweep.specs() == [(1, b"a: 1\n"), (2, b"a: 2\n"), (3, b"a: 1\n")]
    assert (Path(store.place) / "sweeps" / "one" / "spec-0002.yaml").read_bytes() == b"a: 2\n"
    assert store.sweep_names() == ["one"]


@pytest.mark.parametrize("leaf", ["spec-0001.yaml", "spec-0001.json"])
def test_a_damaged_spec_is_passed_over_and_reported(store: TrialStore, leaf: str) -> None:
    sweep = store.sweep("one")
    sweep.save_spec(b"a: 1\n")
    damage(Path(store.place) / "sweeps" / "one" / leaf)
    assert sweep.specs() == []
    assert len(store.problems()) == 1
    assert sweep.save_spec(b"a: 1\n") == 2


def test_a_spec_whose_commit_is_absent_does_not_count(store: TrialStore) -> None:
    sweep = store.sweep("one")
    sweep.save_spec(b"a: 1\n")
    (Path(store.place) / "sweeps" / "one" / "spec-0001.json").unlink()
    assert sweep.specs() == []
    assert store.problems() == []
    assert sweep.save_spec(b"a: 2\n") == 2


def test_decisions_keep_their_order(store: TrialStore) -> None:
    sweep = store.sweep("one")
    assert [sweep.decide("stopped", {"key": str(n)}) for n in range(12)] == list(range(1, 13))
    assert [decision.body["key"] for decision in sweep.decisions()] == [str(n) for n in range(12)]
    assert sweep.decisions()[0].kind == "stopped"
    damage(Path(store.place) / "sweeps" / "one" / "decisions" / "000003.json")
    assert len(sweep.decisions()) == 11
    assert len(sweep.problems()) == 1


def test_one_owner_at_a_time(store: TrialStore) -> None:
    with store.sweep("one").owned():
        with store.sweep("two").owned():
            pass
        expected = rf"^sweep 'one' is owned by pid {os.getpid()} on host \S+ since \d{{4}}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"
        with pytest.raises(OwnedElsewhereError, match=expected), TrialStore.open(store.place).sweep("one").owned():
            pass
        (Path(store.place) / "sweeps" / "one" / "owner.json").write_bytes(b"garbage")
        with pytest.raises(OwnedElsewhereError, match="owned by another process"), store.sweep("one").owned():
            pass
    with pytest.raises(ZeroDivisionError), store.sweep("one").owned():
        raise ZeroDivisionError
    with store.sweep("one").owned():
        pass


def test_a_killed_owner_gives_the_sweep_free(store: TrialStore) -> None:
    ready, told = os.pipe()
    child = os.fork()
    if child == 0:
        with store.sweep("one").owned():
            os.write(told, b"x")
            signal.pause()
        os._exit(0)
    os.close(told)
    assert os.read(ready, 1) == b"x"
    os.close(ready)
    with pytest.raises(OwnedElsewhereError, match=f"owned by pid {child} "), store.sweep("one").owned():
        pass
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with store.sweep("one").owned():
        pass


def test_a_forked_child_that_unwinds_does_not_end_its_parents_ownership(store: TrialStore) -> None:
    with contextlib.ExitStack() as stack:
        stack.enter_context(store.sweep("one").owned())
        child = os.fork()
        if child == 0:
            stack.close()
            os._exit(0)
        os.waitpid(child, 0)
        with pytest.raises(OwnedElsewhereError), store.sweep("one").owned():
            pass


def test_a_store_that_cannot_be_written_can_be_read(
    tmp_path: Path, store: TrialStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr(LocalStorage, "lock", lambda *_: pytest.fail("a lock was taken"))
    assert TrialStore.open(store.place).store_id == store.store_id
