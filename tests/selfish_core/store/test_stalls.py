"""Stalls: kept in order, and checked like every file of the trial store."""

from __future__ import annotations

from pathlib import Path

from selfish_core.trial_store import Stall, TrialStore


def test_stalls_come_back_in_order(store: TrialStore) -> None:
    trial = store.put({"seed": 1}, "somekey")
    kept = [Stall(worker=name, timeout_seconds=2.5, stacks="Thread 0x1\n") for name in ("b", "a")]
    for stall in kept:
        trial.stalls.add(stall)
    assert store.trial("somekey").stalls.read() == kept
    assert store.problems() == []


def test_a_trial_that_never_stalled_has_none(store: TrialStore) -> None:
    assert store.put({"seed": 1}, "somekey").stalls.read() == []


def test_a_damaged_stall_is_passed_over_and_named(store: TrialStore, tmp_path: Path) -> None:
    trial = store.put({"seed": 1}, "somekey")
    trial.stalls.add(Stall(worker="a", timeout_seconds=1.0, stacks=""))
    (path,) = tmp_path.rglob("stalls/0001.json")
    path.chmod(0o600)
    path.write_bytes(path.read_bytes().replace(b'"a"', b'"b"'))
    assert trial.stalls.read() == []
    assert ["stalls/0001.json" in line for line in store.problems()] == [True]
