"""Tables built from evidence made by hand: what stands in cells, what is marked, what the notes say."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from results.compare import judge
from results.evidence import Evidence
from results.tables import build, definitions
from results.tables.model import Table
from results.tables.render import FORMATS, render
from results.tables.view import View
from selfish_core.errors import InputError

MakeEvidence = Callable[..., Evidence]

CLEAR = {
    ("dense", 0.0): (50.0, 51.0, 52.0),
    ("static", 0.5): (100.0, 102.0, 104.0),
    ("set", 0.5): (80.0, 82.0, 83.5),
    ("static", 0.8): (120.0, 122.0, 124.0),
    ("set", 0.8): (119.0, 123.5, 122.0),
}
"""At sparsity 0.5, set is better beyond doubt; at 0.8 nothing can be said."""


@pytest.fixture
def clear(make_evidence: MakeEvidence) -> Evidence:
    return make_evidence(CLEAR)


TEXT = """\
small: three methods

                    test perplexity           active                    averaging from   best possible
method   sparsity      (mean ± std)   n   parameters   training FLOPs            epoch      perplexity
──────────────────────────────────────────────────────────────────────────────────────────────────────
dense         0.0     51.00 ± 1.00    3        1,200         1.00e+09                –           31.25
set           0.5     81.83 ± 1.76*   3        1,200         1.00e+09                –           31.25
set           0.8    121.50 ± 2.29    3        1,200         1.00e+09                –           31.25
static        0.5    102.00 ± 2.00    3        1,200         1.00e+09                –           31.25
static        0.8    122.00 ± 2.00    3        1,200         1.00e+09                –           31.25
"""

GRID = """\
small: three methods

