"""Processes of our own: they end with the one that started them, and none but they are ever ended.

supervisor (`selfish run`)        takes over what its driver leaves behind, and ends it by process id
└── driver                        ends with the supervisor (kernel), or when its stdin closes
    └── raylet                    ends with the driver (Ray asks the kernel)
        └── trial workers         end with the raylet (`end_with_parent` at their start)
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable, Collection
from types import FrameType
from typing import NoReturn

import psutil

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def end_with_parent() -> None:
    """Have the kernel end this process when its parent ends; nothing happens where it cannot."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def start_worker() -> None:
    """Prepare a Ray worker; Ray calls it in each of them before anything else."""
    os.umask(0o077)
    end_with_parent()


def adopt_orphans() -> None:
    """Become the parent of what a descendant leaves behind, so that it can be found and ended."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def descendants() -> list[psutil.Process]:
    """Return the living processes below this one."""
    with contextlib.suppress(psutil.Error):
        return [process for process in psutil.Process().children(recursive=True) if _is_alive(process)]
    return []


def end_descendants(spared: Collection[int] = ()) -> None:
    """End every process below this one by its id, and wait until it is gone.

    Args:
        spared: process ids that are none of ours to end.
    """
    for _ in range(5):
        ours = [process for process in descendants() if process.pid not in spared]
        if not ours:
            return
        for process in ours:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(ours, timeout=2)


def end_when_closed(descriptor: int) -> None:
    """End this process and all below it as soon as the other end of a pipe is closed."""

    def watch() -> None:
        with contextlib.suppress(OSError):
            while os.read(descriptor, 4096):
                pass
        end_descendants()
        os._exit(1)

    threading.Thread(target=watch, name="end-when-closed", daemon=True).start()


class Stopped(BaseException):
    """Ctrl-C or SIGTERM, raised where nothing but an end of the command can follow."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number


def raise_stopped(number: int, _frame: FrameType | None) -> NoReturn:
    """Handle a signal by raising `Stopped`."""
    raise Stopped(number)


class StopRequest:
    """Ctrl-C and SIGTERM, noted instead of raised while a sweep runs.

    Attributes:
        signal: the first that came; 0 while none has.
        is_urgent: whether a second one came.
    """

    def __init__(self) -> None:
        self.signal = 0
        self.is_urgent = False
        self._arrived = threading.Event()
        self._before: dict[int, Callable[[int, FrameType | None], object] | int | None] = {}

    def __enter__(self) -> StopRequest:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def wait(self, seconds: float) -> bool:
        """Wait for a stop to be asked for and say whether it was."""
        return self._arrived.wait(seconds)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.is_urgent = self.signal != 0
        self.signal = self.signal or number
        self._arrived.set()


def _is_alive(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return process.status() != psutil.STATUS_ZOMBIE
    return False


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
