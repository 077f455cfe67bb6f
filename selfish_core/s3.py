"""The requests on a bucket of S3 that the trial store is made of; the only module that knows s3fs.

What fails for a moment is asked again by the client below; what fails for good becomes a `StoreError` of one line.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Sequence
from typing import Any

from selfish_core.errors import StorageFullError, StoreError

MAX_PUT_BYTES = 5 * 2**30
"""Largest object that one request can make."""

_CONFIG = {"connect_timeout": 5, "read_timeout": 30, "retries": {"mode": "standard", "max_attempts": 5}}
_NUM_TRIES_OF_BODIES = 2
_NUM_TRIES_OF_CONFLICTS = 5
_MAX_DELETED_AT_ONCE = 1000
_MARK = "selfish-write"
_FULL = frozenset({"QuotaExceeded", "XMinioStorageFull"})
_NO_CREDENTIALS = "there are no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"


class RefusedError(StoreError):
    """The storage answered a request with an error.

    Args:
        message: one line.
        status: of HTTP.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Bucket:
    """One bucket; its requests may come from several threads.

    Args:
        name: the bucket's.
    """

    def __init__(self, name: str) -> None:
        import s3fs

        self.name = name
        self._files = s3fs.S3FileSystem(use_listings_cache=False, skip_instance_cache=True, config_kwargs=_CONFIG)
        self._files.retries = _NUM_TRIES_OF_BODIES

    def put_new(self, key: str, data: bytes) -> None:
        """Make an object in one request, which fails where there is one.

        It bears a mark of its own. Where the first answer was lost and the repeated request meets an object, the mark
        tells whether that is the one just made.

        Raises:
            FileExistsError: when another one is there.
            StoreError: as every request here, when it fails for good.
        """
        mark = secrets.token_hex(16)
        for num_left in reversed(range(_NUM_TRIES_OF_CONFLICTS)):
            try:
                self._call("put_object", Key=key, Body=data, IfNoneMatch="*", Metadata={_MARK: mark})
            except RefusedError as error:
                if error.status == 412 and self.mark(key) != mark:
                    raise FileExistsError(f"s3://{self.name}/{key}") from None
                if error.status == 409 and num_left:  # two such requests have met; either may win now
                    time.sleep(0.1)
                    continue
                if error.status != 412:
                    raise
            return

    def mark(self, key: str) -> str | None:
        """Return the mark of an object's writer, empty where it has none; None where there is no object."""
        try:
            answer = self._call("head_object", Key=key)
        except FileNotFoundError:
            return None
        return str(answer.get("Metadata", {}).get(_MARK, ""))

    def get(self, key: str, max_bytes: int) -> bytes:
        """Return an object's first bytes.

        Raises:
            FileNotFoundError: when there is none.
        """
        try:
            return bytes(self._asked(key, self._files.cat_file, f"{self.name}/{key}", start=0, end=max_bytes))
        except RefusedError as error:
            if error.status == 416:  # an empty object has no first byte
                return b""
            raise

    def keys(self, prefix: str, *, is_deep: bool) -> Iterator[str]:
        """Return the keys that start with a prefix, without the prefix itself.

        Args:
            prefix: empty, or with a slash at its end.
            is_deep: whether to go below the next slash; else what is below it is told as one key that ends with it.
        """
        arguments: dict[str, Any] = {"Prefix": prefix, "Delimiter": "" if is_deep else "/"}
        while True:
            page = self._call("list_objects_v2", **arguments)
            found = [entry["Key"] for entry in page.get("Contents", ())]
            found += [entry["Prefix"] for entry in page.get("CommonPrefixes", ())]
            yield from (key for key in found if key != prefix)
            if not page.get("IsTruncated"):
                return
            arguments["ContinuationToken"] = page["NextContinuationToken"]

    def delete(self, keys: Sequence[str]) -> None:
        """Delete objects; nothing happens for those that are absent."""
        for start in range(0, len(keys), _MAX_DELETED_AT_ONCE):
            objects = [{"Key": key} for key in keys[start : start + _MAX_DELETED_AT_ONCE]]
            answer = self._call("delete_objects", Delete={"Objects": objects, "Quiet": True})
            for failed in answer.get("Errors", ()):
                told = f"cannot be deleted: {failed.get('Code')} {failed.get('Message', '')}"
                raise StoreError(f"s3://{self.name}/{failed.get('Key')}: {told}")

    def _call(self, method: str, **arguments: Any) -> dict[str, Any]:
        where = arguments.get("Key", arguments.get("Prefix", ""))
        return dict(self._asked(where, self._files.call_s3, method, Bucket=self.name, **arguments))

    def _asked(self, key: str, request: Any, *arguments: Any, **named: Any) -> Any:
        try:
            return request(*arguments, **named)
        except Exception as error:  # of s3fs, botocore, aiohttp or asyncio: they have no class in common
            raise _explained(error, self.name, key) from error


def _explained(error: Exception, bucket: str, key: str) -> Exception:
    """Return our error for one of a library's."""
    where = f"s3://{bucket}/{key}"
    answer = getattr(error, "response", None) or getattr(error.__cause__, "response", None)
    if not isinstance(answer, dict):
        told = _NO_CREDENTIALS if type(error).__name__ == "NoCredentialsError" else _one_line(error)
        return StoreError(f"{where}: the storage was not reached: {told}")
    code, status = answer.get("Error", {}).get("Code", ""), answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code == "NoSuchBucket":
        return StoreError(f"s3://{bucket}: there is no such bucket; make it first, or name another")
    if status == 404:
        return FileNotFoundError(where)
    if status == 507 or code in _FULL:
        return StorageFullError(f"{where}: no space ({code})")
    return RefusedError(f"{where}: the storage refused: {code}: {_one_line(error)}", status)


def _one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else f"{text[:199]}…"
