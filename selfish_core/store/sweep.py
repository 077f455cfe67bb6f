"""A sweep's folder in the trial store: its spec's versions, who owns it, what was asked of it and what was decided.

sweeps/<name>/spec-0001.yaml             the bytes as they were given
sweeps/<name>/spec-0001.json             their SHA-256, written last: the commit
sweeps/<name>/owner.lock                 held by the process that runs the sweep
sweeps/<name>/owner.json                 who that is or was, for people
sweeps/<name>/requests/0001.json         what the sweep was asked to do, such as stop
sweeps/<name>/decisions/000001.json      what was decided about its trials, in order
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import socket
import time
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from selfish_core.errors import CorruptFileError, OwnedElsewhereError, StoreError
from selfish_core.storage import Storage, check_name, decode_json, encode_json

FORMAT = 1
_SPEC = re.compile(r"spec-([0-9]{4,9})\.(yaml|json)", re.ASCII)
_NUMBER = re.compile(r"([0-9]{4,9})\.json", re.ASCII)


class SavedSpec(NamedTuple):
    """One version of a sweep's spec, from 1, as the bytes of its YAML."""

    version: int
    text: bytes


class Decision(NamedTuple):
    """What was decided, e.g. that a trial is stopped, and the particulars."""

    kind: str
    body: dict[str, Any]


class StoredSweep:
    """One sweep's files, whether or not there are any yet.

    Args:
        storage: where the trial store is kept.
        name: the sweep's name, already checked.
    """

    def __init__(self, storage: Storage, name: str) -> None:
        self.name = name
        self._storage = storage

    def save_spec(self, text: bytes) -> int:
        """Keep the spec's bytes, unless they are those of the newest version, and return the version's number."""
        saved = self.specs()
        if saved and saved[-1].text == text:
            return saved[-1].version
        matches = map(_SPEC.fullmatch, self._storage.list(self._file()))
        version = max((int(match[1]) for match in matches if match), default=0)
        while True:
            version += 1
            with contextlib.suppress(FileExistsError):
                self._storage.create(self._file(f"spec-{version:04d}.yaml"), text)
                commit = {"format": FORMAT, "version": version, "sha256": hashlib.sha256(text).hexdigest()}
                self._storage.create(self._file(f"spec-{version:04d}.json"), encode_json(commit))
                return version

    def specs(self) -> list[SavedSpec]:
        """Return the sound versions of the spec, oldest first."""
        return self._read_specs([])

    @contextlib.contextmanager
    def owned(self) -> Iterator[None]:
        """Own the sweep; the lock ends with the process, however it ends.

        Raises:
            OwnedElsewhereError: at once, when another live process owns it; says which.
        """
        with contextlib.ExitStack() as stack:
            try:
                stack.enter_context(self._storage.lock(self._file("owner.lock")))
            except OwnedElsewhereError:
                raise OwnedElsewhereError(f"sweep {self.name!r} is owned by {self._owner()}") from None
            for folder in ((), ("requests",), ("decisions",)):
                self._storage.clean(self._file(*folder), is_fenced=False)
            self._storage.delete(self._file("owner.json"))
            since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            owner = {"format": FORMAT, "pid": os.getpid(), "host": socket.gethostname(), "since": since}
            self._storage.create(self._file("owner.json"), encode_json(owner))
            yield

    def request(self, kind: str) -> None:
        """Ask whoever runs the sweep to do something, e.g. `stop`."""
        self._append("requests", 4, {"format": FORMAT, "kind": check_name("request", kind)})

    def requests(self) -> list[str]:
        """Return the kinds of what was asked and not cleared, oldest first."""
        return [body["kind"] for _, body in self._numbered("requests", [])]

    def clear_requests(self) -> None:
        """Forget what was asked."""
        self._storage.delete(self._file("requests"))

    def decide(self, kind: str, body: Mapping[str, Any]) -> int:
        """Keep a decision and return its number.

        Args:
            kind: what was decided, a name.
            body: JSON-able particulars; a float that is not finite is refused.
        """
        entry = {"format": FORMAT, "kind": check_name("decision", kind), "body": dict(body)}
        return self._append("decisions", 6, entry)

    def decisions(self) -> list[Decision]:
        """Return the sound decisions in order."""
        return [Decision(body["kind"], body["body"]) for _, body in self._numbered("decisions", [])]

    def problems(self) -> list[str]:
        """Return one line for each damaged file of the sweep."""
        damage: list[str] = []
        self._read_specs(damage)
        self._numbered("requests", damage)
        self._numbered("decisions", damage)
        return damage

    def _file(self, *parts: str) -> str:
        return "/".join(("sweeps", self.name, *parts))

    def _read_specs(self, damage: list[str]) -> list[SavedSpec]:
        found = []
        names = self._storage.list(self._file())
        versions = sorted(int(match[1]) for match in map(_SPEC.fullmatch, names) if match and match[2] == "json")
        for version in versions:
            text, commit = self._file(f"spec-{version:04d}.yaml"), self._file(f"spec-{version:04d}.json")
            try:
                data = self._read(text)
                expected = decode_json(self._read(commit), self._storage.where(commit))
                if (expected.get("version"), expected.get("sha256")) != (version, hashlib.sha256(data).hexdigest()):
                    raise CorruptFileError(f"{self._storage.where(text)}: its checksum does not fit")
            except CorruptFileError as error:
                damage.append(str(error))
            else:
                found.append(SavedSpec(version, data))
        return found

    def _append(self, folder: str, num_digits: int, body: Mapping[str, Any]) -> int:
        data = encode_json(body)
        matches = map(_NUMBER.fullmatch, self._storage.list(self._file(folder)))
        number = max((int(match[1]) for match in matches if match), default=0)
        while True:
            number += 1
            with contextlib.suppress(FileExistsError):
                self._storage.create(self._file(folder, f"{number:0{num_digits}d}.json"), data)
                return number

    def _numbered(self, folder: str, damage: list[str]) -> list[tuple[int, dict[str, Any]]]:
        found = []
        for leaf in self._storage.list(self._file(folder)):
            match = _NUMBER.fullmatch(leaf)
            if match is None:
                continue
            name = self._file(folder, leaf)
            try:
                body = decode_json(self._read(name), self._storage.where(name))
                if body.get("format") != FORMAT:
                    raise CorruptFileError(f"{self._storage.where(name)}: not of format {FORMAT}")
            except CorruptFileError as error:
                damage.append(str(error))
            else:
                found.append((int(match[1]), body))
        return sorted(found, key=lambda entry: entry[0])

    def _owner(self) -> str:
        try:
            owner = decode_json(self._read(self._file("owner.json")), "owner.json")
            return f"pid {owner['pid']} on host {owner['host']} since {owner['since']}"
        except (StoreError, KeyError):
            return "another process"

    def _read(self, name: str) -> bytes:
        try:
            return self._storage.read(name)
        except FileNotFoundError:
            raise CorruptFileError(f"{self._storage.where(name)}: is missing") from None
