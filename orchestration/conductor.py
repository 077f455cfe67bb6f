"""Which trial runs next, which ends, which is tried again: the driver's decisions, without Ray, files or a clock.

    waiting ──next──▶ running ──record──▶ over
       ▲                 │
       └──── again ◀─────┴──fail──▶ given up

A trial waits also while it is paused, stopped or cancelled, while another sweep holds it, or while its architecture's
canary flies; it is then passed over, and looked at anew whenever a worker is free.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from orchestration.breaker import Breaker
from orchestration.canaries import Canaries, share_of_device
from orchestration.decisions import AnyDecision, Canary, Failed, FailureClass, Left, Retried, Running, Stopped
from orchestration.early_stopping import EarlyStopping
from orchestration.failures import Again, Failure, StopSweep, after
from orchestration.quest import Quest
from selfish_core.store.wishes import Request, Wishes

MAX_DETAILS = 20_000
FLIES_AGAIN: frozenset[FailureClass] = frozenset({"preempted", "node_lost", "worker_lost"})
"""Failures that say nothing about a canary's architecture."""


@dataclass(frozen=True)
class Start:
    """What a worker is to do.

    Args:
        key: the trial's content key.
        is_alone: whether it is to have its device for itself.
        is_canary: whether only a few steps are to run, and nothing is kept.
        share: of a device, as its canary measured; None for what the spec says.
    """

    key: str
    is_alone: bool = False
    is_canary: bool = False
    share: float | None = None


@dataclass(frozen=True)
class Situation:
    """What the world outside wants and allows.

    Args:
        wishes: what people asked for.
        held: trials that this sweep may run; others belong to another live sweep.
        shortage: why nothing may go on for the moment, e.g. a full disk; empty where all is well.
        retries: what somebody has asked to be tried again since the last look.
    """

    wishes: Wishes
    held: frozenset[str]
    shortage: str = ""
    retries: tuple[Request, ...] = ()


@dataclass
class _Course:
    """How one trial has fared in this run."""

    epoch: int = 0
    failures: list[FailureClass] = field(default_factory=list)
    is_alone: bool = False
    is_given_up: bool = False


