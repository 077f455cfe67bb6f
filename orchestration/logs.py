"""A sweep's story as lines: decisions in their order, merged with the epochs of its trials in theirs.

The times on the lines are those of the machines that wrote them. They place decisions among epochs for the eye; neither
the order of decisions nor that of a trial's epochs depends on them.
"""

from __future__ import annotations

import heapq
import json
import math
import time
from collections.abc import Iterable
from dataclasses import dataclass

from orchestration.decisions import AnyDecision, Asked, Canary, Failed, Left, Retried, Running, Stopped, Told
from orchestration.story import Course, Event, Story, chosen, members
from orchestration.telling import told
from orchestration.terminal import clean
from selfish_core.errors import StoreError
from selfish_core.records import Record
from selfish_core.trial_store import TrialStore


@dataclass(frozen=True)
class Line:
    """Something that happened.

    Args:
        told_ms: when, as the clock of the writer said, ms since 1970; 0 where that was not kept.
        kind: `epoch`, or the kind of the decision.
        text: one line.
        trial: content key, where it is about one trial.
        details: more lines, such as a traceback.
    """

    told_ms: int
    kind: str
    text: str
    trial: str | None = None
    details: str = ""

    def to_json(self) -> str:
        """Return it as one line of JSON."""
        return json.dumps(self.__dict__)

    def as_text(self, *, has_details: bool) -> str:
        """Return it for people, control characters escaped and details indented."""
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self.told_ms / 1000)) if self.told_ms else "–" * 19
        more = self.details.splitlines() if has_details else []
        return "\n".join([f"{when}  {clean(self.text)}", *(f"    {clean(line)}" for line in more)])


class Log:
    """Read a sweep's story, and then what is new of it.

    Args:
        store: the trial store.
        name: of a sweep that has a spec there.
        trial: content key, for what concerns this trial only.

    Raises:
        InputError: when the sweep's spec cannot be read.
    """

    def __init__(self, store: TrialStore, name: str, trial: str | None = None) -> None:
        self._store = store
        self._members = members(store, name)
        self._story = Story(store.sweep(name))
        self._trial = trial
        self._num_told: dict[str, int] = {}
        self._moving: frozenset[str] | None = None

    def read_on(self) -> list[Line]:
        """Return what has come since the last call."""
        events = self._story.read_on()
        labels = {**self._members.labels, **chosen(self._story.events)}
        moving = self._now_moving()
        looked_at = labels.keys() if self._moving is None or moving is None else moving | self._moving
        self._moving = moving
        shown = [event for event in events if self._trial is None or _concerns(event.decision, self._trial)]
        decided = [_line(event, labels) for event in shown]
        epochs = [self._epochs(key, labels[key]) for key in labels if key in looked_at and self._trial in (None, key)]
        return list(heapq.merge(decided, *epochs, key=lambda line: line.told_ms))

    def _now_moving(self) -> frozenset[str] | None:
        """Return the trials that run now, so that no others need be read; None where no decisions tell."""
        course = Course.of(self._story.events)
        if course.started is None:
            return None
        return frozenset(key for key, last in course.trials.items() if isinstance(last, Running))

    def _epochs(self, key: str, label: str) -> list[Line]:
        """Return the new epochs of a trial."""
        num_told = self._num_told.get(key, 0)
        if num_told >= self._members.epochs:
            return []
        try:
            records = self._store.trial(key).records()[num_told : self._members.epochs]
        except StoreError:
            return []
        is_over = bool(records) and records[-1].outcome == "diverged"
        self._num_told[key] = self._members.epochs if is_over else num_told + len(records)
        return [_epoch_line(record, f"{label} ({key[:8]})", self._members.epochs) for record in records]


def as_lines(lines: Iterable[Line], *, is_json: bool, has_details: bool) -> str:
    """Write lines one below the other."""
    return "\n".join(line.to_json() if is_json else line.as_text(has_details=has_details) for line in lines)


def _line(event: Event, labels: dict[str, str]) -> Line:
    decision = event.decision
    trial = getattr(decision, "trial", None)
    details = decision.details if isinstance(decision, Failed) else ""
    return Line(event.told_ms, decision.kind, told(decision, labels), trial, details)


def _epoch_line(record: Record, name: str, epochs: int) -> Line:
    if record.outcome == "diverged":
        what = f"diverged: {record.message}"
    else:
        perplexity = record.metrics.get("val_perplexity", math.nan)
        what = f"val perplexity {perplexity:.2f}, {record.timing.tokens_per_second:,.0f} tokens/s"
    text = f"{name}: epoch {record.epoch}/{epochs}: {what}"
    return Line(record.timing.finished_ms, "epoch", text, record.key, "\n".join(record.events))


def _concerns(decision: AnyDecision, key: str) -> bool:
    """Whether a decision is about this trial, or about the sweep as a whole."""
    match decision:
        case Running() | Left() | Failed() | Canary():
            return decision.trial == key
        case Stopped() | Asked():
            return key in decision.trials
        case Retried():
            return decision.trial in (None, key)
        case Told():
            return False
    return True
