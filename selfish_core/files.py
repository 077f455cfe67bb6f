"""Durable files: the only module that writes them.

A file is new, complete and immutable, or it is not there: its bytes are written aside, synced, linked to their name
(which fails where the name is taken), and the folder is synced. `LocalStorage` does so on a file system with hard links
and locks. Every call that changes the disk goes through `SystemCalls`, so that a test can make it fail.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import functools
import hashlib
import os
import re
import secrets
import socket
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from selfish_core.errors import CorruptFileError, OwnedElsewhereError, StorageFullError, StoreError
from selfish_core.storage import (
    MAX_UNDECLARED_BYTES,
    Storage,
    check_name,
    decode_json,
    encode_json,
    is_name,
    split_name,
    unwrap,
    wrap,
)

__all__ = ["LocalStorage", "Storage", "SystemCalls", "check_name", "decode_json", "encode_json", "unwrap", "wrap"]

_ASIDE = re.compile(r"\.tmp-(?P<machine>[0-9a-f]+)-(?P<pid>[0-9]+)-[0-9a-f]+", re.ASCII)
_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_OPEN_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class SystemCalls:
    """Each call that changes the disk, and nothing else; `folder` is an open folder's descriptor."""

    def make_folder(self, name: str, folder: int | None) -> None:
        """Make a folder with mode 0700, whatever the umask."""
        os.mkdir(name, 0o700, dir_fd=folder)
        os.chmod(name, 0o700, dir_fd=folder)

    def open_new(self, name: str, folder: int) -> int:
        """Make an empty file with mode 0600, whatever the umask, and open it for writing."""
        descriptor = os.open(name, _OPEN_NEW, 0o600, dir_fd=folder)
        os.fchmod(descriptor, 0o600)
        return descriptor

    def write(self, descriptor: int, data: memoryview) -> int:
        """Write some or all of the data and return how many bytes."""
        return os.write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        """Wait until a file's bytes, or a folder's names, are on the disk."""
        os.fsync(descriptor)

    def link(self, source: str, name: str, folder: int) -> None:
        """Give a file a second name, which must be free."""
        os.link(source, name, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)

    def unlink(self, name: str, folder: int) -> None:
        """Take away a file's name."""
        os.unlink(name, dir_fd=folder)

    def remove_folder(self, name: str, folder: int) -> None:
        """Remove an empty folder."""
        os.rmdir(name, dir_fd=folder)

    def lock(self, descriptor: int) -> None:
        """Take an exclusive lock or fail at once."""
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


class FileLock:
    """A lock of the system: it is held until it is given back."""

    is_lost = False


