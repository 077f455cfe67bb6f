"""A sweep's story: its decisions and requests, read as they come, and what they come to for each of its trials."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from pydantic import ValidationError

from orchestration.decisions import (
    ANY,
    AnyDecision,
    Asked,
    Ended,
    Failed,
    FailureClass,
    Left,
    Paused,
    Retried,
    Running,
    Started,
    Stopped,
)
from orchestration.wanted import load_saved
from selfish_core.errors import InputError
from selfish_core.store.wishes import Request, Wishes, fold
from selfish_core.trial_store import StoredSweep, TrialStore


class Event(NamedTuple):
    """A decision, with its number in the sweep's order and its time for display, ms since 1970 or 0."""

    number: int
    told_ms: int
    decision: AnyDecision


class Story:
    """What a sweep was asked and what it decided; each file is read once.

    Args:
        sweep: in the trial store.
    """

    def __init__(self, sweep: StoredSweep) -> None:
        self.events: list[Event] = []
        self.requests: list[Request] = []
        self._sweep = sweep
        self._num_read = 0

    def read_on(self) -> list[Event]:
        """Read what is new, and return the new decisions; what this version does not know is left out."""
        self.requests += self._sweep.requests(self.requests[-1].number if self.requests else 0)
        new = []
        for kept in self._sweep.decisions(self._num_read):
            self._num_read = kept.number
            try:
                decision = ANY.validate_python({"kind": kept.kind, **kept.body})
            except ValidationError:
                continue
            new.append(Event(kept.number, kept.told_ms, decision))
        self.events += new
        return new

    def wishes(self, *more: Request) -> Wishes:
        """Return what people want of the sweep now, or would want after more requests."""
        begun = [event.decision.num_requests for event in self.events if isinstance(event.decision, Started)]
        return fold([*self.requests, *more], begun[-1] if begun else 0)


@dataclass(frozen=True)
class Course:
    """What decisions come to.

    Args:
        started: how the newest run began; None before the first.
        ended: how it ended; None while it has not, or where it was killed.
        pause: why the sweep waits; empty where it does not.
        trials: content key -> what was decided last about a trial, where that still holds.
        failures: (class, node) -> how often, in the newest run.
    """

    started: Started | None = None
    ended: Ended | None = None
    pause: str = ""
    trials: Mapping[str, Running | Failed | Stopped] = field(default_factory=dict)
    failures: Mapping[tuple[FailureClass, str], int] = field(default_factory=dict)

    @classmethod
    def of(cls, events: Sequence[Event]) -> Course:
        """Go through a story; a run that starts forgets how the one before it fared, but for early stops."""
        started, ended, pause = None, None, ""
        trials: dict[str, Running | Failed | Stopped] = {}
        failures: Counter[tuple[FailureClass, str]] = Counter()
        for _, _, decision in events:
            match decision:
                case Started():
                    started, ended, pause = decision, None, ""
                    trials = {key: last for key, last in trials.items() if isinstance(last, Stopped)}
                    failures.clear()
                case Ended():
                    ended, pause = decision, ""
                    trials = {key: last for key, last in trials.items() if not isinstance(last, Running)}
                case Running():
                    trials[decision.trial] = decision
                case Left():
                    trials.pop(decision.trial, None)
                case Failed():
                    trials[decision.trial] = decision
                    failures[decision.failure, decision.node] += 1
                case Retried():
                    again = [key for key, last in trials.items() if isinstance(last, Failed)]
                    for key in again if decision.trial is None else [decision.trial]:
                        trials.pop(key, None)
                case Stopped():
                    trials.update(dict.fromkeys(decision.trials, decision))
                case Paused():
                    pause = "" if decision.is_over else decision.message
        return cls(started, ended, pause, trials, failures)


class Members(NamedTuple):
    """The trials of a sweep.

    Args:
        labels: content key -> what people know the trial by, in the sweep's order.
        epochs: wanted of each, ≥ 1.
    """

    labels: Mapping[str, str]
    epochs: int


def members(store: TrialStore, name: str) -> Members:
    """Return the trials that a stored sweep wants by its newest spec; of a searched sweep `chosen` has them.

    Raises:
        InputError: when the spec cannot be read.
    """
    wanted = load_saved(store, name)
    if wanted is None:
        raise InputError(f"the stored spec of sweep {name!r} cannot be read by this version of Selfish")
    return Members(wanted.labels, wanted.spec.epochs)


def all_labels(store: TrialStore, name: str) -> dict[str, str]:
    """Return content key -> what people know the trial by, of all trials of a sweep.

    Raises:
        InputError: when its spec cannot be read.
    """
    story = Story(store.sweep(name))
    story.read_on()
    return {**members(store, name).labels, **chosen(story.events)}


def chosen(events: Sequence[Event]) -> dict[str, str]:
    """Return content key -> what people know the trial by, of the trials that a search has chosen."""
    labels: dict[str, str] = {}
    for _, _, decision in events:
        if isinstance(decision, Asked):
            point = ", ".join(f"{name} {_short(value)}" for name, value in decision.point.items())
            for place, key in enumerate(decision.trials, start=1):
                labels[key] = f"point {decision.number} ({point}), seed {place} of {len(decision.trials)}"
    return labels


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
