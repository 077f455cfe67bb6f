"""From what a user wrote to a complete `TrialConfig`, or to one clear line for everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from selfish_core.catalogue.architectures import ARCHITECTURES
from selfish_core.catalogue.corpora import CORPUS_CONFIGS
from selfish_core.catalogue.methods import METHODS
from selfish_core.catalogue.optimizers import OPTIMIZERS
from selfish_core.catalogue.parts import SparsityConfig
from selfish_core.catalogue.rows import MethodRow
from selfish_core.config import HEAD_FIELDS, TrainingConfig, TrialConfig
from selfish_core.errors import InputError, Problem, ProblemsError, shown, unknown_name
from selfish_core.meaning import contradictions
from selfish_core.wording import allowed, schema_of

SECTION_CLASSES: dict[str, dict[str, type[BaseModel]]] = {
    "architecture": {name: row.config for name, row in ARCHITECTURES.items()},
    "corpus": dict(CORPUS_CONFIGS),
    "optimizer": dict(OPTIMIZERS),
    "sparsity": {"": SparsityConfig},
    "training": {"": TrainingConfig},
}
"""The classes of each section, by the section's `name`; a section of one kind has no name."""

HAS_HORIZON = ("linear", "cosine", "cubic")
"""Schedules that run over a horizon."""

TOP_FIELDS = ("method", *SECTION_CLASSES, "seed")

SEEDS = "a whole number in [0, 2147483647]"


