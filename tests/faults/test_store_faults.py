"""Faults against the trial store: whatever is killed, torn, full or damaged, the result is the undisturbed one.

A toy sweep of one trial is driven through the store. The oracle is the digest of an undisturbed run: the scientific
part of every record, the bytes and state of the last checkpoint, the spec and the decisions. Never "it finished".
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import random
import shutil
import signal
import stat
import sys
import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from selfish_core.errors import CorruptFileError, FencedError, OwnedElsewhereError, StorageFullError, StoreError
from selfish_core.files import LocalStorage, SystemCalls
from selfish_core.records import Provenance, Record, Timing
from selfish_core.trial_store import CheckpointRef, StoredTrial, TrialStore

KEY = "toy"
NUM_EPOCHS = 3
SPEC = b"name: toy\n"
CALLS = ("make_folder", "open_new", "write", "sync", "link", "unlink", "remove_folder", "lock")


class Unsynced(SystemCalls):
    """Does everything but wait for the disk, which only a loss of power would show."""

    def sync(self, descriptor: int) -> None:
        pass


# The toy


def toy_step(value: int) -> int:
    return (value * 6364136223846793005 + 1442695040888963407) % 2**64


def toy_tensors(value: int) -> bytes:
    return str(value).encode() * 5


def toy_record(attempt: int, epoch: int, value: int) -> Record:
    return Record(
        key=KEY,
        attempt=attempt,
        epoch=epoch,
        outcome="trained",
        metrics={"val_loss_nats": value / 2**64},
        provenance=Provenance(code_version="c", fingerprint={"torch": "2"}),
        timing=Timing(started_ms=attempt, finished_ms=os.getpid(), tokens_per_second=1.0),
    )


class Progress:
    """What the toy was told is durable."""

    def __init__(self) -> None:
        self.epochs: set[int] = set()
        self.is_spec_saved = False
        self.num_decisions = 0


def run_toy(path: Path, calls: SystemCalls, progress: Progress) -> None:
    store = TrialStore.open_in(LocalStorage(path, calls))
    sweep = store.sweep("toy")
    with sweep.owned():
        sweep.save_spec(SPEC)
        progress.is_spec_saved = True
        run_trial(store.put({"seed": 1}, KEY), progress)
        if not sweep.decisions():
            sweep.decide("told", {"key": KEY})
        progress.num_decisions = 1


def run_trial(trial: StoredTrial, progress: Progress) -> None:
    if trial.answered_epochs() >= NUM_EPOCHS:
        return
    value, resumes, kept = 1, None, []
    for ref in trial.checkpoints():
        with contextlib.suppress(CorruptFileError):
            tensors, state = trial.load(ref)
            value, resumes, kept = int(state["value"]), ref, [ref]
            assert tensors == toy_tensors(value)
            break
    attempt = trial.claim(resumes, "toy")
    progress.epochs &= set(range(resumes.epoch + 1 if resumes else 1))
    for epoch in range(resumes.epoch + 1 if resumes else 1, NUM_EPOCHS + 1):
        value = toy_step(value)
        kept.append(attempt.write_checkpoint(epoch, toy_tensors(value), {"value": str(value)}))
        record = toy_record(attempt.number, epoch, value)
        before = trial.superseded(epoch)
        assert before is None or before.science() == record.science()
        attempt.write_record(record)
        progress.epochs.add(epoch)
        attempt.retain(kept[-2:])
    attempt.seal()


def run_until_done(path: Path, calls: SystemCalls, progress: Progress, max_tries: int = 3) -> None:
    """Go on after every error that the store reports, as a supervisor would."""
    for _ in range(max_tries):
        try:
            run_toy(path, calls, progress)
        except StoreError:
            continue
        return
    raise AssertionError(f"not done after {max_tries} tries")


def digest(path: Path) -> str:
    store = TrialStore.open(path)
    trial, sweep = store.trial(KEY), store.sweep("toy")
    newest = trial.checkpoints()[0]
    content: dict[str, Any] = {
        "science": [record.science() for record in trial.records()],
        "answered": trial.answered_epochs(),
        "newest": newest.epoch,
        "tensors": trial.load(newest).tensors.decode(),
        "state": trial.load(newest).state,
        "config": trial.config(),
        "spec": sweep.specs()[-1].text.decode(),
        "decisions": [decision.body for decision in sweep.decisions()],
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def check_kept(path: Path, progress: Progress) -> None:
    """Nothing that was acknowledged is lost, and readers live with whatever is there."""
    if not path.exists():
        assert not progress.is_spec_saved
        return
    store = TrialStore.open(path)
    records = store.trial(KEY).records()
    assert [record.epoch for record in records] == list(range(1, len(records) + 1))
    assert len(records) >= max(progress.epochs, default=0)
    for ref in store.trial(KEY).checkpoints():
        store.trial(KEY).load(ref)
    assert not progress.is_spec_saved or store.sweep("toy").specs()[-1].text == SPEC
    assert len(store.sweep("toy").decisions()) >= progress.num_decisions
    store.problems()


def asides(path: Path) -> list[Path]:
    return [found for found in path.rglob("*") if found.name.startswith(".")]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("undisturbed") / "store"
    run_toy(path, SystemCalls(), Progress())
    store = TrialStore.open(path)
    assert store.problems() == []
    assert len(store.trial(KEY).attempts()) == 1
    assert asides(path) == []
    return digest(path)


# One fault at each call that changes the disk


class Killed(BaseException):
    """The process is gone: nothing of it runs any more but the end of this test's frames."""


