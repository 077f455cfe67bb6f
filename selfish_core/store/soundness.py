"""Whether one file of a trial store is what was written: its checksum, its format, and whether it belongs there."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from pydantic import ValidationError

from selfish_core.config import TrialConfig
from selfish_core.errors import CorruptFileError
from selfish_core.storage import Storage, decode_json
from selfish_core.store.inventory import Named
from selfish_core.store.layout import STATE, TENSORS, CheckpointRef, FileDigest, Manifest
from selfish_core.store.reading import TrialFolder

Check = Callable[[Storage, Named], str]


def check_file(storage: Storage, file: Named) -> str:
    """Read a file and check it.

    Args:
        storage: where it is.
        file: of a kind that carries a checksum, or whose checksum stands in another file.

    Returns:
        What a user should know of a sound file; empty as a rule.

    Raises:
        CorruptFileError: when it is damaged or does not belong there.
        FileNotFoundError: when it is gone.
        StoreError: when it cannot be read for another reason.
    """
    return _CHECKS.get(file.kind, _envelope)(storage, file)


def _envelope(storage: Storage, file: Named) -> str:
    decode_json(storage.read(file.name), storage.where(file.name))
    return ""


def _config(storage: Storage, file: Named) -> str:
    folder = _folder(storage, file)
    config = folder.trial_file().config
    try:
        read = TrialConfig.from_dict(config)
    except ValidationError as error:
        return f"is sound; this version cannot check its key: {_first(error)}"
    if read.key() == folder.key:
        return ""
    if read.uses_extensions():
        return "is sound; its key cannot be checked: it was made with other code of an extension"
    raise CorruptFileError(f"{storage.where(file.name)}: its config has another key, {read.key()}")


def _header(storage: Storage, file: Named) -> str:
    _folder(storage, file).header(file.attempt)
    return ""


def _record(storage: Storage, file: Named) -> str:
    _folder(storage, file).record(file.attempt, file.number)
    return ""


def _sealed(storage: Storage, file: Named) -> str:
    _folder(storage, file).sealed(file.attempt)
    return ""


def _manifest(storage: Storage, file: Named) -> str:
    _folder(storage, file).manifest(CheckpointRef(file.attempt, file.number))
    return ""


def _tensors(storage: Storage, file: Named) -> str:
    digest = _digest(storage, file, TENSORS)
    if digest is not None:
        _check_digest(storage, file, digest)
    return ""


def _state(storage: Storage, file: Named) -> str:
    digest = _digest(storage, file, STATE)
    if digest is None:
        return _envelope(storage, file)
    decode_json(_check_digest(storage, file, digest), storage.where(file.name))
    return ""


def _spec(storage: Storage, file: Named) -> str:
    commit = f"{file.name.removesuffix('.yaml')}.json"
    data = storage.read(file.name)
    try:
        expected = decode_json(storage.read(commit), storage.where(commit))
    except CorruptFileError:
        return "cannot be checked: the file that has its checksum is damaged"
    if expected.get("sha256") != hashlib.sha256(data).hexdigest():
        raise CorruptFileError(f"{storage.where(file.name)}: its checksum does not fit")
    return ""


def _commit(storage: Storage, file: Named) -> str:
    where = storage.where(file.name)
    if decode_json(storage.read(file.name), where).get("version") != file.number:
        raise CorruptFileError(f"{where}: is not the checksum of version {file.number}")
    return ""


_CHECKS: dict[str, Check] = {
    "config": _config,
    "header": _header,
    "record": _record,
    "sealed": _sealed,
    "manifest": _manifest,
    "tensors": _tensors,
    "state": _state,
    "spec": _spec,
    "commit": _commit,
}


def _folder(storage: Storage, file: Named) -> TrialFolder:
    return TrialFolder(storage, file.name.split("/")[1])


def _digest(storage: Storage, file: Named, leaf: str) -> FileDigest | None:
    """Return what a checkpoint's file must be; None where its manifest, which is told by itself, is damaged."""
    try:
        manifest: Manifest = _folder(storage, file).manifest(CheckpointRef(file.attempt, file.number))
    except CorruptFileError:
        return None
    return manifest.files[leaf]


def _check_digest(storage: Storage, file: Named, digest: FileDigest) -> bytes:
    data = storage.read(file.name, digest.size)
    if hashlib.sha256(data).hexdigest() != digest.sha256:
        raise CorruptFileError(f"{storage.where(file.name)}: its checksum is not the one in its manifest")
    return data


def _first(error: ValidationError) -> str:
    first: Any = error.errors(include_url=False)[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
