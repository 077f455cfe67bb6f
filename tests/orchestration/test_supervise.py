"""The supervisor, over drivers that answer, die, hang, refuse, ignore a stop, or lose their supervisor."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from orchestration import supervise as module
from orchestration.agenda import Decided, Todo
from orchestration.decisions import Failed
from orchestration.job import Job
from orchestration.processes import StopRequest
from orchestration.supervise import Outcome, Surroundings, Watch, supervise
from selfish_core.errors import InputError, SelfishError

DRIVER = """
import json, os, signal, subprocess, sys, time
from pathlib import Path
from orchestration import processes
processes.end_with_parent()
job = json.loads(sys.stdin.readline())
folder = Path(job["store"])
with (folder / "starts").open("a") as file:
    file.write(json.dumps(sorted(job["trials"])) + "\\n")
def report(**event):
    print(json.dumps(event), flush=True)
def answer(key):
    (folder / f"{key}.answered").touch()
"""

Supervised = Callable[[str], Outcome]


@pytest.fixture
def job(tmp_path: Path) -> Job:
    trials = {key: {"seed": index} for index, key in enumerate("abc")}
    return Job(sweep="s", trials=trials, epochs=1, cpu=1, gpu=0, store=str(tmp_path), data=None, scratch=str(tmp_path))


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def watch(tmp_path: Path, lines: list[str]) -> Watch:
    def missing() -> list[str]:
        return [key for key in "abc" if not (tmp_path / f"{key}.answered").exists()]

    def todo() -> Todo:
        gone = {path.stem for path in tmp_path.glob("*.failed")}
        failed = {key: Failed(trial=key, failure="crashed", message="boom", is_final=True) for key in gone}
        paused = "paused" if (tmp_path / "paused").exists() else ""
        runnable = () if paused else tuple(key for key in missing() if key not in gone)
        return Todo(runnable, paused, "stopped" if (tmp_path / "stopped").exists() else "", Decided(failed))

    return Watch(
        todo,
        lambda: 3 - len(missing()),
        is_cancelled=(tmp_path / "cancelled").exists,
        say=lines.append,
    )


def surroundings(tmp_path: Path, code: str, start_seconds: float = 60) -> Surroundings:
    script = tmp_path / "driver.py"
    script.write_text(DRIVER + textwrap.dedent(code))
    return Surroundings(dict(os.environ), tmp_path / "logs" / "s.log", [sys.executable, str(script)], start_seconds)


def starts(tmp_path: Path) -> list[list[str]]:
    return [json.loads(line) for line in (tmp_path / "starts").read_text().splitlines()]


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_driver_that_answers_runs_once(job: Job, watch: Watch, tmp_path: Path, lines: list[str]) -> None:
    around = surroundings(
        tmp_path,
        """
        report(kind="started", cpu=2)
        for key in job["trials"]: answer(key)
        print("no event", flush=True)
        report(kind="finished")
        sys.stderr.write("what Ray says")
        """,
    )
    with StopRequest() as stop:
        assert supervise(job, watch, around, stop) == Outcome(Todo((), "", "", Decided()))
    assert starts(tmp_path) == [["a", "b", "c"]]
    assert lines == ["Ray is up with 2 CPUs"]
    assert around.log.read_text() == "what Ray says"
    assert around.log.stat().st_mode & 0o777 == 0o600


def test_nothing_starts_when_nothing_is_missing(job: Job, watch: Watch, tmp_path: Path) -> None:
    for key in "abc":
        (tmp_path / f"{key}.answered").touch()
    with StopRequest() as stop:
        supervise(job, watch, surroundings(tmp_path, "raise SystemExit"), stop)
    assert not (tmp_path / "starts").exists()


def test_an_exit_code_says_nothing(job: Job, watch: Watch, tmp_path: Path) -> None:
    """Answers count, however the driver ends; and 0 without answers is a death."""
    with StopRequest() as stop:
        supervise(job, watch, surroundings(tmp_path, "for key in job['trials']: answer(key)\nos._exit(9)"), stop)
        assert len(starts(tmp_path)) == 1
        (tmp_path / "a.answered").unlink()
        with pytest.raises(SelfishError):
            supervise(job, watch, surroundings(tmp_path, "sys.exit(0)"), stop)


def test_a_driver_that_dies_but_gets_on_is_started_until_all_is_done(
    job: Job, watch: Watch, tmp_path: Path, lines: list[str]
) -> None:
    around = surroundings(tmp_path, "answer(sorted(job['trials'])[0])\nos.kill(os.getpid(), signal.SIGKILL)")
    with StopRequest() as stop:
        supervise(job, watch, around, stop)
    assert starts(tmp_path) == [["a", "b", "c"], ["b", "c"], ["c"]]
    assert len(lines) == 2


def test_a_driver_that_only_dies_is_given_up(job: Job, watch: Watch, tmp_path: Path, lines: list[str]) -> None:
    around = surroundings(tmp_path, "os.abort()")
    with StopRequest() as stop, pytest.raises(SelfishError, match="died 4 times in a row") as caught:
        supervise(job, watch, around, stop)
    assert caught.value.exit_code == 1
    assert str(around.log) in str(caught.value)
    assert len(starts(tmp_path)) == 4
    assert len(lines) == 3


def test_trials_that_fail_are_told_and_not_run_again(job: Job, watch: Watch, tmp_path: Path) -> None:
    around = surroundings(
        tmp_path,
        """
        report(kind="started", cpu=1)
        answer("a"), answer("c")
        (folder / "b.failed").touch()
        report(kind="finished")
        """,
    )
    with StopRequest() as stop:
        assert supervise(job, watch, around, stop).todo.decided.failed.keys() == {"b"}
    assert len(starts(tmp_path)) == 1


def test_a_driver_that_finishes_without_doing_anything_is_given_up(job: Job, watch: Watch, tmp_path: Path) -> None:
    around = surroundings(tmp_path, "report(kind='finished')")
    with StopRequest() as stop, pytest.raises(SelfishError, match="without a new epoch"):
        supervise(job, watch, around, stop)


def test_what_is_paused_is_waited_for_and_goes_on(
    job: Job, watch: Watch, tmp_path: Path, lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "WAIT_SECONDS", 0.01)
    (tmp_path / "paused").touch()
    threading.Timer(0.3, (tmp_path / "paused").unlink).start()
    with StopRequest() as stop:
        supervise(job, watch, surroundings(tmp_path, "for key in job['trials']: answer(key)"), stop)
    assert lines == ["waiting: paused"]
    assert len(starts(tmp_path)) == 1


def test_an_end_that_was_asked_for_is_the_end(job: Job, watch: Watch, tmp_path: Path) -> None:
    around = surroundings(tmp_path, "answer('a')\n(folder / 'stopped').touch()\nreport(kind='finished')")
    with StopRequest() as stop:
        outcome = supervise(job, watch, around, stop)
    assert (outcome.todo.end, outcome.todo.runnable) == ("stopped", ("b", "c"))
    assert len(starts(tmp_path)) == 1


def test_a_cancel_ends_the_driver_at_once(job: Job, watch: Watch, tmp_path: Path) -> None:
    code = """
    for number in (signal.SIGINT, signal.SIGTERM): signal.signal(number, signal.SIG_IGN)
    (folder / "stopped").touch()
    (folder / "cancelled").touch()
    time.sleep(600)
    """
    with StopRequest() as stop:
        assert supervise(job, watch, surroundings(tmp_path, code), stop).todo.end == "stopped"
    assert psutil.Process().children() == []


def test_a_refusal_is_an_error_for_the_user(job: Job, watch: Watch, tmp_path: Path) -> None:
    code = "report(kind='refused', message='resources.cpu: too much', exit_code=2)"
    with StopRequest() as stop, pytest.raises(InputError, match=r"resources\.cpu: too much"):
        supervise(job, watch, surroundings(tmp_path, code), stop)
    assert len(starts(tmp_path)) == 1


def test_a_cluster_that_does_not_answer_is_not_waited_for(job: Job, watch: Watch, tmp_path: Path) -> None:
    joined = job.model_copy(update={"ray_address": "head:1"})
    around = surroundings(tmp_path, "time.sleep(600)", start_seconds=0.5)
    with StopRequest() as stop, pytest.raises(SelfishError, match="the Ray cluster at head:1 has not answered"):
        supervise(joined, watch, around, stop)
    assert psutil.Process().children() == []


def test_a_stop_ends_a_driver_that_obeys(job: Job, watch: Watch, tmp_path: Path) -> None:
    around = surroundings(tmp_path, "time.sleep(600)")
    with StopRequest() as stop:
        stop_when_started(tmp_path, signal.SIGTERM)
        assert supervise(job, watch, around, stop).signal == signal.SIGTERM
    assert len(starts(tmp_path)) == 1


def test_a_stop_ends_a_driver_that_ignores_it_and_what_it_started(
    job: Job, watch: Watch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "STOP_SECONDS", 0.5)
    around = surroundings(
        tmp_path,
        """
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP): signal.signal(number, signal.SIG_IGN)
        child = subprocess.Popen(["sleep", "600"], start_new_session=True)
        (folder / "grandchild").write_text(str(child.pid))
        while True: time.sleep(1)
        """,
    )
    bystander = subprocess.Popen(["sleep", "600"])
    try:
        with StopRequest() as stop:
            stop_when_started(tmp_path, signal.SIGINT, "grandchild")
            assert supervise(job, watch, around, stop).signal == signal.SIGINT
        assert not psutil.pid_exists(int((tmp_path / "grandchild").read_text()))
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_what_a_dead_driver_leaves_behind_is_ended(job: Job, watch: Watch, tmp_path: Path) -> None:
    around = surroundings(
        tmp_path,
        """
        child = subprocess.Popen(["sleep", "600"], start_new_session=True)
        (folder / "grandchild").write_text(str(child.pid))
        for key in job["trials"]: answer(key)
        os.kill(os.getpid(), signal.SIGKILL)
        """,
    )
    with StopRequest() as stop:
        supervise(job, watch, around, stop)
    assert not psutil.pid_exists(int((tmp_path / "grandchild").read_text()))


SUPERVISOR = """
import os, sys
from pathlib import Path
from orchestration.agenda import Decided, Todo
from orchestration.job import Job
from orchestration.processes import StopRequest
from orchestration.supervise import Surroundings, Watch, supervise
job = Job.model_validate_json(sys.argv[1])
around = Surroundings(dict(os.environ), Path(job.store) / "log", [sys.executable, sys.argv[2]])
with StopRequest() as stop:
    supervise(job, Watch(lambda: Todo(tuple(job.trials), '', '', Decided()), lambda: 0), around, stop)
