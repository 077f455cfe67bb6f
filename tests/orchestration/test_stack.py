"""The local stack: whose processes are its own, and a sweep from `up` over `submit` to `down`."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from orchestration import jobs_api, stack, stack_files
from orchestration.stack import Plan, Stack
from orchestration.stack_files import KEEPER_FILE, MARK, STACK_FILE, find_keeper, folder, record
from orchestration.stack_text import described, how_to_use
from selfish_core.errors import SelfishError

SPEC = """\
name: tiny
description: one trial
base:
  corpus: {name: synthetic, train_fraction: 0.1}
  architecture: {name: stacked_lstm, num_layers: 1, hidden_size: 8, embedding_size: 8}
  optimizer: {name: sgd, learning_rate: 5.0}
  training: {batch_size: 10, bptt_length: 20, eval_batch_size: 10}
epochs: 1
axes:
  - list: [{method: set, sparsity: 0.5}]
seeds: [1]
"""


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))


@pytest.fixture
def sleeper() -> Iterator[Callable[..., psutil.Process]]:
    started: list[subprocess.Popen[bytes]] = []

    def start(mark: str) -> psutil.Process:
        started.append(subprocess.Popen(["sleep", "60"], env={**os.environ, MARK: mark}))
        return psutil.Process(started[-1].pid)

    yield start
    for process in started:
        process.kill()
        process.wait()


def plan(**changed: Any) -> Plan:
    fields = {"cpus": 2, "gpus": 0, "host": "127.0.0.1", "jobs_port": 1, "gcs_port": 2, "client_port": 3}
    return Plan.model_validate({**fields, "tracking_uri": "http://127.0.0.1:4", "mlflow": (), **changed})


def keeper_of(process: psutil.Process, **changed: Any) -> dict[str, Any]:
    told = {"pid": process.pid, "started": process.create_time(), "host": socket.gethostname(), "mark": "ours"}
    return {**told, **changed}


def write_stack(keeper: dict[str, Any]) -> Stack:
    made = Stack(plan=plan(), token_path=Path("/token"))
    record(folder(), KEEPER_FILE, keeper)
    record(folder(), STACK_FILE, made.model_dump(mode="json"))
    return made


def test_nothing_is_up_at_first_and_nothing_is_made_by_asking(tmp_path: Path) -> None:
    assert stack.running() is None
    assert not (tmp_path / "share").exists()
    assert not stack.down()


def test_a_stack_is_up_while_its_keeper_lives(sleeper: Any) -> None:
    keeper = sleeper("ours")
    made = write_stack(keeper_of(keeper))
    assert stack.running() == made
    assert find_keeper(folder()) == keeper
    assert stack.up(plan(cpus=7)) == (made, False)
    assert stack.down()
    assert not stack_files.is_alive(keeper)
    assert stack.running() is None


def test_a_process_that_has_the_keepers_id_by_chance_is_not_touched(sleeper: Any) -> None:
    other = sleeper("theirs")
    write_stack(keeper_of(other, started=other.create_time() - 60))
    assert stack.running() is None
    assert not stack.down()
    assert stack_files.is_alive(other)


def test_what_a_killed_keeper_left_is_ended_and_nothing_else(sleeper: Any) -> None:
    keeper, left, other = sleeper("ours"), sleeper("ours"), sleeper("theirs")
    write_stack(keeper_of(keeper))
    keeper.kill()
    keeper.wait()
    assert stack.running() is None
    assert stack.down()
    assert not stack_files.is_alive(left)
    assert stack_files.is_alive(other)
    assert not stack.down()


def test_a_stack_of_another_machine_with_the_same_home_is_left_alone(sleeper: Any) -> None:
    process = sleeper("ours")
    write_stack(keeper_of(process, host="elsewhere"))
    for ask in (stack.running, stack.down):
        with pytest.raises(SelfishError, match="is up on machine elsewhere"):
            ask()
    assert stack_files.is_alive(process)


def test_a_stack_that_does_not_come_up_says_why_and_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stack, "KEEPER", (sys.executable, "-c", "import sys; sys.exit('no port is free')"))
    with pytest.raises(SelfishError, match="did not come up: no port is free; logs: "):
        stack.up(plan())
    monkeypatch.setattr(stack, "KEEPER", ("sh", "-c", "exec sleep 60"))
    monkeypatch.setattr(stack, "START_SECONDS", 0.3)
    with pytest.raises(SelfishError, match=r"is not ready after 0\.3 s"):
        stack.up(plan())
    assert [child for child in psutil.Process().children() if child.name() == "sleep"] == []


def test_how_to_use_it_is_said_to_people_and_scripts() -> None:
    made = Stack(plan=plan(), token_path=Path("/a b/token"))
    told = how_to_use(made)
    assert "  export RAY_AUTH_TOKEN_PATH='/a b/token'\n" in told
    assert "  export RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER=0\n" in told
    assert "ray start" not in told
    assert described(made)["jobs_url"] == "http://127.0.0.1:1"
    beyond = Stack(plan=plan(host="10.0.0.3"), token_path=Path("/token"))
    assert "nothing that is sent is encrypted" in how_to_use(beyond)
    assert how_to_use(beyond).endswith("ray start --address=10.0.0.3:2")
    assert "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER" not in beyond.environment


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SELFISH_", "XDG_", "RAY_"))}
    return {**kept, "HOME": str(tmp_path / "home")}


@pytest.fixture
def selfish(environment: dict[str, str], tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    def call(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "orchestration.cli", *words]
        return subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=150)

    return call


@pytest.mark.ray
def test_a_sweep_from_up_over_submit_to_down(
    selfish: Callable[..., subprocess.CompletedProcess[str]], environment: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "tiny.yaml").write_text(SPEC)
    assert selfish("submit", "tiny.yaml").returncode == 2
    started = selfish("up", "--cpus", "1", "--gpus", "0", "--port", "0", "--no-mlflow", "--json")
    try:
        assert started.returncode == 0, started.stderr
        up = json.loads(started.stdout)
        keeper = psutil.Process(json.loads(keeper_file(tmp_path).read_text())["body"]["pid"])
        family = [keeper, *keeper.children(recursive=True)]
        assert stat.S_IMODE(Path(up["token_path"]).stat().st_mode) == 0o600
        assert {address for process in family for address in listened(process)} == {"127.0.0.1"}
        api = jobs_api.JobsApi(up["jobs_url"], Path(up["token_path"]).read_text())

        first = json.loads(selfish("submit", "tiny.yaml", "--json").stdout)
        assert first["is_new"]
        again = selfish("submit", "tiny.yaml", "--follow")
        assert again.returncode == 0, again.stderr
        assert "1/1 trials" in again.stderr
        assert again.stdout == f"{first['id']}\n"
        assert [job.status for job in api.jobs()] == ["SUCCEEDED"]
        family = list({*family, *keeper.children(recursive=True)})
    finally:
        ended = selfish("down")
    assert ended.returncode == 0, ended.stderr
    assert [process for process in family if stack_files.is_alive(process)] == []
    assert not Path(up["token_path"]).parent.exists()
    assert not (tmp_path / "home" / ".ray").exists()
    assert selfish("down").stderr == "nothing is up\n"


def keeper_file(tmp_path: Path) -> Path:
    [found] = (tmp_path / "home").rglob(KEEPER_FILE)
    return found


def listened(process: psutil.Process) -> set[str]:
    with contextlib.suppress(psutil.Error):
        listening = [one for one in process.net_connections() if one.status == psutil.CONN_LISTEN]
        return {one.laddr.ip.removeprefix("::ffff:") for one in listening}
    return set()
