"""Leases: one owner at a time, no wall clock, and an owner that was away too long knows that it has lost."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.threads import at_once

from selfish_core.errors import OwnedElsewhereError, StoreError
from selfish_core.files import LocalStorage
from selfish_core.lease import Clock, Lease, Terms, Watch, claim

NAME = "sweeps/toy/owner.lock"
FOLDER = f"{NAME}.d"


class HandClock(Clock):
    """Goes on only when told, or while somebody sleeps; what happens meanwhile is called after each sleep."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.meanwhile: Callable[[], object] = lambda: None

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds
        self.meanwhile()


class Unreachable(LocalStorage):
    """A storage to which the network may be down."""

    is_down = False

    def create(self, name: str, data: bytes) -> None:
        if self.is_down:
            raise StoreError("the storage was not reached")
        super().create(name, data)


@pytest.fixture
def storage(tmp_path: Path) -> Unreachable:
    return Unreachable(tmp_path)


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def terms(clock: HandClock) -> Terms:
    return Terms(30.0, clock)


def test_the_first_owner_need_not_wait(storage: Unreachable, terms: Terms, clock: HandClock) -> None:
    assert claim(storage, NAME, terms).generation == 1
    assert clock.now() == 1000.0
    assert storage.list(FOLDER) == ["000001.json"]


def test_after_a_release_the_next_need_not_wait(storage: Unreachable, terms: Terms, clock: HandClock) -> None:
    lease = claim(storage, NAME, terms)
    lease.beat()
    lease.release()
    assert claim(storage, NAME, terms).generation == 2
    assert clock.now() == 1000.0
    assert storage.list(FOLDER) == ["000002.json"]


def test_an_owner_that_beats_is_left_alone(storage: Unreachable, terms: Terms, clock: HandClock) -> None:
    lease = claim(storage, NAME, terms)
    clock.meanwhile = lease.beat
    with pytest.raises(OwnedElsewhereError, match=r"owner\.lock is owned by another process, which lives"):
        claim(storage, NAME, terms)
    assert clock.now() < 1000.0 + terms.beat_seconds
    assert not lease.is_lost


def test_one_beat_at_the_very_end_is_enough(storage: Unreachable, terms: Terms, clock: HandClock) -> None:
    lease = claim(storage, NAME, terms)
    lease.beat()
    clock.meanwhile = lambda: lease.beat() if clock.now() >= 1028.0 else None
    with pytest.raises(OwnedElsewhereError):
        claim(storage, NAME, terms)
    assert not lease.is_lost


def test_a_silent_owner_is_replaced_after_the_lease_time_and_has_lost_by_then(
    storage: Unreachable, terms: Terms, clock: HandClock
) -> None:
    lease = claim(storage, NAME, terms)
    clock.time += 5.0
    lease.beat()
    clock.time += 10.0
    assert not lease.is_lost
    next_one = claim(storage, NAME, terms)
    assert clock.now() >= 1015.0 + terms.seconds
    assert (next_one.generation, next_one.is_lost, lease.is_lost) == (2, False, True)


def test_a_release_while_one_waits_is_seen(storage: Unreachable, terms: Terms, clock: HandClock) -> None:
    lease = claim(storage, NAME, terms)
    clock.meanwhile = lease.release
    assert claim(storage, NAME, terms).generation == 2
    assert clock.now() < 1000.0 + terms.beat_seconds


def test_a_newcomer_that_slept_through_the_lease_time_looks_once_more(
    storage: Unreachable, terms: Terms, clock: HandClock
) -> None:
    lease = claim(storage, NAME, terms)

    def oversleep() -> None:
        lease.beat()
        clock.time += 3600.0

    clock.meanwhile = oversleep
    with pytest.raises(OwnedElsewhereError):
        claim(storage, NAME, terms)


def test_an_owner_that_cannot_beat_has_lost_after_the_lease_time_for_ever(
    storage: Unreachable, terms: Terms, clock: HandClock
) -> None:
    lease = claim(storage, NAME, terms)
    storage.is_down = True
    clock.time += 29.0
    lease.beat()
    assert not lease.is_lost
    clock.time += 1.0
    assert lease.is_lost
    storage.is_down = False
    lease.beat()
    assert lease.is_lost
    lease.release()
    assert not any("released" in name for name in storage.list(FOLDER))


