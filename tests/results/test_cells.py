"""Trials grouped into cells: values by seed, where they come from, and how far they are."""

from __future__ import annotations

from typing import Any

import pytest

from results.aggregate import conclude
from results.cells import Cell, Place, field_column, tabulate
from results.frames import EpochRow, tidy
from selfish_core.errors import InputError


def row(trial: Any, make_metrics: Any, value: float, **more: str) -> EpochRow:
    return EpochRow(trial.key, 1, "trained", make_metrics(1) | {"test_perplexity": value}, **more)


def one(cells: list[Cell]) -> Cell:
    assert len(cells) == 1
    return cells[0]


def test_a_cell_has_the_value_of_each_seed(make_trial: Any, make_metrics: Any) -> None:
    trials = [make_trial(seed=seed) for seed in (7, 1, 3)]
    frame = tidy(row(trial, make_metrics, 10.0 * trial.config.seed) for trial in trials)
    cell = one(tabulate(conclude(frame, trials, 1), "method", "sparsity"))
    assert list(cell.values.items()) == [(1, 10.0), (3, 30.0), (7, 70.0)]
    assert cell.keys == tuple(sorted(trial.key for trial in trials))


def test_trials_of_one_seed_have_no_value_by_seed(make_trial: Any, make_metrics: Any) -> None:
    trials = [make_trial(optimizer={"name": "sgd", "learning_rate": rate}) for rate in (1.0, 2.0)]
    frame = tidy(row(trial, make_metrics, 10.0) for trial in trials)
    cell = one(tabulate(conclude(frame, trials, 1), "method", "sparsity"))
    assert (cell.metric.n, dict(cell.values)) == (2, {})


def test_a_cell_knows_on_what_it_was_computed(make_trial: Any, make_metrics: Any) -> None:
    machines = {1: "device=cpu", 2: "device=cpu | device=cuda", 3: "device=cpu"}
    trials = [make_trial(seed=seed) for seed in machines]
    frame = tidy(
        row(trial, make_metrics, 1.0, fingerprint=machines[trial.config.seed], code_version="a") for trial in trials
    )
    cell = one(tabulate(conclude(frame, trials, 1), "method", "sparsity"))
    assert cell.fingerprints == ("device=cpu", "device=cuda")
    assert cell.origins.mixed == ("fingerprints",)


def test_other_data_is_another_hash(make_trial: Any, make_metrics: Any) -> None:
    trials = [make_trial(corpus=name) for name in ("synthetic", "ptb", "wikitext-2")]
    concluded = conclude(tidy([]), trials, 1)
    assert concluded["data_sha256"].nunique() == 3
    assert concluded["data_sha256"].str.fullmatch("[0-9a-f]{12}").all()
    cell = one(tabulate(concluded, "method", "sparsity"))
    assert cell.origins.mixed == ("data hashes",)
    assert [found.place for found in tabulate(concluded, "corpus", None, group_by=["method"])] == [
        Place(("static",), name, None) for name in ("ptb", "synthetic", "wikitext-2")
    ]


def test_rare_metrics_are_concluded_where_the_frame_has_them(make_trial: Any, make_metrics: Any) -> None:
    trial = make_trial()
    frame = tidy([row(trial, make_metrics, 1.0)])
    with_it = conclude(frame.assign(explored_fraction=0.75), [trial], 1)
    without = conclude(frame.drop(columns="explored_fraction"), [trial], 1)
    assert with_it["explored_fraction"].tolist() == [0.75]
    assert without["explored_fraction"].isna().all()


def test_early_stopping_changes_the_state_of_what_is_unfinished(make_trial: Any, make_metrics: Any) -> None:
    trials = [make_trial(seed=seed) for seed in (1, 2)]
    concluded = conclude(tidy([row(trials[0], make_metrics, 1.0)]), trials, 1)
    keys = [trial.key for trial in trials]
    cell = one(tabulate(concluded, "method", "sparsity", stopped=keys))
    assert dict(cell.states) == dict(sorted({keys[0]: "answered", keys[1]: "stopped"}.items()))
    assert (cell.is_stopped, cell.is_awaited, cell.num_finished) == (True, False, 1)


def test_the_length_of_a_sweep_is_a_field_where_the_frame_has_it(make_trial: Any) -> None:
    assert (field_column("epochs"), field_column("sparsity")) == ("epochs", "config.sparsity.level")
    concluded = conclude(tidy([]), [make_trial()], 1)
    assert one(tabulate(concluded.assign(epochs=8), "epochs", None)).row == 8
    with pytest.raises(InputError, match="field 'epochs' is a sweep's"):
        tabulate(concluded, "epochs", None)
