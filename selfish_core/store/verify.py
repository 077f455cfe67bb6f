"""Check every file of a trial store against its checksum and its place; nothing is changed, no damage ends the look.

What is found is told apart: damage (a file that is not what was written, or that others show to be missing); leftovers
of interrupted writes, which the next attempt removes; and notes, of files that no trial store holds or that this
version cannot judge. A sweep may run meanwhile: where a folder shows damage, it is listed and read once more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from selfish_core.errors import CorruptFileError, NoStoreError, StoreError
from selfish_core.storage import Storage
from selfish_core.store.inventory import WORDS, Named, classify, unit
from selfish_core.store.soundness import check_file
from selfish_core.store.wholeness import missing_of_sweep, missing_of_trial

Findings = dict[str, str]
"""Name of a file in the storage -> what is to be said of it."""


@dataclass(frozen=True)
class Verified:
    """What a look at every file has shown.

    Args:
        place: the archive's file, or the trial store's folder or URL.
        counts: what people call a kind of file -> how many of it are sound.
        damaged: file -> what is wrong with it.
        leftovers: file -> what it is left of; no damage.
        notes: file -> what a user should know of it; no damage.
    """

    place: str
    counts: Mapping[str, int]
    damaged: Mapping[str, str]
    leftovers: Mapping[str, str]
    notes: Mapping[str, str]

    @property
    def num_sound(self) -> int:
        """How many files are sound."""
        return sum(self.counts.values())


def verify(storage: Storage, progress: Callable[[int, int], None] = lambda _done, _total: None) -> Verified:
    """Read and check every file below a storage's root.

    Args:
        storage: of a trial store.
        progress: is told how many files are done, of how many.

    Raises:
        NoStoreError: when nothing there is a trial store's.
        StoreError: when the storage cannot be reached.
    """
    units: dict[str, list[Named]] = {}
    names = storage.everything("")
    for name in names:
        units.setdefault(unit(name), []).append(classify(name))
    if all(file.kind in ("stranger", "folder", "log") for files in units.values() for file in files):
        raise NoStoreError(f"{storage.place} is no trial store: there is no file of one")
    whole = _Looked(Counter(), {}, {}, {})
    if "store.json" not in names:
        whole.damaged["store.json"] = "is missing"
    done = 0
    for folder, files in units.items():
        looked = _look(storage, folder, files)
        if looked.damaged and folder:
            looked = _look(storage, folder, [classify(name) for name in storage.everything(folder)])
        whole.add(looked)
        done += len(files)
        progress(done, len(names))
    counts = {word: whole.counts[kind] for kind, word in WORDS.items() if whole.counts[kind]}
    return Verified(storage.place, counts, _sorted(whole.damaged), _sorted(whole.leftovers), _sorted(whole.notes))


@dataclass(frozen=True)
class _Looked:
    """What one folder has shown; `counts` are by kind."""

    counts: Counter[str]
    damaged: Findings
    leftovers: Findings
    notes: Findings

    def add(self, other: _Looked) -> None:
        self.counts.update(other.counts)
        self.damaged.update(other.damaged)
        self.leftovers.update(other.leftovers)
        self.notes.update(other.notes)


def _look(storage: Storage, folder: str, files: Iterable[Named]) -> _Looked:
    """Check the files of one trial, one sweep or the root, then what is missing between them."""
    looked = _Looked(Counter(), {}, {}, {})
    files, there = list(files), set()
    uncommitted = _uncommitted(files)
    for file in files:
        if file.name in uncommitted:
            looked.leftovers[file.name] = "was never finished, or is being removed: what commits it is not there"
        elif file.kind == "leftover":
            looked.leftovers[file.name] = "was left by a write that was interrupted"
        elif file.kind == "stranger":
            looked.notes[file.name] = "is no file of a trial store"
        elif file.kind == "folder":
            looked.damaged[file.name] = "is no folder that can be read; a link or a file may have taken its place"
        elif file.kind in WORDS:
            there.add(file)
            _check(storage, file, looked)
    if folder.startswith("trials/"):
        missing, leftovers = missing_of_trial(storage, folder, there)
    else:
        missing, leftovers = missing_of_sweep(folder, there), {}
    for name, told in missing.items():
        looked.damaged.setdefault(name, told)
    looked.leftovers.update(leftovers)
    return looked


def _check(storage: Storage, file: Named, looked: _Looked) -> None:
    try:
        note = check_file(storage, file)
    except FileNotFoundError:  # sealed or removed since it was listed
        return
    except CorruptFileError as error:
        looked.damaged[file.name] = str(error).removeprefix(f"{storage.where(file.name)}: ")
        return
    except StoreError as error:
        storage.exists("store.json")  # raises where it is the storage that does not answer
        looked.damaged[file.name] = f"cannot be read: {error}"
        return
    looked.counts[file.kind] += 1
    if note:
        looked.notes[file.name] = note


def _uncommitted(files: Iterable[Named]) -> set[str]:
    """Return the files of checkpoints without a manifest, and the specs without the checksum that commits them."""
    folders = {file.name.rpartition("/")[0] for file in files if file.kind == "manifest"}
    commits = {file.name for file in files if file.kind == "commit"}
    return {
        file.name
        for file in files
        if (file.kind in ("tensors", "state") and file.name.rpartition("/")[0] not in folders)
        or (file.kind == "spec" and f"{file.name.removesuffix('.yaml')}.json" not in commits)
    }


def _sorted(findings: Findings) -> Findings:
    return dict(sorted(findings.items()))
