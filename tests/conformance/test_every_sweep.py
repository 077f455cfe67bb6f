"""Every shipped sweep expands on a bare machine, says what it is, and names a table that its trials fill."""

from __future__ import annotations

import subprocess
import sys
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest

from selfish_core.catalogue.architectures import ARCHITECTURES
from selfish_core.catalogue.methods import METHODS
from selfish_core.config import TrialConfig
from selfish_core.errors import InputError
from selfish_core.resolve import field_path
from sweeps import expand, recipes, spec
from sweeps.parts import NAME

SWEEPS = sorted(spec.shipped())
PAPER = [name for name in SWEEPS if name.startswith("paper/")]

SMOKE_TESTS = {"every-method-cpu", "ptb-architectures-cpu", "wt2-mos-cpu"}
"""They show that everything runs, in the shortest time; one seed is enough for that, and no table is read from them."""

POOLS = {"paper/hyperpruning-space", "quickstart-search"}
"""Spaces of more dimensions than their tables have; these say which fields a cell pools."""

MAX_SECONDS = 2.0
"""For one sweep, starting Python apart: a spec is refused or accepted while its writer waits. On a busy machine."""


def trials_of(sweep: spec.Spec) -> Sequence[expand.Trial]:
    """Every trial; of a searched sweep, those of the corners of its space."""
    return expand.corner_trials(sweep) if sweep.search is not None else expand.expand(sweep)


