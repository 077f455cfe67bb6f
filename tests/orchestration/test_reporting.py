"""`selfish report`: what it tells of a stored sweep, and the file that it writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from orchestration import reporting, wanted
from orchestration.decisions import Ended, Failed, Running, Started, Stopped, write
from orchestration.repeating import repeat_command
from orchestration.verbs.report import report
from orchestration.wanted import Wanted
from results.evidence import gather
from results.report import page
from results.report.facts import Facts
from selfish_core.errors import InputError
from selfish_core.trial_store import TrialStore

SPEC = """\
name: tiny
base:
  corpus: {name: synthetic, train_fraction: 0.1}
  architecture: {name: stacked_lstm, num_layers: 1, hidden_size: 8, embedding_size: 8}
  optimizer: {name: sgd, learning_rate: 5.0}
  training: {batch_size: 10, bptt_length: 20, eval_batch_size: 10}
epochs: 3
axes:
  - list: [{method: set, sparsity: 0.5}]
seeds: [1, 2, 3, 4, 5, 6]
"""
STARTED = Started(num_requests=0, host="h", pid=7, epochs=3)

GATES = (*(f"lstm0.{gate}" for gate in ("input", "forget", "cell", "output")), "embedding.all", "decoder.all")
DENSITIES = {f"gate_density.{gate}": 0.5 for gate in GATES}


@pytest.fixture(autouse=True)
def _small_plotly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "_plotly", lambda: "/* stands for the library */")


@pytest.fixture
def sweep(tmp_path: Path, store: TrialStore, fill: Callable[..., None]) -> Wanted:
    """Seed 1 answered, 2 diverged, 3 stopped early, 4 failed, 5 unfinished, 6 to run."""
    path = tmp_path / "my tiny.yaml"
    path.write_text(SPEC)
    found = wanted.load(str(path))
    stored = store.sweep("tiny")
    stored.save_spec(path.read_bytes())
    keys = [trial.key for trial in found.trials]
    for trial, num_epochs in zip(found.trials, (3, 2, 1, 0, 2, 0), strict=True):
        if num_epochs:
            fill(store, trial, num_epochs, diverges=trial.config.seed == 2, **DENSITIES)
    write(stored, STARTED)
    write(stored, Running(trial=keys[3]))
    for is_final in (False, True):
        write(stored, Failed(trial=keys[3], failure="crashed", message="boom", node="n1", is_final=is_final))
    write(stored, Failed(trial=keys[0], failure="preempted", message="gone", is_final=False))
    write(stored, Failed(trial="0" * 32, failure="crashed", message="of another version of the spec", is_final=True))
    write(stored, Stopped(trials=(keys[2],), epoch=1, rule="asha"))
    write(stored, Ended(reason="done"))
    return found


def facts_of(sweep: Wanted, store: TrialStore) -> Facts:
    return reporting.gather_facts(sweep, store, gather(sweep.spec, sweep.trials, store, None))


def test_states_are_what_is_recorded_and_decided(sweep: Wanted, store: TrialStore) -> None:
    facts = facts_of(sweep, store)
    states = ["answered", "diverged", "stopped early", "failed", "unfinished", "to run"]
    assert [trial.state for trial in facts.trials] == states
    assert [trial.num_epochs for trial in facts.trials] == [3, 2, 1, 0, 2, 0]
    assert [trial.state for trial in facts.missing] == states[3:]
    assert facts.trials[1].message == "step 3: loss is nan"
    assert facts.stopped == {sweep.trials[2].key}
    assert facts.num_to_choose == 0


def test_failures_are_counted_by_trial_class_and_node(sweep: Wanted, store: TrialStore) -> None:
    told = [(one.failure, one.message, one.node, one.number, one.is_final) for one in facts_of(sweep, store).failures]
    assert told == [("crashed", "boom", "n1", 2, True), ("preempted", "gone", "", 1, False)]


def test_a_trial_runs_while_its_sweep_is_owned(sweep: Wanted, store: TrialStore) -> None:
    stored, key = store.sweep("tiny"), sweep.trials[5].key
    write(stored, STARTED)
    write(stored, Running(trial=key))
    assert facts_of(sweep, store).by_key[key].state == "to run"
    with stored.owned():
        assert facts_of(sweep, store).by_key[key].state == "running"


def test_commands_name_the_spec_as_a_shell_needs_it(sweep: Wanted, store: TrialStore) -> None:
    facts = facts_of(sweep, store)
    assert facts.run_command == "selfish run 'my tiny.yaml'"
    assert facts.trials[0].repeat == f"selfish train 'my tiny.yaml' --only {sweep.trials[0].key[:12]} --store FOLDER"
    assert repeat_command("x", "a" * 12, is_searched=True) == f"selfish run x --rerun {'a' * 12}"
    assert reporting.shipped_name(sweep.spec) is None
    assert reporting.shipped_name(wanted.load("quickstart").spec) == "quickstart"


def test_the_verb_writes_one_file_and_says_which(
    sweep: Wanted,
    store: TrialStore,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SELFISH_TRACKING_URI", f"sqlite:///{tmp_path}/none.db")
    report(str(sweep.spec.path), store=store.place)
    written = tmp_path / "tiny.html"
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.splitlines()[-1].startswith(f"{written}: 0.")
    html = written.read_text(encoding="utf-8")
    assert html.startswith("<!DOCTYPE html>")
    assert "step 3: loss is nan" in html
    assert str(tmp_path) not in html
    assert list(tmp_path.glob("tiny.html*")) == [written]


def test_a_file_that_is_there_stays_unless_force_is_given(sweep: Wanted, store: TrialStore, tmp_path: Path) -> None:
    written = tmp_path / "out.html"
    written.write_text("mine")
    uri = f"sqlite:///{tmp_path}/none.db"
    with pytest.raises(InputError, match="is there already; --force writes over it"):
        report(str(sweep.spec.path), output=str(written), store=store.place, tracking_uri=uri)
    assert written.read_text() == "mine"
    report(str(sweep.spec.path), output=str(written), force=True, store=store.place, tracking_uri=uri)
    assert written.read_text().startswith("<!DOCTYPE html>")
    assert list(tmp_path.glob("out.html*")) == [written]


@pytest.mark.parametrize(("output", "message"), [("no/such/x.html", "there is no such folder"), (".", "is a folder")])
def test_a_wrong_output_is_refused_before_anything_is_read(
    output: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        report("no-such-spec.yaml", output=output, store=str(tmp_path / "store"))


def test_a_sweep_of_which_nothing_is_stored_has_a_report(
    tmp_path: Path, store: TrialStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "tiny.yaml"
    path.write_text(SPEC)
    html, _ = reporting.render_report(wanted.load(str(path)), store, None)
    assert "No setting has all its answers yet" in html
    assert html.count(">to run</td>") == 6 * 2


def test_a_search_that_has_chosen_nothing_has_a_report(store: TrialStore) -> None:
    html, _ = reporting.render_report(wanted.load("quickstart-search"), store, None)
    assert "The search has 36 more trials to choose." in html
    assert "selfish run quickstart-search" in html
    assert "There are no rows yet." in html
    assert "FOLDER" not in html
