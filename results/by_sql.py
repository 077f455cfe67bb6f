"""What MLflow shows, straight from the tables of its database, many runs at once; nothing is ever written.

SQLite and PostgreSQL, where the schema is one that is known here; anything else is for MLflow's client (`by_client`).
Runs and tags are read before the points: the projector writes a tag only when the points behind it are there.
"""

from __future__ import annotations

import io
import json
import sqlite3
from collections.abc import Collection, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import DatabaseError
from sqlalchemy.pool import NullPool

from results import names
from results.frames import COUNTED
from results.shown import Points, ShownRun
from results.tracking_store import sqlite_path
from selfish_core.records import is_watched

KNOWN_SCHEMAS = frozenset({"dc11669786a5"})
"""Alembic versions of MLflow's database whose tables are as they are read here: that of MLflow 3.17."""

OUR_TAGS = (
    names.TAG_KEY,
    names.TAG_SWEEP,
    names.TAG_EPOCHS,
    names.TAG_STATE,
    names.TAG_CODE_VERSION,
    names.TAG_FINGERPRINT,
)
"""What is read of a run's tags, and those of values that MLflow cannot hold."""

FEW = 0.2
"""Below this share of the database's runs, SQLite looks runs up one by one; else it reads a metric from end to end."""

WAIT_SECONDS = 5
_HEAD_BYTES = 96

_EXPERIMENT = "SELECT experiment_id FROM experiments WHERE name = :name AND workspace = 'default'"
_RUNS = """
    SELECT r.run_uuid, r.name, m.step FROM runs r
    LEFT JOIN latest_metrics m ON m.run_uuid = r.run_uuid AND m.key = :counted
    WHERE r.experiment_id = :experiment AND r.lifecycle_stage = :stage ORDER BY r.start_time, r.run_uuid"""
_TAGS = f"""
    SELECT t.run_uuid, t.key, t.value FROM tags t JOIN runs r ON r.run_uuid = t.run_uuid
    WHERE r.experiment_id = :experiment AND r.lifecycle_stage = :stage
    AND (t.key IN ({", ".join(f"'{tag}'" for tag in OUR_TAGS)}) OR t.key LIKE :inexact)"""
_METRICS = """
    SELECT DISTINCT m.key FROM latest_metrics m JOIN runs r ON r.run_uuid = m.run_uuid
    WHERE r.experiment_id = :experiment"""

_VISIBLE = """
    SELECT system_identifier, timeline_id, current_database(), pg_current_snapshot()
    FROM pg_control_system(), pg_control_checkpoint()"""

_SQLITE_POINTS = "SELECT run_uuid, step, iif(is_nan, NULL, value) FROM metrics WHERE key = ?"
_SQLITE_OF_RUNS = f"{_SQLITE_POINTS} AND run_uuid IN (SELECT value FROM json_each(?))"

_COPY = """
    COPY (SELECT w.number::int4, m.step::int8, CASE WHEN m.is_nan THEN 'NaN'::float8 ELSE m.value::float8 END
    FROM metrics m JOIN (
        SELECT run_uuid, min(number) AS number FROM unnest(%s::text[]) WITH ORDINALITY AS t(run_uuid, number) GROUP BY 1
    ) w ON w.run_uuid = m.run_uuid
    WHERE m.key = %s) TO STDOUT (FORMAT binary)"""
"""Grouped, so that PostgreSQL knows that no run comes twice and makes its hash table of the runs, not of the points."""

_COPY_HEADER_BYTES, _COPY_TRAILER_BYTES = 19, 2
_COPY_ROW = np.dtype(
    [("count", ">i2"), ("n1", ">i4"), ("run", ">i4"), ("n2", ">i4"), ("step", ">i8"), ("n3", ">i4"), ("value", ">f8")]
)
"""A row of PostgreSQL's binary COPY: how many fields, and each with its number of bytes before it."""


