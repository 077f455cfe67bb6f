"""What follows from requests: the whole table, scopes, and what a new run voids."""

from __future__ import annotations

import itertools

import pytest

from selfish_core.store.wishes import REQUEST_KINDS, Request, RequestKind, Wish, Wishes, fold

TABLE: dict[RequestKind, dict[Wish, Wish]] = {
    "pause": {"run": "pause", "pause": "pause", "stop": "stop", "cancel": "cancel"},
    "stop": {"run": "stop", "pause": "stop", "stop": "stop", "cancel": "cancel"},
    "cancel": {"run": "cancel", "pause": "cancel", "stop": "cancel", "cancel": "cancel"},
    "resume": {"run": "run", "pause": "run", "stop": "stop", "cancel": "run"},
    "retry": {"run": "run", "pause": "pause", "stop": "run", "cancel": "run"},
}
MAKERS: dict[Wish, list[RequestKind]] = {"run": [], "pause": ["pause"], "stop": ["stop"], "cancel": ["cancel"]}
X, Y = "x" * 16, "y" * 16


def asked(*kinds: tuple[RequestKind, str | None] | RequestKind) -> list[Request]:
    pairs = [(kind, None) if isinstance(kind, str) else kind for kind in kinds]
    return [Request(number, kind, trial) for number, (kind, trial) in enumerate(pairs, start=1)]


def test_nothing_asked_means_run() -> None:
    assert fold([]) == Wishes("run", {})
    assert fold([]).of(X) == "run"


@pytest.mark.parametrize("scope", [None, X])
@pytest.mark.parametrize(("kind", "before"), list(itertools.product(TABLE, MAKERS)))
def test_every_request_after_every_wish(kind: RequestKind, before: Wish, scope: str | None) -> None:
    requests = asked(*((first, scope) for first in MAKERS[before]), (kind, scope))
    wishes = fold(requests)
    assert wishes.of(X) == TABLE[kind][before]
    assert wishes.of(Y) == wishes.sweep == (TABLE[kind][before] if scope is None else "run")


def test_the_table_names_every_request() -> None:
    assert set(TABLE) == set(REQUEST_KINDS)


@pytest.mark.parametrize(
    ("requests", "sweep", "of_x", "of_y"),
    [
        (asked("pause", ("resume", X)), "pause", "run", "pause"),
        (asked(("pause", X), "pause", "resume"), "run", "run", "run"),
        (asked(("cancel", X), "pause", ("resume", Y)), "pause", "cancel", "run"),
        (asked(("cancel", X), "resume"), "run", "run", "run"),
        (asked("cancel", ("retry", X)), "cancel", "run", "cancel"),
        (asked(("stop", X), "resume"), "run", "stop", "run"),
        (asked(("pause", X), "retry"), "run", "pause", "run"),
        (asked("pause", ("stop", X), "resume"), "run", "stop", "run"),
        (asked("stop", ("retry", X), "cancel"), "cancel", "cancel", "cancel"),
    ],
)
def test_a_request_for_the_sweep_is_one_for_each_trial(
    requests: list[Request], sweep: Wish, of_x: Wish, of_y: Wish
) -> None:
    wishes = fold(requests)
    assert (wishes.sweep, wishes.of(X), wishes.of(Y)) == (sweep, of_x, of_y)


@pytest.mark.parametrize(
    ("requests", "num_void", "sweep", "of_x"),
    [
        (asked("stop"), 1, "run", "run"),
        (asked("stop"), 0, "stop", "stop"),
        (asked("pause", "stop"), 1, "stop", "stop"),
        (asked("cancel", "stop", "pause"), 3, "cancel", "cancel"),
        (asked(("cancel", X), ("stop", X)), 2, "run", "cancel"),
        (asked("pause", ("resume", X)), 2, "run", "run"),
        (asked("stop", ("cancel", X), "retry"), 9, "run", "run"),
    ],
)
def test_a_new_run_voids_older_stops_and_pauses_but_no_cancels(
    requests: list[Request], num_void: int, sweep: Wish, of_x: Wish
) -> None:
    wishes = fold(requests, num_void)
    assert (wishes.sweep, wishes.of(X)) == (sweep, of_x)


def test_a_request_covers_its_trial_or_all() -> None:
    assert Request(1, "stop").covers(X)
    assert Request(1, "stop", X).covers(X)
    assert not Request(1, "stop", X).covers(Y)
