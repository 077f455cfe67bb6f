"""What the tests of sweeps share: specs from text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sweeps import expand, spec

HEAD = """\
name: x
epochs: 4
seeds: [1, 2]
base:
  corpus: synthetic
  architecture: {name: stacked_lstm, num_layers: 1, hidden_size: 16, embedding_size: 16}
  optimizer: {learning_rate: 1}
"""

Read = Callable[[str], spec.Spec]
Expand = Callable[[str], expand.Expansion]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    """Read a spec that starts with a base, two seeds and four epochs."""
    return lambda text: spec.parse((HEAD + text).encode(), tmp_path / "spec.yaml")


@pytest.fixture
def expanded(read: Read) -> Expand:
    """Expand such a spec."""
    return lambda text: expand.expand(read(text))