class LocalStorage:
    """Keep files in a folder: files 0600, folders 0700, symbolic links below the root never followed.

    Args:
        root: the folder; made when absent. Links on the way to it are allowed.
        calls: what changes the disk.
    """

    def __init__(self, root: Path, calls: SystemCalls | None = None) -> None:
        self.root = root.resolve()
        self._calls = calls or SystemCalls()
        self._durable: set[str] = set()
        with self._explained(".", 0):
            self._make_root(self.root)

    @property
    def place(self) -> str:
        """The absolute path of the folder."""
        return str(self.root)

    def self_test(self) -> None:
        """Check the locks, and remove what dead processes left at the root; a folder that can only be read passes."""
        if os.access(self.root, os.W_OK):
            self.check_locks("store.lock")
            self.clean("", is_fenced=False)

    def where(self, name: str) -> str:
        """Return the absolute path."""
        return str(self.root / name)

    def read(self, name: str, size: int | None = None) -> bytes:
        """Read a file of the declared size, or of at most `MAX_UNDECLARED_BYTES`."""
        *parents, leaf = split_name(name)
        with self._explained(name, 0), self._folder(parents) as folder:
            descriptor = os.open(leaf, _OPEN_FILE, dir_fd=folder)
            with os.fdopen(descriptor, "rb") as file:
                num_bytes = self._checked_size(name, os.fstat(descriptor), size)
                try:
                    return file.read(num_bytes)
                except OSError as error:
                    raise CorruptFileError(f"{self.where(name)}: cannot be read: {error.strerror}") from error

    def create(self, name: str, data: bytes) -> None:
        """Write aside, sync, link to the name, sync the folder."""
        *parents, leaf = split_name(name)
        with self._explained(name, len(data)):
            try:
                with self._folder(parents, is_made=True) as folder:
                    self._create(leaf, data, folder)
            except FileNotFoundError as error:
                raise StoreError(f"{self.where(name)}: was taken away while it was written") from error

    def exists(self, name: str) -> bool:
        """Whether anything of this name is there; a symbolic link on the way to it is refused."""
        *parents, leaf = split_name(name)
        try:
            with self._explained(name, 0), self._folder(parents) as folder:
                os.stat(leaf, dir_fd=folder, follow_symlinks=False)
                return True
        except FileNotFoundError:
            return False

    def everything(self, prefix: str) -> list[str]:
        """Names of all files below a folder, sorted; links and folders that may not be read are names of their own."""
        try:
            with self._explained(prefix, 0), self._folder(split_name(prefix)) as folder:
                return sorted(_names_below(folder, f"{prefix}/" if prefix else ""))
        except FileNotFoundError:
            return []

    def list(self, prefix: str) -> list[str]:
        """Names directly under a folder, sorted, without links and names that are none of ours."""
        try:
            with self._explained(prefix, 0), self._folder(split_name(prefix)) as folder, os.scandir(folder) as entries:
                return sorted(entry.name for entry in entries if is_name(entry.name) and not entry.is_symlink())
        except FileNotFoundError:
            return []

    def delete(self, name: str) -> None:
        """Remove a file or a folder with all in it, then sync the folder that held it."""
        *parents, leaf = split_name(name)
        with contextlib.suppress(FileNotFoundError), self._explained(name, 0), self._folder(parents) as folder:
            self._remove(leaf, folder)
            self._calls.sync(folder)

    def clean(self, prefix: str, *, is_fenced: bool) -> None:
        """Remove temporary files, of dead processes only unless the folder is fenced."""
        with (
            contextlib.suppress(FileNotFoundError),
            self._explained(prefix, 0),
            self._folder(split_name(prefix)) as folder,
        ):
            self._clean(folder, is_fenced)

    @contextlib.contextmanager
    def lock(self, name: str) -> Iterator[FileLock]:
        """Lock a file that stays empty and is never removed."""
        *parents, leaf = split_name(name)
        with self._explained(name, 0), self._folder(parents, is_made=True) as folder:
            descriptor = self._open_lock(leaf, folder)
        try:
            try:
                self._calls.lock(descriptor)
            except BlockingIOError:
                raise OwnedElsewhereError(f"{self.where(name)} is locked by another process") from None
            except OSError as error:
                raise StoreError(f"{self.root}: {_no_locks(error.strerror)}") from None
            owner = os.getpid()
            yield FileLock()
            if os.getpid() == owner:  # a forked child that unwinds must not end its parent's lock
                fcntl.flock(descriptor, fcntl.LOCK_UN)
        finally:
            os.close(descriptor)

    def is_held(self, name: str) -> bool:
        """Whether the lock is held; found out by taking it for a moment."""
        if not self.exists(name):
            return False
        try:
            with self.lock(name):
                return False
        except OwnedElsewhereError:
            return True

    def check_locks(self, name: str) -> None:
        """Make sure that the file system refuses to lock one file twice.

        Raises:
            StoreError: when it does not know locks or grants one twice.
        """
        with contextlib.suppress(OwnedElsewhereError), self.lock(name):
            with self.lock(name):
                pass
            raise StoreError(f"{self.root}: {_no_locks('it granted one lock twice')}")

    @contextlib.contextmanager
    def _folder(self, parts: Sequence[str], *, is_made: bool = False) -> Iterator[int]:
        current = os.open(self.root, _OPEN_FOLDER)
        try:
            for depth, part in enumerate(parts, start=1):
                if is_made:
                    self._make(part, current, "/".join(parts[:depth]))
                deeper = self._enter(part, current)
                os.close(current)
                current = deeper
            yield current
        finally:
            os.close(current)

    def _enter(self, part: str, folder: int) -> int:
        try:
            return os.open(part, _OPEN_FOLDER, dir_fd=folder)
        except NotADirectoryError as error:
            if stat.S_ISLNK(os.stat(part, dir_fd=folder, follow_symlinks=False).st_mode):
                raise OSError(errno.ELOOP, "symbolic link") from error
            raise FileNotFoundError(errno.ENOENT, f"{part!r} is not a folder") from error

    def _make(self, part: str, folder: int, name: str) -> None:
        if name in self._durable and _is_folder(part, folder):
            return
        if not _is_folder(part, folder):
            with contextlib.suppress(FileExistsError):
                self._calls.make_folder(part, folder)
        self._calls.sync(folder)
        self._durable.add(name)

    def _make_root(self, path: Path) -> None:
        if path.is_dir():
            return
        self._make_root(path.parent)
        with contextlib.suppress(FileExistsError):
            self._calls.make_folder(str(path), None)
        parent = os.open(path.parent, _OPEN_FOLDER)
        try:
            self._calls.sync(parent)
        finally:
            os.close(parent)

    def _create(self, leaf: str, data: bytes, folder: int) -> None:
        aside = f".tmp-{_machine()}-{os.getpid()}-{secrets.token_hex(8)}"
        try:
            self._write_aside(aside, data, folder)
            try:
                self._calls.link(aside, leaf, folder)
            except FileExistsError:
                self._calls.sync(folder)
                raise
        finally:
            with contextlib.suppress(FileNotFoundError):
                self._calls.unlink(aside, folder)
        self._calls.sync(folder)

    def _write_aside(self, aside: str, data: bytes, folder: int) -> None:
        descriptor = self._calls.open_new(aside, folder)
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[self._calls.write(descriptor, rest) :]
            self._calls.sync(descriptor)
        finally:
            os.close(descriptor)

    def _remove(self, leaf: str, folder: int) -> None:
        if not _is_folder(leaf, folder):
            self._calls.unlink(leaf, folder)
            return
        inner = os.open(leaf, _OPEN_FOLDER, dir_fd=folder)
        try:
            for child in _everything_in(inner):
                with contextlib.suppress(FileNotFoundError):
                    self._remove(child, inner)
        finally:
            os.close(inner)
        self._calls.remove_folder(leaf, folder)

    def _clean(self, folder: int, is_fenced: bool) -> None:
        for name in _everything_in(folder):
            aside = _ASIDE.fullmatch(name)
            with contextlib.suppress(FileNotFoundError):
                if aside and (is_fenced or _is_dead(aside["machine"], int(aside["pid"]))):
                    self._calls.unlink(name, folder)
                elif is_fenced and _is_folder(name, folder):
                    inner = os.open(name, _OPEN_FOLDER, dir_fd=folder)
                    try:
                        self._clean(inner, is_fenced)
                    finally:
                        os.close(inner)

    def _open_lock(self, leaf: str, folder: int) -> int:
        flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC
        with contextlib.suppress(FileNotFoundError):
            return os.open(leaf, flags, dir_fd=folder)
        with contextlib.suppress(FileExistsError):
            os.close(self._calls.open_new(leaf, folder))
        return os.open(leaf, flags, dir_fd=folder)

    def _checked_size(self, name: str, info: os.stat_result, size: int | None) -> int:
        found = info.st_size
        if not stat.S_ISREG(info.st_mode):
            raise CorruptFileError(f"{self.where(name)}: is not a regular file")
        if size is not None and found != size:
            raise CorruptFileError(f"{self.where(name)}: has {found} bytes, its manifest says {size}")
        if size is None and found > MAX_UNDECLARED_BYTES:
            raise CorruptFileError(f"{self.where(name)}: has {found} bytes, at most {MAX_UNDECLARED_BYTES} are read")
        return found

    @contextlib.contextmanager
    def _explained(self, name: str, num_bytes: int) -> Iterator[None]:
        """Turn the system's errors into ours; that a file is there or absent is for the caller to judge."""
        try:
            yield
        except (FileNotFoundError, FileExistsError):
            raise
        except OSError as error:
            reason = error.strerror or str(error)
            if error.errno == errno.ELOOP:
                raise CorruptFileError(
                    f"{self.where(name)}: is or goes through a symbolic link, which is refused"
                ) from error
            if error.errno in _NO_SPACE:
                need = f"{num_bytes} bytes needed, {_num_free_bytes(self.root)} free"
                raise StorageFullError(f"{self.where(name)}: no space ({reason}): {need}") from error
            raise StoreError(f"{self.where(name)}: {reason}") from error


def _everything_in(folder: int) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries)


def _names_below(folder: int, prefix: str) -> Iterator[str]:
    for name in _everything_in(folder):
        try:
            inner = os.open(name, _OPEN_FOLDER, dir_fd=folder)
        except FileNotFoundError:  # taken away meanwhile
            continue
        except OSError:
            yield prefix + name
            continue
        try:
            yield from _names_below(inner, f"{prefix}{name}/")
        finally:
            os.close(inner)


def _is_folder(name: str, folder: int) -> bool:
    try:
        return stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return False


@functools.cache
def _machine() -> str:
    """Name the space in which a process id means one process: a host, or a container on it."""
    try:
        space = str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        space = ""
    return hashlib.sha256(f"{socket.gethostname()} {space}".encode()).hexdigest()[:8]


def _is_dead(machine: str, pid: int) -> bool:
    if machine != _machine():
        return False
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        return False
    return False


def _num_free_bytes(path: Path) -> int:
    try:
        info = os.statvfs(path)
    except OSError:
        return 0
    return info.f_bavail * info.f_frsize


def _no_locks(reason: str | None) -> str:
    return f"this file system keeps no file locks ({reason}); put the trial store on one that does, as a local disk"
