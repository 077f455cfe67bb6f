"""The settings of a sweep, trials that differ in their seed alone, and how figures name, group and colour them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from results.aggregate import ANSWERED, DIVERGED
from results.evidence import Evidence
from results.figures.options import FigureOptions
from results.figures.styles import FIRST_OF_OTHERS, Style, style_at, style_of_method, variant
from selfish_core.catalogue.methods import METHODS
from selfish_core.errors import InputError, shown
from selfish_core.resolve import field_path

Value = str | int | float | bool | None
Field = tuple[str, ...]


@dataclass(frozen=True)
class Setting:
    """Trials that differ in nothing but their seed.

    Args:
        values: field to value: the one that gives the colour first, then those in which the sweep's trials differ.
        group: value of the field that gives the colour.
        style: how its series look.
        states: content key to state, of each of its trials.
        rank: its place in the order of all settings.
    """

    values: Mapping[Field, Value]
    group: Value
    style: Style
    states: Mapping[str, str]
    rank: int = 0

    @property
    def keys(self) -> tuple[str, ...]:
        """Content keys of its trials, at least one."""
        return tuple(self.states)

    @property
    def is_finished(self) -> bool:
        """Whether every trial is answered or diverged."""
        return all(state in (ANSWERED, DIVERGED) for state in self.states.values())

    @property
    def answered(self) -> tuple[str, ...]:
        """Content keys of the trials that are answered."""
        return tuple(key for key, state in self.states.items() if state == ANSWERED)

    def name(self, *, without: Iterable[Field] = ()) -> str:
        """Return it in words: a method by its name alone, other values with their field."""
        left_out = set(without)
        told = [
            text(value) if field in (("method",), ("architecture", "name")) else f"{short(field)} {text(value)}"
            for field, value in self.values.items()
            if field not in left_out and value is not None
        ]
        return ", ".join(told) or "all trials"


def settings(evidence: Evidence, options: FigureOptions, also: Sequence[str] = ()) -> list[Setting]:
    """Return a sweep's settings, sorted by the values of the field that gives the colour, then by the others.

    Args:
        evidence: of the sweep.
        options: which trials, and the field.
        also: further fields whose values every setting is to have.

    Raises:
        InputError: when there is no such field, or no such trial.
    """
    colours = options.by or evidence.spec.table.rows
    by = field_path(colours)
    asked_for = {field_path(name): values_of(evidence, name) for name in (colours, *also)}
    conditions = [(values_of(evidence, name), wanted) for name, wanted in options.where.items()]
    points: dict[tuple[tuple[Field, Value], ...], list[str]] = {}
    for trial in evidence.trials:
        if all(_is(values[trial.key], wanted) for values, wanted in conditions):
            point = {field_path(name): value for name, value in trial.point.items() if name != "seed"}
            point |= {field: values[trial.key] for field, values in asked_for.items()}
            points.setdefault(tuple(sorted(point.items())), []).append(trial.key)
    if not points:
        told = ", ".join(f"{name}={value}" for name, value in options.where.items())
        raise InputError(f"no trial of {evidence.spec.name} has {told}" if told else _empty(evidence))
    groups = sorted({dict(point)[by] for point in points}, key=lambda value: order(value, by))
    telling = {by, *_telling(dict(point) for point in points)}
    concluded = evidence.concluded
    states = dict(zip(concluded["key"].astype(str), concluded["state"].astype(str), strict=True))
    found = []
    for rank, place in enumerate(sorted(points, key=lambda place: _rank(dict(place), by))):
        values = {field: value for field, value in _first(dict(place), by).items() if field in telling}
        group = dict(place)[by]
        of_trials = {key: states[key] for key in points[place]}
        found.append(Setting(values, group, _style(by, group, groups), of_trials, rank))
    return found


def told_apart(found: Sequence[Setting], fixed: Sequence[Field] = ()) -> list[Setting]:
    """Leave of the settings' values what tells them apart: the colour's, and what differs where that is the same.

    A field whose values follow from those of the fixed fields tells nothing that they do not.

    Args:
        found: the settings.
        fixed: fields that come next after the colour's.
    """
    if not found:
        return []
    by = next(iter(found[0].values))
    alike: dict[Value, list[Mapping[Field, Value]]] = {}
    same: dict[tuple[Value, ...], list[Mapping[Field, Value]]] = {}
    for setting in found:
        alike.setdefault(setting.group, []).append(setting.values)
        same.setdefault(_place(setting, fixed), []).append(setting.values)
    of_fixed = {group: _telling(points).intersection(fixed) for group, points in alike.items()}
    of_others = {place: _telling(points) for place, points in same.items()}
    told = []
    for setting in found:
        telling = {by} | of_fixed[setting.group] | of_others[_place(setting, fixed)]
        told.append(replace(setting, values={one: value for one, value in setting.values.items() if one in telling}))
    return told


def varied(found: Sequence[Setting]) -> list[Setting]:
    """Give settings that stand beside each other in one panel and share a colour a dash and marker each."""
    seen: dict[Value, int] = {}
    told = []
    for setting in found:
        number = seen.get(setting.group, 0)
        seen[setting.group] = number + 1
        told.append(replace(setting, style=variant(setting.style, number)))
    return told


def values_of(evidence: Evidence, name: str) -> dict[str, Value]:
    """Return content key to the value that a field has in a trial."""
    column = f"config.{'.'.join(field_path(name))}"
    concluded = evidence.concluded
    if column not in concluded:
        return dict.fromkeys(concluded["key"].astype(str))
    return {str(key): _value(value) for key, value in zip(concluded["key"], concluded[column], strict=True)}


def left_out(found: Iterable[Setting]) -> str:
    """Say which settings are not in the means, and how many of their trials diverged; empty where all are as usual."""
    told = _incomplete(found)
    return f" Not in the means: {'; '.join(told)}." if told else ""


def cut_short(found: Iterable[Setting]) -> str:
    """Say which settings' curves are not over all of their trials to the end; empty where all are as usual."""
    told = _incomplete(found)
    return f" A curve ends where its first trial does, and leaves diverged ones out: {'; '.join(told)}." if told else ""


