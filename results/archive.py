"""Export and import: trials with their records, but no checkpoints, as one checked zip."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from results.archive_format import FRAME, MAX_FILE_BYTES, pack, unpack
from results.load_records import load_records
from selfish_core.config import TrialConfig
from selfish_core.errors import CorruptFileError, InputError
from selfish_core.files import LocalStorage
from selfish_core.records import Record
from selfish_core.trial_store import StoredTrial, TrialStore

IMPORT_REASON = "import"


@dataclass(frozen=True)
class ArchivedTrial:
    """One trial of an archive.

    Args:
        key: its content key.
        config: the resolved config, JSON-able.
        records: epochs 1 to E without a gap.
    """

    key: str
    config: dict[str, Any]
    records: tuple[Record, ...]


@dataclass(frozen=True)
class ArchiveContents:
    """What an archive holds.

    Args:
        trials: sorted by key.
        specs: sweep name -> versions of its spec, oldest first.
        num_bytes: size of the file.
    """

    trials: tuple[ArchivedTrial, ...]
    specs: dict[str, tuple[bytes, ...]]
    num_bytes: int


@dataclass(frozen=True)
class ImportReport:
    """What an import did, as sorted keys.

    Args:
        imported: got records.
        skipped: had been answered as far already.
        conflicting: have records here that differ from those of the archive, and were left as they are.
        sweeps: names of sweeps whose spec was added.
    """

    imported: tuple[str, ...]
    skipped: tuple[str, ...]
    conflicting: tuple[str, ...]
    sweeps: tuple[str, ...]


def export(store: TrialStore, path: Path, keys: Iterable[str], sweeps: Iterable[str] = ()) -> ArchiveContents:
    """Write trials and specs to a new zip; the same trials give the same bytes.

    Args:
        store: where they are.
        path: the new file; its name is made of `A-Z a-z 0-9 . _ -`.
        keys: content keys; those without a record are left out.
        sweeps: names of sweeps whose specs go along.

    Raises:
        InputError: when a key is not in the trial store, nothing is there to export, or the file is there already.
    """
    members: dict[str, bytes] = {}
    kept = []
    for key in sorted(set(keys)):
        trial = store.trial(key)
        if not trial.exists():
            raise InputError(f"trial {key} is not in the trial store {store.place}")
        records = trial.records()
        if records:
            kept.append(key)
            members[f"trials/{key}/trial.json"] = _json({"key": key, "config": trial.config()})
            members[f"trials/{key}/records.json"] = _json([json.loads(record.to_json()) for record in records])
    if not kept:
        raise InputError(f"there is nothing to export: no trial that was asked for has a record in {store.place}")
    for name in sorted(set(sweeps)):
        for number, spec in enumerate(store.sweep(name).specs(), start=1):
            members[f"sweeps/{name}/spec-{number:04d}.yaml"] = spec.text
    frame = io.BytesIO()
    load_records(store, kept).to_parquet(frame, index=False, engine="pyarrow", compression="zstd")
    members[FRAME] = frame.getvalue()
    data = pack(members)
    try:
        LocalStorage(path.absolute().parent).create(path.name, data)
    except FileExistsError:
        raise InputError(f"{path}: is there already; name a new file or remove it") from None
    return _contents(members, str(path), len(data))


def verify(path: Path) -> ArchiveContents:
    """Check every byte of an archive and return what it holds.

    Raises:
        InputError: when there is no such file, it is too large, or a newer version of Selfish wrote it.
        CorruptFileError: when it is damaged or holds what no export holds.
    """
    try:
        if not path.is_file():
            raise InputError(f"{path}: there is no such file")
        num_bytes = path.stat().st_size
        if num_bytes > MAX_FILE_BYTES:
            raise InputError(f"{path}: has {num_bytes} bytes, at most {MAX_FILE_BYTES} are read")
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None
    return _contents(unpack(data, str(path)), str(path), len(data))


def import_archive(store: TrialStore, path: Path) -> ImportReport:
    """Bring the trials of an archive into a trial store; all is checked first, and a second time changes nothing.

    A trial that is answered as far or has diverged here is skipped. Another gets a new attempt with the archive's
    records, unless those that it has already differ from them. Do not import into a sweep while it runs: the new
    attempt takes the trial over.

    Raises:
        InputError: as `verify`.
        CorruptFileError: as `verify`; nothing was written then.
    """
    contents = verify(path)
    done: dict[str, list[str]] = {"imported": [], "skipped": [], "conflicting": []}
    for archived in contents.trials:
        trial = store.put(archived.config, archived.key)
        here = trial.records()
        if not _agree(here, archived.records):
            done["conflicting"].append(archived.key)
        elif len(here) >= len(archived.records):
            done["skipped"].append(archived.key)
        else:
            _write_attempt(trial, archived.records)
            done["imported"].append(archived.key)
    added = [name for name, specs in sorted(contents.specs.items()) if _add_specs(store, name, specs)]
    return ImportReport(**{name: tuple(keys) for name, keys in done.items()}, sweeps=tuple(added))


def _agree(here: Sequence[Record], there: Sequence[Record]) -> bool:
    return all(mine.science() == theirs.science() for mine, theirs in zip(here, there, strict=False))


def _write_attempt(trial: StoredTrial, records: Sequence[Record]) -> None:
    attempt = trial.claim(None, IMPORT_REASON)
    for record in records:
        attempt.write_record(record.model_copy(update={"attempt": attempt.number, "is_provisional": True}))
    attempt.seal()


def _add_specs(store: TrialStore, name: str, specs: Sequence[bytes]) -> bool:
    """Add the versions that are new; a sweep whose versions here are others keeps those."""
    here = [spec.text for spec in store.sweep(name).specs()]
    if here != list(specs[: len(here)]):
        return False
    for text in specs[len(here) :]:
        store.sweep(name).save_spec(text)
    return len(specs) > len(here)


def _contents(members: dict[str, bytes], where: str, num_bytes: int) -> ArchiveContents:
    keys = sorted({name.split("/")[1] for name in members if name.startswith("trials/")})
    specs: dict[str, list[bytes]] = {}
    for name in sorted(members):
        if name.startswith("sweeps/"):
            specs.setdefault(name.split("/")[1], []).append(members[name])
    return ArchiveContents(
        trials=tuple(_archived(key, members, where) for key in keys),
        specs={name: tuple(texts) for name, texts in specs.items()},
        num_bytes=num_bytes,
    )


def _archived(key: str, members: dict[str, bytes], where: str) -> ArchivedTrial:
    """Read one trial; its key must be what its config means, and its records its own, from epoch 1 without a gap."""
    at = f"{where}: trials/{key}"
    try:
        trial = json.loads(members[f"trials/{key}/trial.json"])
        bodies = json.loads(members[f"trials/{key}/records.json"])
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
    return ArchivedTrial(key, trial["config"], records)


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, allow_nan=False).encode() + b"\n"
