"""The cluster lane: sweeps on Ray nodes with addresses of their own, submitted from outside.

Trials are stored on an S3 server and shown by MLflow on PostgreSQL, both on the machine that the nodes call gateway.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import postgres
from support.clusters import Cluster, Place
from support.machines import Machines, machines_in
from support.ray_nodes import Nodes
from support.s3 import S3Server

KIND = pytest.StashKey[str]()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say how the nodes came to their addresses."""
    if KIND in config.stash:
        terminalreporter.write_line(f"cluster: the Ray nodes had addresses of their own by {config.stash[KIND]}")


@pytest.fixture
def machines(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Machines]:
    with machines_in(tmp_path / "nodes") as machines:
        request.config.stash[KIND] = machines.kind
        yield machines


@pytest.fixture
def s3(machines: Machines) -> Iterator[S3Server]:
    with contextlib.closing(S3Server(machines.gateway)) as server:
        yield server


@pytest.fixture
def bucket(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """A new bucket, to which the environment of this process leads too."""
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    return f"s3://{s3.make_bucket()}/selfish"


@pytest.fixture
def tracking_uri(machines: Machines) -> Iterator[str]:
    with postgres.running(machines.gateway) as server:
        yield server.create_database("mlflow")


@pytest.fixture
def cluster(
    machines: Machines, s3: S3Server, bucket: str, tracking_uri: str, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[Cluster]:
    """A head and two workers, or as many as a test asks for, and somebody outside with the token."""
    home = tmp_path / "home"
    home.mkdir()
    with Nodes(machines, num_workers=getattr(request, "param", 2), environment=s3.environment) as nodes:
        yield Cluster(nodes, Place(home, bucket, tracking_uri, nodes.environment), s3)
