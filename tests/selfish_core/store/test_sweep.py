"""A sweep's requests, decisions and owner in the trial store."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from selfish_core.errors import InputError, OwnedElsewhereError
from selfish_core.storage import encode_json
from selfish_core.store.wishes import Request
from selfish_core.trial_store import TrialStore

KEY = "0123456789abcdef"


def test_requests_keep_their_numbers(store: TrialStore) -> None:
    sweep = store.sweep("one")
    assert (sweep.requests(), sweep.num_requests()) == ([], 0)
    assert [sweep.request("stop"), sweep.request("pause", KEY), sweep.request("retry")] == [1, 2, 3]
    assert sweep.requests() == [Request(1, "stop"), Request(2, "pause", KEY), Request(3, "retry")]
    assert sweep.requests(after=2) == [Request(3, "retry")]
    assert sweep.num_requests() == 3


def test_a_wrong_request_is_refused_and_nothing_is_written(store: TrialStore) -> None:
    sweep = store.sweep("one")
    with pytest.raises(InputError, match=r"unknown request 'stpo': known are .* did you mean 'stop'"):
        sweep.request("stpo")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="trial key"):
        sweep.request("stop", "../x")
    assert sweep.num_requests() == 0


def test_a_request_without_a_trial_of_an_older_version_is_for_the_sweep(store: TrialStore) -> None:
    store._storage.create("sweeps/one/requests/0001.json", encode_json({"format": 1, "kind": "stop"}))
    store._storage.create("sweeps/one/requests/0002.json", encode_json({"format": 1, "kind": "dance"}))
    assert store.sweep("one").requests() == [Request(1, "stop", None)]
    assert store.sweep("one").request("cancel") == 3


def test_a_damaged_request_is_passed_over_and_reported(store: TrialStore) -> None:
    sweep = store.sweep("one")
    sweep.request("stop")
    sweep.request("cancel")
    path = Path(store.place) / "sweeps" / "one" / "requests" / "0001.json"
    path.write_bytes(path.read_bytes()[:-3])
    assert sweep.requests() == [Request(2, "cancel")]
    assert len(sweep.problems()) == 1
    assert sweep.request("stop") == 3


def test_requests_made_at_once_are_all_kept_and_each_has_a_number(store: TrialStore) -> None:
    numbers: list[int] = []

    def ask() -> None:
        other = TrialStore.open(store.place).sweep("one")
        numbers.extend(other.request("stop", KEY) for _ in range(10))

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == list(range(1, 41))
    assert len(store.sweep("one").requests()) == 40


def test_decisions_are_read_on_from_a_number_and_carry_a_time_for_display(store: TrialStore) -> None:
    sweep = store.sweep("one")
    for step in range(3):
        sweep.decide("noted", {"step": step})
    late = sweep.decisions(after=2)
    assert [(decision.number, decision.body) for decision in late] == [(3, {"step": 2})]
    assert late[0].told_ms > 0
    store._storage.create("sweeps/one/decisions/000004.json", encode_json({"format": 1, "kind": "x", "body": {}}))
    assert sweep.decisions()[-1] == ("x", {}, 4, 0)


def test_who_owns_a_sweep(store: TrialStore) -> None:
    sweep = store.sweep("one")
    assert (sweep.is_owned(), sweep.owner()) == (False, None)
    assert not (Path(store.place) / "sweeps").exists()
    with sweep.owned():
        assert sweep.is_owned()
        owner = sweep.owner()
        assert owner is not None
        assert owner.pid == os.getpid()
    assert not sweep.is_owned()
    assert sweep.owner() == owner


def test_who_only_asks_whether_a_sweep_is_owned_keeps_nobody_from_owning_it(store: TrialStore) -> None:
    with store.sweep("one").owned():
        pass
    is_over = threading.Event()

    def ask() -> None:
        other = TrialStore.open(store.place).sweep("one")
        while not is_over.is_set():
            other.is_owned()
            time.sleep(0.0005)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(50):
            with store.sweep("one").owned():
                pass
    finally:
        is_over.set()
        for thread in threads:
            thread.join()


def test_a_second_owner_is_still_refused(store: TrialStore) -> None:
    with store.sweep("one").owned(), pytest.raises(OwnedElsewhereError, match=f"owned by pid {os.getpid()} on"):
        store.sweep("one").owned().__enter__()
