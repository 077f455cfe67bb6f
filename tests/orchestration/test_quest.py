"""A search in the driver: points become trials that this sweep holds, and what they came to is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from orchestration import decisions
from orchestration.quest import Quest
from selfish_core.trial_store import TrialStore
from sweeps import spec as spec_module
from sweeps.expand import point_trials
from sweeps.spec import Spec

SPEC = """\
name: quest
base:
  method: static
  sparsity: 0.5
  corpus: synthetic
  architecture: {name: stacked_lstm, num_layers: 1, hidden_size: 8, embedding_size: 8}
  optimizer: {name: sgd, learning_rate: 1}
epochs: 2
axes: [{grid: {optimizer.learning_rate: {low: 1, high: 10}}}]
search: {num_trials: 3, sampler: random}
seeds: [1, 2]
"""


@pytest.fixture
def spec() -> Spec:
    return spec_module.parse(SPEC.encode(), Path("quest.yaml"))


@pytest.fixture
def quest(spec: Spec, store: TrialStore) -> Iterator[Callable[..., Quest]]:
    sweep = store.sweep(spec.name)

    def make(roster: dict[str, Any] | None = None) -> Quest:
        return Quest(
            spec,
            store,
            decisions.read(sweep),
            lambda decision: decisions.write(sweep, decision),
            {} if roster is None else roster,
        )

    with sweep.owned():
        yield make


def told(store: TrialStore, spec: Spec) -> list[float | None]:
    found = decisions.read(store.sweep(spec.name))
    return [entry.decision.value for entry in found if isinstance(entry.decision, decisions.Told)]


def answer(store: TrialStore, spec: Spec, keys: tuple[str, ...], fill: Callable[..., None]) -> None:
    for entry in decisions.read(store.sweep(spec.name)):
        if isinstance(entry.decision, decisions.Asked):
            for trial in point_trials(spec, entry.decision.point):
                if trial.key in keys:
                    fill(store, trial, 2)


def test_a_point_becomes_one_stored_and_held_trial_for_each_seed(quest: Any, store: TrialStore) -> None:
    roster: dict[str, Any] = {}
    more = quest(roster).more()
    assert len(more.keys) == 2
    assert more.held == set(more.keys) == set(roster)
    assert all(store.trial(key).exists() for key in more.keys)


def test_no_point_comes_after_the_last(quest: Any) -> None:
    searching = quest()
    assert [len(searching.more().keys) for _ in range(4)] == [2, 2, 2, 0]


def test_a_point_is_told_when_its_last_seed_is_over(
    quest: Any, store: TrialStore, spec: Spec, fill: Callable[..., None]
) -> None:
    searching = quest()
    first, second = searching.more().keys
    answer(store, spec, (first, second), fill)
    searching.over(first)
    assert told(store, spec) == []
    searching.over(second)
    assert len(told(store, spec)) == 1


def test_a_point_whose_seeds_were_all_lost_is_worth_nothing(quest: Any, store: TrialStore, spec: Spec) -> None:
    searching = quest()
    for key in searching.more().keys:
        searching.over(key, is_lost=True)
    assert told(store, spec) == [None]


def test_after_a_crash_what_was_chosen_goes_on_and_what_was_answered_is_told(
    quest: Any, store: TrialStore, spec: Spec, fill: Callable[..., None]
) -> None:
    first = quest().more().keys
    answer(store, spec, first, fill)
    second = quest().more().keys
    assert len(told(store, spec)) == 1
    assert quest().unfinished() == list(second)
