"""Machines for those who are not root: an address 127.0.0.N and a folder."""

from __future__ import annotations

import getpass
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, ClassVar

import psutil
import pytest
from support.processes import end_all, working_in

PREFIX = "sf"
"""Of the folders: /tmp/sfPID-…, short for the sake of sockets' names."""


class LoopbackMachine:
    """An address of the loopback interface and a folder; what works in that folder is the machine's."""

    def __init__(self, name: str, address: str, folder: Path) -> None:
        self.name, self.address, self.folder, self.temp = name, address, folder, str(folder)
        self._process: subprocess.Popen[bytes] | None = None

    def boot(self, words: Sequence[str], environment: Mapping[str, str], log: IO[bytes]) -> None:
        alone = ("setpriv", "--pdeathsig", "KILL")
        given = {**environment, "TMPDIR": self.temp}
        self._process = subprocess.Popen(
            [*alone, *words], env=given, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )

    def popen(self, words: Sequence[str], environment: Mapping[str, str], **more: Any) -> subprocess.Popen[str]:
        given = {**environment, "TMPDIR": self.temp}
        return subprocess.Popen(list(words), env=given, cwd=self.folder, text=True, **more)

    def is_on(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        end_all(lambda: working_in(self.folder))

    def cut_off(self, address: str) -> None:
        pytest.skip("a loopback address cannot be cut off")

    def give(self, folder: Path) -> None:
        pytest.skip("on loopback addresses all machines see the same files")

    def ran(self, host: str, pid: int) -> bool:
        return pid in [process.pid for process in working_in(self.folder)]


class LoopbackMachines:
    """Machines for those who are not root."""

    kind: ClassVar[str] = "loopback addresses"

    def __init__(self) -> None:
        self.gateway = "127.0.0.1"
        remove_stale()
        self._folder = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-", dir="/tmp"))
        self._made: list[LoopbackMachine] = []

    def make(self, name: str) -> LoopbackMachine:
        folder = self._folder / name
        folder.mkdir()
        self._made.append(LoopbackMachine(name, f"127.0.0.{len(self._made) + 2}", folder))
        return self._made[-1]

    def close(self) -> None:
        remove(self._folder)


def remove(folder: Path) -> None:
    """Remove the folder of some machines, and end what still runs there."""
    end_all(lambda: working_in(folder))
    shutil.rmtree(folder, ignore_errors=True)


def remove_stale() -> None:
    """Remove what processes left that were killed."""
    for folder in Path("/tmp").glob(f"{PREFIX}[0-9]*-*"):
        owner = re.fullmatch(rf"{PREFIX}(\d+)-\w+", folder.name)
        if owner and not psutil.pid_exists(int(owner[1])) and folder.owner() == getpass.getuser():
            remove(folder)
