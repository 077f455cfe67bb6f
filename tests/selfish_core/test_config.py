"""A trial's key is made of its science: of every field of it, and of nothing else."""

from __future__ import annotations

import json
import string
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from selfish_core.catalogue.corpora import CORPORA
from selfish_core.config import HEAD_FIELDS, NOT_SCIENCE, TrialConfig, _science
from selfish_core.resolve import SECTION_CLASSES, resolve

RAW: dict[str, Any] = {
    "method": "set",
    "architecture": {"name": "stacked_lstm", "hidden_size": 16, "embedding_size": 16},
    "corpus": "synthetic",
    "sparsity": 0.5,
    "optimizer": {"learning_rate": 10},
    "training": {"batch_size": 10},
    "seed": 1,
}


def config(**sections: Any) -> TrialConfig:
    """Resolve the example with some sections laid over it."""
    raw = {
        name: {HEAD_FIELDS[name]: part} if name in HEAD_FIELDS and not isinstance(part, dict) else part
        for name, part in RAW.items()
    }
    for name, part in sections.items():
        raw[name] = {**raw[name], **part} if isinstance(part, dict) and name in raw else part
    return resolve(raw, epochs=4)


def replaced(trial: TrialConfig, section: str, part: BaseModel) -> TrialConfig:
    """Another section, whether or not it goes with the others."""
    return trial.model_copy(update={section: part})


def test_a_key_is_32_hex_digits() -> None:
    key = config().key()
    assert len(key) == 32
    assert set(key) <= set(string.hexdigits.lower())


def test_integers_and_floats_make_one_key() -> None:
    assert config(optimizer={"learning_rate": 10}).key() == config(optimizer={"learning_rate": 10.0}).key()
    assert config(sparsity={"final_removal_rate": 0}).key() == config(sparsity={"final_removal_rate": 0.0}).key()


def test_negative_zero_is_zero() -> None:
    assert config(sparsity={"final_removal_rate": -0.0}).key() == config(sparsity={"final_removal_rate": 0.0}).key()


def test_the_order_of_fields_is_not_in_the_key() -> None:
    backwards = {
        name: dict(reversed(part.items())) if isinstance(part, dict) else part for name, part in reversed(RAW.items())
    }
    assert resolve(backwards, epochs=4).key() == config().key()


def test_the_method_s_name_is_not_in_the_key() -> None:
    trial = config()
    assert trial.model_copy(update={"method": "mine"}).key() == trial.key()


def test_a_method_made_of_another_s_parts_is_that_method() -> None:
    parts = {name: value for name, value in config().sparsity.model_dump().items() if name != "level"}
    rebuilt = config(method="selfish", sparsity=parts, optimizer={"name": "nt_asgd"})
    assert rebuilt.method == "selfish"
    assert rebuilt.key() == config().key()


def test_how_far_a_trial_goes_is_not_in_the_key_where_its_horizon_is_written() -> None:
    raw = {**RAW, "sparsity": {"level": 0.5, "horizon_epochs": 4}}
    assert resolve(raw, epochs=100).key() == resolve(raw, epochs=4).key() == config().key()


def test_a_horizon_that_is_not_written_is_the_length_of_the_run() -> None:
    assert resolve(RAW, epochs=5).key() != resolve(RAW, epochs=4).key()


def test_a_method_without_a_schedule_does_not_mind_the_length() -> None:
    raw = {**RAW, "method": "static"}
    assert resolve(raw, epochs=5).key() == resolve(raw, epochs=4).key()


def folder(path: str, **changes: Any) -> TrialConfig:
    row = CORPORA["synthetic"]
    known = {"sha256": row.sha256, "num_tokens": row.num_tokens, "vocabulary_size": row.vocabulary_size}
    raw = {**RAW, "corpus": {"name": "folder", "path": path, **known, **changes}}
    return resolve(raw, epochs=4)


def test_where_the_data_lies_and_what_it_is_called_is_not_in_the_key() -> None:
    assert folder("/one").key() == folder("/two").key() == config().key()


def test_what_the_data_is_is_in_the_key() -> None:
    other = {**CORPORA["synthetic"].sha256, "valid": "0" * 64}
    assert folder("/one", sha256=other).key() != folder("/one").key()


def test_the_seed_is_in_the_key() -> None:
    assert config(seed=2).key() != config().key()


