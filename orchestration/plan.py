"""What a sweep would do: each trial answered, unfinished or to run, how large it is and how long it would take.

Only the spec, the catalogue and the trial store are looked at: neither torch, ray, mlflow nor pandas is loaded, and
nothing is started or written.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from orchestration.standing import Standing, look_up
from orchestration.wanted import Wanted
from selfish_core.accounting import count_parameters, forward_flops_per_token, steps_of_epoch, training_flops
from selfish_core.config import TrialConfig
from selfish_core.errors import StoreError
from selfish_core.trial_store import TrialStore
from sweeps.expand import Trial

State = Literal["answered", "diverged", "unfinished", "to run"]

ASSUMED_FLOPS_PER_SECOND = 1e10
"""What one CPU is taken to do where nothing was measured; masks are simulated, so dense FLOPs are what it does."""

MAX_COMPARED = 5000
"""Stored trials that are looked through for one that differs in its horizon alone."""


@dataclass(frozen=True)
class PlannedTrial:
    """One trial of a sweep and where it stands.

    Args:
        key: content key.
        label: what people know it by.
        point: its place in the sweep: axis field -> value, seed included.
        state: where it stands; `unfinished` has recorded epochs, `to run` has none.
        num_answered: epochs recorded, of `epochs`.
        epochs: wanted.
        num_parameters: all, biases too.
        num_active: active maskable weights.
        training_flops: by the method's rule, of the epochs that are to run.
        seconds: to run them alone; 0 when there is nothing to run.
        rekeyed: `horizon 40→100` where a stored trial differs in its horizon alone, else empty.
    """

    key: str
    label: str
    point: Mapping[str, Any]
    state: State
    num_answered: int
    epochs: int
    num_parameters: int
    num_active: int
    training_flops: float
    seconds: float
    rekeyed: str = ""

    @property
    def is_missing(self) -> bool:
        """Whether epochs are to run."""
        return self.state in ("unfinished", "to run")


@dataclass(frozen=True)
class Plan:
    """All trials of a sweep, in its order.

    Args:
        sweep: its name.
        trials: what is wanted.
        num_left_out: points times seeds that are no trial of their own: excluded, or the same as another.
        num_at_once: trials that fit beside each other.
        speed: where the estimate of time comes from, one line.
    """

    sweep: str
    trials: tuple[PlannedTrial, ...]
    num_left_out: int
    num_at_once: int
    speed: str

    @property
    def missing(self) -> tuple[PlannedTrial, ...]:
        """The trials with epochs to run."""
        return tuple(trial for trial in self.trials if trial.is_missing)

    @property
    def seconds(self) -> float:
        """Estimated time of the sweep: never shorter than its longest trial."""
        each = [trial.seconds for trial in self.trials]
        return max([sum(each) / self.num_at_once, *each])

    def counts(self) -> dict[str, int]:
        """Return how many trials are in each state."""
        found = Counter(trial.state for trial in self.trials)
        return {state: found[state] for state in ("answered", "diverged", "unfinished", "to run")}

    def to_dict(self) -> dict[str, Any]:
        """Return what a script may want to know, JSON-able."""
        return {
            "sweep": self.sweep,
            "counts": {**self.counts(), "left_out": self.num_left_out},
            "training_flops_to_run": sum(trial.training_flops for trial in self.trials),
            "estimated_seconds": self.seconds,
            "estimate_from": self.speed,
            "trials_at_once": self.num_at_once,
            "trials": [asdict(trial) for trial in self.trials],
        }


class Speeds:
    """Training tokens per second, as measured in the records of a trial store, by architecture."""

    def __init__(self, measured: Mapping[str, Sequence[float]]) -> None:
        self._measured = measured

    @classmethod
    def measure(cls, stored: Iterable[tuple[TrialConfig, float]]) -> Speeds:
        """Collect (config, tokens per second) of recorded epochs."""
        found: dict[str, list[float]] = {}
        for config, tokens_per_second in stored:
            found.setdefault(_architecture(config), []).append(tokens_per_second)
        return cls(found)

    def seconds_per_epoch(self, config: TrialConfig, threads: float) -> tuple[float, bool]:
        """Return the time of one epoch and whether it rests on measurement.

        Args:
            config: the trial's.
            threads: CPUs that one trial has; only counts where nothing was measured.
        """
        num_tokens = steps_of_epoch(config).num_scored_tokens
        measured = sorted(self._measured.get(_architecture(config), ()))
        if measured:
            return num_tokens / measured[len(measured) // 2], True
        flops = 3 * forward_flops_per_token(config, dense=True) * num_tokens
        return flops / (ASSUMED_FLOPS_PER_SECOND * max(threads, 1)), False


def make(wanted: Wanted, store: TrialStore | None, *, num_cpus: float = 1) -> Plan:
    """Look every trial up and count what is to do.

    Args:
        wanted: the sweep.
        store: the trial store; None where there is none yet.
        num_cpus: CPUs of the machine or cluster, ≥ 1.
    """
    configs = _stored_configs(store) if store is not None else {}
    horizons = _horizons(configs)
    speeds = Speeds.measure(_measurements(store, configs, wanted.trials) if store is not None else ())
    cpu = wanted.spec.resources.cpu
    labels = wanted.labels
    planned, is_measured = [], []
    for trial in wanted.trials:
        per_epoch, was_measured = speeds.seconds_per_epoch(trial.config, cpu)
        is_measured.append(was_measured)
        standing = look_up(store, trial.key, trial.epochs) if store is not None else Standing()
        planned.append(_planned(trial, labels[trial.key], standing, per_epoch, horizons))
    return Plan(
        sweep=wanted.spec.name,
        trials=tuple(planned),
        num_left_out=wanted.num_left_out,
        num_at_once=max(1, int(num_cpus // cpu)),
        speed=_speed_text(is_measured),
    )


def _planned(
    trial: Trial, label: str, standing: Standing, seconds_per_epoch: float, horizons: Mapping[str, set[int]]
) -> PlannedTrial:
    num_left = 0 if standing.is_over else trial.epochs - standing.num_epochs
    counts = count_parameters(trial.config)
    state = _state(standing)
    return PlannedTrial(
        key=trial.key,
        label=label,
        point={**trial.point, "seed": trial.config.seed},
        state=state,
        num_answered=standing.num_epochs,
        epochs=trial.epochs,
        num_parameters=counts.num_parameters,
        num_active=counts.num_active,
        training_flops=training_flops(trial.config, trial.epochs)
        - training_flops(trial.config, trial.epochs - num_left),
        seconds=seconds_per_epoch * num_left,
        rekeyed=_rekeyed(trial.config, horizons) if state == "to run" else "",
    )


def _state(standing: Standing) -> State:
    if standing.is_diverged:
        return "diverged"
    if standing.is_over:
        return "answered"
    return "unfinished" if standing.num_epochs else "to run"


def _stored_configs(store: TrialStore) -> dict[str, TrialConfig]:
    """Read the configs of the stored trials; one that cannot be read is for `doctor` to report."""
    configs: dict[str, TrialConfig] = {}
    for key in store.keys()[:MAX_COMPARED]:
        try:
            configs[key] = TrialConfig.from_dict(store.trial(key).config())
        except (ValueError, StoreError):
            continue
    return configs


def _measurements(
    store: TrialStore, configs: Mapping[str, TrialConfig], trials: Sequence[Trial]
) -> Iterable[tuple[TrialConfig, float]]:
    """Yield the speed of the last epoch of up to 16 stored trials of each architecture that is wanted."""
    wanted = {_architecture(trial.config): 16 for trial in trials}
    for key, config in configs.items():
        if wanted.get(_architecture(config), 0) == 0:
            continue
        try:
            records = store.trial(key).records()
        except StoreError:
            continue
        if records:
            wanted[_architecture(config)] -= 1
            yield config, records[-1].timing.tokens_per_second


def _architecture(config: TrialConfig) -> str:
    parts = {
        "architecture": config.architecture.model_dump(),
        "training": config.training.model_dump(),
        "corpus": config.corpus.name,
    }
    return json.dumps(parts, sort_keys=True)


def _horizons(configs: Mapping[str, TrialConfig]) -> dict[str, set[int]]:
    found: dict[str, set[int]] = {}
    for config in configs.values():
        if config.sparsity.horizon_epochs is not None:
            found.setdefault(_without_horizon(config), set()).add(config.sparsity.horizon_epochs)
    return found


def _rekeyed(config: TrialConfig, horizons: Mapping[str, set[int]]) -> str:
    before = horizons.get(_without_horizon(config), set()) if config.sparsity.horizon_epochs is not None else set()
    if config.sparsity.horizon_epochs in before:
        return "the code of an extension"
    return f"horizon {max(before)}→{config.sparsity.horizon_epochs}" if before else ""


def _without_horizon(config: TrialConfig) -> str:
    return config.model_copy(
        update={"sparsity": config.sparsity.model_copy(update={"horizon_epochs": None})}
    ).model_dump_json()


def _speed_text(is_measured: Sequence[bool]) -> str:
    if all(is_measured):
        return "measured in earlier epochs of the same architecture, corpus and batches"
    assumed = f"assuming {ASSUMED_FLOPS_PER_SECOND / 1e9:g} GFLOP/s a CPU on dense FLOPs (masks are simulated)"
    return f"partly measured, else {assumed}" if any(is_measured) else f"nothing measured yet: {assumed}"
