"""Ray's jobs API over HTTP, as a client that is quick to say what is wrong.

Ray's own client goes to the cluster in RAY_ADDRESS whatever URL it is given, waits without end for a server that does
not answer, and leaves the token out unless RAY_AUTH_MODE is set too; so the documented requests are made here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import requests

from orchestration.settings import LOOPBACK
from selfish_core.errors import InputError, SelfishError
from selfish_core.places import without_password

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 30.0
"""A head that has just come up takes some 10 s to take its first job."""

LIVE = frozenset({"PENDING", "RUNNING"})
TOKEN, TOKEN_PATH = "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"


@dataclass(frozen=True)
class RayJob:
    """A job as the cluster shows it.

    Args:
        id: its submission id.
        status: PENDING, RUNNING, STOPPED, SUCCEEDED or FAILED.
        message: why, for people.
        metadata: what its submitter has put there.
    """

    id: str
    status: str
    message: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_live(self) -> bool:
        """Whether it has not ended."""
        return self.status in LIVE


class JobsApi:
    """The jobs of one cluster.

    Args:
        url: `http(s)://HOST:PORT`, from `checked_url`.
        token: of the cluster; None to send none.
    """

    def __init__(self, url: str, token: str | None) -> None:
        self.url = url
        self._has_token = token is not None
        self._session = requests.Session()
        self._session.headers.update({"Authorization": f"Bearer {token}"} if token else {})
        self._session.trust_env = urlsplit(url).hostname not in LOOPBACK

    def is_open_to_all(self) -> bool:
        """Whether the cluster answers somebody who has no token.

        Raises:
            InputError: when it wants one, or another one.
            SelfishError: when no Ray cluster answers.
        """
        self._json(self._ask("GET", "/api/version"), dict)
        return not self._has_token

    def jobs(self) -> list[RayJob]:
        """Return all jobs that were submitted and that the cluster remembers.

        Raises:
            InputError, SelfishError: as `is_open_to_all`.
        """
        rows = self._json(self._ask("GET", "/api/jobs/"), list)
        return [_job(row) for row in rows if isinstance(row, dict) and row.get("type") == "SUBMISSION"]

    def job(self, job_id: str) -> RayJob:
        """Return one job.

        Raises:
            InputError, SelfishError: as `is_open_to_all`, or when there is no such job.
        """
        return _job(self._json(self._ask("GET", f"/api/jobs/{quote(job_id, safe='')}"), dict))

    def start(self, job_id: str, entrypoint: str, metadata: Mapping[str, str], variables: Mapping[str, str]) -> str:
        """Start a job under an id that no job has had, and return why the cluster did not; empty when it did.

        Args:
            job_id: the id; of several requests for one, the cluster obeys the first.
            entrypoint: what its shell runs on the head.
            metadata: what `job` shows again.
            variables: more of the job's environment.

        Raises:
            InputError, SelfishError: as `is_open_to_all`.
        """
        request = {
            "submission_id": job_id,
            "entrypoint": entrypoint,
            "metadata": dict(metadata),
            "runtime_env": {"env_vars": dict(variables)},
        }
        answer = self._ask("POST", "/api/jobs/", request)
        return "" if answer.ok else _last_line(answer.text) or f"status {answer.status_code}"

    def stop(self, job_id: str) -> None:
        """Ask a job to end; it gets SIGTERM, and some time.

        Raises:
            InputError, SelfishError: as `is_open_to_all`.
        """
        self._json(self._ask("POST", f"/api/jobs/{quote(job_id, safe='')}/stop"), dict)

    def logs(self, job_id: str) -> str:
        """Return what a job has printed so far; nothing where it cannot be had yet.

        Raises:
            InputError, SelfishError: as `is_open_to_all`.
        """
        answer = self._ask("GET", f"/api/jobs/{quote(job_id, safe='')}/logs")
        return str(self._json(answer, dict).get("logs") or "") if answer.ok else ""

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> requests.Response:
        limits = (CONNECT_SECONDS, ANSWER_SECONDS)
        try:
            answer = self._session.request(method, self.url + path, json=body, timeout=limits, allow_redirects=False)
        except requests.RequestException as error:
            raise SelfishError(f"no Ray cluster answers at {self.url}: {_reason(error)}") from None
        if answer.status_code == 401:
            raise InputError(
                f"the Ray cluster at {self.url} wants a token: put it in {TOKEN}, or its file in {TOKEN_PATH}"
            )
        if answer.status_code == 403:
            told = f"the Ray cluster at {self.url} refuses this token: is the one in {TOKEN} or {TOKEN_PATH} its own?"
            raise InputError(told)
        return answer

    def _json(self, answer: requests.Response, kind: type[Any]) -> Any:
        try:
            found = answer.json() if answer.ok else None
        except ValueError:
            found = None
        if not isinstance(found, kind):
            told = _last_line(answer.text) if answer.status_code >= 500 else "is it the address of the dashboard?"
            raise SelfishError(f"{self.url} does not answer as Ray's jobs API (status {answer.status_code}): {told}")
        return found


def checked_url(url: str, origin: str, *, is_insecure_allowed: bool) -> str:
    """Return a jobs URL without its last slash.

    Args:
        url: as somebody named it.
        origin: the flag, variable or file that did so.
        is_insecure_allowed: whether plain http to another machine may carry the token.

    Raises:
        InputError: when it is none, or the token would go over a network in clear.
    """
    shown = without_password(url)
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise InputError(f"{origin}: jobs URL {shown!r}: {error}") from None
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment:
        raise InputError(f"{origin}: jobs URL {shown!r} must be http(s)://HOST:PORT")
    if parts.username is not None:
        raise InputError(f"{origin}: jobs URL {shown!r} must hold no user or password; the token goes into {TOKEN}")
    if parts.scheme == "http" and host not in LOOPBACK and not is_insecure_allowed:
        ways = "use https, or an ssh tunnel to a port of localhost, or say --insecure-network"
        raise InputError(
            f"{origin}: {shown} is plain http to another machine, and whoever listens gets the token: {ways}"
        )
    return url.rstrip("/")


def read_token(environment: Mapping[str, str]) -> str | None:
    """Return the cluster's token from where Ray itself looks for it, or None.

    Raises:
        InputError: when its file cannot be read, or holds no token.
    """
    token, origin = environment.get(TOKEN, "").strip(), TOKEN
    path = environment.get(TOKEN_PATH, "")
    if not token and path:
        origin = f"{TOKEN_PATH}: {path}"
        try:
            token = Path(path).expanduser().read_text(encoding="ascii").strip()
        except (OSError, ValueError, RuntimeError) as error:
            raise InputError(f"{origin}: {getattr(error, 'strerror', None) or 'holds no token'}") from None
        if not token:
            raise InputError(f"{origin}: is empty")
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise InputError(f"{origin}: holds no token: one is letters and digits without a space")
    return token or None


def _job(row: Mapping[str, Any]) -> RayJob:
    metadata = row.get("metadata")
    texts = {str(name): str(value) for name, value in metadata.items()} if isinstance(metadata, dict) else {}
    return RayJob(str(row.get("submission_id")), str(row.get("status")), str(row.get("message") or ""), texts)


def _reason(error: requests.RequestException) -> str:
    if isinstance(error, requests.Timeout):
        return "it does not answer in time"
    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate is not to be trusted, or it does not speak https"
    return "nobody listens there" if isinstance(error, requests.ConnectionError) else type(error).__name__


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""
