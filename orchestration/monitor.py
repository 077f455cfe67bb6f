"""Progress of a sweep, read from the trial store: bars on a terminal, a plain line every few seconds elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from orchestration.standing import Standing, look_up
from orchestration.terminal import clean, duration, say
from selfish_core.errors import StoreError
from selfish_core.trial_store import TrialStore

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

POLL_SECONDS = 1.0
LOOKING_SHARE = 0.1
"""Most of the time that looking may take: with thousands of trials one looks less often."""
PLAIN_SECONDS = 5.0
MAX_LINES = 8
"""Trials shown one a line; more than run at once on a workstation."""


class SweepProgress:
    """What the trial store says about a job's trials; a trial that is over is not read again.

    Args:
        store: the trial store.
        labels: content key -> what people know the trial by.
        epochs: wanted of each.
    """

    def __init__(self, store: TrialStore, labels: Mapping[str, str], epochs: int) -> None:
        self.labels = dict(labels)
        self.epochs = epochs
        self._store = store
        self._seen: dict[str, Standing] = {}

    def follow(self, labels: Mapping[str, str]) -> None:
        """Take in trials that a search has chosen since."""
        self.labels.update(labels)

    def look(self) -> dict[str, Standing]:
        """Read what is new."""
        for key in self.labels:
            seen = self._seen.get(key, Standing())
            if not seen.is_over:
                self._seen[key] = self._look_at(key, seen)
        return dict(self._seen)

    def missing(self) -> list[str]:
        """Return the keys that are not over."""
        return [key for key, seen in self.look().items() if not seen.is_over]

    def num_epochs(self) -> int:
        """Return the recorded epochs of all trials together."""
        return sum(seen.num_epochs for seen in self.look().values())

    def _look_at(self, key: str, seen: Standing) -> Standing:
        try:
            return look_up(self._store, key, self.epochs)
        except StoreError:
            return seen


class Monitor:
    """Show progress on stderr while a sweep runs; use as a context manager and call `tick` often.

    Args:
        progress: what is shown.
        stream: where to; bars where it is a terminal.
    """

    def __init__(self, progress: SweepProgress, stream: TextIO | None = None) -> None:
        self._progress = progress
        self._stream = stream or sys.stderr
        self._bars = _Bars(progress, self._stream) if self._stream.isatty() else None
        self._start = time.monotonic()
        self._next_look = 0.0
        self._told = ""
        self._told_at = 0.0

    def __enter__(self) -> Monitor:
        if self._bars:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._show(is_last=True)
        if self._bars:
            self._bars.stop()

    def tick(self) -> None:
        """Look and show, at most once a second."""
        before = time.monotonic()
        if before >= self._next_look:
            self._show(is_last=False)
            now = time.monotonic()
            self._next_look = now + max(POLL_SECONDS, (now - before) / LOOKING_SHARE)

    def say(self, line: str) -> None:
        """Write a line for a person above the bars."""
        if self._bars:
            self._bars.say(line)
        else:
            say(line, self._stream)

    def _show(self, *, is_last: bool) -> None:
        seen = self._progress.look()
        if self._bars:
            self._bars.show(seen)
            return
        line = _plain_line(self._progress, seen, time.monotonic() - self._start)
        is_due = is_last or time.monotonic() - self._told_at >= PLAIN_SECONDS
        if is_due and _counts_of(line) != _counts_of(self._told):
            self._told, self._told_at = line, time.monotonic()
            say(line, self._stream)


class _Bars:
    """The overall bar, and a line for each trial that has started and is not over."""

    def __init__(self, progress: SweepProgress, stream: TextIO) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self._labels = progress.labels
        self._epochs = progress.epochs
        self._bars: Progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=10),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(file=stream),
            transient=True,
        )
        num_epochs = sum(seen.num_epochs for seen in progress.look().values())
        total = len(self._labels) * self._epochs
        self._overall = self._bars.add_task("all epochs", total=total, completed=num_epochs, note="")
        self._tasks: dict[str, TaskID] = {}

    def start(self) -> None:
        self._bars.start()

    def stop(self) -> None:
        self._bars.stop()

    def say(self, line: str) -> None:
        self._bars.console.print(clean(line), markup=False, highlight=False)

    def show(self, seen: Mapping[str, Standing]) -> None:
        num_over = sum(trial.is_over for trial in seen.values())
        epochs = sum(self._epochs if trial.is_over else trial.num_epochs for trial in seen.values())
        total = len(self._labels) * self._epochs
        self._bars.update(self._overall, total=total, completed=epochs, note=f"{num_over}/{len(seen)} trials")
        running = [key for key, trial in seen.items() if trial.num_epochs and not trial.is_over][:MAX_LINES]
        for key in [key for key in self._tasks if key not in running]:
            self._bars.remove_task(self._tasks.pop(key))
        for key in running:
            if key not in self._tasks:
                self._tasks[key] = self._bars.add_task(clean(self._labels[key]), total=self._epochs, note="")
            self._bars.update(self._tasks[key], completed=seen[key].num_epochs, note=_perplexity(seen[key]))


def _plain_line(progress: SweepProgress, seen: Mapping[str, Standing], seconds: float) -> str:
    num_over = sum(trial.is_over for trial in seen.values())
    running = [
        f"{progress.labels[key]}: epoch {trial.num_epochs}/{progress.epochs} {_perplexity(trial)}".rstrip()
        for key, trial in seen.items()
        if trial.num_epochs and not trial.is_over
    ]
    more = f" (+{len(running) - MAX_LINES} more)" if len(running) > MAX_LINES else ""
    parts = [f"[{duration(seconds)}] {num_over}/{len(seen)} trials", *running[:MAX_LINES]]
    return "; ".join(parts) + more


def _counts_of(line: str) -> str:
    """Return a plain line without its time."""
    return line.partition("] ")[2]


def _perplexity(trial: Standing) -> str:
    return "" if trial.val_perplexity is None else f"val ppl {trial.val_perplexity:.2f}"
