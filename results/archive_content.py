"""What the members of an export mean: trials with records and perhaps a checkpoint, specs, pictures."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from results.archive_format import ARTIFACTS, DECISIONS, PICTURES, OpenArchive
from selfish_core.config import TrialConfig
from selfish_core.errors import CorruptFileError
from selfish_core.records import Record
from selfish_core.store.layout import STATE, TENSORS, epoch_name
from selfish_core.trial_store import CheckpointData, StoredSweep, StoredTrial

TRAVELLING = ("wanted", "asked", "told", "stopped")
"""Kinds of decisions that say which trials a sweep has; what happened on which machine stays there."""

Told = tuple[str, dict[str, Any]]
"""Kind and body of a decision."""


@dataclass(frozen=True)
class ArchivedTrial:
    """One trial of an archive.

    Args:
        key: its content key.
        config: the resolved config, JSON-able.
        records: epochs 1 to E without a gap.
        checkpoint_epoch: of the checkpoint that the archive holds; None where it holds none.
    """

    key: str
    config: dict[str, Any]
    records: tuple[Record, ...]
    checkpoint_epoch: int | None = None

    def read_checkpoint(self, archive: OpenArchive) -> CheckpointData:
        """Read the checkpoint from the trial's archive, which `contents_of` has checked.

        Raises:
            CorruptFileError: when it is not what was checked.
        """
        folder = f"{ARTIFACTS}{self.key}/{epoch_name(self.checkpoint_epoch or 0)}"
        return CheckpointData(archive.read(f"{folder}/{TENSORS}"), json.loads(archive.read(f"{folder}/{STATE}")))


@dataclass(frozen=True)
class Contents:
    """What an archive holds.

    Args:
        trials: sorted by key.
        specs: sweep name -> versions of its spec, oldest first.
        decisions: sweep name -> what a search asked for and what was stopped early, in order, each a kind and a body.
        num_bytes: size of the file.
        pictures: file names of tables and figures, sorted.
    """

    trials: tuple[ArchivedTrial, ...]
    specs: Mapping[str, tuple[bytes, ...]]
    decisions: Mapping[str, tuple[Told, ...]]
    num_bytes: int
    pictures: tuple[str, ...] = ()

    @property
    def num_checkpoints(self) -> int:
        """How many trials have a checkpoint in it."""
        return sum(trial.checkpoint_epoch is not None for trial in self.trials)


def members_of(trial: StoredTrial, *, has_checkpoint: bool) -> dict[str, bytes]:
    """Return what an export holds of a trial; nothing where it has no record.

    Args:
        trial: stored.
        has_checkpoint: whether its best checkpoint goes along, or the newest where that one is gone.
    """
    records = trial.records()
    if not records:
        return {}
    members = {
        f"trials/{trial.key}/trial.json": _json({"key": trial.key, "config": trial.config()}),
        f"trials/{trial.key}/records.json": _json([json.loads(record.to_json()) for record in records]),
    }
    refs = {ref.epoch: ref for ref in trial.checkpoints()} if has_checkpoint else {}
    if refs:
        best = max((record.epoch for record in records if "test_perplexity" in record.metrics), default=0)
        ref = refs.get(best, refs[max(refs)])
        data = trial.load(ref)
        folder = f"{ARTIFACTS}{trial.key}/{epoch_name(ref.epoch)}"
        members |= {f"{folder}/{TENSORS}": data.tensors, f"{folder}/{STATE}": _json(data.state)}
    return members


def decisions_of(sweep: StoredSweep) -> list[Told]:
    """Return the decisions of a sweep that travel with its trials, in order."""
    return [(one.kind, one.body) for one in sweep.decisions() if one.kind in TRAVELLING]


def decisions_member(sweep: StoredSweep) -> bytes:
    """Return what an export holds of a sweep's decisions."""
    return _json([{"kind": kind, "body": body} for kind, body in decisions_of(sweep)])


