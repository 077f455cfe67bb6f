"""The bytes of an export: a zip whose every byte is checked, and which is never unpacked to paths that it names itself.

    MANIFEST.json                      format version; size and SHA-256 of every other member
    frame.parquet                      the tidy frame of all trials, for readers that know nothing of Selfish
    sweeps/<name>/spec-0001.yaml       versions of the sweeps' specs
    trials/<key>/trial.json            key and resolved config
    trials/<key>/records.json          all records of its chain
    artifacts/<key>/epoch-00005/       format 2: the trial's best checkpoint, tensors.safetensors and state.json
    pictures/<file>                    format 2: tables and figures as they were when the export was made
    sweeps/<name>/decisions.json       format 2: what a search has asked for, and what was stopped early

The zip's comment is the SHA-256 of all bytes before that digest, so a flipped bit anywhere is found, in the zip's own
tables too. The same members give the same bytes: names sorted, times fixed. An export without any of the last three
has format 1, which the first versions of Selfish read.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from selfish_core.errors import CorruptFileError, InputError

FORMAT = 2
"""The newest format that is read."""

MANIFEST = "MANIFEST.json"
FRAME = "frame.parquet"
DECISIONS = "decisions.json"
ARTIFACTS, PICTURES = "artifacts/", "pictures/"

MAX_MEMBERS = 200_000
MAX_MANIFEST_BYTES = 64 * 2**20

_DIGEST_CHARS = 64
_CHUNK_BYTES = 2**20
_PART = r"[A-Za-z0-9](?:[A-Za-z0-9_-]|\.(?!\.)){0,127}"
_MEMBER = re.compile(
    r"MANIFEST\.json|frame\.parquet"
    rf"|sweeps/{_PART}/(?:spec-[0-9]{{4}}\.yaml|decisions\.json)|trials/{_PART}/(?:trial|records)\.json"
    rf"|artifacts/{_PART}/epoch-[0-9]{{5,9}}/(?:tensors\.safetensors|state\.json)"
    rf"|pictures/{_PART}\.(?:png|pdf|svg|txt|md)",
    re.ASCII,
)
UNREADABLE = (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError, RuntimeError, ValueError, OSError)
"""What `zipfile` raises for bytes that are none of a zip's."""


@dataclass(frozen=True)
class Limits:
    """How much of an archive is read, in bytes.

    Args:
        file: the archive itself.
        member: each of its members, unpacked.
        total: all of them.
    """

    file: int
    member: int
    total: int


PLAIN = Limits(file=512 * 2**20, member=256 * 2**20, total=2 * 2**30)
WITH_CHECKPOINTS = Limits(file=4 * 2**30, member=2 * 2**30, total=8 * 2**30)
"""Where somebody has asked for the checkpoints in it."""


def pack(members: Mapping[str, bytes]) -> bytes:
    """Return the bytes of an archive of these members; the manifest is added."""
    listed = {name: {"size": len(data), "sha256": _sha256(data)} for name, data in sorted(members.items())}
    is_plain = not any(name.startswith((ARTIFACTS, PICTURES)) or name.endswith(f"/{DECISIONS}") for name in members)
    format_number = 1 if is_plain else 2
    manifest = json.dumps({"format": format_number, "members": listed}, indent=1, sort_keys=True).encode() + b"\n"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in sorted({**members, MANIFEST: manifest}.items()):
            info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            info.create_system = 3
            info.external_attr = 0o100600 << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, data, compresslevel=1 if name.startswith(ARTIFACTS) else 9)
        archive.comment = b"0" * _DIGEST_CHARS
    body = out.getvalue()[:-_DIGEST_CHARS]
    return body + _sha256(body).encode()


class OpenArchive:
    """An archive whose checksum, names and sizes fit; its members are read one by one, each checked.

    Args:
        archive: the zip.
        listed: name -> size and SHA-256 of every member but the manifest.
        where: the file, for messages.
    """

    def __init__(self, archive: zipfile.ZipFile, listed: Mapping[str, Mapping[str, Any]], where: str) -> None:
        self._archive = archive
        self._listed = listed
        self.where = where

    @property
    def names(self) -> list[str]:
        """Names of all members but the manifest, sorted."""
        return sorted(self._listed)

    def read(self, name: str) -> bytes:
        """Return a member.

        Raises:
            CorruptFileError: when it is not as the manifest says.
        """
        try:
            data = read_member(self._archive, name, self.where)
        except UNREADABLE as error:
            raise CorruptFileError(f"{self.where}: {name} cannot be read: {error}") from None
        if {"size": len(data), "sha256": _sha256(data)} != dict(self._listed[name]):
            raise CorruptFileError(f"{self.where}: {name} is not as {MANIFEST} says")
        return data


