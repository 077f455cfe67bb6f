"""The supervisor: keeps a sweep's driver running until every trial is answered or failed, or a stop is asked for.

What is done is read from the trial store, never from an exit code. A driver that dies is started again; three such
starts in a row without one new epoch are the last.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from orchestration import processes
from orchestration.agenda import Todo
from orchestration.job import Event, Finished, Job, Refused, Started, as_line, read_event
from orchestration.processes import StopRequest
from selfish_core.errors import InputError, SelfishError

DRIVER = (sys.executable, "-P", "-m", "orchestration.driver")
MAX_RESTARTS = 3
"""Starts in a row, after the first, that bring no new epoch."""
STOP_SECONDS = 5.0
"""How long a driver has for an orderly end; with what else there is to do, a stop takes less than 10 s."""
POLL_SECONDS = 0.2
WAIT_SECONDS = 1.0
"""Between two looks while nothing may run."""


@dataclass(frozen=True)
class Watch:
    """What the supervisor looks at and calls.

    Args:
        todo: returns what is to do, from the trial store.
        is_cancelled: whether the running epochs are to be given up, from the trial store.
        num_epochs: returns the epochs that the job's trials have together, from the trial store.
        tick: called a few times a second, e.g. to show progress.
        say: takes a line for a person.
    """

    todo: Callable[[], Todo]
    num_epochs: Callable[[], int]
    is_cancelled: Callable[[], bool] = lambda: False
    tick: Callable[[], None] = lambda: None
    say: Callable[[str], None] = lambda _line: None


@dataclass(frozen=True)
class Outcome:
    """How a sweep ended.

    Args:
        todo: what was still to do.
        signal: that stopped it; 0 where none did.
    """

    todo: Todo
    signal: int = 0


@dataclass(frozen=True)
class Surroundings:
    """What a driver gets beside its job.

    Args:
        environment: its environment variables.
        log: file that takes what it and Ray print.
        command: that starts it.
        start_seconds: within which it must have its cluster.
    """

    environment: Mapping[str, str]
    log: Path
    command: Sequence[str] = DRIVER
    start_seconds: float = 120.0


def supervise(job: Job, watch: Watch, surroundings: Surroundings, stop: StopRequest) -> Outcome:
    """Run a job's trials in a child process until nothing is missing, or a stop is asked for.

    Args:
        job: what to run; each start gets the trials that may run then.
        watch: the trial store's side of it.
        surroundings: of the driver.
        stop: already entered.

    Raises:
        InputError: when the driver refuses the job, e.g. for resources that are not there.
        SelfishError: when the driver keeps dying without getting on.
    """
    num_deaths = 0
    told = ""
    processes.adopt_orphans()
    todo = watch.todo()
    while True:
        if stop.signal or todo.end or not (todo.is_work or todo.waits):
            return Outcome(todo, stop.signal)
        if not todo.is_work:
            told = _tell_once(todo.waits, told, watch)
            stop.wait(WAIT_SECONDS)
            todo = watch.todo()
            continue
        before = watch.num_epochs()
        trials = {key: job.trials[key] for key in todo.runnable if key in job.trials}
        part = job.model_copy(update={"trials": trials, "num_retries": todo.decided.num_retries})
        is_finished = _run_driver(part, watch, surroundings, stop)
        was, todo = todo, watch.todo()
        if stop.signal or not todo.is_work or (is_finished and _is_other(todo, was)):
            num_deaths = 0
            continue
        num_deaths = 1 if watch.num_epochs() > before else num_deaths + 1
        if num_deaths > MAX_RESTARTS:
            raise SelfishError(
                f"the driver died {num_deaths} times in a row without a new epoch: see {surroundings.log}"
            )
        watch.say(f"the driver died; starting it again ({num_deaths} of {MAX_RESTARTS}), log: {surroundings.log}")


def _is_other(todo: Todo, was: Todo) -> bool:
    return (todo.runnable, todo.decided.num_asked) != (was.runnable, was.decided.num_asked)


def _tell_once(waits: str, told: str, watch: Watch) -> str:
    """Say what is waited for, once, and keep looking alive."""
    if waits != told:
        watch.say(f"waiting: {waits}")
    watch.tick()
    return waits


def _run_driver(job: Job, watch: Watch, surroundings: Surroundings, stop: StopRequest) -> bool:
    """Run one driver to its end and say whether that was an orderly one."""
    spared = {process.pid for process in processes.descendants()}
    driver = _Driver(job, surroundings)
    events: list[Event] = []
    deadline = time.monotonic() + surroundings.start_seconds
    try:
        while driver.is_alive() and not stop.wait(POLL_SECONDS):
            events += _told(driver.events(), watch)
            if time.monotonic() > deadline and not events:
                _explain_no_start(job, surroundings)
                break
            watch.tick()
            if watch.is_cancelled():
                break
        if driver.is_alive() and not watch.is_cancelled():
            driver.stop(stop)
    finally:
        driver.end(spared)
    events += _told(driver.events(), watch)
    watch.tick()
    return any(isinstance(event, Finished) for event in events)


def _explain_no_start(job: Job, surroundings: Surroundings) -> None:
    """Refuse a cluster that does not answer; one of our own may come up the next time."""
    if job.ray_address is not None:
        told = f"the Ray cluster at {job.ray_address} has not answered for {surroundings.start_seconds:g} s"
        raise SelfishError(f"{told}: is it up, and is its token in RAY_AUTH_TOKEN? log: {surroundings.log}")


def _told(events: Sequence[Event], watch: Watch) -> Sequence[Event]:
    """Act on events and return them."""
    for event in events:
        if isinstance(event, Refused):
            raise (InputError if event.exit_code == InputError.exit_code else SelfishError)(event.message)
        if isinstance(event, Started):
            watch.say(f"Ray is up with {event.cpu:g} CPUs")
    return events


class _Driver:
    """One child process: its job goes in by stdin, which stays open; its events come out by stdout."""

    def __init__(self, job: Job, surroundings: Surroundings) -> None:
        with _open_log(surroundings.log) as log:
            self._process = subprocess.Popen(
                list(surroundings.command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=dict(surroundings.environment),
                start_new_session=True,
            )
        self._queue: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        self._reader.start()
        self._writer = threading.Thread(target=self._write, args=(as_line(job),), daemon=True)
        self._writer.start()

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def events(self) -> list[Event]:
        """Return the events that have come since the last call."""
        found = []
        with contextlib.suppress(queue.Empty):
            while True:
                found.append(self._queue.get_nowait())
        return found

    def stop(self, stop: StopRequest) -> None:
        """Ask for an orderly end and wait for it; not at all once a second stop was asked for."""
        self._process.send_signal(signal.SIGINT)
        deadline = time.monotonic() + STOP_SECONDS
        while self.is_alive() and not stop.is_urgent and time.monotonic() < deadline:
            time.sleep(POLL_SECONDS / 2)

    def end(self, spared: Collection[int]) -> None:
        """Make sure that it and all that it started are gone, and that all it said has been read.

        Args:
            spared: process ids below this process that are not the driver's.
        """
        if self.is_alive():
            self._process.kill()
        self._process.wait()
        processes.end_descendants(spared)
        self._reader.join(timeout=2)
        pipes = [self._process.stdin] if self._reader.is_alive() else [self._process.stdin, self._process.stdout]
        for pipe in pipes:
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()

    def _read(self, pipe: IO[bytes]) -> None:
        with contextlib.suppress(OSError, ValueError):
            for line in pipe:
                with contextlib.suppress(ValueError):
                    self._queue.put(read_event(line))

    def _write(self, line: bytes) -> None:
        pipe = self._process.stdin
        with contextlib.suppress(OSError, ValueError):
            if pipe is not None:
                pipe.write(line)
                pipe.flush()


def _open_log(path: Path) -> IO[bytes]:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    return os.fdopen(descriptor, "ab")
