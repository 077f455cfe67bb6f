"""What was read of a tracking store, kept as Parquet, so that reading it again takes a moment.

A file answers one question: these trials and metrics of that tracking store, read by this code. It is taken only where
the database is in the very state in which it was read, and every byte is as it was written; anything else is read anew.
A few files are kept, for nobody else to read. Small frames are not: they are read as fast from the database.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import secrets
from collections.abc import Collection
from functools import cache
from pathlib import Path

import pandas as pd

from results.frames import ALWAYS_THERE, WATCHED
from results.shown import Shown
from selfish_core.places import cache_folder, without_password

FORMAT = b"selfish-cache-1 "
MIN_ROWS = 20_000
MAX_FILES = 5
_DIGEST_BYTES = 64
_READERS = ("by_sql.py", "cache.py", "frames.py", "names.py", "reading.py", "shown.py")


def question(tracking_uri: str, experiment: str, keys: Collection[str], metrics: Collection[str] | None) -> str:
    """Return the name of what is asked for: 64 hex digits."""
    asked = [
        _code(),
        pd.__version__,
        WATCHED,
        ALWAYS_THERE,
        without_password(tracking_uri),
        experiment,
        sorted(keys),
        None if metrics is None else sorted(metrics),
    ]
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()


def find(asked: str, version: str) -> Shown | None:
    """Return what was kept as the answer; None where there is none or there is any doubt.

    Args:
        asked: from `question`.
        version: of the database now; empty where it has none.
    """
    try:
        _check_folder()
        path = _folder() / f"{asked}.parquet"
        data = path.read_bytes()
        head, body = data[: len(FORMAT) + _DIGEST_BYTES], data[len(FORMAT) + _DIGEST_BYTES :]
        if head != FORMAT + hashlib.sha256(body).hexdigest().encode():
            return None
        frame = pd.read_parquet(io.BytesIO(body), engine="pyarrow")
        about = dict(frame.attrs)
        if not version or about.get("version") != version or about.get("asked") != asked:
            return None
        frame.attrs = {}
        os.utime(path)
        return Shown(frame, tuple(about["warnings"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def keep(asked: str, version: str, shown: Shown) -> None:
    """Keep an answer, and of all answers the few that were taken last; where that fails, nothing is kept.

    Args:
        asked: from `question`.
        version: of the database, before and after it was read.
        shown: what was read.
    """
    if len(shown.frame) < MIN_ROWS:
        return
    frame = shown.frame.copy(deep=False)
    frame.attrs = {"asked": asked, "version": version, "warnings": list(shown.warnings)}
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False, engine="pyarrow", compression="lz4")
    body = buffer.getvalue()
    with contextlib.suppress(OSError):
        folder = _folder()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _check_folder()
        aside = folder / f".new-{secrets.token_hex(8)}"
        aside.touch(mode=0o600, exist_ok=False)
        aside.write_bytes(FORMAT + hashlib.sha256(body).hexdigest().encode() + body)
        aside.replace(folder / f"{asked}.parquet")
        _remove_old(folder)


def _folder() -> Path:
    return cache_folder() / "tracking"


def _check_folder() -> None:
    """Make sure that nobody else can put a file there.

    Raises:
        PermissionError: when somebody can.
    """
    stat = _folder().stat()
    if stat.st_uid != os.getuid() or stat.st_mode & 0o077:
        raise PermissionError(f"{_folder()} is open to others")


def _remove_old(folder: Path) -> None:
    files = sorted(folder.iterdir(), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    for path in files[MAX_FILES:]:
        path.unlink(missing_ok=True)


@cache
def _code() -> str:
    """Hash the modules that make a frame: what others of them made is not taken."""
    here = Path(__file__).parent
    return hashlib.sha256(b"".join((here / name).read_bytes() for name in _READERS)).hexdigest()