def values_of(cls: type[BaseModel], field: str) -> Iterator[Any]:
    """Values that a field takes, tried from its own declaration."""
    schema = cls.model_json_schema()["properties"][field]
    names = [name for kind in schema.get("anyOf", [schema]) for name in kind.get("enum", ())]
    for value in (*names, 0, 1, 2, 3, 0.25, 0.5, True, False, None, "lstm.*"):
        try:
            cls.__pydantic_validator__.validate_assignment(cls.model_construct(), field, value)
        except ValidationError:
            continue
        yield value


SCIENCE = [
    (section, name, field)
    for section, classes in SECTION_CLASSES.items()
    for name, cls in classes.items()
    for field in cls.model_fields
    if field not in NOT_SCIENCE.get(section, ()) and field != "name" and not (section == "corpus" and name == "folder")
]


def complete(section: str, name: str) -> BaseModel:
    """A section of a class with every field that is needed."""
    cls = SECTION_CLASSES[section][name]
    if section == "sparsity":
        return config().sparsity
    return cls.model_validate(
        {"name": name, "learning_rate": 10.0} if section == "optimizer" else {"name": name} if name else {}
    )


@pytest.mark.parametrize(("section", "name", "field"), SCIENCE)
def test_every_scientific_field_changes_the_key(section: str, name: str, field: str) -> None:
    part = complete(section, name)
    keys = {
        _meaning(part, field, value): replaced(config(), section, part.model_copy(update={field: value})).key()
        for value in values_of(type(part), field)
    }
    assert len(keys) >= 2, "the test knows too few values of this field"
    assert len(set(keys.values())) == len(keys)


def _meaning(part: BaseModel, field: str, value: Any) -> Any:
    """What a value stands for: its number, or nothing where it is neutral."""
    if value is None or value == _neutral(part, field):
        return None
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _neutral(part: BaseModel, field: str) -> Any:
    extra = type(part).model_fields[field].json_schema_extra
    return extra.get("neutral") if isinstance(extra, dict) else None


@pytest.mark.parametrize("name", sorted(SECTION_CLASSES["optimizer"]))
def test_the_optimizer_s_name_is_in_the_key(name: str) -> None:
    others = [
        replaced(config(), "optimizer", complete("optimizer", other)).key() for other in SECTION_CLASSES["optimizer"]
    ]
    assert len(set(others)) == len(SECTION_CLASSES["optimizer"])


NEUTRAL = [
    (section, name, field)
    for section, name, field in SCIENCE
    if isinstance(SECTION_CLASSES[section][name].model_fields[field].json_schema_extra, dict)
]


def test_there_are_neutral_fields() -> None:
    assert ("architecture", "stacked_lstm", "is_tied") in NEUTRAL
    assert ("corpus", "ptb", "train_fraction") in NEUTRAL


@pytest.mark.parametrize(("section", "name", "field"), NEUTRAL)
def test_a_neutral_field_is_left_out_as_if_it_did_not_exist(section: str, name: str, field: str) -> None:
    part = complete(section, name)
    assert field not in _science(section, part.model_copy(update={field: _neutral(part, field)}))
    assert field not in _science(section, part.model_copy(update={field: None}))


def test_a_config_survives_json() -> None:
    for method in ("dense", "static", "set", "rigl", "selfish"):
        trial = config(method=method, sparsity={"level": 0.0 if method == "dense" else 0.5})
        again = TrialConfig.from_dict(json.loads(json.dumps(trial.to_dict())))
        assert (again, again.key()) == (trial, trial.key())


def test_flat_names_every_field_that_has_a_meaning() -> None:
    flat = config(method="static").flat()
    assert flat["sparsity.level"] == 0.5
    assert flat["optimizer.name"] == "nt_asgd"
    assert (flat["method"], flat["seed"]) == ("static", 1)
    assert "sparsity.removal_rate" not in flat
    assert all(isinstance(value, str | int | float | bool) for value in flat.values())


def test_a_config_is_frozen() -> None:
    with pytest.raises(ValidationError):
        config().seed = 2  # type: ignore[misc]  # the assignment is the point


def test_a_stored_config_with_an_unknown_field_is_refused() -> None:
    with pytest.raises(ValidationError):
        TrialConfig.from_dict({**config().to_dict(), "extra": 1})
