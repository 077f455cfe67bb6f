"""Check every member of an export, however damaged it is, and name each that is not as it was written."""

from __future__ import annotations

import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from results.archive_content import check_state, checkpoint_epochs, read_decisions, read_trial
from results.archive_format import (
    ARTIFACTS,
    DECISIONS,
    MANIFEST,
    UNREADABLE,
    WITH_CHECKPOINTS,
    OpenArchive,
    has_sound_digest,
    is_ours,
    open_file,
    read_manifest,
    read_member,
)
from selfish_core.errors import CorruptFileError
from selfish_core.store.layout import STATE
from selfish_core.trial_store import Verified

ZIP_START = b"PK\x03\x04"

KINDS = {
    "MANIFEST.json": "manifest",
    "frame.parquet": "frame",
    "sweeps": "sweep file",
    "trials": "trial file",
    "artifacts": "checkpoint file",
    "pictures": "picture",
}
"""First part of a member's name -> what people call one of its kind."""


def is_archive(path: Path) -> bool:
    """Whether a file is or was a zip: it begins or ends like one, however damaged it is."""
    with open_file(path, WITH_CHECKPOINTS) as file:
        return file.read(4) == ZIP_START or zipfile.is_zipfile(file)


def check(path: Path, progress: Callable[[int, int], None] = lambda _done, _total: None) -> Verified:
    """Read and check every member; nothing is written, and no damage ends the look.

    Args:
        path: the archive.
        progress: is told how many members are done, of how many.

    Raises:
        InputError: when there is no such file, it is too large, or a newer version of Selfish wrote it.
    """
    damaged: dict[str, str] = {}
    counts: Counter[str] = Counter()
    with open_file(path, WITH_CHECKPOINTS) as file:
        is_whole = has_sound_digest(file)
        try:
            with zipfile.ZipFile(file) as archive:
                _check_members(archive, path, damaged, counts, progress)
        except UNREADABLE as error:
            damaged[path.name] = f"is no zip that can be read: {error}"
    if not is_whole and not damaged:
        damaged[path.name] = "its checksum does not fit: the damage lies between its members"
    told = {word: counts[kind] for kind, word in KINDS.items() if counts[kind]}
    return Verified(str(path), told, dict(sorted(damaged.items())), {}, {})


def _check_members(
    archive: zipfile.ZipFile,
    path: Path,
    damaged: dict[str, str],
    counts: Counter[str],
    progress: Callable[[int, int], None],
) -> None:
    infos = archive.infolist()
    listed = _manifest(archive, path, damaged)
    opened = OpenArchive(archive, listed, str(path))
    times = Counter(info.filename for info in infos)
    for done, info in enumerate(infos, start=1):
        name = info.filename
        told = "is there more than once" if times[name] > 1 else _problem(opened, info, has_manifest=bool(listed))
        if told:
            damaged.setdefault(name, told)
        elif name not in damaged:
            counts[name.partition("/")[0]] += 1
        progress(done, len(infos))
    for name in sorted(set(listed) - set(times)):
        damaged[name] = "is missing"
    _check_meaning(opened, damaged)


def _manifest(archive: zipfile.ZipFile, path: Path, damaged: dict[str, str]) -> dict[str, dict[str, Any]]:
    try:
        return read_manifest(read_member(archive, MANIFEST, str(path)), str(path))
    except (CorruptFileError, KeyError, *UNREADABLE):
        damaged[MANIFEST] = "cannot be read, so that the checksums of the others are not known"
        return {}


def _problem(opened: OpenArchive, info: zipfile.ZipInfo, *, has_manifest: bool) -> str:
    """Return what is wrong with one member, empty where nothing is."""
    name = info.filename
    if not is_ours(name):
        return "is none that an export holds"
    if info.file_size > WITH_CHECKPOINTS.member:
        return f"has {info.file_size} bytes, at most {WITH_CHECKPOINTS.member} are read"
    if name == MANIFEST or not has_manifest:
        return ""
    if name not in opened.names:
        return f"is not listed in {MANIFEST}"
    try:
        opened.read(name)
    except CorruptFileError as error:
        return str(error).removeprefix(f"{opened.where}: {name} ")
    return ""


def _check_meaning(opened: OpenArchive, damaged: dict[str, str]) -> None:
    """Check that keys, records and checkpoints of the sound members belong together."""
    members = [name for name in opened.names if is_ours(name)]
    try:
        epochs = checkpoint_epochs(members, opened.where)
    except CorruptFileError as error:
        damaged["artifacts"] = str(error).removeprefix(f"{opened.where}: ")
        epochs = {}
    for key in sorted({name.split("/")[1] for name in members if name.startswith("trials/")}):
        names = [f"trials/{key}/trial.json", f"trials/{key}/records.json"]
        if damaged.keys() & set(names):
            continue
        texts = {name.rpartition("/")[2]: opened.read(name) for name in names if name in members}
        try:
            read_trial(key, texts, opened.where, epochs.get(key))
        except CorruptFileError as error:
            damaged[f"trials/{key}"] = str(error).removeprefix(f"{opened.where}: trials/{key}: ")
    for name in members:
        try:
            if name.startswith(ARTIFACTS) and name.endswith(STATE) and name not in damaged:
                check_state(opened.read(name), name.split("/")[1], name)
            elif name.endswith(f"/{DECISIONS}") and name not in damaged:
                read_decisions(opened.read(name), name)
        except CorruptFileError as error:
            damaged[name] = str(error).removeprefix(f"{name}: ")