"""

BY_KERNEL = "(folder / 'driver').write_text(str(os.getpid()))\ntime.sleep(600)"
BY_PIPE = """
processes._prctl(processes._PR_SET_PDEATHSIG, 0)
processes.end_when_closed(sys.stdin.fileno())
(folder / "driver").write_text(str(os.getpid()))
time.sleep(600)
"""


@pytest.mark.parametrize("code", [BY_KERNEL, BY_PIPE], ids=["by the kernel", "by the closed pipe"])
def test_a_driver_ends_with_its_supervisor(job: Job, tmp_path: Path, code: str) -> None:
    script = surroundings(tmp_path, code).command[1]
    supervisor = subprocess.Popen([sys.executable, "-c", SUPERVISOR, job.model_dump_json(), script])
    wait_for(lambda: (tmp_path / "driver").exists() and (tmp_path / "driver").read_text())
    driver = psutil.Process(int((tmp_path / "driver").read_text()))
    supervisor.kill()
    supervisor.wait()
    driver.wait(timeout=10)


def stop_when_started(tmp_path: Path, number: int, name: str = "starts") -> None:
    def send() -> None:
        wait_for(lambda: (tmp_path / name).exists())
        os.kill(os.getpid(), number)

    threading.Thread(target=send, daemon=True).start()
