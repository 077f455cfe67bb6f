"""Processes that a test has started, found and ended by their ids."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import psutil


def found(pids: Iterable[int]) -> list[psutil.Process]:
    """Return the processes of these ids that are still there."""
    processes = []
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            processes.append(psutil.Process(pid))
    return processes


def working_in(folder: Path) -> list[psutil.Process]:
    """Find the processes whose working folder is one or lies below it."""
    processes = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if Path(process.cwd()).is_relative_to(folder):
                processes.append(process)
    return processes


def end_all(find: Callable[[], Sequence[psutil.Process]], seconds: float = 20.0) -> None:
    """End processes by their ids until none is found."""
    deadline = time.monotonic() + seconds
    while left := find():
        if time.monotonic() > deadline:
            raise TimeoutError(f"still running after {seconds:g} s: {left}")
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(left, timeout=2)
