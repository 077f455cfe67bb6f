"""What a trial's folder holds beside what its chain needs, how many bytes it has, and its removal.

Records are never touched, but for those that a sealed file holds too. A checkpoint is un-committed before its files go,
so that an interruption leaves one that nobody takes for whole.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from selfish_core.errors import CorruptFileError
from selfish_core.store.layout import MANIFEST, RECORDS, STATE, TENSORS, CheckpointRef, Manifest
from selfish_core.store.reading import TrialFolder


@dataclass(frozen=True)
class KeptCheckpoint:
    """A checkpoint's folder.

    Args:
        ref: the epoch whose end it is.
        num_bytes: of its files.
        is_whole: whether it is committed; else an interrupted write or removal left it.
    """

    ref: CheckpointRef
    num_bytes: int
    is_whole: bool


class Retention:
    """A trial's files as its owner may remove them; the caller makes sure that nobody runs the trial.

    Args:
        folder: of the trial.
    """

    def __init__(self, folder: TrialFolder) -> None:
        self._folder = folder

    def checkpoints(self) -> list[KeptCheckpoint]:
        """Return every checkpoint's folder of every attempt, oldest first."""
        return [
            self._measured(CheckpointRef(number, epoch))
            for number in self._folder.attempt_folders()
            for epoch in self._folder.checkpoint_epochs(number)
        ]

    def remove(self, ref: CheckpointRef) -> None:
        """Remove a checkpoint, its manifest first."""
        storage = self._folder.storage
        storage.delete(self._folder.checkpoint_name(ref, MANIFEST))
        storage.delete(self._folder.checkpoint_name(ref))

    def repeated_records(self) -> list[int]:
        """Return the attempts whose single records stand, each the same, in their sealed file too."""
        return [number for number in self._folder.attempt_folders() if self._is_repeated(number)]

    def remove_repeated_records(self, number: int) -> None:
        """Remove the single records of an attempt that has all of them in its sealed file."""
        if self._is_repeated(number):
            self._folder.storage.delete(self._folder.attempt_name(number, RECORDS))

    def _is_repeated(self, number: int) -> bool:
        epochs = self._folder.single_epochs(number)
        try:
            sealed = self._folder.sealed(number) if epochs else {}
            return bool(epochs) and all(
                epoch in sealed and sealed[epoch].to_json() == self._folder.record(number, epoch).to_json()
                for epoch in epochs
            )
        except CorruptFileError:
            return False

    def _measured(self, ref: CheckpointRef) -> KeptCheckpoint:
        """Read the sizes from the manifest; without one, from what there is of the files."""
        name = self._folder.checkpoint_name(ref, MANIFEST)
        storage = self._folder.storage
        with contextlib.suppress(FileNotFoundError):
            data = storage.read(name)
            with contextlib.suppress(CorruptFileError):
                files = Manifest.from_file(data, storage.where(name)).files
                return KeptCheckpoint(ref, sum(digest.size for digest in files.values()) + len(data), is_whole=True)
        leaves = (self._folder.checkpoint_name(ref, leaf) for leaf in (TENSORS, STATE))
        return KeptCheckpoint(ref, sum(self._num_bytes(leaf) for leaf in leaves), is_whole=False)

    def _num_bytes(self, name: str) -> int:
        with contextlib.suppress(FileNotFoundError, CorruptFileError):
            return len(self._folder.storage.read(name))
        return 0
