"""Conclusions and cells, against numbers worked out by hand."""

from __future__ import annotations

import math
import random
import statistics
from typing import Any

import pandas as pd
import pytest

from results.aggregate import Cell, conclude, tabulate
from results.frames import EpochRow, tidy
from results.tables import notes
from selfish_core.errors import InputError


def rows(key: str, make_metrics: Any, *epochs: dict[str, float], ends: str = "trained") -> list[EpochRow]:
    outcomes = ["trained"] * (len(epochs) - 1) + [ends]
    return [
        EpochRow(key, number, outcome, make_metrics(number) | changed)
        for number, (changed, outcome) in enumerate(zip(epochs, outcomes, strict=True), start=1)
    ]


def one(frame: pd.DataFrame) -> dict[str, Any]:
    assert len(frame) == 1
    return {str(name): value for name, value in frame.iloc[0].to_dict().items()}


def test_takes_the_test_perplexity_of_the_best_validation_epoch(make_trial: Any, make_metrics: Any) -> None:
    trial = make_trial()
    frame = tidy(
        rows(
            trial.key,
            make_metrics,
            {"val_perplexity": 90, "test_perplexity": 91, "is_averaging": 0, "num_active_parameters": 7},
            {"val_perplexity": 80, "test_perplexity": 85, "is_averaging": 0, "num_active_parameters": 8},
            {"val_perplexity": 80, "test_perplexity": 10, "is_averaging": 1, "num_active_parameters": 9},
            {"val_perplexity": 70, "test_perplexity": 71, "is_averaging": 1, "num_active_parameters": 10},
        )
    )
    upto3, upto4 = (one(conclude(frame, [trial], epochs)) for epochs in (3, 4))
    assert (upto3["state"], upto3["selected_epoch"], upto3["val_perplexity"], upto3["test_perplexity"]) == (
        "answered",
        2,
        80,
        85,
    )
    assert (upto3["averaging_epoch"], upto3["num_active_parameters"], upto3["training_flops"]) == (3, 8, 3e9)
    assert (upto4["selected_epoch"], upto4["test_perplexity"], upto4["training_flops"]) == (4, 71, 4e9)
    assert upto4["config.method"] == "static"
    assert upto4["config.sparsity.level"] == 0.5


def test_states(make_trial: Any, make_metrics: Any) -> None:
    trials = {
        name: make_trial(seed=seed)
        for seed, name in enumerate(("answered", "unfinished", "diverged", "missing", "late"))
    }
    frame = tidy(
        [
            *rows(trials["answered"].key, make_metrics, {}, {}, {}),
            *rows(trials["unfinished"].key, make_metrics, {}, {}),
            *rows(trials["diverged"].key, make_metrics, {}, {"val_perplexity": math.nan}, ends="diverged"),
            *rows(trials["late"].key, make_metrics, {}, {}, {}, {}, ends="diverged"),
            *rows("0" * 32, make_metrics, {}),
        ]
    )
    concluded = conclude(frame, trials.values(), 3).set_index("key")
    states = {name: concluded.loc[trial.key, "state"] for name, trial in trials.items()}
    assert states == {name: name for name in trials} | {"late": "answered"}
    assert concluded.loc[trials["unfinished"].key, "num_epochs"] == 2
    assert concluded.loc[trials["diverged"].key, "selected_epoch"] == 1
    assert math.isnan(concluded.loc[trials["missing"].key, "test_perplexity"])


def test_trial_without_a_single_validation_value_concludes(make_trial: Any, make_metrics: Any) -> None:
    trial = make_trial()
    frame = tidy(rows(trial.key, make_metrics, {"val_perplexity": math.nan}, ends="diverged"))
    concluded = one(conclude(frame, [trial], 3))
    assert concluded["state"] == "diverged"
    assert math.isnan(concluded["selected_epoch"])


def cells_of(make_trial: Any, make_metrics: Any, finished: dict[tuple[str, int], float], **changed: Any) -> list[Cell]:
    trials = [make_trial(method, 0.5, seed) for method in ("static", "set") for seed in (1, 2, 3)]
    frame = tidy(
        row
        for trial in trials
        for best in [finished.get((trial.config.method, trial.config.seed))]
        if best is not None
        for row in rows(trial.key, make_metrics, {"val_perplexity": 1, "test_perplexity": best, **changed})
    )
    return tabulate(conclude(frame, trials, 1), "method", "sparsity")


def test_mean_and_sample_deviation_over_seeds(make_trial: Any, make_metrics: Any) -> None:
    set_cell, static_cell = cells_of(
        make_trial, make_metrics, {("static", 1): 100, ("static", 2): 104, ("static", 3): 111, ("set", 2): 90}
    )
    assert (static_cell.row, static_cell.column) == ("static", 0.5)
    assert (static_cell.metric.mean, static_cell.metric.n, static_cell.of) == (105, 3, 3)
    assert static_cell.metric.std == pytest.approx(math.sqrt(31))
    assert static_cell.metric.std == pytest.approx(statistics.stdev([100, 104, 111]))
    assert (static_cell.metric.low, static_cell.metric.high) == (100, 111)
    assert (set_cell.num_finished, set_cell.of, set_cell.metric.n) == (1, 3, 0)
    assert math.isnan(set_cell.metric.mean)
    assert not static_cell.pooled