def contents_of(archive: OpenArchive, where: str, num_bytes: int) -> Contents:
    """Read and check every member of an archive.

    Raises:
        CorruptFileError: when one is damaged or is not what this version reads.
    """
    specs: dict[str, list[bytes]] = {}
    decisions: dict[str, tuple[Told, ...]] = {}
    texts: dict[str, dict[str, bytes]] = {}
    for name in archive.names:
        data = archive.read(name)
        place, *rest = name.split("/")
        if place == "sweeps" and rest[1] == DECISIONS:
            decisions[rest[0]] = read_decisions(data, f"{where}: {name}")
        elif place == "sweeps":
            specs.setdefault(rest[0], []).append(data)
        elif place == "trials":
            texts.setdefault(rest[0], {})[rest[1]] = data
        elif place == "artifacts" and rest[-1] == STATE:
            check_state(data, rest[0], f"{where}: {name}")
    epochs = checkpoint_epochs(archive.names, where)
    strange = sorted(set(epochs) - set(texts))
    if strange:
        raise CorruptFileError(f"{where}: holds a checkpoint of {strange[0]}, but no such trial")
    return Contents(
        trials=tuple(read_trial(key, texts[key], where, epochs.get(key)) for key in sorted(texts)),
        specs={name: tuple(versions) for name, versions in specs.items()},
        decisions=decisions,
        num_bytes=num_bytes,
        pictures=tuple(name.removeprefix(PICTURES) for name in archive.names if name.startswith(PICTURES)),
    )


def checkpoint_epochs(names: list[str], where: str) -> dict[str, int]:
    """Return key -> epoch of the checkpoint that an archive holds of a trial.

    Raises:
        CorruptFileError: when a trial has two, or one of which a file is missing.
    """
    found: dict[str, dict[str, set[str]]] = {}
    for name in names:
        if name.startswith(ARTIFACTS):
            _, key, epoch, leaf = name.split("/")
            found.setdefault(key, {}).setdefault(epoch, set()).add(leaf)
    for key, epochs in found.items():
        if len(epochs) > 1 or any(leaves != {TENSORS, STATE} for leaves in epochs.values()):
            raise CorruptFileError(f"{where}: {ARTIFACTS}{key}: is not one whole checkpoint")
    return {key: int(next(iter(epochs)).removeprefix("epoch-")) for key, epochs in found.items()}


def read_decisions(data: bytes, where: str) -> tuple[Told, ...]:
    """Read a sweep's decisions.

    Raises:
        CorruptFileError: when they are of another form.
    """
    try:
        found = tuple((entry["kind"], entry["body"]) for entry in json.loads(data))
    except (ValueError, TypeError, KeyError, RecursionError):
        found = (("", {}),)
    if any(kind not in TRAVELLING or not isinstance(body, dict) for kind, body in found):
        raise CorruptFileError(f"{where}: holds what is no decision that an export holds")
    return found


def check_state(data: bytes, key: str, where: str) -> None:
    """Make sure that a checkpoint's state is one of this trial.

    Raises:
        CorruptFileError: when it is not.
    """
    try:
        state = json.loads(data)
    except (ValueError, RecursionError):
        state = None
    if not isinstance(state, dict) or state.get("key") != key:
        raise CorruptFileError(f"{where}: is no checkpoint's state of this trial")


def read_trial(key: str, texts: Mapping[str, bytes], where: str, checkpoint_epoch: int | None) -> ArchivedTrial:
    """Read one trial; its key must be what its config means, and its records its own, from epoch 1 without a gap.

    Args:
        key: content key.
        texts: `trial.json` and `records.json`.
        where: the archive, for messages.
        checkpoint_epoch: of its checkpoint in the archive.

    Raises:
        CorruptFileError: when it is anything else.
    """
    at = f"{where}: trials/{key}"
    try:
        trial = json.loads(texts["trial.json"])
        bodies = json.loads(texts["records.json"])
        config = TrialConfig.from_dict(trial["config"])
        records = tuple(Record.from_json(json.dumps(body).encode(), at) for body in bodies)
    except (KeyError, TypeError, ValidationError, ValueError, RecursionError) as error:
        told = f"{type(error).__name__}: {str(error).splitlines()[0]}"
        raise CorruptFileError(f"{at}: is not what this version reads: {told}") from None
    if config.key() != key or any(record.key != key for record in records):
        raise CorruptFileError(f"{at}: its key is not that of its config and records")
    if [record.epoch for record in records] != list(range(1, len(records) + 1)):
        raise CorruptFileError(f"{at}: its epochs have a gap")
    if any(record.outcome == "diverged" for record in records[:-1]):
        raise CorruptFileError(f"{at}: goes on after it diverged")
    if checkpoint_epoch is not None and not 1 <= checkpoint_epoch <= len(records):
        raise CorruptFileError(f"{at}: has a checkpoint of epoch {checkpoint_epoch}, but no record of it")
    return ArchivedTrial(key, trial["config"], records, checkpoint_epoch)


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, allow_nan=False).encode() + b"\n"