class Conductor:
    """Decide over a sweep's trials.

    Args:
        keys: of the trials that are missing, in the sweep's order.
        situation: at the start.
        breaker: counts failures by node.
        decide: takes every decision, to be kept.
        canaries: of the trials' architectures; None flies none.
        early: stops configurations early; None stops none.
        quest: names more trials when no other may start; None where all are known.
    """

    def __init__(
        self,
        keys: Sequence[str],
        situation: Situation,
        breaker: Breaker,
        decide: Callable[[AnyDecision], object],
        *,
        canaries: Canaries | None = None,
        early: EarlyStopping | None = None,
        quest: Quest | None = None,
    ) -> None:
        self.closed = ""
        self._waiting = deque(keys)
        self._running: set[str] = set()
        self._courses = {key: _Course() for key in keys}
        self._breaker = breaker
        self._canaries = canaries or Canaries({})
        self._early = early
        self._quest = quest
        self._decide = decide
        self.notice(situation)

    @property
    def stopped_nodes(self) -> frozenset[str]:
        """Nodes that take no more trials."""
        return self._breaker.stopped_nodes

    @property
    def num_running(self) -> int:
        """Trials that run now."""
        return len(self._running)

    def notice(self, situation: Situation) -> None:
        """Take in how things are, and take up again what was asked for."""
        self.situation = situation
        for retry in situation.retries:
            again = [key for key, course in self._courses.items() if course.is_given_up and retry.covers(key)]
            again += self._spared(retry)
            self._decide(Retried(request=retry.number, trial=retry.trial))
            for key in again:
                self._courses[key] = _Course(epoch=self._courses[key].epoch)
            self._waiting.extend(again)

    def _spared(self, retry: Request) -> list[str]:
        """Return the trial that was stopped early, if somebody wants it by name, and judge it no more."""
        key = retry.trial
        if key is None or key not in self._courses or not self._is_stopped_early(key) or self._early is None:
            return []
        self._early.spare(key)
        return [key] if key not in self._running else []

    def close(self, reason: str) -> None:
        """Start nothing any more; what runs ends with its epoch."""
        self.closed = self.closed or reason

    def may_run(self, key: str) -> bool:
        """Whether a trial may start or go on as things are."""
        now = self.situation
        return not (self.closed or now.shortage) and key in now.held and now.wishes.of(key) == "run"

    def next(self) -> Start | None:
        """Return what a free worker is to do; None while there is nothing for it."""
        start = self._next_waiting()
        if start is None and self._quest is not None and self._is_open():
            more = self._quest.more()
            self._courses |= {key: _Course() for key in more.keys}
            self._waiting.extend(more.keys)
            self.situation = replace(self.situation, held=self.situation.held | more.held)
            start = self._next_waiting()
        return start

    def _is_open(self) -> bool:
        return not (self.closed or self.situation.shortage) and self.situation.wishes.sweep == "run"

    def _next_waiting(self) -> Start | None:
        for index, key in enumerate(self._waiting):
            if not self.may_run(key):
                continue
            if self._canaries.is_waited_for(key):
                canary = self._canaries.next()
                if canary is not None:
                    return Start(canary, is_canary=True)
                continue
            del self._waiting[index]
            self._running.add(key)
            is_alone = self._courses[key].is_alone
            return Start(key, is_alone=is_alone, share=None if is_alone else self._canaries.share(key))
        return None

    def started(self, key: str) -> None:
        """Take note that a worker has begun with a trial."""
        self._decide(Running(trial=key, is_alone=self._courses[key].is_alone))

    @property
    def has_cancelled(self) -> bool:
        """Whether any trial that runs is to end at once."""
        return any(map(self.is_cancelled, self._running))

    def is_cancelled(self, key: str) -> bool:
        """Whether a trial that runs is to end at once."""
        return key in self._running and self.situation.wishes.of(key) == "cancel"

    def is_idle(self) -> bool:
        """Whether nothing runs and nothing that waits may start; a shortage is waited for."""
        is_busy = bool(self._running) or self._canaries.is_flying or bool(self.situation.shortage)
        return not is_busy and not any(map(self.may_run, self._waiting))

    def record(self, key: str, epoch: int, metrics: Mapping[str, float], *, node: str, is_over: bool) -> bool:
        """Take note of a trial's record and say whether the trial is to end with it.

        Args:
            key: the trial.
            epoch: from 1; one that was recorded long ago comes by again where a trial goes on.
            metrics: of the record.
            node: where it runs.
            is_over: whether it was the last.
        """
        course = self._courses[key]
        if epoch > course.epoch:
            course.epoch, course.failures = epoch, []
        self._stop_early(key, epoch, metrics)
        if is_over:
            self._breaker.count(node, is_failure=False)
            self._tell_quest([key])
        elif not self._is_stopped_early(key) and not self.may_run(key):
            self._put_back(key)
        elif not self._is_stopped_early(key):
            return False
        self._running.discard(key)
        return True

    def fail(self, key: str, failure: Failure) -> None:
        """Take note of a trial that ended without the record that was due, and decide what becomes of it."""
        self._running.discard(key)
        if self.situation.wishes.of(key) == "cancel":
            self._put_back(key)
            return
        course = self._courses[key]
        course.failures.append(failure.failure)
        verdict = after(failure.failure, course.failures[:-1])
        is_final = not isinstance(verdict, Again)
        course.is_given_up = is_final
        self._decide(_failed(key, failure, is_final=is_final))
        if isinstance(verdict, Again):
            course.is_alone = course.is_alone or verdict.alone
            self._waiting.appendleft(key)
        else:
            self._lose([key])
        if isinstance(verdict, StopSweep):
            self.close(f"stopped by a failure that every trial would meet: {failure.message}")
        broken = self._breaker.count(failure.node, is_failure=True) if not failure.is_free else None
        if broken is not None:
            self._decide(broken)
            if broken.node is None:
                self.close(broken.message)

    def canary_landed(self, key: str, architecture: str, peak_bytes: int, device_bytes: int, node: str) -> None:
        """Let a canary's trials go; where it ran on a GPU, each gets the share that it was seen to need."""
        self._decide(
            Canary(trial=key, architecture=architecture, peak_bytes=peak_bytes, device_bytes=device_bytes, node=node)
        )
        self._canaries.landed(key, share_of_device(peak_bytes, device_bytes) if self._canaries.is_packed else None)

    def canary_failed(self, key: str, architecture: str, failure: Failure) -> None:
        """Give up the trials that a canary spoke for, unless its node was lost."""
        if failure.failure in FLIES_AGAIN and self._canaries.again(key):
            return
        message = f"its architecture's canary failed: {failure.message}"
        self._decide(
            Canary(
                trial=key, architecture=architecture, peak_bytes=0, device_bytes=0, node=failure.node, message=message
            )
        )
        self._canaries.landed(key, None)
        for other in self._canaries.keys_beside(key):
            details = failure.details if other == key else ""
            told = Failure(failure.failure, message, failure.node, details)
            self._courses[other].is_given_up = True
            self._decide(_failed(other, told, is_final=True))
        beside = frozenset(self._canaries.keys_beside(key))
        self._leave_out(beside)
        self._lose(beside)

    def _put_back(self, key: str) -> None:
        self._waiting.appendleft(key)
        self._decide(Left(trial=key))

    def _stop_early(self, key: str, epoch: int, metrics: Mapping[str, float]) -> None:
        stopped = self._early.report(key, epoch, metrics) if self._early is not None else frozenset()
        if stopped and self._early is not None:
            judged = min(self._early.stopped[other] for other in stopped)
            self._decide(Stopped(trials=tuple(sorted(stopped)), epoch=judged, rule=self._early.rule))
            self._leave_out(stopped)
            self._tell_quest(stopped)

    def _is_stopped_early(self, key: str) -> bool:
        return self._early is not None and key in self._early.stopped

    def _lose(self, keys: Iterable[str]) -> None:
        for key in keys:
            if self._early is not None:
                self._early.leave(key)
        self._tell_quest(keys, are_lost=True)

    def _tell_quest(self, keys: Iterable[str], *, are_lost: bool = False) -> None:
        if self._quest is not None:
            for key in sorted(keys):
                self._quest.over(key, is_lost=are_lost)

    def _leave_out(self, keys: frozenset[str]) -> None:
        self._waiting = deque(key for key in self._waiting if key not in keys)


def _failed(key: str, failure: Failure, *, is_final: bool) -> Failed:
    return Failed(
        trial=key,
        failure=failure.failure,
        message=failure.message,
        node=failure.node,
        is_final=is_final,
        details=failure.details[-MAX_DETAILS:],
    )