class SqlSource:
    """A tracking store's database, open for reading; close it with `with`.

    Args:
        connection: to the database.
        path: of SQLite's file; None for PostgreSQL.
    """

    def __init__(self, connection: Connection, path: Path | None) -> None:
        self._connection = connection
        self._path = path
        self._experiment_id: int | None = None

    def __enter__(self) -> SqlSource:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the database."""
        self._connection.close()

    def schema(self) -> str:
        """Return the schema's version, as Alembic keeps it."""
        return ",".join(str(version) for (version,) in self._all("SELECT version_num FROM alembic_version"))

    def version(self) -> str:
        """Return a text that stays the same only while nothing in the database changes; empty where none can be had."""
        return _postgres_version(self._connection) if self._path is None else sqlite_version(self._path)

    def runs(self, experiment: str, *, is_deleted: bool = False) -> list[ShownRun]:
        """Return the active runs of an experiment, or the deleted ones, the oldest first."""
        found = self._all(_EXPERIMENT, name=experiment)
        if not found:
            return []
        self._experiment_id = found[0][0]
        about = {"experiment": self._experiment_id, "stage": "deleted" if is_deleted else "active"}
        tags: dict[str, dict[str, str]] = {}
        for run_id, key, value in self._all(_TAGS, **about, inexact=f"{names.NONFINITE_PREFIX}%"):
            tags.setdefault(run_id, {})[key] = value or ""
        runs = self._all(_RUNS, **about, counted=names.in_mlflow(COUNTED))
        return [
            ShownRun(run_id, name or "", tags.get(run_id, {}), last_epoch or 0, is_deleted)
            for run_id, name, last_epoch in runs
        ]

    def points(self, runs: Sequence[ShownRun], metrics: Collection[str] | None) -> Iterator[tuple[str, Points]]:
        """Yield what the runs hold of each metric, one metric after another."""
        if not runs:
            return
        ids = [run.run_id for run in runs]
        there = sorted(key for (key,) in self._all(_METRICS, experiment=self._experiment_id))
        for key in there:
            name = names.recorded(key)
            if is_watched(name) and (metrics is None or name in metrics):
                yield name, self._postgres_points(ids, key) if self._path is None else self._sqlite_points(ids, key)

    def _sqlite_points(self, ids: Sequence[str], key: str) -> Points:
        """Read a metric: SQLite's texts become the runs' numbers as they are read, so that all is one flat array."""
        raw: Any = self._connection.connection.driver_connection
        ((num_runs,),) = self._all("SELECT count(*) FROM runs")
        numbers = _Numbers((run_id.encode(), number) for number, run_id in enumerate(ids))
        is_few = len(ids) < FEW * num_runs
        question = (_SQLITE_OF_RUNS, (key, json.dumps(ids))) if is_few else (_SQLITE_POINTS, (key,))
        before, raw.text_factory = raw.text_factory, numbers.__getitem__
        try:
            flat = np.fromiter(chain.from_iterable(raw.execute(*question)), dtype=np.float64).reshape(-1, 3)
        finally:
            raw.text_factory = before
        flat = flat[flat[:, 0] >= 0]
        return Points(flat[:, 0].astype(np.int64), flat[:, 1].astype(np.int64), flat[:, 2].copy())

    def _postgres_points(self, ids: Sequence[str], key: str) -> Points:
        raw: Any = self._connection.connection.driver_connection
        received = io.BytesIO()
        with raw.cursor() as cursor:
            cursor.copy_expert(cursor.mogrify(_COPY, (list(ids), key)), received)
        body = received.getbuffer()[_COPY_HEADER_BYTES:-_COPY_TRAILER_BYTES]
        rows = np.frombuffer(body, dtype=_COPY_ROW)
        return Points(rows["run"].astype(np.int64) - 1, rows["step"].astype(np.int64), rows["value"].astype(np.float64))

    def _all(self, question: str, **values: Any) -> list[Any]:
        return list(self._connection.execute(text(question), values).fetchall())


class _Numbers(dict[bytes, int]):
    """A run's id -> its number; -1 for one that is not asked for."""

    def __missing__(self, run_id: bytes) -> int:
        return -1


def open_source(tracking_uri: str) -> SqlSource | None:
    """Open a tracking store's database for reading; None where it is none that is read by SQL.

    Args:
        tracking_uri: absolute.

    Raises:
        InputError: when the URI is of a kind that MLflow no longer serves.
        sqlalchemy.exc.SQLAlchemyError: when the database cannot be opened.
    """
    path = sqlite_path(tracking_uri)
    if path is not None:
        if not path.is_file():
            return None
        uri = f"file:{quote(str(path))}?mode=ro"
        engine = create_engine(
            "sqlite://", creator=lambda: sqlite3.connect(uri, uri=True, timeout=WAIT_SECONDS), poolclass=NullPool
        )
        return SqlSource(engine.connect(), path)
    if not tracking_uri.startswith(("postgresql://", "postgresql+psycopg2://")):
        return None
    engine = create_engine(
        tracking_uri,
        isolation_level="AUTOCOMMIT",
        poolclass=NullPool,
        connect_args={"connect_timeout": WAIT_SECONDS, "options": "-c default_transaction_read_only=on"},
    )
    return SqlSource(engine.connect(), None)


def sqlite_version(path: Path) -> str:
    """Say which state a SQLite file is in: its identity, size, times and change counter, and those of its log.

    Every change moves the counter in the file's head, or, with a write-ahead log, the log's head, size or time.
    """
    parts = []
    for suffix in ("", "-wal", "-journal", "-shm"):
        file = path.with_name(path.name + suffix)
        try:
            with file.open("rb") as opened:
                parts.append(opened.read(_HEAD_BYTES).hex())
            stat = file.stat()
        except FileNotFoundError:
            parts.append("none")
            continue
        if suffix != "-shm":  # which readers write too, beyond its head
            parts.append(f"{stat.st_dev} {stat.st_ino} {stat.st_size} {stat.st_mtime_ns} {stat.st_ctime_ns}")
    return "; ".join(parts)


def _postgres_version(connection: Connection) -> str:
    """Say which transactions are visible: while it stays the same, no one has written anything in the whole cluster."""
    try:
        found = connection.execute(text(_VISIBLE)).one()
    except DatabaseError:  # this user may not ask, or the server is too old to say
        return ""
    return " ".join(str(part) for part in found)
