"""Sweeps from outside: a place to submit them from, and a cluster that is watched while it runs them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from support.ray_nodes import Nodes
from support.s3 import S3Server

from selfish_core.trial_store import TrialStore

RECORD = re.compile(r"/trials/(\w+)/attempts/(\d+)/records/epoch-(\d+)\.json")


@dataclass(frozen=True)
class Place:
    """A folder from which sweeps are run, with a home, a trial store and a tracking store.

    Args:
        folder: of the person who runs them.
        store: folder or URL of the trial store.
        tracking_uri: of MLflow.
        environment: what else the commands get.
    """

    folder: Path
    store: str
    tracking_uri: str
    environment: dict[str, str]

    @classmethod
    def make(cls, folder: Path) -> Place:
        """Make one that needs nothing but the folder."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SELFISH_", "XDG_", "RAY_"))}
        return cls(folder, str(folder / "store"), f"sqlite:///{folder}/mlflow.db", kept)

    def start(self, *words: str, **variables: str) -> subprocess.Popen[str]:
        own = {"HOME": str(self.folder), "SELFISH_STORE": self.store, "SELFISH_TRACKING_URI": self.tracking_uri}
        return subprocess.Popen(
            [sys.executable, "-m", "orchestration.cli", *words],
            env={**self.environment, **own, **variables},
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def call(self, *words: str) -> str:
        """Run a command to its end, which must be a good one, and return what it answers."""
        process = self.start(*words)
        out, err = process.communicate(timeout=240)
        assert process.returncode == 0, err
        return out

    def science(self) -> dict[str, list[str]]:
        """Return what every trial's records say of the science, by key."""
        store = TrialStore.open(self.store)
        return {key: [record.science() for record in store.trial(key).records()] for key in sorted(store.keys())}


@dataclass(frozen=True)
class Cluster:
    """Nodes, the place from which sweeps are submitted to them, and the S3 server that holds the trial store."""

    nodes: Nodes
    place: Place
    s3: S3Server

    def submit(self, spec: str) -> str:
        """Submit a sweep and return the job's id."""
        return str(json.loads(self.place.call("submit", spec, "--json", *self.jobs))["id"])

    @property
    def jobs(self) -> tuple[str, ...]:
        """How a command is told of the cluster; that it is on this machine, its address does not show."""
        return ("--jobs-url", self.nodes.jobs_url, "--insecure-network")

    def has_ended(self, job: str) -> bool:
        """Whether a job has ended well; one that has failed ends the test."""
        status = self.nodes.ask(f"/api/jobs/{job}")["status"]
        assert status not in ("FAILED", "STOPPED"), self.log(job)
        return bool(status == "SUCCEEDED")

    def log(self, job: str) -> str:
        return str(self.nodes.ask(f"/api/jobs/{job}/logs")["logs"])

    def recorded(self) -> list[tuple[str, int, int]]:
        """Return key, attempt and epoch of every record that was ever sent to the store, in that order of time."""
        paths = dict.fromkeys(path for method, path in list(self.s3.requests) if method == "PUT")
        found = (match for match in map(RECORD.search, paths) if match)
        return [(match[1], int(match[2]), int(match[3])) for match in found]

    def num_epochs(self) -> Counter[str]:
        """Return how many epochs each trial has recorded."""
        return Counter(key for key, _, _ in self.recorded())
