"""The JSON Schema of a spec, for editors and other programs, made from the classes that read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from selfish_core.catalogue.methods import METHODS
from selfish_core.config import HEAD_FIELDS
from selfish_core.resolve import SECTION_CLASSES, field_paths
from sweeps import recipes
from sweeps.parts import MAX_DESCRIPTION, MAX_EPOCHS, NAME
from sweeps.sections import (
    MAX_CPUS,
    MAX_GPUS,
    PACKINGS,
    TABLE_METRICS,
    EarlyStoppingPart,
    Execution,
    Keep,
    SearchPart,
    Section,
)

SEED = {"type": "integer", "minimum": 0, "exclusiveMaximum": 2**31}
METHOD = {"enum": sorted(METHODS), "description": "a published method; its parts may be overridden under sparsity"}


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a spec's YAML."""
    fields = {name: _field(path) for name, path in field_paths().items()}
    axes = {name: schema for name, schema in fields.items() if name != "seed"}
    columns = {name: {"type": "array", "minItems": 1, "items": schema} for name, schema in axes.items()}
    field_name = {"enum": sorted(fields)}
    options = {name: {"anyOf": [column, *_searched(axes[name])]} for name, column in columns.items()}
    block = {
        "grid": _mapping(options, "every combination of these values, or what a search chooses from", minimum=1),
        "zip": _mapping(columns, "values side by side, lists equally long", minimum=1),
        "list": {"type": "array", "minItems": 1, "items": _mapping(axes, "one point", minimum=1)},
    }
    properties = {
        "name": {"type": "string", "pattern": rf"^(?!.*\.\.){NAME.pattern}$"},
        "description": {"type": "string", "maxLength": MAX_DESCRIPTION, "description": "one line"},
        "recipe": {
            "enum": list(recipes.names()),
            "description": "published hyper-parameters that lie under the base; the base wins field by field",
        },
        "base": _mapping(
            {"method": METHOD, **{name: _section(name) for name in SECTION_CLASSES}}, "what all trials share"
        ),
        "epochs": {
            "type": "integer",
            "minimum": 1,
            "maximum": MAX_EPOCHS,
            "description": "to which every trial is trained",
        },
        "axes": {
            "type": "array",
            "minItems": 1,
            "items": _mapping(block, "the product of grid, zip and list", minimum=1),
            "description": "blocks whose points follow one another",
        },
        "exclude": {
            "type": "array",
            "items": _mapping(fields, "leaves out every trial that agrees with all of it", minimum=1),
        },
        "seeds": {"type": "array", "minItems": 1, "items": SEED},
        "resources": _mapping(
            {
                "cpu": {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": MAX_CPUS,
                    "description": "cores and threads of one trial",
                },
                "gpu": {
                    "type": "number",
                    "minimum": 0,
                    "maximum": MAX_GPUS,
                    "description": "a share of one, or a whole number",
                },
                "pack": {
                    "enum": list(PACKINGS),
                    "description": "auto: a canary measures the share of a GPU that a trial needs",
                },
            },
            "what one trial uses",
        ),
        "execution": _part(Execution),
        "keep": _part(Keep),
        "search": _part(SearchPart),
        "early_stopping": _part(EarlyStoppingPart),
        "table": _mapping(
            {"rows": field_name, "columns": field_name, "metric": {"enum": list(TABLE_METRICS)}},
            "what the sweep's table shows",
        ),
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Selfish sweep",
        **_mapping(properties, "one sweep: base, axes and seeds make its trials"),
        "required": ["name", "epochs", "seeds"],
    }


def _mapping(properties: Mapping[str, Any], description: str, *, minimum: int = 0) -> dict[str, Any]:
    schema = {
        "type": "object",
        "additionalProperties": False,
        "description": description,
        "properties": dict(properties),
    }
    return {**schema, "minProperties": minimum} if minimum else schema


def _part(cls: type[Section]) -> dict[str, Any]:
    """A section that is declared by a class of its own."""
    schema = cls.model_json_schema()
    part = _mapping(schema["properties"], schema["description"])
    return {**part, "required": schema["required"]} if "required" in schema else part


def _searched(value: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What may stand for a field's list of values where there is a search."""
    when = {"type": "object", "minProperties": 1, "description": "other fields and the values at which this one counts"}
    ends = {"low": value, "high": value, "log": {"type": "boolean"}, "step": {"type": "number", "exclusiveMinimum": 0}}
    choices = {"choices": {"type": "array", "minItems": 1, "items": value}, "when": when}
    return [
        {**_mapping({**ends, "when": when}, "a range"), "required": ["low", "high"]},
        {**_mapping(choices, "values under a condition"), "required": ["choices"]},
    ]


def _section(section: str) -> dict[str, Any]:
    """A section of the base: its fields, none of them required, or its head field's value alone."""
    options = [_fields_of(section, name) for name in _distinct_names(section)]
    if section in HEAD_FIELDS:
        options.append(_field((section, HEAD_FIELDS[section])))
    return options[0] if len(options) == 1 else {"anyOf": options}


def _distinct_names(section: str) -> list[str]:
    """One name for each class of a section."""
    return list({cls: name for name, cls in SECTION_CLASSES[section].items()}.values())


def _fields_of(section: str, name: str) -> dict[str, Any]:
    cls = SECTION_CLASSES[section][name]
    return _mapping(cls.model_json_schema()["properties"], (cls.__doc__ or "").partition("\n")[0])


def _field(path: tuple[str, ...]) -> dict[str, Any]:
    """The values of one field, in whichever class of its section."""
    if path == ("method",):
        return METHOD
    if path == ("seed",):
        return SEED
    section, name = path
    if name == "name":
        return {"enum": sorted(SECTION_CLASSES[section])}
    found = [cls.model_json_schema()["properties"].get(name) for cls in SECTION_CLASSES[section].values()]
    options = [schema for index, schema in enumerate(found) if schema is not None and schema not in found[:index]]
    return options[0] if len(options) == 1 else {"anyOf": options}
