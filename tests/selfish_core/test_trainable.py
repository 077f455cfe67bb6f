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

import pytest

from selfish_core.errors import InputError, ProblemsError
from selfish_core.records import Record
from selfish_core.trainable import SparseRNNTrainable
from selfish_core.trial_store import TrialStore

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


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"epoch": 3}, "unknown key 'epoch'.*did you mean 'epochs'"),
        ({"epochs": 0}, "epochs must be a whole number of at least 1, got 0"),
        ({"epochs": True}, "epochs must be"),
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
