"""The sbatch template on a real Slurm: it answers a sweep, leaves nothing behind, and goes on after a requeue."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from support import slurm as slurm_support
from support.slurm import Slurm

TEMPLATE = Path(__file__).parents[2] / "deploy" / "slurm" / "selfish.sbatch"
BIN = Path(sys.executable).parent
SPEC = """
name: in-slurm
description: two trials on two nodes
base:
  corpus: synthetic
  method: static
  sparsity: 0.5
  architecture: {name: stacked_lstm, num_layers: 1, hidden_size: 8, embedding_size: 8}
  optimizer: {name: sgd, learning_rate: 1.0}
epochs: EPOCHS
seeds: [1, 2]
table: {rows: method, metric: test_perplexity}
"""


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slurm]:
    with slurm_support.running(tmp_path_factory.mktemp("slurm")) as slurm:
        yield slurm


def write_spec(folder: Path, epochs: int) -> Path:
    path = folder / "in-slurm.yaml"
    path.write_text(SPEC.replace("EPOCHS", str(epochs)), encoding="utf-8")
    return path


def submit(slurm: Slurm, folder: Path, spec: Path) -> str:
    settings = {
        "SELFISH_VENV": str(BIN.parent),
        "SELFISH_STORE": str(folder / "store"),
        "SELFISH_TRACKING_URI": f"sqlite:///{folder}/mlflow.db",
        "SELFISH_SHARED": str(folder / "shared"),
    }
    for_test = ("--parsable", "--cpus-per-task=1", "--gpus-per-node=0", "--time=60", "--output=job.log")
    return slurm.command("sbatch", *for_test, str(TEMPLATE), str(spec), **settings)


def states(folder: Path, spec: Path) -> list[str]:
    command = [BIN / "selfish", "plan", spec, "--store", folder / "store", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return [trial["state"] for trial in json.loads(done.stdout)["trials"]]


def ours(job: str) -> list[str]:
    """Command lines of the processes of a job's Ray."""
    lines = (" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"]))
    return [line for line in lines if f"/tmp/selfish-slurm-{job}" in line]


def ray_logs(slurm: Slurm, job: str) -> list[str]:
    """What Ray said, node by node."""
    return [path.read_text(encoding="utf-8") for path in sorted(slurm.folder.glob(f"selfish-{job}-ray-*.log"))]


def is_over(slurm: Slurm, job: str) -> bool:
    return slurm.state(job) in ("COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL")


def assert_nothing_is_left(slurm: Slurm, folder: Path, job: str) -> None:
    slurm.wait_until(lambda: not ours(job), 30, "the end of every Ray process of the job")
    assert not Path(f"/tmp/selfish-slurm-{job}").exists()
    assert list((folder / "shared").iterdir()) == []


def test_the_template_has_no_fault_that_shellcheck_knows() -> None:
    if shutil.which("shellcheck") is None:
        pytest.skip("no shellcheck (Debian: apt-get install shellcheck)")
    done = subprocess.run(["shellcheck", TEMPLATE], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout


@pytest.mark.ray
@pytest.mark.timeout(600)
def test_a_sweep_is_answered_on_two_nodes_and_nothing_is_left_behind(slurm: Slurm, tmp_path: Path) -> None:
    spec = write_spec(tmp_path, epochs=1)
    job = submit(slurm, tmp_path, spec)
    slurm.wait_until(lambda: is_over(slurm, job), 240, "the end of the job")
    log = (slurm.folder / "job.log").read_text(encoding="utf-8")
    assert slurm.state(job) == "COMPLETED", log
    assert states(tmp_path, spec) == ["answered", "answered"]
    assert [("Ray runtime started" in text) for text in ray_logs(slurm, job)] == [True, True]
    assert_nothing_is_left(slurm, tmp_path, job)


@pytest.mark.ray
@pytest.mark.timeout(600)
def test_a_sweep_goes_on_after_the_time_limit_sent_its_job_back_to_the_queue(slurm: Slurm, tmp_path: Path) -> None:
    spec = write_spec(tmp_path, epochs=12)
    job = submit(slurm, tmp_path, spec)
    records = tmp_path / "store" / "trials"
    slurm.wait_until(lambda: len(list(records.glob("*/attempts/1/records/epoch-*"))) >= 2, 240, "two epochs")
    slurm.command("scancel", "--batch", "--signal=USR1", job)
    slurm.wait_until(lambda: slurm.state(job) == "PENDING", 120, "the job to be queued again")
    slurm.command("scontrol", "update", f"JobId={job}", "StartTime=now")
    slurm.wait_until(lambda: is_over(slurm, job), 240, "the end of the job")
    assert slurm.state(job) == "COMPLETED", (slurm.folder / "job.log").read_text(encoding="utf-8")
    assert states(tmp_path, spec) == ["answered", "answered"]
    assert len(list(records.glob("*/attempts/2"))) >= 1
    assert_nothing_is_left(slurm, tmp_path, job)
