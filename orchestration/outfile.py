"""A file that a user asked for: never replaced unless so said, and never met half written."""

from __future__ import annotations

from pathlib import Path

from selfish_core.errors import InputError
from selfish_core.files import LocalStorage


def check_free(path: Path, *, is_forced: bool) -> None:
    """Refuse a place where nothing may be written, before anything is read.

    Raises:
        InputError: for a folder, or a file that is there and is to be kept.
    """
    if path.is_dir():
        raise InputError(f"{path}: is a folder; name a file by --output")
    if path.exists() and not is_forced:
        raise InputError(f"{path}: is there already; --force writes over it, --output names another file")


def write(path: Path, content: bytes, *, is_forced: bool) -> None:
    """Write a file aside and give it its name at once.

    Args:
        path: of the file, in a folder that is there; its name is made of `A-Z a-z 0-9 . _ -`.
        content: all of it.
        is_forced: whether a file that is there is replaced.

    Raises:
        InputError: when a file of this name came meanwhile and is to be kept, or the name is none of ours.
    """
    folder = LocalStorage(path.parent)
    name = f"{path.name}.new" if is_forced else path.name
    if is_forced:
        folder.delete(name)
    try:
        folder.create(name, content)
    except FileExistsError:
        raise InputError(f"{path}: is there already; --force writes over it, --output names another file") from None
    if is_forced:
        (path.parent / name).replace(path)
