"""Where a sweep's trials stand for its next run: what is recorded, what earlier runs decided, what people asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from orchestration import decisions
from orchestration.agenda import Decided
from orchestration.decisions import Entry
from orchestration.standing import Standing
from selfish_core.store.wishes import Wishes, fold
from selfish_core.trial_store import TrialStore

State = Literal["answered", "diverged", "stopped early", "unfinished", "to run", "failed", "cancelled"]

STATES: tuple[State, ...] = ("answered", "diverged", "stopped early", "unfinished", "to run", "failed", "cancelled")
MISSING: frozenset[State] = frozenset({"unfinished", "to run", "failed"})
"""States of trials that a run would start: what failed in an earlier run is tried again, what was cancelled is not."""


class Stand(NamedTuple):
    """Where one trial stands.

    Args:
        state: `unfinished` has recorded epochs, `to run` has none.
        num_answered: epochs recorded, of those wanted.
        why: it failed; else empty.
    """

    state: State
    num_answered: int = 0
    why: str = ""


@dataclass(frozen=True)
class Past:
    """What a sweep of this name has been through.

    Args:
        entries: its decisions.
        decided: what they come to.
        wishes: what is still wished of it; a new run voids stops and pauses.
    """

    entries: Sequence[Entry] = ()
    decided: Decided = field(default_factory=Decided)
    wishes: Wishes = field(default_factory=Wishes)

    @classmethod
    def read(cls, store: TrialStore | None, sweep: str) -> Past:
        """Read it; without a trial store there is none."""
        if store is None:
            return cls()
        stored = store.sweep(sweep)
        entries = decisions.read(stored)
        return cls(entries, Decided.of(entries), fold(stored.requests(), stored.num_requests()))

    def stand(self, key: str, standing: Standing) -> Stand:
        """Return where a trial stands.

        Args:
            key: its content key.
            standing: what is recorded of it.
        """
        num = standing.num_epochs
        if standing.is_over:
            return Stand("diverged" if standing.is_diverged else "answered", num)
        if key in self.decided.stopped:
            return Stand("stopped early", num)
        if self.wishes.of(key) == "cancel":
            return Stand("cancelled", num)
        if key in self.decided.failed:
            lost = self.decided.failed[key]
            return Stand("failed", num, f"{lost.failure}: {lost.message}")
        return Stand("unfinished" if num else "to run", num)