@pytest.fixture(params=SWEEPS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def sweep(name: str) -> spec.Spec:
    return spec.load(name)


def test_there_are_sweeps() -> None:
    assert {"quickstart", "ptb-cpu", "every-method-cpu"} <= set(SWEEPS)


def test_every_table_and_ablation_of_the_paper_has_a_sweep() -> None:
    assert {
        "paper/ptb-stacked-lstm",
        "paper/ptb-rhn",
        "paper/ptb-on-lstm",
        "paper/wt2-mos",
        "paper/snt-asgd-versus-adam",
        "paper/sparsity-levels",
        "paper/removal-rates",
        "paper/regrowth",
        "paper/removal-variants",
        "paper/redistribution-variants",
        "paper/distribution",
        "paper/topology-distances",
        "paper/hyperpruning-space",
    } <= set(PAPER)


def test_every_sweep_and_recipe_is_shipped() -> None:
    """A wheel holds the files that pyproject.toml names."""
    folder = Path(spec.__file__).parent
    project = tomllib.loads((folder.parent / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = project["tool"]["setuptools"]["package-data"]["sweeps"]
    assert {path for pattern in patterns for path in folder.glob(pattern)} == set(folder.rglob("*.yaml"))


@pytest.mark.parametrize("name", PAPER)
def test_a_sweep_of_the_paper_is_told_to_who_leaves_out_its_folder(name: str) -> None:
    with pytest.raises(InputError, match=f"known are .*{name}"):
        spec.load(Path(name).name)


def test_its_name_is_that_of_its_file(sweep: spec.Spec) -> None:
    assert sweep.name == sweep.path.stem
    assert NAME.fullmatch(sweep.name)


def test_no_two_sweeps_have_one_name() -> None:
    """A trial store knows a sweep by its name alone."""
    assert len({Path(name).name for name in SWEEPS}) == len(SWEEPS)


def test_it_says_what_it_is(sweep: spec.Spec) -> None:
    assert len(sweep.description) >= 20


def test_it_has_a_table_that_its_trials_fill(sweep: spec.Spec) -> None:
    assert "table" in sweep.document.data
    fields = [".".join(field_path(name)) for name in (sweep.table.rows, sweep.table.columns)]
    for trial in trials_of(sweep):
        assert set(fields) <= set(trial.config.flat())


def test_a_cell_of_its_table_is_one_setting(name: str, sweep: spec.Spec) -> None:
    if name in POOLS:
        return
    rows, columns = (".".join(field_path(field)) for field in (sweep.table.rows, sweep.table.columns))
    cells: dict[tuple[object, object], set[str]] = {}
    for trial in trials_of(sweep):
        flat = trial.config.flat()
        settings = str(sorted({**flat, "seed": 0}.items()))
        cells.setdefault((flat[rows], flat[columns]), set()).add(settings)
    assert [cell for cell, settings in cells.items() if len(settings) > 1] == []


def test_it_expands_without_any_corpus_at_hand(name: str, tmp_path: Path) -> None:
    code = "import sys\nfrom sweeps import expand, spec\nexpand.expand(spec.load(sys.argv[1]))"
    home = {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path), "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", code, name], cwd=tmp_path, env=home, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert list(tmp_path.iterdir()) == []


def test_it_expands_while_its_user_waits(name: str) -> None:
    start = time.process_time()
    expand.expand(spec.load(name))
    assert time.process_time() - start < MAX_SECONDS


def test_nothing_in_it_is_noted(sweep: spec.Spec) -> None:
    assert expand.expand(sweep).notes == ()


def test_every_trial_can_be_stored_and_read_back(sweep: spec.Spec) -> None:
    for trial in trials_of(sweep):
        again = TrialConfig.from_dict(trial.config.to_dict())
        assert (again, again.key()) == (trial.config, trial.key)


def test_a_schedule_names_its_horizon(sweep: spec.Spec) -> None:
    """So that a longer run of the same sweep goes on with the same trials."""
    longer = spec.parse(sweep.text.replace(f"epochs: {sweep.epochs}\n".encode(), b"epochs: 2000\n"), sweep.path)
    assert longer.epochs == 2000
    assert {trial.key for trial in trials_of(longer)} == {trial.key for trial in trials_of(sweep)} != set()


def test_its_cells_have_at_least_three_seeds(name: str, sweep: spec.Spec) -> None:
    assert len(sweep.seeds) >= (1 if name in SMOKE_TESTS else 3)


@pytest.mark.parametrize("name", PAPER)
def test_a_sweep_of_the_paper_stands_on_a_recipe_of_full_size(name: str) -> None:
    recipe = spec.load(name).recipe
    assert recipe is not None
    assert not recipe.name.endswith("_small")


@pytest.mark.parametrize("name", ["paper/ptb-stacked-lstm", "paper/ptb-rhn", "paper/snt-asgd-versus-adam"])
def test_a_table_of_the_paper_has_every_method(name: str) -> None:
    assert {trial.config.method for trial in expand.expand(spec.load(name))} == set(METHODS)


@pytest.mark.parametrize("name", ["paper/ptb-on-lstm", "paper/wt2-mos"])
def test_a_table_without_group_lasso_has_every_other_method(name: str) -> None:
    assert {trial.config.method for trial in expand.expand(spec.load(name))} == set(METHODS) - {"iss"}


def test_the_smoke_test_has_every_pair_that_has_a_meaning() -> None:
    pairs = {
        (trial.config.method, trial.config.architecture.name) for trial in expand.expand(spec.load("every-method-cpu"))
    }
    without_units = {name for name, row in ARCHITECTURES.items() if not row.has_unit_groups}
    every = {(method, architecture) for method in METHODS for architecture in ARCHITECTURES}
    assert every - pairs == {("iss", architecture) for architecture in without_units}


def test_a_searched_sweep_wants_no_trial_before_it_is_searched() -> None:
    searched = {name for name in SWEEPS if spec.load(name).search is not None}
    assert "quickstart-search" in searched
    for name in searched:
        sweep = spec.load(name)
        assert tuple(expand.expand(sweep)) == ()
        point = {"optimizer.learning_rate": 3.0, "sparsity.removal_rate": 0.5}
        assert [trial.config.seed for trial in expand.point_trials(sweep, point)] == list(sweep.seeds)


def test_every_recipe_expands_with_a_method_alone(tmp_path: Path) -> None:
    for recipe in recipes.names():
        text = f"name: x\nepochs: 1\nseeds: [1]\nrecipe: {recipe}\nbase: {{method: dense}}\n"
        (trial,) = expand.expand(spec.parse(text.encode(), tmp_path / "spec.yaml"))
        assert trial.config.architecture.name == recipes.load(recipe).architecture["name"]
