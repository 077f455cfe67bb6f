"""An attempt: one start of a trial, the only thing that writes the trial's checkpoints and records.

Attempts are numbered; the exclusive creation of a header is the claim, and from then on every lower attempt is fenced.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
from collections.abc import Iterable, Iterator
from typing import Any

from selfish_core.errors import CorruptFileError, FencedError, StoreError
from selfish_core.records import Record
from selfish_core.storage import encode_json, wrap
from selfish_core.store.layout import (
    HEADER,
    LAST_EPOCH,
    MANIFEST,
    RECORDS,
    SEALED,
    STATE,
    TENSORS,
    AttemptHeader,
    CheckpointRef,
    FileDigest,
    Manifest,
    SealedRecords,
    epoch_name,
)
from selfish_core.store.reading import TrialFolder


def claim(folder: TrialFolder, resumes: CheckpointRef | None, reason: str) -> Attempt:
    """Claim the next attempt: see `StoredTrial.claim`."""
    number = max(folder.claimed(), default=0) + 1
    header = AttemptHeader(
        key=folder.key,
        attempt=number,
        chain=() if resumes is None else _chain_to(folder, resumes),
        host=socket.gethostname(),
        pid=os.getpid(),
        reason=reason,
    )
    try:
        folder.storage.create(folder.attempt_name(number, HEADER), header.to_file())
    except FileExistsError:
        raise FencedError(f"trial {folder.key}: attempt {number} was claimed by another process first") from None
    except StoreError:
        if max(folder.claimed(), default=0) > number:  # whose owner cleaned up under this claim
            raise FencedError(f"trial {folder.key}: attempt {number} was overtaken while it was claimed") from None
        raise
    folder.storage.clean(folder.name(), is_fenced=False)
    for other in folder.attempt_folders():
        folder.storage.clean(folder.attempt_name(other), is_fenced=other < number)
    return Attempt(folder, header)


class Attempt:
    """The right to write a trial until a higher attempt is claimed; made by `StoredTrial.claim`.

    Writes that failed for want of space may be tried again on the same attempt.
    """

    def __init__(self, folder: TrialFolder, header: AttemptHeader) -> None:
        self.number = header.attempt
        self._folder = folder
        self._first_epoch = header.first_epoch
        self._next_epoch = header.first_epoch
        self._is_ended = False

    def write_checkpoint(self, epoch: int, tensors: bytes, state: dict[str, Any]) -> CheckpointRef:
        """Write and commit the checkpoint of an epoch's end.

        Args:
            epoch: the next epoch to record, or one that this attempt has recorded provisionally.
            tensors: the bytes of a safetensors file.
            state: JSON-able; a float that is not finite is refused.

        Raises:
            FencedError: when a higher attempt exists.
            StorageFullError: when there is no space; nothing is committed then and older checkpoints are untouched.
        """
        ref = CheckpointRef(self.number, epoch)
        if not self._first_epoch <= epoch <= self._next_epoch:
            allowed = f"epochs {self._first_epoch} to {self._next_epoch}"
            raise StoreError(f"{self}: checkpoint of epoch {epoch} is out of turn: allowed are {allowed}")
        files = {TENSORS: tensors, STATE: encode_json(state)}
        digests = {leaf: FileDigest(size=len(data), sha256=_sha256(data)) for leaf, data in files.items()}
        manifest = Manifest(key=self._folder.key, attempt=self.number, epoch=epoch, files=digests).to_file()
        with self._fenced():
            if self._is_committed(ref, manifest):
                return ref
            self._folder.storage.delete(self._folder.checkpoint_name(ref))
            for leaf, data in files.items():
                self._folder.storage.create(self._folder.checkpoint_name(ref, leaf), data)
            self.check_fence()
            self._folder.storage.create(self._folder.checkpoint_name(ref, MANIFEST), manifest)
        return ref

    def write_record(self, record: Record) -> None:
        """Write the record of the next epoch, after its checkpoint unless it is provisional.

        Raises:
            FencedError: when a higher attempt exists.
            StoreError: when the record is not of this attempt's next epoch, or its checkpoint is not committed.
        """
        self._check_turn(record)
        name = self._folder.attempt_name(self.number, RECORDS, f"{epoch_name(record.epoch)}.json")
        with self._fenced():
            try:
                self._folder.storage.create(name, wrap(record.to_json()))
            except FileExistsError:
                if self._folder.record(self.number, record.epoch).science() != record.science():
                    raise StoreError(f"{self}: epoch {record.epoch} has another record already") from None
        self._next_epoch = record.epoch + 1
        self._is_ended = record.outcome == "diverged"

    def retain(self, keep: Iterable[CheckpointRef]) -> None:
        """Delete all other checkpoints of the trial, of all attempts; each is un-committed before its files go.

        Raises:
            FencedError: when a higher attempt exists.
        """
        kept = set(keep)
        storage = self._folder.storage
        for number in self._folder.attempt_folders():
            for epoch in self._folder.checkpoint_epochs(number):
                ref = CheckpointRef(number, epoch)
                if ref not in kept and number <= self.number:
                    with self._fenced():
                        storage.delete(self._folder.checkpoint_name(ref, MANIFEST))
                        storage.delete(self._folder.checkpoint_name(ref))

    def seal(self) -> None:
        """Put the attempt's records into one file and remove the single ones; it takes no record after that.

        Raises:
            FencedError: when a higher attempt exists.
            CorruptFileError: when one of the records is damaged; nothing is removed then.
        """
        with self._fenced():
            damage: list[str] = []
            records = self._folder.records_of(self.number, LAST_EPOCH, damage)
            if damage:
                raise CorruptFileError(damage[0])
            self._is_ended = True
            if not records:
                return
            ordered = tuple(records[epoch] for epoch in sorted(records))
            sealed = SealedRecords(key=self._folder.key, attempt=self.number, records=ordered)
            with contextlib.suppress(FileExistsError):
                self._folder.storage.create(self._folder.attempt_name(self.number, SEALED), sealed.to_file())
            kept = self._folder.sealed(self.number)
            if all(epoch in kept and kept[epoch].to_json() == record.to_json() for epoch, record in records.items()):
                self._folder.storage.delete(self._folder.attempt_name(self.number, RECORDS))

    def check_fence(self) -> None:
        """Make sure that no higher attempt exists.

        Raises:
            FencedError: when one does, so this process must stop writing.
        """
        newest = max(self._folder.claimed(), default=0)
        if newest > self.number:
            raise FencedError(f"{self}: attempt {newest} has taken over, so this one must stop writing")

    def __str__(self) -> str:
        return f"attempt {self.number} of trial {self._folder.key}"

    @contextlib.contextmanager
    def _fenced(self) -> Iterator[None]:
        """Check the fence before a write, and again where it fails: a new owner may have cleaned up under it."""
        self.check_fence()
        try:
            yield
        except StoreError:
            self.check_fence()
            raise

    def _check_turn(self, record: Record) -> None:
        if (record.key, record.attempt) != (self._folder.key, self.number):
            told = f"attempt {record.attempt} of trial {record.key}"
            raise StoreError(f"{self}: got the record of {told}")
        if self._is_ended:
            raise StoreError(f"{self}: has ended, so it takes no record of epoch {record.epoch}")
        if record.epoch != self._next_epoch:
            raise StoreError(f"{self}: got the record of epoch {record.epoch}, the next is {self._next_epoch}")
        commit = self._folder.checkpoint_name(CheckpointRef(self.number, record.epoch), MANIFEST)
        if not record.is_provisional and not self._folder.storage.exists(commit):
            raise StoreError(f"{self}: epoch {record.epoch} has no checkpoint, and its record is not provisional")

    def _is_committed(self, ref: CheckpointRef, manifest: bytes) -> bool:
        try:
            found = self._folder.storage.read(self._folder.checkpoint_name(ref, MANIFEST))
        except FileNotFoundError:
            return False
        if found != manifest:
            raise StoreError(f"{self}: epoch {ref.epoch} has another checkpoint already")
        return True


def _chain_to(folder: TrialFolder, ref: CheckpointRef) -> tuple[CheckpointRef, ...]:
    head = folder.head()
    num_epochs = len(folder.chain_records(head)) if head else 0
    if head is None or head.provider(ref.epoch) != ref.attempt or not 1 <= ref.epoch <= num_epochs:
        raise StoreError(f"trial {folder.key}: cannot go on from {ref}: it is not on the trial's chain of records")
    return head.chain_to(ref)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