def expand_shorthand(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Turn a section given as a scalar into its head field.

    >>> expand_shorthand({"sparsity": 0.67, "seed": 1})
    {'sparsity': {'level': 0.67}, 'seed': 1}
    """
    return {
        name: {HEAD_FIELDS[name]: value} if name in HEAD_FIELDS and not isinstance(value, Mapping) else value
        for name, value in raw.items()
    }


@cache
def field_paths() -> Mapping[str, tuple[str, ...]]:
    """Every name that an axis, an exclusion or a table may use, and the field it means."""
    paths: dict[str, tuple[str, ...]] = {"method": ("method",), "seed": ("seed",)}
    for section, classes in SECTION_CLASSES.items():
        if section in HEAD_FIELDS:
            paths[section] = (section, HEAD_FIELDS[section])
        paths.update({f"{section}.{name}": (section, name) for cls in classes.values() for name in cls.model_fields})
    return paths


def field_path(name: str) -> tuple[str, ...]:
    """Return the field that a dotted or short name means.

    Raises:
        InputError: when there is no such field; the line offers the nearest.
    """
    paths = field_paths()
    if name not in paths:
        section, dot, _ = name.partition(".")
        inside = [known for known in paths if known.startswith(f"{section}.")] if dot else []
        heads = [known for known in paths if known.partition(".")[0] not in HEAD_FIELDS or "." not in known]
        raise InputError(unknown_name("field", name, inside or heads, also=() if inside else paths))
    return paths[name]


def problem_of_value(path: tuple[str, ...], value: object) -> str | None:
    """Say why a value can stand in no trial, whatever the other fields are.

    Args:
        path: of a field, from `field_path`.
        value: what a user wrote there.

    >>> problem_of_value(("sparsity", "removal_rate"), 1.5)
    'sparsity.removal_rate must be a number in [0, 1], got 1.5'
    """
    if path == ("method",):
        return None if _is_in(value, METHODS) else unknown_name("method", value, METHODS)
    if path == ("seed",):
        return None if _is_seed(value) else f"seed must be {SEEDS}, got {shown(value)}"
    section, field = path
    classes = SECTION_CLASSES[section]
    if field == "name" and "" not in classes:
        return None if _is_in(value, classes) else unknown_name(section, value, classes)
    found = [_field_problem(section, cls, field, value) for cls in classes.values() if field in cls.model_fields]
    return None if None in found else found[0]


def resolve(raw: Mapping[str, Any], *, epochs: int | None = None) -> TrialConfig:
    """Fill in a trial's defaults and check all of it.

    Args:
        raw: sections as a user wrote them, scalars allowed for head fields.
        epochs: length of the run, the horizon of a schedule that names none.

    Raises:
        ProblemsError: with one problem for each thing that is wrong.
    """
    given = expand_shorthand(raw)
    problems = [Problem((name,), unknown_name("key", name, TOP_FIELDS)) for name in given if name not in TOP_FIELDS]
    problems += [
        Problem((name,), f"{name} must be a mapping, got {shown(given[name])}")
        for name in SECTION_CLASSES
        if not isinstance(given.get(name, {}), Mapping)
    ]
    method = _method(given, problems)
    sections: dict[str, Any] = {}
    for name in SECTION_CLASSES:
        written = given.get(name, {})
        depends_on_method = name in ("sparsity", "optimizer")
        if not isinstance(written, Mapping) or (method is None and depends_on_method):
            continue
        filled = _fill(name, method, written, epochs) if method is not None else written
        section = _validate_section(name, filled, problems)
        if section is not None:
            sections[name] = section
    seed = _seed(given, problems)
    if method is None or problems:
        raise ProblemsError(problems)
    config = TrialConfig.model_construct(method=method.name, seed=seed, **sections)
    problems = list(contradictions(config))
    if problems:
        raise ProblemsError(problems)
    return config


def _method(given: Mapping[str, Any], problems: list[Problem]) -> MethodRow | None:
    if "method" not in given:
        problems.append(Problem(("method",), f"method is missing: known are {', '.join(sorted(METHODS))}"))
        return None
    name = given["method"]
    if not _is_in(name, METHODS):
        problems.append(Problem(("method",), unknown_name("method", name, METHODS)))
        return None
    return METHODS[name]


def _seed(given: Mapping[str, Any], problems: list[Problem]) -> int:
    if not _is_seed(given.get("seed")):
        problems.append(
            Problem(("seed",), f"seed must be {SEEDS}, got {shown(given['seed']) if 'seed' in given else 'nothing'}")
        )
        return 0
    return int(given["seed"])


def _is_seed(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31


def _is_in(value: object, names: Mapping[str, Any]) -> bool:
    """Whether a value, of whatever type, is one of the names."""
    return isinstance(value, str) and value in names


def _fill(section: str, method: MethodRow, given: Mapping[str, Any], epochs: int | None) -> Mapping[str, Any]:
    """Lay the user's fields over the method's; a schedule without a horizon runs over the whole run."""
    if section == "optimizer":
        is_default = given.get("name", method.default_optimizer) == method.default_optimizer
        return {"name": method.default_optimizer, **(method.optimizer_values if is_default else {}), **given}
    if section != "sparsity":
        return given
    filled = {**method.parts, **given}
    if epochs is not None:
        _fill_lengths(filled, epochs)
    return filled


def _fill_lengths(filled: dict[str, Any], epochs: int) -> None:
    """Lay what has a length and names none over the whole run."""
    ends = filled.get("update_end_fraction") is not None or filled.get("update_start_fraction") is not None
    if filled.get("horizon_epochs") is None and (filled.get("schedule") in HAS_HORIZON or ends):
        filled["horizon_epochs"] = epochs
    rounds = filled.get("rewind_rounds")
    if filled.get("schedule") == "rewind" and filled.get("round_epochs") is None and isinstance(rounds, int):
        filled["round_epochs"] = max(1, epochs // (rounds + 1))


def _validate_section(section: str, data: Mapping[str, Any], problems: list[Problem]) -> BaseModel | None:
    classes = SECTION_CLASSES[section]
    name = "" if "" in classes else data.get("name")
    if name is None:
        problems.append(Problem((section,), f"{section} is missing: known are {', '.join(sorted(classes))}"))
        return None
    if not _is_in(name, classes):
        problems.append(Problem((section, "name"), unknown_name(section, name, classes)))
        return None
    cls = classes[name]
    try:
        return cls.model_validate(dict(data))
    except ValidationError as error:
        problems.extend(_explain(section, cls, error, kind=f"{section} {name}".strip()))
        return None


def _explain(section: str, cls: type[BaseModel], error: ValidationError, *, kind: str = "") -> Iterator[Problem]:
    """Say what pydantic found in our own words, with the value and what is allowed."""
    for detail in error.errors(include_url=False):
        path = (section, *detail["loc"][:1])
        name = ".".join(str(part) for part in path)
        message = _explain_one(name, str(detail["loc"][0]), cls, detail, kind or section)
        yield Problem(path, message, also=((section, "name"),))


def _field_problem(section: str, cls: type[BaseModel], field: str, value: object) -> str | None:
    """What a class says of one field's value alone."""
    try:
        cls.model_validate({field: value})
    except ValidationError as error:
        return next((problem.message for problem in _explain(section, cls, error) if problem.path[1] == field), None)
    return None


def _explain_one(name: str, field: str, cls: type[BaseModel], detail: ErrorDetails, kind: str) -> str:
    if detail["type"] == "extra_forbidden":
        return unknown_name("key", field, cls.model_fields, of=kind)
    if detail["type"] == "missing":
        return f"{name} is missing: it must be {allowed(cls, field)}"
    if detail["type"] == "literal_error":
        choices = [choice for choice in _choices(cls, field) if isinstance(choice, str)]
        return unknown_name(name, detail["input"], choices)
    return f"{name} must be {allowed(cls, field)}, got {shown(detail['input'])}"


def _choices(cls: type[BaseModel], field: str) -> tuple[Any, ...]:
    schema = schema_of(cls)["properties"][field]
    kinds = schema.get("anyOf", [schema])
    return tuple(choice for kind in kinds for choice in kind.get("enum", [kind["const"]] if "const" in kind else []))
