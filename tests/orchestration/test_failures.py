"""Failures: what Ray makes of a trial's end is put into a class, and the class says what becomes of the trial."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from ray.core.generated.common_pb2 import ActorDiedErrorContext, NodeDeathInfo
from ray.exceptions import (
    ActorDiedError,
    NodeDiedError,
    OutOfMemoryError,
    RayError,
    RayTaskError,
    UnserializableException,
    WorkerCrashedError,
)

from orchestration.decisions import FailureClass
from orchestration.failures import POLICY, Again, Failure, GiveUp, StopSweep, after, classify
from selfish_core.errors import CorpusError, FencedError, InputError, Problem, ProblemsError
from selfish_core.training.peak_memory import retold
from selfish_core.trial_store import Stall, TrialStore

DEAD = "The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR Worker exit detail: "
END_OF_FILE = "Worker unexpectedly exits with a connection error code 2. End of file. Some common causes include: (1) …"
SIGTERM = "Worker exits unexpectedly. Worker exits with an exit code 1. The process receives a SIGTERM."
NODE_DIED = "The actor died because its node has died. Node Id: 1bde\n\tthe actor's node was terminated {}: {}"
NO_MEMORY = """1 worker(s) were killed due to the node running low on memory. \
Memory on the node (IP: 192.0.2.2, ID: c9d2) was 15.01GB used / 15.54GB limit (0.96)
OOM kill reason: Memory usage 15B exceeded threshold of 14B
Selected to kill: (Task: job ID=01, pid=13609, actual memory used=9.04GB, worker ID=6d)"""
ACTOR = bytes(range(16))
PROBLEM = Problem(("seed",), "must be a whole number")


def died(message: str, death: int | None = None) -> ActorDiedError:
    context = ActorDiedErrorContext(error_message=message, actor_id=ACTOR, node_ip_address="192.0.2.7", pid=5)
    if death is not None:
        context.node_death_info.CopyFrom(NodeDeathInfo(reason=death))
    return ActorDiedError(context)


def task_error(cause: Exception) -> RayTaskError:
    """Make what `ray.get` raises for an exception in a step."""
    name = f"{type(cause).__module__}.{type(cause).__name__}"
    trace = f'Traceback (most recent call last):\n  File "loop.py", line 1, in step\n{name}: {cause}\n'
    trace += "".join(getattr(cause, "__notes__", []))
    error = RayTaskError("step", trace, cause, "ray::SparseRNNTrainable.train()", 7, "192.0.2.9")
    return error.as_instanceof_cause()


def init_error(cause: Exception) -> ActorDiedError:
    """Make what Ray keeps of an exception in `setup`: its text alone."""
    name = f"{type(cause).__module__}.{type(cause).__name__}"
    trace = f'Traceback (most recent call last):\n  File "trainable.py", line 1, in setup\n{name}: {cause}\n'
    return ActorDiedError(RayTaskError("__init__", trace, cause, "ray::SparseRNNTrainable.__init__()", 7, "192.0.2.9"))


CASES: dict[str, tuple[BaseException, FailureClass, str]] = {
    "killed": (died(DEAD + END_OF_FILE), "worker_lost", "connection error code 2. End of file."),
    "terminated": (died(DEAD + SIGTERM), "preempted", "The process receives a SIGTERM."),
    "spot node taken away": (
        died("the actor's node was preempted: by its owner", NodeDeathInfo.AUTOSCALER_DRAIN_PREEMPTED),
        "preempted",
        "the actor's node was preempted: by its owner",
    ),
    "node lost": (
        died(NODE_DIED.format("unexpectedly", "health check failed")),
        "node_lost",
        "the actor's node was terminated unexpectedly: health check failed",
    ),
    "node lost, of a task": (NodeDiedError("its node has died"), "node_lost", "its node has died"),
    "no memory, says Ray": (OutOfMemoryError(NO_MEMORY), "out_of_memory", "15.01GB used / 15.54GB limit, of which"),
    "no memory, in text": (RuntimeError(f"Failure # 1\n{NO_MEMORY}"), "out_of_memory", "of which theirs 9.04GB"),
    "no memory on the GPU": (
        task_error(retold(torch.OutOfMemoryError("CUDA out of memory. Tried"))),
        "out_of_memory",
        "MemoryError: CUDA out of memory. Tried [peak RSS ",
    ),
    "no memory, straight": (torch.OutOfMemoryError("CUDA out of memory"), "out_of_memory", "CUDA out of memory"),
    "no memory in setup": (init_error(MemoryError("no more")), "out_of_memory", "MemoryError: no more"),
    "worker crashed": (WorkerCrashedError(), "worker_lost", "worker died unexpectedly"),
    "corpus": (task_error(CorpusError("corpus ptb: gone")), "data", "CorpusError: corpus ptb: gone"),
    "corpus in setup": (init_error(CorpusError("corpus ptb: gone")), "data", "CorpusError: corpus ptb: gone"),
    "input": (task_error(InputError("epochs must be")), "user_error", "InputError: epochs must be"),
    "input in setup": (init_error(ProblemsError([PROBLEM])), "user_error", "ProblemsError: seed: must be"),
    "input, where the error cannot be unpickled": (
        UnserializableException(str(task_error(ProblemsError([PROBLEM])))),
        "user_error",
        "ProblemsError: seed: must be",
    ),
    "no words": (init_error(MemoryError()), "out_of_memory", "MemoryError"),
    "a bug": (task_error(KeyError("x")), "crashed", "KeyError: 'x'"),
    "a bug in setup": (init_error(ZeroDivisionError("division by zero")), "crashed", "ZeroDivisionError: division"),
    "overtaken": (task_error(FencedError("attempt 2 has taken over")), "crashed", "FencedError: attempt 2"),
    "ours, straight": (CorpusError("corpus ptb: gone"), "data", "CorpusError: corpus ptb: gone"),
    "a word of Ray": (RuntimeError("something else"), "crashed", "RuntimeError: something else"),
}


@pytest.mark.parametrize("case", CASES)
def test_every_end_has_its_class(case: str) -> None:
    error, expected, said = CASES[case]
    found = classify(error)
    assert found.failure == expected
    assert said in found.message
    assert "\n" not in found.message
    assert len(found.message) <= 300


@pytest.mark.parametrize("case", [case for case, (error, _, _) in CASES.items() if isinstance(error, RayError)])
def test_the_text_of_a_ray_error_is_enough(case: str) -> None:
    error, expected, said = CASES[case]
    found = classify(Exception(str(error)))
    assert found.failure == expected
    assert said in found.message


def test_rays_own_word_for_a_preemption_counts_without_its_text() -> None:
    error = died(NODE_DIED.format("expectedly", "idle"), NodeDeathInfo.AUTOSCALER_DRAIN_PREEMPTED)
    assert classify(error).failure == "preempted"


def test_the_node_is_taken_from_the_text_unless_it_is_known() -> None:
    for error in (died(DEAD + END_OF_FILE), task_error(KeyError("x")), OutOfMemoryError(NO_MEMORY)):
        assert classify(error).node.startswith("192.0.2.")
        assert classify(error, node="here").node == "here"
    assert classify(KeyError("x")).node == ""


def test_details_are_the_traceback_without_colors() -> None:
    details = classify(task_error(KeyError("x"))).details
    assert 'File "loop.py", line 1, in step' in details
    assert "\x1b" not in details


def test_a_stall_is_known_by_the_worker_that_was_ended(store: TrialStore) -> None:
    trial = store.put({"seed": 1}, "somekey")
    error = died(DEAD + END_OF_FILE)
    trial.stalls.add(Stall(worker="another", timeout_seconds=5.0, stacks="elsewhere"))
    assert classify(error, trial=trial).failure == "worker_lost"
    trial.stalls.add(Stall(worker=ACTOR.hex(), timeout_seconds=2.5, stacks="Thread 0x1"))
    assert classify(error, trial=trial) == Failure("stalled", "no step for 2.5 s", "192.0.2.7", "Thread 0x1")
    assert classify(died(DEAD + SIGTERM), trial=trial).failure == "preempted"


def test_every_class_has_a_policy() -> None:
    assert set(POLICY) == set(get_args(FailureClass))


@pytest.mark.parametrize(
    ("failure", "num_restarts", "alone"),
    [
        ("preempted", 5, False),
        ("node_lost", 5, False),
        ("worker_lost", 3, False),
        ("out_of_memory", 1, True),
        ("stalled", 1, False),
        ("data", 0, False),
        ("crashed", 2, False),
    ],
)
def test_a_trial_starts_again_so_often_and_is_given_up_then(
    failure: FailureClass, num_restarts: int, alone: bool
) -> None:
    for num_before in range(num_restarts):
        assert after(failure, [failure] * num_before) == Again(alone)
    assert after(failure, [failure] * num_restarts) == GiveUp()


def test_an_error_of_the_user_stops_the_sweep_at_once() -> None:
    assert after("user_error", []) == StopSweep()


def test_one_class_uses_up_no_restarts_of_another() -> None:
    assert after("stalled", ["preempted", "crashed", "out_of_memory"]) == Again()


def test_what_says_nothing_about_a_trial_is_free() -> None:
    assert {name for name in POLICY if Failure(name, "").is_free} == {"preempted", "node_lost"}


LIVE = """
import json, os, signal, sys
import cloudpickle
import ray
from pathlib import Path
from ray import tune
from orchestration.failures import classify
from selfish_core.trainable import SparseRNNTrainable
from selfish_core.training.loop import Training
from selfish_core.trial_store import TrialStore

