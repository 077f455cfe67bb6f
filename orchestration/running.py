"""A sweep's missing trials on Ray: one run of the sweep, from the decision that it starts to the one that it ended."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from orchestration import cluster
from orchestration.agenda import Agenda, Todo
from orchestration.decisions import Ended, Started, write
from orchestration.job import Job, first_line
from orchestration.monitor import Monitor, SweepProgress
from orchestration.processes import StopRequest
from orchestration.settings import Settings
from orchestration.supervise import Outcome, Surroundings, Watch, supervise
from orchestration.terminal import count, say
from orchestration.volume import checkpoint_bytes
from orchestration.wanted import Wanted, chosen, log_file
from selfish_core.errors import OwnedElsewhereError
from selfish_core.storage import Ownership
from selfish_core.trial_store import TrialStore
from sweeps.expand import corner_trials

JOB_VARIABLE = "SELFISH_JOB"
"""Names the Ray job that the command runs in, where it was submitted."""

CANCEL_SECONDS = 1.0
"""Between two looks for a cancel while the driver runs."""


@dataclass(frozen=True)
class Owned:
    """A sweep in this process's hand.

    Args:
        lock: says when it is lost.
        num_requests: number of the newest request before it was taken: later ones are this run's.
    """

    lock: Ownership
    num_requests: int


def run_on_ray(
    wanted: Wanted, store: TrialStore, settings: Settings, progress: SweepProgress, ownership: Owned
) -> Outcome:
    """Run what is missing in a driver of its own, until everything is answered, given up, or asked to stop.

    Args:
        wanted: the sweep, whose lock the caller holds.
        store: its trial store.
        settings: of the command.
        progress: of its trials.
        ownership: of the sweep.

    Raises:
        OwnedElsewhereError: when another process has taken the sweep over meanwhile.
        ResourcesError: when a trial asks for more than one node has.
        SelfishError: when the driver keeps dying, or no cluster can be had.
    """
    say(f"{_told(wanted, progress)}; starting Ray")
    sweep = store.sweep(wanted.spec.name)
    started = Started(
        num_requests=ownership.num_requests,
        host=socket.gethostname(),
        pid=os.getpid(),
        epochs=wanted.spec.epochs,
        job=os.environ.get(JOB_VARIABLE),
    )
    write(sweep, started)
    try:
        outcome = _supervised(wanted, store, settings, progress, ownership)
    except BaseException as error:
        write(sweep, Ended(reason="failed", message=first_line(error)))
        raise
    write(sweep, Ended(reason=_reason(outcome)))
    _tell(wanted, store, outcome)
    return outcome


def _supervised(
    wanted: Wanted, store: TrialStore, settings: Settings, progress: SweepProgress, ownership: Owned
) -> Outcome:
    num_requests = ownership.num_requests
    search = wanted.spec.search
    agenda = Agenda(store, wanted.spec.name, progress, num_requests, search.num_trials if search is not None else 0)
    is_embedded = settings.ray_address is None
    with cluster.scratch() as folder, StopRequest() as stop, Monitor(progress) as monitor:
        environment = cluster.environment(folder, os.environ, is_embedded=is_embedded)
        watch = Watch(
            todo=lambda: _look(agenda, wanted, store, progress),
            num_epochs=progress.num_epochs,
            is_cancelled=_seldom(agenda.is_cancelled),
            tick=lambda: _tick(monitor, wanted, ownership),
            say=monitor.say,
        )
        job = _job(wanted, store, settings, folder, num_requests)
        return supervise(job, watch, Surroundings(environment, log_file(store, wanted.spec.name)), stop)


def _tick(monitor: Monitor, wanted: Wanted, ownership: Owned) -> None:
    """Show progress; end at once where the sweep is another's by now."""
    if ownership.lock.is_lost:
        raise OwnedElsewhereError(f"sweep {wanted.spec.name!r} was taken over by another process; this one ends")
    monitor.tick()


def _told(wanted: Wanted, progress: SweepProgress) -> str:
    to_run = f"{count(len(progress.missing()), 'trial')} of {len(wanted.trials)} to run"
    search = wanted.spec.search
    return to_run if search is None else f"{to_run}, {search.num_trials} points to choose in all"


def _look(agenda: Agenda, wanted: Wanted, store: TrialStore, progress: SweepProgress) -> Todo:
    """Look at the trials that there are now; a search has chosen more of them."""
    progress.follow(chosen(wanted, store).labels)
    return agenda.look()


def _job(wanted: Wanted, store: TrialStore, settings: Settings, folder: Path, num_requests: int) -> Job:
    spec = wanted.spec
    return Job(
        sweep=spec.name,
        trials={trial.key: trial.config.to_dict() for trial in wanted.trials},
        epochs=spec.epochs,
        cpu=spec.resources.cpu,
        gpu=spec.resources.gpu,
        store=store.place,
        data=str(settings.data) if settings.data else None,
        scratch=str(folder),
        ray_address=settings.ray_address,
        spec=spec.text.decode(),
        spec_path=str(spec.path),
        num_requests=num_requests,
        stall_timeout=spec.execution.stall_timeout_seconds,
        canary_steps=spec.execution.canary_steps,
        is_packed=spec.resources.pack == "auto",
        max_failed_fraction=spec.execution.max_failed_fraction,
        keep_last=spec.keep.last,
        keep_best=spec.keep.best_of_trial,
        checkpoint_bytes=max(checkpoint_bytes(trial.config) for trial in wanted.trials or corner_trials(spec)),
    )


def _reason(outcome: Outcome) -> Literal["done", "stopped", "cancelled", "interrupted", "broken"]:
    return "interrupted" if outcome.signal else outcome.todo.end or "done"


def _tell(wanted: Wanted, store: TrialStore, outcome: Outcome) -> None:
    """Say what was given up, and why a run ended early."""
    log_path = log_file(store, wanted.spec.name)
    for key, lost in outcome.todo.decided.failed.items():
        say(f"trial {wanted.labels[key]} ({key[:8]}) failed: {lost.failure}: {lost.message}; log: {log_path}")
    if outcome.todo.decided.broken:
        say(outcome.todo.decided.broken)
    elif outcome.todo.end:
        say(f"{outcome.todo.end} as asked")


def _seldom(question: Callable[[], bool]) -> Callable[[], bool]:
    """Ask at most once in `CANCEL_SECONDS`, and keep a yes."""
    asked, answer = time.monotonic(), False

    def ask() -> bool:
        nonlocal asked, answer
        if not answer and time.monotonic() - asked >= CANCEL_SECONDS:
            asked, answer = time.monotonic(), question()
        return answer

    return ask
