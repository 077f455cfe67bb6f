"""The default table, byte for byte in every format."""

from __future__ import annotations

import csv
import io
import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from results.aggregate import conclude, tabulate
from results.frames import EpochRow, tidy
from results.tables.model import Column, Entry, Table
from results.tables.render import FORMATS, render
from results.tables.sweep import build
from selfish_core.errors import InputError


@pytest.fixture
def table(make_trial: Any, make_metrics: Any) -> Table:
    return make_table(make_trial, make_metrics, random.Random(0))


def make_table(make_trial: Any, make_metrics: Any, dice: random.Random) -> Table:
    """Static complete, set unfinished (1 of 2), dense with one seed diverged."""
    values = {("static", 1): 100.0, ("static", 2): 104.0, ("set", 1): 90.0, ("dense", 1): 80.125, ("dense", 2): 80.0}
    trials = [make_trial(method, 0.5, seed) for method in ("static", "set", "dense") for seed in (1, 2)]
    rows = []
    for trial in trials:
        value = values.get((trial.config.method, trial.config.seed))
        if value is not None:
            outcome = "diverged" if (trial.config.method, trial.config.seed) == ("dense", 2) else "trained"
            averaging = float(trial.config.seed == 1 or trial.config.method != "static")
            metrics = make_metrics(1) | {
                "test_perplexity": value,
                "is_averaging": averaging,
                "num_active_parameters": 12345.0,
            }
            rows += [EpochRow(trial.key, 1, outcome, metrics)]
    dice.shuffle(rows)
    dice.shuffle(trials)
    cells = tabulate(conclude(tidy(rows), trials, 1), "method", "sparsity")
    return build(cells, rows="method", columns="sparsity", metric="test_perplexity", epochs=1, title="quick")


TEXT = """\
quick

                    test perplexity                       active                    averaging from   best possible
method   sparsity      (mean ± std)               n   parameters   training FLOPs            epoch      perplexity
──────────────────────────────────────────────────────────────────────────────────────────────────────────────────
dense         0.0             80.12   1, 1 diverged       12,345         1.00e+09                1           31.25
set           0.5               1/2               –            –                –                –               –
static        0.5     102.00 ± 2.83               2       12,345         1.00e+09                1           31.25

Selection: test perplexity at the epoch ≤ 1 of lowest validation perplexity; mean ± sample std over n seeds.
k/m: k of m trials have finished; the mean is shown when all have.
Diverged trials count as finished; the mean is over the others.
"""


def test_text(table: Table) -> None:
    assert render(table, "text") == TEXT
    assert max(map(len, TEXT.splitlines()[:8])) <= 120


def test_markdown(table: Table) -> None:
    text = render(table, "markdown")
    assert "102.00 ± 2.83 |" in text
    assert "1, 1 diverged |" in text
    widths = {line.count("|") for line in text.splitlines() if line.startswith("|")}
    assert widths == {9}


def test_latex(table: Table) -> None:
    text = render(table, "latex")
    for word in (r"\toprule", r"\midrule", r"\bottomrule", r"102.00 $\pm$ 2.83", r"$\leq$"):
        assert word in text
    assert text.isascii()


def test_csv_has_full_numbers(table: Table) -> None:
    rows = {row["method"]: row for row in csv.DictReader(io.StringIO(render(table, "csv")))}
    assert float(rows["static"]["test_perplexity_std"]) == pytest.approx(8**0.5)
    assert (rows["set"]["n"], rows["set"]["num_finished"], rows["set"]["num_wanted"]) == ("0", "1", "2")
    assert rows["set"]["test_perplexity_mean"] == ""
    assert rows["dense"]["num_diverged"] == "1"


