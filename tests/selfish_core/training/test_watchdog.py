"""The watchdog: a worker that makes no progress is ended, wherever it is stuck, and where it stood is kept."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from selfish_core.trial_store import TrialStore

ROOT = Path(__file__).parents[3]

WORKER = """
import time
from selfish_core.training.watchdog import Watchdog, Watched
watchdog = Watchdog()
watchdog.watch(Watched(1.0, "somekey", {store!r}, "worker-1"))
def stuck():
    {stuck}
{work}
"""


def run_worker(work: str, stuck: str = "pass", store: Path | None = None) -> subprocess.CompletedProcess[str]:
    code = WORKER.format(work=work, stuck=stuck, store=None if store is None else str(store))
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=60,
        check=False,
    )


@pytest.fixture
def trial_store(tmp_path: Path) -> TrialStore:
    store = TrialStore.open(tmp_path / "store")
    store.put({"seed": 1}, "somekey")
    return store


@pytest.mark.parametrize(
    "stuck",
    ["time.sleep(100)", "sum(range(10**15))"],
    ids=["in Python", "in C, with the interpreter's lock"],
)
def test_a_stuck_worker_is_killed_and_its_stacks_are_kept(stuck: str, trial_store: TrialStore, tmp_path: Path) -> None:
    done = run_worker("watchdog.beat(); stuck()", stuck, tmp_path / "store")
    assert done.returncode == -signal.SIGKILL
    assert "trial somekey has made no step for 1 s" in done.stderr
    (stall,) = trial_store.trial("somekey").stalls.read()
    assert (stall.worker, stall.timeout_seconds) == ("worker-1", 1.0)
    assert "in stuck" in stall.stacks
    assert stall.stacks in done.stderr
    assert trial_store.problems() == []


def test_every_thread_is_told() -> None:
    work = "import threading; threading.Thread(target=stuck, daemon=True).start(); time.sleep(100)"
    done = run_worker(work, "time.sleep(100)")
    assert done.returncode == -signal.SIGKILL
    assert "in stuck" in done.stderr
    assert "in <module>" in done.stderr


def test_a_worker_that_goes_on_lives() -> None:
    work = "for _ in range(25): time.sleep(0.1); watchdog.beat()"
    assert run_worker(work).returncode == 0


def test_a_worker_that_rests_may_take_its_time() -> None:
    done = run_worker("watchdog.rest(); time.sleep(2.5)")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_worker_may_rest_and_be_watched_again() -> None:
    again = 'watchdog.watch(Watched(1.0, "otherkey"))'
    done = run_worker(f"watchdog.rest(); time.sleep(1.5); {again}; stuck()", "time.sleep(100)")
    assert done.returncode == -signal.SIGKILL
    assert "trial otherkey has made no step" in done.stderr


def test_a_watchdog_that_was_killed_is_replaced() -> None:
    work = "watchdog._process.kill(); watchdog._process.wait(); watchdog.beat(); stuck()"
    done = run_worker(work, "time.sleep(100)")
    assert done.returncode == -signal.SIGKILL
    assert "trial somekey has made no step" in done.stderr


def test_the_watchdog_ends_with_its_worker() -> None:
    done = run_worker("print(watchdog._process.pid, flush=True); import os; os._exit(3)")
    assert done.returncode == 3
    deadline = time.monotonic() + 20
    while is_running(int(done.stdout)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_running(int(done.stdout))


def is_running(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_a_closed_watchdog_leaves_no_process() -> None:
    assert run_worker("process = watchdog._process; watchdog.close(); assert process.returncode == 0").returncode == 0


def test_a_store_that_does_not_answer_saves_nobody(tmp_path: Path) -> None:
    done = run_worker("stuck()", "time.sleep(100)", tmp_path / "nowhere")
    assert done.returncode == -signal.SIGKILL
