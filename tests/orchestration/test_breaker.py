"""The circuit breaker stops a node where others work, and the sweep where none does."""

from __future__ import annotations

from orchestration.breaker import MIN_ENDS, Breaker


def fail(breaker: Breaker, node: str, times: int) -> list[str | None]:
    """Count failures and return what broke: a node's name, or None for the sweep."""
    broken = [breaker.count(node, is_failure=True) for _ in range(times)]
    return [found.node for found in broken if found is not None]


def test_a_few_failures_break_nothing() -> None:
    breaker = Breaker(0.5)
    assert fail(breaker, "a", MIN_ENDS - 1) == []


def test_the_sweep_breaks_when_no_node_works() -> None:
    breaker = Breaker(0.5)
    assert fail(breaker, "a", MIN_ENDS) == [None]
    assert breaker.stopped_nodes == frozenset()


def test_only_the_bad_node_is_stopped_while_another_works() -> None:
    breaker = Breaker(0.5)
    breaker.count("good", is_failure=False)
    assert fail(breaker, "bad", MIN_ENDS) == ["bad"]
    assert breaker.stopped_nodes == {"bad"}


def test_what_still_fails_on_a_stopped_node_does_not_count_again() -> None:
    breaker = Breaker(0.5)
    breaker.count("good", is_failure=False)
    assert fail(breaker, "bad", 3 * MIN_ENDS) == ["bad"]


def test_a_share_at_the_limit_is_borne() -> None:
    breaker = Breaker(0.5)
    for _ in range(MIN_ENDS):
        breaker.count("a", is_failure=False)
    assert fail(breaker, "a", MIN_ENDS) == []
    assert fail(breaker, "a", 1) == [None]


def test_the_message_names_the_worst_node() -> None:
    breaker = Breaker(0.25)
    for _ in range(2):
        breaker.count("", is_failure=True)
    broken = [breaker.count("10.0.0.3", is_failure=True) for _ in range(MIN_ENDS)][-1 - 2]
    assert broken is not None
    assert broken.message.endswith("6 of them on 10.0.0.3")
