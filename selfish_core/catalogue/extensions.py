"""Rows that other installed packages add to a family, through entry points.

A package declares, in the group of the family, a name and where its row is:

    [project.entry-points."selfish.scores"]
    "regrowth.loudest" = "my_package.rows:LOUDEST"

The code of such a package is part of what a trial means, so its hash stands in the trial's key. One that cannot be
loaded is left out and told of; nothing of Selfish's own depends on it.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TypeVar

Row = TypeVar("Row")

METHODS_GROUP, SCORES_GROUP, ARCHITECTURES_GROUP = "selfish.methods", "selfish.scores", "selfish.architectures"

PROBLEMS: list[str] = []
"""One line for each extension that was left out, and why."""


def with_extensions(group: str, known: Mapping[str, Row], row_type: type[Row], *, prefix: str = "") -> dict[str, Row]:
    """Return a family's own rows and those that installed packages add.

    Args:
        group: the family's.
        known: the family's own rows; none of them can be replaced.
        row_type: what a row must be.
        prefix: what an entry point's name starts with to be of this family; it is no part of the row's name.
    """
    rows = dict(known)
    for point in _points(group):
        if not point.name.startswith(prefix):
            continue
        name = point.name.removeprefix(prefix)
        told = f"extension {point.name!r} of {group} ({point.value}) is left out"
        try:
            row = point.load()
        except Exception as error:  # whatever a foreign package raises when it is imported
            PROBLEMS.append(f"{told}: {type(error).__name__}: {error}".splitlines()[0])
            continue
        if not isinstance(row, row_type) or getattr(row, "name", None) != name:
            PROBLEMS.append(f"{told}: it must be a {row_type.__name__} whose name is {name!r}")
        elif name in rows:
            PROBLEMS.append(f"{told}: the name {name!r} is taken")
        else:
            rows[name] = row
    return rows


def code_hash(group: str, name: str) -> str | None:
    """Hash the code of the package that adds a row: 16 hex digits; None for a row of Selfish's own.

    Args:
        group: the family's.
        name: of the entry point, with its prefix.
    """
    point = next((point for point in _points(group) if point.name == name), None)
    return None if point is None else _hash_package(point.module.partition(".")[0])


@cache
def _points(group: str) -> tuple[EntryPoint, ...]:
    return tuple(sorted(entry_points(group=group), key=lambda point: (point.name, point.value)))


@cache
def _hash_package(package: str) -> str:
    """Hash every Python file of a package or module, names too."""
    spec = importlib.util.find_spec(package)
    origins = [] if spec is None else [*(spec.submodule_search_locations or [])] or [str(spec.origin)]
    digest = hashlib.sha256()
    for origin in map(Path, origins):
        for path in sorted(origin.rglob("*.py")) if origin.is_dir() else [origin]:
            digest.update(f"{path.relative_to(origin.parent).as_posix()}\n".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:16]
