"""A throw-away PostgreSQL server: data in a temporary folder, a password of its own, gone at the end of the test."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

USER = "selfish"
ACCOUNT = "postgres"
"""The system account that Debian's package makes: the server refuses to run as root."""
START_SECONDS = 30.0


@dataclass(frozen=True)
class Postgres:
    """A server that is up.

    Args:
        programs: folder of PostgreSQL's programs.
        host: address that it listens on.
        port: TCP port.
        password: of `USER`, its superuser.
    """

    programs: Path
    host: str
    port: int
    password: str

    def uri(self, database: str) -> str:
        """Return the SQLAlchemy URI of a database, with the password."""
        return f"postgresql+psycopg2://{USER}:{self.password}@{self.host}:{self.port}/{database}"

    def create_database(self, name: str, *, prefix: Sequence[str] = ()) -> str:
        """Make an empty database and return its URI; prefix as in `running`."""
        where = ("--host", self.host, "--port", str(self.port), "--username", USER)
        command = [*prefix, str(self.programs / "createdb"), *where, name]
        subprocess.run(command, check=True, env={**os.environ, "PGPASSWORD": self.password}, timeout=30)
        return self.uri(name)


@contextlib.contextmanager
def running(host: str = "127.0.0.1", *, prefix: Sequence[str] = ()) -> Iterator[Postgres]:
    """Start a server and end it; skips, visibly, where PostgreSQL is not installed.

    Args:
        host: address to listen on; every client needs the password.
        prefix: command in front of the server's and the client's, e.g. `("ip", "netns", "exec", NAME)`.
    """
    programs = _programs()
    password = secrets.token_hex(16)
    folder = Path(tempfile.mkdtemp(prefix="selfish-pg-"))
    try:
        data = _make_cluster(programs, folder, password)
        server = Postgres(programs, host, _free_port(), password)
        with _process(server, data, folder, prefix):
            yield server
    finally:
        shutil.rmtree(folder)


def _programs() -> Path:
    """Find the folder of PostgreSQL's programs; Debian keeps it off the path."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("initdb")
    if not found and on_path is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    return found[-1].parent if found else Path(on_path or "").resolve().parent


def _unprivileged() -> list[str]:
    """Return the command that runs another without root's rights and ends it with its parent."""
    account = ["--reuid", ACCOUNT, "--regid", ACCOUNT, "--clear-groups"] if os.getuid() == 0 else []
    return ["setpriv", *account, "--pdeathsig", "INT"]


def _make_cluster(programs: Path, folder: Path, password: str) -> Path:
    secret = folder / "password"
    secret.touch(mode=0o600)
    secret.write_text(password, encoding="ascii")
    if os.getuid() == 0:
        for path in (folder, secret):
            shutil.chown(path, ACCOUNT, ACCOUNT)
    options = ("--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync", "--username", USER)
    command = [*_unprivileged(), str(programs / "initdb"), *options, "--pwfile", str(secret), str(folder / "data")]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=60)
    with (folder / "data" / "pg_hba.conf").open("a", encoding="ascii") as file:
        file.write("host all all samenet scram-sha-256\n")
    return folder / "data"


@contextlib.contextmanager
def _process(server: Postgres, data: Path, folder: Path, prefix: Sequence[str]) -> Iterator[None]:
    settings = {
        "listen_addresses": server.host,
        "port": str(server.port),
        "unix_socket_directories": str(folder),
        "fsync": "off",
        "max_connections": "50",
    }
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    command = [*prefix, *_unprivileged(), str(server.programs / "postgres"), "-D", str(data), *options]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        _wait_until_ready(server, process, folder, prefix)
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)


def _wait_until_ready(server: Postgres, process: subprocess.Popen[bytes], folder: Path, prefix: Sequence[str]) -> None:
    where = ("--host", server.host, "--port", str(server.port), "--quiet")
    deadline = time.monotonic() + START_SECONDS
    while subprocess.run([*prefix, str(server.programs / "pg_isready"), *where], timeout=10).returncode:
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"PostgreSQL did not start:\n{(folder / 'log').read_text(encoding='utf-8')}")
        time.sleep(0.1)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
