"""Actions that start together."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any


def at_once(actions: list[Callable[[], Any]]) -> list[Any]:
    """Run actions in threads that start together; what one raises is its result."""
    barrier, results = threading.Barrier(len(actions)), [None] * len(actions)

    def run(index: int) -> None:
        barrier.wait()
        try:
            results[index] = actions[index]()
        except Exception as error:
            results[index] = error

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(actions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results
