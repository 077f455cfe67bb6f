"""Ray Tune over a job's trials: it only executes; what came of it is in the trial store."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from orchestration import cluster
from orchestration.job import Event, Finished, Job, Started, TrialFailed, first_line
from selfish_core.config import TrialConfig

MAX_FAILURES = 2
"""Retries of one trial: a lost worker costs one, so does an exception."""

Report = Callable[[Event], None]


def launch(job: Job, report: Report) -> None:
    """Run a job's trials to their end on a cluster, in this process.

    Args:
        job: what to run; `scratch` takes Tune's own folder, which is never read back.
        report: takes events as they come.

    Raises:
        ResourcesError: when a trial asks for more than one node has.
        SelfishError: when the cluster cannot be started or joined.
    """
    scratch = Path(job.scratch)
    with cluster.connect(job.ray_address, scratch) as capacity:
        where = f"the cluster at {job.ray_address}" if job.ray_address else "this machine"
        cluster.check_fits(job.cpu, job.gpu, capacity, where)
        report(Started(cpu=capacity.cpu))
        for key, error in _fit(job, scratch):
            traceback.print_exception(error)
            report(TrialFailed(key=key, message=first_line(_cause(error))))
        report(Finished())


def _fit(job: Job, scratch: Path) -> list[tuple[str, Exception]]:
    from ray import tune

    from selfish_core.trainable import SparseRNNTrainable

    tuner = tune.Tuner(
        tune.with_resources(SparseRNNTrainable, {"cpu": job.cpu, "gpu": job.gpu}),
        param_space={**job.setting(), "keys": list(job.trials), "trial": tune.grid_search(list(job.trials.values()))},
        tune_config=tune.TuneConfig(reuse_actors=True, trial_name_creator=_name, trial_dirname_creator=_name),
        run_config=tune.RunConfig(
            name=job.sweep,
            storage_path=str(scratch / "tune"),
            verbose=0,
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            failure_config=tune.FailureConfig(max_failures=MAX_FAILURES),
        ),
    )
    return [(_key(result.config), result.error) for result in tuner.fit() if result.error]


def _name(trial: Any) -> str:
    return _key(trial.config)


def _key(config: dict[str, Any]) -> str:
    return TrialConfig.from_dict(config["trial"]).key()


def _cause(error: Exception) -> BaseException:
    """Return what the worker raised, where Ray has kept it."""
    cause = getattr(error, "cause", None)
    return cause if isinstance(cause, BaseException) else error
