"""A sweep with every kind of trial, by hand: answered, unfinished, failed, diverged; and a report of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from results.evidence import Evidence
from results.frames import EpochRow, tidy
from results.report.drawing import Drawings, Drawn
from results.report.facts import Facts, FailureFact, TrialFact
from results.report.page import build
from results.tables.model import Column, Entry, Table
from sweeps.expand import expand
from sweeps.spec import parse

SPEC = """\
name: small
description: {description}
base:
  corpus: synthetic
  architecture: {{name: stacked_lstm, num_layers: 1, hidden_size: 20, embedding_size: 20}}
  optimizer: {{name: sgd, learning_rate: 5.0}}
epochs: 3
axes:
  - list: [{{method: dense, sparsity: 0.0}}]
  - grid: {{method: [static, set], sparsity: [0.5]}}
seeds: [1, 2, 3]
"""
LSTM = ("input", "forget", "cell", "output")
VALUES: Mapping[str, tuple[float, ...]] = {"dense": (80.0, 81.0, 82.5), "static": (90.0, 91.5, 92.0), "set": (85.0,)}
"""Test perplexity of seeds 1, 2, 3; what is missing here has no epoch."""

GATES = tuple(f"gate_density.{gate}" for gate in ("embedding.all", *(f"lstm0.{name}" for name in LSTM), "decoder.all"))

MakeEvidence = Callable[..., Evidence]
Report = Callable[..., str]


@pytest.fixture(name="make_evidence")
def make_evidence_fixture(make_metrics: Any) -> MakeEvidence:
    """Make the records of the sweep; trials without a value in `values` have none."""

    def make(
        description: str = "three methods", values: Mapping[str, tuple[float, ...]] = VALUES, is_reversed: bool = False
    ) -> Evidence:
        spec = parse(SPEC.format(description=description).encode(), Path("small.yaml"))
        trials = expand(spec).trials
        rows = []
        for trial in trials:
            known = values[trial.config.method]
            if trial.config.seed <= len(known):
                for epoch in (1, 2, 3):
                    metrics = make_metrics(epoch) | {"test_perplexity": known[trial.config.seed - 1] + 3 - epoch}
                    metrics |= dict.fromkeys(GATES, 0.5 + 0.1 / epoch)
                    rows.append(EpochRow(trial.key, epoch, "trained", metrics, "0123456789ab", "device=cpu;torch=2.13"))
        return Evidence(spec, trials, tidy(reversed(rows) if is_reversed else rows))

    return make


@pytest.fixture
def evidence(make_evidence: MakeEvidence) -> Evidence:
    return make_evidence()


@pytest.fixture(name="make_facts")
def make_facts_fixture() -> Callable[..., Facts]:
    """Make the facts of a sweep, seed 2 of `set` failed and seed 3 still to run; `text` stands in every free text."""

    def make(evidence: Evidence, text: str = "of a kind") -> Facts:
        recorded = set(evidence.frame["key"])
        trials = []
        for trial in evidence.trials:
            seed = trial.config.seed
            state = "answered" if trial.key in recorded else ("failed" if seed == 2 else "to run")
            trials.append(
                TrialFact(
                    key=trial.key,
                    label=f"{trial.config.method}, seed {seed} {text}",
                    state=state,
                    num_epochs=3 if state == "answered" else 0,
                    repeat=f"selfish run small.yaml --rerun {trial.key[:12]}",
                )
            )
        lost = [trial.key for trial in trials if trial.state == "failed"]
        failures = tuple(FailureFact(key, "out_of_memory", f"no memory {text}", "node-1", 2, True) for key in lost)
        return Facts(tuple(trials), failures, "selfish run small.yaml", "selfish logs small KEY")

    return make


def make_table(text: str = "dense") -> Table:
    """A table with a mean, a cell that waits and one that diverged."""
    return Table(
        title=f"Test perplexity {text}",
        columns=(Column("method", is_number=False), Column("test perplexity")),
        rows=(
            (Entry(text, text), Entry("81.17 ± 1.26", 81.166, is_best=True)),
            (Entry("set", "set"), Entry("1/3")),
            (Entry("static", "static"), Entry("9.10 ± 0.10", 9.1)),
        ),
        notes=(f"Selection: the epoch ≤ 3 of lowest validation perplexity {text}.",),
    )


def make_drawings(text: str = "dense") -> Drawings:
    """One figure of two curves, and one that is not drawn."""
    line = {"type": "scatter", "mode": "lines", "x": [1, 2, 3], "line": {"color": "#000000"}}
    data = [{**line, "y": [90.0, 85.0, 81.0], "name": text}, {**line, "y": [95.0, float("nan"), 91.0], "name": "set"}]
    axes = {axis: {"title": {"text": axis}} for axis in ("xaxis", "yaxis")}
    numbers = Table("Curves", (Column("epoch"), Column(text)), ((Entry("1", 1), Entry("90", 90.0)),), ())
    drawn = Drawn("curves", f"Curves {text}", f"Mean over seeds {text}.", {"data": data, "layout": axes}, (numbers,))
    return Drawings((drawn,), ((f"Distances {text}", f"no masks are stored {text}"),))


@pytest.fixture(name="report")
def report_fixture(make_evidence: MakeEvidence, make_facts: Callable[..., Facts]) -> Report:
    """Write a report; `text` stands wherever people may write."""

    def write(text: str = "dense", **options: Any) -> str:
        evidence = make_evidence(**options)
        return build(evidence, [make_table(text)], make_drawings(text), make_facts(evidence, text))

    return write
