"""The stall watchdog: a small process beside a worker that ends it where it makes no progress, and keeps its stacks.

It is a process of its own because a step that is stuck in C may hold the interpreter's lock: no thread would run then.
It listens on a pipe, on which the worker says that it goes on, at most once a second. Where nothing comes for too long,
it asks the worker for the stacks of all its threads, by a signal that `faulthandler` answers in C on the same pipe,
writes them into the log and the trial store, and kills the worker. It ends when the worker closes the pipe or is gone.

Nothing but the standard library is imported until a worker stalls.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

Beat = Callable[[], None]
"""Called wherever a trial has made a step."""

BEAT_SECONDS = 1.0
"""Least time between two signs of life; a fourth of the timeout where that is shorter."""

QUIET_SECONDS = 0.5
"""A worker that has written nothing for so long has written all its stacks."""

KEEP_SECONDS = 30.0
"""How long the trial store may take; the worker is killed then all the same."""

_SIGNAL = signal.SIGUSR1
_NOTHING = b"null\n"


def no_beat() -> None:
    """Make nothing of a step, where nobody watches."""


@dataclass(frozen=True)
class Watched:
    """What a worker does.

    Args:
        timeout_seconds: without a step, after which it is ended; > 0.
        key: content key of its trial.
        store: folder or URL of the trial store that takes the stacks, or None.
        worker: id of its Ray actor; empty where it is none.
    """

    timeout_seconds: float
    key: str
    store: str | None = None
    worker: str = ""


class Watchdog:
    """The worker's end of the pipe; one in a process."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._watched: Watched | None = None
        self._beaten = 0.0

    def watch(self, watched: Watched) -> None:
        """Expect steps from now on."""
        self._watched = watched
        self._say(_line(watched))

    def beat(self) -> None:
        """Take note of a step; costs next to nothing."""
        if self._watched is None:
            return
        now = time.monotonic()
        if now - self._beaten >= min(BEAT_SECONDS, self._watched.timeout_seconds / 4):
            self._beaten = now
            self._say(b"\n")

    def rest(self) -> None:
        """Expect no steps until there is something to watch again."""
        if self._watched is not None:
            self._watched = None
            self._say(_NOTHING)

    def close(self) -> None:
        """Let the process beside this one end."""
        process, self._process, self._watched = self._process, None, None
        if process is not None:
            faulthandler.unregister(_SIGNAL)
            _close(process)

    def _say(self, line: bytes) -> None:
        """Write a line; where the watchdog is gone, begin anew with what it must know."""
        if self._process is None or self._process.poll() is not None:
            line = line if self._watched is None else _line(self._watched)
            self._start()
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            os.write(_pipe(self._process), line)

    def _start(self) -> None:
        if self._process is not None:
            _close(self._process)
        path = os.pathsep.join(entry for entry in sys.path if entry)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "selfish_core.training.watchdog"],
            stdin=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,
        )
        os.set_blocking(_pipe(self._process), False)
        faulthandler.register(_SIGNAL, file=_pipe(self._process), all_threads=True)


def listen(pipe: int, worker_pid: int) -> None:
    """Read what a worker says until it is gone, or has to be ended.

    Args:
        pipe: descriptor to read from.
        worker_pid: of the worker.
    """
    watched: Watched | None = None
    rest = b""
    while _is_ready(pipe, watched.timeout_seconds if watched else None):
        found = os.read(pipe, 65536)
        if not found:
            return
        *lines, rest = (rest + found).split(b"\n")
        for line in filter(None, lines):
            said = json.loads(line)
            watched = Watched(**said) if said else None
    if watched is not None:
        _end(watched, _stacks(pipe, worker_pid), worker_pid)


def _is_ready(pipe: int, timeout: float | None) -> bool:
    """Wait for something to read, in two halves: where the machine slept through one, the worker has the other."""
    if timeout is None:
        return bool(select.select([pipe], [], [])[0])
    return any(select.select([pipe], [], [], timeout / 2)[0] for _ in range(2))


def _stacks(pipe: int, worker_pid: int) -> str:
    """Ask the worker where it stands; empty where it cannot even answer a signal."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(worker_pid, _SIGNAL)
    found = b""
    while select.select([pipe], [], [], QUIET_SECONDS)[0]:
        more = os.read(pipe, 65536)
        if not more:
            break
        found += more
    return found.decode(errors="replace").strip()


def _end(watched: Watched, stacks: str, worker_pid: int) -> None:
    told = f"trial {watched.key} has made no step for {watched.timeout_seconds:g} s; process {worker_pid} is ended\n"
    sys.stderr.write(f"{told}{stacks}\n")
    sys.stderr.flush()
    if watched.store is not None:
        keeping = threading.Thread(target=_keep, args=(watched, watched.store, stacks), daemon=True)
        keeping.start()
        keeping.join(KEEP_SECONDS)
    if os.getppid() == worker_pid:
        os.kill(worker_pid, signal.SIGKILL)


def _keep(watched: Watched, store: str, stacks: str) -> None:
    from selfish_core.store.stalls import Stall
    from selfish_core.trial_store import TrialStore

    found = TrialStore.find(store)
    if found is not None:
        stall = Stall(worker=watched.worker, timeout_seconds=float(watched.timeout_seconds), stacks=stacks)
        found.trial(watched.key).stalls.add(stall)


def _line(watched: Watched) -> bytes:
    return json.dumps(asdict(watched)).encode() + b"\n"


def _pipe(process: subprocess.Popen[bytes] | None) -> int:
    assert process is not None
    assert process.stdin is not None
    return process.stdin.fileno()


def _close(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()
    process.wait()


if __name__ == "__main__":
    listen(sys.stdin.fileno(), os.getppid())