method       sparsity 0.0         sparsity 0.5        sparsity 0.8
──────────────────────────────────────────────────────────────────
dense    51.00 ± 1.00 (3)
set                          81.83 ± 1.76 (3)*   121.50 ± 2.29 (3)
static                      102.00 ± 2.00 (3)    122.00 ± 2.00 (3)
"""


def cells(table: Table) -> dict[tuple[object, object], dict[str, Any]]:
    return {(cell["row"], cell["column"]): cell for cell in table.data["cells"]}


def texts(table: Table) -> list[list[str]]:
    return [[entry.text for entry in row] for row in table.rows]


def test_a_spec_s_own_table_is_long_and_marks_the_best_that_is_sure(clear: Evidence) -> None:
    shown = render(build(clear), "text")
    assert shown.startswith(TEXT)
    assert max(map(len, shown.splitlines())) <= 120


def test_the_free_form_is_a_grid(clear: Evidence) -> None:
    table = build(clear, rows="method", columns="sparsity", metric="test_perplexity")
    shown = render(table, "text")
    assert shown.startswith(GRID)


def test_the_best_is_marked_in_every_format(clear: Evidence) -> None:
    table = build(clear)
    shown = {name: render(table, name) for name in FORMATS}
    assert shown["text"].count("1.76*") == shown["text"].count("*") - 1 == 1
    assert shown["markdown"].count("**81.83 ± 1.76**") == 1
    assert shown["latex"].count(r"\bfseries") == 1
    assert shown["html"].count("<strong>81.83 ± 1.76</strong>") == 1
    assert [line.split(",")[:2] for line in shown["csv"].splitlines() if ",true,," in line] == [["set", "0.5"]]
    found = [cell for cell in json.loads(shown["json"])["cells"] if cell["is_best"]]
    assert [(cell["row"], cell["column"]) for cell in found] == [("set", 0.5)]


def test_the_comparison_stands_whole_in_json_and_agrees_with_the_statistics(clear: Evidence) -> None:
    (first, second) = build(clear).data["contests"]
    (expected,) = judge(
        {"set": dict(enumerate((80, 82, 83.5))), "static": dict(enumerate((100, 102, 104)))}
    ).comparisons
    (found,) = first["comparisons"]
    assert first["where"] == "sparsity 0.5"
    assert (found["best"], found["other"], found["num_pairs"]) == ("set", "static", 3)
    for name in ("p", "p_holm", "low", "high", "effect_size", "difference"):
        assert found[name] == pytest.approx(getattr(expected, name))
    assert (first["is_significant"], second["is_significant"]) == (True, False)
    assert cells(build(clear))["static", 0.5]["compared_with_best"]["p"] == pytest.approx(expected.p)


def test_notes_say_what_was_tested_what_is_open_and_what_would_resolve_it(make_evidence: MakeEvidence) -> None:
    values = {("static", 0.5): (100.0, 102.0, 104.0), ("set", 0.5): (99.0, 99.0, 104.5)}
    evidence = make_evidence(values)
    (comparison,) = judge({"set": {1: 99, 2: 99, 3: 104.5}, "static": {1: 100, 2: 102, 3: 104}}).comparisons
    assert comparison.num_more_seeds
    notes = build(evidence).notes
    line = ", ".join(str(seed) for seed in range(1, 4 + comparison.num_more_seeds))
    (test,) = [note for note in notes if note.startswith("Test:")]
    assert "paired by seed (3 pairs)" in test
    assert "none is marked" in test
    (told,) = [note for note in notes if "is not resolved from" in note]
    assert told.startswith("sparsity 0.5: set is not resolved from static: ratio 0.988")
    assert told.endswith(f"{comparison.num_more_seeds} more seeds would resolve set vs static: `seeds: [{line}]`.")


def test_an_unfinished_cell_says_how_far_it_is_and_takes_no_part(make_evidence: MakeEvidence) -> None:
    table = build(make_evidence({("static", 0.5): (100, 102, 104), ("set", 0.5): (80, 82, None)}))
    found = cells(table)["set", 0.5]
    assert (found["mean"], found["n"], found["num_finished"], found["num_wanted"]) == (None, 0, 2, 3)
    assert ["set", "0.5", "2/3", "–"] in [row[:4] for row in texts(table)]
    assert table.data["contests"] == []
    assert not any(note.startswith("Test:") for note in table.notes)


def test_who_takes_no_part_is_counted(make_evidence: MakeEvidence) -> None:
    text = make_evidence({}).spec.text.decode().replace("method: [static]", "method: [static, snip]")
    values = {("static", 0.5): (100, 102, 104), ("set", 0.5): (80, 82, 83), ("snip", 0.5): (70, None, None)}
    table = build(make_evidence(values, text=text))
    assert "Compared is what has finished and is one setting: 1 of the cells took no part." in table.notes


def test_nothing_is_best_before_all_have_finished(make_evidence: MakeEvidence) -> None:
    text = make_evidence({}).spec.text.decode().replace("method: [static]", "method: [static, snip]")
    values = {("static", 0.5): (100, 102, 104), ("set", 0.5): (80, 82, 83.5), ("snip", 0.5): (110, 112, None)}
    evidence = make_evidence(values, text=text)
    table = build(evidence)
    assert not any(entry.is_best for row in table.rows for entry in row)
    assert any("set is best of 2" in note and "not marked while unfinished: snip" in note for note in table.notes)
    stopped = [trial.key for trial in evidence.trials if trial.config.method == "snip"]
    assert [row[2].is_best for row in build(evidence, stopped=stopped).rows] == [False, True, *[False] * 5]


def test_one_pair_is_told_as_one(make_evidence: MakeEvidence) -> None:
    table = build(
        make_evidence(
            {("static", 0.5): (100, 102, 104), ("set", 0.5): (80, 82, 83)}, diverged=[("set", 0.5, 1), ("set", 0.5, 2)]
        )
    )
    assert any("(1 pair)" in note for note in table.notes)


def test_incomplete_pairs_are_stated(make_evidence: MakeEvidence) -> None:
    values = {("static", 0.5): (100, 102, 104), ("set", 0.5): (80, 82, 83)}
    table = build(make_evidence(values, diverged=[("static", 0.5, 2)]))
    assert any("incomplete pairs of set and static (without 2)" in note for note in table.notes)
    assert any("(2 pairs)" in note for note in table.notes)
    assert ["static", "0.5", "102.00 ± 2.83", "2, 1 diverged"] in [row[:4] for row in texts(table)]


def test_what_early_stopping_gave_up_says_so(make_evidence: MakeEvidence) -> None:
    evidence = make_evidence({("static", 0.5): (100, 102, 104)})
    stopped = [trial.key for trial in evidence.trials if trial.config.method == "set"]
    finished = [trial.key for trial in evidence.trials if trial.config.method == "static"]
    table = build(evidence, stopped=[*stopped, *finished])
    assert [row[2] for row in texts(table)] == ["0/3", "stopped", "stopped", "102.00 ± 2.00", "stopped"]
    assert set(cells(table)["set", 0.5]["trials"].values()) == {"stopped"}
    assert any(note.startswith("stopped: ") for note in table.notes)


@pytest.mark.parametrize(
    ("name", "what"), [("code_version", "code versions"), ("fingerprint", "fingerprints")], ids=["code", "fingerprint"]
)
def test_a_cell_that_mixes_what_computed_it_is_marked(make_evidence: MakeEvidence, name: str, what: str) -> None:
    def text(config: Any) -> str:
        return "new" if (config.method, config.sparsity.level, config.seed) == ("set", 0.8, 3) else "old"

    table = build(make_evidence({("set", 0.8): (1, 2, 3), ("static", 0.8): (4, 5, 6)}, **{name: text}))
    assert [row[2].mark for row in table.rows] == ["", "", "†", "", ""]
    assert f"† mixes {what}: set, 0.8; --format json has them." in table.notes
    assert "†" in render(table, "text")
    assert "<sup>†</sup>" in render(table, "html")
    assert cells(table)["set", 0.8][f"{name}s"] == ["new", "old"]


def test_a_cell_knows_its_seeds_values_keys_and_data(clear: Evidence) -> None:
    found = cells(build(clear))["set", 0.5]
    assert found["values"] == {"1": 80.0, "2": 82.0, "3": 83.5}
    keys = [t.key for t in clear.trials if (t.config.method, t.config.sparsity.level) == ("set", 0.5)]
    assert list(found["trials"]) == sorted(keys)
    (digest,) = found["data_hashes"]
    assert len(digest) == 12


def test_rows_by_group_make_blocks_that_are_judged_apart(clear: Evidence) -> None:
    table = build(clear, columns="none", group_by="sparsity", metric="test_perplexity,training_flops")
    assert [row[:3] for row in texts(table)] == [
        ["0.0", "dense", "51.00 ± 1.00 (3)"],
        ["0.5", "set", "81.83 ± 1.76 (3)"],
        ["0.5", "static", "102.00 ± 2.00 (3)"],
        ["0.8", "set", "121.50 ± 2.29 (3)"],
        ["0.8", "static", "122.00 ± 2.00 (3)"],
    ]
    assert table.block_starts == (1, 3)
    assert [contest["where"] for contest in table.data["contests"]] == ["sparsity 0.5", "sparsity 0.8"]
    assert render(table, "latex").count(r"\midrule") == 3
    assert render(table, "html").count("<tbody>") == 3
    assert [row[2].is_best for row in table.rows] == [False, True, False, False, False]


def test_references_are_compared_with_nobody(clear: Evidence) -> None:
    everyone = View(rows="sparsity", columns="method", metrics=("test_perplexity",))
    assert [contest["took_part"] for contest in build(clear, everyone).data["contests"]] == [["0.5", "0.8"]] * 2
    aside = View(rows="sparsity", columns="method", metrics=("test_perplexity",), references=(0.5,))
    table = build(clear, aside)
    assert table.data["contests"] == []
    assert len(table.rows) == len(build(clear, everyone).rows)


def test_columns_can_be_compared_within_a_row(clear: Evidence) -> None:
    view = View(rows="sparsity", columns="method", metrics=("test_perplexity",), layout="grid", compare="columns")
    table = build(clear, view)
    assert [contest["where"] for contest in table.data["contests"]] == ["sparsity 0.5", "sparsity 0.8"]
    assert [entry.text for row in table.rows for entry in row if entry.is_best] == ["81.83 ± 1.76 (3)"]


def test_nothing_is_best_where_no_direction_is(clear: Evidence) -> None:
    assert build(clear, metric="sparsity").data["contests"] == []
    assert build(clear, metric="training_flops").data["contests"] != []


def test_a_cell_that_pools_settings_takes_no_part_and_says_so(clear: Evidence) -> None:
    table = build(clear, rows="method", columns="none", metric="test_perplexity")
    assert any(note.startswith("set; static: trials differ in sparsity.level") for note in table.notes)
    assert table.data["contests"] == []


def test_published_numbers_stand_beside_ours_with_the_difference(make_evidence: MakeEvidence) -> None:
    base = definitions()["ptb-stacked-lstm"]
    joins = [{"where": {"method": "set"}, "id": "ptb/stacked_lstm/selfish"}]
    definition = base.model_validate({**base.model_dump(), "name": "x", "published": joins})
    table = build(make_evidence({("set", 0.5): (80, 82, 84)}), definition)
    rows = {(row[0], row[1]): row for row in texts(table)}
    assert rows["set", "0.5"][4:6] == ["71.65", "+10.35"]
    assert rows["set", "0.8"][4:6] == ["71.65", "–"]
    assert rows["static", "0.5"][4:6] == ["–", "–"]
    assert any(
        "Selfish-RNN" in note and note.startswith("Published ptb/stacked_lstm/selfish: ") for note in table.notes
    )
    assert "– under published: not published in a source we hold." in table.notes
    assert cells(table)["static", 0.5]["published"]["published"] == "not published in a source we hold"
    assert cells(table)["set", 0.5]["published"]["difference_to_published"] == pytest.approx(10.35)
    assert "not published in a source we hold" in render(table, "csv")
    as_grid = build(make_evidence({("set", 0.5): (80, 82, 84), ("set", 0.8): (1, 2, 3)}), definition, layout="grid")
    assert "Every other cell: not published in a source we hold." in as_grid.notes
    assert any("set, 0.5: published 71.65, ours − published +10.35" in note for note in as_grid.notes)
    other = build(make_evidence({("set", 0.5): (80, 82, 84)}), definition, metric="val_perplexity", layout="long")
    assert [row[4] for row in texts(other) if row[:2] == ["set", "0.5"]] == ["73.79"]
    assert not build(make_evidence({}), definition, metric="training_flops").data["cells"][0]["published"]


@pytest.mark.parametrize("format_name", FORMATS)
def test_the_same_trials_give_the_same_bytes_in_any_order(make_evidence: MakeEvidence, format_name: str) -> None:
    expected = render(build(make_evidence(CLEAR)), format_name)
    for seed in range(3):
        assert render(build(make_evidence(CLEAR, shuffled=random.Random(seed).shuffle)), format_name) == expected


@pytest.mark.parametrize("format_name", FORMATS)
def test_a_table_without_a_trial_renders(make_evidence: MakeEvidence, format_name: str) -> None:
    evidence = make_evidence({})
    assert render(build(Evidence(evidence.spec, (), evidence.frame)), format_name).endswith("\n")


def test_importing_the_package_imports_nothing_else() -> None:
    code = "import sys, results.tables; sys.exit(bool({'pandas', 'scipy', 'rich'} & set(sys.modules)))"
    root = Path(__file__).parents[3]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


def test_the_same_trials_at_two_lengths_are_one_cell_each(make_evidence: MakeEvidence) -> None:
    values = {("static", 0.5): (80.0, 81.0, 82.0)}
    short = make_evidence(values)
    two = [short, make_evidence(values, text=short.spec.text.decode().replace("epochs: 1\naxes", "epochs: 2\naxes"))]
    with pytest.raises(InputError, match="group the table by epochs"):
        build(two, rows="method", columns="sparsity")
    cells = build(two, rows="method", columns="sparsity", group_by="epochs").data["cells"]
    told = {(cell["group"]["epochs"], cell["n"]) for cell in cells if (cell["row"], cell["column"]) == ("static", 0.5)}
    assert told == {(1, 3), (2, 0)}
