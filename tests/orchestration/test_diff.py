"""`selfish diff`: where two trials differ, in config, origin and curves."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from orchestration.verbs.tracing import diff
from selfish_core.errors import InputError
from selfish_core.trial_store import TrialStore

Call = Callable[..., Any]


@pytest.fixture
def call(store: TrialStore) -> Call:
    app = typer.Typer()
    app.command()(diff)

    def call(*arguments: str) -> Any:
        done = CliRunner().invoke(app, [*arguments, "--store", store.place])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return json.loads(done.stdout) if "--json" in arguments else done.stdout

    return call


@pytest.fixture
def pair(store: TrialStore, make_trial: Any, fill: Any) -> tuple[str, str]:
    first, second = make_trial("static", 0.5, 1), make_trial("set", 0.8, 2)
    fill(store, first, 3)
    fill(store, second, 2)
    return first.key, second.key


def test_fields_that_differ_are_shown_and_the_others_counted(call: Call, pair: tuple[str, str]) -> None:
    told = call(*(key[:10] for key in pair), "--json")
    assert told["keys"] == list(pair)
    assert told["config"]["method"] == ["static", "set"]
    assert told["config"]["sparsity.level"] == [0.5, 0.8]
    assert told["config"]["seed"] == [1, 2]
    assert told["config"]["sparsity.regrowth"][1] == "random"
    assert "architecture.hidden_size" not in told["config"]
    assert told["num_fields_equal"] > 10


def test_curves_stand_side_by_side_with_their_difference(call: Call, pair: tuple[str, str]) -> None:
    told = call(*pair, "--json")
    assert told["num_epochs"] == [3, 2]
    points = told["curves"]["val_perplexity"]
    assert [point["epoch"] for point in points] == [1, 2, 3]
    assert points[0] == {"epoch": 1, "values": [94.0, 95.0], "difference": 1.0}
    assert points[2] == {"epoch": 3, "values": [80.0, None], "difference": None}
    assert told["first_different_epoch"] == 1
    lines = call(*pair).splitlines()
    assert any(line.split() == ["1", "94", "95", "+1"] for line in lines)
    assert lines[-1] == "all that is recorded differs from epoch 1 on"


def test_the_first_epoch_that_differs_is_named(
    store: TrialStore, call: Call, make_trial: Any, make_record: Any, make_metrics: Any
) -> None:
    trials = [make_trial(seed=seed) for seed in (1, 2)]
    for norm, trial in zip((5.0, 6.0), trials, strict=True):
        attempt = store.put(trial.config.to_dict(), trial.key).claim(None, "test")
        for epoch in (1, 2, 3):
            metrics = make_metrics(epoch, **({"gradient_norm": norm} if epoch == 3 else {}))
            attempt.write_record(make_record(trial.key, epoch, **metrics))
    keys = [trial.key for trial in trials]
    assert call(*keys, "--json")["first_different_epoch"] == 3
    assert call(*keys).splitlines()[-1] == "all that is recorded differs from epoch 3 on"


def test_a_trial_is_compared_with_its_repetition_elsewhere(
    store: TrialStore, call: Call, make_trial: Any, fill: Any, tmp_path: Path
) -> None:
    trial = make_trial()
    fill(store, trial, 3)
    other = TrialStore.open(tmp_path / "other")
    fill(other, trial, 2)
    told = call(trial.key, trial.key, "--other-store", other.place)
    assert told.splitlines()[-1] == "all that is recorded of the 2 common epochs is the same, bit by bit"
    fill(other, trial, 3, max_gradient_norm=1.0)
    told = call(trial.key, trial.key, "--other-store", other.place).splitlines()
    assert told[-2:] == [
        "only trial B has max_gradient_norm",
        "what both recorded of the 3 common epochs is the same, bit by bit",
    ]


def test_a_metric_of_ones_own_choice(call: Call, pair: tuple[str, str]) -> None:
    told = call(*pair, "--metric", "gradient_norm", "--metric", "gate_density.0.input", "--json")
    assert list(told["curves"]) == ["gradient_norm", "gate_density.0.input"]
    with pytest.raises(InputError, match=r"unknown metric 'gradientnorm' .*did you mean 'gradient_norm'\?"):
        call(*pair, "--metric", "gradientnorm")


def test_trials_without_records_have_configs_to_compare(store: TrialStore, call: Call, make_trial: Any) -> None:
    trials = [make_trial(seed=seed) for seed in (1, 2)]
    for trial in trials:
        store.put(trial.config.to_dict(), trial.key)
    told = call(*(trial.key for trial in trials))
    assert told.splitlines()[-1] == "no epoch is recorded of both"
    assert "seed  1" in told


def test_a_key_that_is_not_there_is_refused(call: Call, pair: tuple[str, str]) -> None:
    with pytest.raises(InputError, match="has a key that starts with 'zz'"):
        call(pair[0], "zz")
