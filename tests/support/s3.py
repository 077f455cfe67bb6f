"""An S3 server on this machine, moto's, and ways to disturb it."""

from __future__ import annotations

import secrets
import socket
import threading
import urllib.request
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest

Environ = dict[str, Any]
Application = Callable[[Environ, Any], Iterable[bytes]]


@dataclass
class Disturbances:
    """What goes wrong between the clients and the server.

    Args:
        ignores_conditions: whether `If-None-Match` is taken from every request, as if the server did not know it.
        statuses: of errors with which the next requests are answered, none of which is carried out.
        num_lost_answers: writes that are carried out, whose answer then never comes.
    """

    ignores_conditions: bool = False
    statuses: deque[int] = field(default_factory=deque)
    num_lost_answers: int = 0


class S3Server:
    """Moto behind one lock: it looks and puts in two steps, where S3 promises one.

    Args:
        address: to listen on.
    """

    def __init__(self, address: str = "127.0.0.1") -> None:
        from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
        from werkzeug.serving import make_server

        class Handler(MotoRequestHandler):
            def log_request(self, *args: Any) -> None:
                """Say nothing."""

        self.disturbances = Disturbances()
        self.requests: list[tuple[str, str]] = []
        self._moto: Application = DomainDispatcherApplication(create_backend_app)
        self._one_by_one = threading.Lock()
        self._server = make_server(address, 0, self._answer, threaded=True, request_handler=Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="moto", daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        host, port = self._server.server_address[:2]
        return f"http://{host}:{port}"

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to reach it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def make_bucket(self) -> str:
        """Make a bucket and return its name."""
        name = f"lab-{secrets.token_hex(4)}"
        urllib.request.urlopen(urllib.request.Request(f"{self.url}/{name}", method="PUT")).close()
        return name

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _answer(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        disturbances, method = self.disturbances, environ["REQUEST_METHOD"]
        self.requests.append((method, environ["PATH_INFO"]))
        if disturbances.statuses:
            start_response(f"{disturbances.statuses.popleft()} Disturbed", [("Content-Length", "0")])
            return [b""]
        if disturbances.ignores_conditions:
            environ.pop("HTTP_IF_NONE_MATCH", None)
        with self._one_by_one:
            answer = list(self._moto(environ, start_response))
        if method == "PUT" and disturbances.num_lost_answers:
            disturbances.num_lost_answers -= 1
            with suppress(OSError):
                environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        return answer


@contextmanager
def s3_running() -> Iterator[S3Server]:
    server = S3Server()
    try:
        yield server
    finally:
        server.close()


@pytest.fixture(scope="session")
def s3_process() -> Iterator[S3Server]:
    """The one server of a test session; a test takes `s3_server`."""
    with s3_running() as server:
        yield server


@pytest.fixture
def s3_server(s3_process: S3Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    """An S3 server that nothing disturbs yet; the environment leads to it."""
    for name, value in s3_process.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    s3_process.requests.clear()
    yield s3_process
    s3_process.disturbances = Disturbances()


@pytest.fixture
def s3_url(s3_server: S3Server) -> str:
    """`s3://BUCKET/PREFIX` in a new bucket."""
    return f"s3://{s3_server.make_bucket()}/selfish"
