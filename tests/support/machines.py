"""Machines with addresses of their own, all on this one: of `namespaces` where they are permitted, else of `loopback`.

Nothing outlives the process that made them: what runs on them dies with it (kernel), and what is left of an earlier one
that was killed is removed at the next start.
"""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, ClassVar, Protocol

from support.loopback import LoopbackMachines
from support.namespaces import NamespaceMachines, namespaces_are_permitted


class Machine(Protocol):
    """A place to run processes that see one address.

    Attributes:
        name: of the machine.
        address: IPv4.
        folder: what it can keep, as seen from outside; `temp` is its short name on the machine.
        temp: a folder for sockets, on the machine.
    """

    name: str
    address: str
    folder: Path
    temp: str

    def boot(self, words: Sequence[str], environment: Mapping[str, str], log: IO[bytes]) -> None:
        """Switch it on: run a command that lives as long as the machine."""

    def popen(self, words: Sequence[str], environment: Mapping[str, str], **more: Any) -> subprocess.Popen[str]:
        """Run another command on it, which ends with it."""

    def is_on(self) -> bool:
        """Whether it is switched on."""

    def end(self) -> None:
        """Take its power away, and return when nothing of it runs."""

    def cut_off(self, address: str) -> None:
        """Let it reach an address no more, until it is switched on again."""

    def give(self, folder: Path) -> None:
        """Let it have a copy of a folder below /tmp, under the same name; what is there else, it does not see."""

    def ran(self, host: str, pid: int) -> bool:
        """Whether a process that runs, and gives these as its host's name and its own id, runs there."""


class Machines(Protocol):
    """Machines of one kind.

    Attributes:
        kind: how they come to addresses of their own.
        gateway: where the machines see this one.
    """

    kind: ClassVar[str]
    gateway: str

    def make(self, name: str) -> Machine:
        """Make the next machine, switched off."""

    def close(self) -> None:
        """End all machines and remove every trace."""


@contextlib.contextmanager
def machines_in(folder: Path) -> Iterator[Machines]:
    """Give machines of the best kind that is permitted here, and remove them.

    Args:
        folder: a new one, in which they leave what is worth a look after a failure.
    """
    made: Machines = NamespaceMachines(folder) if namespaces_are_permitted() else LoopbackMachines()
    with contextlib.closing(made):
        yield made
