"""What the quick verbs load: nothing that costs seconds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HEAVY = {"torch", "ray", "mlflow", "pandas", "numpy", "optuna", "pyarrow", "rich"}

PROBE = """
import sys
from orchestration.cli import call, explain
try:
    code = call(sys.argv[1:])
except Exception as error:
    code = explain(error)
sys.stdout.write("\\nloaded: " + ",".join(sorted(name for name in sys.modules if "." not in name)))
sys.exit(code)
"""


@pytest.mark.parametrize(
    ("arguments", "code"),
    [(("plan", "tiny.yaml"), 0), (("plan", "tiny.yaml", "--json"), 0), (("run", "nosuch"), 2), (("schema",), 0)],
)
def test_nothing_heavy_is_loaded(
    environment: dict[str, str], tiny: Path, tmp_path: Path, arguments: tuple[str, ...], code: int
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROBE, *arguments], env=environment, cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == code, done.stderr
    loaded = set(done.stdout.rpartition("loaded: ")[2].split(","))
    assert "orchestration" in loaded
    assert not loaded & HEAVY


def test_a_store_with_trials_is_planned_without_them_too(
    environment: dict[str, str], tiny: Path, tmp_path: Path
) -> None:
    filled = [sys.executable, "-m", "orchestration.cli", "train", "tiny.yaml", "--device", "cpu"]
    assert subprocess.run(filled, env=environment, cwd=tmp_path, capture_output=True).returncode == 0
    probe = [sys.executable, "-c", PROBE, "plan", "tiny.yaml"]
    done = subprocess.run(probe, env=environment, cwd=tmp_path, capture_output=True, text=True)
    assert "4 answered" in done.stdout
    assert not set(done.stdout.rpartition("loaded: ")[2].split(",")) & HEAVY
