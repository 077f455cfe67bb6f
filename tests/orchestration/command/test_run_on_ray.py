"""`selfish run` on a Ray of its own, while another's cluster runs on the same machine."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

Command = Callable[..., subprocess.CompletedProcess[str]]

FOREIGN = """
import sys
import ray
ray.init(address="local", include_dashboard=False, num_cpus=1, _temp_dir=sys.argv[1], log_to_driver=False)
sys.stdout.write(ray.get_runtime_context().gcs_address + "\\n")
sys.stdout.flush()
sys.stdin.readline()
from ray._private.state import jobs
sys.stdout.write(str(len(jobs())) + "\\n")
ray.shutdown()
"""


@pytest.fixture
def foreign(environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """A cluster without authentication that anybody may join; ended through its stdin, never by name."""
    with tempfile.TemporaryDirectory(prefix="f", dir="/tmp") as folder:
        process = subprocess.Popen(
            [sys.executable, "-c", FOREIGN, folder],
            env={**environment, "RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            yield process
        finally:
            process.communicate("\n", timeout=60)


@pytest.mark.ray
def test_a_sweep_runs_once_on_a_cluster_of_its_own(
    selfish: Command,
    environment: dict[str, str],
    foreign: subprocess.Popen[str],
    tiny: Path,
    tmp_path: Path,
) -> None:
    assert foreign.stdin is not None
    assert foreign.stdout is not None
    address = foreign.stdout.readline().strip()
    place = tempfile.mkdtemp(prefix="s", dir="/tmp")
    environment |= {"RAY_ADDRESS": address, "TMPDIR": place}
    words = [sys.executable, "-m", "orchestration.cli", "run", "tiny.yaml"]
    first = subprocess.Popen(
        words, env=environment, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_for(lambda: (tmp_path / "store" / "sweeps" / "tiny" / "owner.json").exists())

    refused = selfish("run", "tiny.yaml")
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"error: sweep 'tiny' is owned by pid {first.pid} on host ")
    assert len(refused.stderr.splitlines()) == 1

    table, told = first.communicate(timeout=200)
    assert first.returncode == 0, told
    assert "Ray is up" in told
    assert table.startswith("tiny: two methods, two seeds\n")
    assert "the table is made from the records" not in told
    foreign.stdin.write("\n")
    foreign.stdin.flush()
    assert foreign.stdout.readline() == "1\n", "a job of ours ran on the foreign cluster"
    assert not (tmp_path / "home" / ".ray").exists()
    assert list(Path(place).glob("selfish-*/*")) == []
    assert [
        process for process in psutil.process_iter(["cmdline"]) if place in " ".join(process.info["cmdline"] or [])
    ] == []

    log = tmp_path / "store" / "logs" / "tiny.log"
    size = log.stat().st_size
    second = selfish("run", "tiny.yaml")
    assert second.returncode == 0
    assert second.stderr.startswith("all 4 trials are answered; nothing to run\n")
    assert "Ray" not in second.stderr
    assert second.stdout == table
    assert log.stat().st_size == size

    shown = json.loads(selfish("sync", "--json").stdout)
    assert (shown["num_trials"], shown["num_epochs"], shown["num_created"]) == (4, 0, 0)
    shutil.rmtree(place)


def test_with_mlflow_down_the_table_comes_from_the_records(selfish: Command, tiny: Path) -> None:
    assert selfish("train", "tiny.yaml", "--device", "cpu").returncode == 0
    down = ("--tracking-uri", "http://127.0.0.1:9")
    done = selfish("run", "tiny.yaml", *down)
    assert done.returncode == 0
    assert done.stdout == selfish("table", "tiny.yaml").stdout
    assert done.stderr.count("warning: ") == 1
    strict = selfish("run", "tiny.yaml", "--require-tracking", *down)
    assert strict.returncode == 1
    assert strict.stdout == ""
    assert strict.stderr.splitlines()[-1].startswith("error: MLflow at http://127.0.0.1:9")


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)
