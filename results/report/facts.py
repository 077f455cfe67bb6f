"""What a report tells beside the numbers: where trials stand, what failed, which commands go on; whoever asks fills it.

`results` reads records; what a sweep decided about its trials lies with whoever runs sweeps, who passes it on as these.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

ANSWERED_STATES = ("answered", "diverged", "stopped early")
"""States in which nothing is left to do."""


@dataclass(frozen=True)
class TrialFact:
    """Where one trial stands.

    Args:
        key: content key.
        label: what people know it by.
        state: `answered`, `diverged`, `stopped early`, `unfinished`, `to run`, `failed`, `cancelled` or `running`.
        num_epochs: recorded, of those that are wanted.
        message: of the epoch in which it diverged; else empty.
        repeat: the command that answers it anew.
    """

    key: str
    label: str
    state: str
    num_epochs: int
    message: str = ""
    repeat: str = ""

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to do for it."""
        return self.state in ANSWERED_STATES


@dataclass(frozen=True)
class FailureFact:
    """How often one trial ended without the record that was due, in one way.

    Args:
        key: content key of the trial.
        failure: its class, e.g. `out_of_memory`.
        message: one line.
        node: where it ran; empty where unknown.
        number: how often, ≥ 1.
        is_final: whether the trial was given up for it at least once.
    """

    key: str
    failure: str
    message: str
    node: str = ""
    number: int = 1
    is_final: bool = False


@dataclass(frozen=True)
class Facts:
    """What a report tells of a sweep beside its numbers.

    Args:
        trials: in the sweep's order.
        failures: in the order in which they first came up.
        run_command: what starts all that is missing.
        logs_command: what shows the tracebacks of the failures.
        num_to_choose: trials that a search has not chosen yet.
    """

    trials: tuple[TrialFact, ...]
    failures: tuple[FailureFact, ...]
    run_command: str
    logs_command: str
    num_to_choose: int = 0

    @property
    def counts(self) -> dict[str, int]:
        """State -> number of trials, of the states that there are, the most frequent first."""
        return dict(Counter(trial.state for trial in self.trials).most_common())

    @property
    def by_key(self) -> Mapping[str, TrialFact]:
        """Content key -> trial."""
        return {trial.key: trial for trial in self.trials}

    @property
    def missing(self) -> tuple[TrialFact, ...]:
        """The trials for which something is left to do."""
        return tuple(trial for trial in self.trials if not trial.is_over)

    @property
    def stopped(self) -> frozenset[str]:
        """Content keys of the trials that early stopping gave up."""
        return frozenset(trial.key for trial in self.trials if trial.state == "stopped early")
