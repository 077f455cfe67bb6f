"""Canaries fly once for each architecture, and their memory decides how many trials share a device."""

from __future__ import annotations

import pytest

from orchestration.canaries import MAX_FLIGHTS, Canaries, share_of_device

GROUPS = {"a1": "a", "a2": "a", "b1": "b"}


def test_one_flies_for_each_group() -> None:
    canaries = Canaries(GROUPS)
    assert [canaries.next(), canaries.next(), canaries.next()] == ["a1", "b1", None]
    assert canaries.is_flying


def test_a_group_s_trials_wait_for_its_canary_alone() -> None:
    canaries = Canaries(GROUPS)
    canaries.next()
    canaries.landed("a1", 0.25)
    assert [canaries.is_waited_for(key) for key in GROUPS] == [False, False, True]
    assert (canaries.share("a2"), canaries.share("b1")) == (0.25, None)
    assert not canaries.is_flying


def test_a_canary_whose_node_is_lost_flies_again_but_not_for_ever() -> None:
    canaries = Canaries({"a1": "a"})
    flights = 0
    while canaries.next() is not None:
        flights += 1
        canaries.again("a1")
    assert flights == MAX_FLIGHTS


def test_a_canary_speaks_for_its_group() -> None:
    assert Canaries(GROUPS).keys_beside("a1") == ["a1", "a2"]


def test_without_groups_nobody_waits() -> None:
    canaries = Canaries({})
    assert canaries.next() is None
    assert not canaries.is_waited_for("a1")


@pytest.mark.parametrize("peak", [1, 3, 7, 11, 19, 40, 89, 91, 200])
def test_the_trials_that_share_a_device_fit_into_it(peak: int) -> None:
    share = share_of_device(peak, 100)
    num_beside = int(1 / share)
    assert num_beside == 1 or num_beside * peak <= 90
