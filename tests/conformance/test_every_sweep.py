"""Every shipped sweep expands on a bare machine, says what it is, and names a table that its trials fill."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from selfish_core.config import TrialConfig
from selfish_core.resolve import field_path
from sweeps import expand, spec
from sweeps.parts import NAME

SWEEPS = sorted(spec.shipped())


@pytest.fixture(params=SWEEPS)
def sweep(request: pytest.FixtureRequest) -> spec.Spec:
    return spec.load(request.param)


def test_there_are_sweeps() -> None:
    assert {"quickstart", "ptb-cpu"} <= set(SWEEPS)


def test_its_name_is_that_of_its_file(sweep: spec.Spec) -> None:
    assert sweep.name == sweep.path.stem
    assert NAME.fullmatch(sweep.name)


def test_it_says_what_it_is(sweep: spec.Spec) -> None:
    assert len(sweep.description) >= 20


def test_it_has_a_table_that_its_trials_fill(sweep: spec.Spec) -> None:
    assert "table" in sweep.document.data
    fields = [".".join(field_path(name)) for name in (sweep.table.rows, sweep.table.columns)]
    for trial in expand.expand(sweep):
        assert set(fields) <= set(trial.config.flat())


def test_it_expands_without_any_corpus_at_hand(sweep: spec.Spec, tmp_path: Path) -> None:
    code = "import sys\nfrom sweeps import expand, spec\nexpand.expand(spec.load(sys.argv[1]))"
    home = {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path), "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", code, sweep.name], cwd=tmp_path, env=home, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert list(tmp_path.iterdir()) == []


def test_nothing_in_it_is_noted(sweep: spec.Spec) -> None:
    assert expand.expand(sweep).notes == ()


def test_every_trial_can_be_stored_and_read_back(sweep: spec.Spec) -> None:
    for trial in expand.expand(sweep):
        again = TrialConfig.from_dict(trial.config.to_dict())
        assert (again, again.key()) == (trial.config, trial.key)


def test_a_schedule_names_its_horizon(sweep: spec.Spec) -> None:
    """So that a longer run of the same sweep goes on with the same trials."""
    longer = spec.parse(sweep.text.replace(f"epochs: {sweep.epochs}\n".encode(), b"epochs: 1000\n"), sweep.path)
    assert longer.epochs == 1000
    assert {trial.key for trial in expand.expand(longer)} == {trial.key for trial in expand.expand(sweep)}


def test_its_cells_have_at_least_three_seeds(sweep: spec.Spec) -> None:
    assert len(sweep.seeds) >= 3
