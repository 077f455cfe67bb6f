"""The axes of a searched sweep: one block, in whose grid a field may have a range or choices with a condition."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from selfish_core.errors import shown, unknown_name
from selfish_core.resolve import SECTION_CLASSES, problem_of_value
from selfish_core.wording import schema_of
from sweeps.axes import BLOCK_PARTS, Point, read_column, read_list, read_zip, refuse_twice
from sweeps.fields import read_field
from sweeps.scalars import Scalar
from sweeps.space import Axis, Choice, Condition, Range, Space, distinct, is_same
from sweeps.yaml_reader import Findings, Path, kind_of

OPTION_KEYS = ("choices", "high", "log", "low", "step", "when")
EXAMPLE = "{low: 0.1, high: 10, log: true}"


def read_space(value: Any, findings: Findings) -> Space | None:
    """Read the `axes` of a searched sweep; what is wrong goes to the findings.

    Args:
        value: what stands under `axes`; None where nothing does.
        findings: of the spec's document.
    """
    if value is None:
        findings.add(("search",), f"search has nothing to choose from: give axes, e.g. - grid: {{FIELD: {EXAMPLE}}}")
        return None
    if not isinstance(value, list) or not value:
        got = "an empty list" if value == [] else kind_of(value)
        findings.add(("axes",), f"axes must be a list with one block (- grid: …), got {got}")
        return None
    if len(value) > 1:
        only_one = "a search has one block of axes: put what differs into its list, and say 'when' a range counts"
        findings.add(("axes", 1), only_one)
    path: Path = ("axes", 0)
    axes = _read_block(value[0], path, findings)
    _check_conditions(axes, findings)
    unconditional = [axis for axis in axes if not axis.when]
    space = Space((*unconditional, *(axis for axis in axes if axis.when)), findings.document.line(path))
    if not findings and space.num_points == 1:
        findings.add(("axes",), "search has nothing to choose from: give a field a range or several values")
    return space


def _read_block(value: Any, path: Path, findings: Findings) -> list[Axis]:
    if not isinstance(value, Mapping) or not value:
        got = "an empty mapping" if value == {} else kind_of(value)
        findings.add(path, f"a block of axes must be a mapping with {', '.join(BLOCK_PARTS)}, got {got}")
        return []
    axes: list[Axis] = []
    for part, inner in value.items():
        inside = (*path, part)
        if part == "grid":
            axes += _read_grid(inner, inside, findings)
        elif part in ("zip", "list"):
            options = read_zip(inner, inside, findings) if part == "zip" else read_list(inner, inside, findings)
            axes += [Choice(part, distinct(options), findings.document.line(inside))] if options else []
        else:
            findings.add(inside, unknown_name("key", part, BLOCK_PARTS))
    refuse_twice([setting for axis in axes for setting in _settings(axis)], findings)
    return axes


def _settings(axis: Axis) -> Point:
    """Return one setting of each field that an axis may set."""
    options = axis.corners()
    return tuple({setting.field: setting for option in reversed(options) for setting in option}.values())


def _read_grid(value: Any, path: Path, findings: Findings) -> Iterator[Axis]:
    if not isinstance(value, Mapping) or not value:
        got = "an empty mapping" if value == {} else kind_of(value)
        findings.add(path, f"grid must be a mapping of fields to lists of values or ranges, got {got}")
        return
    for name, inner in value.items():
        inside = (*path, name)
        axis: Axis | None
        if not isinstance(inner, Mapping):
            axis = _read_choice(name, inner, inside, (), findings)
        else:
            for key in inner:
                if key not in OPTION_KEYS:
                    findings.add((*inside, key), unknown_name("key", key, OPTION_KEYS, of="a range"))
            when = tuple(_read_when(inner["when"], (*inside, "when"), findings)) if "when" in inner else ()
            if "choices" in inner:
                for key in ("low", "high", "log", "step"):
                    if key in inner:
                        findings.add((*inside, key), f"{name}: {key} does not go with choices: keep one of them")
                axis = _read_choice(name, inner["choices"], (*inside, "choices"), when, findings)
            else:
                axis = _read_range(name, inner, inside, when, findings)
        if axis is not None:
            yield axis


def _read_choice(name: Any, value: Any, path: Path, when: tuple[Condition, ...], findings: Findings) -> Choice | None:
    column = read_column(name, value, path, findings)
    if not column:
        return None
    return Choice(name, distinct([(setting,) for setting in column]), findings.document.line(path), when)


def _read_range(
    name: Any, value: Mapping[str, Any], path: Path, when: tuple[Condition, ...], findings: Findings
) -> Range | None:
    field = read_field(name, path, findings)
    if field is None:
        return None
    kind = _kind_of_number(field)
    if kind is None:
        findings.add(path, f"{name} holds no number, so it has no range: give a list of values")
        return None
    problems = list(_problems_of_range(name, field, value, is_whole=kind == "integer"))
    for key, problem in problems:
        findings.add((*path, key) if key in value else path, problem)
    if problems:
        return None
    to_number = int if kind == "integer" else float
    low, high, step = (to_number(value[key]) if value.get(key) is not None else None for key in ("low", "high", "step"))
    if low is None or high is None:
        return None
    line = findings.document.line(path)
    return Range(name, field, low, high, kind == "integer", line, bool(value.get("log")), step, when)


def _problems_of_range(
    name: str, field: tuple[str, ...], value: Mapping[str, Any], *, is_whole: bool
) -> Iterator[tuple[str, str]]:
    """Say what is wrong with a range, each with the key that it stands at."""
    low, high, log, step = (value.get(key) for key in ("low", "high", "log", "step"))
    for key, end in (("low", low), ("high", high)):
        if end is None:
            yield key, f"{name} must be a list of values or a range, e.g. {EXAMPLE}: {key} is missing"
        elif not _is_number(end):
            yield key, f"{key} of {name} must be a number, got {kind_of(end)}"
        elif (problem := problem_of_value(field, end)) is not None:
            yield key, problem
    if log is not None and not isinstance(log, bool):
        yield "log", f"log of {name} must be true or false, got {kind_of(log)}"
    if step is not None and (not _is_number(step) or step <= 0 or (is_whole and step != int(step))):
        yield "step", f"step of {name} must be a {'whole ' if is_whole else ''}number above 0, got {kind_of(step)}"
        return
    if low is None or high is None or not (_is_number(low) and _is_number(high)):
        return
    if low >= high:
        yield "high", f"high of {name} must be above low, {shown(low)}: got {shown(high)}"
    elif log is True and low <= 0:
        yield "low", f"low of {name} must be above 0 in a log range, got {shown(low)}"
    elif log is True and step is not None:
        yield "step", f"step of {name} does not go with log: keep one of them"
    elif step is not None and (Decimal(repr(high)) - Decimal(repr(low))) % Decimal(repr(step)):
        yield (
            "step",
            f"step of {name} must lead from low to high in whole steps: from {low} to {high} by {step} it does not",
        )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _kind_of_number(field: tuple[str, ...]) -> str | None:
    """Say whether a field holds an `integer`, another `number`, or neither."""
    if len(field) == 1:
        return None
    section, name = field
    kinds = set()
    for cls in SECTION_CLASSES[section].values():
        schema = schema_of(cls)["properties"].get(name, {})
        kinds |= {option.get("type") for option in schema.get("anyOf", [schema])}
    return "number" if "number" in kinds else "integer" if "integer" in kinds else None


def _read_when(value: Any, path: Path, findings: Findings) -> Iterator[Condition]:
    """Read the conditions of an axis: fields with the values at which it counts."""
    if not isinstance(value, Mapping) or not value:
        got = "an empty mapping" if value == {} else kind_of(value)
        findings.add(path, f"when must be a mapping of other fields to their values, got {got}")
        return
    for name, inner in value.items():
        inside = (*path, name)
        field = read_field(name, inside, findings)
        values = inner if isinstance(inner, list) else [inner]
        wrong = [item for item in values if isinstance(item, Mapping | list)]
        if wrong or not values:
            got = "an empty list" if not values else kind_of(wrong[0])
            findings.add(inside, f"{name} in when must be a value or a list of values, got {got}")
        elif field is not None:
            yield Condition(name, field, tuple(values), findings.document.line(inside))


def _check_conditions(axes: list[Axis], findings: Findings) -> None:
    """Refuse conditions on what is no choice, on what has a condition itself, and on what never is."""
    for axis in axes:
        for condition in axis.when:
            problem = _problem_of_condition(axis, condition, axes)
            if problem is not None:
                findings.add_at(condition.line, problem)


def _problem_of_condition(axis: Axis, condition: Condition, axes: list[Axis]) -> str | None:
    named = f"when of {axis.name}: {condition.name}"
    found = [other for other in axes if any(setting.field == condition.field for setting in _settings(other))]
    if not found or isinstance(found[0], Range):
        return f"{named} must be a field with a list of values in the same block"
    if found[0].when:
        return f"{named} has a condition itself: name the field that this one depends on"
    known: list[Scalar] = [
        setting.value for option in found[0].options for setting in option if setting.field == condition.field
    ]
    for value in condition.values:
        if not any(is_same(value, other) for other in known):
            return f"{named} is never {shown(value)}: its values are {', '.join(shown(other) for other in known)}"
    return None
