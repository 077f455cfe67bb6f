"""What MLflow holds of one trial store, and the few calls that change it: each is timed, and its errors are ours."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from orchestration.tracking_datasets import Dataset
from orchestration.tracking_runs import KnownRun, known_run
from results import names
from results.tracking_store import (
    SQLITE,
    artifact_root,
    connect,
    explained,
    prepare,
    read_histories,
    search,
    sqlite_path,
)
from selfish_core.errors import TrackingError
from selfish_core.files import LocalStorage

Result = TypeVar("Result")

MAX_METRICS = 800
MAX_PARAMS = 90

EXPERIMENT_TAGS = {
    "mlflow.experimentKind": "custom_model_development",
    "mlflow.experiment.primaryMetric.name": names.in_mlflow("val_perplexity"),
}


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
        self._tags: dict[str, str] = {}
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
        self._open_experiment(self.experiment, {**EXPERIMENT_TAGS, names.TAG_NOTE: note})

    def tag_experiment(self, tags: Mapping[str, str]) -> None:
        """Write the experiment's tags that are not there yet."""
        for tag, value in tags.items():
            if self._tags.get(tag) != value:
                with self._asking():
                    self._client.set_experiment_tag(self.experiment_id, tag, value)
                self._tags[tag] = value

    def is_gone(self) -> bool:
        """Whether the SQLite database that was opened has been deleted or replaced."""
        return self._database is not None and _database_id(self.tracking_uri) != self._database

    def runs(self, query: str = "") -> list[KnownRun]:
        """Return the active runs that carry our tags, the oldest first."""
        with self._asking():
            found = list(search(self._client, self.experiment_id, query))
        return [known_run(run) for run in found if names.TAG_KEY in run.data.tags or names.TAG_SWEEP in run.data.tags]

    def tagged(self, tag: str, value: str) -> list[KnownRun]:
        """Return the active runs with this tag, the oldest first."""
        quoted = value.replace("'", "")
        return self.runs(f"tags.`{tag}` = '{quoted}'")

    def create(self, name: str, tags: Mapping[str, str], start_ms: int) -> KnownRun:
        """Make a run; its tags come with it, so that it can be found however early the writer dies."""
        with self._asking():
            run = self._client.create_run(self.experiment_id, start_time=start_ms, tags=dict(tags), run_name=name)
        return known_run(run)

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
        params: Mapping[str, str] | None = None,
    ) -> None:
        """Write metrics as (name, value, timestamp in ms, step), then the tags that are new, in one call.

        Params go along that are not there yet; one that is there cannot change.
        """
        from mlflow.entities import Metric, Param, RunTag

        new = {name: value for name, value in (tags or {}).items() if run.tags.get(name) != value}
        lacking = {name: value for name, value in (params or {}).items() if name not in run.params}
        first = dict(islice(lacking.items(), MAX_PARAMS))
        if not (metrics or new or first):
            return
        with self._asking():
            self._client.log_batch(
                run.run_id,
                metrics=[Metric(names.in_mlflow(name), value, at, step) for name, value, at, step in metrics],
                tags=[RunTag(name, value) for name, value in new.items()],
                params=[Param(name, value) for name, value in first.items()],
            )
        run.tags.update(new)
        run.params.update(first)
        run.last_step = max([run.last_step, *(step for *_, step in metrics)])
        if len(first) < len(lacking):
            self.log(run, params=lacking)

    def log_dataset(self, run: KnownRun, dataset: Dataset) -> None:
        """Log what a run was trained on, if it is not there yet."""
        from mlflow.entities import Dataset as MlflowDataset
        from mlflow.entities import DatasetInput, InputTag

        if dataset.name in run.datasets:
            return
        read = DatasetInput(MlflowDataset(**asdict(dataset)), [InputTag("mlflow.data.context", "training")])
        with self._asking():
            self._client.log_inputs(run.run_id, [read])
        run.datasets.add(dataset.name)

    def log_files(self, run: KnownRun, files: Mapping[str, bytes]) -> None:
        """Write artifacts of a run by their paths, in place of those that are there under these names."""
        with tempfile.TemporaryDirectory() as folder, self._asking():
            for name, content in files.items():
                LocalStorage(Path(folder)).create(name, content)
            self._client.log_artifacts(run.run_id, folder)

    def with_client(self, use: Callable[[Any, str], Result]) -> Result:
        """Let somebody use MLflow's client, who is told the experiment's id."""
        with self._asking():
            return use(self._client, self.experiment_id)

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

    def _open_experiment(self, name: str, tags: Mapping[str, str]) -> None:
        with self._asking():
            found = self._client.get_experiment_by_name(name)
            if found is None:
                found = self._create_experiment(name)
            if found.lifecycle_stage == "deleted":
                self._client.restore_experiment(found.experiment_id)
            self._tags = dict(found.tags)
            self.experiment_id = str(found.experiment_id)
        self.tag_experiment(tags)

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


def _database_id(tracking_uri: str) -> tuple[int, int] | None:
    path = sqlite_path(tracking_uri) if tracking_uri.startswith(SQLITE) else None
    if path is None:
        return None
    try:
        stat = path.stat()
    except FileNotFoundError:
        return (0, 0)
    return (stat.st_dev, stat.st_ino)
