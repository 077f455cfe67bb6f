"""`selfish run`: wanted trials minus answered ones is what starts; twice is as good as once.

The parent process holds the sweep's lock, shows progress and feeds MLflow; Ray lives in the driver (`supervise`).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from orchestration import corpora
from orchestration.agenda import Decided, Todo
from orchestration.decisions import read
from orchestration.monitor import SweepProgress
from orchestration.processes import Stopped
from orchestration.registry import register
from orchestration.running import Owned, run_on_ray
from orchestration.settings import Settings
from orchestration.terminal import count, say
from orchestration.tracking import Projector, SweepView
from orchestration.tracking_thread import ProjectorThread
from orchestration.wanted import Wanted, chosen
from results.tracking_store import connect, explained
from selfish_core.config import TrialConfig
from selfish_core.errors import InterruptedRunError, TrackingError
from selfish_core.trial_store import TrialStore
from sweeps.expand import corner_trials

log = logging.getLogger(__name__)

QUICK_DRAIN_SECONDS = 5.0
DRAIN_SECONDS = 120.0
STOPPED_DRAIN_SECONDS = 2.0


@dataclass(frozen=True)
class Reconciled:
    """How a run ended.

    Args:
        wanted: the sweep, with the trials that a search has chosen.
        todo: what was left to do, and what was given up.
        num_missing: trials that are neither answered, nor diverged, nor stopped early.
        is_tracked: whether MLflow shows all of it.
    """

    wanted: Wanted
    todo: Todo
    num_missing: int
    is_tracked: bool

    @property
    def exit_code(self) -> int:
        """0 when every trial has its answer."""
        return 1 if self.num_missing else 0


def reconcile(
    wanted: Wanted, store: TrialStore, settings: Settings, ownership: Owned, *, must_track: bool = False
) -> Reconciled:
    """Bring a sweep's trials to their answers and MLflow up to date.

    Args:
        wanted: the sweep, whose lock the caller holds.
        store: its trial store.
        settings: of the command.
        ownership: of the sweep.
        must_track: whether an MLflow that cannot be reached is an error.

    Raises:
        CorpusError: when a corpus is missing or damaged.
        ResourcesError: when a trial asks for more than a cluster that is joined has.
        InterruptedRunError: when a stop was asked for; says how to go on.
        TrackingError: with `must_track`, when MLflow cannot be reached.
    """
    wanted = chosen(wanted, store)
    progress = SweepProgress(store, wanted.labels, wanted.spec.epochs)
    with _explained_stop(wanted, progress):
        missing = progress.missing()
        corpora.verify(_texts(wanted, missing), settings)
        register(wanted.spec, wanted.trials, store)
        projector = Projector(store, settings.tracking_uri)
        if must_track:
            projector.project([_view(wanted, is_live=bool(missing))])
        with ProjectorThread(projector, [_view(wanted, is_live=bool(missing))]) as tracking:
            todo = _run_tracked(wanted, store, settings, progress, tracking, ownership)
            wanted = chosen(wanted, store)
            is_tracked = _drain(tracking, settings)
    if must_track and not is_tracked:
        raise TrackingError(f"MLflow at {projector.tracking_uri} does not show all trials; `selfish sync` tries again")
    return Reconciled(wanted, todo, len(set(progress.missing()) - todo.decided.stopped), is_tracked)


def _run_tracked(
    wanted: Wanted,
    store: TrialStore,
    settings: Settings,
    progress: SweepProgress,
    tracking: ProjectorThread,
    ownership: Owned,
) -> Todo:
    """Run what is missing, and let MLflow have a terminal status for each trial however that ends."""
    decided = Decided.of(read(store.sweep(wanted.spec.name)))
    num_points = wanted.spec.search.num_trials if wanted.spec.search is not None else 0
    if decided.num_asked >= num_points and set(progress.missing()) <= decided.stopped:
        say(f"all {count(len(wanted.trials), 'trial')} are answered; nothing to run")
        tracking.update([_view(wanted)])
        return Todo((), "", "", decided)
    try:
        outcome = run_on_ray(wanted, store, settings, progress, ownership)
        if outcome.signal:
            raise Stopped(outcome.signal)
    except BaseException:
        tracking.update([_view(wanted)])
        tracking.drain(STOPPED_DRAIN_SECONDS)
        raise
    failed = outcome.todo.decided.failed
    wanted = chosen(wanted, store)
    register(wanted.spec, wanted.trials, store)
    tracking.update([_view(wanted, failures={key: f"{lost.failure}: {lost.message}" for key, lost in failed.items()})])
    return outcome.todo


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


def _texts(wanted: Wanted, missing: Sequence[str]) -> Mapping[str, TrialConfig]:
    """Return the trials whose texts must be there; those of a search's corners stand for what it will choose."""
    trials = [*wanted.trials, *(corner_trials(wanted.spec) if wanted.spec.search is not None else ())]
    left = [trial for trial in trials if trial.key in missing or wanted.spec.search is not None]
    return {trial.key: trial.config for trial in left}


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
