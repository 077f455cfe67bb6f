"""Early stopping by setting: Ray Tune's ASHA and median rule, which see the mean over a setting's seeds as one trial.

The seeds of a setting go on together and are stopped together, so that a lucky seed saves nothing and an unlucky one
costs nothing. What is judged is the validation perplexity of an epoch, measured before the epoch's mask update. Around
the start of averaging nothing is judged: neither in the epoch whose evaluation triggers it nor in the next, the first
with averaged weights. Only the record after an epoch says whether that was the trigger's, so a setting that may still
start to average is judged with one epoch's delay.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import TYPE_CHECKING, Any, NamedTuple

from orchestration.decisions import Entry, Retried, Stopped
from selfish_core.catalogue.corpora import facts
from selfish_core.config import TrialConfig
from sweeps.sections import EarlyStoppingPart

if TYPE_CHECKING:
    from ray.tune.schedulers import TrialScheduler

EPOCH, METRIC = "epoch", "val_perplexity"


class Member(NamedTuple):
    """What early stopping knows of a trial.

    Args:
        group: the same for all seeds of a setting.
        worst: perplexity of a model that knows nothing, which is what a diverged one counts as.
        may_average: whether its optimizer may start to average.
    """

    group: str
    worst: float
    may_average: bool


class _Evaluation(NamedTuple):
    perplexity: float
    is_averaging: bool
    is_selectable: bool


@dataclass
class _Group:
    """The seeds of a setting, and how far it was judged."""

    evaluations: dict[str, dict[int, _Evaluation]] = field(default_factory=dict)
    judged: int = 0


@dataclass(frozen=True)
class _Entrant:
    """What Tune's rules touch of a trial."""

    trial_id: str


class _Field:
    """What Tune's rules touch of its controller: no trial waits for another's place."""

    def get_live_trials(self) -> list[Any]:
        """Return none."""
        return []


class EarlyStopping:
    """Judge settings as the records of their seeds come in.

    Args:
        part: the spec's section.
        epochs: of the sweep.
        members: content key -> member, of all trials of the sweep, those that are over too.
        decided: from `stops`: content key -> epoch at whose evaluation it was stopped; None for one that people then
            wanted to run, which is judged no more.
    """

    def __init__(
        self, part: EarlyStoppingPart, epochs: int, members: Mapping[str, Member], decided: Mapping[str, int | None]
    ) -> None:
        self.rule = part.rule
        self.stopped = {key: epoch for key, epoch in decided.items() if epoch is not None}
        self._last_epoch = part.max_epochs or epochs
        self._members: dict[str, Member] = {}
        self._groups: dict[str, _Group] = {}
        self._scheduler = _scheduler(part, self._last_epoch)
        self.add({key: member for key, member in members.items() if decided.get(key, 0) is not None})

    def add(self, members: Mapping[str, Member]) -> None:
        """Take in trials, all seeds of a setting at once."""
        for key, member in members.items():
            if key not in self._members:
                self._members[key] = member
                self._groups.setdefault(member.group, _Group()).evaluations[key] = {}

    def replay(self, records: Mapping[str, Sequence[Mapping[str, float]]]) -> None:
        """Learn from what was recorded before, without stopping anything: what was stopped is known.

        Args:
            records: content key -> metrics of its epochs, from the first.
        """
        for key in sorted(set(records) & set(self._members)):
            for epoch, metrics in enumerate(records[key], start=1):
                self._note(key, epoch, metrics)
        for name in sorted(self._groups):
            for epoch in self._ready_epochs(name):
                self._remember(name, epoch)

    def report(self, key: str, epoch: int, metrics: Mapping[str, float]) -> frozenset[str]:
        """Take note of a record and return the trials that are stopped by it: none, or all seeds of a setting.

        Args:
            key: content key; one that is not known is passed over.
            epoch: from 1; one that was reported before changes nothing.
            metrics: of the record; without a finite validation perplexity, the trial has diverged.
        """
        if key not in self._members:
            return frozenset()
        self._note(key, epoch, metrics)
        return self._judge(self._members[key].group) or self._late(key, epoch)

    def leave(self, key: str) -> None:
        """Wait no more for a trial that was given up: its setting is judged without it, until it reports again."""
        if key in self._members:
            self._groups[self._members[key].group].evaluations.pop(key, None)

    def spare(self, key: str) -> None:
        """Judge a trial no more, for people want it to run: neither now nor with the others of its setting."""
        self.leave(key)
        self._members.pop(key, None)
        self.stopped.pop(key, None)

    def _note(self, key: str, epoch: int, metrics: Mapping[str, float]) -> None:
        member = self._members[key]
        perplexity = metrics.get(METRIC, math.nan)
        evaluation = _Evaluation(
            member.worst if math.isnan(perplexity) else min(perplexity, member.worst),
            is_averaging=bool(metrics.get("is_averaging")),
            is_selectable=bool(metrics.get("is_selectable", 1.0)),
        )
        found = self._groups[member.group].evaluations.setdefault(key, {})
        last = self._last_epoch + 1 if METRIC not in metrics else epoch
        for later in range(epoch, last + 1):
            found.setdefault(later, evaluation)

    def _judge(self, name: str) -> frozenset[str]:
        group = self._groups[name]
        for epoch in self._ready_epochs(name):
            if self._verdict(name, epoch) == "STOP":
                self.stopped.update(dict.fromkeys(group.evaluations, epoch))
                return frozenset(group.evaluations)
        return frozenset()

    def _late(self, key: str, epoch: int) -> frozenset[str]:
        """Stop a seed that came to a setting after it was stopped, once it is as far as the others."""
        end = self._end(self._groups[self._members[key].group])
        if key in self.stopped or end is None or epoch < end:
            return frozenset()
        self.stopped[key] = end
        return frozenset({key})

    def _ready_epochs(self, name: str) -> Iterable[int]:
        """Yield the epochs that can be judged by now and were not, until the setting is stopped."""
        group = self._groups[name]
        while group.evaluations and group.judged < (self._end(group) or self._last_epoch):
            epoch = group.judged + 1
            if not all(self._is_known(key, found, epoch) for key, found in group.evaluations.items()):
                return
            group.judged = epoch
            if all(_may_be_judged(found, epoch) for found in group.evaluations.values()):
                yield epoch

    def _end(self, group: _Group) -> int | None:
        """Return the epoch at whose evaluation a setting was stopped; None where it was not."""
        return min((self.stopped[key] for key in group.evaluations if key in self.stopped), default=None)

    def _is_known(self, key: str, found: Mapping[int, _Evaluation], epoch: int) -> bool:
        if epoch not in found:
            return False
        may_be_trigger = self._members[key].may_average and not found[epoch].is_averaging
        return epoch + 1 in found or not may_be_trigger

    def _verdict(self, name: str, epoch: int) -> str:
        entrant = self._entrant(name)
        return str(self._scheduler.on_trial_result(_Field(), entrant, self._result(name, epoch)))

    def _remember(self, name: str, epoch: int) -> None:
        """Let the rule know of a mean without asking for a verdict."""
        entrant = self._entrant(name)
        self._scheduler.on_trial_complete(_Field(), entrant, self._result(name, epoch))

    def _entrant(self, name: str) -> _Entrant:
        entrant = _Entrant(name)
        self._scheduler.on_trial_add(_Field(), entrant)
        return entrant

    def _result(self, name: str, epoch: int) -> dict[str, float]:
        found = self._groups[name].evaluations
        return {EPOCH: epoch, METRIC: fmean(found[key][epoch].perplexity for key in sorted(found))}


