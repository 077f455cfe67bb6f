"""Which values a field takes, in words, from its own declaration."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import BaseModel


@cache
def schema_of(cls: type[BaseModel]) -> Mapping[str, Any]:
    """Return the JSON Schema of a section's class."""
    return cls.model_json_schema()


def allowed(cls: type[BaseModel], field: str) -> str:
    """Say which values a field takes, from its own declaration.

    >>> from selfish_core.catalogue.parts import SparsityConfig
    >>> allowed(SparsityConfig, "removal_rate")
    'a number in [0, 1]'
    """
    schema = schema_of(cls)["properties"][field]
    kinds = [option for option in schema.get("anyOf", [schema]) if option.get("type") != "null"]
    return _words(kinds[0] if kinds else schema)


def _words(kind: Mapping[str, Any]) -> str:
    """Put a JSON Schema into words."""
    if "enum" in kind or "const" in kind:
        return "one of " + ", ".join(str(value) for value in kind.get("enum", [kind.get("const")]))
    if kind.get("type") == "object":
        keys = ", ".join(kind.get("propertyNames", {}).get("enum", ()))
        return f"a mapping of {keys}, each {_words(kind.get('additionalProperties', {}))}"
    if kind.get("type") == "string":
        if "maxLength" in kind:
            return f"a text of {kind.get('minLength', 0)} to {kind['maxLength']} characters"
        return f"a text like {kind['pattern']}" if "pattern" in kind else "a text"
    nouns = {"integer": "a whole number", "number": "a number", "boolean": "true or false"}
    noun = nouns.get(kind.get("type", ""), "a value")
    lower = _bound(kind, "minimum", "[{}", "exclusiveMinimum", "({}") or "(-inf"
    upper = _bound(kind, "maximum", "{}]", "exclusiveMaximum", "{})") or "inf)"
    return noun if (lower, upper) == ("(-inf", "inf)") else f"{noun} in {lower}, {upper}"


def _bound(kind: Mapping[str, Any], closed: str, closed_form: str, opened: str, opened_form: str) -> str:
    if closed in kind:
        return closed_form.format(_plain(kind[closed]))
    return opened_form.format(_plain(kind[opened])) if opened in kind else ""


def _plain(number: float) -> str:
    """Write 1 for 1.0, and no exponent for a whole number."""
    return str(number) if isinstance(number, int) else f"{number:g}"
