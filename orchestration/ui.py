"""`selfish ui`: MLflow's own web pages on loopback, opened where a newcomer finds the sweeps.

The server is a child process that ends with this one; no job runners, no telemetry, one worker.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import IO
from urllib.parse import quote, urlencode

import requests

from results.names import in_mlflow
from results.tracking_store import sqlite_path
from selfish_core.errors import InputError, TrackingError

HOST = "127.0.0.1"
DEFAULT_PORT = 5000
START_SECONDS = 90
STOP_SECONDS = 5

SERVER_ENVIRONMENT = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
}
"""Without the first, eight more processes start and take 1.5 GB."""

TRAINING_PAGES = {"workflowType": "machine_learning"}
"""Without it MLflow opens its pages for language agents, whatever the experiment's kind."""

BEST_FIRST = {"orderByKey": f"metrics.`{in_mlflow('val_perplexity')}`", "orderByAsc": "true"}

VIEWS: dict[str, dict[str, str]] = {
    "sweeps": {},
    "trials": BEST_FIRST,
    "curves": {**BEST_FIRST, "compareRunsMode": "CHART"},
}
"""MLflow folds trials below their sweep only while nothing is sorted by a metric."""


def server_command(tracking_uri: str, port: int) -> list[str]:
    """Return the command line of an MLflow server for a SQLite database.

    Raises:
        InputError: when the database is not there yet.
    """
    path = sqlite_path(tracking_uri)
    if path is not None and not path.exists():
        raise InputError(f"there is no MLflow database at {path} yet: run a sweep, or `selfish sync`")
    return [
        *(sys.executable, "-m", "mlflow", "server"),
        *("--backend-store-uri", tracking_uri),
        *("--host", HOST),
        *("--port", str(port)),
        *("--workers", "1"),
        *("--allowed-hosts", "localhost,localhost:*,127.0.0.1,127.0.0.1:*"),
    ]


def experiment_link(base: str, experiment_id: str, view: str) -> str:
    """Return the address of an experiment.

    Args:
        base: the server's address.
        experiment_id: MLflow's id of the experiment.
        view: `sweeps` with their trials folded below, `trials` by validation perplexity, or `curves` by epoch.
    """
    query = {**TRAINING_PAGES, **VIEWS[view]}
    return f"{base.rstrip('/')}/#/experiments/{quote(experiment_id, safe='')}/runs?{urlencode(query)}"


def run_ui(
    tracking_uri: str,
    experiment: str,
    report: Callable[[str], None],
    port: int = DEFAULT_PORT,
    command: Sequence[str] = (),
) -> int:
    """Serve until Ctrl-C or SIGTERM, and say where to look; for a tracking store that is a server, only say where.

    Args:
        tracking_uri: absolute URI.
        experiment: name of the experiment that the link opens.
        report: takes one line for the user.
        port: the wanted port; another free one is taken where it is in use.
        command: what is run instead of MLflow's server, for tests.

    Returns:
        0 when the user ended it.

    Raises:
        TrackingError: when the server does not come up or ends by itself.
    """
    if tracking_uri.startswith(("http://", "https://")):
        _report_links(tracking_uri, experiment, report)
        return 0
    port = free_port(port)
    words = list(command) or server_command(tracking_uri, port)
    with _ended_by_termination(), tempfile.TemporaryFile() as log, _child(words, log) as server:
        try:
            _wait_until_up(f"http://{HOST}:{port}", server, log)
            _report_links(f"http://{HOST}:{port}", experiment, report)
            report("Ctrl-C ends it.")
            server.wait()
        except KeyboardInterrupt:
            return 0
        raise TrackingError(f"the MLflow server ended by itself: {_last_line(log)}")


def free_port(wanted: int) -> int:
    """Return the wanted port of the loopback interface if it is free, else one that is."""
    for port in (wanted, 0):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
            return int(probe.getsockname()[1])
    raise TrackingError(f"no port is free on {HOST}")


@contextlib.contextmanager
def _ended_by_termination() -> Iterator[None]:
    """Take SIGTERM as Ctrl-C, so that the server ends too; only the main thread can, elsewhere nothing changes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {sign: signal.signal(sign, signal.default_int_handler) for sign in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for sign, handler in before.items():
            signal.signal(sign, handler)


@contextlib.contextmanager
def _child(words: Sequence[str], log: IO[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    server = subprocess.Popen(
        words,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        env={**os.environ, **SERVER_ENVIRONMENT},
        start_new_session=True,
    )
    try:
        yield server
    finally:
        for sign in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(server.pid, sign)
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(STOP_SECONDS)


def _wait_until_up(base: str, server: subprocess.Popen[bytes], log: IO[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise TrackingError(f"the MLflow server did not start: {_last_line(log)}")
        with contextlib.suppress(requests.RequestException):
            if requests.get(f"{base}/health", timeout=2).ok:
                return
        time.sleep(0.2)
    raise TrackingError(f"the MLflow server did not answer within {START_SECONDS} s: {_last_line(log)}")


def _report_links(base: str, experiment: str, report: Callable[[str], None]) -> None:
    try:
        answer = requests.get(
            f"{base.rstrip('/')}/api/2.0/mlflow/experiments/get-by-name",
            params={"experiment_name": experiment},
            timeout=10,
        )
    except requests.RequestException as error:
        raise TrackingError(f"MLflow at {base} cannot be reached: {type(error).__name__}") from None
    if not answer.ok:
        report(f"MLflow: {base} (it has no experiment {experiment!r} yet: run a sweep, or `selfish sync`)")
        return
    experiment_id = str(answer.json()["experiment"]["experiment_id"])
    for view, title in {"sweeps": "Sweeps:", "trials": "Best trials:", "curves": "Curves:"}.items():
        report(f"{title:<12} {experiment_link(base, experiment_id, view)}")


def _last_line(log: IO[bytes]) -> str:
    log.seek(0)
    lines = log.read().decode(errors="replace").strip().splitlines()
    return lines[-1][:300] if lines else "it said nothing"
