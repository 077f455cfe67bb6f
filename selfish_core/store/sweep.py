"""A sweep's folder in the trial store: its spec's versions, who owns it, what was asked of it and what was decided.

sweeps/<name>/spec-0001.yaml             the bytes as they were given
sweeps/<name>/spec-0001.json             their SHA-256, written last: the commit
sweeps/<name>/owner.lock                 held by the process that runs the sweep
sweeps/<name>/owner.json                 who that is or was, for people
sweeps/<name>/requests/0001.json         what the sweep was asked to do, such as stop (`store.wishes`)
sweeps/<name>/decisions/000001.json      what was decided about its trials, in order
sweeps/<name>/holds/0001.json            trials that its owner runs now or gives back (`store.holds`)
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

from selfish_core.errors import CorruptFileError, InputError, OwnedElsewhereError, StoreError, unknown_name
from selfish_core.storage import Ownership, Storage, check_name, decode_json, encode_json
from selfish_core.store.numbered import FORMAT, NumberedFiles
from selfish_core.store.wishes import REQUEST_KINDS, Request, RequestKind

_SPEC = re.compile(r"spec-([0-9]{4,9})\.(yaml|json)", re.ASCII)
_PATIENCE_SECONDS, _TRY_SECONDS = 0.05, 0.01
"""How long a lock is tried before it counts as held: who asks whether it is held has it for a moment himself."""


class SavedSpec(NamedTuple):
    """One version of a sweep's spec, from 1, as the bytes of its YAML."""

    version: int
    text: bytes


class Decision(NamedTuple):
    """What was decided, e.g. that a trial is stopped, and the particulars.

    Args:
        kind: a name.
        body: the particulars.
        number: its place in the sweep's order, from 1.
        told_ms: when, as the writer's clock says, since 1970: for display only; 0 where it was not kept.
    """

    kind: str
    body: dict[str, Any]
    number: int
    told_ms: int = 0


class Owner(NamedTuple):
    """Who runs a sweep, for people: the process, its host, and since when as that host's clock says."""

    pid: int
    host: str
    since: str

    def __str__(self) -> str:
        return f"pid {self.pid} on host {self.host} since {self.since}"


class StoredSweep:
    """One sweep's files, whether or not there are any yet.

    Args:
        storage: where the trial store is kept.
        name: the sweep's name, already checked.
    """

    def __init__(self, storage: Storage, name: str) -> None:
        self.name = name
        self._storage = storage
        self._requests = NumberedFiles(storage, self._file("requests"), num_digits=4)
        self._decisions = NumberedFiles(storage, self._file("decisions"), num_digits=6)
        self._holds = NumberedFiles(storage, self._file("holds"), num_digits=4)

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
    def owned(self) -> Iterator[Ownership]:
        """Own the sweep; the lock ends with the process, however it ends.

        Raises:
            OwnedElsewhereError: at once, when another live process owns it; says which.
        """
        with contextlib.ExitStack() as stack:
            try:
                ownership = stack.enter_context(self._locked())
            except OwnedElsewhereError:
                raise OwnedElsewhereError(
                    f"sweep {self.name!r} is owned by {self.owner() or 'another process'}"
                ) from None
            for folder in ((), ("requests",), ("decisions",)):
                self._storage.clean(self._file(*folder), is_fenced=False)
            self._holds.clear()
            self._storage.delete(self._file("owner.json"))
            me = Owner(os.getpid(), socket.gethostname(), time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
            self._storage.create(self._file("owner.json"), encode_json({"format": FORMAT, **me._asdict()}))
            try:
                yield ownership
            finally:
                if os.getpid() == me.pid:  # a forked child that unwinds must not give back its parent's
                    self._holds.clear()

    def is_owned(self) -> bool:
        """Whether a live process owns the sweep."""
        return self._storage.is_held(self._file("owner.lock"))

    def owner(self) -> Owner | None:
        """Return who owns the sweep, or who owned it last where nobody does; None where that is not known."""
        try:
            body = decode_json(self._read(self._file("owner.json")), "owner.json")
            return Owner(body["pid"], body["host"], body["since"])
        except (StoreError, KeyError):
            return None

    def request(self, kind: RequestKind, trial: str | None = None) -> int:
        """Ask whoever runs the sweep to do something, and return the request's number.

        Args:
            kind: what to do: see `store.wishes`.
            trial: content key; None for the whole sweep.

        Raises:
            InputError: when there is no such request, or the key is not a safe name.
        """
        if kind not in REQUEST_KINDS:
            raise InputError(unknown_name("request", kind, REQUEST_KINDS))
        named = {} if trial is None else {"trial": check_name("trial key", trial)}
        return self._requests.append({"kind": kind, **named})

    def requests(self, after: int = 0) -> list[Request]:
        """Return what was asked, oldest first; what this version does not know is left out.

        Args:
            after: only requests with a higher number.
        """
        entries = self._requests.read(after)
        return [Request(n, entry["kind"], entry.get("trial")) for n, entry in entries if entry["kind"] in REQUEST_KINDS]

    def num_requests(self) -> int:
        """Return the number of the newest request; 0 where nothing was asked yet."""
        return self._requests.newest()

    def decide(self, kind: str, body: Mapping[str, Any]) -> int:
        """Keep a decision and return its number.

        Args:
            kind: what was decided, a name.
            body: JSON-able particulars; a float that is not finite is refused.
        """
        told_ms = time.time_ns() // 1_000_000
        return self._decisions.append({"kind": check_name("decision", kind), "body": dict(body), "told_ms": told_ms})

    def decisions(self, after: int = 0) -> list[Decision]:
        """Return the sound decisions in order.

        Args:
            after: only decisions with a higher number.
        """
        entries = self._decisions.read(after)
        return [Decision(entry["kind"], entry["body"], n, entry.get("told_ms", 0)) for n, entry in entries]

    def change_holds(self, kind: Literal["hold", "release"], keys: Iterable[str]) -> None:
        """Write down that the owner holds trials, or gives them back: `store.holds` says when it may."""
        self._holds.append({"kind": kind, "keys": sorted(keys)})

    def held(self) -> frozenset[str]:
        """Return the keys that the owner holds; void where nobody owns the sweep."""
        keys: set[str] = set()
        for _, body in self._holds.read():
            keys = keys | set(body["keys"]) if body["kind"] == "hold" else keys - set(body["keys"])
        return frozenset(keys)

    def problems(self) -> list[str]:
        """Return one line for each damaged file of the sweep."""
        damage: list[str] = []
        self._read_specs(damage)
        for files in (self._requests, self._decisions, self._holds):
            files.read(damage=damage)
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

    @contextlib.contextmanager
    def _locked(self) -> Iterator[Ownership]:
        """Hold the lock; who finds it taken tries again a few times before that counts."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        with contextlib.ExitStack() as stack:
            while True:
                try:
                    ownership = stack.enter_context(self._storage.lock(self._file("owner.lock")))
                    break
                except OwnedElsewhereError:
                    if time.monotonic() > deadline:
                        raise
                    time.sleep(_TRY_SECONDS)
            yield ownership

    def _read(self, name: str) -> bytes:
        try:
            return self._storage.read(name)
        except FileNotFoundError:
            raise CorruptFileError(f"{self._storage.where(name)}: is missing") from None
