"""What a sweep would do: each trial answered, unfinished or to run, how large it is and how long it would take.

Only the spec, the catalogue and the trial store are looked at: neither torch, ray, mlflow nor pandas is loaded, and
nothing is started or written.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from orchestration.cluster import Capacity, local_capacity
from orchestration.earlier import Earlier
from orchestration.searched import chosen_trials, stand_ins
from orchestration.sizes import Size, Sizes
from orchestration.speeds import Speeds, device_of, told
from orchestration.standing import Standing, look_up
from orchestration.states import MISSING, STATES, Past, Stand, State
from orchestration.volume import Volume, volume
from orchestration.wanted import Wanted
from selfish_core.accounting import training_flops
from selfish_core.trial_store import TrialStore
from sweeps.expand import Trial
from sweeps.spec import Resources


@dataclass(frozen=True)
class PlannedTrial:
    """One trial of a sweep and where it stands.

    Args:
        trial: what is wanted.
        label: what people know it by.
        state: where it stands; `unfinished` has recorded epochs, `to run` has none.
        num_answered: epochs recorded, of those wanted.
        size: how large it is.
        training_flops: by the method's rule, of the epochs that are to run.
        seconds: to run them alone; 0 when there is nothing to run.
        note: why it is new, `horizon 40→100`, or why it failed; else empty.
    """

    trial: Trial
    label: str
    state: State
    num_answered: int
    size: Size
    training_flops: float
    seconds: float
    note: str = ""

    @property
    def key(self) -> str:
        """Its content key."""
        return self.trial.key

    @property
    def is_missing(self) -> bool:
        """Whether a run would start it."""
        return self.state in MISSING

    def to_dict(self) -> dict[str, Any]:
        """Return what a script may want to know, JSON-able."""
        return {
            "key": self.key,
            "label": self.label,
            "point": {**self.trial.point, "seed": self.trial.config.seed},
            "state": self.state,
            "num_answered": self.num_answered,
            "epochs": self.trial.epochs,
            "num_parameters": self.size.num_parameters,
            "num_active": self.size.num_active,
            "training_flops": self.training_flops,
            "seconds": self.seconds,
            "note": self.note,
        }


@dataclass(frozen=True)
class Plan:
    """All trials of a sweep, in its order.

    Args:
        wanted: the sweep.
        trials: what it wants, and where each stands.
        capacity: of the machine or cluster that is to run it.
        speed: where the estimate of time comes from, one line.
        volume: of the checkpoints.
        to_choose: what a search has not chosen yet, as large as the corners of its space; in no list of trials.
    """

    wanted: Wanted
    trials: tuple[PlannedTrial, ...]
    capacity: Capacity
    speed: str
    volume: Volume
    to_choose: tuple[PlannedTrial, ...] = ()

    @property
    def missing(self) -> tuple[PlannedTrial, ...]:
        """The trials with epochs to run, those to be chosen included."""
        return tuple(trial for trial in (*self.trials, *self.to_choose) if trial.is_missing)

    @property
    def training_flops(self) -> float:
        """Of all that is to run, by the rule of each trial's method."""
        return sum(trial.training_flops for trial in self.missing)

    @property
    def trial_seconds(self) -> float:
        """Estimated time of all that is to run, one after another."""
        return sum(trial.seconds for trial in self.missing)

    @property
    def num_at_once(self) -> int:
        """Trials that fit beside each other, ≥ 1, even where the capacity is too small for one."""
        return max(1, num_fitting(self.wanted.spec.resources, self.capacity))

    @property
    def seconds(self) -> float:
        """Estimated time of the sweep: never shorter than its longest trial."""
        longest = max((trial.seconds for trial in self.missing), default=0.0)
        return max(self.trial_seconds / self.num_at_once, longest)

    @property
    def gpu_hours(self) -> float:
        """Estimated time of all trials that are to run, times the GPUs of each."""
        return self.trial_seconds * self.wanted.spec.resources.gpu / 3600

    @property
    def cpu_hours(self) -> float:
        """The same of CPUs."""
        return self.trial_seconds * self.wanted.spec.resources.cpu / 3600

    def counts(self) -> dict[str, int]:
        """Return how many trials are in each state, how many points are left out and how many are to be chosen."""
        found = Counter(trial.state for trial in self.trials)
        num_left_out = 0 if self.wanted.spec.search is not None else self.wanted.num_left_out
        return {**{state: found[state] for state in STATES}, "left out": num_left_out, "to choose": len(self.to_choose)}

    def to_dict(self) -> dict[str, Any]:
        """Return what a script may want to know, JSON-able."""
        return {
            "sweep": self.wanted.spec.name,
            "counts": {name.replace(" ", "_"): number for name, number in self.counts().items()},
            "training_flops_to_run": self.training_flops,
            "estimated_seconds": self.seconds,
            "estimate_from": self.speed,
            "gpu_hours": self.gpu_hours,
            "cpu_hours": self.cpu_hours,
            "trials_at_once": self.num_at_once,
            "cpus": self.capacity.cpu,
            "gpus": self.capacity.gpu,
            "checkpoint_bytes_at_most": self.volume.running,
            "checkpoint_bytes_kept": self.volume.kept,
            "trials": [trial.to_dict() for trial in self.trials],
        }


