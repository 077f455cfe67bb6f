"""Which parts go together: every rule has a case that is accepted and one that is refused by name."""

from __future__ import annotations

from typing import Any

import pytest

from selfish_core.catalogue.methods import METHODS
from selfish_core.catalogue.parts import SparsityConfig
from selfish_core.meaning_of_parts import _RULES, problems_of_parts

LENGTHS: dict[str, dict[str, Any]] = {
    **{name: {"horizon_epochs": 9} for name, row in METHODS.items() if row.parts["schedule"] in ("cosine", "cubic")},
    "lottery": {"round_epochs": 3},
}
"""What resolving fills in."""

PARTS = tuple(SparsityConfig.model_fields)

Case = tuple[str, dict[str, Any]]
"""A method, and what is laid over its parts."""

ACCEPTED: dict[str, Case] = {
    "exact_count": ("static", {"exact_count": False}),
    "initial_mask": ("static", {"initial_mask": "snip"}),
    "include": ("set", {"include": "lstm.*"}),
    "exclude": ("gmp", {"exclude": "decoder.*"}),
    "granularity": ("set", {"granularity": "gate"}),
    "initial_threshold": ("dsr", {"initial_threshold": 0.5}),
    "threshold_tolerance": ("dsr", {"threshold_tolerance": 0.5}),
    "removal_rate": ("dsr", {"removal_rate": 0.3}),
    "final_removal_rate": ("set", {"final_removal_rate": 0.1}),
    "horizon_epochs": ("gmp", {"horizon_epochs": 4}),
    "update_every_epochs": ("set", {"update_every_epochs": 2}),
    "update_every_steps": ("gmp", {"update_every_steps": 7}),
    "update_replaces_step": ("rigl", {"update_replaces_step": False}),
    "update_start_fraction": ("gmp", {"update_start_fraction": 0.1}),
    "update_end_fraction": ("selfish", {"update_end_fraction": 0.9}),
    "redistribution": ("set", {"redistribution": "magnitude"}),
    "gate_regrowth": ("set", {"gate_regrowth": "equal"}),
    "gradient_steps": ("rigl", {"gradient_steps": 5}),
    "may_return": ("dsr", {"may_return": True, "returned_value": "zero"}),
    "returned_value": ("rigl", {"returned_value": "zero"}),
    "regrown_state": ("set", {"regrown_state": "keep"}),
    "warm_up_steps": ("set", {"regrown_state": "warm_up", "warm_up_steps": 20}),
    "clip_on": ("lottery", {"clip_on": "active"}),
    "group_lasso": ("iss", {"group_lasso": 0.1}),
    "zero_threshold": ("iss", {"zero_threshold": 0.1}),
    "rewind_rounds": ("lottery", {"rewind_rounds": 4}),
    "round_epochs": ("lottery", {"round_epochs": 5}),
    "rewind_to_epoch": ("lottery", {"rewind_to_epoch": 2}),
}
"""For each part a place where it has a meaning."""

REFUSED: dict[str, Case] = {
    "exact_count": ("dense", {"exact_count": True}),
    "initial_mask": ("lottery", {"initial_mask": "snip"}),
    "include": ("dense", {"include": "lstm.*"}),
    "exclude": ("small_dense", {"exclude": "decoder.*"}),
    "granularity": ("deepr", {"granularity": "gate"}),
    "initial_threshold": ("set", {"initial_threshold": 0.5}),
    "threshold_tolerance": ("rigl", {"threshold_tolerance": 0.5}),
    "removal_rate": ("deepr", {"removal_rate": 0.3}),
    "final_removal_rate": ("dsr", {"final_removal_rate": 0.1}),
    "horizon_epochs": ("dsr", {"horizon_epochs": 4}),
    "update_every_epochs": ("static", {"update_every_epochs": 2}),
    "update_every_steps": ("lottery", {"update_every_steps": 7}),
    "update_replaces_step": ("set", {"update_replaces_step": False}),
    "update_start_fraction": ("static", {"update_start_fraction": 0.1}),
    "update_end_fraction": ("iss", {"update_end_fraction": 0.9}),
    "redistribution": ("gmp", {"redistribution": "magnitude"}),
    "gate_regrowth": ("snip", {"gate_regrowth": "equal"}),
    "gradient_steps": ("selfish", {"gradient_steps": 5}),
    "may_return": ("static", {"may_return": False}),
    "returned_value": ("set", {"returned_value": "keep"}),
    "regrown_state": ("gmp", {"regrown_state": "keep"}),
    "warm_up_steps": ("set", {"warm_up_steps": 20}),
    "clip_on": ("iss", {"clip_on": "active"}),
    "group_lasso": ("static", {"group_lasso": 0.1}),
    "zero_threshold": ("dense", {"zero_threshold": 0.1}),
    "rewind_rounds": ("gmp", {"rewind_rounds": 4}),
    "round_epochs": ("set", {"round_epochs": 5}),
    "rewind_to_epoch": ("snip", {"rewind_to_epoch": 2}),
}
"""For each part a place where it has none."""


