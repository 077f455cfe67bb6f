"""`selfish up` and `down`: a Ray cluster and an MLflow server on this machine that live on when the command has ended.

up ──starts──▶ keeper (`orchestration.keeper`), in a session of its own
               ├── ray start --head --block     and all of Ray below it
               └── mlflow server                where MLflow is kept in a SQLite database

There is one stack for each user. The keeper ends what is below it, by process id, and no other; what a keeper leaves
that is killed is known by a mark in its environment, which all below it inherit.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import sys
import time
from pathlib import Path

import psutil
from pydantic import BaseModel, ConfigDict

from orchestration.cluster import LOOPBACK_ONLY
from orchestration.settings import LOOPBACK
from orchestration.stack_files import (
    MARK,
    STACK_FILE,
    end_remains,
    find_keeper,
    folder,
    is_alive,
    is_there,
    log_file,
    read,
)
from selfish_core.errors import SelfishError
from selfish_core.files import LocalStorage

KEEPER = (sys.executable, "-P", "-m", "orchestration.keeper")
START_SECONDS = 120.0
END_SECONDS = 70.0
POLL_SECONDS = 0.2


class Plan(BaseModel):
    """What is to be started.

    Args:
        cpus: that Ray may give to trials, ≥ 1.
        gpus: likewise, ≥ 0.
        host: address of this machine on which Ray listens.
        jobs_port: of the jobs API and dashboard.
        gcs_port: of the cluster.
        client_port: of Ray's client server.
        tracking_uri: under which sweeps reach MLflow.
        mlflow: command line of its server; empty where none is started.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    cpus: int
    gpus: int
    host: str
    jobs_port: int
    gcs_port: int
    client_port: int
    tracking_uri: str
    mlflow: tuple[str, ...]

    @property
    def jobs_url(self) -> str:
        """Address of Ray's jobs API and dashboard."""
        return f"http://{self.host}:{self.jobs_port}"

    @property
    def ray_address(self) -> str:
        """Address of the cluster."""
        return f"{self.host}:{self.gcs_port}"

    @property
    def reach(self) -> dict[str, str]:
        """What Ray's processes, and those that join them, need in their environment to meet at the host's address."""
        return dict(LOOPBACK_ONLY) if self.host in LOOPBACK else {}


class Stack(BaseModel):
    """A stack that is up.

    Args:
        plan: what was started.
        token_path: file of the cluster's token.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    plan: Plan
    token_path: Path

    @property
    def environment(self) -> dict[str, str]:
        """What a shell sets to use it; our own commands find it, and MLflow's database, without."""
        ray = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(self.token_path), **self.plan.reach}
        return {**ray, "SELFISH_JOBS_URL": self.plan.jobs_url}


def make_plan(*, cpus: int, gpus: int, host: str, port: int, mlflow_port: int | None, tracking_uri: str) -> Plan:
    """Choose ports, and make MLflow's database where a server is to serve one that is not there.

    Args:
        cpus: that Ray may give to trials, ≥ 1.
        gpus: likewise, ≥ 0.
        host: address of this machine on which Ray listens.
        port: wanted port of the jobs API; another free one is taken where it is in use.
        mlflow_port: wanted port of MLflow, likewise; None to start no server.
        tracking_uri: where MLflow is kept; what is no SQLite database is used as it is.

    Raises:
        InputError: when the tracking URI is of a kind that is not served.
        TrackingError: when the database cannot be made.
    """
    from orchestration.ui import HOST, free_port, server_command
    from results.tracking_store import SQLITE, prepare

    words: tuple[str, ...] = ()
    if mlflow_port is not None and tracking_uri.startswith(SQLITE):
        prepare(tracking_uri, may_create=True)
        mlflow_port = free_port(mlflow_port)
        words, tracking_uri = tuple(server_command(tracking_uri, mlflow_port)), f"http://{HOST}:{mlflow_port}"
    ports = {"jobs_port": free_port(port), "gcs_port": free_port(0), "client_port": free_port(0)}
    return Plan(cpus=cpus, gpus=gpus, host=host, tracking_uri=tracking_uri, mlflow=words, **ports)


def running() -> Stack | None:
    """Return the stack that is up and can be used, if there is one.

    Raises:
        SelfishError: when it is up on another machine that has the same home folder.
    """
    if not is_there():
        return None
    storage = folder()
    with contextlib.suppress(FileNotFoundError):
        return Stack.model_validate(read(storage, STACK_FILE)) if find_keeper(storage) else None
    return None


def up(plan: Plan) -> tuple[Stack, bool]:
    """Start the stack unless it is up, wait until it can be used, and say whether this call has started it.

    Raises:
        SelfishError: when it does not come up; nothing of it is left then.
    """
    if (stack := running()) is not None:
        return stack, False
    from orchestration.ui import SERVER_ENVIRONMENT

    storage = folder()
    with log_file(storage, "keeper").open("ab") as log:
        before = log.tell()
        process = subprocess.Popen(
            [*KEEPER, plan.model_dump_json()],
            env={**os.environ, **SERVER_ENVIRONMENT, MARK: secrets.token_hex(16)},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        stack = _wait_until_up(process, storage, before)
    except BaseException:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(END_SECONDS)
        raise
    return stack, process.poll() is None


def down() -> bool:
    """End the stack and everything below it, and say whether there was one.

    Raises:
        SelfishError: when it does not end, or is on another machine.
    """
    storage = folder()
    keeper = find_keeper(storage)
    if keeper is None:
        return end_remains(storage) > 0
    deadline = time.monotonic() + END_SECONDS
    with contextlib.suppress(psutil.NoSuchProcess):
        keeper.terminate()
    while is_alive(keeper):
        if time.monotonic() > deadline:
            raise SelfishError(f"the stack has not ended within {END_SECONDS:g} s: see {log_file(storage, 'keeper')}")
        time.sleep(POLL_SECONDS)
    return True


def _wait_until_up(process: subprocess.Popen[bytes], storage: LocalStorage, before: int) -> Stack:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if (stack := running()) is not None:
            return stack
        if process.poll() is not None and find_keeper(storage) is None:
            break
        time.sleep(POLL_SECONDS)
    log = log_file(storage, "keeper")
    lines = [line for line in log.read_bytes()[before:].decode(errors="replace").splitlines() if line.strip()]
    told = lines[-1][:300] if lines else f"it is not ready after {START_SECONDS:g} s"
    raise SelfishError(f"the local stack did not come up: {told}; logs: {log.parent}")
