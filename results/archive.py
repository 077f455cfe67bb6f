"""Export and import: trials with their records, on request with best checkpoints and pictures, as one checked zip."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from results.archive_content import (
    ArchivedTrial,
    Contents,
    Told,
    contents_of,
    decisions_member,
    decisions_of,
    members_of,
)
from results.archive_format import (
    DECISIONS,
    FRAME,
    PICTURES,
    PLAIN,
    WITH_CHECKPOINTS,
    OpenArchive,
    is_ours,
    opened,
    pack,
)
from results.load_records import load_records
from selfish_core.errors import InputError
from selfish_core.files import LocalStorage
from selfish_core.records import Record
from selfish_core.trial_store import StoredTrial, TrialStore

IMPORT_REASON = "import"


@dataclass(frozen=True)
class Extras:
    """What an export carries beside records and specs.

    Args:
        has_checkpoints: whether each trial's best checkpoint goes along, where it has one.
        has_decisions: whether the sweeps' decisions go along: of a search, or where trials are stopped early.
        pictures: file name -> bytes of a table or figure: .png, .pdf, .svg, .txt or .md.
    """

    has_checkpoints: bool = False
    has_decisions: bool = False
    pictures: Mapping[str, bytes] | None = None


@dataclass(frozen=True)
class ImportReport:
    """What an import did, as sorted keys.

    Args:
        imported: got records.
        skipped: had been answered as far already.
        conflicting: have records here that differ from those of the archive, and were left as they are.
        sweeps: names of sweeps whose spec was added.
        checkpoints: got a checkpoint.
    """

    imported: tuple[str, ...]
    skipped: tuple[str, ...]
    conflicting: tuple[str, ...]
    sweeps: tuple[str, ...]
    checkpoints: tuple[str, ...] = ()


def export(
    store: TrialStore, path: Path, keys: Iterable[str], sweeps: Iterable[str] = (), extras: Extras | None = None
) -> Contents:
    """Write trials and specs to a new zip; the same trials give the same bytes.

    Args:
        store: where they are.
        path: the new file; its name is made of `A-Z a-z 0-9 . _ -`.
        keys: content keys; those without a record are left out.
        sweeps: names of sweeps whose specs go along.
        extras: what else goes along; nothing by default.

    Raises:
        InputError: when a key is not in the trial store, nothing is there to export, the file is there already, or it
            would be larger than what is read again.
    """
    extras = extras or Extras()
    limits = WITH_CHECKPOINTS if extras.has_checkpoints else PLAIN
    members: dict[str, bytes] = {}
    kept = []
    for key in sorted(set(keys)):
        trial = store.trial(key)
        if not trial.exists():
            raise InputError(f"trial {key} is not in the trial store {store.place}")
        found = members_of(trial, has_checkpoint=extras.has_checkpoints)
        if found:
            kept.append(key)
            members |= found
    if not kept:
        raise InputError(f"there is nothing to export: no trial that was asked for has a record in {store.place}")
    for name in sorted(set(sweeps)):
        for number, spec in enumerate(store.sweep(name).specs(), start=1):
            members[f"sweeps/{name}/spec-{number:04d}.yaml"] = spec.text
        if extras.has_decisions:
            members[f"sweeps/{name}/{DECISIONS}"] = decisions_member(store.sweep(name))
    for name, picture in (extras.pictures or {}).items():
        if not is_ours(PICTURES + name):
            raise InputError(f"picture {name!a}: its name must end with .png, .pdf, .svg, .txt or .md")
        members[PICTURES + name] = picture
    frame = io.BytesIO()
    load_records(store, kept).to_parquet(frame, index=False, engine="pyarrow", compression="zstd")
    members[FRAME] = frame.getvalue()
    too_large = [name for name, data in members.items() if len(data) > limits.member]
    data = pack(members)
    if too_large or len(data) > limits.file or sum(map(len, members.values())) > limits.total:
        what = too_large[0] if too_large else "it"
        raise InputError(f"{path}: {what} would be larger than what an import reads; export fewer trials at a time")
    try:
        LocalStorage(path.absolute().parent).create(path.name, data)
    except FileExistsError:
        raise InputError(f"{path}: is there already; name a new file or remove it") from None
    with opened(path, limits) as archive:
        return contents_of(archive, str(path), len(data))


def verify(path: Path, *, with_checkpoints: bool = False) -> Contents:
    """Check every byte of an archive and return what it holds.

    Args:
        path: the file.
        with_checkpoints: whether one as large as checkpoints make it is read.

    Raises:
        InputError: when there is no such file, it is too large, or a newer version of Selfish wrote it.
        CorruptFileError: when it is damaged or holds what no export holds.
    """
    with opened(path, WITH_CHECKPOINTS if with_checkpoints else PLAIN) as archive:
        return contents_of(archive, str(path), path.stat().st_size)


def import_archive(store: TrialStore, path: Path, *, with_checkpoints: bool = False) -> ImportReport:
    """Bring the trials of an archive into a trial store; all is checked first, and a second time changes nothing.

    A trial that is answered as far or has diverged here is skipped. Another gets a new attempt with the archive's
    records, unless those that it has already differ from them. Do not import into a sweep while it runs: the new
    attempt takes the trial over.

    Args:
        store: where the trials go.
        path: the file.
        with_checkpoints: whether the checkpoints in it are brought along; a trial here that is answered as far but
            has no checkpoint gets one too.

    Raises:
        InputError: as `verify`.
        CorruptFileError: as `verify`; nothing was written then.
    """
    done: dict[str, list[str]] = {"imported": [], "skipped": [], "conflicting": [], "checkpoints": []}
    with opened(path, WITH_CHECKPOINTS if with_checkpoints else PLAIN) as archive:
        contents = contents_of(archive, str(path), path.stat().st_size)
        for archived in contents.trials:
            trial = store.put(archived.config, archived.key)
            here = trial.records()
            brings = with_checkpoints and archived.checkpoint_epoch is not None
            if not _agree(here, archived.records):
                done["conflicting"].append(archived.key)
                continue
            is_new = len(here) < len(archived.records)
            done["imported" if is_new else "skipped"].append(archived.key)
            if is_new or (brings and len(here) == len(archived.records) and not trial.checkpoints()):
                _write_attempt(trial, archived, archive if brings else None)
                done["checkpoints"] += [archived.key] if brings else []
    added = [name for name, specs in sorted(contents.specs.items()) if _add_specs(store, name, specs)]
    for name, decisions in sorted(contents.decisions.items()):
        _add_decisions(store, name, decisions)
    return ImportReport(**{name: tuple(keys) for name, keys in done.items()}, sweeps=tuple(added))


def extract_pictures(path: Path, folder: Path) -> list[Path]:
    """Write the pictures of an archive as new files of a folder and return them; all of it is checked first.

    Args:
        path: the archive.
        folder: made when absent.

    Raises:
        InputError: as `verify`; or when one of the files is there already with other bytes, or there are no pictures.
        CorruptFileError: as `verify`; nothing was written then.
    """
    with opened(path, WITH_CHECKPOINTS) as archive:
        contents = contents_of(archive, str(path), path.stat().st_size)
        if not contents.pictures:
            raise InputError(f"{path}: holds no pictures; `selfish export SPEC FILE --pictures` makes such an archive")
        storage = LocalStorage(folder)
        for name in contents.pictures:
            data = archive.read(PICTURES + name)
            try:
                storage.create(name, data)
            except FileExistsError:
                if storage.read(name) != data:
                    raise InputError(f"{folder / name}: is there already; name an empty folder") from None
    return [folder / name for name in contents.pictures]


def _agree(here: Sequence[Record], there: Sequence[Record]) -> bool:
    return all(mine.science() == theirs.science() for mine, theirs in zip(here, there, strict=False))


def _write_attempt(trial: StoredTrial, archived: ArchivedTrial, archive: OpenArchive | None) -> None:
    """Record the epochs in a new attempt, with the checkpoint where its archive is given."""
    attempt = trial.claim(None, IMPORT_REASON)
    for record in archived.records:
        has_checkpoint = archive is not None and record.epoch == archived.checkpoint_epoch
        if archive is not None and has_checkpoint:
            attempt.write_checkpoint(record.epoch, *archived.read_checkpoint(archive))
        changed = {"attempt": attempt.number, "is_provisional": not has_checkpoint}
        attempt.write_record(record.model_copy(update=changed))
    attempt.seal()


def _add_specs(store: TrialStore, name: str, specs: Sequence[bytes]) -> bool:
    """Add the versions that are new; a sweep whose versions here are others keeps those."""
    here = [spec.text for spec in store.sweep(name).specs()]
    if here != list(specs[: len(here)]):
        return False
    for text in specs[len(here) :]:
        store.sweep(name).save_spec(text)
    return len(specs) > len(here)


def _add_decisions(store: TrialStore, name: str, decisions: Sequence[Told]) -> None:
    """Add the decisions that are new; a sweep that has decided otherwise here keeps its own."""
    here = decisions_of(store.sweep(name))
    if here == list(decisions[: len(here)]):
        for kind, body in decisions[len(here) :]:
            store.sweep(name).decide(kind, body)
