"""A search in the driver: the next point becomes trials to run, and what they came to is told to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, MutableMapping
from typing import Any, NamedTuple

from orchestration.agenda import Decided
from orchestration.decisions import AnyDecision, Entry
from orchestration.early_stopping import EarlyStopping, member_of
from orchestration.search import Search, value_of
from orchestration.standing import look_up
from selfish_core.trial_store import TrialStore
from sweeps.expand import Trial
from sweeps.spec import Spec


class More(NamedTuple):
    """Trials that a search has chosen.

    Args:
        keys: of those that are to run.
        held: of these, those that this sweep may run now.
    """

    keys: tuple[str, ...]
    held: frozenset[str]


class Quest:
    """Feed a search's trials to a conductor.

    Args:
        spec: with a search.
        store: the trial store.
        entries: the sweep's decisions so far.
        decide: takes every new decision, to be kept.
        roster: content key -> config of the trials that may run; takes those of new points.
        early: learns of new points too; None where nothing is stopped early.
    """

    def __init__(
        self,
        spec: Spec,
        store: TrialStore,
        entries: Iterable[Entry],
        decide: Callable[[AnyDecision], object],
        roster: MutableMapping[str, dict[str, Any]],
        early: EarlyStopping | None = None,
    ) -> None:
        entries = list(entries)
        self._spec = spec
        self._store = store
        self._roster = roster
        self._early = early
        self._search = Search(spec, entries, decide)
        decided = Decided.of(entries)
        self._given_up = decided.failed.keys() | decided.stopped
        for trial in self._search.trials:
            if trial.key in decided.failed:
                self._search.over(trial.key, None)
            elif trial.key in decided.stopped or look_up(store, trial.key, spec.epochs).is_over:
                self.over(trial.key)

    def more(self) -> More:
        """Return the next point's trials that are to run; none while no point is to come."""
        while (asked := self._search.ask()) is not None:
            if self._early is not None:
                self._early.add({trial.key: member_of(trial.config) for trial in asked.trials})
            missing = [trial for trial in asked.trials if not self._take(trial)]
            if missing:
                keys = tuple(trial.key for trial in missing)
                return More(keys, self._store.hold(self._spec.name, keys))
        return More((), frozenset())

    def unfinished(self) -> list[str]:
        """Return the content keys of chosen trials that have no answer yet."""
        open_trials = [trial for trial in self._search.trials if trial.key not in self._given_up]
        return [trial.key for trial in open_trials if not self._take(trial)]

    def over(self, key: str, *, is_lost: bool = False) -> None:
        """Take note that a trial is over.

        Args:
            key: its content key.
            is_lost: whether it was given up after a failure.
        """
        assert self._spec.search is not None
        judged = self._early.stopped.get(key) if self._early is not None else None
        records = self._store.trial(key).records()[: judged or self._spec.epochs]
        self._search.over(key, None if is_lost else value_of(records, self._spec.search.metric))

    def _take(self, trial: Trial) -> bool:
        """Store a trial and say whether it is answered already."""
        self._store.put(trial.config.to_dict(), trial.key)
        self._roster[trial.key] = trial.config.to_dict()
        is_over = look_up(self._store, trial.key, trial.epochs).is_over
        if is_over:
            self.over(trial.key)
        return is_over