def found(method: str, changes: dict[str, Any]) -> list[tuple[str, str]]:
    """Fields and messages."""
    level = {} if "level" in METHODS[method].parts else {"level": 0.5}
    raw = {**level, **METHODS[method].parts, **LENGTHS.get(method, {}), **changes}
    problems = list(problems_of_parts(SparsityConfig.model_validate(raw)))
    for field, message, also in problems:
        assert field in PARTS
        assert ("sparsity" if field == "level" else field) in message
        assert "\n" not in message
        assert all(path[-1] in (*PARTS, "method") for path in also)
    return [(field, message) for field, message, _ in problems]


def test_every_rule_has_a_case_of_both_kinds() -> None:
    fields = [rule.field for rule in _RULES]
    assert len(fields) == len(set(fields))
    assert set(fields) == ACCEPTED.keys() == REFUSED.keys()


def test_every_part_has_a_rule_or_a_meaning_everywhere() -> None:
    of_every_method = {"level", "distribution", "removal", "schedule", "regrowth"}
    of_every_loss = {"l1_penalty", "gradient_noise"}
    of_pruning = {"initial_level"}
    assert {rule.field for rule in _RULES} | of_every_method | of_every_loss | of_pruning == set(PARTS)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_means_something(method: str) -> None:
    assert found(method, {}) == []


@pytest.mark.parametrize("field", ACCEPTED)
def test_a_part_is_accepted_where_it_has_a_meaning(field: str) -> None:
    method, changes = ACCEPTED[field]
    assert field in changes
    assert found(method, changes) == []


@pytest.mark.parametrize("field", REFUSED)
def test_a_part_is_refused_where_it_has_none_with_what_it_depends_on(field: str) -> None:
    method, changes = REFUSED[field]
    rule = next(rule for rule in _RULES if rule.field == field)
    (problem,) = found(method, changes)
    assert problem[0] == field
    assert problem[1].startswith(f"{field} has no meaning for {rule.owner} ")
    neutral = SparsityConfig.model_fields[field].default
    assert problem[1].endswith({None: "null", True: "true"}.get(neutral, neutral))


@pytest.mark.parametrize("field", [rule.field for rule in _RULES if rule.is_needed])
def test_a_part_that_is_needed_is_asked_for(field: str) -> None:
    method, changes = ACCEPTED[field]
    rule = next(rule for rule in _RULES if rule.field == field)
    messages = dict(found(method, {**changes, field: None}))
    assert messages[field].startswith(f"{field} is missing: {rule.owner} ")


