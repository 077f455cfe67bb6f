"""What a sweep costs beside plain Ray Tune, and how that grows with the number of its trials.

    python benchmarks/sweep.py [--trials 200] [--many 2000] [--rounds 2] [--skip-many]

Tiny trials (one epoch of a few steps on the generated language), two at a time, each way in processes of its own, in
turns. Plain Tune has its default loggers, reuses actors and runs the same trainable without a store; ours is
`selfish run` from start to end, Ray's start, trial store, MLflow's projector and the table included,
but without the pictures for MLflow that follow the table. Read the ratios.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SPEC = """
name: tiny
base:
  method: static
  sparsity: 0.5
  corpus: {{name: synthetic, train_fraction: 0.02}}
  architecture: {{name: stacked_lstm, num_layers: 1, hidden_size: 8, embedding_size: 8}}
  optimizer: {{name: sgd, learning_rate: 1}}
  training: {{batch_size: 10, bptt_length: 20, eval_batch_size: 200}}
epochs: 1
seeds: [{seeds}]
resources: {{cpu: 1}}
execution: {{canary_steps: 0}}
"""

PLAIN = """
import sys
from pathlib import Path
import ray
from ray import tune
from selfish_core.trainable import SparseRNNTrainable
from sweeps import expand, spec

folder = Path(sys.argv[1])
trials = [trial.config.to_dict() for trial in expand.expand(spec.load(folder / "tiny.yaml"))]
ray.init(address="local", include_dashboard=False, num_cpus=2, object_store_memory=80 * 2**20, log_to_driver=False)
tune.Tuner(
    tune.with_resources(SparseRNNTrainable, {"cpu": 1}),
    param_space={"trial": tune.grid_search(trials), "epochs": 1, "store": None, "threads": 1, "device": "cpu"},
    tune_config=tune.TuneConfig(reuse_actors=True),
    run_config=tune.RunConfig(
        name="tiny", storage_path=str(folder / "tune"), verbose=0,
        checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
    ),
).fit()
"""


def seconds(command: list[str], folder: Path) -> float:
    """Run a command and return how long it took."""
    environment = {
        **os.environ,
        "RAY_AIR_NEW_OUTPUT": "0",
        "OMP_NUM_THREADS": "1",
        "SELFISH_STORE": str(folder / "store"),
        "SELFISH_TRACKING_URI": f"sqlite:///{folder}/mlflow.db",
    }
    with (folder / "log").open("ab") as log:
        started = time.perf_counter()
        subprocess.run(command, env=environment, stdout=log, stderr=log, check=True, cwd=folder)
        return time.perf_counter() - started


def measure(num_trials: int, *, is_plain: bool) -> float:
    """Run so many tiny trials in a folder of their own, one way or the other."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seeds = ", ".join(str(seed) for seed in range(1, num_trials + 1))
        (folder / "tiny.yaml").write_text(SPEC.format(seeds=seeds))
        plain = [sys.executable, "-c", PLAIN, name]
        ours = [sys.executable, "-m", "orchestration.cli", "run", str(folder / "tiny.yaml"), "--format", "csv"]
        ours.append("--no-pictures")
        return seconds(plain if is_plain else ours, folder)


def main() -> None:
    """Print both comparisons."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--many", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--skip-many", action="store_true")
    chosen = parser.parse_args()
    times: dict[bool, list[float]] = {True: [], False: []}
    for _ in range(chosen.rounds):
        for is_plain in times:
            times[is_plain].append(measure(chosen.trials, is_plain=is_plain))
    plain, ours = statistics.median(times[True]), statistics.median(times[False])
    print(f"{chosen.trials} trials: plain Tune {plain:.1f} s, ours {ours:.1f} s: {ours / plain:.2f}x")
    if not chosen.skip_many:
        many = measure(chosen.many, is_plain=False)
        each, each_of_many = ours / chosen.trials, many / chosen.many
        print(f"{chosen.many} trials: {many:.1f} s, {1000 * each_of_many:.0f} ms each beside {1000 * each:.0f} ms:")
        print(f"{each_of_many / each:.2f}x a trial")


if __name__ == "__main__":
    main()
