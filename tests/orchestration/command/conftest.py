"""The `selfish` command as a process of its own, with a home that is not the user's."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Command = Callable[..., subprocess.CompletedProcess[str]]

TINY = """\
name: tiny
description: two methods, two seeds
base:
  corpus: {name: synthetic, train_fraction: 0.1}
  architecture: {name: stacked_lstm, num_layers: 1, hidden_size: 8, embedding_size: 8}
  optimizer: {name: sgd, learning_rate: 5.0}
  training: {batch_size: 10, bptt_length: 20, eval_batch_size: 10}
epochs: 2
axes:
  - list: [{method: dense, sparsity: 0.0}, {method: set, sparsity: 0.5}]
seeds: [1, 2]
"""


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return path


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SELFISH_", "XDG_", "RAY_"))}
    return {
        **kept,
        "HOME": str(tmp_path / "home"),
        "SELFISH_STORE": str(tmp_path / "store"),
        "SELFISH_TRACKING_URI": f"sqlite:///{tmp_path}/mlflow.db",
    }


@pytest.fixture
def selfish(environment: dict[str, str], tmp_path: Path) -> Command:
    def call(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "orchestration.cli", *arguments],
            env={**environment, **variables},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
        )

    return call