def test_a_network_that_is_back_in_time_costs_nothing(storage: Unreachable, terms: Terms, clock: HandClock) -> None:
    lease = claim(storage, NAME, terms)
    storage.is_down = True
    clock.time += 20.0
    lease.beat()
    storage.is_down = False
    lease.beat()
    clock.time += 29.0
    assert not lease.is_lost


def test_a_beat_that_took_longer_than_the_lease_time_does_not_count(
    storage: Unreachable, terms: Terms, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = claim(storage, NAME, terms)
    plain_create = storage.create

    def slow_create(name: str, data: bytes) -> None:
        clock.time += terms.seconds
        plain_create(name, data)

    monkeypatch.setattr(storage, "create", slow_create)
    lease.beat()
    assert lease.is_lost


def test_the_time_of_a_beat_is_that_at_which_it_began(
    storage: Unreachable, terms: Terms, clock: HandClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = claim(storage, NAME, terms)
    plain_create = storage.create

    def slow_create(name: str, data: bytes) -> None:
        plain_create(name, data)
        clock.time += 20.0

    monkeypatch.setattr(storage, "create", slow_create)
    lease.beat()
    clock.time += 10.0
    assert lease.is_lost


def test_an_owner_that_sees_a_higher_generation_has_lost(storage: Unreachable, terms: Terms, clock: HandClock) -> None:
    lease = claim(storage, NAME, terms)
    storage.create(f"{FOLDER}/000002.json", b"")
    lease.beat()
    assert lease.is_lost
    assert clock.now() == 1000.0


def test_old_beats_go_and_the_newest_stays(storage: Unreachable, terms: Terms) -> None:
    lease = claim(storage, NAME, terms)
    for _ in range(3):
        lease.beat()
    assert storage.list(FOLDER) == ["000001-000003.json", "000001.json"]


def test_of_many_that_claim_at_once_one_wins(tmp_path: Path) -> None:
    LocalStorage(tmp_path).create(f"{FOLDER}/000007.json", b"")
    LocalStorage(tmp_path).create(f"{FOLDER}/000007-released.json", b"")
    results = at_once([lambda: claim(LocalStorage(tmp_path), NAME, Terms(0.5)) for _ in range(8)])
    won = [result for result in results if isinstance(result, Lease)]
    assert [lease.generation for lease in won] == [8]
    assert {type(result) for result in results} == {Lease, OwnedElsewhereError}


def test_who_hesitates_before_its_claim_cannot_bring_back_a_generation_that_was_cleared_away(
    storage: Unreachable, terms: Terms, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain_create, others = storage.create, []

    def hesitate(name: str, data: bytes) -> None:
        monkeypatch.setattr(storage, "create", plain_create)
        for _ in range(2):
            others.append(claim(storage, NAME, terms))
            others[-1].release()
        others.append(claim(storage, NAME, terms))
        plain_create(name, data)

    monkeypatch.setattr(storage, "create", hesitate)
    with pytest.raises(OwnedElsewhereError, match="claimed by another process first"):
        claim(storage, NAME, terms)
    assert storage.list(FOLDER) == ["000003.json"]
    assert not others[-1].is_lost


def test_a_watch_counts_an_owner_until_it_was_silent_for_the_lease_time(
    storage: Unreachable, terms: Terms, clock: HandClock
) -> None:
    watch = Watch(storage, NAME, terms)
    assert not watch.is_held()
    lease = claim(storage, NAME, terms)
    for _ in range(5):
        clock.time += 20.0
        assert watch.is_held()
        lease.beat()
    assert watch.is_held()
    clock.time += 29.0
    assert watch.is_held()
    clock.time += 1.0
    assert not watch.is_held()


def test_a_released_lease_is_not_held(storage: Unreachable, terms: Terms) -> None:
    watch = Watch(storage, NAME, terms)
    lease = claim(storage, NAME, terms)
    assert watch.is_held()
    lease.release()
    assert not watch.is_held()
