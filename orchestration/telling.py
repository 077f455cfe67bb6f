"""A decision as one line for people."""

from __future__ import annotations

from collections.abc import Mapping

from orchestration.decisions import (
    AnyDecision,
    Asked,
    Broken,
    Canary,
    Ended,
    Failed,
    Left,
    Paused,
    Retried,
    Running,
    Started,
    Stopped,
    Told,
)
from orchestration.terminal import count


def told(decision: AnyDecision, labels: Mapping[str, str]) -> str:
    """Return one line that says what was decided.

    Args:
        decision: of any kind.
        labels: content key -> what people know the trial by.
    """
    match decision:
        case Started():
            job = f", job {decision.job}" if decision.job else ""
            goal = f"for {count(decision.epochs, 'epoch')} of each trial"
            return f"a run began {goal}: pid {decision.pid} on host {decision.host}{job}"
        case Ended():
            return f"the run ended: {decision.reason}{_after_colon(decision.message)}"
        case Running():
            return f"{_name(decision.trial, labels)}: runs{' alone on its device' if decision.is_alone else ''}"
        case Left():
            return f"{_name(decision.trial, labels)}: left its worker before its end"
        case Failed():
            where = f" on {decision.node}" if decision.node else ""
            again = "" if decision.is_final else "; it is tried again"
            what = f"{decision.failure.replace('_', ' ')}{where}"
            return f"{_name(decision.trial, labels)}: failed: {what}{_after_colon(decision.message)}{again}"
        case Retried():
            what = "all that failed" if decision.trial is None else _name(decision.trial, labels)
            return f"{what}: may run again, as asked"
        case Stopped():
            named = ", ".join(_name(key, labels) for key in decision.trials)
            return f"stopped early at epoch {decision.epoch} by {decision.rule}: {named}"
        case Asked():
            return f"the search chose point {decision.number}: {count(len(decision.trials), 'trial')}"
        case Told():
            value = "no finite value" if decision.value is None else f"{decision.value:.4g}"
            return f"the search was told of point {decision.number}: {value}"
        case Canary():
            return f"canary of {decision.architecture}: {_canary(decision)}"
        case Broken():
            what = "the sweep" if decision.node is None else f"node {decision.node}"
            return f"the circuit breaker stopped {what}{_after_colon(decision.message)}"
        case Paused():
            return f"goes on{_after_colon(decision.message)}" if decision.is_over else f"waits: {decision.message}"


def _canary(decision: Canary) -> str:
    if decision.message:
        return f"failed: {decision.message}"
    if not decision.device_bytes:
        return "works"
    return f"works, with {decision.peak_bytes / 2**20:,.0f} of {decision.device_bytes / 2**20:,.0f} MiB at most"


def _name(key: str, labels: Mapping[str, str]) -> str:
    return f"{labels[key]} ({key[:8]})" if key in labels else key[:8]


def _after_colon(message: str) -> str:
    return f": {message}" if message else ""
