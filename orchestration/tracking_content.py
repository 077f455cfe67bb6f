"""What MLflow is to show: sweeps and trials as they are wanted, and a trial's records as metrics, params and tags."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from orchestration.tracking_text import trial_note
from results import names
from results.aggregate import TrialConfigLike
from results.frames import fingerprint_text
from selfish_core.catalogue.corpora import facts
from selfish_core.records import Record, is_watched


class WantedTrial(Protocol):
    """A trial and how many epochs its sweep wants; `sweeps.expand.Trial` has them."""

    @property
    def key(self) -> str:
        """The content key."""

    @property
    def config(self) -> TrialConfigLike:
        """The resolved config."""

    @property
    def epochs(self) -> int:
        """Epochs until it is answered."""


@dataclass(frozen=True)
class SweepView:
    """A sweep as MLflow is to show it.

    Args:
        name: the sweep's name; empty for trials that no sweep wants.
        trials: those that the spec wants now.
        description: one line.
        is_live: whether its driver runs; unfinished trials that have started are RUNNING then, else KILLED.
        failures: key -> `class: message` of trials that were given up.
    """

    name: str
    trials: Sequence[WantedTrial]
    description: str = ""
    is_live: bool = False
    failures: Mapping[str, str] = field(default_factory=dict)


@dataclass
class ProjectionReport:
    """What a pass did.

    Args:
        num_trials: trials that MLflow shows.
        num_created: runs that were made, of sweeps too.
        num_epochs: epochs whose metrics were written.
        num_deleted: runs that were taken away: second runs of a key, and runs of other records.
        problems: key -> one line for each trial that could not be read or that MLflow refused.
    """

    num_trials: int = 0
    num_created: int = 0
    num_epochs: int = 0
    num_deleted: int = 0
    problems: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Wish:
    """One trial, and everything that the sweeps say of it."""

    trial: WantedTrial
    sweeps: tuple[str, ...]
    epochs: int
    is_live: bool
    failure: str


def wishes_of(views: Sequence[SweepView]) -> Iterator[Wish]:
    """Join what the sweeps say of each trial: it is live, or unanswered, where one of them says so."""
    by_key: dict[str, list[tuple[SweepView, WantedTrial]]] = {}
    for view in views:
        for trial in view.trials:
            by_key.setdefault(trial.key, []).append((view, trial))
    for key, wanted in by_key.items():
        yield Wish(
            trial=wanted[0][1],
            sweeps=tuple(dict.fromkeys(view.name for view, _ in wanted if view.name)),
            epochs=max(trial.epochs for _, trial in wanted),
            is_live=any(view.is_live for view, _ in wanted),
            failure=next((view.failures[key] for view, _ in wanted if key in view.failures), ""),
        )


def state_of(records: Sequence[Record], wish: Wish) -> str:
    """Say how far a trial is: answered, diverged, failed or unfinished."""
    if records and records[-1].outcome == "diverged":
        return "diverged"
    if len(records) >= wish.epochs:
        return "answered"
    return "failed" if wish.failure else "unfinished"


def status_of(state: str, is_live: bool) -> str:
    """Return MLflow's status for a state; RUNNING only while the sweep lives."""
    if state in ("answered", "diverged"):
        return "FINISHED"
    if state == "failed":
        return "FAILED"
    return "RUNNING" if is_live else "KILLED"


def digests_of(records: Sequence[Record]) -> list[str]:
    """Return, for each number of epochs, the SHA-256 over the science of so many records."""
    digest = hashlib.sha256()
    digests = [digest.hexdigest()]
    for record in records:
        digest.update(record.science().encode())
        digests.append(digest.hexdigest())
    return digests


def shown_tags(records: Sequence[Record], digest: str) -> dict[str, str]:
    """Say which epochs a run shows, and the values among them that MLflow cannot hold."""
    inexact: dict[str, list[tuple[int, float]]] = {}
    for record in records:
        for name, value in record.metrics.items():
            if is_watched(name) and not names.is_exact_in_mlflow(value):
                inexact.setdefault(name, []).append((record.epoch, value))
    tags = {names.NONFINITE_PREFIX + name: names.encode_inexact(values) for name, values in inexact.items()}
    return tags | {names.TAG_EPOCHS: str(len(records)), names.TAG_RECORDS: digest}


def metrics_of(record: Record, there: set[tuple[str, int]]) -> list[tuple[str, float, int, int]]:
    """Return a record's watched metrics as (name, value, timestamp in ms, step), without those that are there."""
    return [
        (name, value if abs(value) != float("inf") else float("nan"), record.timing.finished_ms, record.epoch)
        for name, value in sorted(record.metrics.items())
        if is_watched(name) and (name, record.epoch) not in there
    ]


def tags_of(wish: Wish, records: Sequence[Record], state: str) -> dict[str, str]:
    """Return what a trial's run can be searched by, and its note."""
    flat = wish.trial.config.flat()
    tags = {f"{names.SWEEP_PREFIX}{name}": "1" for name in wish.sweeps}
    tags |= {
        "method": str(flat.get("method", "")),
        "architecture": str(flat.get("architecture.name", "")),
        "corpus": str(flat.get("corpus.name", "")),
        "seed": str(flat.get("seed", "")),
        "sparsity": f"{flat.get('sparsity.level', 0.0):g}",
        "optimizer": str(flat.get("optimizer.name", "")),
        names.TAG_DATA: facts(wish.trial.config.corpus).checksums,
        names.TAG_STATE: state,
    }
    message = records[-1].message if records and records[-1].message else wish.failure
    if state == "failed":
        tags[names.TAG_FAILURE] = wish.failure.partition(":")[0]
    if message:
        tags[names.TAG_MESSAGE] = message[: names.MAX_TAG_CHARS]
    if records:
        versions = dict.fromkeys(record.provenance.code_version for record in records)
        tags[names.TAG_CODE_VERSION] = ",".join(versions)[: names.MAX_TAG_CHARS]
        machines = fingerprint_text(record.provenance.fingerprint for record in records)
        tags[names.TAG_FINGERPRINT] = machines[: names.MAX_TAG_CHARS]
    tags[names.TAG_NOTE] = trial_note(wish.trial, state, len(records), wish.epochs, message)
    return tags


def params_of(trial: WantedTrial) -> dict[str, str]:
    """Return the config, flat, as MLflow's params."""
    flat = trial.config.flat()
    return {name: str(value).lower() if isinstance(value, bool) else str(value) for name, value in sorted(flat.items())}
