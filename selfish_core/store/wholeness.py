"""Which files of a trial or a sweep must be there and are not, as the others show."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from selfish_core.errors import CorruptFileError
from selfish_core.storage import Storage
from selfish_core.store.inventory import Named
from selfish_core.store.layout import HEADER, RECORDS, STATE, TENSORS, epoch_name
from selfish_core.store.reading import TrialFolder

Findings = dict[str, str]


def missing_of_trial(storage: Storage, folder: str, files: Collection[Named]) -> tuple[Findings, Findings]:
    """Return the files that a trial lacks, and what an interrupted attempt has left.

    Args:
        storage: where the trial store is kept.
        folder: of the trial, `trials/<key>`.
        files: those of its files that carry checksums, sound or not, without those that were never committed.
    """
    missing, leftovers = Findings(), Findings()
    if not files:
        return missing, leftovers
    if not any(file.kind == "config" for file in files):
        missing[f"{folder}/trial.json"] = "is missing"
    trial = TrialFolder(storage, folder.split("/")[1])
    recorded = {number: _recorded(trial, number, files) for number in sorted({file.attempt for file in files} - {0})}
    for number, epochs in recorded.items():
        own = [file for file in files if file.attempt == number]
        if not any(file.kind == "header" for file in own):
            missing[trial.attempt_name(number, HEADER)] = "is missing"
        missing |= dict.fromkeys(_missing_members(own), "is missing, though its checkpoint was committed")
        if epochs is None:
            continue
        committed = {file.number for file in own if file.kind == "manifest"}
        first, last = (
            _first_epoch(trial, number, epochs),
            max([*epochs, *(epoch - 1 for epoch in committed)], default=0),
        )
        missing |= dict.fromkeys(_records(trial, number, first, last, epochs), "is missing")
        for epoch in sorted(committed - epochs - set(range(first, last + 1))):
            name = trial.attempt_name(number, "checkpoints", epoch_name(epoch))
            leftovers[name] = "has no record: its attempt was interrupted between the two"
    missing |= _missing_of_chains(trial, recorded)
    return missing, leftovers


def missing_of_sweep(folder: str, files: Collection[Named]) -> Findings:
    """Return the files that a sweep lacks: texts of specs, and what a gap in the numbers of a folder shows.

    Args:
        folder: of the sweep, `sweeps/<name>`; empty for the root, which lacks nothing.
        files: those of its files that carry checksums, sound or not.
    """
    if not folder:
        return {}
    missing = Findings()
    specs = {file.number for file in files if file.kind == "spec"}
    for file in files:
        if file.kind == "commit" and file.number not in specs:
            missing[f"{file.name.removesuffix('.json')}.yaml"] = "is missing, though its checksum is there"
    for kind, place, num_digits in (("request", "requests", 4), ("decision", "decisions", 6)):
        numbers = {file.number for file in files if file.kind == kind}
        for number in sorted(set(range(1, max(numbers, default=0))) - numbers):
            missing[f"{folder}/{place}/{number:0{num_digits}d}.json"] = "is missing"
    return missing


def _missing_members(files: Collection[Named]) -> Iterator[str]:
    names = {file.name for file in files}
    for file in files:
        if file.kind == "manifest":
            checkpoint = file.name.rpartition("/")[0]
            yield from (name for leaf in (TENSORS, STATE) if (name := f"{checkpoint}/{leaf}") not in names)


def _missing_of_chains(trial: TrialFolder, recorded: dict[int, set[int] | None]) -> Findings:
    """Look up every epoch that an attempt goes on from in the attempt that it names for it."""
    missing = Findings()
    for number in recorded:
        try:
            chain = trial.header(number).chain
        except CorruptFileError:
            continue
        before = 0
        for link in chain:
            epochs = recorded.get(link.attempt, set())
            if epochs is not None:
                told = f"is missing, though attempt {number} goes on from it"
                names = _records(trial, link.attempt, before + 1, link.epoch, epochs)
                missing |= dict.fromkeys(names, told)
            before = link.epoch
    return missing


def _records(trial: TrialFolder, number: int, first: int, last: int, there: set[int]) -> list[str]:
    absent = [epoch for epoch in range(first, last + 1) if epoch not in there]
    return [trial.attempt_name(number, RECORDS, f"{epoch_name(epoch)}.json") for epoch in absent]


def _recorded(trial: TrialFolder, number: int, files: Collection[Named]) -> set[int] | None:
    """Return the epochs that an attempt has a file or a sealed record of; None where the sealed ones are damaged."""
    try:
        sealed = set(trial.sealed(number))
    except CorruptFileError:
        return None
    return sealed | {file.number for file in files if file.attempt == number and file.kind == "record"}


def _first_epoch(trial: TrialFolder, number: int, epochs: set[int]) -> int:
    try:
        return trial.header(number).first_epoch
    except CorruptFileError:
        return min(epochs, default=1)
