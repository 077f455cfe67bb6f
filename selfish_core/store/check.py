"""What is wrong with a trial's files: every one is read and checked, so that damage and partial copies show."""

from __future__ import annotations

from selfish_core.errors import CorruptFileError
from selfish_core.store.layout import CHECKPOINTS, HEADER, LAST_EPOCH, MANIFEST, CheckpointRef
from selfish_core.store.reading import TrialFolder
from selfish_core.store.stalls import Stalls


def trial_problems(folder: TrialFolder) -> list[str]:
    """Return one line for each file of a trial that is damaged, missing or half written; none where all is sound.

    An interrupted attempt may leave a checkpoint without its manifest or without its record; these are named too, since
    a partial copy looks the same. The next attempt passes over them and removes them.
    """
    found: list[str] = []
    try:
        folder.trial_file()
    except CorruptFileError as error:
        found.append(str(error))
    for number in folder.attempt_folders():
        found += _attempt_problems(folder, number)
    Stalls(folder.storage, folder.key).read(found)
    return found


def _attempt_problems(folder: TrialFolder, number: int) -> list[str]:
    found: list[str] = []
    records = folder.records_of(number, LAST_EPOCH, found)
    checkpoints = [CheckpointRef(number, epoch) for epoch in folder.checkpoint_epochs(number)]
    is_claimed = folder.storage.exists(folder.attempt_name(number, HEADER))
    if not is_claimed and not records and not checkpoints and not found:
        return []  # made by a claim that was interrupted; the next claim takes it
    try:
        first = folder.header(number).first_epoch
    except CorruptFileError as error:
        found.append(str(error))
        first = min(records, default=1)
    last = max([*records, *(ref.epoch for ref in checkpoints)], default=0)
    missing = [epoch for epoch in range(first, last + 1) if epoch not in records]
    where = folder.storage.where(folder.attempt_name(number))
    found += [f"{where}: the record of epoch {epoch} is missing or damaged" for epoch in missing]
    for ref in checkpoints:
        found += _checkpoint_problems(folder, ref)
    return found


def _checkpoint_problems(folder: TrialFolder, ref: CheckpointRef) -> list[str]:
    where = folder.storage.where(folder.checkpoint_name(ref))
    if not folder.storage.exists(folder.checkpoint_name(ref, MANIFEST)):
        return [
            f"{where}: this checkpoint in {CHECKPOINTS} has no {MANIFEST}, so it was never finished or is being removed"
        ]
    try:
        folder.load(ref)
    except CorruptFileError as error:
        return [str(error)]
    return []
