"""What earlier trials of a trial store tell a plan: how fast they were, and which differ in their horizon alone."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from functools import cached_property

from orchestration.speeds import alike
from orchestration.standing import Standing
from selfish_core.config import TrialConfig
from selfish_core.errors import StoreError
from selfish_core.records import Record
from selfish_core.trial_store import TrialStore
from sweeps.expand import Trial

MAX_COMPARED = 5000
"""Stored trials that no sweep at hand wants and that are looked through nevertheless."""

MAX_MEASURED = 16
"""Of these, how many are asked for their speed, of each kind."""


class Earlier:
    """Stored trials beside those of a sweep; read when they are first needed.

    Args:
        trials: of the sweep.
        standings: of each of them.
        store: the trial store; None where there is none yet.
    """

    def __init__(self, trials: Sequence[Trial], standings: Mapping[str, Standing], store: TrialStore | None) -> None:
        self._trials = trials
        self._standings = standings
        self._store = store

    def measured(self) -> Iterator[tuple[TrialConfig, Record]]:
        """Yield configs with a recorded epoch of theirs: of the sweep's own trials, else of those that are alike."""
        known: set[Hashable] = set()
        for trial in self._trials:
            record = self._standings.get(trial.key, Standing()).last
            if record is not None:
                known.add(alike(trial.config))
                yield trial.config, record
        wanted = dict.fromkeys({alike(trial.config) for trial in self._trials} - known, MAX_MEASURED)
        for key, config in self._others.items() if wanted else ():
            if wanted.get(alike(config)):
                record = self._last_record(key)
                if record is not None:
                    wanted[alike(config)] -= 1
                    yield config, record

    def rekeyed(self, config: TrialConfig) -> str:
        """Say what made a trial new where a stored one differs in nothing else; else nothing."""
        horizon = config.sparsity.horizon_epochs
        before = self._horizons.get(_without_horizon(config)) if horizon is not None and self._horizons else None
        if not before:
            return ""
        return "the code of an extension" if horizon in before else f"horizon {max(before)}→{horizon}"

    def _last_record(self, key: str) -> Record | None:
        try:
            records = self._store.trial(key).records() if self._store is not None else []
        except StoreError:
            return None
        return records[-1] if records else None

    @cached_property
    def _others(self) -> dict[str, TrialConfig]:
        """The stored trials that are not the sweep's; one that cannot be read is for `doctor` to report."""
        found: dict[str, TrialConfig] = {}
        if self._store is None:
            return found
        stored = self._store.keys()
        for key in [key for key in stored if key not in self._standings][:MAX_COMPARED]:
            try:
                found[key] = TrialConfig.from_dict(self._store.trial(key).config())
            except (ValueError, StoreError):
                continue
        return found

    @cached_property
    def _horizons(self) -> dict[TrialConfig, set[int]]:
        """Horizons of stored trials, by what the trials are without them."""
        stored = [trial.config for trial in self._trials if self._standings.get(trial.key, Standing()).num_epochs]
        found: dict[TrialConfig, set[int]] = {}
        for config in (*stored, *self._others.values()):
            if config.sparsity.horizon_epochs is not None:
                found.setdefault(_without_horizon(config), set()).add(config.sparsity.horizon_epochs)
        return found


def _without_horizon(config: TrialConfig) -> TrialConfig:
    return config.model_copy(update={"sparsity": config.sparsity.model_copy(update={"horizon_epochs": None})})
