"""The projector in the background of a sweep: it never raises into the caller and training never waits for it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from types import TracebackType

from orchestration.tracking import Projector, SweepView

_log = logging.getLogger(__name__)

EVERY_SECONDS = 3.0
PATIENCE_SECONDS = 4.0
"""How long one call may go unanswered before the user hears of it; a warning within 5 s is promised."""

CLOSE_SECONDS = 2.0


class ProjectorThread:
    """Project every few seconds while a sweep runs.

    While MLflow cannot be reached there is one warning line, and one more when it is back; what it missed is in the
    trial store and is written then.

    Args:
        projector: used by this object's thread only.
        sweeps: what is projected, until `update`.
        every_seconds: pause between two passes.
    """

    def __init__(
        self, projector: Projector, sweeps: Iterable[SweepView] = (), every_seconds: float = EVERY_SECONDS
    ) -> None:
        self._projector = projector
        self._sweeps = tuple(sweeps)
        self._changed = threading.Condition()
        self._num_asked = 0
        self._num_done = 0
        self._is_closed = False
        self._outage = _Outage(projector)
        self._threads = (
            threading.Thread(target=self._work, args=(every_seconds,), name="selfish-projector", daemon=True),
            threading.Thread(target=self._watch, name="selfish-projector-watch", daemon=True),
        )

    def __enter__(self) -> ProjectorThread:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let the pass that runs end, for a short while; a thread that MLflow keeps waiting dies with the process."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(CLOSE_SECONDS)

    def update(self, sweeps: Iterable[SweepView]) -> None:
        """Say what is projected from now on."""
        with self._changed:
            self._sweeps = tuple(sweeps)

    def drain(self, timeout_seconds: float) -> bool:
        """Wait until MLflow shows all that the trial store held when this was called.

        What MLflow holds is read anew for it, and second runs of a key are deleted.

        Returns:
            Whether it does; if not, `selfish sync` does it later.
        """
        with self._changed:
            self._num_asked += 1
            asked = self._num_asked
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._num_done >= asked or self._is_closed, timeout_seconds)
            return self._num_done >= asked

    def _work(self, every_seconds: float) -> None:
        while True:
            with self._changed:
                asked = self._num_asked
                if asked == self._num_done:
                    self._changed.wait_for(self._is_wanted, every_seconds)
                if self._is_closed:
                    return
                asked, sweeps = self._num_asked, self._sweeps
                is_drain = asked > self._num_done
            has_worked = self._pass(sweeps, is_drain=is_drain)
            with self._changed:
                if has_worked:
                    self._num_done = asked
                    self._changed.notify_all()
                elif not self._is_closed:
                    self._changed.wait(min(every_seconds, 1.0))

    def _is_wanted(self) -> bool:
        return self._is_closed or self._num_asked > self._num_done

    def _pass(self, sweeps: tuple[SweepView, ...], *, is_drain: bool) -> bool:
        try:
            if is_drain:
                self._projector.forget()
            report = self._projector.project(sweeps)
        except Exception as error:
            self._outage.begins(str(error))
            return False
        self._outage.ends()
        self._outage.name_problems(report.problems)
        return True

    def _watch(self) -> None:
        """Warn while a call hangs, which the thread that waits for it cannot."""
        while not self._is_closed:
            since = self._projector.waits_since
            if since is not None and time.monotonic() - since > PATIENCE_SECONDS:
                self._outage.begins(f"MLflow at {self._projector.tracking_uri} has not answered for 4 s")
            time.sleep(0.25)


class _Outage:
    """Says once that MLflow is away, once that it is back, and once for each trial that it cannot show."""

    def __init__(self, projector: Projector) -> None:
        self._uri = projector.tracking_uri
        self._is_on = False
        self._lock = threading.Lock()
        self._named: set[str] = set()

    def begins(self, reason: str) -> None:
        with self._lock:
            if self._is_on:
                return
            self._is_on = True
        _log.warning("%s; the sweep goes on, and MLflow gets what it misses later (or by `selfish sync`)", reason)

    def ends(self) -> None:
        with self._lock:
            if not self._is_on:
                return
            self._is_on = False
        _log.warning("MLflow at %s is back and shows everything again", self._uri)

    def name_problems(self, problems: dict[str, str]) -> None:
        for key in sorted(set(problems) - self._named):
            _log.warning("MLflow does not show trial %s: %s", key, problems[key])
        self._named |= set(problems)
