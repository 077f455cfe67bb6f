"""The trial store: what all trials' attempts recorded and all sweeps asked for, in a folder or on S3; the truth.

It is torch-free, so that `plan` can read it. `store.layout` draws a trial's folder, `store.sweep` a sweep's.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from selfish_core.errors import CorruptFileError, NoStoreError, StoreError
from selfish_core.files import LocalStorage
from selfish_core.object_storage import ObjectStorage, is_url
from selfish_core.records import Record
from selfish_core.storage import SELF_TEST, Storage, check_name, decode_json, encode_json
from selfish_core.store import holds
from selfish_core.store.attempt import Attempt, claim
from selfish_core.store.check import trial_problems
from selfish_core.store.layout import (
    FORMAT,
    LAST_EPOCH,
    AttemptHeader,
    CheckpointData,
    CheckpointRef,
    TrialFile,
)
from selfish_core.store.reading import Glance, TrialFolder
from selfish_core.store.retention import KeptCheckpoint, Retention
from selfish_core.store.stalls import Stall, Stalls
from selfish_core.store.sweep import Decision, Owner, SavedSpec, StoredSweep
from selfish_core.store.verify import Verified, verify

__all__ = [
    "Attempt",
    "AttemptHeader",
    "CheckpointData",
    "CheckpointRef",
    "Decision",
    "KeptCheckpoint",
    "Owner",
    "Retention",
    "SavedSpec",
    "Stall",
    "StoredSweep",
    "StoredTrial",
    "TrialStore",
    "Verified",
]

_STORE_FILE = "store.json"


class TrialStore:
    """All trials and sweeps under one root; use `TrialStore.open`.

    Args:
        storage: where the files are.
        store_id: what `store.json` says.
    """

    def __init__(self, storage: Storage, store_id: str) -> None:
        self.place = storage.place
        """The folder or URL with which another process opens the same trial store."""
        self.store_id = store_id
        self._storage = storage

    @classmethod
    def open(cls, place: str | Path) -> TrialStore:
        """Open the trial store in a folder or under a URL, or make it there.

        Args:
            place: a folder, or `s3://BUCKET/PREFIX`.

        Raises:
            InputError: for a URL that is none of a trial store's, or one whose package is not installed.
            StoreError: when the place is something else, its format is unknown, or it fails the storage's self-test.
            CorruptFileError: when its `store.json` is damaged.
        """
        return cls.open_in(_storage(place))

    @classmethod
    def open_in(cls, storage: Storage) -> TrialStore:
        """Open the trial store in a given storage: see `open`."""
        names = storage.list("")
        others = sorted(set(names) - {"store.lock", _STORE_FILE, SELF_TEST})
        is_new = _STORE_FILE not in names and not storage.exists(_STORE_FILE)
        if is_new and others:
            told = f"it has no {_STORE_FILE} but holds {', '.join(others[:3])}"
            raise NoStoreError(f"{storage.place} is no trial store: {told}; name a new or empty place")
        storage.self_test()
        if is_new:
            with contextlib.suppress(FileExistsError):
                storage.create(_STORE_FILE, encode_json({"format": FORMAT, "store_id": secrets.token_hex(16)}))
        return cls(storage, _store_id(storage))

    @classmethod
    def find(cls, place: str | Path) -> TrialStore | None:
        """Open the trial store in a folder or under a URL if there is one; nothing is made or tested.

        Raises:
            InputError, StoreError: as `open`.
        """
        if not is_url(place) and not Path(place).is_dir():
            return None
        storage = _storage(place)
        try:
            return cls(storage, _store_id(storage))
        except FileNotFoundError:
            return None

    @staticmethod
    def verify(place: str | Path, progress: Callable[[int, int], None] = lambda _done, _total: None) -> Verified:
        """Read and check every file of the trial store in a folder or under a URL, however damaged; change nothing.

        Args:
            place: a folder that is there, or `s3://BUCKET/PREFIX`.
            progress: is told how many files are done, of how many.

        Raises:
            NoStoreError: when nothing there is a trial store's.
            InputError, StoreError: as `open`, for a place that cannot be read.
        """
        if not is_url(place) and not Path(place).is_dir():
            raise NoStoreError(f"{place}: there is no such folder")
        return verify(_storage(place), progress)

    def keys(self) -> list[str]:
        """Return the keys of the trials that are stored, sorted."""
        return [key for key in self._storage.list("trials") if self.trial(key).exists()]

    def trial(self, key: str) -> StoredTrial:
        """Return a trial, whether or not it is stored yet.

        Raises:
            InputError: when the key is not a safe name.
        """
        return StoredTrial(TrialFolder(self._storage, check_name("trial key", key)))

    def put(self, config: Mapping[str, Any], key: str) -> StoredTrial:
        """Store a trial's config once; nothing happens where a sound one is stored, and a damaged one is replaced."""
        trial = self.trial(key)
        data = TrialFile(key=key, config=dict(config)).to_file()
        name = f"trials/{key}/trial.json"
        try:
            if trial.exists():
                trial.config()
        except CorruptFileError:
            self._storage.delete(name)
        if not trial.exists():
            with contextlib.suppress(FileExistsError):
                self._storage.create(name, data)
        return trial

    def sweep(self, name: str) -> StoredSweep:
        """Return a sweep, whether or not it is stored yet.

        Raises:
            InputError: when the name is not a safe name.
        """
        return StoredSweep(self._storage, check_name("sweep name", name))

    def sweep_names(self) -> list[str]:
        """Return the names of the sweeps that have a spec, sorted; one that was only owned for a moment has none."""
        return [name for name in self._storage.list("sweeps") if self.sweep(name).specs()]

    def hold(self, sweep: str, keys: Iterable[str]) -> frozenset[str]:
        """Take trials for a sweep, and return those of them that it may run now; another sweep holds the rest.

        Args:
            sweep: its name; the caller, or the process that started it, owns the sweep: holds are void without that.
            keys: content keys; those that the sweep holds already are returned too.
        """
        return holds.take(self._storage, check_name("sweep name", sweep), keys)

    def release(self, sweep: str, keys: Iterable[str]) -> None:
        """Give back trials that a sweep will not run any more; the end of its run gives back all."""
        self.sweep(sweep).change_holds("release", keys)

    def holders(self) -> dict[str, str]:
        """Return content key -> name of the sweep that holds the trial, of all that are held now."""
        return holds.holders(self._storage)

    def holder(self, key: str) -> str | None:
        """Return the name of the sweep that holds a trial now."""
        return self.holders().get(key)

    def problems(self) -> list[str]:
        """Read and check every file; return one line for each that is damaged, missing or half written."""
        found = []
        for key in self._storage.list("trials"):
            found += self.trial(key).problems()
        for name in self._storage.list("sweeps"):
            found += self.sweep(name).problems()
        return found