class OneFault(Unsynced):
    """Counts the calls and makes one of them fail.

    Args:
        at: which call, from 0; none for a negative number.
        mode: `kill` before the call; `torn`: kill in the middle of it, or after it where it has none;
            `enospc`, `eio`: the call fails, a write in the middle, and the process lives on.
    """

    def __init__(self, at: int = -1, mode: str = "kill") -> None:
        self.names: list[str] = []
        self._at = at
        self._mode = mode
        self._is_dead = False

    def write(self, descriptor: int, data: memoryview) -> int:
        is_hit = len(self.names) == self._at
        half = data[: len(data) // 2]
        if is_hit and self._mode != "kill":
            super().write(descriptor, half)
        return self._call("write", lambda: SystemCalls.write(self, descriptor, data))

    def _call(self, name: str, act: Callable[[], Any]) -> Any:
        if self._is_dead:
            raise Killed
        self.names.append(name)
        if len(self.names) - 1 != self._at:
            return act()
        if self._mode in ("enospc", "eio"):
            code = errno.ENOSPC if self._mode == "enospc" else errno.EIO
            raise OSError(code, os.strerror(code))
        self._is_dead = True
        if self._mode == "torn" and name != "write":
            act()
        raise Killed


def _counted(name: str) -> Callable[..., Any]:
    def call(self: OneFault, *args: Any) -> Any:
        return self._call(name, lambda: getattr(Unsynced, name)(self, *args))

    return call


for _name in CALLS:
    if _name != "write":
        setattr(OneFault, _name, _counted(_name))


def count_calls(path: Path) -> list[str]:
    calls = OneFault()
    run_toy(path, calls, Progress())
    return calls.names


def test_the_faults_cover_every_kind_of_call(tmp_path: Path) -> None:
    assert set(count_calls(tmp_path / "store")) == set(CALLS)
    assert {name for name in vars(SystemCalls) if not name.startswith("_")} == set(CALLS)


@pytest.mark.parametrize("mode", ["kill", "torn", "enospc", "eio"])
def test_a_fault_at_any_call_leaves_the_undisturbed_result(tmp_path: Path, undisturbed: str, mode: str) -> None:
    num_calls = len(count_calls(tmp_path / "counted"))
    assert num_calls > 100
    path = tmp_path / "store"
    for at in range(num_calls):
        progress, calls = Progress(), OneFault(at, mode)
        if mode in ("kill", "torn"):
            with pytest.raises(Killed):
                run_toy(path, calls, progress)
            check_kept(path, progress)
            run_toy(path, Unsynced(), progress)
        else:
            run_until_done(path, calls, progress)
        check_kept(path, progress)
        assert digest(path) == undisturbed, (at, calls.names[at])
        shutil.rmtree(path)


@pytest.mark.parametrize("mode", ["kill", "torn", "enospc", "eio"])
def test_a_second_fault_during_the_recovery_changes_nothing(tmp_path: Path, undisturbed: str, mode: str) -> None:
    num_calls = len(count_calls(tmp_path / "counted"))
    chance = random.Random(mode)
    path = tmp_path / "store"
    for _ in range(60):
        progress = Progress()
        with pytest.raises(Killed):
            run_toy(path, OneFault(chance.randrange(num_calls), "torn"), progress)
        with contextlib.suppress(Killed):
            run_until_done(path, OneFault(chance.randrange(num_calls // 2), mode), progress)
        check_kept(path, progress)
        run_toy(path, Unsynced(), progress)
        assert digest(path) == undisturbed
        shutil.rmtree(path)


def test_a_full_disk_is_reported_as_such_at_every_call(tmp_path: Path) -> None:
    names = count_calls(tmp_path / "counted")
    path = tmp_path / "store"
    for at, name in enumerate(names):
        if name in ("write", "open_new", "make_folder"):
            with pytest.raises(StorageFullError, match=rf"^{path}\S*: no space .* bytes needed, [0-9]+ free$"):
                run_toy(path, OneFault(at, "enospc"), Progress())
            shutil.rmtree(path, ignore_errors=True)


def test_no_change_of_the_disk_goes_around_the_failing_layer(tmp_path: Path) -> None:
    """An independent witness, Python's audit events, sees changes only while one of the layer's calls runs."""

    class Watched(Unsynced):
        depth = 0

        def __getattribute__(self, name: str) -> Any:
            found = super().__getattribute__(name)
            if name not in CALLS:
                return found

            def call(*args: Any) -> Any:
                Watched.depth += 1
                try:
                    return found(*args)
                finally:
                    Watched.depth -= 1

            return call

    changing = {"os.mkdir", "os.link", "os.remove", "os.rmdir", "os.chmod", "os.rename", "os.symlink", "os.truncate"}
    inside, outside = set(), set()

    def witness(event: str, args: tuple[Any, ...]) -> None:
        is_opened = event == "open" and isinstance(args[2], int) and args[2] & (os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
        if event in changing or is_opened:
            (inside if Watched.depth else outside).add(event)

    child = os.fork()
    if child == 0:
        sys.addaudithook(witness)
        run_toy(tmp_path / "store", Watched(), Progress())
        os._exit(
            0 if not outside and inside == {"os.mkdir", "os.link", "os.remove", "os.rmdir", "os.chmod", "open"} else 1
        )
    assert os.waitpid(child, 0)[1] == 0


# Loss of power


class PowerLoss(SystemCalls):
    """Keeps, beside the real folder, what would be left of it if the power went: what was synced, and part of the rest.

    A name is on the disk once its folder was synced after the change; bytes, once the file was.
    """

    def __init__(self, cut: Callable[[PowerLoss], None]) -> None:
        self.disk: dict[str, int | None] = {}
        self.pending: dict[str, list[tuple[str, int | None, bool]]] = {}
        self.written: list[bytes] = []
        self.synced: list[bytes] = []
        self._files: dict[int, int] = {}
        self._cut = cut

    def make_folder(self, name: str, folder: int | None) -> None:
        super().make_folder(name, folder)
        self._change(folder, name, None)

    def open_new(self, name: str, folder: int) -> int:
        descriptor = super().open_new(name, folder)
        self._files[os.fstat(descriptor).st_ino] = len(self.written)
        self.written.append(b"")
        self.synced.append(b"")
        self._change(folder, name, len(self.written) - 1)
        return descriptor

    def write(self, descriptor: int, data: memoryview) -> int:
        num_bytes = super().write(descriptor, data)
        self.written[self._files[os.fstat(descriptor).st_ino]] += bytes(data[:num_bytes])
        self._cut(self)
        return num_bytes

    def sync(self, descriptor: int) -> None:
        info = os.fstat(descriptor)
        if stat.S_ISDIR(info.st_mode):
            self.apply(self.pending.pop(self._path(descriptor), []))
        else:
            file = self._files[info.st_ino]
            self.synced[file] = self.written[file]
        self._cut(self)

    def link(self, source: str, name: str, folder: int) -> None:
        file = self._files[os.stat(source, dir_fd=folder).st_ino]
        super().link(source, name, folder)
        self._change(folder, name, file)

    def unlink(self, name: str, folder: int) -> None:
        super().unlink(name, folder)
        self._change(folder, name, None, is_gone=True)

    def remove_folder(self, name: str, folder: int) -> None:
        super().remove_folder(name, folder)
        self._change(folder, name, None, is_gone=True)

    def apply(self, changes: list[tuple[str, int | None, bool]]) -> None:
        """Bring changes of names onto the disk."""
        for path, file, is_gone in changes:
            if is_gone:
                self.disk = {name: what for name, what in self.disk.items() if not f"{name}/".startswith(f"{path}/")}
            else:
                self.disk[path] = file

    def after_loss(self, chance: random.Random, share: float) -> PowerLoss:
        """Return what is left, with a share of the changes of names that nobody waited for."""
        left = PowerLoss(lambda _: None)
        left.disk, left.synced = dict(self.disk), list(self.synced)
        for changes in self.pending.values():
            left.apply([change for change in changes if chance.random() < share])
        return left

    def lay_out(self, root: Path, target: Path) -> None:
        """Make the folder that the disk shows; what lies in a folder that is not there is lost with it."""
        for name in sorted(self.disk):
            path, file = target / Path(name).relative_to(root), self.disk[name]
            if path.parent.is_dir():
                path.mkdir(mode=0o700) if file is None else path.write_bytes(self.synced[file])

    def _change(self, folder: int | None, name: str, file: int | None, *, is_gone: bool = False) -> None:
        parent = str(Path(name).parent) if folder is None else self._path(folder)
        self.pending.setdefault(parent, []).append((f"{parent}/{Path(name).name}", file, is_gone))
        self._cut(self)

    def _path(self, descriptor: int) -> str:
        return str(Path(f"/proc/self/fd/{descriptor}").readlink())


@pytest.mark.parametrize("share", [0.0, 0.5], ids=["all unsynced lost", "half of the unsynced lost"])
def test_power_lost_at_any_call_leaves_the_undisturbed_result(tmp_path: Path, undisturbed: str, share: float) -> None:
    chance = random.Random(7)
    progress, num_cuts = Progress(), 0
    root, copy = tmp_path / "root", tmp_path / "copy"
    root.mkdir()

    def cut(power: PowerLoss) -> None:
        nonlocal num_cuts
        num_cuts += 1
        copy.mkdir()
        power.after_loss(chance, share).lay_out(root, copy)
        known = deepcopy(progress)
        check_kept(copy / "store", known)
        run_toy(copy / "store", Unsynced(), known)
        assert digest(copy / "store") == undisturbed
        shutil.rmtree(copy)

    run_toy(root / "store", PowerLoss(cut), progress)
    assert num_cuts > 100
    assert digest(root / "store") == undisturbed


@pytest.mark.parametrize("num_syncs", range(5))
def test_what_a_killed_process_left_unsynced_is_durable_once_another_relies_on_it(
    tmp_path: Path, num_syncs: int
) -> None:
    class KilledAtSync(PowerLoss):
        left = 10**9

        def sync(self, descriptor: int) -> None:
            self.left -= 1
            if self.left < 0:
                raise Killed
            super().sync(descriptor)

    root, copy = tmp_path / "root", tmp_path / "copy"
    root.mkdir()
    copy.mkdir()
    power = KilledAtSync(lambda _: None)
    LocalStorage(root / "store", power)
    power.left = num_syncs
    with contextlib.suppress(Killed):
        LocalStorage(root / "store", power).create("a/b/file", b"x")
    power.left = 10**9
    with contextlib.suppress(FileExistsError):
        LocalStorage(root / "store", power).create("a/b/file", b"x")
    power.after_loss(random.Random(1), 0.0).lay_out(root, copy)
    assert LocalStorage(copy / "store").read("a/b/file") == b"x"


# Damage


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store whose trial has a sealed attempt, single records and checkpoints of two attempts."""
    path = tmp_path_factory.mktemp("sound") / "store"
    store = TrialStore.open_in(LocalStorage(path, Unsynced()))
    trial = store.put({"seed": 1}, KEY)
    value, resumes = 1, None
    for epochs in (range(1, 3), range(3, 4)):
        attempt = trial.claim(resumes, "x")
        for epoch in epochs:
            value = toy_step(value)
            resumes = attempt.write_checkpoint(epoch, toy_tensors(value), {"value": str(value)})
            attempt.write_record(toy_record(attempt.number, epoch, value))
        if attempt.number == 1:
            attempt.seal()
    store.sweep("toy").save_spec(SPEC)
    store.sweep("toy").decide("told", {"key": KEY})
    store.sweep("toy").request("stop")
    assert store.problems() == []
    return path


def damages(path: Path) -> Iterator[bytes]:
    data = path.read_bytes()
    for at in range(len(data)):
        yield data[:at] + bytes([data[at] ^ (1 << at % 8)]) + data[at + 1 :]
        yield data[:at]


def durable_files(path: Path) -> list[Path]:
    return sorted(found for found in path.rglob("*") if found.is_file() and found.name != "store.lock")


def test_every_flipped_byte_and_every_cut_shows_and_is_fallen_back_from(sound: Path) -> None:
    store = TrialStore.open_in(LocalStorage(sound, Unsynced()))
    trial = store.trial(KEY)
    science = [record.science() for record in trial.records()]
    contents = {ref: trial.load(ref) for ref in trial.checkpoints()}
    assert (len(science), len(contents)) == (3, 3)
    num_damages = 0
    for path in durable_files(sound / "trials"):
        data = path.read_bytes()
        for damaged in damages(path):
            num_damages += 1
            path.write_bytes(damaged)
            assert len(trial.problems()) >= 1, (path, damaged)
            if "checkpoints" in path.parts:
                check_loads(trial, contents)
                continue
            found = trial.records()
            assert [record.science() for record in found] == science[: len(found)]
            is_seen = len(found) < len(science) or path.name in ("trial.json", "attempt.json")
            assert is_seen, (path, damaged)
        path.write_bytes(data)
    assert num_damages > 5000
    assert store.problems() == []


def check_loads(trial: StoredTrial, contents: dict[CheckpointRef, Any]) -> None:
    num_refused = 0
    for ref, content in contents.items():
        try:
            assert trial.load(ref) == content
        except CorruptFileError:
            num_refused += 1
    assert num_refused == 1


def test_every_flipped_byte_and_every_cut_of_the_sweeps_files_shows(sound: Path) -> None:
    sweep = TrialStore.open(sound).sweep("toy")
    for path in durable_files(sound / "sweeps"):
        data = path.read_bytes()
        for damaged in damages(path):
            path.write_bytes(damaged)
            assert len(sweep.problems()) == 1, (path, damaged)
            assert len(sweep.specs()) + len(sweep.decisions()) + len(sweep.requests()) == 2
        path.write_bytes(data)


def test_every_flipped_byte_and_every_cut_of_the_store_file_is_refused(sound: Path) -> None:
    path = sound / "store.json"
    data = path.read_bytes()
    for damaged in damages(path):
        path.write_bytes(damaged)
        with pytest.raises(StoreError, match=r"store\.json: "):
            TrialStore.open_in(LocalStorage(sound, Unsynced()))
    path.write_bytes(data)


def test_a_trial_goes_on_from_any_damaged_file(sound: Path, tmp_path: Path) -> None:
    science = [record.science() for record in TrialStore.open(sound).trial(KEY).records()][:NUM_EPOCHS]
    for path in durable_files(sound / "trials"):
        copy = tmp_path / "copy"
        shutil.copytree(sound, copy)
        damaged = bytearray(path.read_bytes())
        damaged[len(damaged) // 2] ^= 16
        (copy / path.relative_to(sound)).write_bytes(damaged)
        run_toy(copy, Unsynced(), Progress())
        trial = TrialStore.open(copy).trial(KEY)
        assert [record.science() for record in trial.records()][:NUM_EPOCHS] == science, path
        assert trial.config() == {"seed": 1}
        shutil.rmtree(copy)


# Processes


def in_child(act: Callable[[], int]) -> int:
    """Run in a forked process and return its id; its exit status is what `act` returns, 99 where it raises."""
    child = os.fork()
    if child:
        return child
    status = 99
    try:
        status = act()
    finally:
        os._exit(status)


def exit_status(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_processes_killed_at_random_leave_the_undisturbed_result(tmp_path: Path, undisturbed: str) -> None:
    def run() -> int:
        run_toy(path, SystemCalls(), Progress())
        return 0

    path = tmp_path / "timed"
    started = time.monotonic()
    assert exit_status(in_child(run)) == 0
    duration = time.monotonic() - started
    chance, num_killed = random.Random(3), 0
    for number in range(10):
        path = tmp_path / f"store-{number}"
        for _ in range(3):
            child = in_child(run)
            time.sleep(chance.random() * duration)
            os.kill(child, signal.SIGKILL)
            num_killed += exit_status(child) == -signal.SIGKILL
        assert exit_status(in_child(run)) == 0
        assert digest(path) == undisturbed
        with TrialStore.open(path).sweep("toy").owned():
            trial = TrialStore.open(path).trial(KEY)
            trial.claim(trial.checkpoints()[0], "to clean up")
        assert asides(path) == []
        assert {stat.S_IMODE(found.stat().st_mode) for found in path.rglob("*")} == {0o600, 0o700}
        assert digest(path) == undisturbed
    assert num_killed > 0


@pytest.mark.parametrize("umask", [0o000, 0o777])
def test_modes_are_private_whatever_the_umask(tmp_path: Path, umask: int) -> None:
    old = os.umask(umask)
    try:
        run_toy(tmp_path / "store", Unsynced(), Progress())
    finally:
        os.umask(old)
    for path in (tmp_path / "store", *(tmp_path / "store").rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_of_two_processes_that_want_a_sweep_one_gets_it(tmp_path: Path) -> None:
    path = tmp_path / "store"
    TrialStore.open(path)
    for _ in range(20):
        start, go = os.pipe()
        both_tried, tried = os.pipe()

        def race() -> int:
            os.read(start, 1)  # noqa: B023 - the child is forked within this round
            sweep = TrialStore.open(path).sweep("toy")
            try:
                with sweep.owned():
                    os.write(tried, b"o")  # noqa: B023
                    signal.sigtimedwait([signal.SIGUSR1], 60)
                    return 0
            except OwnedElsewhereError as error:
                os.write(tried, b"r")  # noqa: B023
                return 1 if "sweep 'toy' is owned by " in str(error) else 98

        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
        children = [in_child(race) for _ in range(2)]
        os.close(tried)
        os.write(go, b"xx")
        answers = b"".join(os.read(both_tried, 1) for _ in range(2))
        for child in children:
            os.kill(child, signal.SIGUSR1)
        assert sorted(exit_status(child) for child in children) == [0, 1]
        assert sorted(answers) == sorted(b"or")
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR1])
        for descriptor in (start, go, both_tried):
            os.close(descriptor)


def test_of_processes_that_claim_at_once_each_number_goes_to_one_and_only_the_last_writes(tmp_path: Path) -> None:
    path = tmp_path / "store"
    TrialStore.open(path).put({"seed": 1}, KEY)
    for round_number in range(5):
        claimed, told = os.pipe()
        start, go = os.pipe()

        def race() -> int:
            trial = TrialStore.open_in(LocalStorage(path, Unsynced())).trial(KEY)
            try:
                attempt = trial.claim(None, "race")
            except FencedError:
                os.write(told, b"0 ")  # noqa: B023 - the child is forked within this round
                return 1
            os.write(told, b"%d " % attempt.number)  # noqa: B023
            os.read(start, 1)  # noqa: B023
            try:
                attempt.write_checkpoint(1, b"t", {})
                attempt.write_record(toy_record(attempt.number, 1, round_number))  # noqa: B023
            except FencedError:
                return 2
            return 0

        children = [in_child(race) for _ in range(4)]
        os.close(told)
        text = b""
        while text.count(b" ") < 4:
            text += os.read(claimed, 64) or pytest.fail("a child died before it told what it claimed")
        os.write(go, b"xxxx")
        statuses = [exit_status(child) for child in children]
        numbers = [int(number) for number in text.split() if number != b"0"]
        assert len(numbers) == len(set(numbers)) == 4 - statuses.count(1)
        assert statuses.count(0) == 1
        trial = TrialStore.open(path).trial(KEY)
        assert [record.attempt for record in trial.records()] == [max(numbers)]
        for descriptor in (claimed, start, go):
            os.close(descriptor)


@pytest.mark.parametrize("stops_at", ["open_new", "write", "link", "unlink"])
def test_a_zombie_that_wakes_up_is_refused_and_what_it_writes_is_invisible(tmp_path: Path, stops_at: str) -> None:
    path = tmp_path / "store"
    TrialStore.open(path).put({"seed": 1}, KEY)

    class Sleeper(Unsynced):
        is_tired = False

        def __getattribute__(self, name: str) -> Any:
            if name == stops_at and self.is_tired:
                self.is_tired = False
                os.kill(os.getpid(), signal.SIGSTOP)
            return super().__getattribute__(name)

    def sleep_in_the_middle() -> int:
        calls = Sleeper()
        attempt = TrialStore.open_in(LocalStorage(path, calls)).trial(KEY).claim(None, "zombie")
        for epoch in (1, 2):
            attempt.write_checkpoint(epoch, b"old", {})
            calls.is_tired = epoch == 2
            with contextlib.suppress(FencedError):
                attempt.write_record(toy_record(1, epoch, epoch))
        try:
            attempt.write_checkpoint(3, b"late", {})
        except FencedError:
            return 0
        except StoreError:
            return 3
        return 2

    child = in_child(sleep_in_the_middle)
    assert os.WIFSTOPPED(os.waitpid(child, os.WUNTRACED)[1])
    trial = TrialStore.open(path).trial(KEY)
    attempt = trial.claim(CheckpointRef(1, 1), "takes over")
    attempt.write_checkpoint(2, b"new", {})
    attempt.write_record(toy_record(2, 2, 77))
    before = [record.to_json() for record in trial.records()]
    os.kill(child, signal.SIGCONT)
    assert exit_status(child) in (0, 3)
    assert [record.to_json() for record in trial.records()] == before
    assert [(ref.attempt, ref.epoch) for ref in trial.checkpoints()] == [(2, 2), (1, 1)]
    assert trial.load(CheckpointRef(2, 2)).tensors == b"new"
    assert asides(path / "trials" / KEY / "attempts" / "2") == []