FAULTS = {
    1: lambda: os.kill(os.getpid(), signal.SIGKILL),
    2: lambda: os.kill(os.getpid(), signal.SIGTERM),
    3: lambda: sum(range(10**15)),
    4: lambda: [bytearray(10**15)],
}

class Faulty(SparseRNNTrainable):
    def step(self):
        step, seed = Training._step, self.config["trial"]["seed"]
        def faulty(training, *given):
            return FAULTS[seed]() if training.progress.epoch == 1 else step(training, *given)
        Training._step = faulty
        return super().step()

class See(tune.Callback):
    def on_trial_error(self, iteration, trials, trial, **info):
        error = cloudpickle.loads(Path(trial.pickled_error_file).read_bytes())
        (key,) = (key for key in store.keys() if store.trial(key).config()["seed"] == trial.config["trial"]["seed"])
        failure = classify(error, trial=store.trial(key))
        found.append([trial.config["trial"]["seed"], failure.failure, failure.details, len(store.trial(key).records())])

found, (place, raw) = [], sys.argv[1:]
store = TrialStore.open(place)
ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
trials = tune.grid_search([{**json.loads(raw), "seed": seed} for seed in FAULTS])
no_checkpoints = tune.CheckpointConfig(checkpoint_at_end=False)
tune.Tuner(
    Faulty,
    param_space={"trial": trials, "epochs": 2, "store": place, "stall_timeout": 15},
    run_config=tune.RunConfig(
        storage_path=place + "-tune", verbose=0, callbacks=[See()], checkpoint_config=no_checkpoints
    ),
).fit()
print("found", json.dumps(found))
"""


@pytest.fixture
def ray_folder() -> Iterator[str]:
    """A folder for Ray's sockets, whose paths must be short."""
    with tempfile.TemporaryDirectory(prefix="sf", dir="/tmp", ignore_cleanup_errors=True) as folder:
        yield folder


