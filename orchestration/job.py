"""What the supervisor and its driver say to each other: one job in, events out, each a line of JSON."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Job(_Message):
    """What a driver is to run, and where.

    Args:
        sweep: its name.
        trials: content key -> what `TrialConfig.to_dict` gives, of those that are missing, in the sweep's order.
        epochs: how many each is to have in all, ≥ 1.
        cpu: CPUs of one trial; its torch threads are the whole part, at least 1.
        gpu: GPUs of one trial.
        store: folder of the trial store.
        data: folder of the corpora, or None.
        scratch: folder for what nobody reads again.
        ray_address: of a cluster to join, or None.
    """

    sweep: str
    trials: dict[str, dict[str, Any]]
    epochs: int
    cpu: float
    gpu: float
    store: str
    data: str | None
    scratch: str
    ray_address: str | None = None

    def setting(self) -> dict[str, Any]:
        """Return what the configs of all its `SparseRNNTrainable`s have in common: everything but the trial."""
        return {
            "epochs": self.epochs,
            "store": self.store,
            "data_dir": self.data,
            "threads": max(1, int(self.cpu)),
            "device": "auto" if self.gpu else "cpu",
        }


class Started(_Message):
    """The cluster is there and the trials are on their way."""

    kind: Literal["started"] = "started"
    cpu: float


class TrialFailed(_Message):
    """A trial ended with an exception, and so did its retries.

    Args:
        key: content key.
        message: one line.
    """

    kind: Literal["failed"] = "failed"
    key: str
    message: str


class Refused(_Message):
    """The job cannot be run at all: an error for the user, with its exit code."""

    kind: Literal["refused"] = "refused"
    message: str
    exit_code: int


class Finished(_Message):
    """Tune came to its end; what was answered is for the trial store to say."""

    kind: Literal["finished"] = "finished"


Event = Annotated[Started | TrialFailed | Refused | Finished, Field(discriminator="kind")]
_EVENTS: TypeAdapter[Event] = TypeAdapter(Event)


def read_event(line: bytes) -> Event:
    """Read one line of a driver's stdout.

    Raises:
        ValueError: when it is none.
    """
    return _EVENTS.validate_json(line)


def first_line(error: BaseException) -> str:
    """Return an exception as one line: its type's name and the first line of its text."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def as_line(message: BaseModel) -> bytes:
    """Write a job or an event as one line."""
    return message.model_dump_json().encode() + b"\n"
