"""Who may run which trial now, where sweeps overlap: a trial is held by one sweep at a time.

A sweep's holds are files of its own folder, one for each time that it took or gave back trials, however many. They
count while its owner's lock is held by a live process, and are void after that, however it ended: no clock decides.
Whoever takes trials has a lock of the whole trial store meanwhile, so that no two sweeps find the same trial free.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator

from selfish_core.errors import OwnedElsewhereError
from selfish_core.storage import Storage
from selfish_core.store.sweep import StoredSweep

LOCK = "holds.lock"
PATIENCE_SECONDS = 60.0
"""How long one waits for those who take trials at the same time; each needs milliseconds."""
_TRY_SECONDS = 0.02


def take(storage: Storage, name: str, keys: Iterable[str]) -> frozenset[str]:
    """Take the free ones of some trials for a sweep: see `TrialStore.hold`."""
    sweep = StoredSweep(storage, name)
    wanted = frozenset(keys)
    if not wanted:
        return wanted
    with _locked(storage):
        granted = wanted - holders(storage, but=name).keys()
        new = granted - sweep.held()
        if new:
            sweep.change_holds("hold", new)
    return granted


def holders(storage: Storage, but: str | None = None) -> dict[str, str]:
    """Return content key -> name of the sweep that holds the trial, of all that are held.

    Args:
        storage: where the trial store is kept.
        but: a sweep that is left out.
    """
    found: dict[str, str] = {}
    for name in storage.list("sweeps"):
        sweep = StoredSweep(storage, name)
        held = sweep.held() if name != but else frozenset()
        if held and sweep.is_owned():
            found.update(dict.fromkeys(held, name))
    return found


@contextlib.contextmanager
def _locked(storage: Storage) -> Iterator[None]:
    deadline = time.monotonic() + PATIENCE_SECONDS
    with contextlib.ExitStack() as stack:
        while True:
            try:
                stack.enter_context(storage.lock(LOCK))
                break
            except OwnedElsewhereError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_TRY_SECONDS)
        yield
