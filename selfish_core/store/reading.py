"""Reading a trial's folder: every file is checked, and a damaged one counts as absent and is reported.

The newest attempt with a sound header is the head; its chain says which attempt each epoch is read from. What an older
attempt wrote past the epoch where the chain leaves it, a zombie's late writes too, is therefore invisible.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import dataclass
from typing import TypeVar

from selfish_core.errors import CorruptFileError
from selfish_core.records import Record
from selfish_core.storage import Storage, decode_json, unwrap
from selfish_core.store.layout import (
    CHECKPOINTS,
    HEADER,
    LAST_EPOCH,
    MANIFEST,
    RECORDS,
    SEALED,
    STATE,
    TENSORS,
    AttemptHeader,
    CheckpointData,
    CheckpointRef,
    Manifest,
    SealedRecords,
    StoredModel,
    TrialFile,
    attempts_in,
    epoch_name,
    epochs_in,
)

Model = TypeVar("Model", bound=StoredModel)

_BEGIN = b'{"attempt":'
"""With which a record's text begins, its names being sorted."""


@dataclass(frozen=True)
class Glance:
    """How far a trial seems to be.

    Args:
        num_epochs: of the chain, by its newest attempt.
        last: what that attempt recorded last; None where it has recorded nothing yet, or nothing that can be read.
    """

    num_epochs: int = 0
    last: Record | None = None


