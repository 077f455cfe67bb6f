"""`selfish table`: which table a name means, what may be asked of it, and what early stopping gave up."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestration import cli, decisions
from orchestration.decisions import Retried, Started, Stopped
from orchestration.tables import make_table, needed, stopped_early
from orchestration.wanted import load
from results.tables.view import View, of_spec
from selfish_core.errors import InputError
from selfish_core.trial_store import TrialStore

SPEC = """\
name: tiny
description: two methods
base:
  corpus: synthetic
  architecture: {name: stacked_lstm, num_layers: 1, hidden_size: 8, embedding_size: 8}
  optimizer: {name: sgd, learning_rate: 5.0}
epochs: 3
axes:
  - list: [{method: dense, sparsity: 0.0}, {method: static, sparsity: 0.5}]
seeds: [1, 2]
early_stopping: {rule: median, grace_epochs: 1}
"""

Shown = Callable[..., str]


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(SPEC)
    return path


@pytest.fixture
def shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shown:
    """Run the command in this process and return what it printed."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SELFISH_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("SELFISH_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> str:
        assert cli.call(["table", *arguments]) == 0
        return capsys.readouterr().out

    return call


def test_without_a_name_the_tables_are_listed(shown: Shown) -> None:
    assert shown() == shown("--list")
    names = [line.split()[0] for line in shown().splitlines()]
    assert names[0] == "TABLE"
    assert {"ptb-rhn", "regrowth"} <= set(names)
    listed = json.loads(shown("--list", "--json"))
    assert [one["name"] for one in listed] == names[1:]
    assert all(one["title"] and one["sweeps"] for one in listed)


def test_a_table_by_name_needs_no_store(shown: Shown, tmp_path: Path) -> None:
    text = shown("ptb-rhn")
    assert text.startswith("ptb-rhn: every method")
    assert "60.35" in text
    assert "0/3" in text
    assert not (tmp_path / "store").exists()


def test_a_name_wins_over_a_file_of_that_name(shown: Shown, tmp_path: Path) -> None:
    (tmp_path / "regrowth").write_text("no spec")
    assert shown("regrowth").startswith("regrowth: ")


def test_the_free_form_shows_any_fields(shown: Shown, spec: Path, store: TrialStore) -> None:
    options = ("--rows", "sparsity", "--columns", "none", "--metric", "val_perplexity", "--group-by", "method")
    data = json.loads(shown("tiny.yaml", *options, "--json"))
    assert (data["rows"], data["columns"], data["metric"], data["group_by"]) == (
        "sparsity",
        None,
        "val_perplexity",
        ["method"],
    )
    head = shown("tiny.yaml", "--layout", "grid").splitlines()[2]
    assert head.split() == ["method", "sparsity", "0.0", "sparsity", "0.5"]


def test_html_is_a_format(shown: Shown, spec: Path, store: TrialStore) -> None:
    assert shown("tiny.yaml", "--format", "html").startswith('<table class="selfish">')


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("tiny.yaml", "--json", "--format", "csv"), "--json and --format csv contradict each other"),
        (("tiny.yaml", "--format", "jsn"), "unknown format 'jsn': .*did you mean 'json'"),
        (("tiny.yaml", "--rows", "metod"), "unknown field 'metod': .*did you mean 'method'"),
        (("tiny.yaml", "--metric", "perplexity"), "unknown table metric 'perplexity'"),
        (("tiny.yaml", "--layout", "wide"), "unknown layout 'wide'"),
        (("regrowht",), "unknown table or sweep 'regrowht': .*did you mean 'regrowth'"),
        (("no/such.yaml",), "no/such.yaml: cannot be read"),
        (("--rows", "method"), "--rows has no meaning for the list of tables"),
        (("--group-by", "method"), "--group-by has no meaning"),
        (("regrowth", "--list"), "regrowth has no meaning for the list"),
        (("--list", "--format", "csv"), "the list of tables is text or json, got --format csv"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_every_mistake_is_told_before_the_store_is_looked_for(
    shown: Shown, spec: Path, arguments: tuple[str, ...], told: str
) -> None:
    with pytest.raises(InputError, match=told):
        shown(*arguments)


def test_a_sweep_without_a_store_is_refused(shown: Shown, spec: Path) -> None:
    with pytest.raises(InputError, match="there is no trial store"):
        shown("tiny.yaml")


def test_what_early_stopping_gave_up_is_shown_as_stopped(spec: Path, store: TrialStore) -> None:
    wanted = load(str(spec))
    static = tuple(trial.key for trial in wanted.trials if trial.config.method == "static")
    sweep = store.sweep("tiny")
    decisions.write(sweep, Started(num_requests=0, host="here", pid=1, epochs=3))
    decisions.write(sweep, Stopped(trials=static, epoch=1, rule="median"))
    assert stopped_early(wanted, store) == set(static)
    table = make_table([wanted], of_spec(wanted.spec), store, None)
    assert [[entry.text for entry in row][:3] for row in table.rows] == [
        ["dense", "0.0", "0/2"],
        ["static", "0.5", "stopped"],
    ]
    decisions.write(sweep, Retried(request=1, trial=static[0]))
    assert stopped_early(wanted, store) == set(static[1:])


def test_a_trial_that_two_sweeps_want_counts_once(spec: Path, store: TrialStore) -> None:
    wanted = load(str(spec))
    table = make_table([wanted, wanted], of_spec(wanted.spec), store, None)
    assert [cell["num_wanted"] for cell in table.data["cells"]] == [2, 2]


def test_a_searched_sweep_shows_what_was_chosen(store: TrialStore) -> None:
    wanted = load("quickstart-search")
    assert make_table([wanted], of_spec(wanted.spec), store, None).rows == ()


def test_only_what_a_table_needs_is_read() -> None:
    own = needed(of_spec(load("quickstart").spec))
    assert "test_perplexity" in own
    assert "explored_fraction" not in own
    assert "explored_fraction" in needed(View(rows="method", metrics=("explored_fraction",)))
