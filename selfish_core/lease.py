"""Exclusive ownership on a storage that has no locks, by exclusive creation and beats; no wall clock is read.

NAME.d/000001.json            who claimed generation 1; its exclusive creation is the claim
NAME.d/000001-000007.json     the seventh beat of that owner; older ones are deleted
NAME.d/000001-released.json   that owner has ended

The owner adds a beat every tenth of the lease time. A newcomer claims the next generation when the newest is released,
or when it has seen no new beat for a whole lease time by its own clock. The owner counts the same time from the moment
at which it began its last beat, which is earlier, and takes the lease for lost when it is over or when it sees a higher
generation. What it had sent just before may still arrive: writes that must not are to be exclusive themselves.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import secrets
import socket
import threading
import time
from collections.abc import Iterator
from typing import NamedTuple

from selfish_core.errors import OwnedElsewhereError, StoreError
from selfish_core.storage import Storage, encode_json

LEASE_SECONDS = 30.0
"""How long an owner may be silent before another may take over."""

_BEATS_PER_LEASE = 10
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
_FILE = re.compile(r"(?P<generation>[0-9]{6,12})(?:-(?:(?P<beat>[0-9]{6,12})|(?P<released>released)))?\.json", re.ASCII)

log = logging.getLogger(__name__)


class Clock:
    """A clock that nobody sets, and that goes on while the process or the machine sleeps."""

    def now(self) -> float:
        """Return seconds since some moment."""
        return time.clock_gettime(_CLOCK)

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


class Terms(NamedTuple):
    """How long a lease lasts and how that is measured.

    Args:
        seconds: the lease time, > 0, the same for owners and newcomers.
        clock: of this process.
    """

    seconds: float = LEASE_SECONDS
    clock: Clock = Clock()

    @property
    def beat_seconds(self) -> float:
        """Time from one beat to the next."""
        return self.seconds / _BEATS_PER_LEASE


class Lease:
    """The ownership that `held` gives.

    Args:
        files: the lease's files.
        generation: the one that was claimed.
        claimed_at: when its claim began.
        terms: the lease time and the clock.
    """

    def __init__(self, files: _Files, generation: int, claimed_at: float, terms: Terms) -> None:
        self.generation = generation
        self.terms = terms
        self._files = files
        self._last_beat_at = claimed_at
        self._num_beats = 0
        self._is_lost = False

    @property
    def is_lost(self) -> bool:
        """Whether another process may own the name by now; true for ever then."""
        if self.terms.clock.now() - self._last_beat_at >= self.terms.seconds:
            self._is_lost = True
        return self._is_lost

    def beat(self) -> None:
        """Show once more that the owner lives, and look whether another has taken over."""
        began_at = self.terms.clock.now()
        self._num_beats += 1
        try:
            self._files.add(self.generation, f"{self._num_beats:06d}")
            newest = self._files.look()
        except (StoreError, FileExistsError) as error:
            log.warning("a beat was not written: %s", error)
            return
        if newest.generation > self.generation:
            self._is_lost = True
        if self.is_lost:  # for the beat before is too old: nobody need have seen this one in time
            return
        self._last_beat_at = began_at
        with contextlib.suppress(StoreError):
            self._files.delete_beats(self.generation, before=self._num_beats)

    def release(self) -> None:
        """Let the next one own the name at once."""
        if not self.is_lost:
            with contextlib.suppress(StoreError, FileExistsError):
                self._files.add(self.generation, "released")


@contextlib.contextmanager
def held(storage: Storage, name: str, terms: Terms | None = None) -> Iterator[Lease]:
    """Own a name while a daemon thread beats.

    Raises:
        OwnedElsewhereError: when its owner is seen to live, within the lease time.
        StoreError: when the storage fails.
    """
    lease = claim(storage, name, terms or Terms())
    owner, ended = os.getpid(), threading.Event()
    thread = threading.Thread(target=_beat_until, args=(lease, ended), name=f"lease {name}", daemon=True)
    thread.start()
    try:
        yield lease
    finally:
        ended.set()
        if os.getpid() == owner:  # a forked child that unwinds must not end its parent's lease
            thread.join(lease.terms.beat_seconds)
            lease.release()


def claim(storage: Storage, name: str, terms: Terms) -> Lease:
    """Claim the next generation of a name: see `held`; nothing beats yet."""
    files, watch = _Files(storage, name), Watch(storage, name, terms)
    if watch.is_held():
        _wait_for_end(watch, str(files))
    number, began_at = watch.seen.generation + 1, terms.clock.now()
    try:
        files.add(number)
    except FileExistsError:
        raise OwnedElsewhereError(f"{files} was claimed by another process first") from None
    if files.look().generation > number:  # others came and went while this one hesitated, and cleared its number away
        files.delete_up_to(number)
        raise OwnedElsewhereError(f"{files} was claimed by another process first")
    files.delete_up_to(number - 1)
    return Lease(files, number, began_at, terms)


class Watch:
    """What a process that does not own a name sees of its owner, from look to look.

    Args:
        storage: where the lease is.
        name: what is owned.
        terms: as the owner's.
    """

    def __init__(self, storage: Storage, name: str, terms: Terms) -> None:
        self.seen = _Seen(0, 0, is_released=True)
        self.terms = terms
        self._files = _Files(storage, name)
        self._since = 0.0

    def is_held(self) -> bool:
        """Look once: an owner that has not released counts until it was watched for the lease time without a beat."""
        began_at = self.terms.clock.now()
        seen, before = self._files.look(), self.seen
        self.seen = seen
        if seen.is_released:
            return False
        if seen != before:
            self._since = self.terms.clock.now()
            return True
        return began_at - self._since < self.terms.seconds


def _wait_for_end(watch: Watch, name: str) -> None:
    """Return when the owner has released, or was silent for the lease time."""
    log.info("%s has an owner: waiting up to %g s to see whether it lives", name, watch.terms.seconds)
    first = watch.seen
    while watch.is_held():
        if watch.seen != first:
            raise OwnedElsewhereError(f"{name} is owned by another process, which lives")
        watch.terms.clock.sleep(watch.terms.beat_seconds / 2)


def _beat_until(lease: Lease, ended: threading.Event) -> None:
    while not ended.wait(lease.terms.beat_seconds) and not lease.is_lost:
        lease.beat()


class _Seen(NamedTuple):
    """The newest generation, how many beats it has, and whether it has ended; generation 0 has."""

    generation: int
    beat: int
    is_released: bool


class _Files:
    """A lease's folder; one look is one listing."""

    def __init__(self, storage: Storage, name: str) -> None:
        self._storage = storage
        self._name = name

    def __str__(self) -> str:
        return self._storage.where(self._name)

    def look(self) -> _Seen:
        found = self._found()
        claims = [int(file["generation"]) for file in found if not file["beat"] and not file["released"]]
        newest = max(claims, default=0)
        own = [file for file in found if int(file["generation"]) == newest]
        beats = [int(file["beat"]) for file in own if file["beat"]]
        return _Seen(newest, max(beats, default=0), not newest or any(file["released"] for file in own))

    def add(self, generation: int, what: str = "") -> None:
        owner = {"format": 1, "host": socket.gethostname(), "pid": os.getpid(), "token": secrets.token_hex(8)}
        leaf = f"{generation:06d}-{what}.json" if what else f"{generation:06d}.json"
        self._storage.create(self._file(leaf), encode_json(owner))

    def delete_beats(self, generation: int, *, before: int) -> None:
        for file in self._found():
            if int(file["generation"]) == generation and file["beat"] and int(file["beat"]) < before:
                self._storage.delete(self._file(file[0]))

    def delete_up_to(self, generation: int) -> None:
        for file in self._found():
            if int(file["generation"]) <= generation:
                self._storage.delete(self._file(file[0]))

    def _found(self) -> list[re.Match[str]]:
        return [file for file in map(_FILE.fullmatch, self._storage.list(f"{self._name}.d")) if file]

    def _file(self, leaf: str) -> str:
        return f"{self._name}.d/{leaf}"
