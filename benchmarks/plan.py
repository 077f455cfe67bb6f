"""What `selfish plan` takes for 10,000 trials beside 1,000, the whole process, import time included.

    python benchmarks/plan.py

Every spec has five methods at twenty sparsities. `settings` has one trial for each learning rate, so that no two trials
share more than their architecture and sparsity; `seeds` has five trials for each. The trial store is empty.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SPEC = """\
name: big
epochs: 20
base:
  corpus: ptb
  architecture: {{name: stacked_lstm, num_layers: 2, hidden_size: 200, embedding_size: 200}}
axes:
  - grid:
      method: [static, set, selfish, rigl, gmp]
      sparsity: {levels}
      optimizer.learning_rate: {rates}
seeds: {seeds}
"""
NUM_ROUNDS = 5


def write_spec(folder: Path, num_rates: int, num_seeds: int) -> Path:
    """Write a spec of 100 × `num_rates` × `num_seeds` trials."""
    path = folder / f"{num_rates}-{num_seeds}.yaml"
    levels = [round(0.5 + 0.02 * index, 2) for index in range(20)]
    rates = [round(0.1 + 0.05 * index, 2) for index in range(num_rates)]
    path.write_text(SPEC.format(levels=levels, rates=rates, seeds=list(range(1, num_seeds + 1))))
    return path


def seconds(spec: Path) -> tuple[float, float]:
    """Return the wall and the processor time of planning a spec."""
    command = [sys.executable, "-m", "orchestration.cli", "plan", str(spec), "--store", str(spec.parent / "none")]
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    wall, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Plan each spec in turn, several times, and print the fastest, the processor time and the ratio."""
    with tempfile.TemporaryDirectory() as folder:
        specs = {
            "settings, 1,000": write_spec(Path(folder), 10, 1),
            "settings, 10,000": write_spec(Path(folder), 100, 1),
            "seeds, 1,000": write_spec(Path(folder), 2, 5),
            "seeds, 10,000": write_spec(Path(folder), 20, 5),
        }
        measured: dict[str, list[tuple[float, float]]] = {name: [] for name in specs}
        for _ in range(NUM_ROUNDS):
            for name, spec in specs.items():
                measured[name].append(seconds(spec))
    processor = {name: statistics.median(cpu for _, cpu in each) for name, each in measured.items()}
    for name, each in measured.items():
        print(f"{name:>17}: fastest {min(each)[0]:.2f} s, processor {processor[name]:.2f} s (median)")
    for kind in ("settings", "seeds"):
        ratio = processor[f"{kind}, 10,000"] / processor[f"{kind}, 1,000"]
        print(f"{kind}: 10,000 trials take {ratio:.1f} times the processor time of 1,000")


if __name__ == "__main__":
    main()
