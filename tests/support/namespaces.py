"""Machines in namespaces: network (behind one bridge), processes, files below /tmp, shared memory and host name.

Such a machine ends as one does that loses its power: its link goes down, and everything on it is gone at once.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, ClassVar

import psutil
from support.processes import end_all, found

PREFIX = "selfish"
"""Of every network namespace of ours: selfish-PID-NAME."""

LINK_PREFIX = "sf"
"""Of the bridge, sfPID, and of the links to it, sfPIDvN: 15 characters are allowed."""

NETWORK = "198.18"
"""Set aside for tests between networks (RFC 2544): no address of anybody's."""

_INIT = """
set -e
hostname "$2"
mount --bind "$1/hosts" /etc/hosts
mount --bind /dev/null /etc/resolv.conf
mount --bind "$1" /tmp
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
shift 2
cd /tmp
"$@"
exit
"""
"""What a machine runs first: a shell that takes over orphans, as the first process of a machine must.

It knows its own name and asks nobody for others, else each question to a name server costs 10 s.
"""


class NamespaceMachine:
    """A machine in namespaces of its own."""

    def __init__(self, name: str, address: str, folder: Path, netns: str) -> None:
        self.name, self.address, self.folder, self.temp = name, address, folder, "/tmp"
        self._netns = netns
        self._process: subprocess.Popen[bytes] | None = None

    def boot(self, words: Sequence[str], environment: Mapping[str, str], log: IO[bytes]) -> None:
        ip("-n", self._netns, "link", "set", "eth0", "up")
        ip("-n", self._netns, "route", "flush", "type", "unreachable")
        ip("-n", self._netns, "route", "replace", "default", "via", f"{self.address.rpartition('.')[0]}.1")
        self._process = subprocess.Popen(
            [
                *("ip", "netns", "exec", self._netns, "setpriv", "--pdeathsig", "KILL"),
                *("unshare", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc"),
                *("sh", "-c", _INIT, "sh", str(self.folder), self.name, *words),
            ],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )

    def popen(self, words: Sequence[str], environment: Mapping[str, str], **more: Any) -> subprocess.Popen[str]:
        [first] = psutil.Process(self._process.pid if self._process else -1).children()
        enter = ("nsenter", f"--target={first.pid}", "--net", "--mount", "--uts", "--ipc", "--pid", "--wdns=/tmp")
        return subprocess.Popen([*enter, *words], env=dict(environment), text=True, **more)

    def is_on(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def end(self) -> None:
        ip("-n", self._netns, "link", "set", "eth0", "down")
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        end_all(lambda: processes_in(self._netns))

    def cut_off(self, address: str) -> None:
        ip("-n", self._netns, "route", "add", "unreachable", address)

    def give(self, folder: Path) -> None:
        shutil.copytree(folder, self.folder / folder.relative_to("/tmp"))

    def ran(self, host: str, pid: int) -> bool:
        return host == self.name


class NamespaceMachines:
    """Machines behind a bridge of this one, which is the gateway; what they send elsewhere goes nowhere."""

    kind: ClassVar[str] = "network namespaces"

    def __init__(self, folder: Path) -> None:
        remove_stale()
        self._folder = folder
        self._bridge = f"{LINK_PREFIX}{os.getpid()}"
        self._net = f"{NETWORK}.{os.getpid() % 256}"
        self.gateway = f"{self._net}.1"
        self._made: list[NamespaceMachine] = []
        ip("link", "add", self._bridge, "type", "bridge")
        ip("addr", "add", f"{self.gateway}/24", "dev", self._bridge)
        ip("link", "set", self._bridge, "up")

    def make(self, name: str) -> NamespaceMachine:
        number = len(self._made) + 2
        netns, link, address = f"{PREFIX}-{os.getpid()}-{name}", f"{self._bridge}v{number}", f"{self._net}.{number}"
        folder = self._folder / name
        folder.mkdir(parents=True)
        (folder / "hosts").write_text(f"127.0.0.1 localhost\n{address} {name}\n")
        ip("netns", "add", netns)
        ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", netns)
        ip("link", "set", link, "master", self._bridge, "up")
        ip("-n", netns, "addr", "add", f"{address}/24", "dev", "eth0")
        ip("-n", netns, "link", "set", "lo", "up")
        self._made.append(NamespaceMachine(name, address, folder, netns))
        return self._made[-1]

    def close(self) -> None:
        remove(os.getpid())


@functools.cache
def namespaces_are_permitted() -> bool:
    """Whether this process may make network, process and mount namespaces."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        return False
    name = f"{PREFIX}-{os.getpid()}-try"
    try:
        ip("netns", "add", name)
        inside = ("unshare", "--mount", "--uts", "--ipc", "--pid", "--fork", "--mount-proc")
        ip("netns", "exec", name, *inside, "mount", "-t", "tmpfs", "tmpfs", "/dev/shm")
        ip("link", "add", f"{LINK_PREFIX}{os.getpid()}", "type", "bridge")
    except subprocess.CalledProcessError:
        return False
    finally:
        remove(os.getpid())
    return True


def ip(*words: str) -> str:
    """Run iproute2's `ip` and return what it prints."""
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout


def names(owner: int) -> list[str]:
    """Return the network namespaces that a process has made."""
    lines = ip("netns", "list").splitlines()
    return [line.split()[0] for line in lines if line.startswith(f"{PREFIX}-{owner}-")]


def remove(owner: int) -> None:
    """Remove the namespaces, links and bridge that a process has made, and end what still runs there."""
    for name in names(owner):
        end_all(functools.partial(processes_in, name))
        ip("netns", "delete", name)
    for link in re.findall(rf"^({LINK_PREFIX}{owner}(?:v\d+)?)\b", ip("-brief", "link"), re.MULTILINE):
        with contextlib.suppress(subprocess.CalledProcessError):  # the kernel may be quicker
            ip("link", "delete", link)


def remove_stale() -> None:
    """Remove what processes left that were killed."""
    owners = {int(line.split("-")[1]) for line in ip("netns", "list").splitlines() if line.startswith(f"{PREFIX}-")}
    for owner in owners:
        if not psutil.pid_exists(owner):
            remove(owner)


def processes_in(netns: str) -> list[psutil.Process]:
    """Find the processes of a network namespace."""
    return found(int(pid) for pid in ip("netns", "pids", netns).split())
