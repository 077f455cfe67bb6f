"""Defaults are filled in from the method, and everything that is wrong is told with its path."""

from __future__ import annotations

from typing import Any

import pytest

from selfish_core.catalogue.methods import METHODS
from selfish_core.config import SparsityConfig
from selfish_core.errors import InputError, ProblemsError, shown, unknown_name
from selfish_core.resolve import (
    SECTION_CLASSES,
    allowed,
    expand_shorthand,
    field_path,
    field_paths,
    problem_of_value,
    resolve,
)

RAW: dict[str, Any] = {
    "method": "set",
    "architecture": {"name": "stacked_lstm", "hidden_size": 16, "embedding_size": 16},
    "corpus": "synthetic",
    "sparsity": 0.5,
    "optimizer": {"learning_rate": 10},
    "seed": 1,
}


def problems(**changes: Any) -> list[tuple[str, str]]:
    """The paths and messages of what is wrong with the example and some changes; None takes a section away."""
    raw = {name: part for name, part in {**RAW, **changes}.items() if part is not None}
    with pytest.raises(ProblemsError) as caught:
        resolve(raw, epochs=4)
    return [(".".join(map(str, problem.path)), problem.message) for problem in caught.value.problems]


def test_shorthand_is_the_head_field() -> None:
    assert expand_shorthand({"sparsity": 0.67, "corpus": {"name": "ptb"}, "seed": 1}) == {
        "sparsity": {"level": 0.67},
        "corpus": {"name": "ptb"},
        "seed": 1,
    }


@pytest.mark.parametrize("method", sorted(METHODS))
def test_a_method_brings_its_parts_and_its_optimizer(method: str) -> None:
    row = METHODS[method]
    trial = resolve({**RAW, "method": method, "sparsity": 0.0 if method in ("dense", "iss") else 0.5}, epochs=4)
    dumped = trial.sparsity.model_dump()
    assert trial.optimizer.name == row.default_optimizer
    assert {name: dumped[name] for name in row.parts if name != "level"} == {
        name: value for name, value in row.parts.items() if name != "level"
    }
    unset = set(SparsityConfig.model_fields) - set(row.parts) - {"level", "horizon_epochs", "round_epochs"}
    assert all(dumped[name] == SparsityConfig.model_fields[name].default for name in unset)


def test_what_is_written_goes_before_the_method() -> None:
    trial = resolve(
        {**RAW, "sparsity": {"level": 0.5, "removal_rate": 0.1}, "optimizer": {"name": "sgd", "learning_rate": 1}},
        epochs=4,
    )
    assert (trial.sparsity.removal_rate, trial.optimizer.name) == (0.1, "sgd")


@pytest.mark.parametrize(("method", "horizon"), [("set", 4), ("rigl", 4), ("selfish", 4), ("static", None)])
def test_the_horizon_is_the_run_where_there_is_a_schedule(method: str, horizon: int | None) -> None:
    assert resolve({**RAW, "method": method}, epochs=4).sparsity.horizon_epochs == horizon


def test_a_written_horizon_stands() -> None:
    trial = resolve({**RAW, "sparsity": {"level": 0.5, "horizon_epochs": 9}}, epochs=4)
    assert trial.sparsity.horizon_epochs == 9


def test_without_a_length_a_horizon_must_be_written() -> None:
    with pytest.raises(ProblemsError, match="horizon_epochs is missing: schedule 'cosine' needs a whole number"):
        resolve(RAW)


def test_resolving_leaves_what_it_was_given() -> None:
    raw = {**RAW, "sparsity": {"level": 0.5}}
    resolve(raw, epochs=4)
    assert raw["sparsity"] == {"level": 0.5}


def test_every_problem_is_told_at_once() -> None:
    found = dict(
        problems(
            methud=1,
            architecture={"name": "stacked_lstm", "hidden_size": 0, "widht": 3},
            corpus={"name": "ptb", "train_fraction": 2},
            sparsity={"level": 1.0, "regrowth": "randm"},
            optimizer={"name": "adm"},
            training=[],
            seed=-1,
        )
    )
    assert set(found) == {
        "methud",
        "architecture.hidden_size",
        "architecture.widht",
        "corpus.train_fraction",
        "sparsity.level",
        "sparsity.regrowth",
        "optimizer.name",
        "training",
        "seed",
    }
    assert found["methud"].endswith("did you mean 'method'?")
    assert found["architecture.widht"].startswith("unknown key 'widht' of architecture stacked_lstm: known are ")
    assert found["training"] == "training must be a mapping, got []"


def test_what_needs_no_method_is_told_without_one() -> None:
    assert [path for path, _ in problems(method=None, architecture=None, seed=None)] == [
        "method",
        "architecture",
        "seed",
    ]
    assert [path for path, _ in problems(method="sett", corpus="pbt")] == ["method", "corpus.name"]


@pytest.mark.parametrize("seed", [-1, 2**31, 1.0, "1", True, None])
def test_seeds_that_are_none(seed: object) -> None:
    assert problem_of_value(("seed",), seed) == f"seed must be a whole number in [0, 2147483647], got {shown(seed)}"


