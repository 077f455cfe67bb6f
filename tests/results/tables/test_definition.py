"""Definitions are data: what is wrong in one is refused, and what a user changes leaves the rest as it is."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from results.tables.definition import Definition, Join, load, names
from selfish_core.errors import InputError

SOUND = {"name": "x", "title": "t", "sweeps": ["quickstart"], "rows": "method", "metrics": ["test_perplexity"]}


def test_an_unknown_name_lists_the_known() -> None:
    with pytest.raises(InputError, match=r"unknown table 'regroth': .*did you mean 'regrowth'"):
        load("regroth")


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"sweeps": ["quickstrat"]}, "unknown sweep 'quickstrat' of table x: .*did you mean 'quickstart'"),
        ({"rows": "metod"}, "unknown field 'metod'"),
        ({"published": [{"where": {"sparsity": 0.5}, "id": "a/b/c"}]}, "unknown field 'sparsity' of table x"),
    ],
)
def test_names_that_do_not_exist_are_refused(changed: dict[str, Any], told: str) -> None:
    Definition.model_validate(SOUND)
    with pytest.raises(InputError, match=told):
        Definition.model_validate({**SOUND, **changed})


@pytest.mark.parametrize("changed", [{"colums": "sparsity"}, {"layout": "wide"}, {"metrics": []}, {"sweeps": []}])
def test_what_is_no_definition_is_refused(changed: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Definition.model_validate({**SOUND, **changed})


def test_a_changed_definition_keeps_its_title_and_published_numbers() -> None:
    base = load("ptb-rhn")
    changed = base.changed(metric="val_perplexity", layout="long")
    assert (changed.title, changed.published, changed.metrics[0]) == (base.title, base.published, "val_perplexity")


def test_a_published_number_belongs_to_the_cell_that_agrees_in_all() -> None:
    join = Join(where={"method": "selfish", "epochs": 1300}, id="a")
    assert join.is_of({"method": "selfish", "epochs": 1300, "sparsity": 0.55})
    assert not join.is_of({"method": "selfish", "epochs": 1000})
    assert not join.is_of({"method": "selfish"})


def test_there_are_definitions() -> None:
    assert {"ptb-stacked-lstm", "snt-asgd-versus-adam", "training-and-inference-flops"} <= set(names())
