"""Fixtures of what MLflow shows: three trials projected, read by SQL and through MLflow's client, in two databases."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from support import postgres

from orchestration.tracking import Projector, SweepView
from results import reading
from results.tracking_store import connect
from selfish_core.trial_store import TrialStore


@pytest.fixture
def trials(make_trial: Any) -> list[Any]:
    return [make_trial("static", 0.5, 1), make_trial("set", 0.8, 2), make_trial("dense", 0.0, 3)]


@pytest.fixture
def projector(store: TrialStore, tracking_uri: str, trials: list[Any], fill: Any) -> Projector:
    return project(store, tracking_uri, trials, fill)


def project(store: TrialStore, tracking_uri: str, trials: list[Any], fill: Any) -> Projector:
    fill(store, trials[0], 3)
    fill(store, trials[1], 2, diverges=True)
    fill(store, trials[2], 1, gradient_norm=float("inf"), turnover_fraction=-0.0, explored_fraction=float("nan"))
    projector = Projector(store, tracking_uri)
    projector.project([SweepView("quick", trials)])
    return projector


@pytest.fixture(scope="session")
def postgres_uri() -> Iterator[str]:
    """An empty MLflow database on a PostgreSQL server of its own; skips, visibly, where there is none."""
    pytest.importorskip("psycopg2")
    with postgres.running() as server:
        uri = server.create_database("mlflow")
        connect(uri)
        yield uri


@pytest.fixture(params=["sqlite, sql", "sqlite, client", "postgresql, sql", "postgresql, client"])
def shown(
    request: pytest.FixtureRequest, store: TrialStore, trials: list[Any], fill: Any, monkeypatch: pytest.MonkeyPatch
) -> Projector:
    """The three trials in MLflow; they are read in each way that there is."""
    database, way = request.param.split(", ")
    uri = request.getfixturevalue("tracking_uri" if database == "sqlite" else "postgres_uri")
    if way == "client":
        monkeypatch.setattr(reading, "open_source", lambda tracking_uri: None)
    else:
        monkeypatch.setattr(reading, "ClientSource", None)
    return project(store, uri, trials, fill)


@pytest.fixture(params=["tracking_uri", "postgres_uri"])
def in_each_database(request: pytest.FixtureRequest, store: TrialStore, trials: list[Any], fill: Any) -> Projector:
    """The three trials in MLflow."""
    return project(store, request.getfixturevalue(request.param), trials, fill)
