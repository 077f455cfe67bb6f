"""A corpus server on this machine that misbehaves as it is told."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from selfish_core.data import download


class CorpusServer:
    """Serves `files` by path; `replies` holds, for each path, how to answer its first requests (then: as it should).

    A way to answer is an HTTP status, "drop:N" (break the connection after N bytes), "no range" (ignore Range),
    "wrong range" (a 206 that starts elsewhere) or "no length".
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.replies: dict[str, list[int | str]] = {}
        self.requests: list[tuple[str, str | None]] = []
        self.headers: list[dict[str, str]] = []
        self.url = ""

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        asked = request.headers.get("Range")
        self.requests.append((request.path, asked))
        self.headers.append(dict(request.headers))
        waiting = self.replies.get(request.path, [])
        reply = waiting.pop(0) if waiting else "ok"
        data = self.files.get(request.path)
        if isinstance(reply, int) or data is None:
            request.send_response(reply if isinstance(reply, int) else 404)
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and reply != "no range" else 0
        if start and start >= len(data):
            request.send_response(416)
            request.send_header("Content-Length", "0")
            request.end_headers()
            return
        request.send_response(206 if start else 200)
        if start:
            told = start + 1 if reply == "wrong range" else start
            request.send_header("Content-Range", f"bytes {told}-{len(data) - 1}/{len(data)}")
        if reply != "no length":
            request.send_header("Content-Length", str(len(data) - start))
        request.end_headers()
        body = data[start:]
        if str(reply).startswith("drop:"):
            body = body[: int(str(reply).removeprefix("drop:"))]
        request.wfile.write(body)
        request.wfile.flush()
        request.close_connection = True


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[CorpusServer]:
    """A `CorpusServer` at `.url`; downloads do not wait between tries."""
    monkeypatch.setattr(download, "BACKOFF_SECONDS", 0)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    state = CorpusServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.answer(self)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        state.url = f"http://127.0.0.1:{http.server_address[1]}"
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield state
        http.shutdown()
        thread.join()
