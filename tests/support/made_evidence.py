"""A sweep whose every number is known: what is recorded of it is made here, so that figures can be worked out by hand.

At seeds 1, 2, 3 a trial's perplexity is its setting's value less one, itself, and plus one: the mean is the value, the
standard deviation 1, and the 95 % t interval the value ± 4.302653 / √3.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from results.evidence import Evidence
from results.figures.options import Distances, Parameter, Searched
from results.frames import ALWAYS_THERE, EpochRow, tidy
from selfish_core.accounting import tensor_targets
from sweeps.expand import Trial, expand
from sweeps.spec import parse

EPOCHS = 4
HALF_INTERVAL = 4.302652729911275 / 3**0.5

SPEC = """\
name: made
description: a sweep of made-up numbers
base:
  corpus: synthetic
  architecture: {name: stacked_lstm, num_layers: 2, hidden_size: 8, embedding_size: 8}
  optimizer: {learning_rate: 1.0}
  training: {topology_distance: true}
epochs: 4
axes:
  - list: [{method: dense, sparsity: 0.0}]
  - grid: {method: [static], sparsity: [0.5, 0.8]}
  - grid:
      method: [set, selfish]
      sparsity: [0.5, 0.8]
      sparsity.removal_rate: [0.3, 0.5]
      sparsity.horizon_epochs: [4]
seeds: [1, 2, 3]
table: {rows: method, columns: sparsity, metric: test_perplexity}
"""

SEARCH = """\
name: made-search
base:
  method: set
  corpus: synthetic
  architecture: {name: stacked_lstm, num_layers: 1, hidden_size: 8, embedding_size: 8}
  sparsity: {level: 0.5, horizon_epochs: 4}
epochs: 4
axes:
  - grid: {optimizer.learning_rate: {low: 1, high: 40, log: true}, sparsity.removal_rate: {low: 0.1, high: 0.9}}
search: {num_trials: 8, seed: 1}
seeds: [1]
"""

BASE = {"dense": 80.0, "static": 110.0, "set": 100.0, "selfish": 90.0}

Change = Callable[[Trial, int, dict[str, float]], dict[str, float] | None]
"""Takes a trial, an epoch and its metrics, and returns them changed; None where the epoch was not reached."""


def value_of(trial: Trial) -> float:
    """A setting's test perplexity: its method's, ten more at sparsity 0.8, two more at removal rate 0.5."""
    point = trial.point
    value = BASE[str(point["method"])] + (10.0 if point["sparsity"] == 0.8 else 0.0)
    return value + (2.0 if point.get("sparsity.removal_rate") == 0.5 else 0.0)


def metrics_of(trial: Trial, epoch: int) -> dict[str, float]:
    """What one epoch recorded: perplexities fall by ten an epoch, averaging begins at epoch 3, masks move until 3."""
    seed, method = trial.config.seed, str(trial.point["method"])
    density = 1.0 - float(trial.point["sparsity"])
    perplexity = value_of(trial) + (seed - 2) + 10.0 * (EPOCHS - epoch)
    is_moving = method in ("set", "selfish")
    metrics = dict.fromkeys(ALWAYS_THERE, 1.0) | {
        "val_perplexity": perplexity,
        "test_perplexity": perplexity,
        "sparsity": 1.0 - density,
        "training_flops": epoch * 1e12 * density * (1.1 if method == "selfish" else 1.0),
        "turnover_fraction": 0.2 if is_moving and epoch < EPOCHS else 0.0,
        "is_averaging": float(epoch >= 3),
        "is_selectable": 1.0,
        "explored_fraction": min(1.0, density + (0.05 * epoch if is_moving else 0.0)),
        "topology_distance_to_first": 0.1 * epoch if is_moving else 0.0,
        "topology_distance_to_previous": 0.1 if is_moving else 0.0,
    }
    for target in tensor_targets(trial.config):
        for number, (gate, _) in enumerate(target.shape.gate_slices):
            shift = 0.01 * epoch * (number - 1.5) if is_moving and len(target.shape.gates) > 1 else 0.0
            metrics[f"gate_density.{target.shape.layer}.{gate}"] = density + shift
    return metrics


def evidence(change: Change | None = None, text: str = SPEC) -> Evidence:
    """Return the sweep with all of its trials answered, or as `change` makes them."""
    spec = parse(text.encode(), Path("made.yaml"))
    trials = expand(spec).trials
    rows = []
    for trial in trials:
        for epoch in range(1, EPOCHS + 1):
            metrics: dict[str, float] | None = metrics_of(trial, epoch)
            if change is not None:
                metrics = change(trial, epoch, metrics_of(trial, epoch))
            if metrics is not None:
                rows.append(EpochRow(trial.key, epoch, "trained", metrics, "code"))
    return Evidence(spec, trials, tidy(rows))


def search_evidence() -> Evidence:
    """Return a searched sweep of which nothing is recorded."""
    return Evidence(parse(SEARCH.encode(), Path("made-search.yaml")), (), tidy([]))


def searched() -> Searched:
    """Return four points of the search, the last without a removal rate."""
    return Searched(
        parameters=(
            Parameter("optimizer.learning_rate", (1.0, 10.0, 40.0, 20.0), is_log=True, importance=0.75),
            Parameter("sparsity.removal_rate", (0.1, 0.5, 0.9, None), importance=None),
            Parameter("method", ("set", "selfish", "set", "selfish"), importance=0.25),
        ),
        metric="val_perplexity",
        values=(120.0, 90.0, 110.0, 100.0),
        numbers=(0, 1, 2, 4),
        evaluator="by hand",
    )


def distances(sweep: Evidence) -> Distances:
    """Return distances between all sparse trials, in reverse order: a tenth of how far apart they are in the spec."""
    keys = [trial.key for trial in sweep.trials if trial.point["method"] != "dense"]
    place = {key: number for number, key in enumerate(keys)}
    backwards = keys[::-1]
    rows = tuple(tuple(abs(place[a] - place[b]) / 100 for b in backwards) for a in backwards)
    return Distances(tuple(backwards), rows, "Masks after epoch 4.")
