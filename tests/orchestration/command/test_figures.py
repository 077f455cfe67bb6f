"""`selfish figure`: what it writes and says, and what it refuses before it reads anything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from orchestration.verbs.figures import FORMATS, figure
from results.figures.registry import FIGURES
from selfish_core.errors import InputError
from selfish_core.trial_store import TrialStore
from sweeps import spec as spec_module
from sweeps.expand import expand

MAGIC = {"pdf": b"%PDF", "png": b"\x89PNG", "svg": b"<?xml", "html": b"<!DOCTYPE html>", "json": b"{"}


@pytest.fixture
def sweep(tiny: Path, store: TrialStore, fill: Any) -> Path:
    """A sweep of which all is recorded."""
    for trial in expand(spec_module.load(tiny)).trials:
        fill(store, trial, 2)
    return tiny


@pytest.fixture
def call(store: TrialStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Call the verb in a folder of its own, on the test's trial store."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SELFISH_TRACKING_URI", f"sqlite:///{tmp_path}/none.db")
    app = typer.Typer()
    app.command()(figure)

    def run(*arguments: str) -> Any:
        done = CliRunner().invoke(app, [*arguments, "--store", store.place])
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done

    return run


def test_a_figure_is_a_pdf_named_after_sweep_and_figure_unless_told_otherwise(
    call: Any, sweep: Path, tmp_path: Path
) -> None:
    done = call("learning-curves", str(sweep))
    written = tmp_path / "tiny-learning-curves.pdf"
    assert written.read_bytes().startswith(b"%PDF")
    assert f"{written}: written, {written.stat().st_size:,} bytes" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_suffix_says_the_format(call: Any, sweep: Path, tmp_path: Path, suffix: str) -> None:
    call("learning-curves", str(sweep), "--output", f"a.{suffix}")
    assert (tmp_path / f"a.{suffix}").read_bytes().startswith(MAGIC[suffix])


def test_a_file_is_replaced_only_when_it_is_asked_for(call: Any, sweep: Path, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("mine")
    with pytest.raises(InputError, match=r"a\.json: is there already.*--force"):
        call("learning-curves", str(sweep), "-o", "a.json")
    assert (tmp_path / "a.json").read_text() == "mine"
    assert "a.json: replaced" in call("learning-curves", str(sweep), "-o", "a.json", "--force").stderr
    assert "data" in json.loads((tmp_path / "a.json").read_text())


def test_options_reach_the_figure(call: Any, sweep: Path, tmp_path: Path) -> None:
    call("learning-curves", str(sweep), "-o", "a.json", "--where", "method=set", "--metric", "sparsity")
    spec = json.loads((tmp_path / "a.json").read_text())
    assert spec["layout"]["yaxis"]["title"]["text"] == "sparsity"
    assert {one["name"] for one in spec["data"]} == {"set", "mask updates", "averaging begins"}


def test_all_figures_are_listed_with_what_they_show(call: Any) -> None:
    listed = call("--list").stdout.splitlines()
    assert [line.split()[0] for line in listed] == list(FIGURES)
    assert all(kind.description in line for kind, line in zip(FIGURES.values(), listed, strict=True))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "name a figure and a spec"),
        (["learning-curves"], "name a figure and a spec"),
        (["learnin-curves", "absent"], "did you mean 'learning-curves'"),
        (["learning-curves", "quickstar"], "did you mean 'quickstart'"),
        (["learning-curves", "quickstart", "-o", "a.pfd"], "a.pfd: unknown suffix 'pfd'.*did you mean 'pdf'"),
        (["learning-curves", "quickstart", "-o", "nowhere/a.pdf"], "there is no such folder"),
        (["learning-curves", "quickstart", "--where", "method"], "--where must be FIELD=VALUE"),
        (["learning-curves", "quickstart", "--where", "seed=1", "--where", "seed=2"], "is given twice"),
    ],
)
def test_wrong_use_is_refused_in_one_line(call: Any, arguments: list[str], told: str) -> None:
    with pytest.raises(InputError, match=told) as error:
        call(*arguments)
    assert len(str(error.value).splitlines()) == 1
    assert error.value.exit_code == 2


def test_values_that_no_trial_has_are_named(call: Any, sweep: Path) -> None:
    with pytest.raises(InputError, match=r"no trial of tiny has sparsity=0.7"):
        call("learning-curves", str(sweep), "--where", "sparsity=0.7")


def test_a_matrix_without_checkpoints_says_so(call: Any, sweep: Path) -> None:
    with pytest.raises(InputError, match="without a kept checkpoint"):
        call("topology-matrix", str(sweep))
