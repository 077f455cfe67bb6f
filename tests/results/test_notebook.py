"""`results.load` in a notebook: a tidy frame that can be grouped, from where the settings say."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

import results
from orchestration.tracking import Projector, SweepView
from results import notebook
from selfish_core.errors import InputError
from selfish_core.trial_store import TrialStore
from sweeps import spec
from sweeps.expand import expand

SPEC = """\
name: small
epochs: 2
base:
  corpus: synthetic
  architecture: {name: stacked_lstm, num_layers: 1, hidden_size: 20, embedding_size: 20}
  optimizer: {name: sgd, learning_rate: 1.0}
axes:
  - grid:
      method: [static, set]
      sparsity: [0.5, 0.8]
      optimizer.learning_rate: [1.0, 2.0]
seeds: [1]
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(SPEC)
    return path


@pytest.fixture
def small(path: Path, store: TrialStore, tracking_uri: str, fill: Any, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    monkeypatch.setattr(notebook, "user_folder", lambda: path.parent / "user")
    monkeypatch.setattr(notebook, "user_file", lambda: path.parent / "config.yaml")
    for name in ("SELFISH_STORE", "SELFISH_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    trials = list(expand(spec.load(path)).trials)
    for trial in trials:
        fill(store, trial, 2)
    Projector(store, tracking_uri).project([SweepView("small", trials)])
    return trials


def test_frame_can_be_grouped_by_what_the_trials_are(
    small: list[Any], path: Path, store: TrialStore, tracking_uri: str
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        frame = results.load(path, store.place, tracking_uri)
    assert list(frame.columns[:9]) == [
        "key",
        "method",
        "architecture",
        "corpus",
        "sparsity_level",
        "optimizer",
        "seed",
        "optimizer.learning_rate",
        "epoch",
    ]
    assert len(frame) == 16
    sizes = frame.groupby(["method", "sparsity_level", "optimizer.learning_rate", "seed"]).size()
    assert sizes.to_dict() == {(m, s, r, 1): 2 for m in ("set", "static") for s in (0.5, 0.8) for r in (1.0, 2.0)}
    assert set(frame["architecture"]) == {"stacked_lstm"}
    assert set(frame["corpus"]) == {"synthetic"}
    assert set(frame["sparsity"]) == {0.5}, "the metric, as the records have it"
    expected = {trial.key: trial.config.flat()["method"] for trial in small}
    assert dict(zip(frame["key"], frame["method"], strict=True)) == expected


def test_argument_before_environment_before_user_file_before_default(
    small: list[Any], path: Path, store: TrialStore, tracking_uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match=r"there is no trial store at .*user/store: run a sweep"):
        results.load(path)
    (path.parent / "config.yaml").write_text(f"store: {store.place}\ntracking_uri: sqlite:///{path.parent}/none.db\n")
    with pytest.warns(UserWarning, match=r"made from the records: there is no MLflow database at .*none\.db") as told:
        assert len(results.load(path)) == 16
    assert told[0].filename == __file__
    monkeypatch.setenv("SELFISH_TRACKING_URI", tracking_uri)
    assert len(results.load(path)) == 16
    monkeypatch.setenv("SELFISH_STORE", str(path.parent / "nowhere"))
    with pytest.raises(InputError, match="nowhere"):
        results.load(path)
    assert len(results.load(path, store=store.place)) == 16


def test_search_gives_the_trials_of_the_points_that_it_has_chosen_and_that_are_still_allowed(
    small: list[Any], path: Path, store: TrialStore, tracking_uri: str
) -> None:
    searched = SPEC.replace("name: small", "name: searched").replace(
        "optimizer.learning_rate: [1.0, 2.0]", "optimizer.learning_rate: {low: 1.5, high: 4.0}"
    )
    path.write_text(searched + "search: {sampler: random, num_trials: 3}\n")
    with pytest.warns(UserWarning, match="there is no MLflow database"):
        assert results.load(path, store.place, "sqlite:////nowhere/none.db").empty
    points = [{"method": "set", "sparsity": 0.5, "optimizer.learning_rate": rate} for rate in (1.0, 2.0)]
    for number, point in enumerate(points):
        store.sweep("searched").decide("asked", {"number": number, "point": point, "trials": []})
    frame = results.load(path, store.place, tracking_uri)
    assert set(frame["optimizer.learning_rate"]) == {2.0}, "1.0 is stored too, and beyond what the spec allows now"


def test_unknown_spec_is_told_as_everywhere(small: list[Any]) -> None:
    with pytest.raises(InputError, match=r"unknown sweep 'quickstrat'.*did you mean 'quickstart'"):
        results.load("quickstrat")


def test_package_imports_nothing() -> None:
    script = "import sys, results; sys.exit(any(name in sys.modules for name in ('pandas', 'mlflow', 'pydantic')))"
    assert subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parents[2], timeout=60).returncode == 0
