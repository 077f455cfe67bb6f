"""Evidence made by hand: a small sweep whose trials have the values that a test gives them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from results.evidence import Evidence
from results.frames import EpochRow, tidy
from sweeps.expand import expand
from sweeps.spec import parse

Values = Mapping[tuple[str, float], Sequence[float | None]]
MakeEvidence = Callable[..., Evidence]

SPEC = """\
name: small
description: three methods
base:
  corpus: synthetic
  architecture: {name: stacked_lstm, num_layers: 1, hidden_size: 20, embedding_size: 20}
  optimizer: {name: sgd, learning_rate: 1.0}
epochs: 1
axes:
  - list: [{method: dense, sparsity: 0.0}]
  - grid: {method: [static], sparsity: [0.5, 0.8]}
  - grid: {method: [set], sparsity: [0.5, 0.8], sparsity.horizon_epochs: [1]}
seeds: SEEDS
"""


@pytest.fixture
def make_evidence(make_metrics: Callable[..., dict[str, float]]) -> MakeEvidence:
    def make(
        values: Values,
        *,
        seeds: Sequence[int] = (1, 2, 3),
        diverged: Sequence[tuple[str, float, int]] = (),
        shuffled: Callable[[list[EpochRow]], None] = lambda rows: None,
        text: str = SPEC,
        **of_row: Callable[[Any], str],
    ) -> Evidence:
        """Give each (method, sparsity) its values by seed; None and what is not named has not started."""
        spec = parse(text.replace("SEEDS", str(list(seeds))).encode(), Path("small.yaml"))
        trials = expand(spec).trials
        rows = []
        for trial in trials:
            config = trial.config
            found = dict(zip(seeds, values.get((config.method, config.sparsity.level), ()), strict=False))
            value = found.get(config.seed)
            if value is not None:
                is_diverged = (config.method, config.sparsity.level, config.seed) in diverged
                metrics = make_metrics(1, is_averaging=0.0) | {"val_perplexity": value - 1, "test_perplexity": value}
                more = {name: make_text(config) for name, make_text in of_row.items()}
                rows.append(EpochRow(trial.key, 1, "diverged" if is_diverged else "trained", metrics, **more))
        shuffled(rows)
        return Evidence(spec, trials, tidy(rows))

    return make
