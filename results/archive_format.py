"""The bytes of an export: a zip whose every byte is checked, and which is never unpacked to paths that it names itself.

    MANIFEST.json                      format version; size and SHA-256 of every other member
    frame.parquet                      the tidy frame of all trials, for readers that know nothing of Selfish
    sweeps/<name>/spec-0001.yaml       versions of the sweeps' specs
    trials/<key>/trial.json            key and resolved config
    trials/<key>/records.json          all records of its chain

The zip's comment is the SHA-256 of all bytes before that digest, so a flipped bit anywhere is found, in the zip's own
tables too. The same members give the same bytes: names sorted, times fixed.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from collections.abc import Mapping
from typing import Any

from selfish_core.errors import CorruptFileError, InputError

FORMAT = 1
MANIFEST = "MANIFEST.json"
FRAME = "frame.parquet"

MAX_FILE_BYTES = 512 * 2**20
MAX_MEMBER_BYTES = 256 * 2**20
MAX_TOTAL_BYTES = 2 * 2**30
MAX_MEMBERS = 200_000

_DIGEST_CHARS = 64
_PART = r"[A-Za-z0-9](?:[A-Za-z0-9_-]|\.(?!\.)){0,127}"
_MEMBER = re.compile(
    rf"MANIFEST\.json|frame\.parquet|sweeps/{_PART}/spec-[0-9]{{4}}\.yaml|trials/{_PART}/(?:trial|records)\.json",
    re.ASCII,
)


def pack(members: Mapping[str, bytes]) -> bytes:
    """Return the bytes of an archive of these members; the manifest is added."""
    listed = {name: {"size": len(data), "sha256": _sha256(data)} for name, data in sorted(members.items())}
    manifest = json.dumps({"format": FORMAT, "members": listed}, indent=1, sort_keys=True).encode() + b"\n"
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in sorted({**members, MANIFEST: manifest}.items()):
            info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
            info.create_system = 3
            info.external_attr = 0o100600 << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, data, compresslevel=9)
        archive.comment = b"0" * _DIGEST_CHARS
    body = out.getvalue()[:-_DIGEST_CHARS]
    return body + _sha256(body).encode()


def unpack(data: bytes, where: str) -> dict[str, bytes]:
    """Return the members of an archive, each checked, without the manifest.

    Args:
        data: the whole file.
        where: the file, for messages.

    Raises:
        CorruptFileError: when it is no archive of ours, any byte of it is damaged, or a member is none of ours.
        InputError: when a newer version of Selfish wrote it.
    """
    if len(data) <= _DIGEST_CHARS or _sha256(data[:-_DIGEST_CHARS]).encode() != data[-_DIGEST_CHARS:]:
        raise CorruptFileError(f"{where}: is damaged, or no export of Selfish: its checksum does not fit")
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = _read_members(archive, where)
    except (zipfile.BadZipFile, NotImplementedError, EOFError, RuntimeError, ValueError) as error:
        raise CorruptFileError(f"{where}: is no readable zip: {error}") from None
    manifest = _read_manifest(members.pop(MANIFEST, b""), where)
    found = {name: {"size": len(content), "sha256": _sha256(content)} for name, content in members.items()}
    if found != manifest.get("members"):
        odd = sorted(set(found) ^ set(manifest.get("members") or {})) or ["a member"]
        raise CorruptFileError(f"{where}: {odd[0]} is not as {MANIFEST} says")
    return members


def _read_members(archive: zipfile.ZipFile, where: str) -> dict[str, bytes]:
    infos = archive.infolist()
    if len(infos) > MAX_MEMBERS or sum(info.file_size for info in infos) > MAX_TOTAL_BYTES:
        raise CorruptFileError(f"{where}: unpacks to more than {MAX_MEMBERS} files or {MAX_TOTAL_BYTES} bytes")
    members: dict[str, bytes] = {}
    for info in infos:
        if not _MEMBER.fullmatch(info.filename) or info.filename in members:
            raise CorruptFileError(f"{where}: holds {ascii(info.filename)[:80]}, which no export holds")
        if info.file_size > MAX_MEMBER_BYTES:
            raise CorruptFileError(f"{where}: {info.filename} has {info.file_size} bytes, at most {MAX_MEMBER_BYTES}")
        with archive.open(info) as member:
            members[info.filename] = member.read(info.file_size + 1)
        if len(members[info.filename]) != info.file_size:
            raise CorruptFileError(f"{where}: {info.filename} has another size than it says")
    return members


def _read_manifest(data: bytes, where: str) -> dict[str, Any]:
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
    return manifest


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
