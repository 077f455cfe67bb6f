"""The Tune trainable: as Tune drives it, without a cluster; and in plain Tune, as the README shows it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from selfish_core.errors import InputError, ProblemsError, StoreError
from selfish_core.records import Record
from selfish_core.trainable import SparseRNNTrainable
from selfish_core.training.loop import Training
from selfish_core.trial_store import Attempt, TrialStore

README = Path(__file__).parents[2] / "README.md"

TRIAL: dict[str, Any] = {
    "method": "selfish",
    "corpus": {"name": "synthetic", "train_fraction": 0.05},
    "architecture": {"name": "stacked_lstm", "num_layers": 1, "hidden_size": 12, "embedding_size": 12},
    "sparsity": {"level": 0.5, "horizon_epochs": 4},
    "optimizer": {"learning_rate": 10.0, "non_monotone_window": 1},
    "training": {"batch_size": 10, "bptt_length": 20},
    "seed": 1,
}


def setting(**changes: Any) -> dict[str, Any]:
    return {"trial": TRIAL, "epochs": 4, **changes}


def science(trial: SparseRNNTrainable) -> list[dict[str, Any]]:
    found = []
    while not found or not found[-1]["done"]:
        found.append(trial.step())
    return found


def test_a_step_is_an_epoch_and_the_last_says_done() -> None:
    found = science(SparseRNNTrainable(setting()))
    assert [step["epoch"] for step in found] == [1, 2, 3, 4]
    assert [step["done"] for step in found] == [False, False, False, True]
    assert found[-1]["val_perplexity"] < found[0]["val_perplexity"]


def test_save_and_restore_go_on_with_the_same_bits(tmp_path: Path) -> None:
    undisturbed = science(SparseRNNTrainable(setting()))
    first = SparseRNNTrainable(setting())
    first.step()
    first.step()
    first.save_checkpoint(str(tmp_path))
    second = SparseRNNTrainable(setting())
    second.load_checkpoint(str(tmp_path))
    assert science(second) == undisturbed[2:]


def test_save_before_the_first_step_is_the_start(tmp_path: Path) -> None:
    SparseRNNTrainable(setting()).save_checkpoint(str(tmp_path))
    other = SparseRNNTrainable(setting())
    other.load_checkpoint(str(tmp_path))
    assert science(other) == science(SparseRNNTrainable(setting()))


def test_a_reused_actor_is_a_new_one() -> None:
    other = {**TRIAL, "method": "set", "seed": 5}
    fresh = science(SparseRNNTrainable(setting(trial=other)))
    reused = SparseRNNTrainable(setting())
    reused.step()
    assert reused.reset_config(setting(trial=other))
    assert science(reused) == fresh


def test_with_a_store_recorded_epochs_come_back_first(tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    first = SparseRNNTrainable(setting(store=store, epochs=2))
    recorded = science(first)
    first.cleanup()
    second = SparseRNNTrainable(setting(store=store))
    found = science(second)
    assert [{**step, "done": None} for step in found[:2]] == [{**step, "done": None} for step in recorded]
    trial = TrialStore.open(Path(store)).trial(found[0]["key"])
    assert trial.answered_epochs() == 4
    assert all(isinstance(record, Record) for record in trial.records())


def test_a_canary_is_one_step_that_keeps_nothing(tmp_path: Path) -> None:
    trainable = SparseRNNTrainable(setting(store=str(tmp_path / "store"), canary_steps=2))
    found = trainable.step()
    assert found["canary"]
    assert found["done"]
    assert found["architecture"] == "stacked_lstm"
    assert 0 < found["peak_bytes"] < found["device_bytes"]
    assert found["seconds_per_step"] > 0
    trainable.cleanup()
    assert not (tmp_path / "store").exists()


def test_a_canary_changes_no_bit_of_the_trial_after_it() -> None:
    expected = science(SparseRNNTrainable(setting()))
    trainable = SparseRNNTrainable(setting(canary_steps=3))
    assert trainable.step()["key"] == expected[0]["key"]
    trainable.reset_config(setting())
    assert science(trainable) == expected


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), MemoryError),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), MemoryError),
        (MemoryError(), MemoryError),
        (KeyError("a bug"), KeyError),
        (StoreError("the trial store fails"), StoreError),
    ],
)
def test_whatever_a_trial_raises_the_next_one_in_its_actor_works(
    raised: Exception, expected: type[Exception], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    undisturbed = science(SparseRNNTrainable(setting()))

    def fail(*given: object) -> object:
        raise raised

    trainable = SparseRNNTrainable(setting(store=str(tmp_path / "store")))
    trainable.step()
    with monkeypatch.context() as patched:
        patched.setattr(Training, "_step", fail)
        with pytest.raises(expected) as found:
            trainable.step()
    assert ("[peak RSS " in str(found.value)) == (expected is MemoryError)
    with pytest.raises(ValueError, match="nothing to go on with"):
        trainable.step()
    trainable.reset_config(setting(store=str(tmp_path / "store")))
    assert science(trainable) == undisturbed


def test_a_trial_that_cannot_be_sealed_does_not_keep_the_next_one_from_running(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(self: Attempt) -> None:
        raise StoreError("the trial store fails")

    trainable = SparseRNNTrainable(setting(store=str(tmp_path / "store")))
    science(trainable)
    monkeypatch.setattr(Attempt, "seal", fail)
    trainable.reset_config(setting(trial={**TRIAL, "seed": 2}))
    assert trainable.step()["epoch"] == 1


def test_a_config_that_is_refused_leaves_the_actor_usable() -> None:
    trainable = SparseRNNTrainable(setting())
    with pytest.raises(InputError):
        trainable.reset_config(setting(epochs=0))
    trainable.reset_config(setting())
    assert trainable.step()["epoch"] == 1


def test_a_watched_trial_has_the_same_bits_and_its_watchdog_ends_with_it() -> None:
    children = set(psutil.Process().children())
    trainable = SparseRNNTrainable(setting(stall_timeout=200))
    assert science(trainable) == science(SparseRNNTrainable(setting()))
    assert len(set(psutil.Process().children()) - children) == 1
    trainable.cleanup()
    assert set(psutil.Process().children()) <= children


def test_the_config_says_which_checkpoints_stay(tmp_path: Path) -> None:
    trainable = SparseRNNTrainable(setting(store=str(tmp_path / "store"), keep_last=1, keep_best=False))
    key = science(trainable)[0]["key"]
    assert [ref.epoch for ref in TrialStore.open(tmp_path / "store").trial(key).checkpoints()] == [4]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"epoch": 3}, "unknown key 'epoch'.*did you mean 'epochs'"),
        ({"epochs": 0}, "epochs must be a whole number of at least 1, got 0"),
        ({"epochs": True}, "epochs must be"),
        ({"keep_last": 0}, "keep_last must be a whole number of at least 1, got 0"),
        ({"keep_best": 1}, "keep_best must be true or false, got 1"),
        ({"canary_steps": -1}, "canary_steps must be a whole number of at least 0, got -1"),
        ({"stall_timeout": 0}, "stall_timeout must be a number of seconds above 0, or None, got 0"),
        ({"stall_timeout": "60"}, "stall_timeout must be a number of seconds above 0, or None, got '60'"),
        ({"threads": 0}, "threads must be a whole number of at least 1, got 0"),
        ({"device": "tpu"}, "unknown device 'tpu': known are auto, cpu, cuda"),
        ({"trial": {**TRIAL, "sparsity": 1.0}}, "sparsity.level must be a number in"),
        ({"trial": None}, "trial must be a mapping, got None"),
    ],
)
def test_a_wrong_setting_is_one_line(changes: dict[str, Any], said: str) -> None:
    with pytest.raises((InputError, ProblemsError), match=said):
        SparseRNNTrainable(setting(**changes))


def readme_example() -> str:
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    return next(block for block in blocks if "tune.Tuner" in block)


@pytest.fixture
def ray_folder() -> Iterator[str]:
    """A folder for Ray's sockets, whose paths must be short; a Ray that runs elsewhere on the machine is not joined."""
    with tempfile.TemporaryDirectory(prefix="sf", dir="/tmp", ignore_cleanup_errors=True) as folder:
        yield folder