def _incomplete(found: Iterable[Setting]) -> list[str]:
    told = []
    for setting in found:
        num_finished = sum(state in (ANSWERED, DIVERGED) for state in setting.states.values())
        num_diverged = sum(state == DIVERGED for state in setting.states.values())
        if not setting.is_finished:
            told.append(f"{setting.name()}: {num_finished}/{len(setting.states)} finished")
        elif num_diverged:
            told.append(f"{setting.name()}: {num_diverged}/{len(setting.states)} diverged")
    return told


def words(metric: str) -> str:
    """Write a metric for people: `validation perplexity` for `val_perplexity`."""
    return metric.replace("val_", "validation ").replace("train_", "training ").replace("_", " ")


def text(value: Value) -> str:
    """Write a value as a spec would."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return "none" if value is None else str(value)


def short(field: Field) -> str:
    """Write a field for people: `removal rate` for `sparsity.removal_rate`, `sparsity` for its level."""
    name = field[0] if field[-1] in ("level", "name") else field[-1]
    return name.replace("_", " ")


def order(value: Value, field: Field = ()) -> tuple[int, float, str]:
    """Sort nothing before numbers before words; methods as they are listed."""
    if value is None:
        return (0, 0.0, "")
    if field == ("method",) and value in METHODS:
        return (1, float(list(METHODS).index(str(value))), "")
    return (2, 0.0, value) if isinstance(value, str) else (1, float(value), "")


def _place(setting: Setting, fixed: Sequence[Field]) -> tuple[Value, ...]:
    return (setting.group, *(setting.values.get(field) for field in fixed))


def _is(value: Value, wanted: str) -> bool:
    """Whether a value is the one that a user wrote, numbers by their value."""
    if text(value) == wanted:
        return True
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and float(wanted) == value
    except ValueError:
        return False


def _style(by: Field, value: Value, groups: Sequence[Value]) -> Style:
    if by == ("method",) and isinstance(value, str):
        return style_of_method(value)
    return style_at(FIRST_OF_OTHERS + groups.index(value))


def _telling(points: Iterable[Mapping[Field, Value]]) -> set[Field]:
    """Return the fields that have several values, of the points that have them."""
    seen: dict[Field, set[Value]] = {}
    for point in points:
        for field, value in point.items():
            seen.setdefault(field, set()).add(value)
    return {field for field, values in seen.items() if len(values) > 1}


def _first(point: Mapping[Field, Value], field: Field) -> dict[Field, Value]:
    """Return a point with one field before the others."""
    return {field: point[field], **{other: value for other, value in sorted(point.items()) if other != field}}


def _rank(point: Mapping[Field, Value], by: Field) -> list[tuple[Field, tuple[int, float, str]]]:
    return [(field, order(value, field)) for field, value in _first(point, by).items()]


def _value(value: Any) -> Value:
    """Take a config's value out of a concluded trial, where a missing one reads as NaN."""
    value = value.item() if hasattr(value, "item") else value
    if value is None or (isinstance(value, float) and math.isnan(value)) or value is pd.NA:
        return None
    return value if isinstance(value, str | int | float | bool) else str(value)


def _empty(evidence: Evidence) -> str:
    return f"sweep {shown(evidence.spec.name)} has no trials yet: `selfish run` starts them"
