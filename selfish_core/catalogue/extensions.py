"""Rows that other installed packages add to a family, through entry points.

A package declares, in the group of the family, a name and where its row is:

    [project.entry-points."selfish.scores"]
    "regrowth.loudest" = "my_package.rows:LOUDEST"

The code of such a package is part of what a trial means, so its hash stands in the trial's key. A row that cannot be
used is left out and told of; nothing of Selfish's own depends on it. docs/adding.md walks through a package.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from selfish_core.catalogue.rows import ArchitectureRow, MethodRow, ScoreRow
from selfish_core.errors import InputError
from selfish_core.source_hash import hash_sources

Row = TypeVar("Row", MethodRow, ScoreRow, ArchitectureRow)

METHODS_GROUP, SCORES_GROUP, ARCHITECTURES_GROUP = "selfish.methods", "selfish.scores", "selfish.architectures"
GROUPS = (METHODS_GROUP, SCORES_GROUP, ARCHITECTURES_GROUP)

FAMILIES = tuple(f"selfish_core.catalogue.{name}" for name in ("methods", "scores", "architectures"))
"""Modules that read what is offered to them when they are imported; they import this one."""

NO_PART = "none"
"""Stands in specs where there is no removal or regrowth, so no row can have this name."""

_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True)
class Extension:
    """One row that an installed package offers.

    Args:
        group: of its entry point.
        name: of its entry point.
        value: where its row is, `module:object`.
        package: what was installed, with its version.
        problem: why it is left out; empty where it can be used.
    """

    group: str
    name: str
    value: str
    package: str
    problem: str

    @property
    def code(self) -> str:
        """Hash of its code, as in the keys of trials; empty for a method: of that the key has the parts."""
        return (self.group != METHODS_GROUP and code_hash(self.group, self.name)) or ""

    @property
    def warning(self) -> str:
        """Tell in one line that it is left out."""
        return f"extension {self.name!r} of {self.group} ({self.value}, {self.package}) is left out: {self.problem}"


_problems: dict[EntryPoint, str] = {}
_packages: dict[tuple[str, str], frozenset[str]] = {}


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
        try:
            row = _read(point, name, known, row_type)
            packages = _packages_of(point, row)
        except (Exception, SystemExit) as error:  # whatever a foreign module does when it is imported
            _problems[point] = _explained(error)
        else:
            _problems[point] = ""
            _packages[group, point.name] = packages
            rows[name] = row
    return rows


def code_hash(group: str, name: str) -> str | None:
    """Hash the code that stands behind a row: 16 hex digits; None for a row of Selfish's own.

    Args:
        group: the family's.
        name: of the entry point, with its prefix.
    """
    packages = _packages.get((group, name))
    return None if packages is None else _hash(packages)


def installed() -> tuple[Extension, ...]:
    """Return what installed packages offer, to all families."""
    for family in FAMILIES:
        importlib.import_module(family)
    points = [point for group in sorted(_all_groups()) for point in _points(group)]
    return tuple(
        Extension(
            group=point.group,
            name=point.name,
            value=point.value,
            package=f"{point.dist.name} {point.dist.version}" if point.dist is not None else "",
            problem=_problems.get(point, _misplaced(point)),
        )
        for point in points
    )


def _read(point: EntryPoint, name: str, known: Mapping[str, Row], row_type: type[Row]) -> Row:
    """Load a row and check all that can be checked without torch."""
    if not _NAME.fullmatch(name):
        raise InputError(f"its name must be made of a-z, 0-9 and _, got {name!r}")
    if name in known or name == NO_PART:
        raise InputError(f"the name {name!r} is taken")
    rival = next((other for other in _points(point.group) if other.name == point.name and other != point), None)
    if rival is not None:
        raise InputError(f"{rival.value} has the same name")
    row = point.load()
    if not isinstance(row, row_type):
        raise InputError(f"it must be a {row_type.__name__}, got {type(row).__name__}")
    if row.name != name:
        raise InputError(f"its row has the name {row.name!r}")
    TypeAdapter(row_type).validate_python(vars(row))
    if isinstance(row, ArchitectureRow) and "hidden_size" not in row.config.model_fields:
        raise InputError(f"{row.config.__name__} has no field hidden_size")
    return row


def _packages_of(point: EntryPoint, row: MethodRow | ScoreRow | ArchitectureRow) -> frozenset[str]:
    """Return the top-level packages, or modules, that a row and its torch code are in."""
    modules = [point.module]
    path = row.function if isinstance(row, ScoreRow) else row.model if isinstance(row, ArchitectureRow) else None
    if path is not None:
        module, _, name = path.partition(":")
        if not module or not name.isidentifier() or importlib.util.find_spec(module) is None:
            raise InputError(f"{path!r} must be `module:name` of a module that is there")
        modules.append(module)
    packages = frozenset(module.partition(".")[0] for module in modules) - {"selfish_core"}
    for package in packages:
        if not _sources(package):
            raise InputError(f"the code of {package!r} is not in files, so it cannot be hashed")
    return packages


def _explained(error: BaseException) -> str:
    """Write what is wrong with an extension in one line."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
    text = " ".join(str(error).split())
    return text if isinstance(error, InputError) else f"{type(error).__name__}: {text}"


def _misplaced(point: EntryPoint) -> str:
    if point.group not in GROUPS:
        return f"there is no such group: known are {', '.join(GROUPS)}"
    return "its name must start with `removal.` or `regrowth.`"


@cache
def _points(group: str) -> tuple[EntryPoint, ...]:
    return tuple(sorted(set(entry_points(group=group)), key=lambda point: (point.name, point.value)))


def _all_groups() -> set[str]:
    return {group for group in entry_points().groups if group.startswith("selfish.")}


@cache
def _hash(packages: frozenset[str]) -> str:
    return hash_sources(file for package in sorted(packages) for file in _sources(package))[:16]


@cache
def _sources(package: str) -> tuple[tuple[str, Path], ...]:
    """Return every file of a package that Python can import, or a module's one file: a name, and where it is."""
    spec = importlib.util.find_spec(package)
    if spec is None:
        return ()
    if spec.submodule_search_locations is None:
        origin = Path(spec.origin or "")
        return ((origin.name, origin),) if origin.is_file() else ()
    found = [
        (f"{package}/{path.relative_to(folder).as_posix()}", path)
        for folder in map(Path, spec.submodule_search_locations)
        for path in folder.rglob("*.py")
        if all(part.isidentifier() for part in path.relative_to(folder).with_suffix("").parts)
    ]
    return tuple(sorted(found))
