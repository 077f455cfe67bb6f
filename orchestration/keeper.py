"""The keeper of the local stack: the process that Ray and MLflow live and end with.

`python -P -m orchestration.keeper PLAN` (JSON, `stack.Plan`). It ends at SIGTERM, or when Ray has ended by itself; an
MLflow server that has ended by itself is started again. When the keeper is killed, the kernel ends its children.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import requests

from orchestration import cluster, processes
from orchestration.jobs_api import TOKEN_PATH, JobsApi, read_token
from orchestration.processes import StopRequest
from orchestration.stack import Plan, Stack
from orchestration.stack_files import KEEPER_FILE, STACK_FILE, describe_keeper, end_remains, folder, log_file, record
from orchestration.terminal import say
from selfish_core.errors import SelfishError

READY_SECONDS = 100.0
END_SECONDS = 15.0
LOOK_SECONDS = 0.5
PAUSE_SECONDS = 2.0
"""Between two starts of an MLflow server that keeps ending."""


class Child:
    """A process of the stack that can be started again.

    Args:
        name: for people.
        words: its command line.
        environment: its variables.
        log: takes what it prints.
        answers: raises `SelfishError` or a `requests.RequestException` until it can be used.
    """

    def __init__(
        self, name: str, words: Sequence[str], environment: Mapping[str, str], log: Path, answers: Callable[[], object]
    ) -> None:
        self.name = name
        self.log = log
        self.answers = answers
        self._words = words
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, in a session of its own; it ends with this process."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._words,
                env=self._environment,
                cwd=self.log.parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=processes.end_with_parent,
            )

    def is_alive(self) -> bool:
        """Whether it runs."""
        return self._process is not None and self._process.poll() is None

    def end(self) -> None:
        """Ask it to end, and wait a while for it."""
        if self._process is not None:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(END_SECONDS)


def main() -> int:
    """Keep a stack until it is to end, and return 0 when that was asked for."""
    os.umask(0o077)
    processes.adopt_orphans()
    try:
        with StopRequest() as stop:
            keep(Plan.model_validate_json(sys.argv[1]), stop)
    except SelfishError as error:
        say(str(error))
        return error.exit_code
    return 0


def keep(plan: Plan, stop: StopRequest) -> None:
    """Start a stack, say when it can be used, and end it when that is asked for.

    Raises:
        OwnedElsewhereError: when there is one already.
        SelfishError: when it does not come up, or Ray ends by itself.
    """
    storage = folder()
    with storage.lock("keeper.lock"), contextlib.ExitStack() as endings:
        end_remains(storage)
        endings.callback(storage.delete, KEEPER_FILE)
        record(storage, KEEPER_FILE, describe_keeper())
        scratch = endings.enter_context(cluster.scratch())
        endings.callback(processes.end_descendants)
        given = cluster.environment(scratch, os.environ, is_embedded=True)
        api = JobsApi(plan.jobs_url, read_token(given))
        children = [_ray(plan, scratch, given, log_file(storage, "ray"), api)]
        if plan.mlflow:
            children.append(_mlflow(plan, log_file(storage, "mlflow")))
        for child in children:
            child.start()
            endings.callback(child.end)
        for child in children:
            _wait_until_ready(child, stop)
        endings.callback(_end_jobs, api)
        endings.callback(storage.delete, STACK_FILE)
        if not stop.signal:
            stack = Stack(plan=plan, token_path=Path(given[TOKEN_PATH]))
            record(storage, STACK_FILE, stack.model_dump(mode="json"))
        _watch(children, stop)


def _ray(plan: Plan, scratch: Path, given: Mapping[str, str], log: Path, api: JobsApi) -> Child:
    """Return the head; a job finds there the Python that this is, and has ended before the head does."""
    words = [
        *(sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", "--disable-usage-stats"),
        *("--node-ip-address", plan.host, "--port", str(plan.gcs_port)),
        *("--dashboard-host", plan.host, "--dashboard-port", str(plan.jobs_port), "--include-dashboard", "true"),
        *("--ray-client-server-port", str(plan.client_port), "--dashboard-agent-listen-port", "0"),
        *("--min-worker-port", "0", "--max-worker-port", "0"),
        *("--num-cpus", str(plan.cpus), "--num-gpus", str(plan.gpus)),
        *("--object-store-memory", str(cluster.OBJECT_STORE_BYTES), "--temp-dir", str(scratch / "ray")),
    ]
    path = f"{Path(sys.executable).parent}{os.pathsep}{given.get('PATH', os.defpath)}"
    surroundings = {**given, "PATH": path, "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "0", **plan.reach}
    return Child("Ray", words, surroundings, log, api.jobs)


def _mlflow(plan: Plan, log: Path) -> Child:
    def ask() -> None:
        requests.get(f"{plan.tracking_uri}/health", timeout=2).raise_for_status()

    return Child("MLflow", plan.mlflow, os.environ, log, ask)


def _wait_until_ready(child: Child, stop: StopRequest) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not stop.wait(LOOK_SECONDS):
        if not child.is_alive():
            raise SelfishError(f"{child.name} has ended while it was starting: see {child.log}")
        if time.monotonic() > deadline:
            raise SelfishError(f"{child.name} does not answer after {READY_SECONDS:g} s: see {child.log}")
        with contextlib.suppress(SelfishError, requests.RequestException):
            child.answers()
            return


def _end_jobs(api: JobsApi) -> None:
    """Have the sweeps that run end as Ctrl-C would end them; they go on when they are submitted again."""
    deadline = time.monotonic() + END_SECONDS
    with contextlib.suppress(SelfishError):
        for job in api.jobs():
            if job.is_live:
                api.stop(job.id)
        while time.monotonic() < deadline and any(job.is_live for job in api.jobs()):
            time.sleep(LOOK_SECONDS)


def _watch(children: Sequence[Child], stop: StopRequest) -> None:
    ray, *others = children
    while not stop.wait(LOOK_SECONDS):
        if not ray.is_alive():
            raise SelfishError(f"Ray has ended by itself: see {ray.log}")
        for child in others:
            if not child.is_alive():
                say(f"{child.name} has ended by itself and is started again: see {child.log}")
                stop.wait(PAUSE_SECONDS)
                child.start()


if __name__ == "__main__":
    sys.exit(main())
