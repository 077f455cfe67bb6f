"""A sweep whose driver, supervisor or worker is killed with SIGKILL ends like one that nobody disturbed.

Only processes below the one that a test started are ever killed, by their ids.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from selfish_core.trial_store import TrialStore

EPOCHS = 5
SPEC = f"""\
name: killed
base:
  corpus: {{name: synthetic, train_fraction: 0.3}}
  architecture: {{name: stacked_lstm, num_layers: 1, hidden_size: 16, embedding_size: 16}}
  optimizer: {{learning_rate: 5.0}}
  training: {{batch_size: 10, bptt_length: 20, eval_batch_size: 10}}
epochs: {EPOCHS}
axes:
  - list: [{{method: dense, sparsity: 0.0}}, {{method: selfish, sparsity: 0.5}}]
seeds: [1, 2]
"""


@dataclass(frozen=True)
class Place:
    """A home, a trial store and a tracking store of one's own."""

    folder: Path

    @property
    def store(self) -> TrialStore:
        return TrialStore.open(self.folder / "store")

    def start(self, *words: str) -> subprocess.Popen[str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SELFISH_", "XDG_", "RAY_"))}
        (self.folder / "killed.yaml").write_text(SPEC)
        return subprocess.Popen(
            [sys.executable, "-m", "orchestration.cli", *words],
            env={
                **kept,
                "HOME": str(self.folder / "home"),
                "SELFISH_STORE": str(self.folder / "store"),
                "SELFISH_TRACKING_URI": f"sqlite:///{self.folder}/mlflow.db",
            },
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def call(self, *words: str) -> tuple[str, str]:
        return finish(self.start(*words))

    def num_epochs(self) -> int:
        if not (self.folder / "store" / "store.json").exists():
            return 0
        return sum(len(records) for records in self.science().values())

    def science(self) -> dict[str, list[str]]:
        store = self.store
        return {key: [record.science() for record in store.trial(key).records()] for key in sorted(store.keys())}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, list[str]]]:
    """The table and the records of the same sweep, trained without Ray."""
    place = Place(tmp_path_factory.mktemp("undisturbed"))
    place.call("train", "killed.yaml", "--device", "cpu")
    return place.call("table", "killed.yaml")[0], place.science()


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def finish(process: subprocess.Popen[str]) -> tuple[str, str]:
    out, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    return out, err


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def below(process: subprocess.Popen[str], is_wanted: Callable[[str], bool]) -> list[psutil.Process]:
    return [one for one in psutil.Process(process.pid).children(recursive=True) if is_wanted(" ".join(one.cmdline()))]


def is_driver(line: str) -> bool:
    return "orchestration.driver" in line


def is_worker(line: str) -> bool:
    return line.startswith("ray::") and "Trainable" in line


def check_the_same(place: Place, table: str, undisturbed: tuple[str, dict[str, list[str]]]) -> None:
    assert place.science() == undisturbed[1]
    assert table == undisturbed[0]
    store = place.store
    for key in undisturbed[1]:
        trial = store.trial(key)
        assert [trial.superseded(epoch) for epoch in range(1, EPOCHS + 1)] == [None] * EPOCHS, (
            "a recorded epoch was trained again"
        )
    assert store.problems() == []


@pytest.mark.ray
def test_the_driver_is_killed(place: Place, undisturbed: tuple[str, dict[str, list[str]]]) -> None:
    run = place.start("run", "killed.yaml", "--no-pictures")
    wait_for(lambda: place.num_epochs() >= 2)
    [driver] = below(run, is_driver)
    driver.kill()
    table, told = finish(run)
    assert "the driver died; starting it again (1 of 3)" in told
    check_the_same(place, table, undisturbed)


@pytest.mark.ray
def test_the_supervisor_is_killed_and_the_command_run_again(
    place: Place, undisturbed: tuple[str, dict[str, list[str]]]
) -> None:
    run = place.start("run", "killed.yaml", "--no-pictures")
    wait_for(lambda: place.num_epochs() >= 2)
    orphans = [*below(run, is_driver), *below(run, is_worker)]
    assert len(orphans) >= 2
    run.kill()
    run.communicate()
    gone, alive = psutil.wait_procs(orphans, timeout=10)
    assert alive == []
    assert len(gone) == len(orphans)
    num_epochs = place.num_epochs()
    assert num_epochs < 4 * EPOCHS
    table, _ = place.call("run", "killed.yaml", "--no-pictures")
    check_the_same(place, table, undisturbed)


@pytest.mark.ray
def test_a_worker_is_killed(place: Place, undisturbed: tuple[str, dict[str, list[str]]]) -> None:
    run = place.start("run", "killed.yaml", "--no-pictures")
    wait_for(lambda: place.num_epochs() >= 2)
    below(run, is_worker)[0].kill()
    table, told = finish(run)
    assert "the driver died" not in told
    assert max(len(place.store.trial(key).attempts()) for key in undisturbed[1]) == 2
    check_the_same(place, table, undisturbed)


@pytest.mark.ray
def test_ctrl_c_ends_it_within_ten_seconds(place: Place) -> None:
    run = place.start("run", "killed.yaml", "--no-pictures")
    wait_for(lambda: place.num_epochs() >= 1)
    processes = psutil.Process(run.pid).children(recursive=True)
    run.send_signal(signal.SIGINT)
    out, told = run.communicate(timeout=10)
    assert run.returncode == 130
    assert out == ""
    assert told.splitlines()[-1].startswith("stopped with ")
    assert told.splitlines()[-1].endswith("the same command goes on from the last whole epoch")
    assert psutil.wait_procs(processes, timeout=5)[1] == []