def member_of(config: TrialConfig) -> Member:
    """Return what early stopping knows of a trial."""
    group = config.model_copy(update={"seed": 0}).key()
    may_average = "non_monotone_window" in type(config.optimizer).model_fields
    return Member(group, float(facts(config.corpus).vocabulary_size), may_average)


def stops(entries: Iterable[Entry]) -> dict[str, int | None]:
    """Return which trials were stopped early, and at whose epoch's evaluation; None where somebody retried them."""
    found: dict[str, int | None] = {}
    for _, decision in entries:
        if isinstance(decision, Stopped):
            found.update(dict.fromkeys(decision.trials, decision.epoch))
        elif isinstance(decision, Retried) and decision.trial in found:
            found[decision.trial] = None
    return found


def _may_be_judged(found: Mapping[int, _Evaluation], epoch: int) -> bool:
    """Whether averaging starts neither in this epoch nor in the one before, and the masks are as sparse as wanted."""
    at = [found.get(other) for other in (epoch - 1, epoch, epoch + 1)]
    before, now, after = (other is not None and other.is_averaging for other in at)
    is_trigger, is_next = after and not now, now and not before
    return found[epoch].is_selectable and not is_trigger and not is_next


def _scheduler(part: EarlyStoppingPart, last_epoch: int) -> TrialScheduler:
    from ray.tune.schedulers import AsyncHyperBandScheduler, MedianStoppingRule

    common: dict[str, Any] = {"time_attr": EPOCH, "metric": METRIC, "mode": "min", "grace_period": part.grace_epochs}
    if part.rule == "median":
        chosen: dict[str, Any] = {} if part.min_groups is None else {"min_samples_required": part.min_groups}
        return MedianStoppingRule(**common, **chosen)
    chosen = {} if part.reduction_factor is None else {"reduction_factor": part.reduction_factor}
    return AsyncHyperBandScheduler(**common, **chosen, max_t=last_epoch, stop_last_trials=False)