def test_json_names_rule_and_trials(table: Table) -> None:
    data = json.loads(render(table, "json"))
    assert (data["schema_version"], data["rows"], data["columns"], data["epochs"]) == (1, "method", "sparsity", 1)
    assert "lowest validation perplexity" in data["selection_rule"]
    cells = {cell["row"]: cell for cell in data["cells"]}
    assert sorted(cells["set"]["trials"].values()) == ["answered", "missing"]
    assert all(len(key) == 32 for cell in data["cells"] for key in cell["trials"])
    assert cells["set"]["mean"] is None
    assert (cells["dense"]["mean"], cells["dense"]["n"], cells["dense"]["num_diverged"]) == (80.125, 1, 1)


@pytest.mark.parametrize("format_name", FORMATS)
def test_same_bytes_whatever_the_order(format_name: str, table: Table, make_trial: Any, make_metrics: Any) -> None:
    expected = render(table, format_name)
    for seed in range(5):
        assert render(make_table(make_trial, make_metrics, random.Random(seed)), format_name) == expected


SCRIPT = """
import sys
from results.tables.model import Column, Entry, Table
from results.tables.render import FORMATS, render
head = (Column("method ± x", ("method",), is_number=False), Column("test perplexity (mean ± std)", ("mean", "std")))
rows = tuple((Entry(f"m{i}", (f"m{i}",)), Entry(f"{i / 3:.2f} ± 1.00", (i / 3, 1.0))) for i in range(4))
table = Table("quick", head, rows, ("note ≤ 3",), {"cells": [i / 3 for i in range(4)]})
for name in FORMATS:
    sys.stdout.buffer.write(render(table, name).encode())
"""


def test_same_bytes_in_every_environment() -> None:
    root = Path(__file__).parents[3]
    plain = {
        name: value for name, value in os.environ.items() if name not in ("TERM", "COLUMNS", "LANG", "LC_ALL", "TZ")
    }
    environments = [
        {},
        {"TERM": "dumb", "COLUMNS": "20", "LC_ALL": "C", "TZ": "Asia/Tokyo", "NO_COLOR": "1"},
        {
            "TERM": "xterm-256color",
            "COLUMNS": "300",
            "LC_ALL": "de_DE.UTF-8",
            "FORCE_COLOR": "1",
            "PYTHONHASHSEED": "7",
        },
    ]
    outputs = {
        subprocess.run(
            [sys.executable, "-c", SCRIPT], env=plain | extra, cwd=root, check=True, stdout=subprocess.PIPE, timeout=120
        ).stdout
        for extra in environments
    }
    assert len(outputs) == 1


HOSTILE = [
    "=cmd|' /C calc'!A0",
    "+1",
    "-1",
    "@SUM(A1)",
    " =1",
    "\t=1",
    "a\x1b[31mred",
    "x|y",
    "50%_{$&#}",
    "[b]x[/b]",
    'q"uo,te',
]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_names_stay_text(text: str) -> None:
    table = Table(
        text, (Column("name", ("name",), is_number=False),), ((Entry(text, (text,)),),), (text,), {"cells": [text]}
    )
    rendered = {name: render(table, name) for name in FORMATS}
    assert all("\x1b" not in shown for shown in rendered.values())
    (cell,) = list(csv.reader(io.StringIO(rendered["csv"])))[1]
    assert not cell.lstrip().startswith(("=", "+", "-", "@", "\t"))
    assert json.loads(rendered["json"])["cells"] == [text]
    assert rendered["markdown"].count("|") - rendered["markdown"].count("\\|") == 6
    grid = rendered["latex"].split(r"\midrule")[1]
    assert "50%" not in grid
    assert "_{$" not in grid
    if text.isprintable():
        assert text.strip() in rendered["text"]


def test_unknown_format_lists_the_known(table: Table) -> None:
    with pytest.raises(
        InputError, match="unknown format 'markdwn': known are csv, json, latex, markdown, text; did you mean"
    ):
        render(table, "markdwn")


@pytest.mark.parametrize("format_name", FORMATS)
def test_table_without_rows_renders(format_name: str) -> None:
    empty = build([], rows="method", columns="sparsity", metric="test_perplexity", epochs=1, title="none")
    assert render(empty, format_name).endswith("\n")