class TrialFolder:
    """One trial's files.

    Args:
        storage: where the trial store is kept.
        key: the trial's content key, already checked as a name.
    """

    def __init__(self, storage: Storage, key: str) -> None:
        self.storage = storage
        self.key = key

    def name(self, *parts: str) -> str:
        """Return the name of a file or folder of the trial."""
        return "/".join(("trials", self.key, *parts))

    def attempt_name(self, number: int, *parts: str) -> str:
        """Return the name of a file or folder of an attempt."""
        return self.name("attempts", str(number), *parts)

    def checkpoint_name(self, ref: CheckpointRef, *parts: str) -> str:
        """Return the name of a file or folder of a checkpoint."""
        return self.attempt_name(ref.attempt, CHECKPOINTS, epoch_name(ref.epoch), *parts)

    def trial_file(self) -> TrialFile:
        """Read the config's file."""
        return self._model(TrialFile, self.name("trial.json"))

    def attempt_folders(self) -> list[int]:
        """Return the numbers that have a folder, claimed or not, ascending."""
        return attempts_in(self.storage.list(self.name("attempts")))

    def claimed(self) -> list[int]:
        """Return the attempts that were claimed, even where the header is damaged, ascending."""
        return [number for number in self.attempt_folders() if self.storage.exists(self.attempt_name(number, HEADER))]

    def header(self, number: int) -> AttemptHeader:
        """Read an attempt's header."""
        name = self.attempt_name(number, HEADER)
        header = self._model(AttemptHeader, name)
        if header.attempt != number or not header.is_ordered():
            raise CorruptFileError(f"{self.storage.where(name)}: is not the header of attempt {number}")
        return header

    def head(self) -> AttemptHeader | None:
        """Return the newest sound header; none where nothing was claimed."""
        for number in reversed(self.attempt_folders()):
            try:
                return self.header(number)
            except CorruptFileError:
                continue
        return None

    def record(self, number: int, epoch: int) -> Record:
        """Read a single record of an attempt."""
        name = self.attempt_name(number, RECORDS, f"{epoch_name(epoch)}.json")
        where = self.storage.where(name)
        record = Record.from_json(unwrap(self._read(name), where), where)
        self._check_place(record, number, epoch, where)
        return record

    def sealed(self, number: int) -> dict[int, Record]:
        """Read an attempt's sealed records; none where it is not sealed."""
        name = self.attempt_name(number, SEALED)
        if not self.storage.exists(name):
            return {}
        sealed, where = self._model(SealedRecords, name), self.storage.where(name)
        for record in sealed.records:
            self._check_place(record, number, record.epoch, where)
        return {record.epoch: record for record in sealed.records}

    def records_of(self, number: int, last_epoch: int, damage: list[str]) -> dict[int, Record]:
        """Read the sound records of an attempt.

        Args:
            number: the attempt.
            last_epoch: where to stop.
            damage: takes one line for every damaged file.
        """
        found: dict[int, Record] = {}
        try:
            found.update(self.sealed(number))
        except CorruptFileError as error:
            damage.append(str(error))
        for epoch in self.single_epochs(number):
            if epoch not in found and epoch <= last_epoch:
                try:
                    found[epoch] = self.record(number, epoch)
                except CorruptFileError as error:
                    damage.append(str(error))
        return found

    def find_record(self, number: int, epoch: int) -> Record | None:
        """Return one sound record of an attempt, where there is one."""
        with contextlib.suppress(CorruptFileError):
            return self.record(number, epoch)
        with contextlib.suppress(CorruptFileError):
            return self.sealed(number).get(epoch)
        return None

    def single_epochs(self, number: int) -> list[int]:
        """Return the epochs of an attempt whose record has a file of its own."""
        return epochs_in(self.storage.list(self.attempt_name(number, RECORDS)))

    def chain_records(self, head: AttemptHeader) -> list[Record]:
        """Read the records of a chain, epochs 1 to E without a gap, up to the first that is absent or damaged."""
        found: list[Record] = []
        for link in (*head.chain, CheckpointRef(head.attempt, LAST_EPOCH)):
            own = self.records_of(link.attempt, link.epoch, [])
            while len(found) < link.epoch:
                record = own.get(len(found) + 1)
                if record is None:
                    return found
                found.append(record)
                if record.outcome == "diverged":
                    return found
        return found

    def glance(self) -> Glance:
        """Return the newest attempt's last epoch and its record, from the text of its last file, unchecked."""
        for number in reversed(self.attempt_folders()):
            last = _last_record(self._last_text(number))
            if last is not None:
                return Glance(last.epoch, last)
            with contextlib.suppress(CorruptFileError):
                return Glance(self.header(number).first_epoch - 1)
        return Glance()

    def _last_text(self, number: int) -> bytes:
        """Return the bytes of an attempt's last record, sealed or not; none where it has no record."""
        singles = self.single_epochs(number)
        name = (RECORDS, f"{epoch_name(singles[-1])}.json") if singles else (SEALED,)
        try:
            return self.storage.read(self.attempt_name(number, *name))
        except FileNotFoundError:
            return b""

    def committed(self, number: int) -> list[CheckpointRef]:
        """Return an attempt's checkpoints that have a manifest, oldest first."""
        refs = [CheckpointRef(number, epoch) for epoch in self.checkpoint_epochs(number)]
        return [ref for ref in refs if self.storage.exists(self.checkpoint_name(ref, MANIFEST))]

    def checkpoint_epochs(self, number: int) -> list[int]:
        """Return the epochs that have a checkpoint folder in an attempt, committed or not."""
        return epochs_in(self.storage.list(self.attempt_name(number, CHECKPOINTS)))

    def manifest(self, ref: CheckpointRef) -> Manifest:
        """Read what commits a checkpoint."""
        name = self.checkpoint_name(ref, MANIFEST)
        manifest = self._model(Manifest, name)
        if (manifest.attempt, manifest.epoch, set(manifest.files)) != (ref.attempt, ref.epoch, {TENSORS, STATE}):
            raise CorruptFileError(f"{self.storage.where(name)}: is not the manifest of {ref}")
        return manifest

    def load(self, ref: CheckpointRef) -> CheckpointData:
        """Read a checkpoint; every file's size is checked before it is read and its SHA-256 before it is used."""
        files = {}
        for leaf, digest in self.manifest(ref).files.items():
            file = self.checkpoint_name(ref, leaf)
            files[leaf] = self._read(file, digest.size)
            if hashlib.sha256(files[leaf]).hexdigest() != digest.sha256:
                raise CorruptFileError(f"{self.storage.where(file)}: its checksum is not the one in its manifest")
        state = decode_json(files[STATE], self.storage.where(self.checkpoint_name(ref, STATE)))
        return CheckpointData(files[TENSORS], state)

    def _model(self, model: type[Model], name: str) -> Model:
        where = self.storage.where(name)
        found = model.from_file(self._read(name), where)
        if found.key != self.key:
            raise CorruptFileError(f"{where}: belongs to trial {found.key!r}")
        return found

    def _read(self, name: str, size: int | None = None) -> bytes:
        try:
            return self.storage.read(name, size)
        except FileNotFoundError:
            raise CorruptFileError(f"{self.storage.where(name)}: is missing") from None

    def _check_place(self, record: Record, number: int, epoch: int, where: str) -> None:
        if (record.key, record.attempt, record.epoch) != (self.key, number, epoch):
            told = f"epoch {record.epoch} of attempt {record.attempt} of trial {record.key}"
            raise CorruptFileError(f"{where}: holds {told}, which does not belong there")


def _last_record(data: bytes) -> Record | None:
    """Read the last record of a file of one or many; nothing of it is checked."""
    start = data.rfind(_BEGIN)
    if start < 0:
        return None
    try:
        found, _ = json.JSONDecoder().raw_decode(data[start:].decode(errors="replace"))
        return Record.model_validate(found)
    except (ValueError, RecursionError):
        return None
