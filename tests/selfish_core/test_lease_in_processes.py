"""Leases with real clocks: threads that beat, wall clocks that jump, owners that are stopped, killed or forked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from selfish_core.errors import OwnedElsewhereError
from selfish_core.files import LocalStorage
from selfish_core.lease import Terms, Watch, claim, held

NAME = "sweeps/toy/owner.lock"
FOLDER = f"{NAME}.d"


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_wall_clock_that_jumps_changes_nothing(tmp_path: Path, hours: int, monkeypatch: pytest.MonkeyPatch) -> None:
    storage, terms, wall_clock = LocalStorage(tmp_path), Terms(3.0), time.time
    with held(storage, NAME, terms) as lease:
        monkeypatch.setattr(time, "time", lambda: wall_clock() + hours * 3600)
        with pytest.raises(OwnedElsewhereError), held(LocalStorage(tmp_path), NAME, terms):
            pass
        assert not lease.is_lost
    monkeypatch.setattr(time, "time", wall_clock)
    with held(LocalStorage(tmp_path), NAME, terms) as lease:
        assert not lease.is_lost


def test_an_owner_lives_longer_than_the_lease_time_by_its_beats(tmp_path: Path) -> None:
    with held(LocalStorage(tmp_path), NAME, Terms(2.0)) as lease:
        time.sleep(3.0)
        assert not lease.is_lost
    assert not Watch(LocalStorage(tmp_path), NAME, Terms(2.0)).is_held()


OWNER = """
import sys
from pathlib import Path
from selfish_core.files import LocalStorage
from selfish_core.lease import Terms, held
with held(LocalStorage(Path(sys.argv[1])), sys.argv[2], Terms(2.0)) as lease:
    print("owns", flush=True)
    for _ in sys.stdin:
        print("lost" if lease.is_lost else "owns", flush=True)
"""


@pytest.fixture
def owner(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", OWNER, str(tmp_path), NAME]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    yield process
    process.kill()
    process.communicate()


def ask(owner: subprocess.Popen[str]) -> str:
    owner.stdin.write("?\n")
    owner.stdin.flush()
    return owner.stdout.readline().strip()


def test_a_stopped_owner_is_replaced_and_knows_it_when_it_wakes(owner: subprocess.Popen[str], tmp_path: Path) -> None:
    assert owner.stdout.readline() == "owns\n"
    assert ask(owner) == "owns"
    os.kill(owner.pid, signal.SIGSTOP)
    with held(LocalStorage(tmp_path), NAME, Terms(2.0)) as lease:
        os.kill(owner.pid, signal.SIGCONT)
        assert ask(owner) == "lost"
        owner.communicate()
        assert (lease.generation, lease.is_lost) == (2, False)


def test_a_killed_owner_is_replaced(owner: subprocess.Popen[str], tmp_path: Path) -> None:
    assert owner.stdout.readline() == "owns\n"
    owner.kill()
    with held(LocalStorage(tmp_path), NAME, Terms(2.0)) as lease:
        assert lease.generation == 2


def test_an_owner_that_ends_leaves_at_once(owner: subprocess.Popen[str], tmp_path: Path) -> None:
    assert owner.stdout.readline() == "owns\n"
    owner.communicate()
    assert not Watch(LocalStorage(tmp_path), NAME, Terms()).is_held()
    assert claim(LocalStorage(tmp_path), NAME, Terms()).generation == 2


def test_a_forked_child_that_unwinds_leaves_its_parents_lease(tmp_path: Path) -> None:
    storage, child = LocalStorage(tmp_path), -1
    try:
        with held(storage, NAME, Terms(30.0)):
            child = os.fork()
            if child == 0:
                raise KeyboardInterrupt
            os.waitpid(child, 0)
            assert storage.list(FOLDER) == ["000001.json"]
    finally:
        if child == 0:
            os._exit(0)
    assert storage.list(FOLDER) == ["000001-released.json", "000001.json"]
