"""What MLflow holds of one trial store, and the few calls that change it: each is timed, and its errors are ours."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from results import names
from results.load import SQLITE, artifact_root, connect, explained, prepare, read_histories, search, sqlite_path
from selfish_core.errors import TrackingError

MAX_METRICS = 900
MAX_PARAMS = 90

EXPERIMENT_TAGS = {
    "mlflow.experimentKind": "custom_model_development",
    "mlflow.experiment.primaryMetric.name": names.in_mlflow("val_perplexity"),
}


@dataclass
class KnownRun:
    """One run as MLflow last showed it, kept up to date by what is written.

    Args:
        run_id: MLflow's name of it.
        status: RUNNING, FINISHED, FAILED or KILLED.
        start_ms: when it started, milliseconds since 1970.
        tags: name to value.
        params: names of the params that are there.
        last_step: the highest step of any metric, 0 without.
        has_written: steps 1 to this one are all there.
    """

    run_id: str
    status: str = "RUNNING"
    start_ms: int = 0
    tags: dict[str, str] = field(default_factory=dict)
    params: set[str] = field(default_factory=set)
    last_step: int = 0
    has_written: int = 0

    @property
    def num_shown(self) -> int:
        """How many epochs the run says that it shows."""
        text = self.tags.get(names.TAG_EPOCHS, "")
        return int(text) if text.isascii() and text.isdigit() else 0


class TrackingServer:
    """One experiment in MLflow.

    Args:
        tracking_uri: absolute URI.
        experiment: the experiment's name; made when absent, brought back when deleted.
    """

    def __init__(self, tracking_uri: str, experiment: str) -> None:
        self.tracking_uri = tracking_uri
        self.experiment = experiment
        self.experiment_id = ""
        self.waits_since: float | None = None
        self._client: Any = None
        self._database: tuple[int, int] | None = None

    def open(self, note: str) -> None:
        """Connect, and make the experiment what it should be.

        Args:
            note: Markdown that stands above the experiment.

        Raises:
            TrackingError: when MLflow cannot be reached.
        """
        with explained(self.tracking_uri):
            prepare(self.tracking_uri, may_create=True)
        with self._asking():
            self._client = connect(self.tracking_uri)
        self._database = _database_id(self.tracking_uri)
        self.experiment_id = self._open_experiment(self.experiment, {**EXPERIMENT_TAGS, names.TAG_NOTE: note})

    def is_gone(self) -> bool:
        """Whether the SQLite database that was opened has been deleted or replaced."""
        return self._database is not None and _database_id(self.tracking_uri) != self._database

    def runs(self, query: str = "") -> list[KnownRun]:
        """Return the active runs that carry our tags, the oldest first."""
        with self._asking():
            found = list(search(self._client, self.experiment_id, query))
        return [_known(run) for run in found if names.TAG_KEY in run.data.tags or names.TAG_SWEEP in run.data.tags]

    def tagged(self, tag: str, value: str) -> list[KnownRun]:
        """Return the active runs with this tag, the oldest first."""
        quoted = value.replace("'", "")
        return self.runs(f"tags.`{tag}` = '{quoted}'")

    def create(self, name: str, tags: Mapping[str, str], start_ms: int) -> KnownRun:
        """Make a run; its tags come with it, so that it can be found however early the writer dies."""
        with self._asking():
            run = self._client.create_run(self.experiment_id, start_time=start_ms, tags=dict(tags), run_name=name)
        return _known(run)

    def steps_beyond(self, run: KnownRun, step: int) -> set[tuple[str, int]]:
        """Return the (metric, step) beyond a step that are there already: what a writer left that died midway."""
        if run.last_step <= step:
            return set()
        with self._asking():
            histories = read_histories(self._client, [self._client.get_run(run.run_id)])
        return {(metric, at) for metric, points in histories[run.run_id].items() for at, _ in points if at > step}

    def log(
        self,
        run: KnownRun,
        *,
        metrics: Sequence[tuple[str, float, int, int]] = (),
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Write metrics as (name, value, timestamp in ms, step), then the tags that are new, in one call."""
        from mlflow.entities import Metric, RunTag

        new = {name: value for name, value in (tags or {}).items() if run.tags.get(name) != value}
        if not metrics and not new:
            return
        with self._asking():
            self._client.log_batch(
                run.run_id,
                metrics=[Metric(names.in_mlflow(name), value, at, step) for name, value, at, step in metrics],
                tags=[RunTag(name, value) for name, value in new.items()],
            )
        run.tags.update(new)
        run.last_step = max([run.last_step, *(step for *_, step in metrics)])

    def log_params(self, run: KnownRun, params: Mapping[str, str]) -> None:
        """Write the params that are not there yet; one that is there cannot change."""
        from mlflow.entities import Param

        for chunk in _chunks([name for name in params if name not in run.params], MAX_PARAMS):
            with self._asking():
                self._client.log_batch(run.run_id, params=[Param(name, params[name]) for name in chunk])
            run.params.update(chunk)

    def set_status(self, run: KnownRun, status: str, end_ms: int | None) -> None:
        """Set RUNNING, or a terminal status with the time it ended."""
        with self._asking():
            if status == "RUNNING":
                self._client.update_run(run.run_id, status=status)
            else:
                self._client.set_terminated(run.run_id, status=status, end_time=end_ms)
        run.status = status

    def delete(self, run: KnownRun) -> None:
        """Take a run out of view; MLflow keeps it among the deleted ones."""
        with self._asking():
            self._client.delete_run(run.run_id)

    def _open_experiment(self, name: str, tags: Mapping[str, str]) -> str:
        with self._asking():
            found = self._client.get_experiment_by_name(name)
            if found is None:
                found = self._create_experiment(name)
            if found.lifecycle_stage == "deleted":
                self._client.restore_experiment(found.experiment_id)
            for tag, value in tags.items():
                if found.tags.get(tag) != value:
                    self._client.set_experiment_tag(found.experiment_id, tag, value)
            return str(found.experiment_id)

    def _create_experiment(self, name: str) -> Any:
        """Make the experiment, or take the one that another process has made meanwhile."""
        from mlflow.exceptions import MlflowException

        path = sqlite_path(self.tracking_uri)
        location = None if path is None else str(artifact_root(path) / name.replace("/", "-"))
        try:
            self._client.create_experiment(name, artifact_location=location)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        return self._client.get_experiment_by_name(name)

    @contextmanager
    def _asking(self) -> Iterator[None]:
        self.waits_since = time.monotonic()
        try:
            with explained(self.tracking_uri):
                yield
        finally:
            self.waits_since = None


