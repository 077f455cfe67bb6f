"""What MLflow shows, through its client: for servers, and for databases that are not read by SQL.

Several requests are under way at once where a server answers; a database is asked one question after another.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np

from results import names
from results.frames import COUNTED
from results.shown import Points, ShownRun
from results.tracking_store import BULK_POINTS, BULK_RUNS, connect, read_history, search
from selfish_core.records import is_watched

NUM_REQUESTS = 4
"""Requests to a server that are under way at once."""

NUM_SPANS = 16
"""Parts of time into which a server's runs are divided, each paged on its own."""

Progress = Callable[[str, int, int], None]
"""Is told what is being read, how many parts are done, and of how many."""

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


class ClientSource:
    """A tracking store behind MLflow's client.

    Args:
        tracking_uri: absolute.
        progress: is told how far reading is.

    Raises:
        InputError, TrackingError: as `tracking_store.connect`.
    """

    def __init__(self, tracking_uri: str, progress: Progress | None = None) -> None:
        self._client = connect(tracking_uri)
        self._is_remote = tracking_uri.startswith("http")
        self._progress = progress
        self._metrics: dict[str, set[str]] = {}

    def runs(self, experiment: str, *, is_deleted: bool = False) -> list[ShownRun]:
        """Return the active runs of an experiment, or the deleted ones, the oldest first."""
        found = self._client.get_experiment_by_name(experiment)
        if found is None:
            return []
        queries = self._spans(found.experiment_id) if self._is_remote and not is_deleted else [""]
        pages = self._each("runs", lambda query: list(self._search(found.experiment_id, query, is_deleted)), queries)
        runs = {run.info.run_id: run for page in pages for run in page}
        ordered = sorted(runs.values(), key=lambda run: (run.info.start_time or 0, run.info.run_id))
        self._metrics |= {run.info.run_id: set(run.data.metrics) for run in ordered}
        return [_shown(run, is_deleted) for run in ordered]

    def points(self, runs: Sequence[ShownRun], metrics: Collection[str] | None) -> Iterator[tuple[str, Points]]:
        """Yield what the runs hold of each metric, one metric after another."""
        keys = sorted({key for run in runs for key in self._metrics[run.run_id]})
        for key in keys:
            name = names.recorded(key)
            if is_watched(name) and (metrics is None or name in metrics):
                yield name, self._read(runs, key)

    def _search(self, experiment_id: str, query: str, is_deleted: bool) -> Iterator[Any]:
        return search(self._client, experiment_id, query, is_deleted=is_deleted)

    def _read(self, runs: Sequence[ShownRun], key: str) -> Points:
        numbers = {run.run_id: number for number, run in enumerate(runs) if key in self._metrics[run.run_id]}
        ids = list(numbers)
        longest = max((run.last_epoch for run in runs), default=0)
        size = max(1, min(BULK_RUNS, BULK_POINTS // (longest + 2)))
        parts = [ids[start : start + size] for start in range(0, len(ids), size)]
        pages = self._each(names.recorded(key), lambda part: read_history(self._client, part, key), parts)
        found = [(numbers[run_id], step, value) for page in pages for run_id, step, value in page]
        run, step, value = zip(*found, strict=True) if found else ((), (), ())
        return Points(np.array(run, np.int64), np.array(step, np.int64), np.array(value, np.float64))

    def _each(self, what: str, ask: Callable[[Asked], Answer], parts: Sequence[Asked]) -> Iterable[Answer]:
        """Ask for all parts, several at once where a server answers, and return the answers in their order."""
        with ThreadPoolExecutor(NUM_REQUESTS if self._is_remote else 1) as pool:
            answers = []
            for number, answer in enumerate(pool.map(ask, parts), start=1):
                answers.append(answer)
                if self._progress is not None:
                    self._progress(what, number, len(parts))
            return answers

    def _spans(self, experiment_id: str) -> list[str]:
        """Divide the time between the first run's start and the last one's into filters."""
        ends = [
            self._client.search_runs([experiment_id], max_results=1, order_by=[f"attributes.start_time {way}"])
            for way in ("ASC", "DESC")
        ]
        if not ends[0]:
            return []
        first, last = (page[0].info.start_time or 0 for page in ends)
        edges = np.linspace(first, last, NUM_SPANS + 1).astype(np.int64)[1:-1].tolist()
        edges = sorted(set(edges))
        if not edges:
            return [""]
        inner = [f"attributes.start_time >= {low} AND attributes.start_time < {high}" for low, high in pairwise(edges)]
        return [f"attributes.start_time < {edges[0]}", *inner, f"attributes.start_time >= {edges[-1]}"]


def _shown(run: Any, is_deleted: bool) -> ShownRun:
    steps = [m.step for m in getattr(run.data, "_metric_objs", []) if m.key == names.in_mlflow(COUNTED)]
    tags = {name: value or "" for name, value in run.data.tags.items()}
    return ShownRun(run.info.run_id, run.info.run_name or "", tags, max(steps, default=0), is_deleted)
