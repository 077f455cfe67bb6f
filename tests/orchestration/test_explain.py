"""`selfish explain`: the trials behind a cell, what they mix, how a cell is named, and the command that repeats one."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from orchestration import wanted
from orchestration.verbs.run import train
from orchestration.verbs.tracing import explain
from selfish_core.errors import InputError
from selfish_core.records import Provenance
from selfish_core.trial_store import TrialStore

SPEC = """\
name: cell
description: two methods, three seeds
base:
  corpus: {name: synthetic, train_fraction: 0.1}
  architecture: {name: stacked_lstm, num_layers: 1, hidden_size: 8, embedding_size: 8}
  optimizer: {name: sgd, learning_rate: 5.0}
  training: {batch_size: 10, bptt_length: 20, eval_batch_size: 10}
epochs: 2
axes:
  - list: [{method: dense, sparsity: 0.0}, {method: set, sparsity: 0.5}, {method: set, sparsity: 0.8}]
seeds: [1, 2, 3]
table: {rows: method, columns: sparsity, metric: test_perplexity}
"""
VALUES = {1: 50.0, 2: 54.0, 3: 61.0}

Call = Callable[..., Any]


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "cell.yaml"
    path.write_text(SPEC)
    return path


@pytest.fixture
def filled(spec: Path, store: TrialStore, make_record: Any, make_metrics: Any) -> TrialStore:
    """Every trial answered; of `set` at 0.5, seed 3 by other code on another machine; of 0.8, seed 3 unfinished."""
    for trial in wanted.load(str(spec)).trials:
        seed, level = trial.config.seed, trial.config.sparsity.level
        attempt = store.put(trial.config.to_dict(), trial.key).claim(None, "test")
        code = "new" if (level, seed) == (0.5, 3) else "old"
        for epoch in range(1, 2 if (level, seed) == (0.8, 3) else 3):
            metrics = make_metrics(epoch, test_perplexity=VALUES[seed] if epoch == 2 else 99.0)
            record = make_record(trial.key, epoch, attempt.number, **metrics)
            provenance = Provenance(code_version=code, fingerprint={"device": "cpu", "torch": code})
            attempt.write_record(record.model_copy(update={"provenance": provenance}))
    return store


@pytest.fixture
def call(filled: TrialStore, spec: Path) -> Call:
    app = typer.Typer()
    app.command()(explain)

    def call(*arguments: str, table: str = str(spec)) -> Any:
        done = CliRunner().invoke(app, [table, *arguments, "--store", filled.place])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return json.loads(done.stdout) if "--json" in arguments else done.stdout

    return call


def test_a_cell_is_its_trials_with_all_that_is_known_of_them(call: Call, filled: TrialStore) -> None:
    told = call("dense", "0.0", "--json")
    assert (told["mean"], told["n"], told["num_wanted"]) == (55.0, 3, 3)
    assert told["std"] == pytest.approx(31**0.5)
    assert told["text"] == "55.00 ± 5.57"
    assert (told["mixed"], told["pooled"]) == ([], [])
    assert [trial["seed"] for trial in told["trials"]] == [1, 2, 3]
    for trial in told["trials"]:
        record = filled.trial(trial["key"]).records()[1]
        assert trial["value"] == record.metrics["test_perplexity"] == VALUES[trial["seed"]]
        assert (trial["state"], trial["num_epochs"], trial["epochs"], trial["selected_epoch"]) == ("answered", 2, 2, 2)
        assert trial["code_version"] == "old"
        assert trial["fingerprint"] == "device=cpu;torch=old"
        assert len(trial["data_sha256"]) == 12


def test_text_says_how_the_mean_comes_about_and_what_all_share(call: Call) -> None:
    lines = call("dense", "0.0").splitlines()
    assert lines[0].endswith("cell.yaml: dense, 0.0")
    mean = "test perplexity 55.00 ± 5.57: mean and sample standard deviation (n − 1 = 2) of 50.00, 54.00, 61.00"
    assert mean in lines
    assert "code version: old" in lines
    assert "computed on: device cpu, torch old" in lines
    assert not any(line.startswith("note") for line in lines)


def test_a_cell_that_mixes_versions_and_machines_says_which_seed_has_which(call: Call) -> None:
    assert call("set", "0.5", "--json")["mixed"] == ["code versions", "fingerprints"]
    lines = call("set", "0.5").splitlines()
    assert "note: this cell mixes code versions and fingerprints" in lines
    assert "code version (seed 1, 2): old" in lines
    assert "computed on (seed 3): device cpu, torch new" in lines


def test_an_unfinished_cell_has_no_mean(call: Call) -> None:
    told = call("set", "0.8", "--json")
    assert (told["mean"], told["n"], told["text"]) == (None, 0, "2/3")
    assert [trial["state"] for trial in told["trials"]] == ["answered", "answered", "unfinished"]
    assert not any(trial["is_counted"] for trial in told["trials"])
    assert "test perplexity: 2/3; a mean is shown when every trial has finished" in call("set", "0.8")


@pytest.mark.parametrize("column", ["0.5", "0.50", ".5", "5e-1", " 0.5 "])
def test_numbers_compare_as_numbers(column: str, call: Call) -> None:
    assert call("set", column, "--json")["column"] == 0.5


def test_another_metric_and_other_fields_as_for_a_table(call: Call) -> None:
    told = call("3", "--rows", "seed", "--columns", "none", "--metric", "val_perplexity", "--json")
    assert (told["columns"], told["metric"], told["row"]) == (None, "val_perplexity", 3)
    assert "method" in told["pooled"]
    told = call("0.5", "--rows", "sparsity", "--columns", "none", "--group-by", "method", "--group", "set", "--json")
    assert told["group"] == {"method": "set"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("sett", "0.5"), r"unknown ROW, method 'sett' of table .*: known are dense, set; did you mean 'set'\?"),
        (("dense", "0.5"), r"unknown COLUMN, sparsity '0.5' of method dense in table .*: known are 0.0"),
        (("set",), r"method set in table .* has several cells there: name one by COLUMN, sparsity: 0.5, 0.8"),
        (("set", "0.5", "--group", "x"), "is grouped by 0 fields, got 1 of --group"),
        (("1", "0.5", "--rows", "seed", "--columns", "none"), "has no columns: leave out '0.5'"),
        (("set", "0.5", "--rows", "sparsty"), "sparsity"),
    ],
)
def test_what_is_not_there_is_refused_with_what_is(arguments: tuple[str, ...], message: str, call: Call) -> None:
    with pytest.raises(InputError, match=message) as caught:
        call(*arguments)
    assert "\n" not in str(caught.value)


def test_an_unknown_table_is_refused_with_the_nearest(call: Call) -> None:
    with pytest.raises(InputError, match=r"unknown table or sweep 'quickstat': .* did you mean 'quickstart'\?"):
        call("set", "0.5", table="quickstat")


def test_a_table_by_name_has_cells_before_anything_is_recorded(call: Call) -> None:
    told = call("selfish", "0.67", "--json", table="ptb-stacked-lstm")
    assert (told["text"], told["mean"]) == ("0/3", None)
    assert {trial["repeat"].split()[2] for trial in told["trials"]} == {"paper/ptb-stacked-lstm"}


def test_the_command_repeats_the_trial_bit_by_bit(call: Call, spec: Path, tmp_path: Path) -> None:
    """Two trial stores, one command: the same records."""
    command = call("set", "0.5", "--json")["trials"][0]["repeat"]
    key = command.split()[4]
    app = typer.Typer()
    app.command()(train)
    records = []
    for folder in ("first", "second"):
        arguments = shlex.split(command.replace("FOLDER", str(tmp_path / folder)))
        assert arguments[:2] == ["selfish", "train"]
        done = CliRunner().invoke(app, arguments[2:])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        stored = TrialStore.open(tmp_path / folder)
        answered = [one.key for one in map(stored.trial, stored.keys()) if one.records()]
        assert answered == [key]
        records.append([record.science() for record in stored.trial(key).records()])
    assert len(records[0]) == 2
    assert records[0] == records[1]