def run_python(code: str, home: Path, ray_folder: str) -> str:
    environment = {**os.environ, "HOME": str(home), "RAY_TMPDIR": ray_folder, "RAY_AUTH_MODE": "disabled"}
    found = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env={**environment, "RAY_USAGE_STATS_ENABLED": "0"},
        cwd=home,
        timeout=280,
        check=False,
    )
    assert found.returncode == 0, found.stderr[-3000:]
    return found.stdout


@pytest.mark.ray
def test_the_lines_of_the_readme_run(tmp_path: Path, ray_folder: str) -> None:
    code = readme_example()
    assert len([line for line in code.splitlines() if line.strip()]) <= 10
    last = run_python(code, tmp_path, ray_folder).splitlines()[-1]
    assert re.fullmatch(r"(static|selfish) \d+\.\d+", last)


@pytest.mark.ray
def test_plain_tune_pauses_and_resumes_trials(tmp_path: Path, ray_folder: str) -> None:
    """HyperBand saves, stops and restores trials; every one still has each epoch once, in order."""
    code = f"""
import ray
from ray import tune
from selfish_core.trainable import SparseRNNTrainable
ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
scheduler = tune.schedulers.HyperBandScheduler(metric="val_perplexity", mode="min", max_t=4)
space = {{"trial": {{**{TRIAL!r}, "seed": tune.grid_search([1, 2, 3, 4, 5])}}, "epochs": 4}}
tuner = tune.Tuner(
    SparseRNNTrainable, param_space=space, tune_config=tune.TuneConfig(scheduler=scheduler, reuse_actors=True),
    run_config=tune.RunConfig(storage_path={str(tmp_path / "tune")!r}, verbose=0),
)
results = tuner.fit()
assert not results.errors, results.errors
for result in results:
    epochs = result.metrics_dataframe["epoch"].tolist()
    assert epochs == sorted(set(epochs)), epochs
print("longest", max(result.metrics["epoch"] for result in results))
"""
    assert "longest 4" in run_python(code, tmp_path, ray_folder)