def make(wanted: Wanted, store: TrialStore | None, there: Capacity | None = None) -> Plan:
    """Look every trial up and count what is to do.

    Args:
        wanted: the sweep.
        store: the trial store; None where there is none yet.
        there: what the machine or cluster has that is to run it; None for this machine.
    """
    spec = wanted.spec
    past = Past.read(store, spec.name)
    to_choose: tuple[Trial, ...] = ()
    if spec.search is not None:
        wanted = replace(wanted, trials=chosen_trials(spec, past.entries))
        to_choose = stand_ins(spec, len(wanted.trials))
    standings = _standings(wanted.trials, store)
    earlier = Earlier((*wanted.trials, *to_choose), standings, store)
    device = device_of(spec.resources)
    sizes = Sizes(Speeds(device, earlier.measured()), spec.resources, spec.epochs)
    labels = wanted.labels
    planned = [
        _planned(trial, labels[trial.key], past.stand(trial.key, standings[trial.key]), sizes, earlier)
        for trial in wanted.trials
    ]
    guessed = [_planned(trial, "", Stand("to run"), sizes, earlier) for trial in to_choose]
    missing = [trial for trial in (*planned, *guessed) if trial.is_missing]
    return Plan(
        wanted=wanted,
        trials=tuple(planned),
        capacity=there or local_capacity(),
        speed=told(device, [trial.size.is_measured for trial in missing or planned]),
        volume=volume([trial.trial.config for trial in missing], spec.keep, spec.epochs),
        to_choose=tuple(guessed),
    )


def capacity(cpus: float | None, gpus: float | None) -> Capacity:
    """Return the size of a cluster; what is not given is this machine's."""
    here = local_capacity()
    return Capacity(cpu=here.cpu if cpus is None else cpus, gpu=here.gpu if gpus is None else gpus)


def num_fitting(resources: Resources, capacity: Capacity) -> int:
    """Return how many trials fit beside each other; a share of a GPU is of one GPU."""
    by_cpu = int(capacity.cpu // resources.cpu)
    if not resources.gpu:
        return by_cpu
    shares = int(1 / resources.gpu + 1e-9) if resources.gpu < 1 else 1
    return min(by_cpu, shares * int(capacity.gpu // max(resources.gpu, 1)))


def _standings(trials: Sequence[Trial], store: TrialStore | None) -> dict[str, Standing]:
    """Look up what is stored; for the others one look at the list of all trials will do."""
    stored = frozenset(store.keys()) if store is not None else frozenset()
    return {
        trial.key: look_up(store, trial.key, trial.epochs) if store is not None and trial.key in stored else Standing()
        for trial in trials
    }


def _planned(trial: Trial, label: str, stand: Stand, sizes: Sizes, earlier: Earlier) -> PlannedTrial:
    size = sizes.of(trial.config)
    is_missing = stand.state in MISSING
    flops_done = training_flops(trial.config, stand.num_answered) if stand.num_answered else 0.0
    return PlannedTrial(
        trial=trial,
        label=label,
        state=stand.state,
        num_answered=stand.num_answered,
        size=size,
        training_flops=size.training_flops - flops_done if is_missing else 0.0,
        seconds=size.epoch_seconds * (trial.epochs - stand.num_answered) if is_missing else 0.0,
        note=stand.why or (earlier.rekeyed(trial.config) if stand.state == "to run" else ""),
    )
