"""Ray Tune over a job's trials: it only executes; what came of it is in the trial store."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestration import cluster
from orchestration.breaker import Breaker
from orchestration.canaries import MIN_TRIALS, Canaries, group_of
from orchestration.cluster import Capacity
from orchestration.conductor import Conductor, Start
from orchestration.decisions import AnyDecision, Entry, read, write
from orchestration.early_stopping import EarlyStopping, member_of, stops
from orchestration.job import Event, Finished, Job, Started
from orchestration.outlook import Outlook
from orchestration.quest import Quest
from orchestration.searched import chosen_trials
from selfish_core.trial_store import TrialStore
from sweeps.expand import expand
from sweeps.spec import Spec, parse

Report = Callable[[Event], None]


def launch(job: Job, report: Report) -> None:
    """Run a job's trials to their end on a cluster, in this process.

    Args:
        job: what to run; `scratch` takes Tune's own folder, which is never read back.
        report: takes events as they come.

    Raises:
        ResourcesError: when a trial asks for more than one node has.
        InputError: when a node lacks the package, the corpus or the trial store.
        SelfishError: when the cluster cannot be started or joined.
    """
    scratch = Path(job.scratch)
    with cluster.connect(job.ray_address, scratch) as capacity:
        where = f"the cluster at {job.ray_address}" if job.ray_address else "this machine"
        cluster.check_fits(job.cpu, job.gpu, capacity, where)
        if job.ray_address is not None:
            from orchestration.probe import probe_nodes

            probe_nodes(job)
        report(Started(cpu=capacity.cpu))
        _fit(job, capacity, scratch)
        report(Finished())


def _fit(job: Job, capacity: Capacity, scratch: Path) -> None:
    from ray import tune

    from orchestration.feed import Feed, Glance, Halt, Watch
    from selfish_core.trainable import SparseRNNTrainable

    store = TrialStore.open(job.store)
    outlook = Outlook(job, store)
    conductor = _conductor(job, store, outlook)
    glance = Glance(conductor, outlook.look)
    tune.Tuner(
        tune.with_resources(SparseRNNTrainable, _placement_group),
        param_space=job.setting(),
        tune_config=tune.TuneConfig(
            search_alg=Feed(conductor, glance, Configs(job, capacity, conductor).of),
            num_samples=-1,
            reuse_actors=True,
            trial_name_creator=_name,
            trial_dirname_creator=_folder,
        ),
        run_config=tune.RunConfig(
            name=job.sweep,
            storage_path=str(scratch / "tune"),
            verbose=0,
            stop=Halt(conductor),
            callbacks=[Watch(conductor, glance, store)],
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            failure_config=tune.FailureConfig(max_failures=0),
        ),
    ).fit()


def _conductor(job: Job, store: TrialStore, outlook: Outlook) -> Conductor:
    """Build what decides, with the sweep's decisions so far."""
    sweep = store.sweep(job.sweep)
    entries = read(sweep)
    spec = parse(job.spec.encode(), Path(job.spec_path)) if job.spec else None

    def decide(decision: AnyDecision) -> None:
        write(sweep, decision)

    early = _early_stopping(spec, store, entries)
    quest = None
    if spec is not None and spec.search is not None:
        quest = Quest(spec, store, entries, decide, job.trials, early)
    keys = list(dict.fromkeys([*job.trials, *(quest.unfinished() if quest is not None else ())]))
    return Conductor(
        keys,
        outlook.look(),
        Breaker(job.max_failed_fraction),
        decide,
        canaries=_canaries(job),
        early=early,
        quest=quest,
    )


def _early_stopping(spec: Spec | None, store: TrialStore, entries: Sequence[Entry]) -> EarlyStopping | None:
    """Build the early stopping that a spec asks for, with what was recorded and stopped before."""
    if spec is None or spec.early_stopping is None:
        return None
    trials = expand(spec).trials if spec.search is None else chosen_trials(spec, entries)
    members = {trial.key: member_of(trial.config) for trial in trials}
    early = EarlyStopping(spec.early_stopping, spec.epochs, members, stops(entries))
    records = {key: store.trial(key).records()[: spec.epochs] for key in members}
    early.replay({key: [record.metrics for record in found] for key, found in records.items()})
    return early


class Configs:
    """The Tune config of a start, and the resources that it asks for.

    Args:
        job: gives what all have in common.
        capacity: of the largest node, which a trial that is to be alone gets.
        conductor: knows the nodes that take no more trials.
    """

    def __init__(self, job: Job, capacity: Capacity, conductor: Conductor) -> None:
        self._job = job
        self._capacity = capacity
        self._conductor = conductor

    def of(self, start: Start) -> dict[str, Any]:
        """Return what differs from trial to trial."""
        return {
            "trial": self._job.trials[start.key],
            "keys": [start.key],
            "canary_steps": self._job.canary_steps if start.is_canary else 0,
            "placement": {"amounts": self._amounts(start), "labels": cluster.not_on(self._conductor.stopped_nodes)},
        }

    def _amounts(self, start: Start) -> dict[str, float]:
        job = self._job
        if not start.is_alone:
            return {"CPU": job.cpu, "GPU": job.gpu if start.share is None else start.share}
        if job.gpu:
            return {"CPU": job.cpu, "GPU": max(1.0, job.gpu)}
        return {"CPU": max(job.cpu, self._capacity.cpu), "GPU": 0.0}


def _placement_group(config: Mapping[str, Any]) -> Any:
    """Return what Tune asks the cluster for; it goes to the workers with the trainable, so it knows its config only."""
    from ray import tune

    amounts, labels = config["placement"]["amounts"], config["placement"]["labels"]
    return tune.PlacementGroupFactory([dict(amounts)], **({"bundle_label_selector": [dict(labels)]} if labels else {}))


def _canaries(job: Job) -> Canaries:
    """Fly canaries where there are many trials to lose, or memory is to be measured."""
    is_worth_it = job.canary_steps > 0 and (job.is_packed or len(job.trials) >= MIN_TRIALS)
    groups = {key: group_of(config) for key, config in job.trials.items()} if is_worth_it else {}
    return Canaries(groups, is_packed=job.is_packed)


def _name(trial: Any) -> str:
    return str(trial.config["keys"][0])


def _folder(trial: Any) -> str:
    """Return a name of its own for each start: a trial may have several."""
    return f"{_name(trial)}-{trial.trial_id}"