@pytest.mark.parametrize("seed", [0, 1, 2**31 - 1])
def test_seeds(seed: int) -> None:
    assert problem_of_value(("seed",), seed) is None
    assert resolve({**RAW, "seed": seed}, epochs=4).seed == seed


def test_contradictions_are_told_once_every_value_is_good() -> None:
    assert problems(sparsity={"level": 0.5, "regrowth": "momentum"}) == [
        (
            "sparsity.regrowth",
            "regrowth 'momentum' reads the optimizer's momentum and 'nt_asgd' has none: "
            "take adam, or sgd with momentum above 0",
        )
    ]


@pytest.mark.parametrize(
    "optimizer", [{"name": "adam"}, {"name": "sgd", "learning_rate": 1, "momentum": 0.9}], ids=lambda part: part["name"]
)
def test_momentum_regrowth_goes_with_momentum(optimizer: dict[str, Any]) -> None:
    resolve({**RAW, "sparsity": {"level": 0.5, "regrowth": "momentum"}, "optimizer": optimizer}, epochs=4)


def test_sgd_without_momentum_has_none() -> None:
    found = problems(sparsity={"level": 0.5, "regrowth": "momentum"}, optimizer={"name": "sgd", "learning_rate": 1})
    assert [path for path, _ in found] == ["sparsity.regrowth"]


def test_a_contradiction_names_what_takes_part() -> None:
    with pytest.raises(ProblemsError) as caught:
        resolve({**RAW, "sparsity": {"level": 0.5, "regrowth": "momentum"}}, epochs=4)
    assert caught.value.problems[0].also == (("optimizer", "name"), ("optimizer", "momentum"))


def test_fields_have_long_and_short_names() -> None:
    assert field_path("sparsity") == field_path("sparsity.level") == ("sparsity", "level")
    assert field_path("optimizer") == ("optimizer", "name")
    assert (field_path("method"), field_path("seed")) == (("method",), ("seed",))
    assert field_path("training.batch_size") == ("training", "batch_size")
    assert all(field_path(name) == path for name, path in field_paths().items())


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("sparsty", "sparsity"),
        ("sparsity.levle", "sparsity.level"),
        ("removal_rate", "sparsity.removal_rate"),
        ("optimzer.name", "optimizer.name"),
    ],
)
def test_an_unknown_field_offers_the_nearest(name: str, nearest: str) -> None:
    with pytest.raises(InputError, match=f"unknown field '{name}': known are .*; did you mean '{nearest}'"):
        field_path(name)


def test_an_unknown_field_of_a_section_lists_that_section() -> None:
    with pytest.raises(InputError) as caught:
        field_path("training.batchsize")
    message = str(caught.value)
    assert message.startswith(
        "unknown field 'training.batchsize': known are training.activation_penalty, training.batch_size"
    )
    assert message.endswith("training.test_batch_size, training.topology_distance; did you mean 'training.batch_size'?")


def test_a_value_is_good_where_one_class_takes_it() -> None:
    assert problem_of_value(("optimizer", "momentum"), 0.9) is None
    assert problem_of_value(("optimizer", "momentum"), 1.0) == "optimizer.momentum must be a number in [0, 1), got 1.0"
    assert problem_of_value(("corpus", "path"), "text") is None
    assert problem_of_value(("sparsity", "update_every_steps"), None) is None


@pytest.mark.parametrize("value", [None, True, [], {}, "x", -1, 0.5, 10**40, [[]], {"a": {}}])
@pytest.mark.parametrize("name", sorted(field_paths()))
def test_any_value_of_any_field_is_good_or_told_in_a_line(name: str, value: object) -> None:
    message = problem_of_value(field_path(name), value)
    assert message is None or (message and "\n" not in message and "Annotated" not in message)


def test_every_field_says_what_it_takes() -> None:
    for classes in SECTION_CLASSES.values():
        for cls in classes.values():
            assert all(allowed(cls, field) != "a value" for field in cls.model_fields)


def test_what_a_field_takes() -> None:
    assert allowed(SparsityConfig, "level") == "a number in [0, 1)"
    assert allowed(SparsityConfig, "update_end_fraction") == "a number in (0, 1]"
    assert allowed(SparsityConfig, "horizon_epochs") == "a whole number in [1, inf)"
    assert allowed(SparsityConfig, "may_return") == "true or false"
    assert (
        allowed(SparsityConfig, "removal")
        == "one of none, magnitude, signed_magnitude, snip, random, threshold, sign_change"
    )
    assert allowed(SECTION_CLASSES["corpus"]["folder"], "path") == "a text of 1 to 4096 characters"


def test_values_are_shown_as_in_yaml_and_cut() -> None:
    assert [shown(value) for value in (None, True, False, 0.5, "a\n")] == ["null", "true", "false", "0.5", r"'a\n'"]
    assert shown("x" * 500) == "'" + "x" * 78 + "…"


def test_unknown_names() -> None:
    assert (
        unknown_name("method", "sett", ["set", "rigl"])
        == "unknown method 'sett': known are rigl, set; did you mean 'set'?"
    )
    assert unknown_name("method", 3, ["set"]) == "unknown method 3: known are set"
    assert unknown_name("key", "b", ["a"], of="table", also=["x.b"]) == (
        "unknown key 'b' of table: known are a; did you mean 'x.b'?"
    )
