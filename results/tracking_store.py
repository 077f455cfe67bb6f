"""The one way in which Selfish opens an MLflow tracking store, and what it asks MLflow's client for.

mlflow is imported when it is first needed, with short timeouts: a table or a sweep never waits minutes for a server.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from results import names
from selfish_core.errors import InputError, TrackingError
from selfish_core.places import without_password
from selfish_core.records import is_watched

SQLITE = "sqlite:///"
SCHEMES = ("sqlite:///", "http://", "https://", "postgresql", "mysql", "mssql")

QUICK_TO_FAIL = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "0",
    "MLFLOW_HTTP_REQUEST_BACKOFF_JITTER": "0",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
"""Set in this process before mlflow is imported, unless the user has set them: else a dead server blocks 246 s, and
what it prints of every run stands among our answers."""

QUIET = ("mlflow", "alembic", "urllib3.connectionpool")
"""Loggers whose tracebacks on a lost connection would bury our one line about it."""

LOCK_SECONDS = 60
PAGE = 500
BULK_RUNS = 100
"""Runs whose history one request takes, by MLflow's rule."""

BULK_POINTS = 25_000
"""Points that MLflow answers one request with, at most."""


def connect(tracking_uri: str, *, may_create: bool = False) -> Any:
    """Open an MLflow client.

    Args:
        tracking_uri: absolute URI.
        may_create: whether a SQLite database that is not there is made.

    Raises:
        InputError: when the URI is of a kind that MLflow no longer serves.
        TrackingError: when there is no database and none may be made.
    """
    prepare(tracking_uri, may_create=may_create)
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=tracking_uri, registry_uri=tracking_uri)
    engine = getattr(_store_of(client), "engine", None)
    if engine is not None:  # connections that were kept open belong to the file that was there before
        engine.dispose()
    return client


def prepare(tracking_uri: str, *, may_create: bool) -> None:
    """Import mlflow, and make a SQLite database where there is none: all of it or nothing, whoever else does so too.

    Raises:
        InputError: as `connect`.
        TrackingError: as `connect`.
    """
    path = sqlite_path(tracking_uri)
    for name, value in QUICK_TO_FAIL.items():
        os.environ.setdefault(name, value)
    if path is not None and not _holds_data(path):
        if not may_create:
            raise TrackingError(f"there is no MLflow database at {path}")
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            with FileLock(f"{path}.lock", timeout=LOCK_SECONDS, mode=0o600):
                if not _holds_data(path):
                    _create_database(path)
        except Timeout:
            raise TrackingError(f"{path}.lock has been held by another process for {LOCK_SECONDS} s") from None
    import mlflow.tracking  # noqa: F401

    for name in QUIET:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def sqlite_path(tracking_uri: str) -> Path | None:
    """Return the database file of a SQLite URI, `None` for a server.

    Raises:
        InputError: when the path is not absolute, or the URI is of a kind that MLflow no longer serves.
    """
    if not tracking_uri.startswith(SCHEMES):
        raise InputError(
            f"tracking URI {tracking_uri!r} is not served: use sqlite:////absolute/path.db or http(s)://host:port"
        )
    if not tracking_uri.startswith(SQLITE):
        return None
    path = Path(tracking_uri.removeprefix(SQLITE))
    if not path.is_absolute():
        raise InputError(f"tracking URI {tracking_uri!r} is not absolute: write sqlite:///{path.absolute()}")
    return path


@contextmanager
def explained(tracking_uri: str) -> Iterator[None]:
    """Turn whatever mlflow raises into one line.

    Raises:
        TrackingError: for any error of mlflow, its database or its connection.
    """
    try:
        yield
    except (TrackingError, InputError):
        raise
    except Exception as error:
        text = " ".join(str(error).partition("[SQL:")[0].split())[:200] or type(error).__name__
        raise TrackingError(f"MLflow at {without_password(tracking_uri)}: {text}") from error


def search(client: Any, experiment_id: str, query: str = "", *, is_deleted: bool = False) -> Iterator[Any]:
    """Yield the active runs of an experiment, or the deleted ones, the oldest first."""
    from mlflow.entities import ViewType

    token = None
    order = ["attributes.start_time ASC", "attributes.run_id ASC"]
    view = ViewType.DELETED_ONLY if is_deleted else ViewType.ACTIVE_ONLY
    while True:
        page = client.search_runs([experiment_id], query, view, PAGE, order, token)
        yield from page
        token = page.token
        if not token:
            return


def read_histories(client: Any, runs: Sequence[Any]) -> dict[str, dict[str, list[tuple[int, float]]]]:
    """Read all (step, value) of the watched metrics: run id -> metric -> pairs in no order."""
    read: dict[str, dict[str, list[tuple[int, float]]]] = {run.info.run_id: {} for run in runs}
    metrics = sorted({name for run in runs for name in run.data.metrics if is_watched(names.recorded(name))})
    for metric in metrics:
        having = [run.info.run_id for run in runs if metric in run.data.metrics]
        for start in range(0, len(having), BULK_RUNS):
            for run_id, step, value in read_history(client, having[start : start + BULK_RUNS], metric):
                read[run_id].setdefault(names.recorded(metric), []).append((step, value))
    return read


def read_history(client: Any, run_ids: Sequence[str], metric: str) -> list[tuple[str, int, float]]:
    """Read all (run id, step, value) of one metric of a few runs: in one query where MLflow has it, else run by run.

    Args:
        client: from `connect`.
        run_ids: at most `BULK_RUNS`.
        metric: its name in MLflow.
    """
    store = _store_of(client)
    points: list[tuple[str, int, float]] | None = None
    try:
        if hasattr(store, "get_metric_history_bulk"):
            found = store.get_metric_history_bulk(list(run_ids), metric, BULK_POINTS)
            points = [(point.run_id, point.step, point.value) for point in found]
        elif hasattr(store, "get_host_creds"):
            points = _history_over_http(store, list(run_ids), metric)
    except (AttributeError, TypeError, KeyError, ValueError):
        points = None
    if points is not None and len(points) < BULK_POINTS:
        return points
    return [
        (run_id, point.step, point.value) for run_id in run_ids for point in client.get_metric_history(run_id, metric)
    ]


def _history_over_http(store: Any, run_ids: list[str], metric: str) -> list[tuple[str, int, float]] | None:
    from mlflow.utils.rest_utils import http_request

    response = http_request(
        store.get_host_creds(),
        "/ajax-api/2.0/mlflow/metrics/get-history-bulk",
        "GET",
        params={"run_id": run_ids, "metric_key": metric, "max_results": BULK_POINTS},
        raise_on_status=False,
    )
    if response.status_code != 200:
        return None
    return [(point["run_id"], int(point["step"]), float(point["value"])) for point in response.json()["metrics"]]


def _store_of(client: Any) -> Any:
    return getattr(getattr(client, "_tracking_client", None), "store", None)


def _holds_data(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except FileNotFoundError:
        return False


def _create_database(path: Path) -> None:
    """Make the database under another name, so that one that has its name is complete."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    for name in QUIET:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    aside = path.with_name(f"{path.name}.new")
    aside.unlink(missing_ok=True)
    aside.touch(mode=0o600)
    store = SqlAlchemyStore(f"{SQLITE}{aside}", str(artifact_root(path)))
    store.engine.dispose()
    aside.replace(path)


def artifact_root(path: Path) -> Path:
    """Return the absolute folder of the artifacts that belong to a SQLite database."""
    return path.parent / "mlartifacts"
