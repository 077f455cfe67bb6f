"""A spec is found by path or name, is frozen data, and has a JSON Schema that agrees with the reader."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from selfish_core.catalogue.methods import METHODS
from selfish_core.config import TrialConfig
from selfish_core.errors import InputError
from selfish_core.records import METRIC_NAMES
from selfish_core.resolve import SECTION_CLASSES, field_paths
from sweeps import spec
from sweeps.expand import expand
from sweeps.sections import EarlyStoppingPart, Execution, Keep, SearchPart

FULL = """\
name: full
description: "  one line  "
base: {method: set, corpus: synthetic, sparsity: 0.5, training: {batch_size: 10}}
epochs: 3
axes:
  - grid: {optimizer.learning_rate: [1, 2]}
exclude: [{optimizer.learning_rate: 2}]
seeds: [3, 1, 3]
resources: {cpu: 2, gpu: 0.5}
table: {rows: optimizer.learning_rate, columns: method, metric: val_perplexity}
"""


def test_all_parts(tmp_path: Path) -> None:
    path = tmp_path / "full.yaml"
    path.write_text(FULL)
    sweep = spec.load(path)

    assert (sweep.path, sweep.text) == (path, FULL.encode())
    assert (sweep.name, sweep.description, sweep.epochs) == ("full", "one line", 3)
    assert sweep.base == {
        "method": "set",
        "corpus": {"name": "synthetic"},
        "sparsity": {"level": 0.5},
        "training": {"batch_size": 10},
    }
    assert [[setting.value for setting in point] for point in sweep.axes[0].points()] == [[1], [2]]
    assert [(setting.field, setting.value) for setting in sweep.exclude[0]] == [(("optimizer", "learning_rate"), 2)]
    assert sweep.seeds == (3, 1)
    assert sweep.notes == (f"{path}:8: seed 3 stands twice: it runs once",)
    assert sweep.resources == spec.Resources(cpu=2, gpu=0.5)
    assert sweep.table == spec.Table(rows="optimizer.learning_rate", columns="method", metric="val_perplexity")


def test_defaults(read: Callable[[str], spec.Spec]) -> None:
    sweep = read("")
    assert (sweep.description, sweep.axes, sweep.exclude, sweep.notes) == ("", (), (), ())
    assert sweep.resources == spec.Resources(cpu=1, gpu=0)
    assert sweep.table == spec.Table(rows="method", columns="sparsity", metric="test_perplexity")


def test_a_spec_is_frozen(read: Callable[[str], spec.Spec]) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        read("").epochs = 5  # type: ignore[misc]  # the assignment is the point


def test_a_shipped_sweep_is_found_by_its_name() -> None:
    assert spec.load("quickstart").name == "quickstart"
    assert spec.load("quickstart").path == spec.shipped()["quickstart"]


def test_an_unknown_sweep_lists_the_shipped_and_the_nearest() -> None:
    with pytest.raises(InputError) as caught:
        spec.load("quickstrt")
    assert str(caught.value) == (
        f"unknown sweep 'quickstrt': known are {', '.join(sorted(spec.shipped()))}; did you mean 'quickstart'? "
        "(or give the path of a YAML file)"
    )


def test_a_file_without_a_suffix_is_a_path_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine").write_text(FULL)
    assert spec.load("mine").name == "full"


@pytest.mark.parametrize("name", ["nowhere.yaml", "no/where", "", "a\0b.yaml", "x" * 5000 + ".yaml", "."])
def test_a_path_that_is_no_file_is_one_line(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match="cannot be read") as caught:
        spec.load(name)
    assert "\n" not in str(caught.value)
    assert "\0" not in str(caught.value)


def test_a_pipe_is_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "pipe.yaml"
    os.mkfifo(path)
    with pytest.raises(InputError, match="a spec is a regular file"):
        spec.load(path)


def test_a_device_is_refused_at_once() -> None:
    with pytest.raises(InputError, match="a spec is a regular file"):
        spec.load("/dev/zero")


def test_a_large_file_is_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    with path.open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(InputError, match="longer than 65,536 bytes"):
        spec.load(path)


def test_control_characters_of_a_path_are_escaped(tmp_path: Path) -> None:
    path = tmp_path / "a\x1b[31m.yaml"
    path.write_text("- 1")
    with pytest.raises(InputError) as caught:
        spec.load(path)
    assert str(caught.value).endswith("a\\x1b[31m.yaml:1: a spec must be a mapping, got a list")


def test_every_table_metric_is_recorded() -> None:
    assert set(spec.TABLE_METRICS) <= METRIC_NAMES


def test_the_schema_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(spec.json_schema())


def test_the_schema_knows_every_method_and_field() -> None:
    properties = spec.json_schema()["properties"]
    block = properties["axes"]["items"]["properties"]
    assert properties["base"]["properties"]["method"]["enum"] == sorted(METHODS)
    assert set(block["grid"]["properties"]) == set(field_paths()) - {"seed"}
    assert set(properties["exclude"]["items"]["properties"]) == set(field_paths())
    assert set(properties["base"]["properties"]) == {"method", *SECTION_CLASSES}
    for section, classes in SECTION_CLASSES.items():
        text = str(properties["base"]["properties"][section])
        assert all(f"'{field}'" in text for cls in classes.values() for field in cls.model_fields)


def test_every_field_of_a_config_can_be_named() -> None:
    sections = set(TrialConfig.model_fields) - {"method", "seed"}
    assert sections == set(SECTION_CLASSES)


def _validates(text: str, tmp_path: Path) -> bool:
    data = spec.parse(text.encode(), tmp_path / "spec.yaml").document.data
    return jsonschema.Draft202012Validator(spec.json_schema()).is_valid(data)


def test_the_schema_takes_what_the_reader_takes(tmp_path: Path) -> None:
    assert _validates(FULL.replace(", 3]", "]"), tmp_path)
    assert all(_validates(path.read_text(), tmp_path) for path in spec.shipped().values())


@pytest.mark.parametrize(
    "change",
    [
        {"sedes": [1]},
        {"name": "../evil"},
        {"name": "a..b"},
        {"epochs": 0},
        {"epochs": 1.5},
        {"seeds": []},
        {"seeds": [-1]},
        {"base": {"sparsity": 1.0}},
        {"base": {"sparsity": {"levle": 0.5}}},
        {"base": {"optimizer": {"name": "sgd", "non_monotone_window": 2}}},
        {"base": {"architecture": "rnn"}},
        {"axes": []},
        {"axes": [{"grid": {"sparsty": [0.5]}}]},
        {"axes": [{"grid": {"sparsity.removal_rate": [1.5]}}]},
        {"axes": [{"grid": {"seed": [1]}}]},
        {"axes": [{"list": [{}]}]},
        {"exclude": [{"method": "sett"}]},
        {"resources": {"cpu": 0}},
        {"table": {"metric": "loss"}},
        {"table": {"rows": "metod"}},
    ],
)
def test_the_schema_refuses_what_the_reader_refuses(change: dict[str, Any], tmp_path: Path) -> None:
    data = {"name": "x", "epochs": 1, "seeds": [1], **change}
    validator = jsonschema.Draft202012Validator(spec.json_schema())
    assert validator.is_valid({"name": "x", "epochs": 1, "seeds": [1]})
    assert not validator.is_valid(data)


def test_sections_that_no_key_knows_have_defaults(read: Callable[[str], spec.Spec]) -> None:
    sweep = read("")
    assert (sweep.search, sweep.space, sweep.early_stopping) == (None, None, None)
    assert sweep.execution == Execution(stall_timeout_seconds=600, canary_steps=3, max_failed_fraction=0.5)
    assert sweep.keep == Keep(last=2, best_of_trial=True, finished="all")
    assert sweep.resources.pack == "none"


SECTIONS = """\
axes: [{grid: {method: [set], sparsity: [0.5], optimizer.learning_rate: {low: 1, high: 2}}}]
resources: {gpu: 0.25, pack: auto}
execution: {stall_timeout_seconds: 60, canary_steps: 5, max_failed_fraction: 0.1}
keep: {last: 1, best_of_trial: true, finished: best_of_sweep}
search: {sampler: gp, num_trials: 7, metric: val_loss_nats, seed: 3, num_at_once: 2}
early_stopping: {rule: median, grace_epochs: 1, max_epochs: 3, min_groups: 5}
"""


def test_sections_that_no_key_knows(read: Callable[[str], spec.Spec], tmp_path: Path) -> None:
    sweep = read(SECTIONS)
    assert sweep.execution == Execution(stall_timeout_seconds=60, canary_steps=5, max_failed_fraction=0.1)
    assert sweep.keep == Keep(last=1, best_of_trial=True, finished="best_of_sweep")
    assert sweep.search == SearchPart(sampler="gp", num_trials=7, metric="val_loss_nats", seed=3, num_at_once=2)
    assert sweep.early_stopping == EarlyStoppingPart(rule="median", grace_epochs=1, max_epochs=3, min_groups=5)
    assert sweep.resources == spec.Resources(gpu=0.25, pack="auto")
    assert _validates(sweep.text.decode(), tmp_path)


def test_sections_that_no_key_knows_change_no_key(read: Callable[[str], spec.Spec]) -> None:
    axes = "axes: [{grid: {method: [set], sparsity: [0.5]}}]\n"
    more = [line for line in SECTIONS.splitlines() if not line.startswith(("axes", "search"))]
    plain, dressed = expand(read(axes)), expand(read(axes + "\n".join(more)))
    assert [trial.key for trial in plain] == [trial.key for trial in dressed]


def test_what_a_search_minimises_is_recorded() -> None:
    assert {"val_perplexity", "val_loss_nats"} <= METRIC_NAMES


@pytest.mark.parametrize(
    "change",
    [
        {"resources": {"pack": "some"}},
        {"execution": {"canary_steps": -1}},
        {"execution": {"stall_timeout": 3}},
        {"keep": {"last": 0}},
        {"keep": {"finished": "some"}},
        {"search": {}},
        {"search": {"num_trials": 0}},
        {"search": {"num_trials": 1, "sampler": "cmaes"}},
        {"search": {"num_trials": 1, "metric": "test_perplexity"}},
        {"early_stopping": {"rule": "hyperband"}},
        {"axes": [{"grid": {"sparsity": {"low": 0.5}}}]},
        {"axes": [{"grid": {"sparsity": {"low": 0.5, "high": 1.5}}}]},
        {"axes": [{"grid": {"sparsity": {"low": 0.5, "high": 0.8, "stp": 0.1}}}]},
        {"axes": [{"grid": {"sparsity": {"choices": []}}}]},
        {"axes": [{"zip": {"sparsity": {"low": 0.5, "high": 0.8}}}]},
    ],
)
def test_the_schema_refuses_what_the_reader_of_sections_refuses(change: dict[str, Any]) -> None:
    data = {"name": "x", "epochs": 1, "seeds": [1], **change}
    assert not jsonschema.Draft202012Validator(spec.json_schema()).is_valid(data)
