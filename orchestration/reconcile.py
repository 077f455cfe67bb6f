"""`selfish run`: wanted trials minus answered ones is what starts; twice is as good as once.

The parent process holds the sweep's lock, shows progress and feeds MLflow; Ray lives in the driver (`supervise`).
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from orchestration import cluster, corpora
from orchestration.job import Job
from orchestration.monitor import Monitor, SweepProgress
from orchestration.processes import Stopped, StopRequest
from orchestration.registry import register
from orchestration.settings import Settings
from orchestration.supervise import Outcome, Surroundings, Watch, supervise
from orchestration.terminal import count, say
from orchestration.tracking import Projector, SweepView
from orchestration.tracking_thread import ProjectorThread
from orchestration.wanted import Wanted, log_file
from results.load import connect, explained
from selfish_core.errors import InterruptedRunError, TrackingError
from selfish_core.trial_store import TrialStore

log = logging.getLogger(__name__)

QUICK_DRAIN_SECONDS = 5.0
DRAIN_SECONDS = 120.0
STOPPED_DRAIN_SECONDS = 2.0


@dataclass(frozen=True)
class Reconciled:
    """How a run ended.

    Args:
        failures: key -> one line, of the trials that ended with an exception.
        num_missing: trials that are neither answered nor diverged.
        is_tracked: whether MLflow shows all of it.
    """

    failures: Mapping[str, str]
    num_missing: int
    is_tracked: bool

    @property
    def exit_code(self) -> int:
        """0 when every trial has its answer."""
        return 1 if self.num_missing else 0


def reconcile(wanted: Wanted, store: TrialStore, settings: Settings, *, must_track: bool = False) -> Reconciled:
    """Bring a sweep's trials to their answers and MLflow up to date.

    Args:
        wanted: the sweep, whose lock the caller holds.
        store: its trial store.
        settings: of the command.
        must_track: whether an MLflow that cannot be reached is an error.

    Raises:
        CorpusError: when a corpus is missing or damaged.
        ResourcesError: when a trial asks for more than a cluster that is joined has.
        InterruptedRunError: when a stop was asked for; says how to go on.
        TrackingError: with `must_track`, when MLflow cannot be reached.
    """
    progress = SweepProgress(store, wanted.labels, wanted.spec.epochs)
    with _explained_stop(wanted, progress):
        missing = progress.missing()
        if missing:
            corpora.verify({trial.key: trial.config for trial in wanted.trials if trial.key in missing}, settings)
        register(wanted.spec, wanted.trials, store)
        projector = Projector(store, settings.tracking_uri)
        if must_track:
            projector.project([_view(wanted, is_live=bool(missing))])
        with ProjectorThread(projector, [_view(wanted, is_live=bool(missing))]) as tracking:
            outcome = _run_tracked(wanted, store, settings, progress, tracking)
            is_tracked = _drain(tracking, settings)
    if must_track and not is_tracked:
        raise TrackingError(f"MLflow at {projector.tracking_uri} does not show all trials; `selfish sync` tries again")
    return Reconciled(outcome.failures, len(progress.missing()), is_tracked)


def _run_tracked(
    wanted: Wanted, store: TrialStore, settings: Settings, progress: SweepProgress, tracking: ProjectorThread
) -> Outcome:
    """Run what is missing, and let MLflow have a terminal status for each trial however that ends."""
    if not progress.missing():
        say(f"all {count(len(wanted.trials), 'trial')} are answered; nothing to run")
        tracking.update([_view(wanted)])
        return Outcome()
    try:
        outcome = _run(wanted, store, settings, progress)
        if outcome.signal:
            raise Stopped(outcome.signal)
    except BaseException:
        tracking.update([_view(wanted)])
        tracking.drain(STOPPED_DRAIN_SECONDS)
        raise
    tracking.update([_view(wanted, failures=outcome.failures)])
    return outcome


def _drain(tracking: ProjectorThread, settings: Settings) -> bool:
    """Wait until MLflow shows everything; not for long where it cannot be reached."""
    if tracking.drain(QUICK_DRAIN_SECONDS):
        return True
    try:
        with explained(settings.tracking_uri):
            connect(settings.tracking_uri).search_experiments(max_results=1)
    except TrackingError:
        return False
    return tracking.drain(DRAIN_SECONDS)


def _run(wanted: Wanted, store: TrialStore, settings: Settings, progress: SweepProgress) -> Outcome:
    """Run what is missing on Ray, in a driver of its own."""
    configs = {trial.key: trial.config.to_dict() for trial in wanted.trials}
    resources = wanted.spec.resources
    missing = progress.missing()
    say(f"{count(len(missing), 'trial')} of {len(configs)} to run; starting Ray")
    log_path = log_file(store, wanted.spec.name)
    with cluster.scratch() as folder, StopRequest() as stop, Monitor(progress) as monitor:
        job = Job(
            sweep=wanted.spec.name,
            trials={key: configs[key] for key in missing},
            epochs=wanted.spec.epochs,
            cpu=resources.cpu,
            gpu=resources.gpu,
            store=str(store.path),
            data=str(settings.data) if settings.data else None,
            scratch=str(folder),
            ray_address=settings.ray_address,
        )
        environment = cluster.environment(folder, os.environ, is_embedded=settings.ray_address is None)
        watch = Watch(progress.missing, progress.num_epochs, monitor.tick, monitor.say)
        outcome = supervise(job, watch, Surroundings(environment, log_path), stop)
    for key, message in outcome.failures.items():
        say(f"trial {wanted.labels[key]} ({key[:8]}) failed: {message}; log: {log_path}")
    return outcome


@contextmanager
def _explained_stop(wanted: Wanted, progress: SweepProgress) -> Iterator[None]:
    """Turn a stop into one line that says how to go on."""
    try:
        yield
    except Stopped as stopped:
        num_over = len(wanted.trials) - len(progress.missing())
        told = f"stopped with {num_over} of {len(wanted.trials)} trials answered"
        error = InterruptedRunError(f"{told}; the same command goes on from the last whole epoch")
        error.exit_code = stopped.exit_code
        raise error from None


def _view(wanted: Wanted, *, is_live: bool = False, failures: Mapping[str, str] | None = None) -> SweepView:
    return SweepView(
        name=wanted.spec.name,
        trials=wanted.trials,
        description=wanted.spec.description,
        is_live=is_live,
        failures=failures or {},
    )