@pytest.mark.ray
def test_ray_says_what_is_expected_of_it(tmp_path: Path, ray_folder: str) -> None:
    """A worker killed, terminated, stuck in C, and out of memory, each in its second epoch; the first one is kept."""
    raw: dict[str, Any] = {
        "method": "static",
        "corpus": {"name": "synthetic", "train_fraction": 0.02},
        "architecture": {"name": "stacked_lstm", "num_layers": 1, "hidden_size": 8, "embedding_size": 8},
        "sparsity": 0.5,
        "optimizer": {"learning_rate": 1.0},
        "training": {"batch_size": 10},
    }
    environment = {**os.environ, "RAY_TMPDIR": ray_folder, "RAY_AUTH_MODE": "disabled", "RAY_USAGE_STATS_ENABLED": "0"}
    done = subprocess.run(
        [sys.executable, "-c", LIVE, str(tmp_path / "store"), json.dumps(raw)],
        capture_output=True,
        text=True,
        env={**environment, "PYTHONPATH": str(Path(__file__).parents[2])},
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("found "))
    found = {seed: rest for seed, *rest in json.loads(line.removeprefix("found "))}
    classes = {seed: failure for seed, (failure, _, _) in found.items()}
    assert classes == {1: "worker_lost", 2: "preempted", 3: "stalled", 4: "out_of_memory"}
    assert "in <lambda>" in found[3][1]
    assert [num_records for _, _, num_records in found.values()] == [1, 1, 1, 1]