def test_diverged_trials_are_finished_but_not_in_the_mean(make_trial: Any, make_metrics: Any) -> None:
    trials = [make_trial(seed=seed) for seed in (1, 2, 3)]
    frame = tidy(
        [
            *rows(trials[0].key, make_metrics, {"test_perplexity": 50}),
            *rows(trials[1].key, make_metrics, {"test_perplexity": 60}),
            *rows(trials[2].key, make_metrics, {"test_perplexity": 1}, ends="diverged"),
        ]
    )
    (cell,) = tabulate(conclude(frame, trials, 1), "method", "sparsity")
    assert (cell.metric.mean, cell.metric.n, cell.num_finished, cell.num_diverged) == (55, 2, 3, 1)
    assert cell.metric.std == pytest.approx(math.sqrt(50))


def test_cell_that_pools_more_than_seeds_says_so(make_trial: Any, make_metrics: Any) -> None:
    trials = [make_trial(optimizer={"name": "sgd", "learning_rate": rate}) for rate in (1.0, 2.0)]
    frame = tidy(row for trial in trials for row in rows(trial.key, make_metrics, {}))
    (cell,) = tabulate(conclude(frame, trials, 1), "method", "sparsity")
    assert cell.pooled == ("optimizer.learning_rate",)
    assert [cell.row for cell in tabulate(conclude(frame, trials, 1), "optimizer.learning_rate", "method")] == [
        1.0,
        2.0,
    ]


def test_field_that_is_none_is_named(make_trial: Any, make_metrics: Any) -> None:
    frame = tidy(rows(make_trial().key, make_metrics, {}))
    with pytest.raises(InputError, match="sparsity"):
        tabulate(conclude(frame, [make_trial()], 1), "method", "sparsty")


def test_order_of_rows_and_trials_changes_no_bit(make_trial: Any, make_metrics: Any) -> None:
    trials = [make_trial(method, 0.5, seed) for method in ("static", "set") for seed in range(1, 6)]
    dice = random.Random(3)
    all_rows = [
        row
        for trial in trials
        for row in rows(trial.key, make_metrics, {"test_perplexity": dice.uniform(1, 1e6), "val_perplexity": 1.0}, {})
    ]
    expected = repr(tabulate(conclude(tidy(all_rows), trials, 2), "method", "sparsity"))
    for _ in range(20):
        dice.shuffle(all_rows)
        dice.shuffle(trials)
        frame = tidy(all_rows).sample(frac=1, random_state=dice.randrange(1000))
        assert repr(tabulate(conclude(frame, trials, 2), "method", "sparsity")) == expected


def test_empty_frame_gives_missing_trials(make_trial: Any) -> None:
    (cell,) = tabulate(conclude(tidy([]), [make_trial()], 3), "method", "sparsity")
    assert (cell.num_finished, cell.of, list(cell.states.values())) == (0, 1, ["missing"])


def test_cell_computed_by_several_code_versions_says_so(make_trial: Any, make_metrics: Any) -> None:
    versions = {1: "aaa", 2: "aaa,bbb", 3: "aaa"}
    trials = {seed: make_trial(seed=seed) for seed in versions}
    frame = tidy(
        EpochRow(trials[seed].key, epoch, "trained", make_metrics(epoch), version)
        for seed, version in versions.items()
        for epoch in (1, 2, 3)
    )
    (cell,) = tabulate(conclude(frame, trials.values(), 3), "method", "sparsity")
    assert cell.code_versions == ("aaa", "bbb")
    assert notes.of_cells([cell]) == ["† mixes code versions: static, 0.5; --format json has them."]
    (pure,) = tabulate(conclude(frame, [trials[1], trials[3]], 3), "method", "sparsity")
    assert pure.code_versions == ("aaa",)


def test_a_pruned_trial_is_selected_among_its_sparse_epochs(make_trial: Any, make_metrics: Any) -> None:
    trial = make_trial("gmp")
    frame = tidy(
        rows(
            trial.key,
            make_metrics,
            {"val_perplexity": 50, "test_perplexity": 50, "is_selectable": 0},
            {"val_perplexity": 90, "test_perplexity": 91, "is_selectable": 1},
            {"val_perplexity": 80, "test_perplexity": 81, "is_selectable": 1},
        )
    )
    concluded = conclude(frame, [trial], epochs=3)
    assert concluded["selected_epoch"].tolist() == [3.0]
    cell = tabulate(concluded, "method", "sparsity")[0]
    assert cell.metric.mean == 81
    assert any("only epochs at their final sparsity" in note for note in notes.of_cells([cell]))