class StoredTrial:
    """What is stored of one trial; each call reads the files anew."""

    def __init__(self, folder: TrialFolder) -> None:
        self._folder = folder

    @property
    def key(self) -> str:
        """The trial's content key."""
        return self._folder.key

    def exists(self) -> bool:
        """Whether the trial's config is stored."""
        return self._folder.storage.exists(self._folder.name("trial.json"))

    def config(self) -> dict[str, Any]:
        """Return the resolved config.

        Raises:
            CorruptFileError: when it is damaged or missing.
        """
        return self._folder.trial_file().config

    def records(self) -> list[Record]:
        """Return the chain's records, epochs 1 to E without a gap, each checked; a damaged one ends the list."""
        head = self._folder.head()
        return self._folder.chain_records(head) if head else []

    def answered_epochs(self) -> int:
        """Return the number of records of the chain; each is checked."""
        return len(self.records())

    def glance(self) -> Glance:
        """Return how many epochs seem to be recorded and what the last one says, fast: nothing is checked.

        It is for comparing many trials with another view of them; what counts are `records`.
        """
        return self._folder.glance()

    def is_diverged(self) -> bool:
        """Whether the chain's last record says that the trial diverged."""
        records = self.records()
        return bool(records) and records[-1].outcome == "diverged"

    def superseded(self, epoch: int) -> Record | None:
        """Return the newest sound record of an epoch in an attempt that the chain does not read this epoch from."""
        head = self._folder.head()
        provider = head.provider(epoch) if head else 0
        for number in reversed(self._folder.attempt_folders()):
            record = self._folder.find_record(number, epoch) if number != provider else None
            if record is not None:
                return record
        return None

    def attempts(self) -> list[AttemptHeader]:
        """Return the headers of all attempts, oldest first; a damaged one is left out."""
        found = []
        for number in self._folder.claimed():
            with contextlib.suppress(CorruptFileError):
                found.append(self._folder.header(number))
        return found

    def checkpoints(self) -> list[CheckpointRef]:
        """Return the committed checkpoints of recorded epochs on the chain, newest first; `load` checks them."""
        head = self._folder.head()
        if head is None:
            return []
        num_epochs = len(self._folder.chain_records(head))
        numbers = {head.attempt, *(link.attempt for link in head.chain)}
        refs = [ref for number in numbers for ref in self._folder.committed(number)]
        on_chain = [ref for ref in refs if ref.epoch <= num_epochs and head.provider(ref.epoch) == ref.attempt]
        return sorted(on_chain, key=lambda ref: ref.epoch, reverse=True)

    def load(self, ref: CheckpointRef) -> CheckpointData:
        """Read a checkpoint.

        Raises:
            CorruptFileError: when a file of it is damaged, missing or has another size; `checkpoints()` has the next.
        """
        return self._folder.load(ref)

    def claim(self, resumes: CheckpointRef | None, reason: str) -> Attempt:
        """Take the trial over with a new attempt; every older one is fenced from then on.

        Args:
            resumes: the checkpoint to go on from, one of `checkpoints()` that `load` has read; none to start anew.
            reason: why, for people.

        Raises:
            FencedError: when another process claimed at the same time and won.
            StoreError: when the trial's config is not stored, or `resumes` is not on the chain.
        """
        if not self.exists():
            raise StoreError(f"trial {self.key}: its config is not stored, so nothing can be claimed")
        return claim(self._folder, resumes, reason)

    @property
    def retention(self) -> Retention:
        """Its checkpoints as they may be removed, by who makes sure that nobody runs the trial."""
        return Retention(self._folder)

    @property
    def stalls(self) -> Stalls:
        """Workers of this trial that were ended because they made no progress."""
        return Stalls(self._folder.storage, self.key)

    def damaged_records(self) -> list[str]:
        """Return one line for each file of records that is damaged, and so counts as absent."""
        found: list[str] = []
        for number in self._folder.attempt_folders():
            self._folder.records_of(number, LAST_EPOCH, found)
        return found

    def problems(self) -> list[str]:
        """Read and check every file; return one line for each that is damaged, missing or half written."""
        return trial_problems(self._folder)


def _storage(place: str | Path) -> Storage:
    return ObjectStorage.at(str(place)) if is_url(place) else LocalStorage(Path(place))


def _store_id(storage: Storage) -> str:
    where = storage.where(_STORE_FILE)
    body = decode_json(storage.read(_STORE_FILE), where)
    if body.get("format") != FORMAT:
        raise StoreError(f"{where}: has format {body.get('format')!r}; this version of Selfish reads format {FORMAT}")
    store_id = body.get("store_id")
    if not isinstance(store_id, str) or not store_id:
        raise CorruptFileError(f"{where}: has no store_id")
    return store_id
