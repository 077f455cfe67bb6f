"""A throw-away Slurm on this machine: a controller and two nodes of one CPU each, no munge, gone after the test."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PROGRAMS = ("slurmctld", "slurmd", "sbatch", "srun", "scontrol")
START_SECONDS = 30.0

CONFIG = """
ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort={ports[0]}
AuthType=auth/none
CredType=cred/none
SlurmUser={user}
SlurmdUser={user}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
MinJobAge=300
KillWait=20
SlurmdParameters=config_overrides
NodeName=n1 NodeAddr=127.0.0.1 Port={ports[1]} CPUs=1
NodeName=n2 NodeAddr=127.0.0.1 Port={ports[2]} CPUs=1
PartitionName=main Nodes=ALL Default=YES State=UP
"""


@dataclass(frozen=True)
class Slurm:
    """A Slurm that is up.

    Args:
        folder: of its configuration, state and logs.
        environment: of commands that talk to it.
    """

    folder: Path
    environment: dict[str, str]

    def command(self, *arguments: str, **environment: str) -> str:
        """Run one of Slurm's commands and return what it prints."""
        done = subprocess.run(
            arguments,
            env={**self.environment, **environment},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def state(self, job: str) -> str:
        """Return a job's state, e.g. RUNNING."""
        shown = self.command("scontrol", "--oneliner", "show", "job", job)
        return shown.partition("JobState=")[2].split()[0]

    def wait_until(self, holds: Callable[[], bool], seconds: float, what: str) -> None:
        """Wait for something; fails with every log when it does not come."""
        deadline = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > deadline:
                logs = sorted(self.folder.glob("*.log"))
                pytest.fail("\n".join([f"waited for {what}", *(f"{log.name}:\n{_tail(log)}" for log in logs)]))
            time.sleep(0.3)


@contextlib.contextmanager
def running(folder: Path) -> Iterator[Slurm]:
    """Start a Slurm and end it; skips, visibly, where Slurm is not installed."""
    missing = [name for name in PROGRAMS if shutil.which(name, path=_path()) is None]
    if missing:
        pytest.skip(f"no {missing[0]} (Debian: apt-get install slurm-wlm)")
    config = folder / "slurm.conf"
    (folder / "state").mkdir()
    config.write_text(CONFIG.format(folder=folder, user=getpass.getuser(), ports=_free_ports(3)), encoding="ascii")
    slurm = Slurm(folder, {**os.environ, "PATH": _path(), "SLURM_CONF": str(config)})
    with contextlib.ExitStack() as stack:
        for name, command in (("slurmctld", ()), ("n1", ("-N", "n1")), ("n2", ("-N", "n2"))):
            (folder / f"spool-{name}").mkdir()
            program = name if name == "slurmctld" else "slurmd"
            stack.enter_context(_daemon(slurm, program, *command))
        slurm.wait_until(lambda: _are_idle(slurm), START_SECONDS, "two idle nodes")
        yield slurm
        subprocess.run(["scancel", "--user", getpass.getuser()], env=slurm.environment, check=True, timeout=30)
        slurm.wait_until(lambda: _has_no_jobs(slurm), 60, "the end of every job")


def _path() -> str:
    return f"{os.environ['PATH']}:/usr/sbin:/sbin"


def _are_idle(slurm: Slurm) -> bool:
    done = subprocess.run(["sinfo", "-h", "-o", "%D %t"], env=slurm.environment, capture_output=True, text=True)
    return done.stdout.strip() == "2 idle"


def _has_no_jobs(slurm: Slurm) -> bool:
    return not slurm.command("squeue", "--noheader")


@contextlib.contextmanager
def _daemon(slurm: Slurm, program: str, *arguments: str) -> Iterator[None]:
    with (slurm.folder / "daemons.log").open("ab") as log:
        command = ["setpriv", "--pdeathsig", "TERM", program, "-D", *arguments]
        process = subprocess.Popen(command, env=slurm.environment, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        process.wait(timeout=30)


def _free_ports(number: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-25:])
