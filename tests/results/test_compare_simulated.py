"""The claims on made-up tables of known truth: a small form of `benchmarks/significance.py`, whose limits it shares.

One hundred tables leave a rate of 5 % some 2 % of play, so the limits are wider here; the numbers are the same each
time.
"""

from __future__ import annotations

import pytest

from benchmarks.significance import Found, simulate


@pytest.fixture(scope="module")
def found() -> Found:
    return simulate(3, num_tables=100, num_seeds=5, effect=3.0, alpha=0.05, seed=1)


def test_equals_are_seldom_called_best(found: Found) -> None:
    assert found.false_best <= 0.05
    assert found.false_of_two <= 0.12


def test_a_clear_lead_is_found(found: Found) -> None:
    assert found.power >= 0.9


def test_intervals_hold_the_true_value_as_often_as_they_say(found: Found) -> None:
    assert 0.9 <= found.mean_coverage <= 0.99
    assert 0.9 <= found.difference_coverage <= 0.99


def test_two_equals_are_told_apart_no_more_often_than_alpha_allows_and_not_never() -> None:
    two = simulate(2, num_tables=100, num_seeds=5, effect=0.0, alpha=0.2, seed=2)
    assert 0.1 <= two.false_best <= 0.3
