"""What says that a local stack is up: two files in a folder of the user's, and how its processes are found.

`keeper.json` says which process keeps the stack, by id and start time, on which machine, and the mark that all below it
have in their environment; `stack.json` how to use it, from when it can be used.
"""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path
from typing import Any

import psutil

from selfish_core.errors import SelfishError
from selfish_core.files import LocalStorage
from selfish_core.places import user_folder
from selfish_core.storage import decode_json, encode_json

KEEPER_FILE, STACK_FILE = "keeper.json", "stack.json"
LOGS = "logs"
CLOCK_SECONDS = 5.0
"""By how much a process's start time may seem to change when the system's clock is corrected."""

MARK = "SELFISH_STACK"
"""Names one start of a stack in the environment of its processes."""


def is_there() -> bool:
    """Whether this user has ever had a stack."""
    return _place().is_dir()


def folder() -> LocalStorage:
    """Open the folder that holds the stack's files and logs."""
    return LocalStorage(_place())


def find_keeper(storage: LocalStorage) -> psutil.Process | None:
    """Return the process that keeps the stack, if it lives.

    Raises:
        SelfishError: when it is one of another machine.
    """
    told = _keeper_file(storage)
    if told is None:
        return None
    if told["host"] != socket.gethostname():
        where = storage.where(KEEPER_FILE)
        raise SelfishError(f"the stack is up on machine {told['host']}, as {where} says: use it or end it there")
    with contextlib.suppress(psutil.NoSuchProcess):
        process = psutil.Process(told["pid"])
        is_it = abs(process.create_time() - told["started"]) < CLOCK_SECONDS
        return process if is_it and is_alive(process) else None
    return None


def end_remains(storage: LocalStorage) -> int:
    """End what a killed keeper has left, remove its files, and return how many processes that were."""
    told = _keeper_file(storage)
    remains = [process for process in psutil.process_iter() if told and _mark(process) == told["mark"]]
    for process in remains:
        with contextlib.suppress(psutil.Error):
            process.kill()
    psutil.wait_procs(remains, timeout=5)
    for name in (STACK_FILE, KEEPER_FILE):
        storage.delete(name)
    return len(remains)


def describe_keeper() -> dict[str, Any]:
    """Return what `keeper.json` says of this process."""
    started = psutil.Process().create_time()
    return {"pid": os.getpid(), "started": started, "host": socket.gethostname(), "mark": os.environ[MARK]}


def record(storage: LocalStorage, name: str, content: dict[str, Any]) -> None:
    """Write one of the stack's files anew; only the keeper does so."""
    storage.delete(name)
    storage.create(name, encode_json(content))


def log_file(storage: LocalStorage, name: str) -> Path:
    """Return a log's file, in a folder that is there."""
    path = storage.root / LOGS / f"{name}.log"
    path.parent.mkdir(mode=0o700, exist_ok=True)
    return path


def is_alive(process: psutil.Process) -> bool:
    """Whether a process runs still."""
    with contextlib.suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def read(storage: LocalStorage, name: str) -> dict[str, Any]:
    """Return what one of the stack's files says.

    Raises:
        FileNotFoundError: when there is none.
        CorruptFileError: when it is damaged.
    """
    return decode_json(storage.read(name), storage.where(name))


def _place() -> Path:
    return user_folder() / "stack"


def _keeper_file(storage: LocalStorage) -> dict[str, Any] | None:
    with contextlib.suppress(FileNotFoundError):
        return read(storage, KEEPER_FILE)
    return None


def _mark(process: psutil.Process) -> str:
    with contextlib.suppress(psutil.Error, OSError):
        return process.environ().get(MARK, "")
    return ""
