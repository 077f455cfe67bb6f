"""Where a trial's files lie and what they hold: names, and one frozen model for each kind of file.

trials/<key>/trial.json                                the resolved config
trials/<key>/attempts/<K>/attempt.json                 what attempt K goes on from; its creation is the claim
trials/<key>/attempts/<K>/records/epoch-00001.json     one record an epoch
trials/<key>/attempts/<K>/records.sealed.json          all of them in one file, once the attempt has ended
trials/<key>/attempts/<K>/checkpoints/epoch-00001/     tensors.safetensors, state.json, and manifest.json: the commit
trials/<key>/stalls/0001.json                          where a worker stood that was ended for want of progress
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from selfish_core.errors import CorruptFileError
from selfish_core.records import Record
from selfish_core.storage import unwrap, wrap

FORMAT: Final = 1
TENSORS, STATE, MANIFEST = "tensors.safetensors", "state.json", "manifest.json"
LAST_EPOCH: Final = 999_999_999
HEADER, RECORDS, SEALED, CHECKPOINTS = "attempt.json", "records", "records.sealed.json", "checkpoints"

_EPOCH = re.compile(r"epoch-([0-9]{5,9})(?:\.json)?", re.ASCII)
_ATTEMPT = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)

Model = TypeVar("Model", bound="StoredModel")


@dataclass(frozen=True, order=True)
class CheckpointRef:
    """The end of one epoch of one attempt; both count from 1."""

    attempt: int
    epoch: int


class CheckpointData(NamedTuple):
    """What a checkpoint holds: the bytes of a safetensors file, and JSON-able state."""

    tensors: bytes
    state: dict[str, Any]


class StoredModel(BaseModel):
    """The body of a durable JSON file."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: Literal[1] = FORMAT
    key: str

    def to_file(self) -> bytes:
        """Return the whole file: canonical JSON in its envelope; NaN and infinities are refused."""
        return wrap(json.dumps(self.model_dump(mode="json"), sort_keys=True, allow_nan=False).encode())

    @classmethod
    def from_file(cls: type[Model], data: bytes, where: str) -> Model:
        """Read a whole file, envelope and all.

        Raises:
            CorruptFileError: when it is damaged or of another format; `where` names the file.
        """
        try:
            return cls.model_validate_json(unwrap(data, where))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            field = ".".join(str(part) for part in first["loc"]) or "the file"
            raise CorruptFileError(f"{where}: not of format {FORMAT}: {field}: {first['msg']}") from None


class TrialFile(StoredModel):
    """A trial's resolved config."""

    config: dict[str, Any]


class AttemptHeader(StoredModel):
    """Who made an attempt and what it goes on from.

    Args:
        attempt: the attempt's number, from 1.
        chain: the older attempts that it goes on from, oldest first, each with the last epoch that is taken from it;
            empty where the attempt starts at epoch 1. It stands here whole, so that reading it needs no other header.
        host, pid: information only.
        reason: why the attempt was made, for people.
    """

    attempt: int = Field(ge=1)
    chain: tuple[CheckpointRef, ...]
    host: str
    pid: int
    reason: str

    @property
    def goes_on_from(self) -> CheckpointRef | None:
        """The checkpoint that the attempt started with; none where it started anew."""
        return self.chain[-1] if self.chain else None

    @property
    def first_epoch(self) -> int:
        """The first epoch that is this attempt's own."""
        return self.chain[-1].epoch + 1 if self.chain else 1

    def provider(self, epoch: int) -> int:
        """Return the attempt that an epoch is read from."""
        return next((link.attempt for link in self.chain if epoch <= link.epoch), self.attempt)

    def chain_to(self, ref: CheckpointRef) -> tuple[CheckpointRef, ...]:
        """Return the chain of an attempt that goes on from a checkpoint of this one's chain."""
        return (*(link for link in self.chain if link.epoch < ref.epoch), ref)

    def is_ordered(self) -> bool:
        """Whether the chain's attempts and epochs grow."""
        links = [*self.chain, CheckpointRef(self.attempt, self.first_epoch)]
        return all(0 < a.attempt < b.attempt and 0 < a.epoch < b.epoch for a, b in itertools.pairwise(links))


class SealedRecords(StoredModel):
    """All records of an attempt that has ended."""

    attempt: int = Field(ge=1)
    records: tuple[Record, ...]


class FileDigest(BaseModel):
    """What a checkpoint's file must be: its size in bytes and its SHA-256."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    size: int = Field(ge=0)
    sha256: str


class Manifest(StoredModel):
    """The commit of a checkpoint: its files and what they must be."""

    attempt: int = Field(ge=1)
    epoch: int = Field(ge=1)
    files: dict[str, FileDigest]


def epoch_name(epoch: int) -> str:
    """Return `epoch-00001` for 1."""
    return f"epoch-{epoch:05d}"


def epochs_in(names: Iterable[str]) -> list[int]:
    """Return the epochs that file or folder names stand for, ascending; other names are passed over."""
    found = [int(match[1]) for match in map(_EPOCH.fullmatch, names) if match]
    return sorted(epoch for epoch in found if epoch >= 1)


def attempts_in(names: Iterable[str]) -> list[int]:
    """Return the attempts that folder names stand for, ascending; other names are passed over."""
    return sorted(int(name) for name in names if _ATTEMPT.fullmatch(name))
