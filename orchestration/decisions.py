"""What a sweep's driver decided, each kind a model: written into the trial store in order, and read back by everyone.

A decision is never changed; what holds now follows from reading all of them from the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from selfish_core.trial_store import StoredSweep

FailureClass = Literal[
    "preempted", "node_lost", "worker_lost", "out_of_memory", "stalled", "data", "user_error", "crashed"
]
"""Why a trial's process ended without a record; a loss that is not finite is a result and none of these."""


class _Decision(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Started(_Decision):
    """A run of the sweep began.

    Args:
        num_requests: number of the newest request when it began: older stops and pauses are void.
        host: where the supervisor runs.
        pid: of the supervisor.
        epochs: wanted of every trial.
        job: id of the Ray job that it is, or None.
    """

    kind: Literal["started"] = "started"
    num_requests: int
    host: str
    pid: int
    epochs: int
    job: str | None = None


class Ended(_Decision):
    """A run of the sweep ended in order.

    Args:
        reason: `done`, `stopped`, `cancelled`, `interrupted`, `broken` (the circuit breaker) or `failed`.
        message: one line for people.
    """

    kind: Literal["ended"] = "ended"
    reason: Literal["done", "stopped", "cancelled", "interrupted", "broken", "failed"]
    message: str = ""


class Running(_Decision):
    """A trial was handed to a worker.

    Args:
        trial: content key.
        is_alone: whether it has its device for itself, after it ran out of memory.
    """

    kind: Literal["running"] = "running"
    trial: str
    is_alone: bool = False


class Left(_Decision):
    """A trial left its worker before its end: it was asked to, or nothing may go on for the moment.

    Args:
        trial: content key.
    """

    kind: Literal["left"] = "left"
    trial: str


class Failed(_Decision):
    """A trial's process ended without the record that was due.

    Args:
        trial: content key.
        failure: its class.
        message: one line.
        node: where it ran, a host name or address; empty where unknown.
        is_final: whether it is not tried again in this run.
        details: traceback or stack dump; at most 20,000 characters.
    """

    kind: Literal["failed"] = "failed"
    trial: str
    failure: FailureClass
    message: str
    node: str = ""
    is_final: bool
    details: str = ""


class Retried(_Decision):
    """What was given up is tried again, because somebody asked for it.

    Args:
        request: number of the request.
        trial: content key; None for every trial.
    """

    kind: Literal["retried"] = "retried"
    request: int
    trial: str | None = None


class Stopped(_Decision):
    """A configuration was stopped early: all its seeds.

    Args:
        trials: content keys.
        epoch: at whose evaluation it was decided, from 1.
        rule: `asha` or `median`.
    """

    kind: Literal["stopped"] = "stopped"
    trials: tuple[str, ...]
    epoch: int
    rule: str


class Asked(_Decision):
    """The search chose a point.

    Args:
        number: of the point, from 0.
        point: axis field -> value.
        trials: content keys of its seeds.
    """

    kind: Literal["asked"] = "asked"
    number: int
    point: Mapping[str, Any]
    trials: tuple[str, ...]


class Told(_Decision):
    """The search was told what a point is worth.

    Args:
        number: of the point.
        value: mean over its seeds; None where it has none that is finite.
    """

    kind: Literal["told"] = "told"
    number: int
    value: float | None


class Canary(_Decision):
    """A few steps of an architecture were tried before its trials.

    Args:
        trial: content key of the trial that lent its config.
        architecture: its name.
        peak_bytes: most memory that it had, on its device.
        device_bytes: memory of the device.
        node: where it ran.
        message: why it failed; empty where it worked.
    """

    kind: Literal["canary"] = "canary"
    trial: str
    architecture: str
    peak_bytes: int
    device_bytes: int
    node: str = ""
    message: str = ""


class Broken(_Decision):
    """The circuit breaker stopped a node, or the whole sweep.

    Args:
        node: which; None for the sweep.
        num_failed: failures counted.
        num_ended: of so many ends.
        message: one line.
    """

    kind: Literal["broken"] = "broken"
    node: str | None = None
    num_failed: int
    num_ended: int
    message: str


class Paused(_Decision):
    """The sweep waits: for a resume, or for space on its disk.

    Args:
        message: why, one line.
        is_over: whether it goes on again.
    """

    kind: Literal["paused"] = "paused"
    message: str
    is_over: bool = False


AnyDecision = Annotated[
    Started | Ended | Running | Left | Failed | Retried | Stopped | Asked | Told | Canary | Broken | Paused,
    Field(discriminator="kind"),
]
ANY: TypeAdapter[AnyDecision] = TypeAdapter(AnyDecision)


class Entry(NamedTuple):
    """A decision with its number in the sweep's order."""

    number: int
    decision: AnyDecision


def write(sweep: StoredSweep, decision: AnyDecision) -> int:
    """Keep a decision and return its number."""
    return sweep.decide(decision.kind, decision.model_dump(mode="json", exclude={"kind"}))


def read(sweep: StoredSweep) -> list[Entry]:
    """Return the decisions of a sweep in order; what this version does not know is left out."""
    found = []
    for kept in sweep.decisions():
        try:
            found.append(Entry(kept.number, ANY.validate_python({"kind": kept.kind, **kept.body})))
        except ValidationError:
            continue
    return found
