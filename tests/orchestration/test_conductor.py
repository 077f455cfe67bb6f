"""The conductor's decisions: what runs, what waits, what is tried again and what is given up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from orchestration.breaker import MIN_ENDS, Breaker
from orchestration.canaries import Canaries
from orchestration.conductor import Conductor, Situation, Start
from orchestration.decisions import AnyDecision, FailureClass
from orchestration.failures import Failure
from selfish_core.store.wishes import Request, Wishes

KEYS = ("a", "b", "c")


@pytest.fixture
def decided() -> list[AnyDecision]:
    return []


@pytest.fixture
def conduct(decided: list[AnyDecision]) -> Callable[..., Conductor]:
    def make(*keys: str, max_failed_fraction: float = 1.0, **parts: Any) -> Conductor:
        chosen = keys or KEYS
        return Conductor(chosen, situation(*chosen), Breaker(max_failed_fraction), decided.append, **parts)

    return make


def situation(*held: str, sweep: Any = "run", shortage: str = "", retries: tuple[Request, ...] = (), **trials: Any):
    return Situation(Wishes(sweep, trials), frozenset(held), shortage, retries)


def failure(kind: FailureClass, node: str = "") -> Failure:
    return Failure(kind, f"it was {kind}", node, "")


def started(conductor: Conductor) -> list[str]:
    """Take everything that may start."""
    found = []
    while (start := conductor.next()) is not None:
        found.append(start.key)
    return found


def test_trials_start_in_the_sweep_s_order(conduct: Callable[..., Conductor]) -> None:
    assert started(conduct()) == list(KEYS)


def test_a_trial_goes_on_until_its_last_record(conduct: Callable[..., Conductor]) -> None:
    conductor = conduct("a")
    conductor.next()
    assert not conductor.record("a", 1, {}, node="n", is_over=False)
    assert not conductor.is_idle()
    assert conductor.record("a", 2, {}, node="n", is_over=True)
    assert conductor.is_idle()


@pytest.mark.parametrize("wish", ["pause", "stop", "cancel"])
def test_a_wish_against_one_trial_ends_it_with_its_epoch_and_keeps_it(
    conduct: Callable[..., Conductor], wish: str
) -> None:
    conductor = conduct("a", "b")
    started(conductor)
    conductor.notice(situation("a", "b", a=wish))
    assert conductor.record("a", 1, {}, node="", is_over=False)
    assert not conductor.record("b", 1, {}, node="", is_over=False)
    assert conductor.next() is None
    conductor.notice(situation("a", "b"))
    assert conductor.next() == Start("a")


def test_a_paused_sweep_starts_nothing_and_is_idle_once_nothing_runs(conduct: Callable[..., Conductor]) -> None:
    conductor = conduct("a", "b")
    assert conductor.next() == Start("a")
    conductor.notice(situation("a", "b", sweep="pause"))
    assert conductor.next() is None
    assert not conductor.is_idle()
    assert conductor.record("a", 1, {}, node="", is_over=False)
    assert conductor.is_idle()


def test_a_shortage_ends_what_runs_with_its_epoch(conduct: Callable[..., Conductor]) -> None:
    conductor = conduct("a")
    conductor.next()
    conductor.notice(situation("a", shortage="the disk is full"))
    assert conductor.record("a", 1, {}, node="", is_over=False)
    assert conductor.next() is None
    assert not conductor.is_idle()
    conductor.notice(situation("a"))
    assert conductor.next() == Start("a")


def test_a_trial_of_another_sweep_is_passed_over_until_it_is_ours(conduct: Callable[..., Conductor]) -> None:
    conductor = conduct()
    conductor.notice(situation("a", "c"))
    assert started(conductor) == ["a", "c"]
    conductor.notice(situation(*KEYS))
    assert started(conductor) == ["b"]


def test_a_lost_node_costs_a_trial_nothing(conduct: Callable[..., Conductor], decided: list[AnyDecision]) -> None:
    conductor = conduct("a", max_failed_fraction=0.01)
    for epoch in range(1, 3 * MIN_ENDS):
        assert conductor.next() == Start("a")
        conductor.record("a", epoch, {}, node="n", is_over=False)
        conductor.fail("a", failure("node_lost", "n"))
    assert conductor.next() == Start("a")
    assert not any(decision.kind == "broken" for decision in decided)


def test_a_trial_that_never_gets_on_is_given_up(conduct: Callable[..., Conductor], decided: list[AnyDecision]) -> None:
    conductor = conduct("a")
    while conductor.next() is not None:
        conductor.fail("a", failure("worker_lost"))
    finals = [decision.is_final for decision in decided if decision.kind == "failed"]
    assert finals[-1]
    assert not any(finals[:-1])
    assert conductor.is_idle()


def test_a_trial_out_of_memory_is_tried_once_more_alone(
    conduct: Callable[..., Conductor], decided: list[AnyDecision]
) -> None:
    conductor = conduct("a")
    conductor.next()
    conductor.fail("a", failure("out_of_memory"))
    assert conductor.next() == Start("a", is_alone=True)
    conductor.started("a")
    conductor.fail("a", failure("out_of_memory"))
    assert conductor.next() is None
    assert [decision.is_alone for decision in decided if decision.kind == "running"] == [True]


def test_a_user_error_stops_the_sweep(conduct: Callable[..., Conductor]) -> None:
    conductor = conduct("a", "b")
    conductor.next()
    conductor.fail("a", failure("user_error"))
    assert conductor.next() is None
    assert conductor.is_idle()
    assert "user_error" in conductor.closed


def test_the_breaker_stops_the_sweep(conduct: Callable[..., Conductor], decided: list[AnyDecision]) -> None:
    keys = [f"k{index}" for index in range(3 * MIN_ENDS)]
    conductor = conduct(*keys, max_failed_fraction=0.5)
    while (start := conductor.next()) is not None:
        conductor.fail(start.key, failure("data", "n"))
    assert decided[-1].kind == "broken"
    assert len([decision for decision in decided if decision.kind == "failed"]) == MIN_ENDS


def test_what_was_given_up_runs_again_when_asked_for(
    conduct: Callable[..., Conductor], decided: list[AnyDecision]
) -> None:
    conductor = conduct("a", "b")
    started(conductor)
    conductor.fail("a", failure("data"))
    assert conductor.next() is None
    conductor.notice(situation("a", "b", retries=(Request(4, "retry", "a"),)))
    assert conductor.next() == Start("a")
    assert decided[-1].kind == "retried"


def test_a_cancelled_trial_whose_process_was_ended_has_not_failed(
    conduct: Callable[..., Conductor], decided: list[AnyDecision]
) -> None:
    conductor = conduct("a")
    conductor.next()
    conductor.notice(situation("a", a="cancel"))
    assert conductor.is_cancelled("a")
    conductor.fail("a", failure("worker_lost"))
    assert conductor.is_idle()
    assert not any(decision.kind == "failed" for decision in decided)


def test_trials_wait_for_their_canary_and_get_the_share_it_measured(
    conduct: Callable[..., Conductor], decided: list[AnyDecision]
) -> None:
    conductor = conduct("a", "b", canaries=Canaries({"a": "g", "b": "g"}, is_packed=True))
    assert conductor.next() == Start("a", is_canary=True)
    assert conductor.next() is None
    assert not conductor.is_idle()
    conductor.canary_landed("a", "gru", 30, 100, "n")
    assert conductor.next() == Start("a", share=0.3333)
    assert decided[0].kind == "canary"


def test_a_canary_that_fails_spares_its_trials_and_no_others(
    conduct: Callable[..., Conductor], decided: list[AnyDecision]
) -> None:
    conductor = conduct("a", "b", "c", canaries=Canaries({"a": "g", "b": "g", "c": "h"}))
    assert conductor.next() == Start("a", is_canary=True)
    assert conductor.next() == Start("c", is_canary=True)
    conductor.canary_failed("a", "gru", failure("crashed"))
    conductor.canary_landed("c", "rhn", 1, 100, "n")
    assert started(conductor) == ["c"]
    assert [decision.trial for decision in decided if decision.kind == "failed"] == ["a", "b"]


def test_a_canary_whose_node_is_lost_flies_again(conduct: Callable[..., Conductor]) -> None:
    conductor = conduct("a", canaries=Canaries({"a": "g"}))
    conductor.next()
    conductor.canary_failed("a", "gru", failure("node_lost"))
    assert conductor.next() == Start("a", is_canary=True)


class StopsAtOne:
    """Stops two seeds of a configuration at epoch 1."""

    rule = "asha"

    def __init__(self) -> None:
        self.stopped: dict[str, int] = {}

    def report(self, _key: str, _epoch: int, _metrics: Any) -> frozenset[str]:
        new = frozenset({"a", "b"}) - self.stopped.keys()
        self.stopped |= dict.fromkeys(new, 1)
        return new


def test_a_configuration_stops_with_all_its_seeds(
    conduct: Callable[..., Conductor], decided: list[AnyDecision]
) -> None:
    conductor = conduct("a", "b", "c", early=StopsAtOne())
    assert [conductor.next(), conductor.next()] == [Start("a"), Start("b")]
    assert conductor.record("a", 1, {}, node="", is_over=False)
    assert conductor.record("b", 1, {}, node="", is_over=False)
    assert started(conductor) == ["c"]
    assert decided[-1].trials == ("a", "b")
