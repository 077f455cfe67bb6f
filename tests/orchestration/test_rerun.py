"""Answering anew: the old answer stays in the store, and a trial without an answer is not touched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from orchestration.rerun import chosen, start_anew
from selfish_core.errors import InputError
from selfish_core.trial_store import TrialStore


class Wanted:
    """As much of a sweep as is looked at."""

    class spec:  # noqa: N801
        name = "s"

    def __init__(self, *trials: Any) -> None:
        self.trials = trials


@pytest.fixture
def answered(store: TrialStore, make_trial: Callable[..., Any], fill: Callable[..., None]) -> Any:
    trial = make_trial()
    fill(store, trial, 3)
    return trial


def test_a_trial_that_is_answered_anew_has_no_answer_and_keeps_the_old_attempt(
    store: TrialStore, answered: Any
) -> None:
    assert start_anew(store, [answered.key]) == [answered.key]
    trial = store.trial(answered.key)
    assert trial.answered_epochs() == 0
    assert [attempt.reason for attempt in trial.attempts()][-1] == "rerun"
    assert trial.superseded(3) is not None


def test_asking_twice_takes_nothing_twice(store: TrialStore, answered: Any) -> None:
    start_anew(store, [answered.key])
    assert start_anew(store, [answered.key]) == []


def test_what_has_no_answer_needs_no_new_one(store: TrialStore, make_trial: Callable[..., Any]) -> None:
    trial = make_trial(seed=9)
    store.put(trial.config.to_dict(), trial.key)
    assert start_anew(store, [trial.key]) == []


def test_a_key_is_named_by_its_first_digits(store: TrialStore, answered: Any) -> None:
    assert chosen(Wanted(answered), store, [answered.key[:6]], None) == [answered.key]
    with pytest.raises(InputError, match="0 trials of s have a key that starts so"):
        chosen(Wanted(answered), store, ["zz"], None)


def test_other_code_is_older_than_now(store: TrialStore, answered: Any) -> None:
    assert chosen(Wanted(answered), store, [], "now") == [answered.key]


def test_a_version_of_the_store_is_not_older_than_itself(store: TrialStore, answered: Any) -> None:
    version = store.trial(answered.key).records()[0].provenance.code_version
    assert chosen(Wanted(answered), store, [], version) == []


def test_a_version_that_nobody_knows_is_refused(store: TrialStore, answered: Any) -> None:
    with pytest.raises(InputError, match="no record of this sweep has that code version; there are"):
        chosen(Wanted(answered), store, [], "nonsense")
