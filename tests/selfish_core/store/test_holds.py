"""Holds: overlapping sweeps never run one trial at the same time, and the dead hold nothing."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from selfish_core.errors import OwnedElsewhereError
from selfish_core.store import holds
from selfish_core.trial_store import TrialStore

KEYS = [f"{number:016x}" for number in range(40)]

HOLDER = """
import sys
from selfish_core.trial_store import TrialStore
store = TrialStore.open(sys.argv[1])
with store.sweep(sys.argv[2]).owned():
    print(*sorted(store.hold(sys.argv[2], sys.argv[3:])), flush=True)
    sys.stdin.readline()
"""


def start_holder(store: TrialStore, sweep: str, keys: list[str]) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", HOLDER, store.place, sweep, *keys]
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def granted_to(process: subprocess.Popen[str]) -> set[str]:
    assert process.stdout is not None
    return set(process.stdout.readline().split())


def num_files(store: TrialStore, sweep: str) -> int:
    folder = Path(store.place) / "sweeps" / sweep / "holds"
    return len(list(folder.iterdir())) if folder.exists() else 0


def test_the_second_sweep_gets_what_the_first_left(store: TrialStore) -> None:
    with store.sweep("one").owned(), store.sweep("two").owned():
        assert store.hold("one", KEYS[:3]) == set(KEYS[:3])
        assert store.hold("two", KEYS[2:5]) == set(KEYS[3:5])
        assert store.holder(KEYS[0]) == "one"
        assert store.holders() == {**dict.fromkeys(KEYS[:3], "one"), **dict.fromkeys(KEYS[3:5], "two")}
        assert store.holder(KEYS[9]) is None


def test_asking_again_gives_the_same_and_writes_nothing(store: TrialStore) -> None:
    with store.sweep("one").owned():
        store.hold("one", KEYS[:3])
        assert store.hold("one", KEYS[1:3]) == set(KEYS[1:3])
        assert store.hold("one", []) == set()
        assert num_files(store, "one") == 1
        assert store.hold("one", KEYS[2:4]) == set(KEYS[2:4])
        assert num_files(store, "one") == 2


def test_a_trial_that_is_given_back_is_free(store: TrialStore) -> None:
    with store.sweep("one").owned(), store.sweep("two").owned():
        store.hold("one", KEYS[:2])
        store.release("one", KEYS[:1])
        assert store.hold("two", KEYS[:2]) == {KEYS[0]}
        assert store.hold("one", KEYS[:2]) == {KEYS[1]}


def test_the_end_of_a_run_gives_back_all(store: TrialStore) -> None:
    with store.sweep("two").owned():
        with pytest.raises(ZeroDivisionError), store.sweep("one").owned():
            store.hold("one", KEYS[:2])
            raise ZeroDivisionError
        assert store.holders() == {}
        assert num_files(store, "one") == 0
        assert store.hold("two", KEYS[:2]) == set(KEYS[:2])


def test_what_a_sweep_without_an_owner_holds_is_void(store: TrialStore) -> None:
    store.hold("one", KEYS[:2])
    assert store.holders() == {}


def test_two_thousand_trials_are_one_file(store: TrialStore) -> None:
    keys = [f"{number:016x}" for number in range(2000)]
    with store.sweep("one").owned(), store.sweep("two").owned():
        assert len(store.hold("one", keys)) == 2000
        assert store.hold("two", keys) == set()
        assert (num_files(store, "one"), num_files(store, "two")) == (1, 0)


def test_processes_that_take_overlapping_trials_at_once_never_share_one(store: TrialStore) -> None:
    orders = {"one": KEYS, "two": KEYS[::-1], "three": KEYS[10:30]}
    processes = {name: start_holder(store, name, keys) for name, keys in orders.items()}
    granted = {name: granted_to(process) for name, process in processes.items()}
    held = store.holders()
    for process in processes.values():
        process.communicate("\n", timeout=20)
    assert sum(map(len, granted.values())) == len(KEYS)
    assert set.union(*granted.values()) == set(KEYS)
    assert held == {key: name for name, keys in granted.items() for key in keys}


def test_threads_that_take_one_trial_each_at_once_share_none(store: TrialStore) -> None:
    granted: dict[str, set[str]] = {name: set() for name in ("one", "two", "three")}

    def take(name: str) -> None:
        mine = TrialStore.open(store.place)
        for key in KEYS[:15]:
            granted[name] |= mine.hold(name, [key])

    with store.sweep("one").owned(), store.sweep("two").owned(), store.sweep("three").owned():
        threads = [threading.Thread(target=take, args=(name,)) for name in granted]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(key for keys in granted.values() for key in keys) == KEYS[:15]


def test_what_a_killed_sweep_held_is_taken_over_and_it_does_not_come_back_with_it(store: TrialStore) -> None:
    process = start_holder(store, "one", KEYS[:3])
    assert granted_to(process) == set(KEYS[:3])
    with store.sweep("two").owned():
        assert store.hold("two", KEYS[:3]) == set()
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=20)
        assert store.holders() == {}
        assert store.hold("two", KEYS[:2]) == set(KEYS[:2])
        with store.sweep("one").owned():
            assert store.hold("one", KEYS[:3]) == {KEYS[2]}


def test_who_takes_trials_waits_for_another_who_does(store: TrialStore, monkeypatch: pytest.MonkeyPatch) -> None:
    with store.sweep("one").owned():
        with store._storage.lock(holds.LOCK):
            waiting = threading.Thread(target=store.hold, args=("one", KEYS[:1]))
            waiting.start()
            time.sleep(0.1)
            assert store.holders() == {}
        waiting.join(timeout=20)
        assert store.holder(KEYS[0]) == "one"
        monkeypatch.setattr(holds, "PATIENCE_SECONDS", 0.0)
        with store._storage.lock(holds.LOCK), pytest.raises(OwnedElsewhereError):
            store.hold("one", KEYS[1:2])


def test_a_damaged_hold_is_reported(store: TrialStore) -> None:
    with store.sweep("one").owned():
        store.hold("one", KEYS[:1])
        path = Path(store.place) / "sweeps" / "one" / "holds" / "0001.json"
        path.write_bytes(b"garbage")
        assert len(store.sweep("one").problems()) == 1
        assert store.holders() == {}


def test_a_forked_child_that_unwinds_gives_nothing_back(store: TrialStore) -> None:
    with contextlib.ExitStack() as stack:
        stack.enter_context(store.sweep("one").owned())
        store.hold("one", KEYS[:1])
        child = os.fork()
        if child == 0:
            try:
                stack.close()
            finally:
                os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert store.holder(KEYS[0]) == "one"
