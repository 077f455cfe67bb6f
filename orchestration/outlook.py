"""What the driver sees of the world, once a second: people's requests, other sweeps' trials, the disk."""

from __future__ import annotations

import time

from orchestration.conductor import Situation
from orchestration.decisions import Paused, write
from orchestration.disk import DiskGuard
from orchestration.job import Job
from selfish_core.errors import StoreError
from selfish_core.store.wishes import Wishes, fold
from selfish_core.trial_store import TrialStore

HOLD_SECONDS = 3.0
"""Between two tries to take over the trials of other sweeps; those that nobody has tried to hold are tried at once."""


class Outlook:
    """Look at the trial store and the disk for a driver.

    Args:
        job: what runs.
        store: its trial store.
    """

    def __init__(self, job: Job, store: TrialStore) -> None:
        self._job = job
        self._store = store
        self._sweep = store.sweep(job.sweep)
        self._guard = DiskGuard(job.store, job.checkpoint_bytes)
        self._held: frozenset[str] = frozenset()
        self._tried: frozenset[str] = frozenset()
        self._tried_at = time.monotonic()
        self._shortage = ""
        self._num_retries = job.num_retries

    def look(self, num_running: int = 0) -> Situation:
        """Return how things are.

        Args:
            num_running: trials that run now and will each write a checkpoint.
        """
        try:
            requests = self._sweep.requests()
            self._hold_more()
        except StoreError:
            return Situation(Wishes(), self._held, "the trial store cannot be read")
        self._look_at_disk(max(1, num_running))
        retries = tuple(r for r in requests if r.kind == "retry" and r.number > self._num_retries)
        self._num_retries = max([self._num_retries, *(retry.number for retry in retries)])
        return Situation(fold(requests, self._job.num_requests), self._held, self._shortage, retries)

    def _hold_more(self) -> None:
        """Take what is free: new trials at once, those that another sweep had now and then."""
        missing = self._job.trials.keys() - self._held
        is_due = time.monotonic() - self._tried_at >= HOLD_SECONDS
        if missing - self._tried or (missing and is_due):
            self._held |= self._store.hold(self._job.sweep, sorted(missing))
            self._tried = frozenset(self._job.trials)
            self._tried_at = time.monotonic()

    def _look_at_disk(self, num_running: int) -> None:
        shortage = self._guard.is_short(num_running) or ""
        if bool(shortage) != bool(self._shortage):
            told = shortage or "there is space again"
            write(self._sweep, Paused(message=told, is_over=not shortage))
        self._shortage = shortage
