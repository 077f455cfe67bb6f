"""What a supervisor reads from the trial store: what may run, what is waited for, and when a run ends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from orchestration.agenda import Agenda, Decided
from orchestration.decisions import AnyDecision, Asked, Broken, Entry, Failed, Retried, Started, Stopped, write
from selfish_core.trial_store import StoredSweep, TrialStore

STARTED = Started(num_requests=0, host="h", pid=1, epochs=3)


class Missing:
    """Trials without an answer."""

    def __init__(self, *keys: str) -> None:
        self.keys = keys

    def missing(self) -> list[str]:
        return list(self.keys)


@pytest.fixture
def sweep(store: TrialStore) -> Iterator[StoredSweep]:
    with store.sweep("s").owned():
        yield store.sweep("s")


@pytest.fixture
def agenda(store: TrialStore, sweep: StoredSweep) -> Agenda:
    return Agenda(store, sweep.name, Missing("a", "b"), 0)


def failed(key: str, *, is_final: bool = True) -> Failed:
    return Failed(trial=key, failure="crashed", message="boom", is_final=is_final)


def decided(*all_of_them: AnyDecision) -> Decided:
    return Decided.of([Entry(number, decision) for number, decision in enumerate(all_of_them, start=1)])


def test_only_a_final_failure_gives_a_trial_up() -> None:
    assert decided(STARTED, failed("a", is_final=False)).failed == {}
    assert decided(STARTED, failed("a")).failed.keys() == {"a"}


def test_a_new_run_tries_again_what_failed_and_forgets_the_breaker() -> None:
    broken = Broken(node=None, num_failed=9, num_ended=9, message="too many")
    assert decided(STARTED, failed("a"), broken).broken == "too many"
    assert decided(STARTED, failed("a"), broken, STARTED) == Decided()


def test_an_error_of_the_user_s_ends_the_run(agenda: Agenda, sweep: StoredSweep) -> None:
    write(sweep, STARTED)
    write(sweep, Failed(trial="a", failure="user_error", message="no such word", is_final=True))
    todo = agenda.look()
    assert todo.end == "broken"
    assert "no such word" in todo.decided.broken


def test_a_stopped_node_ends_no_sweep() -> None:
    assert not decided(STARTED, Broken(node="n", num_failed=9, num_ended=9, message="too many")).broken


def test_a_retry_takes_back_a_failure_before_it_and_none_after_it() -> None:
    retry = Retried(request=3, trial="a")
    assert decided(STARTED, failed("a"), failed("b"), retry).failed.keys() == {"b"}
    assert decided(STARTED, failed("a"), failed("b"), Retried(request=3)).failed == {}
    assert decided(STARTED, retry, failed("a")).failed.keys() == {"a"}


def test_what_was_stopped_early_stays_so_until_it_is_asked_for_by_name() -> None:
    stopped = Stopped(trials=("a", "b"), epoch=2, rule="asha")
    assert decided(STARTED, stopped, STARTED, Retried(request=1)).stopped == {"a", "b"}
    assert decided(STARTED, stopped, Retried(request=1, trial="a")).stopped == {"b"}


def test_everything_that_is_missing_may_run(agenda: Agenda) -> None:
    todo = agenda.look()
    assert (todo.runnable, todo.waits, todo.end) == (("a", "b"), "", "")


def test_what_was_given_up_does_not_run_again_unless_asked_for(agenda: Agenda, sweep: StoredSweep) -> None:
    write(sweep, STARTED)
    write(sweep, failed("a"))
    assert agenda.look().runnable == ("b",)
    sweep.request("retry", "a")
    assert agenda.look().runnable == ("a", "b")


@pytest.mark.parametrize(("request_", "end"), [("stop", "stopped"), ("cancel", "cancelled")])
def test_a_request_to_end_ends_the_run(agenda: Agenda, sweep: StoredSweep, request_: Any, end: str) -> None:
    sweep.request(request_)
    todo = agenda.look()
    assert (todo.runnable, todo.end) == ((), end)
    assert agenda.is_cancelled() == (end == "cancelled")


def test_one_trial_that_is_wanted_all_the_same_keeps_the_run_alive(agenda: Agenda, sweep: StoredSweep) -> None:
    sweep.request("cancel")
    sweep.request("retry", "b")
    todo = agenda.look()
    assert (todo.runnable, todo.end) == (("b",), "")
    assert not agenda.is_cancelled()


def test_a_paused_sweep_is_waited_for(agenda: Agenda, sweep: StoredSweep) -> None:
    sweep.request("pause")
    todo = agenda.look()
    assert (todo.runnable, todo.end) == ((), "")
    assert "selfish resume s" in todo.waits


def test_older_requests_are_void_in_a_new_run(store: TrialStore, sweep: StoredSweep) -> None:
    number = sweep.request("stop")
    assert Agenda(store, "s", Missing("a"), number).look().runnable == ("a",)


def test_the_trials_of_another_live_sweep_are_waited_for_and_taken_over(agenda: Agenda, store: TrialStore) -> None:
    with store.sweep("other").owned():
        store.hold("other", ["a", "b"])
        todo = agenda.look()
        assert todo.runnable == ()
        assert todo.waits == "2 trials are run by sweep 'other'"
    assert agenda.look().runnable == ("a", "b")


def test_a_search_has_work_until_all_its_points_are_chosen(store: TrialStore, sweep: StoredSweep) -> None:
    agenda = Agenda(store, "s", Missing(), 0, num_points=2)
    assert agenda.look().is_work
    for number in range(2):
        write(sweep, Asked(number=number, point={}, trials=()))
    assert not agenda.look().is_work


def test_nothing_is_left_when_everything_is_answered(store: TrialStore, sweep: StoredSweep) -> None:
    todo = Agenda(store, sweep.name, Missing(), 0).look()
    assert not todo.is_work
    assert not todo.waits
