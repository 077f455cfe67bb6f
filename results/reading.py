"""Read what a tracking store shows of some trials: from the cache, by SQL, or through MLflow's client."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Set

from results import cache
from results.by_client import ClientSource, Progress
from results.by_sql import KNOWN_SCHEMAS, SqlSource, open_source
from results.frames import COUNTED
from results.shown import Shown, assemble, choose
from results.tracking_store import explained

_log = logging.getLogger(__name__)


def read(
    tracking_uri: str,
    experiment: str,
    keys: Iterable[str],
    metrics: Collection[str] | None = None,
    progress: Progress | None = None,
) -> Shown:
    """Return the tidy frame of the trials with these keys as MLflow shows them, and what was left out.

    Args:
        tracking_uri: absolute URI of the tracking store.
        experiment: name of the trial store's experiment (`results.names.experiment_name`).
        keys: content keys in any order; those that MLflow does not have give no rows.
        metrics: the watched metrics to read, and `frames.COUNTED`; None for all.
        progress: is told how far a slow reading is.

    Raises:
        InputError: when the URI is of a kind that MLflow no longer serves.
        TrackingError: when MLflow cannot be reached.
    """
    wanted = set(keys)
    taken = None if metrics is None else {*metrics, COUNTED}
    with explained(tracking_uri):
        source = _sql(tracking_uri)
        if source is not None:
            with source:
                return _cached(source, tracking_uri, experiment, wanted, taken)
        return _take(ClientSource(tracking_uri, progress), experiment, wanted, taken)


def _sql(tracking_uri: str) -> SqlSource | None:
    """Open the database where its schema is known."""
    from sqlalchemy.exc import DatabaseError

    source = open_source(tracking_uri)
    if source is None:
        return None
    try:
        schema = source.schema()
    except DatabaseError:  # MLflow's client says best what is wrong
        schema = ""
    if schema in KNOWN_SCHEMAS:
        return source
    source.close()
    if schema:
        _log.warning("MLflow's database has the unknown schema %s: it is read through MLflow's client, slowly", schema)
    return None


def _cached(
    source: SqlSource, tracking_uri: str, experiment: str, wanted: Set[str], metrics: Collection[str] | None
) -> Shown:
    question = cache.question(tracking_uri, experiment, wanted, metrics)
    version = source.version()
    found = cache.find(question, version)
    if found is not None:
        return found
    shown = _take(source, experiment, wanted, metrics)
    if version and source.version() == version:
        cache.keep(question, version, shown)
    return shown


def _take(
    source: SqlSource | ClientSource, experiment: str, wanted: Set[str], metrics: Collection[str] | None
) -> Shown:
    runs = source.runs(experiment)
    if not wanted <= {run.key for run in runs}:
        runs += source.runs(experiment, is_deleted=True)
    chosen, left_out = choose(runs, wanted)
    return assemble(chosen, source.points(chosen, metrics), left_out, metrics)