PRUNING = "initial_level is for pruning: counted removal, regrowth none, schedule cubic or rewind, got"
TOGETHER = "removal, regrowth and schedule go together"
CONTRADICTIONS = [
    # kinds of masks over time
    ("gmp", {"removal": "threshold"}, "initial_level", PRUNING),
    ("gmp", {"removal": "none"}, "initial_level", PRUNING),
    ("lottery", {"regrowth": "random"}, "initial_level", PRUNING),
    ("gmp", {"schedule": "cosine"}, "initial_level", PRUNING),
    ("set", {"removal": "none"}, "removal", TOGETHER),
    ("set", {"regrowth": "none"}, "removal", TOGETHER),
    ("set", {"schedule": "never"}, "removal", TOGETHER),
    ("static", {"regrowth": "random"}, "removal", TOGETHER),
    ("set", {"schedule": "cubic"}, "schedule", "schedule 'cubic' is for pruning: give initial_level"),
    ("set", {"schedule": "rewind"}, "schedule", "schedule 'rewind' is for pruning: give initial_level"),
    ("deepr", {"schedule": "cosine"}, "schedule", "removal 'sign_change' follows no rate: take schedule constant"),
    # levels
    ("dense", {"level": 0.5}, "level", "a dense trial has sparsity 0, got 0.5"),
    ("small_dense", {"level": 0.0}, "level", "small_dense needs a sparsity above 0"),
    ("set", {"level": 0.0}, "level", "sparsity 0 leaves no position to regrow at"),
    ("snip", {"level": 0.0}, "level", "sparsity 0 leaves no position to regrow at"),
    ("set", {"distribution": "dense", "level": 0.0}, "removal", "distribution dense has no mask to change"),
    ("gmp", {"initial_level": 0.5}, "initial_level", "initial_level must be below level 0.5, got 0.5"),
    ("lottery", {"initial_level": 0.7}, "initial_level", "initial_level must be below level 0.5, got 0.7"),
    ("gmp", {"exact_count": False}, "exact_count", "exact_count must be true where weights are chosen by a score"),
    ("snip", {"exact_count": False}, "exact_count", "exact_count must be true where weights are chosen by a score"),
    # times
    ("set", {"update_every_epochs": None}, "update_every_epochs", "one of update_every_epochs and update_every_steps"),
    ("set", {"update_every_steps": 5}, "update_every_epochs", "one of update_every_epochs and update_every_steps"),
    ("gmp", {"update_every_steps": None}, "update_every_epochs", "one of update_every_epochs and update_every_steps"),
    ("rigl", {"update_every_steps": 1}, "update_every_steps", "update_every_steps must be at least 2 where the update"),
    (
        "rigl",
        {"update_start_fraction": 0.75},
        "update_start_fraction",
        "update_start_fraction must be below update_end_fraction 0.75, got 0.75",
    ),
    ("lottery", {"rewind_to_epoch": 3}, "rewind_to_epoch", "rewind_to_epoch must be below round_epochs 3, got 3"),
]


@pytest.mark.parametrize(("method", "changes", "field", "message"), CONTRADICTIONS)
def test_a_contradiction_is_told_by_name(method: str, changes: dict[str, Any], field: str, message: str) -> None:
    assert any(name == field and message in text for name, text in found(method, changes))


@pytest.mark.parametrize(
    ("method", "changes"),
    [
        ("static", {"level": 0.0}),
        ("static", {"distribution": "erk"}),
        ("snip", {"granularity": "global"}),
        ("set", {"initial_mask": "snip"}),
        ("set", {"removal": "snip", "granularity": "layer", "schedule": "linear"}),
        ("set", {"schedule": "constant", "final_removal_rate": None, "horizon_epochs": None}),
        ("set", {"update_every_epochs": None, "update_every_steps": 1, "update_replaces_step": False}),
        ("deepr", {"may_return": False, "returned_value": None}),
        ("deepr", {"update_end_fraction": 0.5, "horizon_epochs": 9}),
        ("dsr", {"granularity": "tensor", "redistribution": "none"}),
        ("rigl", {"update_start_fraction": 0.2}),
        ("gmp", {"initial_level": 0.3, "removal": "random", "granularity": "global"}),
        ("lottery", {"removal": "signed_magnitude", "rewind_to_epoch": 1}),
        ("dense", {"l1_penalty": 1e-4, "gradient_noise": 1e-3}),
        ("iss", {"zero_threshold": None}),
    ],
)
def test_free_combinations_that_mean_something_are_accepted(method: str, changes: dict[str, Any]) -> None:
    assert found(method, changes) == []
