"""Every table that comes with Selfish is built before anything is trained and from half of its trials, in all formats.

The trials are those of the paper's sweeps; what they show is made up here, so that no number means anything.
"""

from __future__ import annotations

import io
import json
import random
import shutil
import subprocess
import tomllib
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from results.evidence import Evidence
from results.frames import EpochRow, tidy
from results.published import published
from results.tables import build
from results.tables.assemble import cells_of
from results.tables.definition import FOLDER, load, names
from results.tables.model import Table
from results.tables.render import FORMATS, render
from sweeps import expand, spec

ROOT = Path(__file__).parents[2]

DOCUMENT = r"\documentclass{article}\usepackage{booktabs,siunitx}\begin{document}%s\end{document}"

MakeMetrics = Callable[..., dict[str, float]]


@pytest.fixture(params=names())
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@cache
def empty(sweep: str) -> Evidence:
    """A sweep of which nothing is recorded."""
    read = spec.load(sweep)
    return Evidence(read, expand.expand(read).trials, tidy([]))


def filled(sweep: str, make_metrics: MakeMetrics) -> Evidence:
    """The same with most of its trials done, some diverged and some not begun."""
    evidence = empty(sweep)
    dice = random.Random(sweep)
    rows = []
    for number, trial in enumerate(evidence.trials):
        level = 60.0 + 10 * trial.config.sparsity.level + len(trial.config.method) + dice.gauss(0, 0.1)
        outcome = "diverged" if dice.random() < 0.03 else "trained"
        metrics = make_metrics(1) | {"val_perplexity": level, "test_perplexity": level - 2}
        if number % 10:
            rows.append(EpochRow(trial.key, 1, outcome, metrics, "code", "machine"))
    one = tidy(rows)
    epochs = evidence.spec.epochs
    frame = one.loc[one.index.repeat(epochs)].assign(epoch=np.tile(np.arange(1, epochs + 1), len(one)))
    return Evidence(evidence.spec, evidence.trials, frame.reset_index(drop=True))


@pytest.fixture(scope="module")
def tables() -> dict[str, Table]:
    """The half-filled tables that were built, by name."""
    return {}


@pytest.fixture
def half_filled(name: str, tables: dict[str, Table], make_metrics: MakeMetrics) -> Table:
    if name not in tables:
        tables[name] = build([filled(sweep, make_metrics) for sweep in load(name).sweeps], name)
    return tables[name]


def test_every_table_and_ablation_of_the_paper_is_there() -> None:
    assert {
        "ptb-stacked-lstm",
        "ptb-rhn",
        "ptb-on-lstm",
        "wt2-mos",
        "snt-asgd-versus-adam",
        "removal",
        "removal-rates",
        "regrowth",
        "redistribution",
        "initialisation",
        "sparsity-levels",
        "training-and-inference-flops",
    } <= set(names())


def test_no_table_has_the_name_of_a_sweep() -> None:
    assert set(names()).isdisjoint(spec.shipped())


def test_every_definition_is_shipped() -> None:
    """A wheel holds the files that pyproject.toml names."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = project["tool"]["setuptools"]["package-data"]["results"]
    found = {path for pattern in patterns for path in (ROOT / "results").glob(pattern)}
    assert set(FOLDER.iterdir()) <= found


def test_the_docs_list_it(name: str) -> None:
    assert f"`{name}`" in (ROOT / "docs" / "tables.md").read_text(encoding="utf-8")


def test_its_published_numbers_exist_and_stand_beside_a_cell_each(name: str) -> None:
    definition = load(name)
    assert {join.id for join in definition.published} <= set(published())
    table = build([empty(sweep) for sweep in definition.sweeps], name)
    beside = [cell["published"]["published_id"] for cell in table.data["cells"] if cell["published"]]
    assert Counter(one for one in beside if one) == Counter(join.id for join in definition.published)


def test_a_cell_of_it_is_one_setting_with_all_of_its_seeds(name: str) -> None:
    definition = load(name)
    evidence = [empty(sweep) for sweep in definition.sweeps]
    cells = cells_of(evidence, definition)
    assert [cell for cell in cells if cell.pooled] == []
    assert Counter(key for cell in cells for key in cell.keys) == Counter(
        {trial.key for one in evidence for trial in one.trials}
    )
    assert {cell.of for cell in cells} == {3}


def test_it_is_printed_before_anything_is_trained(name: str) -> None:
    table = build([empty(sweep) for sweep in load(name).sweeps], name)
    shown = {format_name: render(table, format_name) for format_name in FORMATS}
    assert "0/3" in shown["text"]
    assert all(cell["n"] == 0 and cell["num_wanted"] == 3 for cell in json.loads(shown["json"])["cells"])
    assert "nan" not in shown["text"]


def test_it_is_printed_when_half_is_done(name: str, half_filled: Table) -> None:
    shown = {format_name: render(half_filled, format_name) for format_name in FORMATS}
    text = shown["text"]
    assert text.startswith(f"{name}: {load(name).title}\n")
    assert " ± " in text
    assert "2/3" in text
    num_cells = len(half_filled.data["cells"])
    assert len(pd.read_csv(io.StringIO(shown["csv"]))) == num_cells
    assert len(shown["html"].split("<tr>")) - 2 == len(half_filled.rows)
    best = [cell for cell in half_filled.data["cells"] if cell["is_best"]]
    assert shown["html"].count("<strong>") == shown["latex"].count(r"\bfseries") == len(best)


def test_what_it_compares_is_told_below_it(name: str, half_filled: Table) -> None:
    is_compared = load(name).compare != "none"
    assert bool(half_filled.data["contests"]) == is_compared
    assert any(note.startswith("Test: ") for note in half_filled.notes) == is_compared
    references = {cell["row"] for cell in half_filled.data["cells"]} & set(load(name).references)
    assert references == set(load(name).references)
    for contest in half_filled.data["contests"]:
        assert references.isdisjoint(contest["took_part"])


def test_latex_takes_all_of_them(make_metrics: MakeMetrics, tables: dict[str, Table], tmp_path: Path) -> None:
    pdflatex = shutil.which("pdflatex")
    if pdflatex is None:
        pytest.skip("no pdflatex here")
    for name in names():
        if name not in tables:
            tables[name] = build([filled(sweep, make_metrics) for sweep in load(name).sweeps], name)
    body = "\n\n".join(render(tables[name], "latex") for name in names())
    (tmp_path / "tables.tex").write_text(DOCUMENT % body, encoding="utf-8")
    words = [pdflatex, "-interaction=nonstopmode", "-halt-on-error", "tables.tex"]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, errors="replace", check=False)
    assert done.returncode == 0, done.stdout[-2000:]
    assert "Missing character" not in (tmp_path / "tables.log").read_text(errors="replace")
