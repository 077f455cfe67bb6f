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
        store: folder or URL of the trial store.
        data: folder of the corpora, or None.
        scratch: folder for what nobody reads again.
        ray_address: of a cluster to join, or None.
        spec: text of the spec, for what a driver decides by itself: search and early stopping.
        spec_path: where it was read, from where relative paths in it start.
        num_requests: number of the newest request when the run began: older stops and pauses are void.
        num_retries: number of the newest retry request that was obeyed.
        stall_timeout: seconds without a step after which a trial is ended.
        canary_steps: steps of a canary; 0 flies none.
        is_packed: whether a canary's memory decides which share of a GPU a trial gets.
        max_failed_fraction: share of failures that the circuit breaker bears, in (0, 1].
        keep_last: checkpoints of each trial that stay beside the best one, ≥ 1.
        keep_best: whether the best one stays.
        checkpoint_bytes: predicted size of one checkpoint of the largest trial.
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
    spec: str = ""
    spec_path: str = ""
    num_requests: int = 0
    num_retries: int = 0
    stall_timeout: float | None = None
    canary_steps: int = 0
    is_packed: bool = False
    max_failed_fraction: float = 1.0
    keep_last: int = 2
    keep_best: bool = True
    checkpoint_bytes: int = 0

    def setting(self) -> dict[str, Any]:
        """Return what the configs of all its `SparseRNNTrainable`s have in common: everything but the trial."""
        return {
            "epochs": self.epochs,
            "store": self.store,
            "data_dir": self.data,
            "threads": max(1, int(self.cpu)),
            "device": "auto" if self.gpu else "cpu",
            "stall_timeout": self.stall_timeout,
            "keep_last": self.keep_last,
            "keep_best": self.keep_best,
        }


class Started(_Message):
    """The cluster is there and the trials are on their way."""

    kind: Literal["started"] = "started"
    cpu: float


class Refused(_Message):
    """The job cannot be run at all: an error for the user, with its exit code."""

    kind: Literal["refused"] = "refused"
    message: str
    exit_code: int


class Finished(_Message):
    """Tune came to its end; what was answered is for the trial store to say."""

    kind: Literal["finished"] = "finished"


Event = Annotated[Started | Refused | Finished, Field(discriminator="kind")]
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
