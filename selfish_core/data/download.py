"""How a published corpus gets into the data folder: from its mirrors, resumed where it broke, checked by sha256.

A download is a cache, no durable truth: files are written aside and renamed once they are right, so a reader sees a
whole file or none, but nothing is synced to disk.
"""

from __future__ import annotations

import errno
import time
import zipfile
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import file_digest, sha256
from pathlib import Path

import requests
from filelock import FileLock

from selfish_core.catalogue.corpora import CorpusFile, CorpusRow, Split
from selfish_core.errors import CorpusError, StorageFullError

Report = Callable[[str, int, int | None], None]
"""Called with (what, bytes so far, bytes in all or None)."""

NUM_TRIES = 4
"""How often one mirror is tried, where trying again may help."""
BACKOFF_SECONDS = 0.5
"""The wait before the second try; it doubles each time."""

_CHUNK_BYTES = 2**12
"""Where a connection breaks, less than this is lost."""
_TIMEOUT_SECONDS = (10, 30)
_HEADERS = {"User-Agent": "selfish (language-model corpora)", "Accept-Encoding": "identity"}
_RETRIED_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})


class _TryAgainError(Exception):
    """A mirror that may work the next time."""


class _NextMirrorError(Exception):
    """A mirror that will not give the file."""


@dataclass(frozen=True)
class _Transfer:
    """One file to get.

    Args:
        what: its name in progress reports and errors.
        part: where the bytes are collected, and found again by the next try.
        max_bytes: more than this is refused.
        accept: takes the whole part; returns why it is wrong, or an empty text once it has been put to use.
        report: progress.
    """

    what: str
    part: Path
    max_bytes: int
    accept: Callable[[Path], str]
    report: Report | None


def download_corpus(row: CorpusRow, root: Path, splits: Iterable[Split], report: Report | None = None) -> None:
    """Download files of a corpus into `root/<name>/<split>.txt`.

    Args:
        row: the corpus; its urls are tried in order, its checksums decide what is right.
        root: the data folder; made where it is missing.
        splits: the files that are missing.
        report: called with (what, bytes so far, bytes in all or None).

    Raises:
        CorpusError: no mirror gave the right bytes; one line that says what each did.
        StorageFullError: no space is left; what was transferred is kept and resumed.
    """
    folder = root / row.name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".lock"):
            missing = [split for split in splits if not (folder / f"{split}.txt").exists()]
            for transfer, urls in _transfers(row, folder, missing, report):
                _fetch(transfer, urls, f"corpus {row.name}")
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFullError(f"corpus {row.name}: no space left in {folder}") from None
        raise CorpusError(f"corpus {row.name}: cannot write {folder}: {error.strerror or error}") from None


def _transfers(
    row: CorpusRow, folder: Path, splits: list[Split], report: Report | None
) -> list[tuple[_Transfer, tuple[str, ...]]]:
    if row.archive_urls and splits:

        def accept_archive(part: Path) -> str:
            return _extract(part, {folder / f"{split}.txt": row.files[split] for split in splits})

        part = folder / ".archive.zip.part"
        what = f"{row.name} archive"
        return [(_Transfer(what, part, row.archive_num_bytes, accept_archive, report), row.archive_urls)]
    return [_text_transfer(row, folder, split, report) for split in splits]


def _text_transfer(
    row: CorpusRow, folder: Path, split: Split, report: Report | None
) -> tuple[_Transfer, tuple[str, ...]]:
    file = row.files[split]

    def accept(part: Path) -> str:
        with part.open("rb") as stream:
            found = file_digest(stream, "sha256").hexdigest()
        if found != file.sha256:
            return f"wrong bytes: sha256 {found}, must be {file.sha256}"
        part.replace(folder / f"{split}.txt")
        return ""

    part = folder / f".{split}.txt.part"
    return _Transfer(f"{row.name}/{split}.txt", part, file.num_bytes, accept, report), file.urls


