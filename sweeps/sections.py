"""How a sweep is run, kept, searched, stopped early and shown: the sections of a spec that no trial's key knows.

A `Section` is a class whose declaration says everything: names, types, bounds, defaults. Reading, messages and the
JSON Schema are made from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from selfish_core.errors import unknown_name
from selfish_core.records import METRIC_NAMES
from selfish_core.wording import allowed, schema_of
from sweeps.yaml_reader import Findings, Path, kind_of

MAX_CPUS = 1024
MAX_GPUS = 64
PACKINGS = ("none", "auto")

TABLE_METRICS = ("test_perplexity", "val_perplexity")
"""What a table can conclude for a trial: the value at the epoch of lowest validation perplexity."""

DAY_SECONDS = 86_400


@dataclass(frozen=True)
class Resources:
    """What one trial uses while it runs.

    Args:
        cpu: cores, ≥ 1; the trial has as many threads.
        gpu: GPUs: 0, a share of one, or a whole number.
        pack: `auto` where a canary measures the share of a GPU that a trial needs; `none` where `gpu` says it.
    """

    cpu: int = 1
    gpu: float = 0
    pack: str = "none"


@dataclass(frozen=True)
class Table:
    """What the sweep's table shows: one row for each value of a field, one column for each value of another."""

    rows: str = "method"
    columns: str = "sparsity"
    metric: str = "test_perplexity"


class Section(BaseModel):
    """A frozen section of a spec."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Execution(Section):
    """How trials are watched over while they run."""

    stall_timeout_seconds: float = Field(
        default=600, ge=1, le=7 * DAY_SECONDS, description="without a step, after which a trial counts as stalled"
    )
    canary_steps: int = Field(
        default=3, ge=0, le=1000, description="steps of each architecture before its trials start; 0 tries none"
    )
    max_failed_fraction: float = Field(
        default=0.5, gt=0, le=1, description="share of trials that fail, above which a node or the sweep is stopped"
    )


class Keep(Section):
    """Which checkpoints stay."""

    last: int = Field(default=2, ge=1, le=1000, description="newest checkpoints of a trial that is not answered yet")
    best_of_trial: bool = Field(default=True, description="whether the best checkpoint of a trial stays beside them")
    finished: Literal["all", "best_of_trial", "best_of_sweep", "none"] = Field(
        default="all", description="of an answered trial: all of these, its best, that of the sweep's best, or none"
    )


class SearchPart(Section):
    """How the points of the axes are chosen, where not all of them run."""

    sampler: Literal["tpe", "gp", "random"] = Field(default="tpe", description="Optuna's sampler")
    num_trials: int = Field(ge=1, le=10_000, description="points to try, each with one trial for every seed")
    metric: Literal["val_perplexity", "val_loss_nats"] = Field(
        default="val_perplexity", description="to make small: mean over the seeds, at the selected epoch of each"
    )
    seed: int = Field(default=0, ge=0, le=2**31 - 1, description="of the sampler")
    num_at_once: int | None = Field(
        default=None, ge=1, le=1024, description="points that are tried at a time; null: as many as find free workers"
    )


class EarlyStoppingPart(Section):
    """When a setting is given up, with all of its seeds."""

    rule: Literal["asha", "median"] = Field(default="asha", description="Ray Tune's")
    grace_epochs: int = Field(default=3, ge=1, le=100_000, description="before which nothing is stopped")
    max_epochs: int | None = Field(
        default=None, ge=2, le=100_000, description="after which nothing is stopped; null: the sweep's epochs"
    )
    reduction_factor: float | None = Field(
        default=None, gt=1, le=100, description="asha: one in so many goes on at each rung; 4 where it is left out"
    )
    min_groups: int | None = Field(
        default=None, ge=1, le=10_000, description="median: others that must have come as far; 3 where it is left out"
    )


AnySection = TypeVar("AnySection", bound=Section)


def read_section(cls: type[AnySection], name: str, value: Any, findings: Findings) -> AnySection | None:
    """Read a section; None after saying what is wrong with it.

    Args:
        cls: its class.
        name: its key in the spec.
        value: what stands there.
        findings: of the spec's document.
    """
    if not isinstance(value, Mapping):
        known = ", ".join(cls.model_fields)
        findings.add((name,), f"{name} must be a mapping with {known}, got {kind_of(value)}")
        return None
    try:
        return cls.model_validate(dict(value))
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            field = detail["loc"][0]
            findings.add((name, field), _explain(cls, name, str(field), detail["type"], detail["input"]))
        return None


def _explain(cls: type[Section], section: str, field: str, kind: str, value: Any) -> str:
    name = f"{section}.{field}"
    if kind == "extra_forbidden":
        return unknown_name("key", field, cls.model_fields)
    if kind == "missing":
        return f"{name} is missing: it must be {allowed(cls, field)}"
    if kind == "literal_error" and not isinstance(value, Mapping | list):
        message = unknown_name(name, value, schema_of(cls)["properties"][field]["enum"])
        is_recorded = field == "metric" and value in METRIC_NAMES
        return f"{message} (it is recorded, but nothing is chosen by it)" if is_recorded else message
    return f"{name} must be {allowed(cls, field)}, got {kind_of(value)}"


def contradictions_of_keep(part: Keep) -> Iterator[tuple[Path, str]]:
    """Say which checkpoints are to stay and never come to be."""
    if part.finished.startswith("best_") and not part.best_of_trial:
        message = (
            f"keep.finished is {part.finished!r} and keep.best_of_trial is false: no best checkpoint is there then"
        )
        yield ("keep", "finished"), message


def contradictions_of_early_stopping(part: EarlyStoppingPart, epochs: int) -> Iterator[tuple[Path, str]]:
    """Say what leaves the rule no epoch to stop anything, and what belongs to the other rule.

    Args:
        part: the section.
        epochs: of the sweep.
    """
    where = "early_stopping"
    last = min(part.max_epochs or epochs, epochs)
    if part.max_epochs is not None and part.max_epochs > epochs:
        yield (
            (where, "max_epochs"),
            f"{where}.max_epochs must be at most the sweep's epochs, {epochs}: got {part.max_epochs}",
        )
    elif part.grace_epochs >= last:
        what = "the sweep's epochs" if part.max_epochs is None else f"{where}.max_epochs"
        told = f"must be below {what}, {last}, else nothing is ever stopped: got {part.grace_epochs}"
        yield (where, "grace_epochs"), f"{where}.grace_epochs {told}"
    for field, rule in (("reduction_factor", "asha"), ("min_groups", "median")):
        if getattr(part, field) is not None and part.rule != rule:
            yield (where, field), f"{where}.{field} belongs to rule {rule}, and the rule is {part.rule}: leave it out"