def is_refusal(error: TrackingError) -> bool:
    """Whether MLflow answered and said no to this one write, so that others may still go through."""
    code = getattr(error.__cause__, "error_code", None)
    return code in ("INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "INVALID_STATE")


def chunked_epochs(
    epochs: Iterable[tuple[int, list[tuple[str, float, int, int]]]],
) -> Iterator[tuple[int, list[tuple[str, float, int, int]]]]:
    """Join the metrics of several epochs to batches that one call takes; yields (last epoch, metrics)."""
    batch: list[tuple[str, float, int, int]] = []
    last = 0
    for epoch, metrics in epochs:
        if batch and len(batch) + len(metrics) > MAX_METRICS:
            yield last, batch
            batch = []
        batch = [*batch, *metrics]
        last = epoch
    if last:
        yield last, batch


def _known(run: Any) -> KnownRun:
    tags = dict(run.data.tags)
    steps = [metric.step for metric in getattr(run.data, "_metric_objs", [])]
    unknown = names.MAX_STEP if run.data.metrics and not steps else 0
    known = KnownRun(
        run_id=run.info.run_id,
        status=run.info.status,
        start_ms=run.info.start_time or 0,
        tags=tags,
        params=set(run.data.params),
        last_step=max([unknown, *steps]),
    )
    known.has_written = known.num_shown
    return known


def _chunks(items: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _database_id(tracking_uri: str) -> tuple[int, int] | None:
    path = sqlite_path(tracking_uri) if tracking_uri.startswith(SQLITE) else None
    if path is None:
        return None
    try:
        stat = path.stat()
    except FileNotFoundError:
        return (0, 0)
    return (stat.st_dev, stat.st_ino)
