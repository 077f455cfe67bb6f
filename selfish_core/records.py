"""What a trial reports: one record an epoch, and every metric's name, unit and direction, one row each.

A record is the grain of everything downstream: the trial store keeps it, MLflow shows it, tables are made of it.
Its scientific part is a pure function of (config, seed, epoch, fingerprint); timing and attempt stand apart.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from selfish_core.errors import CorruptFileError

FORMAT: Literal[1] = 1


@dataclass(frozen=True)
class Metric:
    """One thing a record may hold.

    Args:
        name: `split_metric_unit`, as it stands in records, MLflow and tables.
        unit: the unit in words; `1` for a pure number or a share.
        direction: which way is better, `none` where neither is.
        description: one line.
        is_watched: whether MLflow gets it; the others stay in the records.
        is_always_there: whether every record of a trained epoch has it.
    """

    name: str
    unit: str
    direction: Literal["lower", "higher", "none"]
    description: str
    is_watched: bool = True
    is_always_there: bool = True


METRICS: tuple[Metric, ...] = (
    Metric("train_loss_nats", "nats/token", "lower", "mean training loss of the epoch, dropout on"),
    Metric("train_perplexity", "1", "lower", "exp of train_loss_nats"),
    Metric("val_loss_nats", "nats/token", "lower", "validation loss after the epoch, before its mask update"),
    Metric("val_perplexity", "1", "lower", "exp of val_loss_nats"),
    Metric(
        "test_loss_nats",
        "nats/token",
        "lower",
        "test loss, at each new validation minimum only; never used for selection",
        is_always_there=False,
    ),
    Metric("test_perplexity", "1", "lower", "exp of test_loss_nats", is_always_there=False),
    Metric(
        "best_possible_test_perplexity",
        "1",
        "lower",
        "perplexity of the corpus's own generator on the scored test tokens, where it is known",
        is_always_there=False,
    ),
    Metric("learning_rate", "1", "none", "learning rate of the epoch's last step", is_watched=False),
    Metric("gradient_norm", "1", "none", "mean global gradient norm before clipping"),
    Metric(
        "max_gradient_norm",
        "1",
        "none",
        "largest global gradient norm before clipping; not in the first records",
        is_watched=False,
        is_always_there=False,
    ),
    Metric("sparsity", "1", "none", "share of maskable weights that are inactive after the epoch"),
    Metric("num_active_parameters", "weights", "none", "active maskable weights after the epoch, biases apart"),
    Metric("num_parameters", "weights", "none", "all parameters, biases too", is_watched=False),
    Metric("removal_rate", "1", "none", "scheduled share to remove at the epoch's last mask update"),
    Metric("num_mask_updates", "updates", "none", "mask updates so far", is_watched=False),
    Metric(
        "turnover_fraction", "1", "none", "share of active weights really exchanged, mean over the epoch's mask updates"
    ),
    Metric("explored_fraction", "1", "none", "share of maskable weights active at any time so far (ITOP's R_s)"),
    Metric("is_averaging", "0 or 1", "none", "whether the evaluated weights are averages"),
    Metric("training_flops", "FLOPs", "lower", "training FLOPs so far, by the method's rule"),
    Metric(
        "inference_flops_per_token",
        "FLOPs/token",
        "lower",
        "FLOPs of a forward pass with the weights active after the epoch; not in the first records",
        is_always_there=False,
    ),
    Metric(
        "num_dead_units",
        "units",
        "lower",
        "hidden units that nothing goes into or nothing comes out of; not in the first records",
        is_always_there=False,
    ),
    Metric(
        "is_selectable",
        "0 or 1",
        "none",
        "whether the evaluated weights were as sparse as they are to be, so that the epoch may be selected; not in the "
        "first records, whose every epoch was",
        is_always_there=False,
    ),
    Metric(
        "topology_distance_to_first",
        "1",
        "none",
        "topology distance (NNSTD) of the masks after the epoch to the first ones, by option",
        is_always_there=False,
    ),
    Metric(
        "topology_distance_to_previous",
        "1",
        "none",
        "topology distance (NNSTD) of the masks after the epoch to those of the epoch before, by option",
        is_always_there=False,
    ),
)

GATE_DENSITY_PREFIX = "gate_density."
"""Prefix of the densities of single gates: `gate_density.<layer>.<gate>`, share active in ih and hh together."""

TENSOR_SPARSITY_PREFIX = "tensor_sparsity."
"""Prefix of the sparsities of single tensors: `tensor_sparsity.<parameter>`."""

METRIC_NAMES = frozenset(metric.name for metric in METRICS)

NOT_OF_THE_TRIAL = ("best_possible_test_perplexity", "topology_distance_to_first", "topology_distance_to_previous")
"""What a record tells beside its trial's science: of the corpus, and what is measured by option."""


def is_watched(name: str) -> bool:
    """Whether MLflow gets this metric."""
    return name.startswith(GATE_DENSITY_PREFIX) or any(row.name == name and row.is_watched for row in METRICS)


def _float_from_json(value: Any) -> Any:
    return float(value) if value in ("nan", "inf", "-inf") else value


def _float_to_json(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "nan" if math.isnan(value) else ("inf" if value > 0 else "-inf")


ExactFloat = Annotated[float, BeforeValidator(_float_from_json), PlainSerializer(_float_to_json)]
"""A float whose IEEE value survives JSON: finite ones by their shortest repr, the others by name."""


class Timing(BaseModel):
    """When an epoch ran; information only, no order is taken from it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    started_ms: int
    finished_ms: int
    tokens_per_second: float


class Provenance(BaseModel):
    """What computed an epoch."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code_version: str
    fingerprint: dict[str, str]


class Record(BaseModel):
    """What one epoch of one trial showed.

    Args:
        key: the trial's content key.
        attempt: the attempt that computed it, from 1.
        epoch: from 1.
        outcome: `trained`, or `diverged` where a loss or gradient norm was not finite (the trial's last record).
        metrics: name to value; names are rows of `METRICS` or gate densities.
        message: where a trial diverged: step, quantity and tensor; else empty.
        events: what happened on the way that a reader of the table should know, e.g. a refused checkpoint.
        is_provisional: whether the epoch has no checkpoint of its own behind it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = FORMAT
    key: str
    attempt: int = Field(ge=1)
    epoch: int = Field(ge=1)
    outcome: Literal["trained", "diverged"]
    metrics: dict[str, ExactFloat]
    message: str = ""
    events: tuple[str, ...] = ()
    is_provisional: bool = False
    provenance: Provenance
    timing: Timing

    def science(self) -> str:
        """The part that must be the same bits whenever the epoch is computed again, as canonical JSON."""
        part = self.model_dump(include={"key", "epoch", "outcome", "metrics", "message"})
        for name in NOT_OF_THE_TRIAL:
            part["metrics"].pop(name, None)
        return json.dumps(part, sort_keys=True, allow_nan=False)

    def to_json(self) -> bytes:
        """Canonical JSON, UTF-8."""
        return json.dumps(self.model_dump(mode="json"), sort_keys=True, allow_nan=False).encode()

    @classmethod
    def from_json(cls, data: bytes, where: str) -> Record:
        """Read a record.

        Raises:
            CorruptFileError: when the bytes are no record of this format; `where` names the file.
        """
        try:
            return cls.model_validate_json(data)
        except ValueError as error:
            raise CorruptFileError(f"{where}: not a record of format {FORMAT}: {str(error).splitlines()[0]}") from None
