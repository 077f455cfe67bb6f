"""The trial store on object storage, `s3://BUCKET/PREFIX`: each file is one object, made by one conditional request.

A file is put with `If-None-Match: *` in a single request whatever its size, so it is there as a whole or not at all and
never replaces another. Nothing is cached: a read or a listing is a request. Credentials and the endpoint come from the
environment, as for all of AWS's tools (AWS_ACCESS_KEY_ID, AWS_PROFILE, AWS_ENDPOINT_URL, …).
"""

from __future__ import annotations

import importlib.util
import re
import secrets
from contextlib import AbstractContextManager
from pathlib import Path
from urllib.parse import urlsplit

from selfish_core.errors import CorruptFileError, InputError, StoreError
from selfish_core.lease import Terms, Watch, held
from selfish_core.s3 import MAX_PUT_BYTES, Bucket
from selfish_core.storage import MAX_UNDECLARED_BYTES, SELF_TEST, Ownership, is_name, split_name

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", re.ASCII)
_LONGEST_PREFIX = 400


def is_url(place: str | Path) -> bool:
    """Whether a place is a URL; anything else is a folder.

    >>> is_url("s3://lab/selfish"), is_url("s3/lab")
    (True, False)
    """
    return isinstance(place, str) and "://" in place


def check_url(url: str) -> str:
    """Return a trial store's URL without a slash at its end.

    Raises:
        InputError: unless it is `s3://BUCKET/PREFIX` with safe names and no credentials, and s3fs is installed.
    """
    shown = re.sub(r"//[^/]*@", "//***@", url)
    scheme, _, rest = url.partition("://")
    bucket, *prefix = rest.rstrip("/").split("/")
    if "@" in bucket:
        told = "has credentials in it: they belong into the environment (AWS_ACCESS_KEY_ID and others)"
        raise InputError(f"trial store {shown!a} {told}")
    is_safe = _BUCKET.fullmatch(bucket) and ".." not in bucket and all(map(is_name, prefix))
    if scheme != "s3" or not is_safe or len(rest) > _LONGEST_PREFIX:
        told = "must be a folder or s3://BUCKET/PREFIX, the bucket of a-z 0-9 . -, the prefix of A-Z a-z 0-9 . _ - /"
        raise InputError(f"trial store {shown!a}: {told}")
    if importlib.util.find_spec("s3fs") is None:
        raise InputError(f"trial store {url} needs the package s3fs: pip install 'selfish[s3]'")
    return f"s3://{'/'.join([bucket, *prefix])}"


class ObjectStorage:
    """Keep files as the objects of a bucket; one that can only be read is used through `TrialStore.find`.

    Args:
        bucket: the requests.
        prefix: of all keys, without a slash at its end; empty for the whole bucket.
        terms: of the leases that stand for locks.
    """

    def __init__(self, bucket: Bucket, prefix: str, terms: Terms | None = None) -> None:
        self._bucket = bucket
        self._prefix = f"{prefix}/" if prefix else ""
        self._terms = terms or Terms()
        self._watches: dict[str, Watch] = {}

    @classmethod
    def at(cls, url: str) -> ObjectStorage:
        """Open the storage under a URL; nothing is asked of it yet.

        Raises:
            InputError: as `check_url`.
        """
        parts = urlsplit(check_url(url))
        return cls(Bucket(parts.netloc), parts.path.strip("/"))

    @property
    def place(self) -> str:
        """The URL."""
        return f"s3://{self._bucket.name}/{self._prefix}".rstrip("/")

    def self_test(self) -> None:
        """Make, read, list and delete a small file, and see that it cannot be made twice: nine requests.

        Raises:
            StoreError: when any of it goes wrong, also where the storage cannot be written.
        """
        name = f"{SELF_TEST}/{secrets.token_hex(16)}"
        try:
            problem = self._problem(name)
        finally:
            self.delete(name)
        if not problem and self.exists(name):
            problem = "a file just deleted is still there"
        if problem:
            raise StoreError(f"{self.place}: no trial store can be kept there: {problem}")

    def where(self, name: str) -> str:
        """Return the URL of a file."""
        return f"{self.place}/{name}"

    def read(self, name: str, size: int | None = None) -> bytes:
        """Read a file of the declared size, or of at most `MAX_UNDECLARED_BYTES`; no more than that is received."""
        limit = MAX_UNDECLARED_BYTES if size is None else size
        data = self._bucket.get(self._key(name), limit + 1)
        if size is not None and len(data) != size:
            found = f"more than {size}" if len(data) > size else len(data)
            raise CorruptFileError(f"{self.where(name)}: has {found} bytes, its manifest says {size}")
        if len(data) > limit:
            raise CorruptFileError(f"{self.where(name)}: has more than {limit} bytes, which are not read")
        return data

    def create(self, name: str, data: bytes) -> None:
        """Put an object that must be new."""
        if len(data) > MAX_PUT_BYTES:
            told = f"has {len(data)} bytes, an object made in one request at most {MAX_PUT_BYTES}"
            raise StoreError(f"{self.where(name)}: {told}")
        self._bucket.put_new(self._key(name), data)

    def exists(self, name: str) -> bool:
        """Whether there is an object of this name, or one below it."""
        key = self._key(name)
        return self._bucket.mark(key) is not None or any(self._bucket.keys(f"{key}/", is_deep=False))

    def everything(self, prefix: str) -> list[str]:
        """Names of all objects below a folder, sorted."""
        folder = f"{self._key(prefix)}/" if prefix else self._prefix
        return sorted(key.removeprefix(self._prefix) for key in self._bucket.keys(folder, is_deep=True))

    def list(self, prefix: str) -> list[str]:
        """Names directly under a folder, sorted, without those that are none of ours."""
        folder = f"{self._key(prefix)}/" if prefix else self._prefix
        leaves = {key.removeprefix(folder).rstrip("/") for key in self._bucket.keys(folder, is_deep=False)}
        return sorted(filter(is_name, leaves))

    def delete(self, name: str) -> None:
        """Delete an object and all below it."""
        key = self._key(name)
        self._bucket.delete([key, *self._bucket.keys(f"{key}/", is_deep=True)])

    def clean(self, prefix: str, *, is_fenced: bool) -> None:
        """Do nothing: a write that was interrupted leaves nothing behind."""

    def lock(self, name: str) -> AbstractContextManager[Ownership]:
        """Hold a lease, which ends some time after the process; one that seems abandoned is watched before it is taken.

        Raises:
            OwnedElsewhereError: when its owner is seen to live, after some seconds.
        """
        split_name(name)
        return held(self, name, self._terms)

    def is_held(self, name: str) -> bool:
        """Whether a lease is held, as far as this object has watched it."""
        split_name(name)
        return self._watches.setdefault(name, Watch(self, name, self._terms)).is_held()

    def _key(self, name: str) -> str:
        return self._prefix + "/".join(split_name(name))

    def _problem(self, name: str) -> str:
        """Make, read and list a file; return what does not go as it should, empty where all does."""
        self.create(name, b"first")
        try:
            self.create(name, b"second")
        except FileExistsError:
            pass
        else:
            return "it replaces what must be made only once, for it ignores If-None-Match; AWS's own S3 has it"
        try:
            is_read = self.read(name) == b"first"
        except FileNotFoundError:
            is_read = False
        if not is_read or name.rpartition("/")[2] not in self.list(SELF_TEST):
            return "a file just made cannot be read or is not listed"
        return ""
