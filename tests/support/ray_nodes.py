"""A Ray cluster whose nodes have addresses of their own: a head with dashboard and jobs API, and workers.

Each node is started as on a machine of its own (`ray start`), on one of `machines`, with token authentication. Nodes
are killed and started again, and nothing of them is left at the end.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from support.machines import Machine, Machines

GCS_PORT, DASHBOARD_PORT = 6379, 8265
OBJECT_STORE_BYTES = 80 * 2**20
START_SECONDS = 90.0
PROGRAMS = Path(sys.executable).parent

Found = TypeVar("Found")

NOTICE_QUICKLY = {
    "RAY_health_check_initial_delay_ms": "2000",
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "2000",
    "RAY_health_check_failure_threshold": "3",
    "RAY_gcs_rpc_server_reconnect_timeout_s": "20",
}
"""A node that is gone is known to be gone within some 10 s."""


class Nodes:
    """A cluster; it runs in a `with`.

    Args:
        machines: what the nodes run on.
        num_workers: nodes beside the head, ≥ 0; they are called `head`, `worker-1`, … and have one CPU each.
        environment: what every process of the cluster, and every client, gets beside what Ray needs.

    Attributes:
        token: without which the cluster answers nobody.
        nodes: each node's machine, by name.
    """

    def __init__(
        self, machines: Machines, *, num_workers: int = 2, environment: Mapping[str, str] | None = None
    ) -> None:
        self.token = secrets.token_hex(32)
        names = ["head", *(f"worker-{number}" for number in range(1, num_workers + 1))]
        self.nodes: dict[str, Machine] = {name: machines.make(name) for name in names}
        self._given = dict(environment or {})

    def __enter__(self) -> Nodes:
        try:
            self.start()
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    @property
    def addresses(self) -> dict[str, str]:
        """The address of every node, by name."""
        return {name: node.address for name, node in self.nodes.items()}

    @property
    def head_address(self) -> str:
        """HOST:PORT of the cluster, for processes on its nodes."""
        return f"{self.nodes['head'].address}:{GCS_PORT}"

    @property
    def jobs_url(self) -> str:
        """URL of the dashboard and its jobs API, for everybody."""
        return f"http://{self.nodes['head'].address}:{DASHBOARD_PORT}"

    @property
    def environment(self) -> dict[str, str]:
        """What a client of the cluster needs in its environment; nothing of this process's Ray is in it."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "SELFISH_", "XDG_"))}
        ray = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": self.token, "RAY_USAGE_STATS_ENABLED": "0"}
        return {**kept, **ray, **self._given}

    def start(self) -> None:
        """Switch on every node that is off, and wait until all are part of the cluster."""
        off = [name for name, node in self.nodes.items() if not node.is_on()]
        if "head" in off:
            self._boot("head", ["--head", f"--port={GCS_PORT}", *self._dashboard()])
            wait_until(lambda: self.alive() == [self.nodes["head"].address], START_SECONDS, self._what_was_said)
        for name in off:
            if name != "head":
                self._boot(name, [f"--address={self.head_address}"])
        addresses = sorted(self.addresses.values())
        wait_until(lambda: self.alive() == addresses, START_SECONDS, self._what_was_said)

    def restart(self) -> None:
        """Switch off what is on, and start the cluster anew at the same addresses, with the same token."""
        self._end()
        self.start()

    def kill(self, name: str) -> None:
        """Take a node's power away."""
        self.nodes[name].end()

    def kill_head(self) -> None:
        """Take the head's power away."""
        self.kill("head")

    def popen(self, name: str, words: Sequence[str], **more: Any) -> subprocess.Popen[str]:
        """Run a command on a node, with the environment of its processes."""
        return self.nodes[name].popen(words, self._environment_of(name), **more)

    def alive(self) -> list[str]:
        """Return the addresses of the nodes that the cluster takes to be alive, sorted; none while it is silent."""
        with contextlib.suppress(OSError, ValueError, KeyError):
            rows = self.ask("/api/v0/nodes")["data"]["result"]["result"]
            return sorted(row["node_ip"] for row in rows if row["state"] == "ALIVE")
        return []

    def ask(self, path: str, token: str | None = None) -> Any:
        """Return what the dashboard answers to a path.

        Raises:
            urllib.error.HTTPError: when it refuses.
            OSError: when it does not answer.
        """
        headers = {"Authorization": f"Bearer {token or self.token}"}
        with urllib.request.urlopen(urllib.request.Request(self.jobs_url + path, headers=headers), timeout=5) as answer:
            return json.load(answer)

    def _end(self) -> None:
        for node in self.nodes.values():
            node.end()

    def _boot(self, name: str, words: Sequence[str]) -> None:
        node = self.nodes[name]
        with (node.folder / "node.log").open("ab") as log:
            node.boot([*self._command(name), *words, *self._ports(name)], self._environment_of(name), log)

    def _command(self, name: str) -> list[str]:
        node = self.nodes[name]
        return [
            *(str(PROGRAMS / "ray"), "start", "--block", "--disable-usage-stats"),
            *("--num-cpus=1", f"--node-ip-address={node.address}", f"--object-store-memory={OBJECT_STORE_BYTES}"),
            *(f"--temp-dir={node.temp}/ray",),
        ]

    def _dashboard(self) -> list[str]:
        return [f"--dashboard-host={self.nodes['head'].address}", f"--dashboard-port={DASHBOARD_PORT}"]

    def _ports(self, name: str) -> list[str]:
        """Keep apart what two nodes on one machine would both listen on."""
        number = list(self.nodes).index(name)
        first = 20000 + 1000 * number
        return [
            *(f"--min-worker-port={first}", f"--max-worker-port={first + 899}"),
            *(f"--dashboard-agent-listen-port={first + 900}", f"--dashboard-agent-grpc-port={first + 901}"),
            *(f"--runtime-env-agent-port={first + 902}", f"--metrics-export-port={first + 903}"),
        ]

    def _environment_of(self, name: str) -> dict[str, str]:
        own = {"HOME": self.nodes[name].temp, "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"}
        return {**self.environment, **NOTICE_QUICKLY, **own}

    def _what_was_said(self) -> str:
        said = {name: node.folder / "node.log" for name, node in self.nodes.items()}
        return "\n".join(f"== {name}\n{log.read_text()[-3000:]}" for name, log in said.items() if log.exists())


def wait_until(condition: Callable[[], Found], seconds: float, explain: Callable[[], str] = lambda: "") -> Found:
    """Wait until a condition holds and return what it found; fail with an explanation when that does not come."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {seconds:g} s\n{explain()}")
        time.sleep(0.2)
    return found