@contextlib.contextmanager
def opened(path: Path, limits: Limits = PLAIN) -> Iterator[OpenArchive]:
    """Open an archive whose bytes are all as they were written.

    Args:
        path: the file.
        limits: of what is read.

    Raises:
        InputError: when there is no such file, it is too large, or a newer version of Selfish wrote it.
        CorruptFileError: when it is no archive of ours, any byte of it is damaged, or a member is none of ours.
    """
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(open_file(path, limits))
        if not has_sound_digest(file):
            raise CorruptFileError(f"{path}: is damaged, or no export of Selfish: its checksum does not fit")
        try:
            found = _checked(stack.enter_context(zipfile.ZipFile(file)), str(path), limits)
        except UNREADABLE as error:
            raise CorruptFileError(f"{path}: is no readable zip: {error}") from None
        yield found


def open_file(path: Path, limits: Limits) -> BinaryIO:
    """Open an archive's file for reading.

    Raises:
        InputError: when there is none, or it is too large.
    """
    try:
        if not path.is_file():
            raise InputError(f"{path}: there is no such file")
        num_bytes = path.stat().st_size
        if num_bytes > limits.file:
            told = "; --with-checkpoints reads more" if limits.file < WITH_CHECKPOINTS.file else ""
            raise InputError(f"{path}: has {num_bytes} bytes, at most {limits.file} are read{told}")
        return path.open("rb")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from None


def has_sound_digest(file: BinaryIO) -> bool:
    """Whether a file ends with the SHA-256 of all that is before it; its position is at the start afterwards."""
    num_left = file.seek(0, io.SEEK_END) - _DIGEST_CHARS
    file.seek(0)
    digest = hashlib.sha256()
    while num_left > 0:
        chunk = file.read(min(_CHUNK_BYTES, num_left))
        if not chunk:
            return False
        digest.update(chunk)
        num_left -= len(chunk)
    is_sound = num_left == 0 and file.read() == digest.hexdigest().encode()
    file.seek(0)
    return is_sound


def is_ours(name: str) -> bool:
    """Whether an export may hold a member of this name."""
    return _MEMBER.fullmatch(name) is not None


def read_manifest(data: bytes, where: str) -> dict[str, dict[str, Any]]:
    """Return what the manifest says of every member.

    Raises:
        InputError: when a newer version of Selfish wrote it.
        CorruptFileError: when it cannot be read.
    """
    try:
        manifest = json.loads(data)
    except (ValueError, RecursionError):
        manifest = None
    if not isinstance(manifest, dict) or not isinstance(manifest.get("format"), int):
        raise CorruptFileError(f"{where}: its {MANIFEST} cannot be read")
    if manifest["format"] > FORMAT:
        raise InputError(
            f"{where}: has format {manifest['format']}, this version of Selfish reads up to {FORMAT}: update Selfish"
        )
    members = manifest.get("members")
    if not isinstance(members, dict) or not all(isinstance(told, dict) for told in members.values()):
        raise CorruptFileError(f"{where}: its {MANIFEST} cannot be read")
    return members


def _checked(archive: zipfile.ZipFile, where: str, limits: Limits) -> OpenArchive:
    """Check version, number, names and sizes of the members before any other of them is unpacked."""
    infos = archive.infolist()
    if len(infos) > MAX_MEMBERS or sum(info.file_size for info in infos) > limits.total:
        raise CorruptFileError(f"{where}: unpacks to more than {MAX_MEMBERS} files or {limits.total} bytes")
    names = [info.filename for info in infos]
    if MANIFEST not in names or archive.getinfo(MANIFEST).file_size > MAX_MANIFEST_BYTES:
        raise CorruptFileError(f"{where}: its {MANIFEST} cannot be read")
    listed = read_manifest(read_member(archive, MANIFEST, where), where)
    seen: set[str] = set()
    for info in infos:
        if not is_ours(info.filename) or info.filename in seen:
            raise CorruptFileError(f"{where}: holds {ascii(info.filename)[:80]}, which no export holds")
        if info.file_size > limits.member:
            raise CorruptFileError(f"{where}: {info.filename} has {info.file_size} bytes, at most {limits.member}")
        seen.add(info.filename)
    odd = sorted({*names} ^ {*listed, MANIFEST})
    if odd:
        raise CorruptFileError(f"{where}: {odd[0]} is not as {MANIFEST} says")
    return OpenArchive(archive, listed, where)


def read_member(archive: zipfile.ZipFile, name: str, where: str) -> bytes:
    """Unpack a member up to the size that it declares.

    Raises:
        CorruptFileError: when it has another size; `zipfile` may raise any of `UNREADABLE`, or KeyError.
    """
    info = archive.getinfo(name)
    with archive.open(info) as member:
        data = member.read(info.file_size + 1)
    if len(data) != info.file_size:
        raise CorruptFileError(f"{where}: {name} has another size than it says")
    return data


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
