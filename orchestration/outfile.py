"""A file that a user asked for: never replaced unless so said, and never met half written."""

from __future__ import annotations

import secrets
from pathlib import Path

from selfish_core.errors import InputError
from selfish_core.files import LocalStorage, check_name

FORCE = "--force writes over it, --output names another file"
NEW = "name a new file"
"""What to do about a file that is there, where a verb has `--force` and where it has not."""


def check_free(path: Path, *, is_forced: bool = False, remedy: str = FORCE) -> None:
    """Refuse a place where nothing may be written, before anything is read.

    Args:
        path: of the file.
        is_forced: whether a file that is there is replaced.
        remedy: what a user can do, `FORCE` or `NEW`.

    Raises:
        InputError: for a folder, or a file that is there and is to be kept.
    """
    if path.is_dir():
        raise InputError(f"{path}: is a folder; {'name a file by --output' if remedy == FORCE else NEW}")
    if path.exists() and not is_forced:
        raise _is_there(path, remedy)


def write(path: Path, content: bytes, *, is_forced: bool = False, remedy: str = FORCE) -> None:
    """Write a file aside and give it its name at once.

    Args:
        path: of the file, in a folder that is there; its name is made of `A-Z a-z 0-9 . _ -`.
        content: all of it.
        is_forced: whether a file that is there is replaced.
        remedy: as of `check_free`.

    Raises:
        InputError: when a file of this name came meanwhile and is to be kept, or the name is none of ours.
    """
    folder = LocalStorage(path.parent)
    check_name("file", path.name)
    if is_forced:
        aside = f"{secrets.token_hex(8)}.new"
        folder.create(aside, content)
        (path.parent / aside).replace(path)
        return
    try:
        folder.create(path.name, content)
    except FileExistsError:
        raise _is_there(path, remedy) from None


def _is_there(path: Path, remedy: str) -> InputError:
    return InputError(f"{path}: is there already; {remedy}")
