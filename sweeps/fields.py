"""The fields that a spec names: in axes, exclusions, conditions and tables."""

from __future__ import annotations

from typing import Any

from selfish_core.errors import InputError
from selfish_core.resolve import field_path
from sweeps.yaml_reader import Findings, Path, kind_of


def read_field(name: Any, path: Path, findings: Findings, *, may_set_seed: bool = False) -> tuple[str, ...] | None:
    """Return the field that a name means, or None after saying what is wrong with it."""
    if not isinstance(name, str):
        findings.add(path, f"{place_name(path)} must be the name of a field, got {kind_of(name)}")
        return None
    try:
        field = field_path(name)
    except InputError as error:
        findings.add(path, str(error))
        return None
    if field == ("seed",) and not may_set_seed:
        findings.add(path, "seed is no axis: list the seeds under 'seeds'")
        return None
    return field


def place_name(path: Path) -> str:
    """How a message calls a place: the nearest key, with the position in its list."""
    keys = [part for part in path if isinstance(part, str)]
    last = path[-1]
    return f"item {last + 1} of {keys[-1]}" if isinstance(last, int) else str(keys[-1])
