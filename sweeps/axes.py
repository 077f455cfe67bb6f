"""The axes of a sweep: blocks of settings, each the product of its grid, its zip and its list."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from selfish_core.errors import shown, unknown_name
from selfish_core.resolve import problem_of_value
from sweeps.fields import place_name, read_field
from sweeps.scalars import Scalar
from sweeps.yaml_reader import Findings, Path, kind_of

BLOCK_PARTS = ("grid", "zip", "list")
WHERE_RANGES_STAND = "a range stands in the grid of a sweep with a search (search: {num_trials: 40})"


@dataclass(frozen=True)
class Setting:
    """One field set to one value.

    Args:
        name: the field as the spec names it, e.g. `sparsity`.
        field: the field that is meant, e.g. `("sparsity", "level")`.
        value: a scalar.
        line: where the value stands in the spec.
    """

    name: str
    field: tuple[str, ...]
    value: Scalar
    line: int


Point = tuple[Setting, ...]
"""Settings that hold together, no two of one field."""


@dataclass(frozen=True)
class Block:
    """The product of several factors, each a choice between points.

    Args:
        factors: one for each field of the grid, one for the zip, one for the list.
        line: where the block starts.
    """

    factors: tuple[tuple[Point, ...], ...]
    line: int

    @property
    def num_points(self) -> int:
        """Number of combinations."""
        return math.prod(len(factor) for factor in self.factors)

    def points(self) -> Iterator[Point]:
        """Yield every combination, the last factor fastest."""
        for chosen in itertools.product(*self.factors):
            yield tuple(itertools.chain.from_iterable(chosen))


def read_axes(value: Any, findings: Findings) -> tuple[Block, ...]:
    """Read the `axes` of a spec; what is wrong goes to the findings.

    Args:
        value: what stands under `axes`.
        findings: of the spec's document.
    """
    path: Path = ("axes",)
    if not isinstance(value, list):
        findings.add(path, f"axes must be a list of blocks (- grid: …), got {kind_of(value)}")
        return ()
    if not value:
        findings.add(path, "axes has no block: leave it out, or give one (- grid: …)")
    return tuple(_read_block(block, (*path, index), findings) for index, block in enumerate(value))


def read_point(value: Any, path: Path, findings: Findings, *, may_set_seed: bool = False) -> Point:
    """Read a mapping of fields to scalars: an item of a `list`, or an exclusion."""
    if not isinstance(value, Mapping) or not value:
        got = "an empty mapping" if value == {} else kind_of(value)
        findings.add(path, f"{place_name(path)} must be a mapping of fields to values, got {got}")
        return ()
    settings = []
    for name, inner in value.items():
        field = read_field(name, (*path, name), findings, may_set_seed=may_set_seed)
        settings += _read_setting(name, field, inner, (*path, name), findings)
    refuse_twice(settings, findings)
    return tuple(settings)


def _read_block(value: Any, path: Path, findings: Findings) -> Block:
    line = findings.document.line(path)
    if not isinstance(value, Mapping) or not value:
        got = "an empty mapping" if value == {} else kind_of(value)
        findings.add(path, f"a block of axes must be a mapping with {', '.join(BLOCK_PARTS)}, got {got}")
        return Block((), line)
    factors: list[tuple[Point, ...]] = []
    for part, inner in value.items():
        inside = (*path, part)
        if part == "grid":
            factors += [tuple((setting,) for setting in column) for column in _read_columns(inner, inside, findings)]
        elif part == "zip":
            factors.append(read_zip(inner, inside, findings))
        elif part == "list":
            factors.append(read_list(inner, inside, findings))
        else:
            findings.add(inside, unknown_name("key", part, BLOCK_PARTS))
    used = [{setting.field: setting for point in reversed(factor) for setting in point} for factor in factors]
    refuse_twice([setting for settings in used for setting in settings.values()], findings)
    return Block(tuple(factors), line)


def _read_columns(value: Any, path: Path, findings: Findings) -> list[list[Setting]]:
    """Read fields with a list of values each."""
    if not isinstance(value, Mapping) or not value:
        got = "an empty mapping" if value == {} else kind_of(value)
        findings.add(path, f"{place_name(path)} must be a mapping of fields to lists of values, got {got}")
        return []
    return [
        column
        for name, values in value.items()
        if (column := read_column(name, values, (*path, name), findings)) is not None
    ]


def read_column(name: Any, values: Any, path: Path, findings: Findings) -> list[Setting] | None:
    """Read a field's list of values; None where there is no list."""
    field = read_field(name, path, findings)
    if not isinstance(values, list) or not values:
        got = "an empty list" if values == [] else kind_of(values)
        is_range = isinstance(values, Mapping) and bool({"low", "high", "choices"} & set(values))
        needed = f"; {WHERE_RANGES_STAND}" if is_range else ""
        findings.add(path, f"{name or shown(name)} must be a list of values, got {got}{needed}")
        return None
    settings = [_read_setting(name, field, inner, (*path, index), findings) for index, inner in enumerate(values)]
    return [setting for found in settings for setting in found]


def read_zip(value: Any, path: Path, findings: Findings) -> tuple[Point, ...]:
    """Read fields with equally long lists of values, as points side by side."""
    if isinstance(value, Mapping):
        lengths = {name: len(values) for name, values in value.items() if isinstance(values, list)}
        if len(set(lengths.values())) > 1:
            counts = ", ".join(f"{name} has {length}" for name, length in lengths.items())
            findings.add(path, f"the lists of a zip must be equally long: {counts}")
    columns = _read_columns(value, path, findings)
    refuse_twice([column[0] for column in columns if column], findings)
    return tuple(zip(*columns, strict=False))


def read_list(value: Any, path: Path, findings: Findings) -> tuple[Point, ...]:
    """Read points written out one by one."""
    if not isinstance(value, list) or not value:
        got = "an empty list" if value == [] else kind_of(value)
        findings.add(path, f"list must be a list of mappings of fields to values, got {got}")
        return ()
    return tuple(read_point(item, (*path, index), findings) for index, item in enumerate(value))


def _read_setting(
    name: str, field: tuple[str, ...] | None, value: Any, path: Path, findings: Findings
) -> list[Setting]:
    """Read one value of a field; nothing where it is wrong."""
    if isinstance(value, Mapping | list):
        findings.add(path, f"a value of {name} must be a number, a text, true, false or null, got {kind_of(value)}")
        return []
    if field is None:
        return []
    problem = problem_of_value(field, value)
    if problem is not None:
        findings.add(path, problem)
        return []
    return [Setting(name, field, value, findings.document.line(path))]


def refuse_twice(settings: list[Setting], findings: Findings) -> None:
    """Refuse a field that is set twice in one place."""
    first: dict[tuple[str, ...], Setting] = {}
    for setting in settings:
        known = first.setdefault(setting.field, setting)
        if known is not setting:
            both = f"{known.name!r} and {setting.name!r} set the same field"
            same = f"{setting.name!r} stands in two parts of one block"
            what = same if known.name == setting.name else both
            findings.add_at(setting.line, f"{what} (line {known.line} and here): keep one")
