"""The team's MLflow, started for real on PostgreSQL: TLS, passwords, and the projector writing through both."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests
from support import postgres

from selfish_core.trial_store import TrialStore

DEPLOY = Path(__file__).parents[2] / "deploy" / "mlflow"
BIN = Path(sys.executable).parent
START_SECONDS = 90.0


@dataclass(frozen=True)
class Server:
    """A server that is up.

    Args:
        url: of it.
        certificate: that clients trust.
        admin: name and password.
    """

    url: str
    certificate: Path
    admin: tuple[str, str]

    def get(self, path: str, **options: Any) -> requests.Response:
        return requests.get(f"{self.url}{path}", verify=str(self.certificate), timeout=20, **options)

    def add_user(self, name: str) -> tuple[str, str]:
        user = (name, secrets.token_hex(16))
        environment = {"MLFLOW_AUTH_ADMIN_PASSWORD": self.admin[1], "MLFLOW_TLS_CERT": str(self.certificate)}
        command = [sys.executable, DEPLOY / "add-user", self.url, name]
        done = subprocess.run(command, env=environment, input=user[1], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return user

    def selfish(self, *arguments: str, user: tuple[str, str] | None) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "MLFLOW_TRACKING_SERVER_CERT_PATH": str(self.certificate)}
        if user is not None:
            environment |= {"MLFLOW_TRACKING_USERNAME": user[0], "MLFLOW_TRACKING_PASSWORD": user[1]}
        command = [BIN / "selfish", *arguments, "--tracking-uri", self.url]
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    pytest.importorskip("psycopg2", reason="no psycopg2: pip install -e '.[server]'")
    pytest.importorskip("flask_wtf", reason="no mlflow[auth]: pip install -e '.[server]'")
    folder = tmp_path_factory.mktemp("mlflow")
    certificate = make_certificate(folder)
    with postgres.running() as database:
        for name in ("mlflow", "mlflow_auth"):
            database.create_database(name)
        port = free_port()
        admin = ("admin", secrets.token_hex(16))
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "PG"))},
            "PATH": f"{BIN}:{os.environ['PATH']}",
            "PGHOST": database.host,
            "PGPORT": str(database.port),
            "PGUSER": postgres.USER,
            "PGPASSWORD": database.password,
            "MLFLOW_AUTH_ADMIN_PASSWORD": admin[1],
            "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_hex(32),
            "MLFLOW_ARTIFACTS": str(folder / "artifacts"),
            "MLFLOW_ALLOWED_HOSTS": f"localhost:{port}",
            "MLFLOW_TLS_CERT": str(certificate),
            "MLFLOW_TLS_KEY": str(folder / "tls.key"),
            "MLFLOW_PORT": str(port),
        }
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen([DEPLOY / "serve"], env=environment, cwd=folder, stdout=log, stderr=log)
        try:
            server = Server(f"https://localhost:{port}", certificate, admin)
            wait_until_up(server, process, folder / "log")
            yield server
        finally:
            process.terminate()
            process.wait(timeout=30)


def make_certificate(folder: Path) -> Path:
    """Make a key and a certificate for localhost that signs itself."""
    if shutil.which("openssl") is None:
        pytest.skip("no openssl (Debian: apt-get install openssl)")
    files = ("-keyout", str(folder / "tls.key"), "-out", str(folder / "tls.crt"))
    names = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", *names, *files]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return folder / "tls.crt"


def wait_until_up(server: Server, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            if server.get("/health").status_code == 200:
                return
        except requests.ConnectionError:
            pass
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"MLflow did not start:\n{log.read_text(encoding='utf-8')}")
        time.sleep(0.3)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def make_store(folder: Path, make_trial: Callable[..., Any], fill: Callable[..., None]) -> Path:
    """Make a trial store with one trial of two epochs."""
    fill(TrialStore.open(folder / "store"), make_trial(), 2)
    return folder / "store"


EXPERIMENTS = "/api/2.0/mlflow/experiments/search?max_results=10"


@pytest.mark.parametrize("path", [EXPERIMENTS, "/", "/ajax-api/3.0/jobs/search"])
def test_nobody_reads_without_a_password(server: Server, path: str) -> None:
    assert server.get(path).status_code == 401
    assert server.get(path, auth=("admin", "password1234")).status_code == 401


def test_a_user_reads_with_a_password(server: Server) -> None:
    assert server.get(EXPERIMENTS, auth=server.add_user("ann")).status_code == 200


def test_a_host_that_is_not_named_is_refused(server: Server) -> None:
    assert server.get(EXPERIMENTS, auth=server.admin, headers={"Host": "evil.example"}).status_code == 403


def test_plain_http_is_not_spoken(server: Server) -> None:
    with pytest.raises(requests.ConnectionError):
        requests.get(server.url.replace("https", "http"), timeout=10)


def test_the_projector_writes_with_a_password_and_not_without(
    server: Server, tmp_path: Path, make_trial: Callable[..., Any], fill: Callable[..., None]
) -> None:
    store = make_store(tmp_path, make_trial, fill)
    refused = server.selfish("sync", "--store", str(store), user=None)
    assert refused.returncode != 0
    assert "Traceback" not in refused.stderr
    user = server.add_user("projector")
    done = server.selfish("sync", "--store", str(store), user=user)
    assert done.returncode == 0, done.stderr
    again = server.selfish("sync", "--store", str(store), user=user)
    assert again.returncode == 0, again.stderr
    found = server.get(EXPERIMENTS, auth=user).json()["experiments"]
    ours = [one["experiment_id"] for one in found if one["name"] != "Default"]
    assert len(ours) == 1
    place = f"{server.url}/api/2.0/mlflow/runs/search"
    body = {"experiment_ids": ours}
    runs = requests.post(place, json=body, auth=user, verify=str(server.certificate), timeout=20).json()["runs"]
    assert len(runs) == 1


def test_an_account_reads_what_another_wrote_and_cannot_change_it(server: Server) -> None:
    owner, other = server.add_user("owner"), server.add_user("other")
    place = f"{server.url}/api/2.0/mlflow"
    options: dict[str, Any] = {"verify": str(server.certificate), "timeout": 20}
    made = requests.post(f"{place}/experiments/create", json={"name": "owned"}, auth=owner, **options).json()
    body = {"experiment_id": made["experiment_id"]}
    assert requests.get(f"{place}/experiments/get", params=body, auth=other, **options).status_code == 200
    assert requests.post(f"{place}/runs/create", json=body, auth=other, **options).status_code == 403


@pytest.mark.parametrize("absent", ["PGHOST", "MLFLOW_FLASK_SERVER_SECRET_KEY", "MLFLOW_ALLOWED_HOSTS"])
def test_it_does_not_start_half_configured(absent: str) -> None:
    whole = {"PGHOST": "/nowhere", "MLFLOW_FLASK_SERVER_SECRET_KEY": "x", "MLFLOW_ARTIFACTS": "/nowhere"}
    whole |= {"MLFLOW_ALLOWED_HOSTS": "localhost", "PATH": os.environ["PATH"]}
    del whole[absent]
    done = subprocess.run([DEPLOY / "serve"], env=whole, capture_output=True, text=True, timeout=20)
    assert done.returncode != 0
    assert absent in done.stderr


def test_the_unit_is_one_that_systemd_takes(tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze (Debian: apt-get install systemd)")
    text = (DEPLOY / "mlflow.service").read_text(encoding="utf-8").replace("/opt/selfish/deploy/mlflow", str(DEPLOY))
    unit = tmp_path / "selfish-mlflow.service"
    unit.write_text(text.replace("Requires=postgresql.service\n", ""), encoding="utf-8")
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, timeout=60)
    assert unit.name not in done.stderr, done.stderr


def test_the_unit_gives_what_the_server_asks_for() -> None:
    unit = (DEPLOY / "mlflow.service").read_text(encoding="utf-8")
    template = (DEPLOY / "mlflow.env.template").read_text(encoding="utf-8")
    for name in ("PGHOST", "MLFLOW_ARTIFACTS", "MLFLOW_TLS_CERT", "MLFLOW_TLS_KEY"):
        assert f"Environment={name}=" in unit
    for name in ("MLFLOW_AUTH_ADMIN_PASSWORD", "MLFLOW_FLASK_SERVER_SECRET_KEY", "MLFLOW_ALLOWED_HOSTS"):
        assert f"{name}=\n" in template, "a template holds no values"
