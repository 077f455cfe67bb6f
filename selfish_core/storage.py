"""What the trial store asks of a place to keep files, the names it may use there, and the envelope of its JSON files.

Every JSON file is wrapped with the SHA-256 of its body, so that any byte that is not what was written shows.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

from selfish_core.errors import CorruptFileError, InputError

MAX_UNDECLARED_BYTES = 256 * 2**20
"""Largest file that is read without its size having been declared by a manifest."""

SELF_TEST = "self-test"
"""Folder of the files of a self-test that is running, or was interrupted; anybody may remove it."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", re.ASCII)
_HEAD, _MIDDLE, _TAIL = b'{"sha256":"', b'","body":', b"}\n"
_BODY_AT = len(_HEAD) + 64 + len(_MIDDLE)


def is_name(name: str) -> bool:
    """Whether a name is safe as one part of a path: see `check_name`."""
    return _NAME.fullmatch(name) is not None and ".." not in name


def check_name(kind: str, name: str) -> str:
    """Return a name that is safe as one part of a path.

    Raises:
        InputError: unless it has 1 to 128 of `A-Z a-z 0-9 . _ -`, starts with a letter or digit and has no `..`.
    """
    if not is_name(name):
        shown = ascii(name) if len(name) <= 60 else ascii(name)[:60] + "…"
        allowed = "1 to 128 of A-Z a-z 0-9 . _ -, a letter or digit first, no '..'"
        raise InputError(f"{kind} {shown} is not a name: allowed are {allowed}")
    return name


def split_name(name: str) -> list[str]:
    """Return the parts of a file's or folder's name, each checked; none for the root.

    Raises:
        InputError: as `check_name`.
    """
    return [check_name("file or folder", part) for part in name.split("/")] if name else []


def wrap(body: bytes) -> bytes:
    """Put a JSON body into an envelope with its SHA-256; the whole is JSON too."""
    return _HEAD + hashlib.sha256(body).hexdigest().encode() + _MIDDLE + body + _TAIL


def unwrap(data: bytes, where: str) -> bytes:
    """Take the JSON body out of its envelope.

    Args:
        data: the whole file.
        where: the file, for the message.

    Raises:
        CorruptFileError: when any byte of the file is not what was written.
    """
    body = data[_BODY_AT : -len(_TAIL)]
    if data != wrap(body):
        raise CorruptFileError(f"{where}: its checksum does not fit, so it was damaged or cut after it was written")
    return body


def encode_json(value: Mapping[str, Any]) -> bytes:
    """Write a mapping as canonical JSON in its envelope; NaN and infinities are refused."""
    return wrap(json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode())


def decode_json(data: bytes, where: str) -> dict[str, Any]:
    """Read what `encode_json` wrote.

    Raises:
        CorruptFileError: when the file is damaged or holds no mapping.
    """
    try:
        value = json.loads(unwrap(data, where))
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise CorruptFileError(f"{where}: holds no JSON mapping")
    return value


class Ownership(Protocol):
    """What the holder of a lock has in hand."""

    @property
    def is_lost(self) -> bool:
        """Whether another process may hold the lock by now, so that this one must stop writing; true for ever then."""


class Storage(Protocol):
    """A place for immutable files; names are relative POSIX paths of safe parts."""

    @property
    def place(self) -> str:
        """The folder or URL with which another process opens the same storage."""

    def self_test(self) -> None:
        """Make sure that the place keeps what this protocol promises; one that cannot be written passes.

        Raises:
            StoreError: when it does not.
        """

    def where(self, name: str) -> str:
        """Where a file is, for messages."""

    def read(self, name: str, size: int | None = None) -> bytes:
        """Read a file; where `size` (bytes) is given, one of another size is refused before it is read.

        Raises:
            FileNotFoundError: when there is none.
            CorruptFileError: when it has another size.
        """

    def create(self, name: str, data: bytes) -> None:
        """Make a new file durably, with its folders: all of it or none.

        Raises:
            FileExistsError: when the name is taken; what is there is durable then.
            StorageFullError: when there is no space.
        """

    def exists(self, name: str) -> bool:
        """Whether a file or folder of this name is there."""

    def everything(self, prefix: str) -> list[str]:
        """Names of all files below a folder, sorted, whatever they are called; none where it is absent.

        What is neither a file nor a folder that can be entered, such as a symbolic link, stands there as it is called.
        """

    def list(self, prefix: str) -> list[str]:
        """Names directly under a folder, sorted; none where it is absent."""

    def delete(self, name: str) -> None:
        """Remove a file or a whole folder durably; nothing happens where it is absent."""

    def clean(self, prefix: str, *, is_fenced: bool) -> None:
        """Remove what interrupted writes left under a folder.

        Args:
            prefix: the folder; all below it too where `is_fenced`, else only what lies directly in it.
            is_fenced: whether nobody may write there any more; else only what dead processes left is removed.
        """

    def lock(self, name: str) -> AbstractContextManager[Ownership]:
        """Hold an exclusive lock that ends with the process, however it ends; look at `is_lost` before a write.

        Raises:
            OwnedElsewhereError: when another holds it.
        """

    def is_held(self, name: str) -> bool:
        """Whether somebody holds a lock, this process too, without waiting.

        Where there are no locks of the system, one whose holder died without a word counts as held until this object
        has been asked for longer than the lease time.
        """
