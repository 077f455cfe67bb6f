"""How a file that a user put somewhere is read: only a regular file inside its folder, and only up to a stated size.

Every part of the name below the folder is opened without following links, so nothing outside the folder can be reached;
what is not a regular file (a pipe, a device, a folder) is refused before it is opened, so nothing can hang.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from selfish_core.errors import CorpusError

MAX_FILE_BYTES = 512 * 2**20
"""The most bytes that one corpus file may have; its size is checked before it is read."""

_KINDS = (
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def read_file(root: Path, name: str, max_bytes: int = MAX_FILE_BYTES) -> bytes:
    """Read a regular file below a folder.

    Args:
        root: the folder; it may itself be a symbolic link, since the user named it.
        name: relative POSIX path below it, without `..`.
        max_bytes: the most bytes that the file may have.

    Raises:
        FileNotFoundError: there is no such file, or no such folder.
        CorpusError: it is not a regular file, too large, unreadable or changes while it is read.
    """
    *folders, last = name.split("/")
    if not all(part not in ("", ".", "..") for part in (*folders, last)):
        raise CorpusError(f"{name!r}: not a relative path inside {root}")
    try:
        folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for part in folders:
                folder = _enter(folder, part, root / name)
            return _read(folder, last, root / name, max_bytes)
        finally:
            os.close(folder)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise CorpusError(f"{root / name}: cannot be read: {error.strerror}") from None


def _enter(folder: int, part: str, path: Path) -> int:
    mode = os.stat(part, dir_fd=folder, follow_symlinks=False).st_mode
    if not stat.S_ISDIR(mode):
        raise CorpusError(f"{path}: {part!r} is {_kind(mode)}, must be a folder")
    inner = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    os.close(folder)
    return inner


def _read(folder: int, name: str, path: Path, max_bytes: int) -> bytes:
    _check_regular(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode, path)
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        _check_regular(status.st_mode, path)
        if status.st_size > max_bytes:
            raise CorpusError(f"{path}: {status.st_size:,} bytes, at most {max_bytes:,} are read")
        data = file.read(status.st_size + 1)
    if len(data) != status.st_size:
        raise CorpusError(f"{path}: its size changed while it was read; try again when it is still")
    return data


def _check_regular(mode: int, path: Path) -> None:
    if not stat.S_ISREG(mode):
        raise CorpusError(f"{path}: {_kind(mode)}, must be a regular file")


def _kind(mode: int) -> str:
    return next((kind for is_kind, kind in _KINDS if is_kind(mode)), "a file" if stat.S_ISREG(mode) else "no file")
