"""Why a trial ended without the record that was due, and what becomes of it: one class and one policy for each.

A loss that is not finite is a result (`Record.outcome == "diverged"`) and none of these.
"""

from __future__ import annotations

import re
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestration.decisions import FailureClass
from orchestration.job import first_line
from selfish_core import errors
from selfish_core.store.stalls import Stall
from selfish_core.trial_store import StoredTrial

MAX_MESSAGE = 300


@dataclass(frozen=True)
class Policy:
    """What becomes of a trial after a failure of one class.

    Args:
        max_restarts: after failures of this class, without a new epoch between them; ≥ 0.
        is_free: whether it says nothing about the trial or its node, so that nobody counts it.
        alone_next: whether the trial has a device for itself from then on.
        stops_sweep: whether every other trial would fail as well.
    """

    max_restarts: int
    is_free: bool = False
    alone_next: bool = False
    stops_sweep: bool = False


POLICY: Mapping[FailureClass, Policy] = {
    "preempted": Policy(5, is_free=True),
    "node_lost": Policy(5, is_free=True),
    "worker_lost": Policy(3),
    "out_of_memory": Policy(1, alone_next=True),
    "stalled": Policy(1),
    "data": Policy(0),
    "user_error": Policy(0, stops_sweep=True),
    "crashed": Policy(2),
}


@dataclass(frozen=True)
class Failure:
    """One end of a trial without the record that was due.

    Args:
        failure: its class.
        message: one line.
        node: where it ran, a host name or address; empty where unknown.
        details: traceback, or where every thread stood; empty where there is neither.
    """

    failure: FailureClass
    message: str
    node: str = ""
    details: str = ""

    @property
    def is_free(self) -> bool:
        """Whether it says nothing about the trial or its node."""
        return POLICY[self.failure].is_free


@dataclass(frozen=True)
class Again:
    """The trial starts again, from its last checkpoint; `alone`: with a device for itself."""

    alone: bool = False


@dataclass(frozen=True)
class GiveUp:
    """The trial is left alone until somebody asks for a retry."""


@dataclass(frozen=True)
class StopSweep:
    """No trial starts any more: each would meet the same."""


def after(failure: FailureClass, history: Sequence[FailureClass]) -> Again | GiveUp | StopSweep:
    """Decide what becomes of a trial.

    Args:
        failure: what has just happened.
        history: the trial's failures before it, since its last new epoch.

    >>> after("stalled", ["preempted"]), after("stalled", ["stalled", "preempted"])
    (Again(alone=False), GiveUp())
    """
    policy = POLICY[failure]
    if policy.stops_sweep:
        return StopSweep()
    if history.count(failure) >= policy.max_restarts:
        return GiveUp()
    return Again(alone=policy.alone_next)


def classify(error: BaseException, *, node: str = "", trial: StoredTrial | None = None) -> Failure:
    """Say what an error that ended a trial means.

    Args:
        error: what the training raised; what Ray made of it, with it as `cause` or in its text; or what Ray says of a
            process that is gone.
        node: where the trial ran, where that is known; else it is taken from the text.
        trial: where the watchdog has kept the stacks of workers that it ended.
    """
    text = _COLOR.sub("", str(error))
    where = node or _first(_ADDRESS, text)
    raised = _raised(error, text)
    if raised is not None:
        trace = "".join(traceback.format_exception(error))
        return Failure(_class_of(raised), _cut(raised.told), where, _COLOR.sub("", trace))
    failure: FailureClass = next((known for sign, known in _SIGNS if sign.search(text)), "worker_lost")
    if getattr(error, "preempted", False):
        failure = "preempted"
    stall = _stall_of(error, trial) if failure == "worker_lost" else None
    if stall is not None:
        return Failure("stalled", f"no step for {stall.timeout_seconds:g} s", where, stall.stacks)
    return Failure(failure, _cut(_told_of_loss(text)), where, text)


_SIGNS: tuple[tuple[re.Pattern[str], FailureClass], ...] = (
    (re.compile("node was preempted|node preemption|The process receives a SIGTERM"), "preempted"),
    (re.compile("its node has died|node was terminated|node it was running on is dead"), "node_lost"),
    (re.compile("running low on memory"), "out_of_memory"),
    (re.compile("worker process has died|actor died unexpectedly|worker died"), "worker_lost"),
)
"""What Ray's texts say of a process that is gone, and of nothing else; the first that is found counts."""

_TRACEBACK = re.compile(r"creation task|^Traceback|\(pid=\d+, ip=", re.MULTILINE)
_LAST_LINE = re.compile(r"^(?:\w+\.)*(\w*(?:Error|Exception))(?:: ?(.*))?$", re.MULTILINE)
_ADDRESS = re.compile(r"\b(?:ip|IP)(?:=|: )([0-9A-Fa-f.:]+)")
_DETAIL = re.compile(r"Worker exit detail: (.*?)(?: Some common causes.*)?$|(the actor's node was .*)", re.MULTILINE)
_NODE_MEMORY = re.compile(r"Memory on the node \(.*\) was (.* limit)")
_WORKER_MEMORY = re.compile(r"actual memory used=([\d.]+ ?GB)")
_COLOR = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class _Raised:
    """What a worker raised: the names of its classes, its text, and both on one line."""

    names: tuple[str, ...]
    text: str
    told: str


def _raised(error: BaseException, text: str) -> _Raised | None:
    """Find what a worker raised; none where its process ended without."""
    cause = getattr(error, "cause", None)
    if isinstance(cause, BaseException):
        return _of_exception(cause)
    last = _LAST_LINE.findall(text) if _TRACEBACK.search(text) else []
    if last:
        name, said = last[-1]
        kind = getattr(errors, name, None)
        return _Raised(_names(kind) if isinstance(kind, type) else (name,), said, f"{name}: {said}" if said else name)
    if "RayError" in _names(type(error)) or any(sign.search(text) for sign, _ in _SIGNS):
        return None
    return _of_exception(error)


def _of_exception(error: BaseException) -> _Raised:
    return _Raised(_names(type(error)), str(error), first_line(error))


def _class_of(raised: _Raised) -> FailureClass:
    from selfish_core.training.peak_memory import tells_of_memory

    if "CorpusError" in raised.names:
        return "data"
    if "InputError" in raised.names:
        return "user_error"
    return "out_of_memory" if tells_of_memory(raised.names, raised.text) else "crashed"


def _stall_of(error: BaseException, trial: StoredTrial | None) -> Stall | None:
    worker = getattr(error, "actor_id", None)
    stalls = trial.stalls.read() if trial is not None and worker else []
    return next((stall for stall in stalls if stall.worker == worker), None)


def _told_of_loss(text: str) -> str:
    """Shorten what Ray says of a process that is gone to one line."""
    memory = _first(_NODE_MEMORY, text)
    if memory:
        workers = ", ".join(_WORKER_MEMORY.findall(text))
        return f"Ray ended workers for want of memory on their node: {memory}, of which theirs {workers or 'unknown'}"
    return " ".join((_first(_DETAIL, text) or text).split())


def _first(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    return next(filter(None, found.groups()), "") if found else ""


def _names(kind: type) -> tuple[str, ...]:
    return tuple(each.__name__ for each in kind.__mro__)


def _cut(text: str) -> str:
    return text if len(text) <= MAX_MESSAGE else f"{text[: MAX_MESSAGE - 1]}…"
