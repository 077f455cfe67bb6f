"""What a sweep's supervisor has to do next, read from the trial store: run these trials, wait for something, or end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from orchestration import decisions
from orchestration.decisions import Asked, Broken, Entry, Failed, Retried, Started, Stopped
from orchestration.failures import POLICY
from selfish_core.store.wishes import Wishes, fold
from selfish_core.trial_store import TrialStore

End = Literal["", "stopped", "cancelled", "broken"]


class Unanswered(Protocol):
    """Knows which of a sweep's trials have no answer yet."""

    def missing(self) -> Sequence[str]:
        """Return their content keys, in the sweep's order."""


@dataclass(frozen=True)
class Decided:
    """What a sweep's decisions so far come to.

    Args:
        failed: content key -> the failure that this run gave it up for.
        stopped: trials that were stopped early, in any run.
        broken: why the circuit breaker, or an error of the user's, ended this run; empty where none did.
        num_retries: number of the newest retry request that was obeyed.
        num_asked: points that a search has chosen.
    """

    failed: Mapping[str, Failed] = field(default_factory=dict)
    stopped: frozenset[str] = frozenset()
    broken: str = ""
    num_retries: int = 0
    num_asked: int = 0

    @classmethod
    def of(cls, entries: Sequence[Entry]) -> Decided:
        """Go through decisions in order; a run that starts tries again what failed."""
        failed: dict[str, Failed] = {}
        stopped: set[str] = set()
        broken, num_retries = "", 0
        num_asked = sum(isinstance(decision, Asked) for _, decision in entries)
        for _, decision in entries:
            if isinstance(decision, Started):
                failed, broken = {}, ""
            elif isinstance(decision, Failed) and decision.is_final:
                failed[decision.trial] = decision
                if POLICY[decision.failure].stops_sweep:
                    broken = f"the sweep is stopped, for every trial would meet this: {decision.message}"
            elif isinstance(decision, Retried):
                num_retries = decision.request
                failed = {key: lost for key, lost in failed.items() if decision.trial not in (None, key)}
                stopped.discard(decision.trial or "")
            elif isinstance(decision, Stopped):
                stopped.update(decision.trials)
            elif isinstance(decision, Broken) and decision.node is None:
                broken = decision.message
        return cls(failed, frozenset(stopped), broken, num_retries, num_asked)


@dataclass(frozen=True)
class Todo:
    """What is to do now.

    Args:
        runnable: content keys of the trials that may run.
        waits: what is waited for while none may; empty where nothing will come.
        end: why the run is to end before everything is answered; empty where it is not.
        decided: so far.
        asks: whether a search has points left to choose.
    """

    runnable: tuple[str, ...]
    waits: str
    end: End
    decided: Decided
    asks: bool = False

    @property
    def is_work(self) -> bool:
        """Whether there is something for a driver to do."""
        return bool(self.runnable) or self.asks


class Agenda:
    """Look at a sweep that this process owns.

    Args:
        store: the trial store.
        sweep: its name.
        progress: of its trials.
        num_requests: number of the newest request when the run began.
        num_points: that a search is to choose; 0 without one.
    """

    def __init__(
        self, store: TrialStore, sweep: str, progress: Unanswered, num_requests: int, num_points: int = 0
    ) -> None:
        self._store = store
        self._sweep = store.sweep(sweep)
        self._progress = progress
        self._num_requests = num_requests
        self._num_points = num_points

    def wishes(self) -> Wishes:
        """Return what people ask for."""
        return fold(self._sweep.requests(), self._num_requests)

    def is_cancelled(self) -> bool:
        """Whether the running epochs are to be given up: all was cancelled, and nothing was taken back since."""
        wishes = self.wishes()
        return wishes.sweep == "cancel" and "run" not in wishes.trials.values()

    def look(self) -> Todo:
        """Return what is to do."""
        wishes, decided = self.wishes(), Decided.of(decisions.read(self._sweep))
        newest = max(self._num_requests, decided.num_retries)
        retries = [request for request in self._sweep.requests(newest) if request.kind == "retry"]
        given_up = {key for key in decided.failed if not any(retry.covers(key) for retry in retries)}
        given_up |= decided.stopped - {retry.trial for retry in retries}
        open_keys = [key for key in self._progress.missing() if key not in given_up]
        wanted = [key for key in open_keys if wishes.of(key) == "run"]
        held = self._store.hold(self._sweep.name, wanted) if wanted else frozenset()
        runnable = tuple(key for key in wanted if key in held)
        is_paused = any(wishes.of(key) == "pause" for key in open_keys) or wishes.sweep == "pause"
        asks = decided.num_asked < self._num_points and wishes.sweep == "run" and not is_paused
        waits = "" if runnable or asks else self._waits(wanted, open_keys, is_paused=is_paused)
        return Todo(runnable, waits, _end(wishes, decided, wanted), decided, asks)

    def _waits(self, wanted: Sequence[str], open_keys: Sequence[str], *, is_paused: bool) -> str:
        if wanted:
            holders = self._store.holders()
            names = {holders[key] for key in wanted if key in holders}
            named = ", ".join(sorted(map(repr, names))) or "another sweep"
            return f"{len(wanted)} trials are run by sweep {named}"
        is_left = bool(open_keys) or self._num_points > 0
        return f"paused: `selfish resume {self._sweep.name}` goes on" if is_paused and is_left else ""


def _end(wishes: Wishes, decided: Decided, wanted: Sequence[str]) -> End:
    """Say why a run is to end; not while a trial is wanted all the same."""
    if decided.broken:
        return "broken"
    if wanted:
        return ""
    return _ENDS.get(wishes.sweep, "")


_ENDS: Mapping[str, End] = {"cancel": "cancelled", "stop": "stopped"}