def _fetch(transfer: _Transfer, urls: tuple[str, ...], corpus: str) -> None:
    failures = []
    for url in urls:
        try:
            return _fetch_from(transfer, url)
        except _NextMirrorError as error:
            failures.append(f"{url}: {error}")
    told = "; ".join(failures) or "no mirror is known"
    raise CorpusError(f"{corpus}: {transfer.what} could not be downloaded: {told}; put it into {transfer.part.parent}")


def _fetch_from(transfer: _Transfer, url: str) -> None:
    reason = ""
    for number in range(NUM_TRIES):
        if number:
            time.sleep(BACKOFF_SECONDS * 2 ** (number - 1))
        try:
            is_resumed = _get(transfer, url)
        except _TryAgainError as error:
            reason = str(error)
            continue
        reason = transfer.accept(transfer.part)
        if not reason:
            return
        transfer.part.unlink()
        if not is_resumed:
            break
    raise _NextMirrorError(reason)


def _get(transfer: _Transfer, url: str) -> bool:
    """Bring the part to its full length; say whether its first bytes are from an earlier try."""
    done = transfer.part.stat().st_size if transfer.part.exists() else 0
    headers = _HEADERS | ({"Range": f"bytes={done}-"} if done else {})
    try:
        with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT_SECONDS) as response:
            _check_status(response, transfer, done)
            if response.status_code != requests.codes.partial:
                done = 0
            length = response.headers.get("Content-Length", "")
            total = done + int(length) if length.isdecimal() else None
            _write(response, transfer, done, total)
    except requests.RequestException as error:
        raise _TryAgainError(_why(error)) from None
    return done > 0


def _check_status(response: requests.Response, transfer: _Transfer, done: int) -> None:
    status = response.status_code
    if status == requests.codes.requested_range_not_satisfiable:
        transfer.part.unlink()
        raise _TryAgainError(f"HTTP {status}: the file is not longer than {done:,} bytes")
    if status in _RETRIED_STATUSES:
        raise _TryAgainError(f"HTTP {status}")
    if status == requests.codes.partial:
        if not response.headers.get("Content-Range", "").startswith(f"bytes {done}-"):
            transfer.part.unlink(missing_ok=True)
            raise _TryAgainError("HTTP 206 with another range than was asked for")
    elif status != requests.codes.ok:
        raise _NextMirrorError(f"HTTP {status}")


def _write(response: requests.Response, transfer: _Transfer, done: int, total: int | None) -> None:
    with transfer.part.open("ab" if done else "wb") as part:
        for chunk in response.iter_content(_CHUNK_BYTES):
            done += len(chunk)
            if done > transfer.max_bytes:
                part.close()
                transfer.part.unlink()
                raise _NextMirrorError(f"wrong bytes: more than {transfer.max_bytes:,} of them")
            part.write(chunk)
            part.flush()
            if transfer.report:
                transfer.report(transfer.what, done, total)


def _extract(archive: Path, members: dict[Path, CorpusFile]) -> str:
    """Take the members out, each checked before it gets its name; say what is wrong."""
    try:
        with zipfile.ZipFile(archive) as opened:
            for path, file in members.items():
                with opened.open(file.member) as stream:
                    data = stream.read(file.num_bytes + 1)
                found = sha256(data).hexdigest()
                if found != file.sha256:
                    return f"wrong bytes in {file.member}: sha256 {found}, must be {file.sha256}"
                aside = path.with_name(f".{path.name}.part")
                aside.write_bytes(data)
                aside.replace(path)
    except KeyError:
        return f"the archive lacks {file.member}"
    except (zipfile.BadZipFile, zlib.error, EOFError, ValueError, RuntimeError, NotImplementedError) as error:
        return f"not the archive: {_first_line(error)}"
    archive.unlink()
    return ""


def _why(error: requests.RequestException) -> str:
    if isinstance(error, requests.Timeout):
        return "timed out"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection broke"
    return str(error).rsplit(": ", 1)[-1].rstrip("\"')")


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
