"""Where a trial stands: how many of the wanted epochs the trial store holds, and whether that is the end of it."""

from __future__ import annotations

from dataclasses import dataclass

from selfish_core.records import Record
from selfish_core.trial_store import TrialStore


@dataclass(frozen=True)
class Standing:
    """How far a trial has come.

    Args:
        num_epochs: recorded, of those that are wanted.
        last: the record of the last of them.
        is_over: whether no epoch is left to run: all are there, or the trial diverged.
    """

    num_epochs: int = 0
    last: Record | None = None
    is_over: bool = False

    @property
    def is_diverged(self) -> bool:
        """Whether the trial ended with a loss that is not finite."""
        return self.last is not None and self.last.outcome == "diverged"

    @property
    def val_perplexity(self) -> float | None:
        """Validation perplexity of the last epoch; None before the first."""
        return self.last.metrics.get("val_perplexity") if self.last is not None else None


def look_up(store: TrialStore, key: str, epochs: int) -> Standing:
    """Read where a trial stands.

    Args:
        store: the trial store.
        key: content key, stored or not.
        epochs: wanted, ≥ 1.
    """
    trial = store.trial(key)
    records = trial.records()[:epochs] if trial.exists() else []
    if not records:
        return Standing()
    return Standing(len(records), records[-1], len(records) >= epochs or records[-1].outcome == "diverged")
