"""Whether the trial store's disk has room for what is written next, so that a sweep pauses before it is full."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from orchestration.volume import bytes_text
from selfish_core.object_storage import is_url

RESERVE_BYTES = 256 * 2**20
"""Stays free for records, logs and everybody else on the disk."""

NUM_COPIES = 2
"""A checkpoint is there before the one that it replaces is removed."""


def free_bytes(folder: Path) -> int:
    """Return what a user may still write on a folder's disk."""
    info = os.statvfs(folder)
    return info.f_bavail * info.f_frsize


class DiskGuard:
    """Look at the disk of a trial store; object storage is never short.

    Args:
        place: folder or URL of the trial store.
        checkpoint_bytes: of one checkpoint, of the largest trial.
        free: returns the free bytes of a folder's disk.
    """

    def __init__(self, place: str, checkpoint_bytes: int, free: Callable[[Path], int] = free_bytes) -> None:
        self._folder = None if is_url(place) else Path(place)
        self._checkpoint_bytes = checkpoint_bytes
        self._free = free

    def is_short(self, num_running: int = 1) -> str | None:
        """Say why nothing new may start; None where there is room for all, or nobody knows.

        Args:
            num_running: trials that run and will each write a checkpoint.
        """
        if self._folder is None:
            return None
        try:
            free = self._free(self._folder)
        except OSError:
            return None
        needed = NUM_COPIES * self._checkpoint_bytes * max(1, num_running) + RESERVE_BYTES
        if free >= needed:
            return None
        told = f"{bytes_text(free)} free on the disk of {self._folder}"
        return f"{told}, {bytes_text(needed)} needed for the next checkpoints: free some, e.g. by `selfish gc`"
