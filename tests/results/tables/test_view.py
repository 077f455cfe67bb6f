"""What a user may ask of a table, and what every mistake is answered by."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from results.cells import BESIDE
from results.tables.view import View, of_spec
from selfish_core.errors import InputError
from sweeps.spec import load

OWN = View(rows="method", columns="sparsity", metrics=("test_perplexity", *BESIDE))


def test_a_spec_s_own_table_has_its_cost_beside_it() -> None:
    assert of_spec(load("quickstart")) == OWN


def test_what_is_left_out_stays() -> None:
    assert OWN.changed() is OWN


def test_a_free_form_is_a_grid_of_what_was_asked() -> None:
    asked = OWN.changed(rows="sparsity", columns="method", group_by="architecture, corpus", metric="val_perplexity")
    assert (asked.rows, asked.columns, asked.group_by) == ("sparsity", "method", ("architecture", "corpus"))
    assert (asked.metrics, asked.layout) == (("val_perplexity",), "grid")


def test_a_layout_can_be_chosen_apart() -> None:
    assert OWN.changed(layout="grid").metrics == ("test_perplexity",)
    assert OWN.changed(layout="grid", metric="val_perplexity,training_flops").metrics == (
        "val_perplexity",
        "training_flops",
    )
    assert OWN.changed(layout="long", metric="training_flops").metrics == (
        "training_flops",
        *(name for name in BESIDE if name != "training_flops"),
    )


def test_a_table_may_have_one_column() -> None:
    assert OWN.changed(columns="none").fields == ("method",)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"rows": "metod"}, "unknown field 'metod': .*did you mean 'method'"),
        ({"columns": "sparsty"}, "unknown field 'sparsty': .*did you mean 'sparsity'"),
        ({"group_by": "architecture,optimzer"}, "unknown field 'optimzer': .*did you mean 'optimizer'"),
        ({"metric": "test_perplexty"}, "unknown table metric 'test_perplexty': .*did you mean 'test_perplexity'"),
        ({"metric": ""}, "unknown table metric ''"),
        ({"metric": "val_perplexity,val_perplexity"}, "metric 'val_perplexity' stands twice"),
        ({"layout": "gird"}, "unknown layout 'gird': known are grid, long; did you mean 'grid'"),
        ({"rows": "sparsity"}, "the table has 'sparsity' twice: give each field once"),
        ({"rows": "sparsity.level"}, "'sparsity.level' and 'sparsity', which are one field"),
    ],
)
def test_every_mistake_is_one_line(options: dict[str, str], told: str) -> None:
    with pytest.raises(InputError, match=told) as raised:
        OWN.changed(**options)  # type: ignore[arg-type]  # the values are of the right type
    assert len(str(raised.value).splitlines()) == 1


def test_without_columns_there_are_none_to_compare() -> None:
    with pytest.raises(InputError, match="cannot compare columns"):
        View(rows="method", metrics=("test_perplexity",), compare="columns")
    by_column = View(rows="method", columns="sparsity", metrics=("test_perplexity",), compare="columns")
    assert by_column.changed(columns="none").compare == "rows"


def test_it_is_read_without_pandas() -> None:
    code = "import sys, results.tables.definition as d; d.definitions(); sys.exit('pandas' in sys.modules)"
    root = Path(__file__).parents[3]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
